"""What every vector index does, and the checks that come before any of them."""

from __future__ import annotations

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
    """Vectors with integer ids that rise, searched by inner product; what is in it does not change.

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

    def ids(self) -> Ids:
        """Return the ids of the vectors, rising."""

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        effort: float | None = None,
        allowed: Ids | None = None,
        excluded: Ids | None = None,
    ) -> tuple[Scores, Ids]:
        """Return the k best vectors for each query, best first, equal scores by rising id.

        If k vectors may be found, k are found, whatever the kind, the effort and the ids allowed and excluded.

        Parameters
        ----------
        queries : float32 array of shape (m, dim)
            Finite.
        k : int
            At least 1.
        effort : float, optional
            The share of the vectors to look at, above 0 and up to 1, where all are compared as they are stored. The
            default is that of the kind. Kinds that look at all vectors in any case take it; ``sq8``, which looks at
            their codes, is changed by 1 alone, and the others are not.
        allowed : int64 array, optional
            Sorted; only these are found. Ids that the index lacks are passed over, here and in `excluded`.
        excluded : int64 array, optional
            Sorted; none of these is found.

        Returns
        -------
        scores : float32 array of shape (m, k)
            Inner products of the queries with the vectors as they are stored, which is rounded to float16 in some
            kinds; -inf past the number of vectors. A score depends on the query and the stored vector alone.
        ids : int64 array of shape (m, k)
            The vectors' ids; NO_ID past the number of vectors.
        """


def checked_vectors(vectors: Any, dim: int) -> Vectors:
    """Return vectors as contiguous float32 of shape (n, dim).

    Raises
    ------
    ValueError
        If the shape is another, or an entry is not finite, or so large that products with it may not be.
    """
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != dim:
        raise ValueError(f"The index holds vectors of shape (n, {dim}), and not of shape {array.shape}.")
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(np.einsum("nd,nd->n", array, array))
    if not finite.all():
        row = int(np.argmin(finite))
        what = "is too long for float32" if np.isfinite(array[row]).all() else "has an entry that is not finite"
        raise ValueError(f"Row {row} of the vectors {what}.")
    return array


def checked_rising(ids: Any, count: int, last: int) -> Ids:
    """Return ids as contiguous int64 of shape (count,), if they rise and the first is above the last one before.

    Raises
    ------
    ValueError
        If they are not and do not.
    """
    array = np.ascontiguousarray(ids)
    if array.shape != (count,) or (count and array.dtype.kind not in "iu"):
        raise ValueError(f"{count} vectors need as many integer ids, and not {array.dtype} of shape {array.shape}.")
    array = array.astype(np.int64)
    if count and array.min() < 0:
        raise ValueError(f"Ids start at 0; {int(array.min())} is less.")
    if count and (np.diff(array, prepend=last) <= 0).any():
        raise ValueError("Ids have to rise when an index is written as a stream.")
    return array


def checked_sorted(ids: Any, name: str) -> Ids:
    """Return ids to allow or to exclude as int64, if they are integers in rising order.

    Raises
    ------
    ValueError
        If they are not.
    """
    array = np.asarray(ids)
    if array.ndim != 1 or (len(array) and array.dtype.kind not in "iu"):
        raise ValueError(f"{name} has to be one row of integer ids, and not {array.dtype} of shape {array.shape}.")
    array = array.astype(np.int64, copy=False)
    if (array[1:] < array[:-1]).any():
        raise ValueError(f"The ids in {name} have to be sorted.")
    return array


def checked_k(k: int) -> int:
    """Return k if it is a whole number of at least 1, else raise ValueError."""
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise ValueError(f"k is how many to find, a whole number of at least 1; {k!r} is not.")
    return int(k)


def checked_effort(effort: float) -> float:
    """Return effort if it is a number above 0 and up to 1, else raise ValueError."""
    if not isinstance(effort, int | float | np.number) or isinstance(effort, bool) or not 0 < effort <= 1:
        raise ValueError(f"effort is the share of the index to look at, above 0 and up to 1; {effort!r} is not.")
    return float(effort)
