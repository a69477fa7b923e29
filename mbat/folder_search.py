"""Finding the documents of an index in a folder that are nearest to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.reading import View
from mbat.sealing import damaged
from mbat.searching import Hit, Request

if TYPE_CHECKING:
    from mbat.filtering import FilteredSearch


class FolderSearch:
    """Searches views of one index, and remembers what the next search may need again."""

    def __init__(self) -> None:
        self._filtered: FilteredSearch | None = None

    def nearest(self, view: View, vectors: NDArray[np.float32], k: int, request: Request) -> list[list[Hit]]:
        """Return the k best documents for each vector, equal scores in the order of adding."""
        if request.where is None:
            scores, rows = view.segments.search(vectors, k, request.effort)
        else:
            scores, rows = self._filter_search().search(view, vectors, k, request.effort, request.where)
        pairs = zip(scores.tolist(), rows.tolist(), strict=True)
        return _hits(view, [[(score, row) for score, row in zip(*pair, strict=True) if row >= 0] for pair in pairs])

    def _filter_search(self) -> FilteredSearch:
        from mbat.filtering import FilteredSearch

        self._filtered = self._filtered or FilteredSearch()
        return self._filtered


def _hits(view: View, answers: Sequence[Sequence[tuple[float, int]]]) -> list[list[Hit]]:
    rows = sorted({row for found in answers for _, row in found})
    stored = view.store.by_rows(rows)
    if missing := set(rows) - set(stored):
        raise damaged(view.manifest.database, f"it has a vector for row {min(missing)}, and no document")
    documents = {row: orjson.loads(one.text) for row, one in stored.items()}
    return [[Hit(stored[row].id, score, documents[row]) for score, row in found] for found in answers]
