"""Making a collection, and what it says of itself: which encoder made its vectors, and how.

The properties of a collection tell its format and encoder. What the encoder has learned is too long for them: it is in
a second collection beside it, as text in pieces.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from mbat.addresses import Address, address_of, check_file
from mbat.building import library_version
from mbat.embedding import TextFunction
from mbat.encoder import Encoder
from mbat.encoder_files import encoder_of, encoder_parts
from mbat.errors import IndexDamagedError, IndexExistsError, IndexNotFoundError, IndexVersionError
from mbat.milvus.collection import VECTOR, fields
from mbat.milvus.connecting import Connection
from mbat.milvus.kinds import DEFAULT_KIND, kind_of
from mbat.reading import golden_vector

FORMAT: Final = "1"
"""Version of the collections: a change that older versions cannot read raises it."""

_BESIDE: Final = "_encoder"
_PREFIX: Final = "mbat."
_FORMAT_PROPERTY: Final = _PREFIX + "format"
_PIECES_PROPERTY: Final = _PREFIX + "pieces"
_PIECE: Final = 60_000
_PIECES: Final = {
    "place": {"type": "INT64", "is_primary": True},
    "piece": {"type": "VARCHAR", "max_length": 65_535},
    VECTOR: {"type": "FLOAT_VECTOR", "dim": 2},  # without a vector there is no collection
}


@dataclass(frozen=True)
class About:
    """What a collection says of itself.

    Attributes
    ----------
    format, library_version : str
        `FORMAT` and the version of mbat when it was made.
    kind : str
        Name of the kind of index.
    fingerprint, parameters : str
        Of the encoder: `mbat.Encoder.fingerprint`, and its parameters as JSON.
    golden : str
        A hash of the vector of `mbat.manifest.GOLDEN_DOCUMENT`.
    id_field : str
        The path of the field that the ids are from, empty if they are from none.
    """

    format: str
    library_version: str
    kind: str
    fingerprint: str
    parameters: str
    golden: str
    id_field: str

    def properties(self) -> dict[str, str]:
        """Return it as properties of a collection."""
        return {_PREFIX + name: value for name, value in vars(self).items()}


def create_collection(
    uri: str,
    name: str,
    encoder: Encoder,
    kind: str = DEFAULT_KIND,
    id_field: str | None = None,
    overwrite: bool = False,
) -> None:
    """Make a collection without documents, to be filled by other means than `push`, such as a bulk import.

    Its fields are ``id``, a text of up to 65,535 bytes, ``vector``, of the encoder's length, and ``document``, JSON.

    Parameters
    ----------
    uri : str
        As `pymilvus.MilvusClient` takes it: a file for milvus-lite, or a server.
    name : str
        The name of the collection. The encoder is kept in a second one, of this name and ``_encoder``.
    encoder : Encoder
        Makes the vectors.
    kind : str
        A kind of `mbat.milvus.kinds.KINDS`.
    id_field : str, optional
        The path of the field that the ids are from, to be remembered.
    overwrite : bool
        Whether a collection that is there is dropped.

    Raises
    ------
    IndexExistsError
        If there is a collection, and it is not to be dropped, or is none of mbat.
    MilvusError
        If Milvus cannot be reached, or refuses it.
    ParameterError
        If the URI, the name or the kind can be none.

    Examples
    --------
    >>> import mbat, tempfile
    >>> uri = tempfile.mkdtemp() + "/docs.db"
    >>> create_collection(uri, "docs", mbat.Encoder())
    >>> with mbat.Index.open(f"milvus:{uri}#docs") as index:
    ...     index.add([{"name": "Ann"}]).added, index.search({"name": "Ann"})[0].id
    (1, '0')
    """
    address = address_of(uri, name)
    connection = Connection(uri)
    try:
        make_empty(connection, address, about_of(encoder, kind, id_field), encoder.dim, overwrite)
        keep_encoder(connection, name, encoder)
    finally:
        connection.close()


def about_of(encoder: Encoder, kind: str, id_field: str | None) -> About:
    """Return what a collection of vectors of an encoder says of itself."""
    return About(
        format=FORMAT,
        library_version=library_version(),
        kind=kind,
        fingerprint=encoder.fingerprint,
        parameters=json.dumps(encoder.parameters),
        golden=_golden(encoder),
        id_field=id_field or "",
    )


def make_empty(connection: Connection, address: Address, about: About, dim: int, overwrite: bool) -> None:
    """Make a collection; it is an index once its encoder is kept, too."""
    kind = kind_of(about.kind, connection.is_file)
    marks = {address.name: _FORMAT_PROPERTY, address.name + _BESIDE: _PIECES_PROPERTY}
    there = [name for name in marks if connection.call("has_collection", name)]
    for name in there:
        if marks[name] not in _properties(connection, name):
            raise IndexExistsError(
                f"The collection {name} is in {connection.uri} and is none that mbat has made for {address.name}; it "
                "is left alone. Choose another name."
            )
    if there and not overwrite:
        raise IndexExistsError(
            f"The collection {there[0]} is in {connection.uri} already. Choose another name, or give --overwrite to "
            "replace it."
        )
    for name in reversed(there):
        connection.call("drop_collection", name)
    _create(connection, address.name, fields(dim), (kind.name, kind.built), about.properties())


def keep_encoder(connection: Connection, name: str, encoder: Encoder) -> None:
    """Write the encoder beside a collection: with it, the collection is an index."""
    parameters, statistics = encoder_parts(encoder)
    text = json.dumps([parameters, base64.b64encode(statistics).decode()])
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    _create(connection, name + _BESIDE, _PIECES, ("FLAT", {}), {_PIECES_PROPERTY: str(len(pieces))})
    for place, piece in enumerate(pieces):
        row = {"place": place, "piece": piece, VECTOR: [0.0, 0.0]}
        connection.call("upsert", collection_name=name + _BESIDE, data=[row])
    connection.call("flush", collection_name=name + _BESIDE)


def _create(
    connection: Connection,
    name: str,
    of_fields: dict[str, dict[str, Any]],
    index: tuple[str, dict[str, Any]],
    properties: dict[str, str],
) -> None:
    schema = connection.schema(**of_fields)
    connection.call("create_collection", name, schema=schema, consistency_level="Strong", properties=properties)
    how = connection.call("prepare_index_params")
    how.add_index(VECTOR, index_type=index[0], metric_type="IP", params=index[1])
    connection.call("create_index", name, how, sync=False)  # there is nothing yet to wait for


def read_about(connection: Connection, address: Address) -> About:
    """Return what a collection says of itself.

    Raises
    ------
    IndexNotFoundError
        If there is none, or it is not of mbat.
    IndexVersionError
        If another version of mbat made it, whose collections this one cannot read.
    """
    if not connection.call("has_collection", address.name):
        there = ", ".join(sorted(connection.call("list_collections"))) or "none"
        raise IndexNotFoundError(f"There is no collection {address.name} in {connection.uri}; there are: {there}.")
    properties = _properties(connection, address.name)
    told = {name: properties.get(_PREFIX + name) for name in About.__dataclass_fields__}
    if told["format"] is None:
        raise IndexNotFoundError(f"{address} was not made by mbat: its properties tell of no encoder.")
    if told["format"] != FORMAT:
        raise IndexVersionError(
            f"{address} has format {told['format']}; this version of mbat reads format {FORMAT}. Push the documents "
            "again, or use the version that made it."
        )
    if missing := [name for name, value in told.items() if value is None]:
        raise IndexDamagedError(f"{address} is damaged: it has lost its property {_PREFIX}{missing[0]}.")
    return About(**{name: str(value) for name, value in told.items()})


def read_encoder(connection: Connection, address: Address, about: About, text: TextFunction | None = None) -> Encoder:
    """Return the encoder that is kept beside a collection.

    Raises
    ------
    IndexDamagedError
        If it is not there whole.
    IndexVersionError
        If it is not the one that made the vectors, or would make others here.
    """
    beside = address.name + _BESIDE
    if not connection.call("has_collection", beside):
        raise IndexDamagedError(f"{address} has no encoder: what filled it was cut short. Push the documents again.")
    connection.call("load_collection", beside)
    pieces = int(_properties(connection, beside).get(_PIECES_PROPERTY, "0"))
    found = connection.call("query", beside, filter="place >= 0", output_fields=["place", "piece"], limit=pieces or 1)
    rows = {row["place"]: row["piece"] for row in found}
    try:
        parameters, statistics = json.loads("".join(rows[place] for place in range(pieces)))
        learned = base64.b64decode(statistics, validate=True)
    except (KeyError, ValueError, TypeError) as error:
        raise IndexDamagedError(f"The encoder of {address} is damaged. Push the documents again.") from error
    encoder = encoder_of(parameters, learned, str(address), text)
    if encoder.fingerprint != about.fingerprint:
        raise IndexVersionError(f"The encoder beside {address} is not the one its vectors were made with.")
    if _golden(encoder) != about.golden:
        raise IndexVersionError(
            f"The encoder of {address} makes other vectors here than where they were made. Push the documents again."
        )
    return encoder


def opened(address: Address) -> Connection:
    """Return a connection to where a collection should be."""
    check_file(address)
    return Connection(address.uri)


def _properties(connection: Connection, name: str) -> dict[str, str]:
    return dict(connection.call("describe_collection", name)["properties"])


def _golden(encoder: Encoder) -> str:
    return hashlib.sha256(golden_vector(encoder).encode()).hexdigest()
