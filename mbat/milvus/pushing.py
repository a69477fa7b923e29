"""Filling a collection: with the documents of an index in a folder, or of Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.addresses import Address, address_of
from mbat.encoder import Encoder
from mbat.errors import DocumentError, ParameterError, SourceError
from mbat.folder_index import FolderIndex
from mbat.milvus.collection import Collection, check_row
from mbat.milvus.connecting import Connection
from mbat.milvus.creating import About, about_of, keep_encoder, make_empty
from mbat.milvus.kinds import DEFAULT_KIND, kind_of
from mbat.milvus.looking import Pushed, Rows, look_again, vectors_of
from mbat.pipeline import batched
from mbat.progress import Progress, silent
from mbat.records import OnError

_TOGETHER: Final = 2048
"""Rows that are written, and looked for, together."""

Source = Callable[[], Iterator[Rows]]
"""Returns all rows, the same each time, some at a time."""


def push(
    index: FolderIndex,
    uri: str,
    name: str,
    kind: str = DEFAULT_KIND,
    overwrite: bool = False,
    *,
    on_error: OnError = "stop",
    progress: Progress = silent,
) -> Pushed:
    """Write the documents of an index to a collection of Milvus, and read them all again.

    Parameters
    ----------
    index : FolderIndex
        It is read in batches, and its documents are encoded again.
    uri, name, kind, overwrite
        See `mbat.milvus.create_collection`.
    on_error : {"stop", "skip"}
        Whether a document that Milvus cannot keep ends the work before anything is written, or is left out.
    progress : callable
        As for `mbat.Index.create`.

    Returns
    -------
    Pushed
        What was written, and what of it is missing.

    Raises
    ------
    DocumentError, ParameterError
        If Milvus cannot keep a document or an id; nothing is written.
    IndexExistsError, MilvusError, ParameterError
        As for `mbat.milvus.create_collection`.

    Examples
    --------
    >>> import mbat, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with mbat.Index.create(folder + "/a.mbat", [{"name": "Ann"}, {"name": "Bob"}], ids=["ann", "bob"]) as index:
    ...     pushed = push(index, folder + "/a.db", "people")
    >>> pushed.documents, pushed.findings()
    (2, [])
    >>> with mbat.Index.open(f"milvus:{folder}/a.db#people") as index:
    ...     [hit.id for hit in index.search({"name": "ann"}, k=1)]
    ['ann']
    """

    def rows() -> Iterator[Rows]:
        for batch in batched(index.stored(), _TOGETHER):
            yield [stored.id for stored in batch], None, [orjson.loads(stored.text) for stored in batch]

    address, encoder = address_of(uri, name), index.encoder
    about = about_of(encoder, kind, index.id_field)
    return _filled(_Kept(rows, address.is_file, on_error == "skip"), encoder, address, about, overwrite, progress)


def push_files(
    files: Iterable[str],
    encoder: Encoder,
    uri: str,
    name: str,
    kind: str = DEFAULT_KIND,
    overwrite: bool = False,
    *,
    on_error: OnError = "stop",
    progress: Progress = silent,
) -> Pushed:
    """Write the rows of Parquet files to a collection of Milvus, and read them all again; see `push`.

    Parameters
    ----------
    files : iterable of str
        With columns ``id``, ``vector`` and ``document``, the last as JSON text: as ``mbat encode --engine ray`` writes
        them.
    encoder : Encoder
        The one that made the vectors: a document of each file is encoded again.

    Raises
    ------
    SourceError
        If a file is no such one.
    """
    from mbat.parquet import vector_rows

    paths = list(files)

    def rows() -> Iterator[Rows]:
        for path in paths:
            row = 1
            for ids, vectors, texts in vector_rows(path, encoder.dim, _TOGETHER):
                documents = [_parsed(path, at, text) for at, text in enumerate(texts, start=row)]
                if row == 1 and ids:
                    _check_vectors(path, encoder, documents[0], vectors[0])
                yield ids, vectors, documents
                row += len(ids)

    address, about = address_of(uri, name), about_of(encoder, kind, None)
    return _filled(_Kept(rows, address.is_file, on_error == "skip"), encoder, address, about, overwrite, progress)


def files_in(named: Sequence[str]) -> list[str]:
    """Return the Parquet files that are named, of folders all that are in them.

    Raises
    ------
    SourceError
        If there are none.
    """
    found: list[str] = []
    for name in named:
        path = Path(name)
        some = sorted(map(str, path.glob("*.parquet"))) if path.is_dir() else [name]
        if not some or not Path(some[0]).exists():
            raise SourceError(f"There is no Parquet file in {name}." if path.is_dir() else f"There is no file {name}.")
        found += some
    return found


def _parsed(path: str, row: int, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SourceError(f"{path}, row {row}: not JSON, {error.msg} at character {error.pos + 1}.") from None


def _check_vectors(path: str, encoder: Encoder, document: Any, vector: NDArray[np.float32]) -> None:
    made = encoder.encode_one(document)
    if not np.allclose(made, vector, rtol=0, atol=1e-5):
        raise ParameterError(
            f"The vectors in {path} are of another encoder than the one given. Name theirs with --encoder FOLDER."
        )


def _filled(kept: _Kept, encoder: Encoder, address: Address, about: About, overwrite: bool, tell: Progress) -> Pushed:
    """Make a collection, write all rows to it, and look for them."""
    kind = kind_of(about.kind, address.is_file)
    pushed = Pushed()
    total = kept.checked(tell)
    connection = Connection(address.uri)
    try:
        collection = Collection(connection, address.name, kind)
        make_empty(connection, address, about, encoder.dim, overwrite)
        for ids, vectors, documents in kept.rows():
            collection.write(ids, vectors_of(vectors, encoder, documents), documents)
            pushed.rows += len(ids)
            tell("write", pushed.rows, total)
        collection.flush()
        keep_encoder(connection, address.name, encoder)
        collection.load()
        look_again(collection, kept.rows(), encoder, pushed, tell)
    finally:
        connection.close()
    pushed.left_out = kept.left_out
    return pushed


class _Kept:
    """What Milvus can keep of a source.

    Parameters
    ----------
    source : callable
        See `Source`.
    on_file : bool
        Whether milvus-lite is to keep it.
    skip : bool
        Whether what it cannot keep is left out; else it is an error.
    """

    def __init__(self, source: Source, on_file: bool, skip: bool) -> None:
        self._source, self._on_file, self._skip = source, on_file, skip
        self.left_out = 0

    def checked(self, tell: Progress) -> int:
        """Return how many rows there are; raise an error at one that cannot be kept, unless these are left out."""
        count = 0
        for ids, _, _ in self.rows():
            count += len(ids)
            tell("check", count, None)
        return count

    def rows(self) -> Iterator[Rows]:
        """Yield the rows, some at a time; those that are left out are counted anew."""
        position = self.left_out = 0
        for ids, vectors, documents in self._source():
            places = [
                place for place in range(len(ids)) if self._can_be_kept(ids[place], documents[place], position + place)
            ]
            position += len(ids)
            self.left_out += len(ids) - len(places)
            some = None if vectors is None else vectors[places]
            yield [ids[place] for place in places], some, [documents[place] for place in places]

    def _can_be_kept(self, one: str, document: Any, position: int) -> bool:
        try:
            check_row(one, document, position, self._on_file)
        except (DocumentError, ParameterError):
            if self._skip:
                return False
            raise
        return True
