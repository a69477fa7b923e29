"""Rules for single fields: how much they weigh, and how their strings and numbers are taken."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple, get_args

from mbat.errors import ParameterError, PathError
from mbat.paths import PathTable
from mbat.patterns import Pattern, Wild, format_pattern, is_wild, matches, parse_pattern

Strings = Literal["text", "words", "symbol"]
Numbers = Literal["scaled", "symbol"]

STRINGS: Final[tuple[str, ...]] = get_args(Strings)
NUMBERS: Final[tuple[str, ...]] = get_args(Numbers)

LEAST_WEIGHT: Final = 1e-3
MOST_WEIGHT: Final = 1e3

_LEAST_PRODUCT: Final = 1e-9
_MOST_PRODUCT: Final = 1e9


@dataclass(frozen=True)
class Field:
    """A rule for what stands at a path and below it.

    Parameters
    ----------
    weight : float, default 1.0
        What the field's part of a vector is multiplied by, 0.001 to 1000, or 0; or as much below 0, which turns it
        round. Weights of fields within each other multiply, to a size of 1e-9 at least and 1e9 at most.
        A field of weight 0 is left out; an object or array that holds nothing else stays, as one that says nothing.
    strings : {"text", "words", "symbol"}, optional
        How its strings are taken, as in `mbat.Encoder`; without it as those of the field around it. Symbols do not tell
        upper from lower case either.
    numbers : {"scaled", "symbol"}, optional
        How its numbers are taken, likewise.

    Examples
    --------
    >>> from mbat import Encoder
    >>> encoder = Encoder(fields={"id": Field(weight=0), "seller.name": Field(weight=3)})
    >>> a, b = encoder.encode([{"id": 1, "seller": {"name": "Ann"}}, {"id": 2, "seller": {"name": "Ann"}}])
    >>> bool((a == b).all())
    True
    """

    weight: float = 1.0
    strings: Strings | None = None
    numbers: Numbers | None = None


Fields = tuple[tuple[str, Field], ...]
"""Paths and their rules, in the order of the paths, each once."""


class Rule(NamedTuple):
    """What holds at one path: its weight, and how strings and numbers are taken, as places in STRINGS and NUMBERS."""

    weight: float
    strings: int
    numbers: int


def checked_fields(fields: Mapping[str, Field | Mapping[str, Any]]) -> Fields:
    """Return rules that are well formed and say something, from rules or the arguments of rules by path.

    Raises
    ------
    ParameterError
        If a path or a rule is not well formed, or a path is there twice; the message names the path.
    """
    if not isinstance(fields, Mapping):
        raise ParameterError(f"fields maps paths to rules, as {{'id': Field(weight=0)}}; {fields!r} does not.")
    found: dict[Pattern, Field] = {}
    for path, rule in fields.items():
        pattern = _pattern(path)
        if pattern in found:
            raise ParameterError(f"The field {path!r} has two rules.")
        found[pattern] = _checked_rule(path, rule)
    return _said(found)


def weighed_fields(fields: Fields, weights: Mapping[str, float], ignore: Iterable[str]) -> Fields:
    """Return rules with other weights: those given, times those there.

    Raises
    ------
    ParameterError
        If a path or a weight is not well formed, or the two weights of a path are too large or small together.
    """
    if isinstance(ignore, str):
        raise ParameterError(f"ignore is a list of paths, as [{ignore!r}].")
    if not isinstance(weights, Mapping):
        raise ParameterError(f"weights maps paths to numbers, as {{'price': 3}}; {weights!r} does not.")
    found = {parse_pattern(path): rule for path, rule in fields}
    for path, weight in [*weights.items(), *((path, 0) for path in ignore)]:
        pattern, rule = _pattern(path), _checked_rule(path, {"weight": weight})
        known = found.get(pattern, Field())
        found[pattern] = _checked_rule(path, replace(known, weight=known.weight * rule.weight))
    return _said(found)


def _said(rules: Mapping[Pattern, Field]) -> Fields:
    """Return the rules that say something, in the order of their paths."""
    said = ((format_pattern(pattern), rule) for pattern, rule in rules.items() if rule != Field())
    return tuple(sorted(said, key=lambda pair: pair[0]))


def _pattern(path: str) -> Pattern:
    try:
        pattern = parse_pattern(path)
    except PathError as error:
        raise ParameterError(f"fields: {error}") from None
    if not pattern:
        raise ParameterError("fields: $ is the whole document. Use the parameters strings and numbers instead.")
    return pattern


def _checked_rule(path: str, given: Field | Mapping[str, Any]) -> Field:
    try:
        rule = given if isinstance(given, Field) else Field(**given)
    except TypeError:
        raise ParameterError(f"The field {path!r}: a rule is of weight, strings, numbers; {given!r} is not.") from None
    weight = rule.weight
    number = isinstance(weight, float | int) and not isinstance(weight, bool)
    if not number or (weight != 0 and not LEAST_WEIGHT <= abs(weight) <= MOST_WEIGHT):
        raise ParameterError(
            f"The field {path!r}: weight is 0 or a number from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}, or as much below "
            f"0; {weight!r} is not."
        )
    for name, value, allowed in (("strings", rule.strings, STRINGS), ("numbers", rule.numbers, NUMBERS)):
        if value is not None and value not in allowed:
            named = ", ".join(map(repr, allowed))
            raise ParameterError(f"The field {path!r}: {name} is one of {named}; {value!r} is not.")
    return replace(rule, weight=float(weight) + 0.0)  # -0.0 becomes 0.0


def plain_fields(fields: Fields) -> dict[str, dict[str, Any]]:
    """Return rules as JSON; `checked_fields` reads it again."""
    default = Field()
    return {
        path: {name: value for name, value in vars(rule).items() if value != getattr(default, name)}
        for path, rule in fields
    }


class FieldRules:
    """The rules of an encoder, looked up path by path from the root down.

    Parameters
    ----------
    fields : Fields
    strings, numbers : str
        How strings and numbers are taken where no rule says so.
    """

    def __init__(self, fields: Fields, strings: str, numbers: str) -> None:
        rules = {parse_pattern(path): rule for path, rule in fields}
        self._exact = {pattern: rule for pattern, rule in rules.items() if not is_wild(pattern)}
        wild = [(pattern, rule) for pattern, rule in rules.items() if is_wild(pattern)]
        self._wild = sorted(wild, key=lambda pair: _wildness(pair[0]), reverse=True)
        self.root = Rule(1.0, STRINGS.index(strings), NUMBERS.index(numbers))

    def below(self, above: Rule, paths: PathTable, path: int) -> Rule:
        """Return what holds at a path, given what holds one step above; of two rules the more exact has the say."""
        if not self._exact and not self._wild:
            return above
        steps = paths.steps(path)
        rule = above
        for pattern, field in self._wild:
            if matches(pattern, steps):
                rule = _with(rule, field)
        return _with(rule, self._exact[steps]) if steps in self._exact else rule


def _wildness(pattern: Pattern) -> tuple[int, int]:
    """Return how much a pattern leaves open."""
    return pattern.count(Wild.STEPS), pattern.count(Wild.KEY)


def _with(above: Rule, field: Field) -> Rule:
    weight = above.weight * field.weight
    size = min(max(abs(weight), _LEAST_PRODUCT), _MOST_PRODUCT)
    return Rule(
        math.copysign(size, weight) if weight else 0.0,
        above.strings if field.strings is None else STRINGS.index(field.strings),
        above.numbers if field.numbers is None else NUMBERS.index(field.numbers),
    )
