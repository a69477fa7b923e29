"""What the system refuses: an IndexFolderError where it is about an index, left as it is where the user's code met it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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


def is_foreign(error: OSError) -> bool:
    """Tell whether an error came from `foreign_code`."""
    return hasattr(error, _FOREIGN)
