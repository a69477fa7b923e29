"""A folder that is built beside its place and put there when it is whole."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PARTIAL: Final = "partial"
_OLD: Final = "old"


@contextmanager
def workshop(place: Path) -> Iterator[Path]:
    """Yield a new, empty folder beside a place; what is left of it in the end is removed.

    Leftovers beside the same place of processes that were killed are removed too, and an index that one of them
    had just moved away is moved back.

    Raises
    ------
    OSError
        If the folder cannot be made.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(place)
    folder, lock = _locked_folder(place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def put_in_place(folder: Path, place: Path) -> None:
    """Move a whole folder to its place; what is there goes only then, and stays if the move fails."""
    if place.exists():
        old = _beside(place, _OLD)
        os.replace(place, old)
        try:
            os.replace(folder, place)
        except BaseException:
            os.replace(old, place)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(folder, place)
    sync(place.parent)


def sync(path: Path) -> None:
    """Make sure that a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(place: Path, suffix: str) -> Path:
    return place.with_name(f".{place.name}.{secrets.token_hex(4)}.{suffix}")


def _locked_folder(place: Path) -> tuple[Path, int]:
    """Make a folder beside a place; return it with a descriptor that holds its lock as long as it is open."""
    while True:
        folder = _beside(place, _PARTIAL)
        folder.mkdir()
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            taken = _take(descriptor)
        except OSError:  # a file system without locks: nobody can take the folder for a leftover either
            taken = True
        if taken and folder.exists():
            return folder, descriptor
        os.close(descriptor)  # another process took it for a leftover before it was locked


def _take(descriptor: int) -> bool:
    """Lock an open folder; return whether no other process has it locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clear_leftovers(place: Path) -> None:
    for suffix in (_OLD, _PARTIAL):
        for leftover in _leftovers(place, suffix):
            with suppress(OSError):  # it is another user's, or another process has just removed it
                _clear(leftover, place)


def _clear(leftover: Path, place: Path) -> None:
    """Remove a leftover that no process works on, or move it back if it is what was in the place."""
    descriptor = os.open(leftover, os.O_RDONLY)
    try:
        if not _take(descriptor):
            return
        if leftover.suffix == f".{_OLD}" and not place.exists():
            os.replace(leftover, place)
        else:
            shutil.rmtree(leftover, ignore_errors=True)
    finally:
        os.close(descriptor)


def _leftovers(place: Path, suffix: str) -> list[Path]:
    start, end = f".{place.name}.", f".{suffix}"
    tokens = len(secrets.token_hex(4))
    return [
        path
        for path in place.parent.iterdir()
        if path.name.startswith(start)
        and path.name.endswith(end)
        and len(path.name) == len(start) + tokens + len(end)
        and path.is_dir()
    ]
