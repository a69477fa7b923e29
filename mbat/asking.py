"""What is asked of an index: a document, documents to be like or unlike, and which fields matter how much."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.encoder import Encoder
from mbat.errors import ParameterError
from mbat.explaining import Account, Explanation, explanation
from mbat.paths import Steps

NOTHING: Final = object()
"""Given as a document, where there is none: null is one."""

Lookup = Callable[[Sequence[str]], Mapping[str, Any]]
"""Returns those documents of an index that have one of some ids, by id."""

ALONE: Final = (1.0,)
"""The signs of a question that is one document."""

_NOTHING_LEFT: Final = 1e-6


@dataclass(frozen=True)
class Weights:
    """Which fields of a query matter how much; see `mbat.Encoder.weigh`."""

    weights: Mapping[str, float] = field(default_factory=dict)
    ignore: Sequence[str] = ()

    def applied(self, encoder: Encoder) -> Encoder:
        """Return the encoder for the queries of an index with this encoder."""
        return encoder.weigh(self.weights, self.ignore) if self.weights or self.ignore else encoder

    @classmethod
    def of(cls, weights: Mapping[str, float] | None, ignore: Iterable[str]) -> Weights:
        """Return weights that stay as they are when what was given is changed."""
        return cls(
            dict(weights) if isinstance(weights, Mapping) else weights or {},
            ignore if isinstance(ignore, str) else tuple(ignore),
        )

    def wanted(self) -> Weights:
        """Return them without fields that are asked not to be so."""
        against = [path for path, weight in self.weights.items() if weight < 0]
        return Weights(
            {path: self.weights[path] for path in self.weights if path not in against}, [*self.ignore, *against]
        )


@dataclass(frozen=True)
class Question:
    """One query: a sum of the vectors of documents.

    Attributes
    ----------
    documents : sequence of JSON values
        At least one.
    signs : sequence of float
        For each 1, or -1 if what is found should be unlike it.
    passed_over : sequence of str
        Ids of those of the index: they are known, and not to be found.
    """

    documents: Sequence[Any]
    signs: Sequence[float]
    passed_over: Sequence[str] = ()

    @property
    def wanted(self) -> list[Any]:
        """The documents that what is found should be like."""
        return [document for document, sign in zip(self.documents, self.signs, strict=True) if sign > 0]

    def account(self, encoder: Encoder) -> Account:
        """Return what each path adds to the vector of the question."""
        accounts = [encoder.account(document) for document in self.documents]
        if self.signs == ALONE:
            return accounts[0]
        rows: dict[Steps, NDArray[np.float64]] = {}
        for account, sign in zip(accounts, self.signs, strict=True):
            for steps, row in zip(account.paths, account.rows, strict=True):
                rows[steps] = rows.get(steps, 0.0) + sign * row
        norm = float(np.linalg.norm(sum(rows.values()))) or 1.0
        points = {latitude: longitude for one in accounts for latitude, longitude in one.points.items()}
        return Account(list(rows), np.stack(list(rows.values())) / norm, self.documents, points)


class Explainer:
    """Says why documents answer questions as they do.

    Parameters
    ----------
    weights : Weights
        Those of the questions.
    encoder : Encoder
        That of the documents.
    """

    def __init__(self, weights: Weights, encoder: Encoder) -> None:
        wanted = weights.wanted()
        self._encoder, self._weighed = encoder, weights.applied(encoder)
        self._wanted = self._weighed if wanted == weights else wanted.applied(encoder)

    def explain(self, asked: Question, documents: Iterable[Any]) -> Iterator[Explanation]:
        """Yield why each of some documents answers a question as it does."""
        account, whole = asked.account(self._weighed), None
        if self._weighed is not self._encoder:
            whole = asked.account(self._encoder).rows.sum(axis=0)
        for document in documents:
            agreement = self._wanted.agreement(asked.wanted, document) if asked.wanted else None
            yield explanation(account, self._encoder.account(document), agreement, whole)


def question(document: Any, liked: Sequence[str], unliked: Sequence[str], lookup: Lookup) -> Question:
    """Return the question for documents like a document and some by their ids, and unlike others.

    Raises
    ------
    ParameterError
        If there is nothing to be like or unlike, or no document has one of the ids.
    """
    ids = list(dict.fromkeys(liked)), list(dict.fromkeys(unliked))
    given = [] if document is NOTHING else [document]
    documents = [*given, *(one for some in ids for one in _by_ids(some, lookup))]
    if not documents:
        raise ParameterError("Give a document to search for, or ids of documents to be like or unlike.")
    signs = (1.0,) * (len(given) + len(ids[0])) + (-1.0,) * len(ids[1])
    return Question(documents, signs, [*ids[0], *ids[1]])


def _by_ids(ids: Sequence[str], lookup: Lookup) -> list[Any]:
    found = lookup(ids)
    if missing := [one for one in ids if one not in found]:
        raise ParameterError(f"There is no document with the id {missing[0]!r} to be like or unlike.")
    return [found[one] for one in ids]


def question_vectors(questions: Sequence[Question], encoder: Encoder) -> NDArray[np.float32]:
    """Return a vector of norm 1 for each question.

    Raises
    ------
    DocumentError
        If a document is no JSON value.
    ParameterError
        If nothing is left of a question: all of its fields are ignored, or its documents cancel each other out.
    """
    vectors = _encoded([document for one in questions for document in one.documents], encoder)
    ends = np.cumsum([len(one.documents) for one in questions])[:-1]
    rows = [_sum(terms, one.signs) for terms, one in zip(np.split(vectors, ends), questions, strict=True)]
    return np.stack(rows)


def _encoded(documents: Sequence[Any], encoder: Encoder) -> NDArray[np.float32]:
    return encoder.encode_one(documents[0])[None, :] if len(documents) == 1 else encoder.encode(documents)


def _sum(terms: NDArray[np.float32], signs: Sequence[float]) -> NDArray[np.float32]:
    total: NDArray[np.float32] = terms[0] if signs == ALONE else np.asarray(signs, dtype=np.float32) @ terms
    norm = np.linalg.norm(total)
    if norm < _NOTHING_LEFT:
        raise ParameterError("Nothing is asked: all fields are ignored, or what is liked and unliked cancels out.")
    return total if signs == ALONE else total / norm
