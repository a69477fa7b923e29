"""Filters in the language of Milvus: for as much of one as can be said there without losing a document.

An expression holds of all documents that the filter holds of, and often of more; what comes back is compared with the
filter itself. So it may leave out whatever Milvus cannot say, or says otherwise:

- null and missing, which Milvus does not tell apart, and with them all that is negated;
- elements of arrays, ``a[].b``, and the document itself, ``$``;
- keys and texts with signs that one version or another of Milvus takes for something else;
- numbers that a float does not hold exactly. Some versions compare integers with integers alone and floats with floats
  alone: each number is asked for as both.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from mbat.filter_tree import And, Comparison, Condition, Or, Value
from mbat.filters import Filter
from mbat.paths import Steps

_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_TEXT: Final = re.compile(r"[ -~]*")
_SPECIAL: Final = re.compile(r"[\"'\\]")
_PATTERN: Final = re.compile(r"[^%_\\]*")
_LARGEST: Final = 2**53
_MOST_TERMS: Final = 256
_EVERYTHING: Final = ""


def expression_of(where: Filter | None, field: str) -> str:
    """Return an expression that holds of all documents in a field that a filter holds of, empty for all.

    Examples
    --------
    >>> from mbat.filters import parse_filter
    >>> expression_of(parse_filter("seller.country = 'FI' and price is missing"), "document")
    'document["seller"]["country"] == "FI"'
    >>> expression_of(parse_filter("price < 9.5"), "document")
    '(document["price"] <= 9 or document["price"] < 9.5)'
    """
    return _EVERYTHING if where is None else _expression(where.condition, field)


def _expression(condition: Condition, field: str) -> str:
    match condition:
        case And(terms):
            said = [text for term in terms if (text := _expression(term, field))]
            return " and ".join(said[:_MOST_TERMS])
        case Or(terms):
            said = [_expression(term, field) for term in terms]
            return _any(said) if all(said) else _EVERYTHING
        case Comparison(path, operator, operands, negated) if not negated and _is_plain(path):
            place = field + "".join(f'["{key}"]' for key in path)
            return _TERMS[operator](place, operands) if operator in _TERMS else _EVERYTHING
        case _:
            return _EVERYTHING


def _is_plain(path: Steps) -> bool:
    return bool(path) and all(step is not None and _KEY.fullmatch(step) for step in path)


def _any(terms: Sequence[str]) -> str:
    if len(terms) > _MOST_TERMS:
        return _EVERYTHING
    return f"({' or '.join(terms)})" if len(terms) > 1 else terms[0]


def _compared(sign: str) -> Callable[[str, Sequence[Value]], str]:
    return lambda place, operands: _comparison(place, sign, operands[0])


def _comparison(place: str, sign: str, value: Value) -> str:
    if isinstance(value, bool):
        return f"{place} {sign} {json.dumps(value)}"
    if isinstance(value, str):
        return f'{place} {sign} "{value}"' if _is_simple(value) else _EVERYTHING
    if value is None or not abs(value) < _LARGEST:
        return _EVERYTHING
    return _number(place, sign, value)


def _number(place: str, sign: str, value: float) -> str:
    """Return the comparison with a number, of integers and of floats."""
    as_float = repr(float(value))
    if "e" in as_float:
        return _EVERYTHING
    floats = f"{place} {sign} {as_float}"
    whole = math.floor(value)
    if whole == value:
        return f"({place} {sign} {whole} or {floats})"
    if sign == "==":
        return floats
    integers = f"{place} <= {whole}" if sign in ("<", "<=") else f"{place} >= {whole + 1}"
    return f"({integers} or {floats})"


def _is_simple(text: str) -> bool:
    return bool(_TEXT.fullmatch(text)) and not _SPECIAL.search(text)


def _in(place: str, operands: Sequence[Value]) -> str:
    said = [_comparison(place, "==", operand) for operand in operands]
    return _any(said) if all(said) else _EVERYTHING


def _between(place: str, operands: Sequence[Value]) -> str:
    low, high = operands
    said = [text for text in (_comparison(place, ">=", low), _comparison(place, "<=", high)) if text]
    return " and ".join(said)


def _starts_with(place: str, operands: Sequence[Any]) -> str:
    start = _PATTERN.match(operands[0])
    said = start.group() if start else ""
    return f'{place} like "{said}%"' if said and _is_simple(said) else _EVERYTHING


_TERMS: Final[dict[str, Callable[[str, Sequence[Any]], str]]] = {
    "=": _compared("=="),
    "<": _compared("<"),
    "<=": _compared("<="),
    ">": _compared(">"),
    ">=": _compared(">="),
    "in": _in,
    "between": _between,
    "starts with": _starts_with,
    "like": _starts_with,  # by what stands before the first sign with a meaning
}
