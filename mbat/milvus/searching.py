"""Searching a collection: Milvus offers candidates, and mbat scores them exactly.

The vector of a document follows from the document: it is made again of each candidate, to the last bit as it was. So a
score is that of a local index of kind ``flat``, whatever Milvus keeps, and a filter holds of all that is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.encoder import Encoder
from mbat.errors import MilvusError
from mbat.milvus.collection import DOCUMENT, Collection
from mbat.milvus.filters import expression_of
from mbat.milvus.kinds import MOST_FOUND
from mbat.searching import Hit, Request
from mbat_indexes import exact_index

_TOGETHER: Final = 64
"""Questions that are put to Milvus at once, at most."""

_RETURNED: Final = 1 << 14
"""Documents that one answer of Milvus holds, about: it is one message, of 256 MiB at most."""

_FILTERED: Final = 4
"""How many times k are asked for where a filter may hold of some alone."""

_FURTHER: Final = 16
"""How many times more are asked for in each attempt after the first."""

_SPARE: Final = 16

Vectors = NDArray[np.float32]

Candidates = dict[str, Any]
"""Documents by id."""


class MilvusSearch:
    """Finds documents near vectors.

    Parameters
    ----------
    collection : Collection
    encoder : Encoder
        That of the documents.
    """

    def __init__(self, collection: Collection, encoder: Encoder) -> None:
        self._collection, self._encoder = collection, encoder

    def nearest(self, vectors: Vectors, k: int, request: Request) -> list[list[Hit]]:
        """Return the k best documents for each vector, equal scores by id.

        Raises
        ------
        MilvusError
            If Milvus returns no k that match, and does not return all that may.
        """
        asked = _Asked(self._collection, k, request)
        return [hits for some in asked.together(vectors) for hits in self._best(some, asked, k)]

    def _best(self, vectors: Vectors, asked: _Asked, k: int) -> list[list[Hit]]:
        """Return the best of the candidates for each vector."""
        candidates = asked.candidates(vectors)
        documents = {one: document for some in candidates for one, document in some.items()}
        ids = sorted(documents)
        if not ids:
            return [[] for _ in candidates]
        places = {one: place for place, one in enumerate(ids)}
        index = exact_index(np.arange(len(ids)), self._encoder.encode([documents[one] for one in ids]))
        answers = []
        for vector, some in zip(vectors, candidates, strict=True):
            allowed = np.array(sorted(places[one] for one in some), dtype=np.int64)
            scores, found = index.search(vector[None], min(k, max(1, len(some))), allowed=allowed)
            pairs = zip(scores[0].tolist(), found[0].tolist(), strict=True)
            answers.append([Hit(ids[at], score, documents[ids[at]]) for score, at in pairs if at >= 0])
        return answers


class _Asked:
    """What one search asks of Milvus, for any number of vectors."""

    def __init__(self, collection: Collection, k: int, request: Request) -> None:
        self._collection, self._k, self._request = collection, k, request
        self._expression = expression_of(request.where, DOCUMENT)
        self._first = k + max(k, _SPARE) if request.where is None else _FILTERED * k + _SPARE

    def together(self, vectors: Vectors) -> Iterator[Vectors]:
        """Yield the vectors that are to be asked for at once."""
        size = min(_TOGETHER, max(1, _RETURNED // self._first))
        return (vectors[start : start + size] for start in range(0, len(vectors), size))

    def candidates(self, vectors: Vectors) -> list[Candidates]:
        """Return documents for each vector that match, k of them if there are so many."""
        found = self._search(vectors, self._first, self._request.effort)
        return [
            some if len(some) >= self._k else self._looked_further(vector)
            for vector, some in zip(vectors, found, strict=True)
        ]

    def _looked_further(self, vector: Vectors) -> Candidates:
        """Return documents that match where a first search has found too few."""
        if self._there <= MOST_FOUND:
            return self._all
        wanted = self._k
        while True:
            wanted = min(wanted * _FURTHER, self._most)
            (some,) = self._search(vector[None], wanted, 1.0)
            if len(some) >= self._k:
                return some
            if wanted == self._most:
                raise MilvusError(
                    f"Of the {wanted:,} documents that one search of Milvus finds {len(some):,} match, and {self._k:,} "
                    f"are asked for; {self._there:,} would have to be looked at. Ask for fewer, or with a filter that "
                    "Milvus can say: docs/milvus.md tells which."
                )

    @cached_property
    def _there(self) -> int:
        """How many documents there are of which the expression holds."""
        return self._collection.count(self._expression)

    @cached_property
    def _all(self) -> Candidates:
        """All documents that match, where Milvus returns at once those of which the expression holds."""
        return self._matching(self._collection.matching(self._expression))

    @cached_property
    def _documents(self) -> int:
        return self._collection.count()

    @property
    def _most(self) -> int:
        return self._collection.kind.most

    def _search(self, vectors: Vectors, wanted: int, effort: float | None) -> list[Candidates]:
        wanted = min(wanted, self._most)
        documents = 0 if effort is None else self._documents
        looks = self._collection.kind.looks(wanted, documents, effort)
        return [self._matching(found) for found in self._collection.search(vectors, wanted, looks, self._expression)]

    def _matching(self, found: Candidates) -> Candidates:
        where = self._request.where
        return found if where is None else {one: document for one, document in found.items() if where.matches(document)}
