"""What the system refuses: told as an IndexFolderError where it is about an index, and left as it is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from mbat.errors import IndexFolderError

T = TypeVar("T")

NOTHING_CHANGED: Final = " Nothing was changed."

_FOREIGN: Final = "raised_outside_mbat"


@contextmanager
def as_folder_error(failure: str, outcome: str = "") -> Iterator[None]:
    """Say an OSError as an IndexFolderError: what failed, why, and what came of it."""
    try:
        yield
    except OSError as error:
        if is_foreign(error):
            raise
        raise IndexFolderError(f"{failure}: {error.strerror or error}.{outcome}") from error


def check_name(path: Path) -> None:
    """Raise IndexFolderError if no folder can have a name."""
    if "\0" in str(path):
        raise IndexFolderError(f"{str(path)!r} cannot be a folder: its name holds a zero byte.")


@contextmanager
def foreign_code() -> Iterator[None]:
    """Run code that is not of mbat: what the system refuses to it is no fault of an index."""
    try:
        yield
    except OSError as error:
        setattr(error, _FOREIGN, True)
        raise


def foreign(values: Iterable[T]) -> Iterator[T]:
    """Yield values that code makes which is not of mbat."""
    with foreign_code():
        yield from values


def is_foreign(error: Exception) -> bool:
    """Tell whether an error came from `foreign_code`."""
    return hasattr(error, _FOREIGN)
