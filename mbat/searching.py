"""Searching an index: from questions to the documents that answer them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from mbat.asking import Explainer, Question, Weights, question_vectors
from mbat.encoder import Encoder
from mbat.errors import ParameterError
from mbat.explaining import Explanation, Part
from mbat.given import check_search
from mbat.reading import View
from mbat.sealing import damaged

if TYPE_CHECKING:
    from mbat.filtering import FilteredSearch
    from mbat.filters import Filter


@dataclass(frozen=True)
class Hit:
    """A document that was found.

    Attributes
    ----------
    id : str
        The document's id.
    score : float
        Cosine of the angle between query and document, in [-1, 1].
    document : JSON value
        The document.
    explanation : Explanation or None
        Why it was found, if that was asked for.
    """

    id: str
    score: float
    document: Any
    explanation: Explanation | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """What each field adds to the score, if that was asked for; else nothing."""
        return () if self.explanation is None else self.explanation.parts


@dataclass(frozen=True)
class Request:
    """How questions are to be answered; see `mbat.Index.search`."""

    k: int
    where: Filter | None
    effort: float | None
    weights: Weights
    explain: bool


def request_of(
    k: int,
    where: str | None,
    weights: Mapping[str, float] | None,
    ignore: Iterable[str],
    explain: bool,
    effort: float | None,
) -> Request:
    """Return the arguments of a search, checked but for the weights; see `mbat.Index.search`."""
    check_search(k, effort)
    chosen = Weights.of(weights, ignore)
    return Request(k, None if where is None else _parsed(where), effort, chosen, explain)


def _parsed(where: str) -> Filter:
    from mbat.filters import parse_filter

    return parse_filter(where)


def documents_by_ids(view: View, ids: Sequence[str]) -> dict[str, Any]:
    """Return documents of an index by their ids, or raise ParameterError if one is not there."""
    stored = view.store.found(ids)
    if missing := [one for one in ids if one not in stored]:
        raise ParameterError(f"There is no document with the id {missing[0]!r} to be like or unlike.")
    return {one: orjson.loads(stored[one].text) for one in ids}


class Searcher:
    """Answers questions from views of one index, and remembers what the next may need again."""

    def __init__(self) -> None:
        self._filtered: FilteredSearch | None = None
        self._weighed: tuple[Encoder, Weights, Encoder] | None = None

    def search(self, view: View, questions: Sequence[Question], request: Request) -> list[list[Hit]]:
        """Return the hits of each question, best first."""
        if not questions:
            return []
        encoder = self._encoder(view.encoder, request.weights)
        passed_over = view.store.found(sorted({one for question in questions for one in question.passed_over}))
        vectors = question_vectors(questions, encoder)
        wanted = request.k + len(passed_over)
        if request.where is None:
            scores, rows = view.segments.search(vectors, wanted, request.effort)
        else:
            scores, rows = self._filter_search().search(view, vectors, wanted, request.effort, request.where)
        skipped = {stored.row for stored in passed_over.values()}
        answers = [
            [(score, row) for score, row in zip(*pair, strict=True) if row >= 0 and row not in skipped][: request.k]
            for pair in zip(scores.tolist(), rows.tolist(), strict=True)
        ]
        hits = _hits(view, answers)
        if not request.explain:
            return hits
        explainer = Explainer(request.weights, view.encoder)
        return [_explained(explainer, *pair) for pair in zip(questions, hits, strict=True)]

    def _filter_search(self) -> FilteredSearch:
        from mbat.filtering import FilteredSearch

        self._filtered = self._filtered or FilteredSearch()
        return self._filtered

    def _encoder(self, encoder: Encoder, weights: Weights) -> Encoder:
        """Return the encoder for questions: the one of the last search, if that was the same."""
        known = self._weighed
        if known is None or known[0] is not encoder or known[1] != weights:
            known = self._weighed = encoder, weights, weights.applied(encoder)
        return known[2]


def _hits(view: View, answers: Sequence[Sequence[tuple[float, int]]]) -> list[list[Hit]]:
    rows = sorted({row for found in answers for _, row in found})
    stored = view.store.by_rows(rows)
    if missing := set(rows) - set(stored):
        raise damaged(view.manifest.database, f"it has a vector for row {min(missing)}, and no document")
    documents = {row: orjson.loads(one.text) for row, one in stored.items()}
    return [
        [Hit(stored[row].id, min(max(score, -1.0), 1.0), documents[row]) for score, row in found] for found in answers
    ]


def _explained(explainer: Explainer, question: Question, hits: Sequence[Hit]) -> list[Hit]:
    """Return hits that say why they were found."""
    whys = explainer.explain(question, (hit.document for hit in hits))
    return [replace(hit, explanation=why) for hit, why in zip(hits, whys, strict=True)]
