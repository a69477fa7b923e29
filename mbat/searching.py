"""Searching an index: from questions to the documents that answer them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.asking import Explainer, Question, Weights, question_vectors
from mbat.encoder import Encoder
from mbat.errors import DocumentError
from mbat.explaining import Explanation, Part
from mbat.given import check_search
from mbat.pipeline import ahead

if TYPE_CHECKING:
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


_TOGETHER: Final = 1024
"""Questions that are encoded and searched for at a time."""

Nearest = Callable[[NDArray[np.float32], int, Request], list[list[Hit]]]
"""Returns so many of the best documents of an index for each vector, best first."""


class Searcher:
    """Answers questions to one index, and remembers what the next may need again."""

    def __init__(self) -> None:
        self._weighed: tuple[Encoder, Weights, Encoder] | None = None

    def search(
        self, encoder: Encoder, nearest: Nearest, questions: Sequence[Question], request: Request
    ) -> list[list[Hit]]:
        """Return the hits of each question, best first.

        Parameters
        ----------
        encoder : Encoder
            That of the documents.
        nearest : callable
            Finds documents by vectors.
        questions : sequence of Question
        request : Request
        """
        passed_over = {one for question in questions for one in question.passed_over}
        wanted = request.k + len(passed_over)
        vectors = _vectors(questions, self._encoder(encoder, request.weights))
        found = [line for some in vectors for line in nearest(some, wanted, request)]
        hits = [[_bounded(hit) for hit in line if hit.id not in passed_over][: request.k] for line in found]
        if not request.explain:
            return hits
        explainer = Explainer(request.weights, encoder)
        return [_explained(explainer, *pair) for pair in zip(questions, hits, strict=True)]

    def _encoder(self, encoder: Encoder, weights: Weights) -> Encoder:
        """Return the encoder for questions: the one of the last search, if that was the same."""
        known = self._weighed
        if known is None or known[0] is not encoder or known[1] != weights:
            known = self._weighed = encoder, weights, weights.applied(encoder)
        return known[2]


def _vectors(questions: Sequence[Question], encoder: Encoder) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors of questions, of some ahead while those before are searched for."""
    if len(questions) <= _TOGETHER:
        return iter([question_vectors(questions, encoder)] if questions else [])
    starts = range(0, len(questions), _TOGETHER)

    def vectors(start: int) -> NDArray[np.float32]:
        try:
            return question_vectors(questions[start : start + _TOGETHER], encoder)
        except DocumentError as error:
            raise DocumentError(error.reason, error.path, start + (error.position or 0)) from None

    return ahead(vectors, starts)


def _bounded(hit: Hit) -> Hit:
    """Return a hit whose score is a cosine in spite of rounding."""
    return replace(hit, score=min(max(hit.score, -1.0), 1.0))


def _explained(explainer: Explainer, question: Question, hits: Sequence[Hit]) -> list[Hit]:
    """Return hits that say why they were found."""
    whys = explainer.explain(question, (hit.document for hit in hits))
    return [replace(hit, explanation=why) for hit, why in zip(hits, whys, strict=True)]
