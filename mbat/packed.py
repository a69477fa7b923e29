"""Files as streams of bytes, unpacked if their name ends in .gz or .zst."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final

from mbat.errors import SourceError
from mbat.extras import extra_module

PACKINGS: Final = {".gz": "gzip", ".zst": "zstd"}
"""What the last suffix of a packed file is, and what it is called."""


def check_packing(name: str) -> None:
    """Raise MissingExtraError if a file is packed in a way that needs a package which is not installed."""
    if Path(name).suffix == ".zst":
        _zstd()


@contextmanager
def opened(name: str) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file, unpacked, beside the raw file that tells how far it was read.

    Raises
    ------
    SourceError
        If it cannot be opened or read, or is not whole.
    """
    packing = Path(name).suffix
    try:
        with open(name, "rb") as raw:
            yield _unpacked(packing, raw), raw
    except _broken(packing) as error:
        raise SourceError(f"{name} is not a whole {PACKINGS[packing]} file: {error}") from error
    except OSError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror or error}.") from error


def _unpacked(packing: str, raw: BinaryIO) -> BinaryIO:
    if packing == ".gz":
        return gzip.open(raw, "rb")  # type: ignore[return-value]
    unpacked: BinaryIO = _zstd().open(raw, "rb") if packing == ".zst" else raw
    return unpacked


def _broken(packing: str) -> tuple[type[Exception], ...]:
    """Return what is raised for a file that is not of its packing."""
    if packing == ".gz":
        return EOFError, zlib.error, gzip.BadGzipFile
    return (EOFError, _zstd().ZstdError) if packing == ".zst" else ()


def _zstd() -> Any:
    """Return the module of Python 3.14, or the same for older ones."""
    try:
        return import_module("compression.zstd")
    except ModuleNotFoundError:
        return extra_module("backports.zstd", "zstd", "Reading a .zst file")
