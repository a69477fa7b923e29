"""Vectors that are stored under ids, and the search that compares a query with every one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat_indexes.protocol import (
    NO_ID,
    Ids,
    IndexFileError,
    Scores,
    Vectors,
    checked_effort,
    checked_k,
    checked_sorted,
    checked_vectors,
)

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]
Rows = Callable[[Positions | slice], Vectors]

BLOCK_NUMBERS: Final = 1 << 23
"""How many numbers of vectors, or scores, are taken in hand at once."""

_ADDED: Final = 8192
"""How many products are added in one run."""

_UNIT: Final = 2.0**-24
"""How much a float32 may be off by rounding, as a part of it."""


def rounding(dim: int) -> float:
    """Return how far apart two float32 inner products of the same vectors may lie, as a part of the product of norms.

    A sum of n products is off by at most ``n u / (1 - n u)`` times the sum of their sizes, whatever the order in which
    they are added, where u is the unit of rounding (Higham 2002, Accuracy and Stability of Numerical Algorithms, 3.1);
    the sum of the sizes is at most the product of the norms; and two such sums may be off to different sides. Two more
    are counted for the rounding of what is compared with this.
    """
    off = (dim + 2) * _UNIT
    return 2 * off / (1 - off)


def blocks(count: int, numbers: int) -> Iterator[slice]:
    """Yield slices of so many things, each of so many numbers, of which few enough are taken in hand at once."""
    step = max(1, BLOCK_NUMBERS // max(1, numbers))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


class StoredIndex:
    """A `VectorIndex` that compares a query with every vector.

    Parameters
    ----------
    kind : str
        Name of the kind.
    ids : int64 array
        Ids of the vectors, rising; the position of an id is that of its vector.
    dim : int
        Length of the vectors.
    rows : callable
        Returns the vectors at some positions as float32.
    """

    def __init__(self, kind: str, ids: Ids, dim: int, rows: Rows) -> None:
        self.kind, self.dim = kind, dim
        self._ids, self._rows = ids, rows

    def __len__(self) -> int:
        """Return the number of vectors."""
        return len(self._ids)

    def ids(self) -> Ids:
        """Return the ids of the vectors, rising."""
        return self._ids

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        effort: float | None = None,
        allowed: Ids | None = None,
        excluded: Ids | None = None,
    ) -> tuple[Scores, Ids]:
        """Return the k best for each query; see `VectorIndex.search`."""
        queries, k = checked_vectors(queries, self.dim), checked_k(k)
        effort = None if effort is None else checked_effort(effort)
        live = self._live(allowed, excluded)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        ids = np.full((len(queries), k), NO_ID, dtype=np.int64)
        wanted = min(k, len(self) if live is None else int(np.count_nonzero(live)))
        if wanted and len(queries):
            scores[:, :wanted], positions = self._best(queries, wanted, effort, live)
            ids[:, :wanted] = self._ids[positions]
        if np.isnan(scores).any():
            raise IndexFileError(f"The index of kind {self.kind!r} holds a vector that is not finite.")
        return scores, ids

    def _live(self, allowed: Ids | None, excluded: Ids | None) -> Mask | None:
        """Return which positions may be found; None is all."""
        if allowed is None and (excluded is None or not len(excluded)):
            return None
        live = np.full(len(self), allowed is None)
        if allowed is not None:
            live[self._positions(checked_sorted(allowed, "allowed"))] = True
        if excluded is not None:
            live[self._positions(checked_sorted(excluded, "excluded"))] = False
        return None if live.all() else live

    def _positions(self, ids: Ids) -> Positions:
        """Return the positions of those ids that the index has."""
        places = np.searchsorted(self._ids, ids)
        inside = places < len(self)
        places, ids = places[inside], ids[inside]
        found: Positions = places[self._ids[places] == ids]
        return found

    def _best(self, queries: Vectors, wanted: int, effort: float | None, live: Mask | None) -> tuple[Scores, Positions]:
        """Return the scores and positions of the best for each query; there are as many as wanted."""
        scores = np.zeros((len(queries), 0), dtype=np.float32)
        positions = np.zeros((len(queries), 0), dtype=np.int64)
        all_live = np.arange(len(self)) if live is None else np.flatnonzero(live)
        for some in blocks(len(all_live), self.dim):
            block = all_live[some]
            whole = block[-1] - block[0] + 1 == len(block)
            rows = self._rows(slice(int(block[0]), int(block[-1]) + 1) if whole else block)
            scores, positions = _merged(queries, rows, block, scores, positions, wanted)
        return scores, positions


def _merged(
    queries: Vectors, rows: Vectors, block: Positions, scores: Scores, positions: Positions, wanted: int
) -> tuple[Scores, Positions]:
    """Return the best of what was found before and of a block of vectors.

    The block is multiplied as a whole, and what may be among the best by these products is scored one by one: the
    products of a matrix depend in their last bits on its size.
    """
    kept = min(wanted, scores.shape[1] + len(rows))
    best_scores = np.empty((len(queries), kept), dtype=np.float32)
    best_positions = np.empty((len(queries), kept), dtype=np.int64)
    longest = np.sqrt(dots("bd,bd->b", rows, rows).max())
    if not np.isfinite(longest):  # what was written is
        raise IndexFileError("The index holds a vector that is not finite.")
    margins = 2 * rounding(rows.shape[1]) * np.linalg.norm(queries, axis=1) * longest
    for some in blocks(len(queries), len(rows)):
        for query, products in enumerate(queries[some] @ rows.T, start=some.start):
            floor = _floor(products, scores[query], wanted) - margins[query]
            near = np.flatnonzero(products >= floor)
            found = np.concatenate([scores[query], dots("cd,d->c", rows[near], queries[query])])
            places = np.concatenate([positions[query], block[near]])
            order = np.lexsort((places, -found))[:kept]
            best_scores[query], best_positions[query] = found[order], places[order]
    return best_scores, best_positions


def _floor(products: Scores, scores: Scores, wanted: int) -> float:
    """Return a score that `wanted` vectors reach, -inf where there are fewer."""
    floors = [-np.inf]
    if len(products) >= wanted:
        floors.append(float(np.partition(products, -wanted)[-wanted]))
    if len(scores) >= wanted:
        floors.append(float(scores[-1]))
    return max(floors)


def dots(subscripts: str, a: Vectors, b: Vectors) -> Any:
    """Return inner products along d, the last axis, each the same to the last bit whatever else is multiplied with it.

    Beyond so many numbers as NumPy has room for in a buffer, their order would depend on the shapes.
    """
    parts = [slice(start, start + _ADDED) for start in range(0, a.shape[-1], _ADDED)]
    products = [np.einsum(subscripts, a[..., part], b[..., part]) for part in parts]
    return sum(products[1:], start=products[0])
