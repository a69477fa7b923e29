"""The file of the documents: its tables, how it is opened, and what SQLite has beside it."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from pathlib import Path
from typing import Final

from mbat.errors import IndexFolderError

SCHEMA: Final = {
    "documents": "CREATE TABLE documents (row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
    "document BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT",
    "dropped": "CREATE TABLE dropped (row INTEGER PRIMARY KEY) STRICT",
    "content": "CREATE TABLE content (version INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
    "encoder": "CREATE TABLE encoder (parameters TEXT NOT NULL, statistics BLOB NOT NULL) STRICT",
}
APPLICATION: Final = 0x6D626174  # "mbat"
_PATIENCE: Final = 30.0  # seconds to wait for another process that opens or closes the file

NO_ROOM: Final = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)
PASSING: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
"""What a reader that may not write meets at the instant when the last writer folds the log in and removes it."""

SURROUNDINGS: Final = (
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_AUTH),
)
"""What is no fault of the file."""


def database_files(path: Path) -> list[Path]:
    """Return the files that SQLite has beside a database, and the database."""
    return [path, _log(path), path.with_name(f"{path.name}-shm"), path.with_name(f"{path.name}-journal")]


def connected(path: Path, how: str) -> sqlite3.Connection:
    """Open the file."""
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{how}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_PATIENCE,
        )
        connection.text_factory = _text
        connection.execute("PRAGMA trusted_schema = OFF")
    except sqlite3.Error as error:
        raise IndexFolderError(f"{path} cannot be opened: {error}.") from error
    return connection


def code_of(error: sqlite3.Error) -> int:
    """Return what SQLite calls an error, without the details; `SQLITE_ERROR` if it is of the module alone."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _log(path: Path) -> Path:
    """Return the file with changes that are committed and not folded in."""
    return path.with_name(f"{path.name}-wal")


def has_log(path: Path) -> bool:
    """Tell whether there are changes that are not folded in."""
    return _log(path).exists() and _log(path).stat().st_size > 0


def stamp(path: Path) -> tuple[int, int, int]:
    """Return what is another after any change of the file."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def checksum(one: str, text: bytes) -> int:
    """Return the checksum of a document and its id."""
    digest = blake2b(one.encode() + b"\0" + text, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _text(stored: bytes) -> str:
    """Return text as it is stored; what is no UTF-8, as in a damaged id, stays apart from all text that is."""
    return stored.decode("utf-8", "surrogateescape")


def stored_text(one: str) -> bytes | None:
    """Return how `_text` was stored; None if nothing can be stored so."""
    try:
        return one.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None


def storable(one: str) -> bool:
    """Tell whether an id is Unicode text."""
    try:
        one.encode()
    except UnicodeEncodeError:
        return False
    return True
