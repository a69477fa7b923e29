"""A collection of Milvus with documents: what is in a row, and how rows are written and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.errors import DocumentError, ParameterError
from mbat.milvus.connecting import Connection
from mbat.milvus.kinds import MOST_FOUND, Kind

ID: Final = "id"
VECTOR: Final = "vector"
DOCUMENT: Final = "document"

MOST_ID_BYTES: Final = 65_535
MOST_DOCUMENT_BYTES: Final = 65_536
"""Bytes of a document that a server takes; milvus-lite has no such limit."""

_SENT_BYTES: Final = 1 << 23
"""Bytes that are sent at once, about; a server takes 64 MiB."""

_USUAL_BYTES: Final = 8192
"""Bytes of a document that are reckoned with."""

_ASKED_IDS: Final = 2048


def fields(dim: int) -> dict[str, dict[str, Any]]:
    """Return the fields of a collection for vectors of some length."""
    return {
        ID: {"type": "VARCHAR", "max_length": MOST_ID_BYTES, "is_primary": True},
        VECTOR: {"type": "FLOAT_VECTOR", "dim": dim},
        DOCUMENT: {"type": "JSON"},
    }


def check_row(one: str, document: Any, position: int, on_file: bool) -> None:
    """Raise an error if Milvus cannot keep a document, or its id.

    Raises
    ------
    DocumentError
        If the document is neither object nor array, or too long.
    ParameterError
        If the id is too long, or no Unicode text.
    """
    if not isinstance(document, dict | list):
        raise DocumentError("Milvus keeps objects and arrays alone, and this is neither", "$", position)
    size = 0 if on_file else len(orjson.dumps(document))
    if size > MOST_DOCUMENT_BYTES:
        raise DocumentError(
            f"it has {size:,} bytes, and a document on a server of Milvus {MOST_DOCUMENT_BYTES:,} at most",
            "$",
            position,
        )
    if id_bytes(one) > MOST_ID_BYTES:
        raise ParameterError(
            f"The id of document {position}, {one!r:.40}, is no id in Milvus: {MOST_ID_BYTES:,} bytes of UTF-8 at most."
        )


def id_bytes(one: str) -> int:
    """Return how many bytes an id has; more than any may have, if it is no Unicode text."""
    try:
        return len(one.encode())
    except UnicodeEncodeError:
        return MOST_ID_BYTES + 1


class Collection:
    """Rows of id, vector and document.

    Parameters
    ----------
    connection : Connection
    name : str
    kind : Kind
    """

    def __init__(self, connection: Connection, name: str, kind: Kind) -> None:
        self.name, self.kind = name, kind
        self._connection = connection

    @property
    def is_on_file(self) -> bool:
        """Whether milvus-lite keeps it, and not a server."""
        return self._connection.is_file

    def load(self) -> None:
        """Have Milvus take the collection into its memory, without which it finds nothing."""
        self._call("load_collection")

    def count(self, expression: str = "") -> int:
        """Return how many documents there are of which an expression holds."""
        found = self._call("query", filter=expression, output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    def write(self, ids: Sequence[str], vectors: NDArray[np.float32], documents: Sequence[Any]) -> None:
        """Put rows into the collection, in the place of those that have their ids."""
        rows = [
            {ID: one, VECTOR: vector, DOCUMENT: document}
            for one, vector, document in zip(ids, vectors, documents, strict=True)
        ]
        size = max(1, _SENT_BYTES // (4 * vectors.shape[1] + _USUAL_BYTES))
        for start in range(0, len(rows), size):
            self._call("upsert", data=rows[start : start + size])

    def delete(self, ids: Sequence[str]) -> None:
        """Delete the rows that have one of some ids."""
        for some in _asked(ids):
            self._call("delete", filter=of_ids(some))

    def flush(self) -> None:
        """Have all that was written put away, and into the index of the vectors."""
        self._call("flush")

    def documents(self, ids: Sequence[str]) -> dict[str, Any]:
        """Return those documents that have one of some ids, by id."""
        found: dict[str, Any] = {}
        for some in _asked(ids):
            found.update(self.matching(of_ids(some)))  # rows may be more than ids: a bulk import compares none
        return found

    def matching(self, expression: str) -> dict[str, Any]:
        """Return the documents of which an expression holds, by id: as many as Milvus returns at once."""
        rows = self._call("query", filter=expression, output_fields=[ID, DOCUMENT], limit=MOST_FOUND)
        return {row[ID]: _document(row) for row in rows}

    def found_ids(self, vectors: NDArray[np.float32], count: int, looks: dict[str, Any], expression: str) -> set[str]:
        """Return the ids of documents near some vector of which an expression holds; see `search`."""
        found = self._search(list(vectors), count, looks, expression, [ID])
        return {hit[ID] for hits in found for hit in hits}

    def search(
        self, vectors: NDArray[np.float32], count: int, looks: dict[str, Any], expression: str = ""
    ) -> list[dict[str, Any]]:
        """Return documents near each vector by id, of which an expression holds.

        There may be fewer than `count` though more would match: a kind that looks at a part of the vectors finds no
        others.
        """
        found = self._search(list(vectors), count, looks, expression, [DOCUMENT])
        return [{hit[ID]: _document(hit["entity"]) for hit in hits} for hits in found]

    def _search(self, vectors: list[Any], count: int, looks: dict[str, Any], expression: str, told: list[str]) -> Any:
        how = {"metric_type": "IP", "params": looks}
        return self._call("search", data=vectors, limit=count, filter=expression, output_fields=told, search_params=how)

    def _call(self, method: str, **named: Any) -> Any:
        return self._connection.call(method, collection_name=self.name, **named)


def of_ids(ids: Sequence[str]) -> str:
    """Return the expression that holds of rows with one of some ids."""
    return f"{ID} in [{', '.join(map(_quoted, ids))}]"


def _quoted(text: str) -> str:
    for sign, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(sign, escaped)
    return f'"{text}"'


def _asked(ids: Sequence[str]) -> Iterator[list[str]]:
    """Yield ids, some at a time; those that none can have are left out."""
    some: list[str] = []
    size = 0
    for one in ids:
        length = id_bytes(one)
        if length > MOST_ID_BYTES:
            continue
        if some and (len(some) == _ASKED_IDS or size + length > _SENT_BYTES):
            yield some
            some, size = [], 0
        some.append(one)
        size += length
    if some:
        yield some


def _document(row: dict[str, Any]) -> Any:
    """Return the document of a row, which pymilvus has parsed or not."""
    document = row[DOCUMENT]
    return orjson.loads(document) if isinstance(document, str | bytes) else document
