"""Whether a condition holds of a document: it is compiled once to a function that is made of functions.

Types are told apart by ``type(value) is``, never by equality alone: to Python True is 1. Integers and floats are both
numbers, and Python compares them exactly.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, Final

from mbat.filter_tree import And, Comparison, Condition, Exists, Not, Or, Value
from mbat.paths import Steps

Test = Callable[[Any], bool]
"""Says something of a JSON value."""

_ARRAY: Final = (list, tuple)
_NUMBER: Final = (int, float)
_TEXT: Final = (str,)
_ORDERED: Final = (str, int, float)
_MISSING: Final = object()


def compiled(condition: Condition) -> Test:
    """Return a function that says whether a condition holds of a document."""
    match condition:
        case Comparison(path, name, operands, negated):
            test = _TESTS[name](*operands)
            return _somewhere(path, _opposite(test) if negated else test)
        case Exists(path):
            return _somewhere(path, lambda value: True)
        case Not(term):
            return _opposite(compiled(term))
        case And(terms):
            return _all([compiled(term) for term in terms])
        case Or(terms):
            return _any([compiled(term) for term in terms])


def _opposite(test: Test) -> Test:
    return lambda value: not test(value)


def _all(tests: list[Test]) -> Test:
    def holds(document: Any) -> bool:
        for test in tests:  # noqa: SIM110, all() with a generator takes twice the time
            if not test(document):
                return False
        return True

    return holds


def _any(tests: list[Test]) -> Test:
    def holds(document: Any) -> bool:
        for test in tests:  # noqa: SIM110, likewise
            if test(document):
                return True
        return False

    return holds


def _somewhere(path: Steps, test: Test) -> Test:
    """Return whether a test holds of some value at a path."""
    for step in reversed(path):
        test = _of_some_element(test) if step is None else _of_member(step, test)
    return test


def _of_member(key: str, test: Test) -> Test:
    def holds(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        member = value.get(key, _MISSING)
        return member is not _MISSING and test(member)

    return holds


def _of_some_element(test: Test) -> Test:
    def holds(value: Any) -> bool:
        if isinstance(value, _ARRAY):
            for element in value:
                if test(element):
                    return True
        return False

    return holds


def _types(value: Value) -> tuple[type, ...]:
    """Return the Python types of the values that a text or number can be compared with."""
    return _TEXT if isinstance(value, str) else _NUMBER


def _equal(operand: Value) -> Test:
    if operand is None or isinstance(operand, bool):
        return lambda value: value is operand
    types = _types(operand)
    return lambda value: value == operand and type(value) in types


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def of(operand: Any) -> Test:
        types = _types(operand)
        return lambda value: type(value) in types and holds(value, operand)

    return of


def _between(low: Any, high: Any) -> Test:
    types = _types(low)
    return lambda value: type(value) in types and low <= value <= high


def _in(*operands: Value) -> Test:
    ordered = frozenset(operand for operand in operands if type(operand) in _ORDERED)
    single = [operand for operand in (None, True, False) if any(operand is other for other in operands)]
    return lambda value: value in ordered if type(value) in _ORDERED else any(value is one for one in single)


def _contains(operand: Value) -> Test:
    if isinstance(operand, str):  # which `in` finds in texts, and equal to nothing in arrays but texts
        return lambda value: isinstance(value, (str, list, tuple)) and operand in value
    return _of_some_element(_equal(operand))


def _starts_with(operand: str) -> Test:
    return lambda value: type(value) is str and value.startswith(operand)


def _like(flags: re.RegexFlag) -> Callable[[str], Test]:
    def of(pattern: str) -> Test:
        match = re.compile(_like_expression(pattern), flags | re.DOTALL).fullmatch
        return lambda value: type(value) is str and match(value) is not None

    return of


def _like_expression(pattern: str) -> str:
    r"""Translate a pattern with ``%``, ``_`` and ``\`` to a regular expression.

    What stands between two ``%`` is matched where it first occurs, and no other place is tried: that suffices,
    and keeps the time from exploding for patterns such as ``%a%a%a%b``.
    """
    parts = [""]
    for escaped, sign in re.findall(r"\\(.)|(.)", pattern, re.DOTALL):
        if sign == "%":
            parts.append("")
        else:
            parts[-1] += "." if sign == "_" else re.escape(escaped or sign)
    if len(parts) == 1:
        return parts[0]
    return parts[0] + "".join(f"(?>.*?{part})" for part in parts[1:-1]) + ".*" + parts[-1]


_TESTS: Final[dict[str, Callable[..., Test]]] = {
    "=": _equal,
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "between": _between,
    "in": _in,
    "contains": _contains,
    "starts with": _starts_with,
    "like": _like(re.NOFLAG),
    "ilike": _like(re.IGNORECASE),
}
