"""One search for all kinds that find candidates by a structure of their own.

The principle is:

1. A kind finds candidates quickly, perhaps too few, in any order among equals, or by rounded scores.
2. Candidates that may not be found are dropped, and the others scored anew from their stored vectors.
3. Queries that have too few by then are asked again with more effort, and at last compared with every vector that may
   be found. So k are found where there are k, and no selector of a library has to be trusted for it.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from mbat_indexes.protocol import NO_ID, Ids, IndexFileError, Scores, Vectors
from mbat_indexes.stored import Mask, Positions, StoredIndex, blocks, dots

_MARGIN: Final = 4  # candidates beyond k, so that equal scores at the k-th place are rarely cut
_WIDER: Final = 4  # how much more is looked at when it was too little
_FEW: Final = 8  # where one in so many vectors may be found, comparing just those is quicker than comparing all


class Finder(Protocol):
    """What a kind does by itself, with vectors known by their position, from 0.

    Attributes
    ----------
    exact : bool
        Whether it compares all vectors as they are stored, whatever the effort.
    selects : bool
        Whether it can pass over vectors that may not be found.
    candidates : int
        How many candidates are needed for each vector wanted; more than 1 where their scores are rounded.
    effort : float
        The effort by default: the share of the vectors that it looks at, if that depends on the effort.
    rounding : float
        How far the scores of vectors that it compares as they are stored may be off, as a part of the product of norms.
    """

    exact: bool
    effort: float

    @property
    def selects(self) -> bool:
        """See above; it may be known only when the vectors are where they are searched."""

    @property
    def candidates(self) -> int:
        """Likewise."""

    @property
    def rounding(self) -> float:
        """Likewise."""

    def rows(self, positions: Positions | slice) -> Vectors:
        """Return stored vectors as float32."""

    def nearest(self, queries: Vectors, count: int, effort: float, live: Mask | None) -> tuple[Scores, Positions]:
        """Return candidates for each query, best first by a score that may be rounded; NO_ID where there is none."""


class CandidateIndex(StoredIndex):
    """A `VectorIndex` that compares a query with the vectors that a finder finds.

    Parameters
    ----------
    kind, ids, dim
        As for `StoredIndex`.
    finder : Finder
        Holds the vectors.

    Attributes
    ----------
    finder : Finder
    """

    def __init__(self, kind: str, ids: Ids, dim: int, finder: Finder) -> None:
        super().__init__(kind, ids, dim, finder.rows)
        self.finder = finder

    def _best(self, queries: Vectors, wanted: int, effort: float | None, live: Mask | None) -> tuple[Scores, Positions]:
        """Return the scores and positions of the best for each query; there are as many as wanted."""
        finder, share = self.finder, 1.0 if live is None else np.count_nonzero(live) / len(self)
        effort = (effort or finder.effort) / share
        count = int(np.ceil((wanted + _MARGIN) * finder.candidates / (1 if finder.selects else share)))
        scores = np.empty((len(queries), wanted), dtype=np.float32)
        positions = np.empty((len(queries), wanted), dtype=np.int64)
        left = np.arange(len(queries))
        while len(left) and self._worth_finding(count, effort, share):
            unsettled = np.ones(len(left), dtype=np.bool_)
            for some in blocks(len(left), max(count, self.dim)):
                asked = left[some]
                found, places, enough = self._attempt(queries[asked], wanted, count, min(effort, 1.0), live)
                scores[asked[enough]], positions[asked[enough]] = found[enough], places[enough]
                unsettled[some] = ~enough
            left = left[unsettled]
            count, effort = count * _WIDER, effort * _WIDER
        if len(left):
            scores[left], positions[left] = super()._best(queries[left], wanted, None, live)
        return scores, positions

    def _worth_finding(self, count: int, effort: float, share: float) -> bool:
        """Tell whether finding candidates is quicker than comparing all vectors that may be found, and not all effort.

        Parameters
        ----------
        count : int
            How many candidates.
        effort : float
            How much the finder would do.
        share : float
            Of the vectors, that may be found.
        """
        few_candidates = count * _WIDER <= len(self)
        many_to_compare = share * _FEW > 1
        return few_candidates and (many_to_compare if self.finder.exact else effort < 1)

    def _attempt(
        self, queries: Vectors, wanted: int, count: int, effort: float, live: Mask | None
    ) -> tuple[Scores, Positions, Mask]:
        """Return the best of some candidates, and for which queries they are enough."""
        rounded, candidates = self.finder.nearest(queries, count, effort, live if self.finder.selects else None)
        if candidates.max() >= len(self) or candidates.min() < NO_ID:
            raise IndexFileError(f"The index of kind {self.kind!r} names vectors that it does not hold.")
        exhausted = candidates[:, -1] == NO_ID
        if live is not None:
            candidates = np.where(live[candidates], candidates, NO_ID)
        scores = self._scores(queries, candidates)
        order = np.lexsort((candidates, -scores), axis=1)[:, :wanted]
        last = order[:, -1:]
        full = np.take_along_axis(candidates, last, 1)[:, 0] != NO_ID
        complete = exhausted | self._clear(queries, rounded, np.take_along_axis(candidates, last, 1)[:, 0], last)
        scores, candidates = np.take_along_axis(scores, order, 1), np.take_along_axis(candidates, order, 1)
        return scores, candidates, full & complete

    def _clear(self, queries: Vectors, rounded: Scores, candidates: Positions, last: Positions) -> Mask:
        """Tell whether the candidates go on past all that may share the score of the last one that is wanted."""
        rows = self._rows(np.maximum(candidates, 0))
        norms = np.linalg.norm(queries, axis=1) * np.linalg.norm(rows, axis=1)
        clear: Mask = rounded[:, -1] < np.take_along_axis(rounded, last, 1)[:, 0] - 2 * self.finder.rounding * norms
        return clear

    def _scores(self, queries: Vectors, candidates: Positions) -> Scores:
        """Return the score of each candidate from its stored vector, -inf for NO_ID."""
        scores = np.empty(candidates.shape, dtype=np.float32)
        for some in blocks(len(queries), candidates.shape[1] * self.dim):
            for part in blocks(candidates.shape[1], self.dim):  # one, unless there are very many for a single query
                block = candidates[some, part]
                rows = self._rows(np.maximum(block, 0).ravel()).reshape(*block.shape, self.dim)
                scores[some, part] = dots("qcd,qd->qc", rows, queries[some])
        scores[candidates == NO_ID] = -np.inf
        return scores
