"""Vectors that are stored under ids, and the search that compares a query with every one of them."""

from __future__ import annotations

from collections.abc import Callable
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

ROUNDING: Final = 2.0**-18
"""How far apart two float32 sums of the same products may lie, as a part of the product of the norms."""

BLOCK_NUMBERS: Final = 1 << 23
"""How many numbers of vectors are taken in hand at once."""


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
        step = max(1, BLOCK_NUMBERS // self.dim)
        for start in range(0, len(all_live), step):
            block = all_live[start : start + step]
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
    products = np.nan_to_num(queries @ rows.T, copy=False, nan=-np.inf)
    margins = ROUNDING * np.linalg.norm(queries, axis=1) * np.sqrt(dots("bd,bd->b", rows, rows).max())
    kept = min(wanted, scores.shape[1] + len(rows))
    best_scores = np.empty((len(queries), kept), dtype=np.float32)
    best_positions = np.empty((len(queries), kept), dtype=np.int64)
    for query in range(len(queries)):
        floor = _floor(products[query], scores[query], wanted) - 2 * margins[query]
        near = np.flatnonzero(products[query] >= floor)
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
    """Return inner products along d, each the same to the last bit whatever else is multiplied with it."""
    return np.einsum(subscripts, a, b)
