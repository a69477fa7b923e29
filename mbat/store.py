"""The documents of an index, in SQLite: the truth from which everything else can be made again.

A document is kept as the JSON text it came as, with a checksum that is compared whenever it is read. A row's number is
the id of its vector; numbers rise and are never used again. What is committed here, and nothing else, is in the index:
besides the documents also the `Content`, as text, and the encoder.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mbat.database import (
    APPLICATION,
    NO_ROOM,
    PASSING,
    SCHEMA,
    SURROUNDINGS,
    checksum,
    code_of,
    connected,
    has_log,
    stamp,
    storable,
    stored_text,
)
from mbat.errors import IndexDamagedError, IndexFolderError
from mbat.sealing import damaged

_MOST_VARIABLES: Final = 500


class NoRoomError(IndexFolderError):
    """The disk has no room for what SQLite needs to read, or cannot be read."""


class PassingError(IndexFolderError):
    """The file cannot be read in this state; where another process has just left it so, opening it anew helps."""


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
        self._frozen = stamp(path) if frozen else None

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
            with suppress(NoRoomError):
                return cls._opened(path, "mode=rw")
        frozen = not has_log(path)
        return cls._opened(path, f"mode=ro{'&immutable=1' if frozen else ''}", frozen)

    @classmethod
    def of_now(cls, path: Path) -> Self:
        """Open a store to read it as it is at this moment, whatever comes after."""
        store = cls.open(path)
        try:
            store.begin()
            store.any_version()  # the moment is that of the first look
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def _opened(cls, path: Path, how: str, frozen: bool = False) -> Self:
        try:
            store = cls(connected(path, how), path, frozen)
        except IndexFolderError:
            path.stat()  # FileNotFoundError if it has gone in this moment
            raise
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
        if self._connection.in_transaction:
            self.end()  # an interrupt kept it from its end
        with self._reading():
            self._connection.execute("BEGIN")

    def end(self) -> None:
        """End what `begin` began."""
        self._connection.rollback()

    def overtaken(self) -> bool:
        """Tell whether the file has changed though it was opened as one that does not: what was read may be wrong."""
        return self._frozen is not None and (has_log(self.path) or stamp(self.path) != self._frozen)

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
        used = "SELECT seq FROM sqlite_sequence WHERE name = 'documents' UNION SELECT max(row) FROM documents"
        return max(row or 0 for (row,) in self._read(used))

    def __contains__(self, one: object) -> bool:
        """Tell whether a document has this id."""
        return isinstance(one, str) and one in self.found([one])

    def found(self, ids: Sequence[str], damaged_too: bool = False) -> dict[str, Stored]:
        """Return the documents with some ids, by id."""
        texts = [text for one in ids if (text := stored_text(one)) is not None]
        found = self._select("id", "CAST(? AS TEXT)", texts)
        return {stored.id: stored if damaged_too else self._whole(stored) for stored in found}

    def by_rows(self, rows: Sequence[int]) -> dict[int, Stored]:
        """Return the documents in some rows, by row."""
        return {stored.row: self._whole(stored) for stored in self._select("row", "?", rows)}

    def after(self, row: int = 0) -> Iterator[Stored]:
        """Yield all documents in higher rows, by row."""
        statement = "SELECT row, id, document, checksum FROM documents WHERE row > ? ORDER BY row"
        with self._reading():
            for found in self._connection.execute(statement, (row,)):
                yield self._whole(_stored(found))

    def broken(self) -> list[Stored]:
        """Return all documents that are not what was written."""
        with self._reading():
            found = self._connection.execute("SELECT row, id, document, checksum FROM documents")
            return [stored for stored in map(_stored, found) if not stored.whole]

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
            told = self._told(error)
            if not isinstance(told, IndexDamagedError):
                raise told from error
            found = [str(error)]
        return [] if found == ["ok"] else found

    def _select(self, column: str, mark: str, values: Sequence[object]) -> Iterator[Stored]:
        for start in range(0, len(values), _MOST_VARIABLES):
            some = values[start : start + _MOST_VARIABLES]
            marks = ",".join([mark] * len(some))
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
            raise self._told(error) from error

    def _told(self, error: sqlite3.Error) -> IndexFolderError:
        """Return what is to be said of an error of SQLite."""
        code, sentence = code_of(error), f"{self.path} cannot be read: {error}."
        if code == sqlite3.SQLITE_CANTOPEN and has_log(self.path):
            return PassingError(
                f"{self.path.parent} holds changes that are not folded in, because a process that made them was "
                "killed, and it may not be written here. Open it once as a user who may write it."
            )
        if code in PASSING:
            return PassingError(sentence)
        if code in NO_ROOM:
            return NoRoomError(sentence)
        if code in SURROUNDINGS:
            return IndexFolderError(f"{sentence} Another program may hold it; try again.")
        return damaged(str(self.path), str(error))

    @contextmanager
    def _checked(self) -> Iterator[None]:
        """Refuse a file that is no store of this format, and close it."""
        try:
            with self._reading():
                (application,) = self._connection.execute("PRAGMA application_id").fetchone()
                schema = self._connection.execute("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
                if application != APPLICATION or dict(schema) != SCHEMA:
                    raise IndexDamagedError(f"{self.path} is not a store of documents made by mbat.")
                yield
        except BaseException:
            self.close()
            raise


def _stored(found: tuple[Any, ...]) -> Stored:
    row, one, text, written = found
    whole = type(one) is str and type(text) is bytes and storable(one) and written == checksum(one, text)
    return Stored(row, one, text, whole)
