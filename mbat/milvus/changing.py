"""Adding and replacing documents of a collection.

All are looked at before the first is written, for what was written stays: Milvus knows no transactions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import orjson

from mbat.complaints import check_document
from mbat.encoder import Encoder
from mbat.errors import DocumentError, ParameterError
from mbat.milvus.collection import Collection, check_row
from mbat.numbering import Numbers
from mbat.progress import Progress
from mbat.putting import Changes, distinct, same_document
from mbat.records import Record
from mbat.refusals import foreign

Row = tuple[str, Any]
"""The id of a document, and the document."""


def put_rows(
    collection: Collection, encoder: Encoder, records: Iterable[Record], replacing: bool, progress: Progress
) -> Changes:
    """Add documents to a collection.

    Parameters
    ----------
    collection : Collection
    encoder : Encoder
        That of its vectors.
    records : iterable of Record
        Those without an id are numbered. They wait in a file until all are looked at.
    replacing : bool
        Whether a document takes the place of the one with its id; else an id that is taken is an error.
    progress : callable
        Told how far the work is.

    Raises
    ------
    ParameterError
        If an id is taken, or none in Milvus. Nothing has changed.
    DocumentError
        If a document cannot be encoded or kept; with its position among the records. Nothing has changed.
    MilvusError
        If Milvus refuses a document; those before it may be written.
    """
    with tempfile.TemporaryFile() as spool:
        total = 0
        numbers = Numbers(collection.count(), collection.documents)
        seen: set[str] = set()
        for batch in distinct(foreign(records)):
            ids = numbers.ids(batch)
            _check(collection, batch, ids, total)
            if not replacing:
                _check_free(collection, ids, seen)
            spool.write(orjson.dumps([[one, record.document] for one, record in zip(ids, batch, strict=True)]) + b"\n")
            total += len(batch)
            progress("check", total, None)
        spool.seek(0)
        return _written(collection, encoder, spool, progress, total)


def _check(collection: Collection, batch: Sequence[Record], ids: Sequence[str], before: int) -> None:
    for position, (one, record) in enumerate(zip(ids, batch, strict=True), start=before):
        try:
            check_document(record.document)
        except DocumentError as error:
            raise DocumentError(error.reason, error.path, position) from None
        check_row(one, record.document, position, collection.is_on_file)


def _check_free(collection: Collection, ids: Sequence[str], seen: set[str]) -> None:
    """Raise ParameterError if one of some ids is taken; else count them as such."""
    for one in ids:
        if one in seen:
            raise ParameterError(f"The id {one!r} is given to two documents; ids must differ.")
        seen.add(one)
    for one in collection.documents(ids):
        raise ParameterError(f"The id {one!r} is in the index already; upsert replaces its document.")


def _written(collection: Collection, encoder: Encoder, spool: BinaryIO, progress: Progress, total: int) -> Changes:
    added = replaced = done = 0
    for batch in _spooled(spool):
        there = collection.documents([one for one, _ in batch])
        new = [
            (one, document) for one, document in batch if one not in there or not same_document(there[one], document)
        ]
        if new:
            documents = [document for _, document in new]
            collection.write([one for one, _ in new], encoder.encode(documents), documents)
        again = sum(one in there for one, _ in new)
        replaced, added, done = replaced + again, added + len(new) - again, done + len(batch)
        progress("encode", done, total)
    return Changes(added, replaced, total - added - replaced)


def _spooled(spool: BinaryIO) -> Iterator[list[Row]]:
    return (orjson.loads(line) for line in spool)
