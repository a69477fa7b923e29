"""The grammar of filters, and what to say of a text that does not follow it.

The parser is driven by tables (LALR), so that no nesting of parentheses exhausts Python's stack. A condition is built
as its rule is reduced; there is no tree between.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import orjson
from lark import Lark, Token, Transformer, UnexpectedInput

from mbat.errors import FilterError, PathError
from mbat.filter_complaints import complaint, shortened
from mbat.filter_tree import NUMBER, WORD, And, Comparison, Condition, Exists, Not, Or, Value, value_text
from mbat.paths import Steps, parse_path

GRAMMAR: Final = rf"""
?start: alternatives
?alternatives: requirements (_OR requirements)*
?requirements: condition (_AND condition)*
?condition: _LEFT alternatives _RIGHT
    | _NOT condition            -> negation
    | path _EXISTS              -> exists
    | _EXISTS path              -> exists
    | path _IS _NOT _MISSING    -> exists
    | path _NOT _EXISTS         -> missing
    | path _IS _MISSING         -> missing
    | path _IS NULL             -> null
    | path _IS _NOT NULL        -> not_null
    | path EQUAL value          -> comparison
    | path _UNEQUAL value       -> unequal
    | path ORDER bound          -> comparison
    | path _relation            -> comparison
    | path _NOT _relation       -> negated_comparison
_relation: IN _LEFT value (_COMMA value)* _RIGHT
    | (LIKE | ILIKE | STARTS_WITH) text
    | CONTAINS value
    | BETWEEN bound _AND bound

path: PATH
?value: bound | TRUE | FALSE | NULL
?bound: text | NUMBER
?text: TEXT

_LEFT: "("
_RIGHT: ")"
_COMMA: ","
EQUAL: /==?/
_UNEQUAL: "!=" | "<>"
ORDER: /[<>]=?/

_AND.1: "and"i END
_OR.1: "or"i END
_NOT.1: "not"i END
_IS.1: "is"i END
_MISSING.1: "missing"i END
_EXISTS.1: "exists"i END
IN.1: "in"i END
LIKE.1: "like"i END
ILIKE.1: "ilike"i END
STARTS_WITH.1: /starts\s+with/i END
CONTAINS.1: "contains"i END
BETWEEN.1: "between"i END
NULL.1: "null"i END
TRUE.1: "true"i END
FALSE.1: "false"i END
NUMBER.1: /{NUMBER}/ END
TEXT: /'[^']*(?:''[^']*)*'(?!')/
PATH: /{WORD}/
END: /(?![^\s'=<>!(),])/
%ignore /\s+/
"""


class _Builder(Transformer[Token, Condition]):
    """Makes a condition of the parts of a rule; its methods are named after rules and terminals."""

    def alternatives(self, terms: list[Condition]) -> Condition:
        return Or(tuple(terms))

    def requirements(self, terms: list[Condition]) -> Condition:
        return And(tuple(terms))

    def negation(self, parts: list[Condition]) -> Condition:
        return Not(parts[0])

    def exists(self, parts: list[Steps]) -> Condition:
        return Exists(parts[0])

    def missing(self, parts: list[Steps]) -> Condition:
        return Not(Exists(parts[0]))

    def null(self, parts: tuple[Steps, None]) -> Condition:
        return Comparison(parts[0], "=", (None,))

    def not_null(self, parts: tuple[Steps, None]) -> Condition:
        return Comparison(parts[0], "=", (None,), negated=True)

    def unequal(self, parts: tuple[Steps, Value]) -> Condition:
        return Comparison(parts[0], "=", (parts[1],), negated=True)

    def comparison(self, parts: tuple[Steps, Token, *tuple[Value, ...]]) -> Condition:
        path, operator, *operands = parts
        return _comparison(path, operator, tuple(operands), negated=False)

    def negated_comparison(self, parts: tuple[Steps, Token, *tuple[Value, ...]]) -> Condition:
        path, operator, *operands = parts
        return _comparison(path, operator, tuple(operands), negated=True)

    def path(self, parts: list[str]) -> Steps:
        if parts[0].startswith(("$.", "$[")):
            raise FilterError(
                f"The path {shortened(parts[0])} would begin with a key $. Paths begin with their first key: "
                f"{shortened(parts[0][1:].removeprefix('.'))}. A key that is $ is quoted."
            )
        try:
            return parse_path(str(parts[0]))
        except PathError as error:
            raise FilterError(f"{error}{_INDEX_HINT if _INDEX.search(parts[0]) else ''}") from None

    def TEXT(self, token: str) -> str:  # noqa: N802, named after the terminal as are those below
        return token[1:-1].replace("''", "'")

    def NUMBER(self, token: str) -> int | float:  # noqa: N802
        try:
            number: int | float = orjson.loads(str(token))  # as in documents, where integers beyond 64 bits are floats
        except ValueError:
            raise FilterError(f"The number {shortened(token)} is beyond the range of a 64-bit float.") from None
        return number

    def TRUE(self, _: str) -> bool:  # noqa: N802
        return True

    def FALSE(self, _: str) -> bool:  # noqa: N802
        return False

    def NULL(self, _: str) -> None:  # noqa: N802
        return None


_INDEX = re.compile(r"\[-?[0-9]+\]")
_INDEX_HINT: Final = ". A filter cannot ask for one position of an array; a[] is any of its elements."


def _comparison(path: Steps, sign: Token, operands: tuple[Value, ...], negated: bool) -> Condition:
    operator = {"EQUAL": "=", "ORDER": str(sign)}.get(sign.type, sign.type.lower().replace("_", " "))
    if operator.endswith("like") and re.fullmatch(r"(?:[^\\]|\\.)*", str(operands[0]), re.DOTALL) is None:
        raise FilterError(
            f"The pattern {value_text(operands[0])} ends in a backslash that nothing follows. "
            "A backslash takes the sign after it as it is; write two for one."
        )
    if operator == "between" and isinstance(operands[0], str) != isinstance(operands[1], str):
        low, high = map(value_text, operands)
        raise FilterError(f"No value is between {low} and {high}: one is a number, the other is text.")
    return Comparison(path, operator, operands, negated)


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="basic", transformer=_Builder())


def parse_condition(text: str) -> Condition:
    """Read a condition, or raise FilterError with what is wrong and where."""
    if not isinstance(text, str):
        raise FilterError(f"A filter is a text, as 'price < 10'; {shortened(repr(text))} is not.")
    if not text.strip():
        raise FilterError("The filter is empty. Write a condition, as price < 10.")
    try:
        condition: Condition = _parser().parse(text)  # type: ignore[assignment] # the builder makes no Tree
    except UnexpectedInput as error:
        raise FilterError(complaint(text, error)) from None
    return condition
