"""Explaining a score: an exact account of it, path by path."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.errors import ParameterError
from mbat.paths import Steps, format_path, parse_path
from mbat.picking import values_at

LEAST: Final = 0.005
CHANCE: Final = 4.0
"""A match across two different paths is a part of its own if it adds or takes at least `LEAST`, and more than `CHANCE`
times what unrelated values do: the standard deviation of their cosine is ``1 / sqrt(dim)``."""

ALL_ELSE: Final = "all else"
"""Stands for the paths of the last part: small matches across different paths, and chance."""


class Account(NamedTuple):
    """What each path of a document adds to its vector.

    Attributes
    ----------
    paths : sequence of Steps
        The paths that the document has, objects and arrays among them, whose rows say that they are there.
    rows : float64 array of shape (paths, dim)
        They sum to the vector.
    documents : sequence of JSON values
        The document; of a query that is made of several, all of them.
    """

    paths: Sequence[Steps]
    rows: NDArray[np.float64]
    documents: Sequence[Any]

    def values(self, steps: Steps) -> Any:
        """Return what stands at a path: the value, or a list of values if there may be several."""
        found = [value for document in self.documents for value in values_at(document, steps)]
        return found if None in steps or len(found) > 1 else found[0]


@dataclass(frozen=True)
class Part:
    """What one field of a document, or of two, adds to a score.

    Attributes
    ----------
    path : str
        Where it stands in the first document; "all else" in the last part.
    other_path : str or None
        Where it stands in the second: the same path; another, if it matches there; None if the second has no such path.
    contribution : float
        What it adds to the score.
    possible : float
        What it would add if the second document were as the first: 0 for a match across two paths.
    value, other_value : JSON values
        What stands there; a list where there are several values.
    """

    path: str
    other_path: str | None
    contribution: float
    possible: float
    value: Any = None
    other_value: Any = None


@dataclass(frozen=True)
class Explanation:
    """Why two documents are as alike as they are.

    Attributes
    ----------
    score : float
        The cosine of their vectors.
    agreement : float
        The same with the second document cut down to the fields that the first one has: 1 if these are alike in all.
    parts : tuple of Part
        They sum to the score, as their `possible` do to 1. The greatest first, but "all else" last.

    Examples
    --------
    >>> from mbat import Encoder
    >>> why = Encoder().explain({"name": "Ann", "age": 30}, {"name": "Ann", "age": 60, "city": "Oslo"})
    >>> why.parts[0].path, round(why.agreement, 1), abs(sum(part.contribution for part in why.parts) - why.score) < 1e-5
    ('age', 0.8, True)
    """

    score: float
    agreement: float
    parts: tuple[Part, ...]

    def grouped(self, depth: int = 1) -> Explanation:
        """Return the explanation with fields taken together that lie below one path of so many keys.

        Parameters
        ----------
        depth : int
            How many keys of a path stay. The value of what is taken together is that of the object or array which
            holds it, where its presence counts, else a mapping from paths to values.

        Raises
        ------
        ParameterError
            If depth is not a whole number of at least 1.
        """
        if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
            raise ParameterError(f"depth is how many keys of a path stay, 1 or more; {depth!r} is not.")
        groups: dict[tuple[str, str], list[Part]] = {}
        for part in self.parts:
            path, other = _cut(part.path, depth), _cut(part.other_path or part.path, depth)
            groups.setdefault((path, other), []).append(part)
        return replace(self, parts=_ordered(_together(*paths, parts) for paths, parts in groups.items()))

    def __str__(self) -> str:
        """Return a table for people, 80 columns wide."""
        from mbat.explanation_table import explanation_table

        return explanation_table(self)


def explanation(first: Account, second: Account, agreement: float) -> Explanation:
    """Return the account of the inner product of two vectors."""
    products = first.rows @ second.rows.T
    possible = first.rows @ first.rows.sum(axis=0)
    column = {steps: j for j, steps in enumerate(second.paths)}
    parts, rest = [], float(products.sum())
    for i, steps in enumerate(first.paths):
        j = column.get(steps)
        same = 0.0 if j is None else float(products[i, j])
        path = format_path(steps)
        other, other_value = (None, None) if j is None else (path, second.values(steps))
        parts.append(Part(path, other, same, float(possible[i]), first.values(steps), other_value))
        rest -= same
        if j is not None:
            products[i, j] = 0.0
    norms = np.outer(np.linalg.norm(first.rows, axis=1), np.linalg.norm(second.rows, axis=1))
    noise = CHANCE / math.sqrt(first.rows.shape[1]) * norms
    for i, j in np.argwhere(np.abs(products) >= np.maximum(noise, LEAST)).tolist():
        one, other_steps = first.paths[i], second.paths[j]
        values = first.values(one), second.values(other_steps)
        parts.append(Part(format_path(one), format_path(other_steps), float(products[i, j]), 0.0, *values))
        rest -= float(products[i, j])
    score = float(first.rows.sum(axis=0) @ second.rows.sum(axis=0))
    return Explanation(score, agreement, _ordered([*parts, Part(ALL_ELSE, ALL_ELSE, rest, 0.0)]))


def _ordered(parts: Iterable[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda part: (part.path == ALL_ELSE, -part.contribution, -part.possible)))


def _together(path: str, other: str, parts: Sequence[Part]) -> Part:
    """Return some parts as one."""
    if len(parts) == 1:
        return replace(parts[0], path=path, other_path=other if parts[0].other_path else None)
    contribution, possible = (
        sum(values) for values in zip(*((p.contribution, p.possible) for p in parts), strict=True)
    )
    found = other if any(part.other_path for part in parts) else None
    values = {part.path: part.value for part in parts}
    others = {part.other_path: part.other_value for part in parts if part.other_path}
    return Part(path, found, contribution, possible, values.get(path, values), others.get(other, others))


def _cut(path: str, depth: int) -> str:
    """Return the part of a path up to so many keys."""
    if path == ALL_ELSE:
        return path
    keys, steps = 0, []
    for step in parse_path(path):
        keys += step is not None
        if keys > depth:
            break
        steps.append(step)
    while steps and steps[-1] is None:
        steps.pop()
    return format_path(steps)
