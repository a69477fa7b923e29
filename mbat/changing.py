"""Changing an index: one writer, one commit.

The principle is:

1. The documents change in a transaction of the store.
2. The vectors of the new rows are written to a new segment, which also takes the place of the last few segments where
   they are small. It is on the disk before the transaction ends, and its name is part of it: the commit of the store is
   the one instant from which the change is there, documents and vectors both.
3. Files that no content names are removed: by the writer after its commit, or by the next one if it was killed.

Vectors of dropped rows stay where they are until their segment is written anew; searches leave them out.
"""

from __future__ import annotations

import copy
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat import durable
from mbat.content import Content, Segment
from mbat.database import database_files
from mbat.encoder import BATCH, Encoder
from mbat.errors import DocumentError
from mbat.locking import LOCK_FILE, writer_lock
from mbat.manifest import MANIFEST_FILE, Manifest
from mbat.measuring import measured_recall
from mbat.pipeline import batched
from mbat.progress import Progress
from mbat.refusals import NOTHING_CHANGED, as_folder_error
from mbat.segments import write_segment
from mbat.store import Store
from mbat.writable_store import WritableStore
from mbat_indexes import CPU, Device

_OWN_FILES: Final = re.compile(
    r"vectors-[0-9a-f]{12}(\.raw|\.spool)?|documents-[0-9a-f]{8}\.sqlite(-wal|-shm|-journal)?"
    r"|manifest\.json(\.partial)?|writer\.lock"
)

ALIKE: Final = 3
"""Segments of about one size that are left to themselves; the next one is written together with them."""


class Change:
    """What a writer does to an index, from a lock to a commit.

    Attributes
    ----------
    folder : Path
    store : WritableStore
    before : Content
        What the index holds before the change.
    """

    def __init__(self, folder: Path, store: WritableStore, before: Content, device: Device = CPU) -> None:
        self.folder, self.store, self.before, self._device = folder, store, before, device
        self._written: list[Segment] = []
        self._recall = before.recall
        self.committing = False

    def rewrite(self, keep: int, encoder: Encoder, kind: str, progress: Progress) -> tuple[Segment, ...]:
        """Return the first `keep` segments and a new one of all documents in the rows after them."""
        kept = self.before.segments[:keep]
        after, last = (kept[-1].last if kept else 0), self.store.last_row()
        self.store.forget_dropped(after)
        count = self.store.count_after(after)
        if not kept:
            self._recall = None
        if not count:
            return kept
        rows = encoded_after(self.store, encoder, after, progress, count)
        self._written.append(write_segment(self.folder, kind, encoder.dim, (after, last), count, rows, self._device))
        if not kept:
            self._recall = measured_recall(self.folder, self.store, encoder, (self._written[-1],), self._device)
        return *kept, self._written[-1]

    def fitted(self, encoder: Encoder, progress: Progress) -> Encoder:
        """Return an encoder with the same parameters that has learned from all documents."""
        total = len(self.store)

        def documents() -> Iterator[object]:
            for done, stored in enumerate(self.store.after(), start=1):
                yield orjson.loads(stored.text)
                progress("read", done, total)

        return copy.copy(encoder).fit(documents())

    def commit(self, segments: tuple[Segment, ...], **changed: object) -> Content:
        """Make the change to stay; return what the index then holds."""
        changed = {"version": self.before.version + 1, "segments": segments, "recall": self._recall, **changed}
        content: Content = replace(self.before, documents=len(self.store), **changed)  # type: ignore[arg-type]
        self.store.put(content.version, content.written())
        self.committing = True
        self.store.commit()
        self._written = []
        with suppress(OSError):
            remove_files(self.folder, [one for one in self.before.segments if one not in segments])
        return content

    def shrink(self) -> bool:
        """Give the space of dropped documents back, after a commit or instead of one; see `WritableStore.shrink`."""
        self.store.end()
        return self.store.shrink()

    def undo(self) -> None:
        """Remove the segments that no commit named; where one was tried the next writer finds out."""
        if not self.committing:
            remove_files(self.folder, self._written)


@contextmanager
def changing(folder: Path, device: Device = CPU) -> Iterator[Change]:
    """Change an index; unless the change is committed nothing has happened.

    Parameters
    ----------
    folder : Path
    device : Device
        Where new vectors are put into lists.

    Raises
    ------
    IndexBusyError
        If another process is changing it.
    IndexFolderError
        If it cannot be used or written.
    """
    Manifest.read(folder)  # says it if there is no index, before a lock is put there
    with writer_lock(folder), as_folder_error(f"{folder} cannot be changed", NOTHING_CHANGED):
        path = folder / Manifest.read(folder).database
        with WritableStore.open(path) as store:
            change = Change(folder, store, Content.parse(store.content(), str(path)), device)
            remove_orphans(folder, path, change.before.segments)
            try:
                yield change
            except BaseException:
                change.undo()
                raise


def encoded_after(
    store: Store, encoder: Encoder, after: int, progress: Progress, total: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield the vectors of all documents in the rows above one, by rows, with the rows' numbers."""
    waiting: deque[NDArray[np.int64]] = deque()
    done = 0

    def parsed() -> Iterator[list[object]]:
        for batch in batched(store.after(after), BATCH):
            waiting.append(np.array([stored.row for stored in batch], dtype=np.int64))
            yield [orjson.loads(stored.text) for stored in batch]

    for vectors in encoder.encode_batches(parsed()):
        yield waiting.popleft(), vectors
        done += len(vectors)
        progress("encode", done, total)


def row_of(store: Store, after: int, error: DocumentError) -> int:
    """Return the row of the document that `encoded_after` could not encode."""
    for position, stored in enumerate(store.after(after)):
        if position == error.position:
            return stored.row
    raise error


def remove_files(folder: Path, segments: Iterable[Segment]) -> None:
    """Remove the files of segments."""
    for segment in segments:
        for name in segment.files:
            durable.remove(folder / name)


def remove_orphans(folder: Path, database: Path, segments: tuple[Segment, ...]) -> None:
    """Remove what killed writers left: the files of an index that are not of this one."""
    needed = {MANIFEST_FILE, LOCK_FILE, *(path.name for path in database_files(database))}
    needed.update(name for segment in segments for name in segment.files)
    for path in own_files(folder):
        if path.name not in needed:
            with suppress(OSError):
                durable.remove(path)


def own_files(folder: Path) -> list[Path]:
    """Return the files in a folder that have names as the files of an index have."""
    return [path for path in folder.iterdir() if _OWN_FILES.fullmatch(path.name) and path.is_file()]


def foreign_files(folder: Path) -> list[str]:
    """Return the names in a folder that no file of an index has."""
    own = set(own_files(folder))
    return sorted(path.name for path in folder.iterdir() if path not in own)


def kept_segments(content: Content, dropped: int, new: int) -> int:
    """Choose how many of the first segments stay as they are when documents are added.

    The rest is written anew, together with the new documents:

    - everything, when what comes after the first segment would be more than a quarter of it, or when more vectors
      are of dropped rows than not;
    - else the last segments of about the size of the new one or less, when there are `ALIKE` of them: so there are few
      of each size, and a vector is written anew only as often as the sizes double twice.
    """
    sizes = [segment.vectors for segment in content.segments]
    if not sizes or new + sum(sizes[1:]) > sizes[0] / 4 or 2 * dropped > sum(sizes):
        return 0
    keep, size = len(sizes), new
    while True:
        alike = 0
        while keep - alike > 1 and _magnitude(sizes[keep - alike - 1]) <= _magnitude(size):
            alike += 1
        if alike < ALIKE:
            return keep
        size += sum(sizes[keep - alike : keep])
        keep -= alike


def _magnitude(size: int) -> int:
    """Return the number of digits in the system of base 4."""
    return (size.bit_length() + 1) // 2
