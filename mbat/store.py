"""The documents of an index, in SQLite: the truth from which everything else can be made again.

A document is kept as the JSON text it came as, with a checksum that is compared whenever it is read. A row's number is
the id of its vector; numbers rise and are never used again. What is committed here, and nothing else, is in the index:
besides the documents also the `Content`, as text, and the encoder.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mbat import durable
from mbat.errors import IndexDamagedError, IndexFolderError, ParameterError
from mbat.sealing import damaged

_SCHEMA: Final = {
    "documents": "CREATE TABLE documents (row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
    "document BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT",
    "dropped": "CREATE TABLE dropped (row INTEGER PRIMARY KEY) STRICT",
    "content": "CREATE TABLE content (version INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
    "encoder": "CREATE TABLE encoder (parameters TEXT NOT NULL, statistics BLOB NOT NULL) STRICT",
}
_APPLICATION: Final = 0x6D626174  # "mbat"
_PATIENCE: Final = 30.0  # seconds to wait for another process that opens or closes the file
_MOST_VARIABLES: Final = 500
_ROWS: Final = 128


_NO_ROOM: Final = ("disk I/O error", "database or disk is full")


class _NoRoomError(IndexFolderError):
    """The disk has no room for what SQLite needs to read, or cannot be read."""


class Stored(NamedTuple):
    """A document as it is kept, and whether it is what was written."""

    row: int
    id: str
    text: bytes
    whole: bool = True


class Store:
    """Documents by id and by row, read from a file that another process may be changing.

    Everything read between `begin` and `end` is of one moment.

    Parameters
    ----------
    connection : Connection
    path : Path
        The file.
    frozen : bool
        Whether the file was opened as one that does not change, because this process may not write beside it.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, frozen: bool = False) -> None:
        self._connection, self.path = connection, path
        self._frozen = _stamp(path) if frozen else None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a store to read it.

        Raises
        ------
        FileNotFoundError
            If there is no file.
        IndexDamagedError
            If the file is no store.
        """
        path.stat()
        writable = os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
        if writable:
            with suppress(_NoRoomError):
                return cls._opened(path, "mode=rw")
        frozen = not _has_log(path)
        return cls._opened(path, f"mode=ro{'&immutable=1' if frozen else ''}", frozen)

    @classmethod
    def _opened(cls, path: Path, how: str, frozen: bool = False) -> Self:
        store = cls(_connected(path, how), path, frozen)
        with store._checked():
            store._connection.execute("PRAGMA query_only = ON")
        return store

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Close the file; what was not committed is lost."""
        self._connection.close()

    def begin(self) -> None:
        """Read what is there at this moment until `end`."""
        with self._reading():
            self._connection.execute("BEGIN")

    def end(self) -> None:
        """End what `begin` began."""
        self._connection.rollback()

    def overtaken(self) -> bool:
        """Tell whether the file has changed though it was opened as one that does not: what was read may be wrong."""
        return self._frozen is not None and (_has_log(self.path) or _stamp(self.path) != self._frozen)

    def version(self) -> int:
        """Return the number of the last change."""
        found = self._read("SELECT version FROM content")
        if len(found) != 1 or type(found[0][0]) is not int:
            raise damaged(str(self.path), "it does not tell what it holds")
        return int(found[0][0])

    def any_version(self) -> int:
        """Return a number as high as that of any change, where `version` may be damaged."""
        return int(self._read("SELECT coalesce(max(version), 0) FROM content")[0][0])

    def content(self) -> str:
        """Return the text of the `Content`."""
        found = self._read("SELECT text FROM content")
        if len(found) != 1 or type(found[0][0]) is not str:
            raise damaged(str(self.path), "it does not tell what it holds")
        return str(found[0][0])

    def encoder(self) -> tuple[str, bytes]:
        """Return parameters and statistics of the encoder, as `mbat.encoder_files` writes them."""
        found = self._read("SELECT parameters, statistics FROM encoder")
        if len(found) != 1 or [type(part) for part in found[0]] != [str, bytes]:
            raise damaged(str(self.path), "it has no encoder")
        parameters, statistics = found[0]
        return parameters, statistics

    def __len__(self) -> int:
        """Count the documents."""
        return int(self._read("SELECT count(*) FROM documents")[0][0])

    def count_after(self, row: int) -> int:
        """Count the documents in higher rows."""
        return int(self._read("SELECT count(*) FROM documents WHERE row > ?", (row,))[0][0])

    def last_row(self) -> int:
        """Return the highest row that was ever used, 0 if none was."""
        found = self._read("SELECT seq FROM sqlite_sequence WHERE name = 'documents'")
        return int(found[0][0]) if found else 0

    def __contains__(self, one: object) -> bool:
        """Tell whether a document has this id."""
        return isinstance(one, str) and one in self.found([one])

    def found(self, ids: Sequence[str], damaged_too: bool = False) -> dict[str, Stored]:
        """Return the documents with some ids, by id."""
        found = self._select("id", [one for one in ids if _storable(one)])
        return {stored.id: stored if damaged_too else self._whole(stored) for stored in found}

    def by_rows(self, rows: Sequence[int]) -> dict[int, Stored]:
        """Return the documents in some rows, by row."""
        return {stored.row: self._whole(stored) for stored in self._select("row", rows)}

    def after(self, row: int = 0) -> Iterator[Stored]:
        """Yield all documents in higher rows, by row."""
        statement = "SELECT row, id, document, checksum FROM documents WHERE row > ? ORDER BY row"
        with self._reading():
            for found in self._connection.execute(statement, (row,)):
                yield self._whole(_stored(found))

    def broken(self) -> list[str]:
        """Return the ids of all documents that are not what was written."""
        with self._reading():
            found = self._connection.execute("SELECT row, id, document, checksum FROM documents")
            return [stored.id for stored in map(_stored, found) if not stored.whole]

    def rows(self) -> NDArray[np.int64]:
        """Return the rows of all documents, rising."""
        return self._integers("SELECT row FROM documents ORDER BY row")

    def dropped(self) -> NDArray[np.int64]:
        """Return the rows, rising, that are gone while a segment has their vectors."""
        return self._integers("SELECT row FROM dropped ORDER BY row")

    def complaints(self) -> list[str]:
        """Return what SQLite finds wrong with the file."""
        try:
            found = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check")]
        except sqlite3.Error as error:
            found = [str(error)]
        return [] if found == ["ok"] else found

    def _select(self, column: str, values: Sequence[object]) -> Iterator[Stored]:
        for start in range(0, len(values), _MOST_VARIABLES):
            some = values[start : start + _MOST_VARIABLES]
            marks = ",".join("?" * len(some))
            found = self._read(f"SELECT row, id, document, checksum FROM documents WHERE {column} IN ({marks})", some)
            yield from map(_stored, found)

    def _whole(self, stored: Stored) -> Stored:
        if not stored.whole:
            raise damaged(str(self.path), f"the document {stored.id!r:.80} is not what was written")
        return stored

    def _integers(self, statement: str) -> NDArray[np.int64]:
        with self._reading():
            return np.fromiter((row for (row,) in self._connection.execute(statement)), dtype=np.int64)

    def _read(self, statement: str, values: Iterable[object] = ()) -> list[Any]:
        with self._reading():
            return self._connection.execute(statement, tuple(values)).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if "unable to open" in str(error) and _has_log(self.path):
                raise IndexFolderError(
                    f"{self.path.parent} holds changes that are not folded in, because a process that made them was "
                    "killed, and it may not be written here. Open it once as a user who may write it."
                ) from error
            if isinstance(error, sqlite3.OperationalError) and str(error) in _NO_ROOM:
                raise _NoRoomError(f"{self.path} cannot be read: {error}.") from error
            raise damaged(str(self.path), str(error)) from error

    @contextmanager
    def _checked(self) -> Iterator[None]:
        """Refuse a file that is no store of this format, and close it."""
        try:
            with self._reading():
                (application,) = self._connection.execute("PRAGMA application_id").fetchone()
                schema = self._connection.execute("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
                if application != _APPLICATION or dict(schema) != _SCHEMA:
                    raise IndexDamagedError(f"{self.path} is not a store of documents made by mbat.")
                yield
        except BaseException:
            self.close()
            raise


class WritableStore(Store):
    """A store, and one change to it, which `commit` makes to stay and `close` before that undoes."""

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make an empty store in a file that does not exist yet; nobody looks at it before it is `finish`\\ ed."""
        store = cls(_connected(path, "mode=rwc"), path)
        with store._writing():
            for statement in (
                "PRAGMA journal_mode = OFF",
                "PRAGMA synchronous = OFF",
                f"PRAGMA application_id = {_APPLICATION}",
                *_SCHEMA.values(),
                "BEGIN",
            ):
                store._connection.execute(statement)
        return store

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a store to change it; the one writer of the folder does."""
        store = cls(_connected(path, "mode=rw"), path)
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
            if not _storable(one):
                raise ParameterError(f"The id {one!r} has half of a surrogate pair; ids are Unicode text.")
        rows = range(first_row, first_row + len(ids))
        values = list(zip(rows, ids, texts, map(_checksum, ids, texts), strict=True))
        try:
            with self._writing():
                for start in range(0, len(values), _ROWS):  # many rows at once: the interpreter is given up once
                    some = values[start : start + _ROWS]
                    marks = ",(?,?,?,?)" * len(some)
                    self._connection.execute(f"INSERT INTO documents VALUES {marks[1:]}", list(chain(*some)))
        except sqlite3.IntegrityError:
            raise ParameterError(f"The id {self._twice(ids)!r} is given to two documents; ids must differ.") from None

    def _twice(self, ids: Sequence[str]) -> str:
        repeated = [one for one, count in Counter(ids).items() if count > 1]
        return repeated[0] if repeated else next(one for one in ids if one in self)

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
        """Make the index of ids anew."""
        with self._writing():
            self._connection.execute("REINDEX")

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

    def shrink(self) -> None:
        """Give the space of dropped documents back."""
        with durable.step("shrinking"), self._writing():
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with super()._reading():
                yield
        except _NoRoomError as error:
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


def database_files(path: Path) -> list[Path]:
    """Return the files that SQLite has beside a database, and the database."""
    return [path, _log(path), path.with_name(f"{path.name}-shm"), path.with_name(f"{path.name}-journal")]


def _stored(found: tuple[Any, ...]) -> Stored:
    row, one, text, checksum = found
    whole = type(one) is str and type(text) is bytes and checksum == _checksum(one, text)
    return Stored(row, one, text, whole)


def _connected(path: Path, how: str) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{how}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_PATIENCE,
        )
        connection.execute("PRAGMA trusted_schema = OFF")
    except sqlite3.Error as error:
        raise IndexFolderError(f"{path} cannot be opened: {error}.") from error
    return connection


def _log(path: Path) -> Path:
    """Return the file with changes that are committed and not folded in."""
    return path.with_name(f"{path.name}-wal")


def _has_log(path: Path) -> bool:
    return _log(path).exists() and _log(path).stat().st_size > 0


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _checksum(one: str, text: bytes) -> int:
    digest = blake2b(one.encode() + b"\0" + text, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _storable(one: str) -> bool:
    try:
        one.encode()
    except UnicodeEncodeError:
        return False
    return True
