"""Flat FAISS indexes: every vector is compared, stored as float32 or float16."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

import numpy as np

from mbat_indexes.candidates import CandidateIndex
from mbat_indexes.faiss_library import check_size, check_type, empty_file, load_faiss, make_index, read_file
from mbat_indexes.protocol import Ids, IndexFileError, Scores, Vectors
from mbat_indexes.stored import Mask, Positions, rounding
from mbat_indexes.writing import as_half

_FACTORIES: Final = {"flat": "Flat", "flat-fp16": "SQfp16"}

_STORED: Final = {"flat": ("<f4", 4), "flat-fp16": ("<f2", 1)}
"""How each kind stores a number, and the unit in bytes in which its file counts what is stored."""

_ID_BYTES: Final = 8
_SIZE: Final = struct.Struct("<Q")

HEADER_BYTES: Final = 37
"""What starts the file of any index: its type, dimension, count, two unused counts, trained or not, metric."""

COUNT_AT: Final = 8
"""Where in this the count is."""


def codes_of(index: Any) -> Any:
    """Return what a FAISS index stores, as bytes of shape (n, bytes of a vector), where they lie."""
    stored = load_faiss().rev_swig_ptr(index.codes.data(), index.ntotal * index.code_size)
    return stored.reshape(index.ntotal, index.code_size)


class FlatFinder:
    """A flat FAISS index.

    Parameters
    ----------
    outer, index
        The index of a file, and the one within it that holds the vectors.
    kind : {"flat", "flat-fp16"}
        How vectors are stored.
    """

    exact, selects, candidates, effort = True, False, 1, 1.0

    def __init__(self, outer: Any, index: Any, kind: str) -> None:
        self._outer, self.index = outer, index  # the outer one owns the memory
        self.rounding = rounding(index.d)
        self._vectors = codes_of(index).view(_STORED[kind][0]) if index.ntotal else np.zeros((0, index.d), np.float32)

    def rows(self, positions: Positions | slice) -> Vectors:
        """Return stored vectors as float32."""
        return self._vectors[positions].astype(np.float32, copy=False)

    def nearest(self, queries: Vectors, count: int, effort: float, live: Mask | None) -> tuple[Scores, Positions]:
        """Return the best of all vectors."""
        found: tuple[Scores, Positions] = self.index.search(queries, count)
        return found


def load_flat(path: Path, kind: str) -> CandidateIndex:
    """Return the flat index of a file, memory-mapped: the file must stay as it is while the index is in use.

    Raises
    ------
    IndexFileError
        If the file holds none of this kind.
    """
    outer, index, ids = read_file(path, kind)
    check_type(path, kind, index, make_index(index.d, _FACTORIES[kind]))
    check_size(path, index.d, _FACTORIES[kind], len(ids) * (index.code_size + _ID_BYTES))
    if index.codes.size() != len(ids) * index.code_size:
        raise IndexFileError(f"{path} has {index.codes.size():,} bytes of vectors for {len(ids):,} vectors.")
    return CandidateIndex(kind, ids, index.d, FlatFinder(outer, index, kind))


class FlatSink:
    """Writes the file of a flat index as vectors come, without holding them: byte for byte what FAISS writes.

    Parameters
    ----------
    path : Path
        The file.
    dim : int
        Length of the vectors.
    kind : {"flat", "flat-fp16"}
        How vectors are stored.
    """

    def __init__(self, path: Path, dim: int, kind: str) -> None:
        self._dim, self._type, self._unit = dim, *_STORED[kind]
        self._header = bytearray(empty_file(dim, _FACTORIES[kind])[: -2 * _SIZE.size])
        self._file = path.open("wb")
        self._file.write(bytes(len(self._header) + _SIZE.size))

    def write(self, vectors: Vectors) -> None:
        """Write vectors."""
        self._file.write((as_half(vectors) if self._type == "<f2" else vectors).data)

    def finish(self, ids: Ids) -> None:
        """Write what comes after the vectors, and the counts that stand before them."""
        self._file.write(_SIZE.pack(len(ids)) + ids.tobytes())
        for header in (0, HEADER_BYTES):
            _SIZE.pack_into(self._header, header + COUNT_AT, len(ids))
        stored = len(ids) * self._dim * np.dtype(self._type).itemsize
        self._file.seek(0)
        self._file.write(bytes(self._header) + _SIZE.pack(stored // self._unit))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
