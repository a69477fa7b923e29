"""Searching among the documents that a filter lets through: if k of them do, k are found.

The principle is:

1. Where many do, the best few of all hold k of them: more and more are asked for, a few times.
2. Else every document is looked at, once, and the rows that match are remembered while the index stays as it is; the
   search is then among those rows alone.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.filters import Filter
from mbat.reading import View

_FIRST: Final = 4
"""How many times k are asked for at first."""

_MOST: Final = 1024
"""How many are asked for at most, before all documents are looked at."""

_REMEMBERED: Final = 16

Found = tuple[NDArray[np.float32], NDArray[np.int64]]


class FilteredSearch:
    """Searches with filters, and remembers which documents match the last few."""

    def __init__(self) -> None:
        self._matching: OrderedDict[tuple[str, int, Filter], NDArray[np.int64]] = OrderedDict()

    def search(self, view: View, vectors: NDArray[np.float32], k: int, effort: float | None, where: Filter) -> Found:
        """Return the k best rows whose documents match, for each vector; see `Segments.search`."""
        key = view.manifest.database, view.content.version, where
        if key not in self._matching:
            found = _sifted(view, vectors, k, effort, where)
            if found is not None:
                return found
            self._matching[key] = _matching_rows(view, where)
            while len(self._matching) > _REMEMBERED:
                self._matching.popitem(last=False)
        self._matching.move_to_end(key)
        return view.segments.search(vectors, k, effort, self._matching[key])


def _sifted(view: View, vectors: NDArray[np.float32], k: int, effort: float | None, where: Filter) -> Found | None:
    """Return the best k that match among the best of all, None if these are too few for a query."""
    wanted, known = _FIRST * k, dict[int, bool]()
    while wanted <= _MOST:
        scores, rows = view.segments.search(vectors, wanted, effort)
        new = [row for row in np.unique(rows[rows >= 0]).tolist() if row not in known]
        for row, stored in view.store.by_rows(new).items():
            known[row] = where.matches(orjson.loads(stored.text))
        matching = np.array([[known.get(row, False) for row in line] for line in rows.tolist()], dtype=bool)
        matching = matching.reshape(rows.shape)
        if (matching.sum(axis=1) >= k).all() or wanted >= view.content.documents:
            order = np.argsort(~matching, axis=1, kind="stable")
            scores, rows = np.where(matching, scores, -np.inf), np.where(matching, rows, -1)
            return tuple(np.take_along_axis(part, order, 1)[:, :k] for part in (scores, rows))  # type: ignore[return-value]
        wanted *= _FIRST
    return None


def _matching_rows(view: View, where: Filter) -> NDArray[np.int64]:
    """Return the rows, rising, of all documents that match."""
    matching = (stored.row for stored in view.store.after() if where.matches(orjson.loads(stored.text)))
    return np.fromiter(matching, dtype=np.int64)
