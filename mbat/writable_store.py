"""A store, and one change to it: made to stay by a commit, undone by anything else."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Final, Self

from mbat import durable
from mbat.database import APPLICATION, SCHEMA, checksum, connected, storable
from mbat.errors import IndexDamagedError, IndexFolderError, MbatError, ParameterError
from mbat.sealing import damaged
from mbat.store import NoRoomError, PassingError, Store

_ROWS: Final = 128


class WritableStore(Store):
    """A store, and one change to it, which `commit` makes to stay and `close` before that undoes."""

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make an empty store in a file that does not exist yet; nobody looks at it before it is `finish`\\ ed."""
        store = cls(connected(path, "mode=rwc"), path)
        with store._writing():
            for statement in (
                "PRAGMA journal_mode = OFF",
                "PRAGMA synchronous = OFF",
                f"PRAGMA application_id = {APPLICATION}",
                *SCHEMA.values(),
                "BEGIN",
            ):
                store._connection.execute(statement)
        return store

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a store to change it; the one writer of the folder does."""
        store = cls(connected(path, "mode=rw"), path)
        with store._checked(), store._writing():
            for statement in ("PRAGMA synchronous = FULL", "PRAGMA journal_size_limit = 0", "BEGIN IMMEDIATE"):
                store._connection.execute(statement)
        return store

    def add(self, first_row: int, ids: Sequence[str], texts: Sequence[bytes]) -> None:
        """Add documents as consecutive rows.

        Raises
        ------
        ParameterError
            If an id is there already, or is no Unicode text.
        """
        for one in ids:
            if not storable(one):
                raise ParameterError(f"The id {one!r} has half of a surrogate pair; ids are Unicode text.")
        rows = range(first_row, first_row + len(ids))
        values = list(zip(rows, ids, texts, map(checksum, ids, texts), strict=True))
        for start in range(0, len(values), _ROWS):  # many rows at once: the interpreter is given up once
            some = values[start : start + _ROWS]
            marks = ",(?,?,?,?)" * len(some)
            try:
                with self._writing():
                    self._connection.execute(f"INSERT INTO documents VALUES {marks[1:]}", list(chain(*some)))
            except sqlite3.IntegrityError as error:
                raise self._refused(some[0][0], [one for _, one, _, _ in some], error) from None

    def _refused(self, first_row: int, ids: Sequence[str], error: sqlite3.IntegrityError) -> MbatError:
        """Return the error that names the id for which a statement was refused, of which some rows may be there."""
        counts, there = Counter(ids), self.found(ids, damaged_too=True)
        for one in ids:
            if counts[one] > 1 or (one in there and there[one].row < first_row):
                return ParameterError(f"The id {one!r} is given to two documents; ids must differ.")
        return damaged(str(self.path), str(error))

    def drop(self, rows: Sequence[int]) -> None:
        """Drop documents, and remember that segments still have their vectors."""
        with self._writing():
            values = [(row,) for row in rows]
            self._connection.executemany("DELETE FROM documents WHERE row = ?", values)
            self._connection.executemany("INSERT INTO dropped VALUES (?)", values)

    def forget_dropped(self, after: int) -> None:
        """Forget the dropped rows above one: no segment has their vectors any more."""
        with self._writing():
            self._connection.execute("DELETE FROM dropped WHERE row > ?", (after,))

    def put(self, version: int, content: str) -> None:
        """Replace the text of the `Content`."""
        with self._writing():
            self._connection.execute("DELETE FROM content")
            self._connection.execute("INSERT INTO content VALUES (?, ?)", (version, content))

    def put_encoder(self, parameters: str, statistics: bytes) -> None:
        """Replace the encoder."""
        with self._writing():
            self._connection.execute("DELETE FROM encoder")
            self._connection.execute("INSERT INTO encoder VALUES (?, ?)", (parameters, statistics))

    def reindex(self) -> None:
        """Make the index of ids anew, to stay: so that documents found damaged can be deleted by their ids."""
        with self._writing():
            self._connection.execute("REINDEX")
        self.commit()
        with self._writing():
            self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make the change to stay."""
        with durable.step("commit"), self._writing():
            self._connection.execute("COMMIT")

    def finish(self) -> None:
        """Make a new store ready for readers and writers, and see that it is on the disk."""
        self.commit()
        with self._writing():
            self._connection.execute("PRAGMA journal_mode = WAL")
        self.close()
        durable.sync(self.path)

    def shrink(self) -> bool:
        """Give the space of dropped documents back; tell whether it is, and not kept for those who are reading.

        Raises
        ------
        IndexFolderError
            If there is no room to do it in; the documents are as they were.
        """
        try:
            with durable.step("shrinking"):
                self._connection.execute("VACUUM")
                self._connection.execute("PRAGMA busy_timeout = 0")
                (kept, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            if isinstance(told := self._told(error), IndexDamagedError):
                raise told from error
            raise IndexFolderError(
                f"The space of dropped documents in {self.path.parent} cannot be given back: {error}. Documents and "
                "vectors are whole; compact again when this is mended."
            ) from error
        return not kept

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with super()._reading():
                yield
        except (NoRoomError, PassingError) as error:
            raise IndexFolderError(f"{error} Nothing was changed.") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.OperationalError as error:
            raise IndexFolderError(
                f"The documents cannot be written to {self.path.parent}: {error}. Nothing was changed."
            ) from error
        except sqlite3.Error as error:
            raise damaged(str(self.path), str(error)) from error
