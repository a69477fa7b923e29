"""The files that ``mbat encode`` writes: NumPy's, and Parquet."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Protocol

import click
import numpy as np
from numpy.typing import NDArray

from mbat.extras import extra_module

_NUMPY: Final = ".npy"
_PARQUET: Final = ".parquet"


class VectorFile(Protocol):
    """A file that vectors are written to, in order, once it is opened."""

    def add(self, rows: NDArray[np.float32], ids: Sequence[str | None]) -> None:
        """Write some vectors, and their ids if the file is to have any."""


def check_output(path: Path, id_field: str | None) -> None:
    """Refuse an output that cannot be written, before any work is done."""
    if path.suffix not in (_NUMPY, _PARQUET):
        raise click.UsageError(f"The output {path} should end in .npy or .parquet.")
    if path.suffix == _PARQUET:
        extra_module("pyarrow.parquet", "parquet", "Writing a Parquet file")
    elif id_field is not None:
        raise click.UsageError("A .npy file has no place for ids. Leave out --id-field, or write to a .parquet file.")


@contextmanager
def vector_file(path: Path, dim: int, with_ids: bool) -> Iterator[VectorFile]:
    """Open a file for vectors; it is moved to its place when it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with _opened(path.suffix, partial, dim, with_ids) as file:
            yield file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _opened(suffix: str, partial: Path, dim: int, with_ids: bool) -> Iterator[VectorFile]:
    if suffix == _NUMPY:
        with _NumpyFile(partial, dim) as file:
            yield file
    else:
        from mbat.parquet import ParquetVectors

        with ParquetVectors(partial, dim, with_ids) as vectors:
            yield vectors


class _NumpyFile:
    """Writes rows, and then the header that tells how many there are."""

    def __init__(self, path: Path, dim: int) -> None:
        self._file: BinaryIO = path.open("wb")
        self._dim, self._rows = dim, 0
        self._write_header()

    def __enter__(self) -> _NumpyFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._file:
            if error is None:
                self._file.seek(0)
                self._write_header()

    def add(self, rows: NDArray[np.float32], ids: Sequence[str | None]) -> None:
        rows.tofile(self._file)
        self._rows += len(rows)

    def _write_header(self) -> None:
        """Write a header of version 1.0, which NumPy pads so that the number of rows does not change its length."""
        header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": (self._rows, self._dim)}
        np.lib.format.write_array_header_1_0(self._file, header)
