"""Explaining a score: an exact account of it, path by path."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.errors import ParameterError
from mbat.paths import Steps, format_path, parse_path
from mbat.picking import MISSING, value_at

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
    points : mapping from Steps to Steps
        The latitudes that are points, with their longitudes: the row of the latitude is that of the point.
    """

    paths: Sequence[Steps]
    rows: NDArray[np.float64]
    documents: Sequence[Any]
    points: Mapping[Steps, Steps] = MappingProxyType({})

    def value(self, steps: Steps) -> Any:
        """Return what stands at a path, `MISSING` if nothing does; of several documents a list of what each has.

        Of a point that is both coordinates, by their keys.
        """
        found = [self._value_in(document, steps) for document in self.documents]
        if len(found) == 1:
            return found[0]
        return [value for value in found if value is not MISSING] or MISSING

    def _value_in(self, document: Any, steps: Steps) -> Any:
        value, partner = value_at(document, steps), self.points.get(steps)
        other = MISSING if partner is None else value_at(document, partner)
        return value if partner is None or other is MISSING else {steps[-1]: value, partner[-1]: other}

    def has(self, steps: Steps) -> bool:
        """Tell whether something stands at a path."""
        return self.value(steps) is not MISSING


NO_ACCOUNT: Final = Account((), np.zeros((0, 0)), ())


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
        What it would add if the second document were the first: 0 for a match across two paths, below 0 for a field of
        which the weight is.
    value, other_value : JSON values
        What stands there; where the path goes through an array, or the query is of several documents, a list.
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
    agreement : float or None
        The same with the second document cut down to the fields that the first one has: 1 if these are alike in all.
        What is asked for with a weight below 0, or to be unlike, does not count; None if nothing else is asked for.
    parts : tuple of Part
        They sum to the score, as their `possible` do to 1 if no field is weighed. The greatest first, but "all else"
        last.
    first, second : Account
        The two sides.

    Examples
    --------
    >>> from mbat import Encoder
    >>> why = Encoder().explain({"name": "Ann", "age": 30}, {"name": "Ann", "age": 60, "city": "Oslo"})
    >>> why.parts[0].path, round(why.agreement, 1), abs(sum(part.contribution for part in why.parts) - why.score) < 1e-5
    ('age', 0.8, True)
    """

    score: float
    agreement: float | None
    parts: tuple[Part, ...]
    first: Account = field(default=NO_ACCOUNT, repr=False, compare=False)
    second: Account = field(default=NO_ACCOUNT, repr=False, compare=False)

    def grouped(self, depth: int = 1) -> Explanation:
        """Return the explanation with fields taken together that lie below one path of so many keys.

        Parameters
        ----------
        depth : int
            How many keys of a path stay.

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
        return replace(self, parts=_ordered(self._together(*paths, parts) for paths, parts in groups.items()))

    def _together(self, path: str, other: str, parts: Sequence[Part]) -> Part:
        """Return some parts as one."""
        contribution, possible = sum(part.contribution for part in parts), sum(part.possible for part in parts)
        if path == ALL_ELSE:
            return Part(path, other, contribution, possible)
        value = self.first.value(parse_path(path))
        if not self.second.has(parse_path(other)):
            return Part(path, None, contribution, possible, value)
        return Part(path, other, contribution, possible, value, self.second.value(parse_path(other)))

    def __str__(self) -> str:
        """Return a table for people, 80 columns wide."""
        from mbat.explanation_table import explanation_table

        return explanation_table(self)


def explanation(
    first: Account, second: Account, agreement: float | None, whole: NDArray[np.float64] | None = None
) -> Explanation:
    """Return the account of the inner product of two vectors.

    Parameters
    ----------
    first, second : Account
    agreement : float or None
        See `Explanation`.
    whole : float64 array of shape (dim,), optional
        The vector of the first document as the second is encoded, where the first is not.
    """
    own = own_parts(first, second, whole)
    crossed = list(_crossed_parts(first, second))
    score = float(first.rows.sum(axis=0) @ second.rows.sum(axis=0))
    rest = score - math.fsum(part.contribution for part in (*own, *crossed))
    parts = _ordered([*own, *crossed, Part(ALL_ELSE, ALL_ELSE, rest, 0.0)])
    return Explanation(score, agreement, parts, first, second)


def own_parts(first: Account, second: Account, whole: NDArray[np.float64] | None = None) -> list[Part]:
    """Return what each path of the first document adds together with the same path of the second."""
    possible = first.rows @ (first.rows.sum(axis=0) if whole is None else whole)
    rows = dict(zip(second.paths, second.rows, strict=True))
    return [
        Part(
            path=format_path(steps),
            other_path=format_path(steps) if second.has(steps) else None,
            contribution=float(row @ rows[steps]) if steps in rows else 0.0,
            possible=float(most),
            value=first.value(steps),
            other_value=second.value(steps) if second.has(steps) else None,
        )
        for steps, row, most in zip(first.paths, first.rows, possible, strict=True)
    ]


def _crossed_parts(first: Account, second: Account) -> Iterator[Part]:
    """Yield the matches across two paths that are no chance."""
    products = first.rows @ second.rows.T
    norms = np.outer(np.linalg.norm(first.rows, axis=1), np.linalg.norm(second.rows, axis=1))
    least = np.maximum(CHANCE / math.sqrt(first.rows.shape[1]) * norms, LEAST)
    for i, j in np.argwhere(np.abs(products) >= least).tolist():
        one, other = first.paths[i], second.paths[j]
        if one != other:
            paths, values = (format_path(one), format_path(other)), (first.value(one), second.value(other))
            yield Part(*paths, float(products[i, j]), 0.0, *values)


def _ordered(parts: Iterable[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda part: (part.path == ALL_ELSE, -part.contribution, -part.possible)))


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
