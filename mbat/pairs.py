"""All pairs of rows whose inner product is at least a threshold: exact, and quicker than every product.

The principle is:

1. Rows are written in an orthonormal basis whose first vectors carry most of them, as the principal axes do. With
   h the first numbers of a row and t the norm of all others, ``u @ v <= h(u) @ h(v) + t(u) t(v)`` by Cauchy and
   Schwarz: one product of short rows, with t as a last number.
2. The inner product itself is computed only where that bound, with what rounding may take from it, reaches the
   threshold. How many first numbers to take is chosen by trying a sample of pairs; all of them, if that is cheapest.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from mbat.pipeline import WORKERS, ahead
from mbat.progress import Progress, silent

_BLOCK: Final = 2048
_FEW: Final = 4096
"""So few rows are compared as they are."""

_LENGTHS: Final = (64, 96, 128, 192, 256, 384)
_SAMPLE: Final = 512
_PRODUCT: Final = 80_000
"""What one inner product of two rows far apart in memory costs, in steps of a product of blocks."""

_GATHERED: Final = 1024  # pairs whose rows fit in the processor's cache
_EPSILON: Final = 2.0**-23


class Pairs(NamedTuple):
    """Some pairs of rows.

    Attributes
    ----------
    first, second : int64 arrays of shape (pairs,)
        The rows; the first is the lower one.
    scores : float64 array of shape (pairs,)
        Their inner products.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    scores: NDArray[np.float64]

    def chosen(self, which: NDArray[Any] | slice) -> Pairs:
        """Return some of them, by a mask, their numbers or where they are."""
        return Pairs(self.first[which], self.second[which], self.scores[which])

    def rows(self) -> NDArray[np.int64]:
        """Return the rows that are in pairs, rising."""
        return np.unique(np.concatenate([self.first, self.second]))


def similar_pairs(vectors: NDArray[np.float32], threshold: float, progress: Progress = silent) -> Iterator[Pairs]:
    """Yield all pairs of rows whose inner product is at least a threshold.

    Parameters
    ----------
    vectors : float32 array of shape (n, dim)
        Of norm 1 or less, but for rounding. It may lie in a file.
    threshold : float
    progress : callable
        Told how many rows have been compared with all, about.

    Yields
    ------
    Pairs
        Some at a time, each pair once. The inner products are those of the rows in float64, to 1e-12.

    Examples
    --------
    >>> rows = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    >>> [(pairs.first.tolist(), pairs.second.tolist()) for pairs in similar_pairs(rows, 0.7)]
    [([1], [2])]
    """
    with ThreadpoolController().limit(limits=1, user_api="blas"):  # threads of its own would wait for each other
        heads = _heads(vectors, threshold)
        starts = range(0, len(vectors), _BLOCK)
        blocks = [(start, other) for start in starts for other in starts[start // _BLOCK :]]
        compare = partial(_compared, vectors, heads, threshold)
        for done, pairs in enumerate(ahead(compare, blocks, WORKERS), start=1):
            progress("compare", len(vectors) * done // len(blocks), len(vectors))
            if len(pairs.first):
                yield pairs


def _compared(
    vectors: NDArray[np.float32], heads: NDArray[np.float32], threshold: float, block: tuple[int, int]
) -> Pairs:
    """Return the pairs of one block of rows with another."""
    start, other = block
    bounds = heads[start : start + _BLOCK] @ heads[other : other + _BLOCK].T
    floor = threshold - (heads.shape[1] + 8) * _EPSILON
    at = np.flatnonzero(bounds.reshape(-1) >= floor)
    first, second = start + at // bounds.shape[1], other + at % bounds.shape[1]
    rising = first < second
    first, second = first[rising], second[rising]
    scores = np.empty(len(first))
    for some in (slice(at, at + _GATHERED) for at in range(0, len(first), _GATHERED)):
        scores[some] = np.einsum("ij,ij->i", vectors[first[some]], vectors[second[some]], dtype=np.float64)
    reached = scores >= threshold
    return Pairs(first, second, scores).chosen(reached)


def _heads(vectors: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Return rows whose inner products are no less than those of the vectors: as short as is worth while."""
    count, dim = vectors.shape
    if count <= _FEW or dim <= _LENGTHS[0]:
        return vectors
    basis = _basis(_spread(vectors, _FEW))
    few, many = _spread(vectors, _SAMPLE), _spread(vectors, _FEW)
    costs = {dim: dim + _PRODUCT * float(np.mean(few @ many.T >= threshold))}
    for length in _LENGTHS:
        if length <= basis.shape[1] and length < dim:
            bounds = _shortened(few, basis[:, :length]) @ _shortened(many, basis[:, :length]).T
            costs[length] = length + _PRODUCT * float(np.mean(bounds >= threshold))
    best = min(costs, key=lambda length: costs[length])
    if best == dim:
        return vectors
    heads = np.empty((count, best + 1), dtype=np.float32)
    for start in range(0, count, _BLOCK):
        heads[start : start + _BLOCK] = _shortened(vectors[start : start + _BLOCK], basis[:, :best])
    return heads


def _shortened(rows: NDArray[np.float32], basis: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the numbers of rows in some vectors of an orthonormal basis, and the norm of all the others."""
    whole = rows.astype(np.float64)
    heads = whole @ basis
    rest = np.einsum("ij,ij->i", whole, whole) - np.einsum("ij,ij->i", heads, heads)
    return np.column_stack([heads, np.sqrt(np.maximum(rest, 0.0))]).astype(np.float32)


def _basis(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return orthonormal vectors near the principal axes of some rows, the greatest first, as columns."""
    length = min(_LENGTHS[-1], rows.shape[1])
    basis = np.random.default_rng(0).standard_normal((rows.shape[1], length))
    for _ in range(3):  # subspace iteration; any orthonormal basis is right, a good one is quick
        basis, _upper = np.linalg.qr((rows.T @ (rows @ basis.astype(np.float32))).astype(np.float64))
    held = rows @ basis
    _, turned = np.linalg.eigh(held.T @ held)
    axes: NDArray[np.float64] = np.linalg.qr(basis @ turned[:, ::-1])[0]
    return axes


def _spread(vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return rows from all over."""
    return np.asarray(vectors[np.linspace(0, len(vectors) - 1, min(count, len(vectors))).astype(np.int64)])
