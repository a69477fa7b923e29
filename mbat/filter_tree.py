"""What a filter is made of, and how it is written: conditions on the values at paths."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mbat.paths import Steps, format_path

Value = str | int | float | bool | None
"""What a filter compares with; no objects and no arrays."""

WORD: Final = r"""(?:"(?:[^"\\]|\\.)*"|[^\s"'=<>!(),])+"""
"""Pattern of a path as it stands in a filter: up to a space or a sign of the language, but for quoted keys."""

NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
"""Pattern of a number, as in JSON."""

KEYWORDS: Final = frozenset(
    {"and", "or", "not", "true", "false", "null", "missing", "exists", "is", "in"}
    | {"like", "ilike", "contains", "between"}
)
"""Words that are no paths, in any case, unless they are quoted."""

_BARE_PATH = re.compile(WORD)
_NO_PATH = re.compile(f"{NUMBER}|{'|'.join(sorted(KEYWORDS))}", re.IGNORECASE)


# The nodes have no equality of their own: Python's would hold true equal to 1. Filters are compared as text.
@dataclass(frozen=True, eq=False, slots=True)
class Comparison:
    """That some value at a path stands in a relation to the operands; if negated, that some value does not."""

    path: Steps
    operator: str
    operands: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Exists:
    """That there is a value at a path."""

    path: Steps


@dataclass(frozen=True, eq=False, slots=True)
class Not:
    """That a condition does not hold."""

    term: Condition


@dataclass(frozen=True, eq=False, slots=True)
class And:
    """That all of two or more conditions hold."""

    terms: tuple[Condition, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Or:
    """That one at least of two or more conditions holds."""

    terms: tuple[Condition, ...]


Condition = Comparison | Exists | Not | And | Or


def value_text(value: Value) -> str:
    """Write a value as it stands in a filter.

    Examples
    --------
    >>> print(value_text("it's"), value_text(1.5), value_text(True), value_text(None))
    'it''s' 1.5 true null
    """
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return json.dumps(value)


def path_text(steps: Steps) -> str:
    """Write a path as it stands in a filter: where the bare path would be read otherwise, all its keys are quoted.

    Examples
    --------
    >>> print(path_text(("seller", "country")), path_text(("in",)), path_text(("a=b", None)))
    seller.country "in" "a=b"[]
    """
    bare = format_path(steps)
    if _BARE_PATH.fullmatch(bare) and not _NO_PATH.fullmatch(bare):
        return bare
    quoted = ("[]" if step is None else f".{json.dumps(step, ensure_ascii=False)}" for step in steps)
    return "".join(quoted).removeprefix(".")


def condition_text(condition: Condition) -> str:
    """Write a condition as text that is read as the same condition."""
    match condition:
        case Comparison(path, operator, operands, negated):
            return f"{path_text(path)} {_relation_text(operator, negated)} {_operands_text(operator, operands)}"
        case Exists(path):
            return f"{path_text(path)} exists"
        case Not(term):
            return f"not ({condition_text(term)})"
        case And(terms):
            texts = ((condition_text(term), isinstance(term, Or)) for term in terms)
            return " and ".join(f"({text})" if weaker else text for text, weaker in texts)
        case Or(terms):
            return " or ".join(map(condition_text, terms))


def _relation_text(operator: str, negated: bool) -> str:
    if not negated:
        return operator
    return "!=" if operator == "=" else f"not {operator}"


def _operands_text(operator: str, operands: tuple[Value, ...]) -> str:
    texts = map(value_text, operands)
    return f"({', '.join(texts)})" if operator == "in" else " and ".join(texts)


def conditions(root: Condition) -> Iterator[tuple[Condition, int]]:
    """Yield each condition within one, itself first, with how deep it lies; without recursion."""
    stack = [(root, 0)]
    while stack:
        condition, depth = stack.pop()
        yield condition, depth
        match condition:
            case Not(term):
                stack.append((term, depth + 1))
            case And(terms) | Or(terms):
                stack.extend((term, depth + 1) for term in terms)
