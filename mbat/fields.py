"""Rules for single fields: how much they weigh, and how their strings and numbers are taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple, get_args

from mbat.errors import ParameterError, PathError
from mbat.paths import PathTable, Steps, format_path, parse_path

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
        What the field's part of a vector is multiplied by, 0.001 to 1000, or 0. Weights of fields within each other
        multiply, to 1e-9 at least and 1e9 at most.
        A field of weight 0 is left out; an object or array that holds nothing else stays, as one that says nothing.
    strings : {"text", "words", "symbol"}, optional
        How its strings are taken, as in `mbat.Encoder`; without it as those of the field around it.
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
    """Return rules that are well formed, from rules or the arguments of rules by path.

    Raises
    ------
    ParameterError
        If a path or a rule is not well formed, or a path is there twice; the message names the path.
    """
    if not isinstance(fields, Mapping):
        raise ParameterError(f"fields maps paths to rules, as {{'id': Field(weight=0)}}; {fields!r} does not.")
    found: dict[Steps, Field] = {}
    for path, rule in fields.items():
        steps = _steps(path)
        if steps in found:
            raise ParameterError(f"The field {path!r} has two rules.")
        found[steps] = _checked_rule(path, rule)
    return tuple(sorted(((format_path(steps), rule) for steps, rule in found.items()), key=lambda pair: pair[0]))


def _steps(path: object) -> Steps:
    try:
        steps = parse_path(path) if isinstance(path, str) else None
    except PathError as error:
        raise ParameterError(f"fields: {error}") from None
    if steps is None:
        raise ParameterError(f"fields: {path!r} is no path such as a.b[].c.")
    if not steps:
        raise ParameterError("fields: $ is the whole document. Use the parameters strings and numbers instead.")
    return steps


def _checked_rule(path: str, given: Field | Mapping[str, Any]) -> Field:
    try:
        rule = given if isinstance(given, Field) else Field(**given)
    except TypeError:
        raise ParameterError(f"The field {path!r}: a rule is of weight, strings, numbers; {given!r} is not.") from None
    weight = rule.weight
    number = isinstance(weight, float | int) and not isinstance(weight, bool)
    if not number or (weight != 0 and not LEAST_WEIGHT <= weight <= MOST_WEIGHT):
        raise ParameterError(
            f"The field {path!r}: weight is 0 or a number from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}; {weight!r} is not."
        )
    for name, value, allowed in (("strings", rule.strings, STRINGS), ("numbers", rule.numbers, NUMBERS)):
        if value is not None and value not in allowed:
            named = ", ".join(map(repr, allowed))
            raise ParameterError(f"The field {path!r}: {name} is one of {named}; {value!r} is not.")
    return replace(rule, weight=float(weight))


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
        self._rules = {parse_path(path): rule for path, rule in fields}
        self.root = Rule(1.0, STRINGS.index(strings), NUMBERS.index(numbers))

    def below(self, above: Rule, paths: PathTable, path: int) -> Rule:
        """Return what holds at a path, given what holds one step above."""
        field = self._rules.get(paths.steps(path)) if self._rules else None
        if field is None:
            return above
        weight = above.weight * field.weight
        return Rule(
            min(max(weight, _LEAST_PRODUCT), _MOST_PRODUCT) if weight else 0.0,
            above.strings if field.strings is None else STRINGS.index(field.strings),
            above.numbers if field.numbers is None else NUMBERS.index(field.numbers),
        )
