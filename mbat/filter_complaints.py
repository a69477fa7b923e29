"""What to say of a text that is no filter: where it goes wrong, what may stand there, and what was perhaps meant."""

from __future__ import annotations

import json
import math
import re
from typing import Final

from lark import Token, UnexpectedInput, UnexpectedToken

from mbat.filter_tree import value_text

NAMES: Final = {
    "PATH": "a path",
    "EQUAL": "=",
    "_UNEQUAL": "!=",
    "ORDER": "<, <=, >, >=",
    "IN": "in",
    "LIKE": "like",
    "ILIKE": "ilike",
    "STARTS_WITH": "starts with",
    "CONTAINS": "contains",
    "BETWEEN": "between",
    "_IS": "is null, is missing",
    "_EXISTS": "exists",
    "_NOT": "not",
    "_MISSING": "missing",
    "TEXT": "text in single quotes",
    "NUMBER": "a number",
    "TRUE": "true",
    "FALSE": "false",
    "NULL": "null",
    "_AND": "and",
    "_OR": "or",
    "_COMMA": "a comma",
    "_LEFT": "an opening parenthesis",
    "_RIGHT": "a closing parenthesis",
    "$END": "the end of the filter",
}
"""What messages call the terminals, in the order in which they list them."""

_STRAYS: Final = {
    "'": "the quote is not closed. A quote within text is written twice: 'it''s'.",
    '"': "the double quote is not closed.",
    "!": "there is no ! alone. Write != or not.",
}
"""What is wrong where no terminal begins, by the sign that stands there; there are no others."""

_QUOTED: Final = re.compile(r'"[^"\\]*"')
_MOST: Final = 40


def shortened(text: str) -> str:
    """Return the start of a text that is too long for a message."""
    return text if len(text) <= _MOST else text[:_MOST] + "…"


def complaint(text: str, error: UnexpectedInput) -> str:
    """Say what is wrong with a text that the parser has refused."""
    if not isinstance(error, UnexpectedToken):
        start = error.pos_in_stream or 0
        return f"{_place(text[start:])}: {_STRAYS[text[start]]}"
    rest = "" if error.token.type == "$END" else text[error.token.start_pos :]
    allowed = ", ".join(name for terminal, name in NAMES.items() if terminal in error.accepts)
    return f"{_place(rest)}. Allowed there: {allowed}.{_hint(error.token, error.accepts)}"


def _place(rest: str) -> str:
    return f"The filter is not well formed at {repr(shortened(rest)) if rest else 'its end'}"


def _hint(token: Token, accepted: set[str]) -> str:
    """Return a sentence on what was meant, as far as it can be guessed."""
    if "PATH" in accepted and token.type in ("TEXT", "NUMBER"):
        return " A comparison begins with its path, as price < 10; a key that looks like a number is quoted."
    if "PATH" in accepted and token.isalpha():
        return f" A key that is also a word of the filter language is quoted: {json.dumps(str(token))}."
    if "TEXT" in accepted and token.type == "PATH":
        return _value_hint(str(token))
    return ""


def _value_hint(word: str) -> str:
    """Return how to write the value that a word was meant to be."""
    if _is_number(word):
        return " Numbers are written as in JSON: 0.5, -1, 1e6."
    if _QUOTED.fullmatch(word):
        return f" Double quotes are for keys; text is written {shortened(value_text(word[1:-1]))}."
    return f" Text is written in single quotes: {shortened(value_text(word))}."


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False
