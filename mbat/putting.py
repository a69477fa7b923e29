"""Adding, replacing and dropping documents."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import orjson

from mbat.changing import Change, changing, kept_segments, row_of
from mbat.encoder import BATCH, Encoder
from mbat.errors import DocumentError, ParameterError
from mbat.numbering import Numbers
from mbat.pipeline import batched
from mbat.progress import Progress, silent
from mbat.reading import encoder_of_index
from mbat.records import Record
from mbat.refusals import foreign
from mbat.store import Stored
from mbat_indexes import CPU, Device


@dataclass(frozen=True)
class Changes:
    """What a change did, in numbers of documents.

    Attributes
    ----------
    added, replaced : int
        Documents with new ids, and with ids that were there.
    unchanged : int
        Documents that were there as they are, and were left alone.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0


def put_documents(
    folder: Path,
    records: Iterable[Record],
    known: Encoder,
    replacing: bool,
    progress: Progress = silent,
    device: Device = CPU,
) -> Changes:
    """Add documents to an index, as one change.

    Parameters
    ----------
    folder : Path
        The index.
    records : iterable of Record
        Those without an id are numbered.
    known : Encoder
        Used if it is the index's still.
    replacing : bool
        Whether a document takes the place of the one with its id, as if each was put there after the other; else an
        id that is taken is an error.
    progress : callable
        Told how far the work is.
    device : Device
        Where new vectors are put into lists.

    Raises
    ------
    ParameterError
        If an id is taken.
    DocumentError
        If a document cannot be encoded; with its position among the records.
    IndexBusyError, IndexFolderError
        See `changing`. In each case nothing has changed.
    """
    with changing(folder, device) as change:
        encoder = encoder_of_index(change.store, change.before, folder, known)
        arrivals = _Arrivals(change, replacing)
        done = 0
        for batch in distinct(foreign(records)):
            arrivals.take(batch)
            done += len(batch)
            progress("read", done, None)
        if arrivals.positions:
            keep = kept_segments(change.before, len(change.store.dropped()), len(arrivals.positions))
            kind = "flat" if keep else change.before.kind
            try:
                segments = change.rewrite(keep, encoder, kind, progress)
            except DocumentError as error:
                after = change.before.segments[keep - 1].last if keep else 0
                raise arrivals.located(error, row_of(change.store, after, error)) from None
            change.commit(segments, numbered=arrivals.numbers.next)
        return arrivals.changes()


def drop_documents(folder: Path, ids: Iterable[str]) -> int:
    """Drop the documents with some ids, as one change; return how many there were.

    Raises
    ------
    IndexBusyError, IndexFolderError
        See `changing`; nothing has changed.
    """
    with changing(folder) as change:
        dropped = 0
        for batch in batched(foreign(ids), BATCH):
            found = change.store.found(list(set(batch)), damaged_too=True)
            change.store.drop([stored.row for stored in found.values()])
            dropped += len(found)
        if dropped:
            change.commit(change.before.segments)
        return dropped


class _Arrivals:
    """Documents on their way into the store."""

    def __init__(self, change: Change, replacing: bool) -> None:
        self._store, self._replacing = change.store, replacing
        self.numbers = Numbers(change.before.numbered, self._store.found)
        self.first_row = self._store.last_row() + 1
        self.positions = array("q")
        """The place among all documents given of each that went into a new row."""
        self._seen = self._added = self._replaced = 0

    def take(self, records: Sequence[Record]) -> None:
        """Put documents with different ids into the store."""
        ids = [record.id for record in records if record.id is not None]
        there = self._store.found(ids, damaged_too=True)
        if there and not self._replacing:
            self._refuse(next(iter(there.values())))
        numbered = zip(self.numbers.ids(records), records, strict=True)
        new = [
            (position, one, record.text)
            for position, (one, record) in enumerate(numbered, start=self._seen)
            if record.id not in there or not _same(there[record.id], record)
        ]
        replaced = [there[one].row for _, one, _ in new if one in there]
        self._store.drop(replaced)
        first = self.first_row + len(self.positions)
        self._store.add(first, [one for _, one, _ in new], [text for _, _, text in new])
        self.positions.extend(position for position, _, _ in new)
        self._seen += len(records)
        self._replaced += len(replaced)
        self._added += len(new) - len(replaced)

    def located(self, error: DocumentError, row: int) -> DocumentError:
        """Return the error of the document in a row with its place among those given, or its id if it was there."""
        if row >= self.first_row:
            return DocumentError(error.reason, error.path, self.positions[row - self.first_row])
        one = self._store.by_rows([row])[row].id
        return DocumentError(f"{error.reason}, in the document {one!r:.80} of the index", error.path)

    def _refuse(self, there: Stored) -> NoReturn:
        if there.row < self.first_row:
            raise ParameterError(f"The id {there.id!r} is in the index already; upsert replaces its document.")
        raise ParameterError(f"The id {there.id!r} is given to two documents; ids must differ.")

    def changes(self) -> Changes:
        """Return what was done."""
        return Changes(self._added, self._replaced, self._seen - len(self.positions))


def _same(stored: Stored, record: Record) -> bool:
    """Tell whether a document is the one that is there: the same text, or the same JSON value."""
    if not stored.whole:
        return False
    return stored.text == record.text or same_document(orjson.loads(stored.text), record.document)


def same_document(one: object, other: object) -> bool:
    """Tell whether two documents are the same JSON value: 1 and 1.0 are not, and the order of keys is nothing."""
    return _canonical(one) == _canonical(other)


def _canonical(document: object) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def distinct(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield records in batches, in none of which an id is there twice."""
    batch: list[Record] = []
    ids: set[str] = set()
    for record in records:
        if len(batch) == BATCH or record.id in ids:
            yield batch
            batch, ids = [], set()
        batch.append(record)
        if record.id is not None:
            ids.add(record.id)
    yield batch
