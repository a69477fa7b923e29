"""Vectors in a file of their own, in NumPy's format: written as they come, and mapped to be read in any order."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from mbat_indexes.protocol import IndexFileError, Vectors
from mbat_indexes.stored import Positions
from mbat_indexes.writing import as_half


def copy_file(path: Path) -> Path:
    """Return the file for the vectors of an index that has only codes in its own."""
    return path.with_name(path.name + ".raw")


class Spool:
    """Writes vectors to a file.

    Parameters
    ----------
    path : Path
        The file.
    dim : int
        Length of the vectors.
    half : bool
        Whether they are rounded to float16.
    """

    def __init__(self, path: Path, dim: int, half: bool) -> None:
        self.path, self.dim, self.count = path, dim, 0
        self._type = _type(half)
        self._file = path.open("wb")
        self._file.write(_header(0, dim, self._type))

    def write(self, vectors: Vectors) -> None:
        """Append vectors."""
        self._file.write((as_half(vectors) if self._type.itemsize == 2 else vectors).data)
        self.count += len(vectors)

    def finish(self) -> StoredRows:
        """Complete the file, and return what it holds."""
        self._file.seek(0)
        self._file.write(_header(self.count, self.dim, self._type))
        self.close()
        return StoredRows(self.path, self.dim, self.count, self._type.itemsize == 2)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class StoredRows:
    """The vectors of a file, memory-mapped.

    Parameters
    ----------
    path : Path
        The file.
    dim, count : int
        Length and number of vectors that it should hold.
    half : bool
        Whether as float16.

    Raises
    ------
    IndexFileError
        If it holds anything else.
    """

    def __init__(self, path: Path, dim: int, count: int, half: bool) -> None:
        self.dim, self.count = dim, count
        kind = _type(half)
        header = _header(count, dim, kind)
        size = len(header) + count * dim * kind.itemsize
        try:
            with path.open("rb") as file:
                right = file.read(len(header)) == header and path.stat().st_size == size
        except OSError as error:
            raise IndexFileError(f"{path} cannot be read: {error.strerror}") from error
        if not right:
            raise IndexFileError(f"{path} does not hold {count:,} vectors of length {dim} in {size:,} bytes.")
        shape = (count, dim)
        self._array = np.memmap(path, kind, "r", len(header), shape) if count else np.zeros(shape, dtype=kind)

    def __call__(self, positions: Positions | slice) -> Vectors:
        """Return vectors as float32."""
        return np.asarray(self._array[positions]).astype(np.float32, copy=False)

    def as_stored(self, positions: Positions) -> bytes:
        """Return the bytes of vectors, as they lie in the file."""
        return self._array[positions].tobytes()


def _type(half: bool) -> np.dtype[np.floating]:
    return np.dtype("<f2" if half else "<f4")


def _header(count: int, dim: int, kind: np.dtype[np.floating]) -> bytes:
    """Return what NumPy writes before the numbers; it is as long for any count."""
    header = BytesIO()
    told = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": (count, dim)}
    npy.write_array_header_1_0(header, told)
    return header.getvalue()
