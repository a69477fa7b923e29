"""The exact index in numpy: needs nothing else, and is the yardstick of all others."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from mbat_indexes.protocol import (
    Ids,
    IndexFileError,
    Scores,
    Vectors,
    checked_ids,
    checked_k,
    checked_rising,
    checked_vectors,
    ranked,
)

_BLOCK: Final = 1 << 14


class ExactIndex:
    """All vectors in one array; a search multiplies it with the queries.

    Parameters
    ----------
    dim : int
        Length of the vectors.
    """

    kind = "exact"

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._count = 0
        self._all_ids = np.zeros(0, dtype=np.int64)
        self._all_vectors = np.zeros((0, dim), dtype=np.float32)

    def __len__(self) -> int:
        """Return the number of vectors."""
        return self._count

    @property
    def _ids(self) -> Ids:
        return self._all_ids[: self._count]

    @property
    def _vectors(self) -> Vectors:
        return self._all_vectors[: self._count]

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors; see `VectorIndex.add`."""
        vectors = checked_vectors(vectors, self.dim)
        ids = checked_ids(ids, len(vectors))
        if np.isin(ids, self._ids).any():
            raise ValueError(f"The id {int(ids[np.isin(ids, self._ids)][0])} is in the index already.")
        total = self._count + len(ids)
        if total > len(self._all_ids):
            self._grow(max(total, 2 * len(self._all_ids)))
        self._all_ids[self._count : total], self._all_vectors[self._count : total] = ids, vectors
        self._count = total

    def _grow(self, size: int) -> None:
        ids, vectors = self._ids, self._vectors
        self._all_ids = np.empty(size, dtype=np.int64)
        self._all_vectors = np.empty((size, self.dim), dtype=np.float32)
        self._all_ids[: self._count], self._all_vectors[: self._count] = ids, vectors

    def search(self, queries: Vectors, k: int) -> tuple[Scores, Ids]:
        """Return the k best for each query; see `VectorIndex.search`."""
        queries, k = checked_vectors(queries, self.dim), checked_k(k)
        scores = np.zeros((len(queries), 0), dtype=np.float32)
        ids = np.zeros((len(queries), 0), dtype=np.int64)
        for start in range(0, len(self), _BLOCK):
            block = slice(start, start + _BLOCK)
            scores = np.concatenate([scores, queries @ self._vectors[block].T], axis=1)
            ids = np.concatenate([ids, np.tile(self._ids[block], (len(queries), 1))], axis=1)
            scores, ids = ranked(scores, ids, min(k, scores.shape[1]))
        return ranked(scores, ids, k)

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        with path.open("wb") as file:
            np.savez(file, ids=self._ids, vectors=self._vectors)

    @classmethod
    def load(cls, path: Path) -> ExactIndex:
        """Read an index from a file.

        Raises
        ------
        IndexFileError
            If the file holds none.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                index = cls(arrays["vectors"].shape[1])
                index.add(arrays["ids"], arrays["vectors"])
        except (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile) as error:
            raise IndexFileError(f"{path} is not an exact index: {error}") from error
        return index


class ExactWriter:
    """Writes the file of an exact index, which it holds until then.

    Parameters
    ----------
    path : Path
        The file.
    dim : int
        Length of the vectors.
    """

    def __init__(self, path: Path, dim: int) -> None:
        self._path, self._index, self._last = path, ExactIndex(dim), -1

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors; see `VectorWriter.add`."""
        ids = checked_rising(ids, len(vectors), self._last)
        self._index.add(ids, vectors)
        self._last = int(ids.max(initial=self._last))

    def finish(self) -> None:
        """Write the file."""
        self._index.save(self._path)

    def close(self) -> None:
        """Do nothing: the file is not held open."""
