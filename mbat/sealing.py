"""JSON that tells by a checksum whether it is what was written, and its fields checked before they are used."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from mbat.errors import IndexDamagedError

T = TypeVar("T")

MOST_TEXT: Final = 1 << 24
"""Bytes of sealed JSON that are read at most."""


@dataclass(frozen=True)
class FileRecord:
    """Size and SHA-256 of a file of the folder."""

    bytes: int
    sha256: str


def file_record(path: Path) -> FileRecord:
    """Return size and checksum of a file."""
    with path.open("rb") as file:
        return FileRecord(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def sealed(fields: Mapping[str, Any]) -> str:
    """Return fields as JSON with a checksum of their own."""
    return json.dumps({**fields, "checksum": _checksum(fields)}, indent=2) + "\n"


def unsealed(text: str, place: str) -> dict[str, Any]:
    """Read sealed JSON; return its fields and ``checksum``, which `check_seal` compares.

    Raises
    ------
    IndexDamagedError
        If it is no JSON object.
    """
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(place, str(error)) from error
    if not isinstance(fields, dict):
        raise damaged(place, "it is no JSON object")
    return fields


def check_seal(fields: dict[str, Any], place: str) -> None:
    """Take the checksum off the fields; raise IndexDamagedError if it is not theirs."""
    if fields.pop("checksum", None) != _checksum(fields):
        raise damaged(place, "its checksum is wrong")


def damaged(place: str, why: str) -> IndexDamagedError:
    """Return the error that says that something is damaged, why, and what to do."""
    told = " ".join(why.split())[:200]
    return IndexDamagedError(f"{place} is damaged: {told}. Run mbat verify, and mbat verify --repair to mend it.")


class Fields:
    """Fields of sealed JSON, taken out one by one and checked.

    Parameters
    ----------
    fields : JSON value
    place : str
        What they are of, for messages.
    """

    def __init__(self, fields: Any, place: str) -> None:
        self._fields, self._place = fields, place

    def take(self, name: str, kind: type[T]) -> T:
        """Return a field of a type; numbers are at least 0."""
        value = self._fields.get(name) if isinstance(self._fields, dict) else None
        if type(value) is not kind or (isinstance(value, int | float) and not 0 <= value < 1 << 62):
            raise damaged(self._place, f"its {name} is {value!r:.40}")
        return value

    def optional(self, name: str, kind: type[T]) -> T | None:
        """Return a field of a type, or None if it is null."""
        if isinstance(self._fields, dict) and self._fields.get(name, "") is None:
            return None
        return self.take(name, kind)

    def name(self, name: str, pattern: str) -> str:
        """Return a field that is text of a pattern: a name of a file may lead nowhere else."""
        value = self.take(name, str)
        if not re.fullmatch(pattern, value):
            raise damaged(self._place, f"its {name} is {value!r:.80}")
        return value


def _checksum(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
