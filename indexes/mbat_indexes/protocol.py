"""What every vector index does, and the checks that come before any of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

NO_ID: Final = -1
"""Fills the rows of a result that has fewer than k vectors to offer; its score is -inf."""


class IndexFileError(Exception):
    """A file that holds no index, or not the one it should."""


class MissingFaissError(ImportError):
    """FAISS is not installed."""


class VectorIndex(Protocol):
    """Vectors with integer ids, searched by inner product.

    Attributes
    ----------
    kind : str
        Name of the kind, a key of `mbat_indexes.KINDS`.
    dim : int
        Length of the vectors.
    """

    kind: str
    dim: int

    def __len__(self) -> int:
        """Return the number of vectors."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors.

        Parameters
        ----------
        ids : int64 array of shape (n,)
            Not negative; none twice, here or in the index.
        vectors : float32 array of shape (n, dim)
            Finite.

        Raises
        ------
        ValueError
            If ids or vectors are not as said; nothing is added.
        """

    def search(self, queries: Vectors, k: int) -> tuple[Scores, Ids]:
        """Return the k best vectors for each query, best first, equal scores by rising id.

        Parameters
        ----------
        queries : float32 array of shape (m, dim)
            Finite.
        k : int
            At least 1.

        Returns
        -------
        scores : float32 array of shape (m, k)
            Inner products; -inf past the number of vectors.
        ids : int64 array of shape (m, k)
            The vectors' ids; NO_ID past the number of vectors.
        """

    def save(self, path: Path) -> None:
        """Write the index to a file."""


class VectorWriter(Protocol):
    """The file of a vector index, made from a stream of vectors."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors, as to a `VectorIndex`, but with ids that rise from call to call.

        Raises
        ------
        ValueError
            If ids or vectors are not as they should be; nothing is added.
        """

    def finish(self) -> None:
        """Complete the file; without this it holds no index."""

    def close(self) -> None:
        """Let go of the file."""


def checked_vectors(vectors: Any, dim: int) -> Vectors:
    """Return vectors as contiguous float32 of shape (n, dim).

    Raises
    ------
    ValueError
        If the shape is another, or an entry is not finite.
    """
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != dim:
        raise ValueError(f"The index holds vectors of shape (n, {dim}), and not of shape {array.shape}.")
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise ValueError(f"Row {int(np.argmin(finite))} of the vectors has an entry that is not finite.")
    return array


def checked_ids(ids: Any, count: int) -> Ids:
    """Return ids as contiguous int64 of shape (count,), each at least 0 and different from the others.

    Raises
    ------
    ValueError
        If they are not.
    """
    array = np.ascontiguousarray(ids)
    if array.shape != (count,) or (count and array.dtype.kind not in "iu"):
        raise ValueError(f"{count} vectors need as many integer ids, and not {array.dtype} of shape {array.shape}.")
    array = array.astype(np.int64)
    if count and array.min() < 0:
        raise ValueError(f"Ids start at 0; {int(array.min())} is less.")
    if len(np.unique(array)) != count:
        raise ValueError("An id is given twice.")
    return array


def checked_rising(ids: Any, count: int, last: int) -> Ids:
    """Return ids as `checked_ids` does, if they rise and the first is above the last one before.

    Raises
    ------
    ValueError
        If they are not and do not.
    """
    array = checked_ids(ids, count)
    if count and (np.diff(array, prepend=last) <= 0).any():
        raise ValueError("Ids have to rise when an index is written as a stream.")
    return array


def checked_k(k: int) -> int:
    """Return k if it is a whole number of at least 1, else raise ValueError."""
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise ValueError(f"k is how many to find, a whole number of at least 1; {k!r} is not.")
    return int(k)


def ranked(scores: Scores, ids: Ids, k: int) -> tuple[Scores, Ids]:
    """Return the k best of each row, equal scores by rising id, filled up to k with NO_ID."""
    order = np.lexsort((ids, -scores), axis=1)[:, :k]
    scores, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
    missing = k - scores.shape[1]
    if missing > 0:
        scores = np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
        ids = np.pad(ids, ((0, 0), (0, missing)), constant_values=NO_ID)
    return scores, ids
