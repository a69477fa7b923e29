"""The documents of an index, in SQLite: the truth from which everything else can be made again.

A document is kept as the JSON text it came as. Rows count from 0 in the order of adding; a row's number is
the id of its vector.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, Self

from mbat.errors import IndexDamagedError, IndexFolderError, ParameterError

STORE_FILE: Final = "documents.sqlite"

_SCHEMA: Final = """
CREATE TABLE documents (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document BLOB NOT NULL) STRICT;
"""
_APPLICATION: Final = 0x6D626174  # "mbat"
_MOST_VARIABLES: Final = 500
_INSERT: Final = "INSERT INTO documents VALUES (?, ?, ?)"
_ROWS: Final = 128


class DocumentStore:
    """Documents by id and by row.

    Use `create` or `open`; close it, or use it as a context manager.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._path = connection, path

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make an empty store in a file that does not exist yet."""
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = OFF")  # nobody sees the file before it is whole
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute("PRAGMA user_version = 1")
        connection.executescript(_SCHEMA)
        connection.execute("BEGIN")
        return cls(connection, path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a store to read it.

        Raises
        ------
        IndexDamagedError
            If the file is no store.
        """
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
            (application,) = connection.execute("PRAGMA application_id").fetchone()
        except sqlite3.Error as error:
            raise IndexDamagedError(f"{path} cannot be read: {error}.") from error
        if application != _APPLICATION:
            connection.close()
            raise IndexDamagedError(f"{path} is not a store of documents made by mbat.")
        return cls(connection, path)

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Close the file; what was added and not committed is lost."""
        self._connection.close()

    def commit(self) -> None:
        """Keep what was added."""
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _failure(self._path, error) from error

    def add(self, first_row: int, ids: Sequence[str], documents: Sequence[bytes]) -> None:
        """Add documents as consecutive rows.

        Raises
        ------
        ParameterError
            If an id is there already.
        IndexFolderError
            If the disk is full or cannot be written.
        """
        rows = list(zip(range(first_row, first_row + len(ids)), ids, documents, strict=True))
        try:
            for start in range(0, len(rows), _ROWS):  # one statement for many rows: it gives up the interpreter once
                some = rows[start : start + _ROWS]
                self._connection.execute(_INSERT + ", (?, ?, ?)" * (len(some) - 1), list(chain.from_iterable(some)))
        except sqlite3.IntegrityError:
            raise ParameterError(f"The id {self._twice(ids)!r} is given to two documents; ids must differ.") from None
        except sqlite3.Error as error:
            raise _failure(self._path, error) from error

    def _twice(self, ids: Sequence[str]) -> str:
        repeated = [one for one, count in Counter(ids).items() if count > 1]
        return repeated[0] if repeated else next(one for one in ids if one in self)

    def __len__(self) -> int:
        """Return the number of documents."""
        return int(self._read("SELECT count(*) FROM documents")[0][0])

    def __contains__(self, one: object) -> bool:
        """Tell whether a document has this id."""
        return bool(self._read("SELECT 1 FROM documents WHERE id = ?", (one,))) if isinstance(one, str) else False

    def text(self, one: str) -> bytes | None:
        """Return the JSON text of a document by id, None if there is none."""
        found = self._read("SELECT document FROM documents WHERE id = ?", (one,))
        return found[0][0] if found else None

    def by_rows(self, rows: Sequence[int]) -> dict[int, tuple[str, bytes]]:
        """Return id and JSON text of each row that is there."""
        found: dict[int, tuple[str, bytes]] = {}
        for start in range(0, len(rows), _MOST_VARIABLES):
            some = rows[start : start + _MOST_VARIABLES]
            marks = ",".join("?" * len(some))
            for row, one, text in self._read(f"SELECT row, id, document FROM documents WHERE row IN ({marks})", some):
                found[row] = one, text
        return found

    def texts(self, first_row: int = 0) -> Iterator[bytes]:
        """Yield the JSON texts of all documents from a row on, by row."""
        statement = "SELECT document FROM documents WHERE row >= ? ORDER BY row"
        for (text,) in self._connection.execute(statement, (first_row,)):
            yield text

    def _read(self, statement: str, values: Iterable[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        try:
            return self._connection.execute(statement, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise IndexDamagedError(f"{self._path} cannot be read: {error}.") from error


def _failure(path: Path, error: sqlite3.Error) -> IndexFolderError:
    return IndexFolderError(f"The documents cannot be written to {path.parent}: {error}. Nothing was changed.")
