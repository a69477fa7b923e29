"""The exact index in numpy: needs nothing else, and is the yardstick of all others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mbat_indexes.protocol import Ids, IndexFileError, Vectors, checked_rising, checked_vectors
from mbat_indexes.stored import StoredIndex


def exact_index(ids: Ids, vectors: Vectors) -> StoredIndex:
    """Return an index that compares a query with every vector, in memory.

    Parameters
    ----------
    ids : int64 array of shape (n,)
        Not negative, rising.
    vectors : float32 array of shape (n, dim)
        Finite.

    Raises
    ------
    ValueError
        If they are not as said.

    Examples
    --------
    >>> import numpy as np
    >>> index = exact_index(np.array([7, 9]), np.array([[1, 0], [0, 1]], dtype=np.float32))
    >>> index.search(np.array([[0.6, 0.8]], dtype=np.float32), k=1)[1].tolist()
    [[9]]
    """
    vectors = checked_vectors(vectors, np.shape(vectors)[-1])
    return StoredIndex("exact", checked_rising(ids, len(vectors), -1), vectors.shape[1], vectors.__getitem__)


def load_exact(path: Path) -> StoredIndex:
    """Read an index from a file.

    Raises
    ------
    IndexFileError
        If the file holds none.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return exact_index(arrays["ids"], arrays["vectors"])
    except Exception as error:  # a damaged zip file raises anything
        raise IndexFileError(f"{path} is not an exact index, or damaged: {error}") from error


class ExactSink:
    """Writes the file of an exact index, which it holds in memory until then.

    Parameters
    ----------
    path : Path
        The file.
    dim : int
        Length of the vectors.
    """

    def __init__(self, path: Path, dim: int) -> None:
        self._path = path
        self._vectors: list[Vectors] = [np.zeros((0, dim), dtype=np.float32)]

    def write(self, vectors: Vectors) -> None:
        """Keep vectors."""
        self._vectors.append(vectors.copy())

    def finish(self, ids: Ids) -> None:
        """Write the file."""
        with self._path.open("wb") as file:
            np.savez(file, ids=ids, vectors=np.concatenate(self._vectors))

    def close(self) -> None:
        """Do nothing: the file is not held open."""
