"""What is wrong with a document that is no JSON, and where: looked for only when taking it apart has failed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mbat.errors import DocumentError, ParameterError
from mbat.paths import MAX_DEPTH, format_path


def located(error: Exception, documents: Sequence[Any]) -> DocumentError:
    """Find the value that a batch broke on, and say where it stands."""
    for position, document in enumerate(documents):
        for path, value, depth in _values(document):
            reason = _complaint(value, depth)
            if reason is not None:
                return DocumentError(reason, path, position)
    return DocumentError(str(error))


def several(documents: Iterable[Any]) -> Iterable[Any]:
    """Return documents, or raise ParameterError if they are one document, or nothing to go through."""
    if isinstance(documents, dict | str | bytes) or not isinstance(documents, Iterable):
        raise ParameterError(
            f"Several documents are expected, a list of them; a {type(documents).__name__} is not. For one document "
            "give [document]."
        )
    return documents


def check_document(document: Any) -> None:
    """Raise DocumentError if a value is no JSON document; the message names the path."""
    for path, value, depth in _values(document):
        reason = _complaint(value, depth)
        if reason is not None:
            raise DocumentError(reason, path)


def checked_row(row: Any) -> Any:
    """Return a row of a table as `mbat.arrow.ArrowRows.documents` tells of it, or raise what is wrong with it."""
    if isinstance(row, DocumentError):
        raise row
    return row


def _values(document: Any) -> Iterator[tuple[str, Any, int]]:
    """Yield every value of a document with its path and depth, in order, without recursion."""
    stack: list[Iterator[tuple[str, Any, int]]] = [iter([("$", document, 0)])]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        yield entry
        path, value, depth = entry
        if depth > MAX_DEPTH:
            return
        stack.append(_members(path, value, depth + 1))


def _members(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any, int]]:
    """Yield what an object or array holds, with paths and depth; nothing for a leaf."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield f"{path}.{format_path([str(key)])}", member, depth
    elif isinstance(value, list | tuple):
        for position, member in enumerate(value):
            yield f"{path}[{position}]", member, depth


def _complaint(value: Any, depth: int) -> str | None:
    if depth > MAX_DEPTH:
        return f"the document is nested deeper than {MAX_DEPTH} levels"
    if isinstance(value, dict):
        wrong = [key for key in value if not isinstance(key, str)]
        return f"the key {wrong[0]!r} is not a string" if wrong else None
    if isinstance(value, float | int):
        return _number_complaint(value)
    if value is None or isinstance(value, str | list | tuple):
        return None
    return f"{value!r:.60} of type {type(value).__name__} is not a JSON value"


def _number_complaint(value: float) -> str | None:
    try:
        return None if math.isfinite(value) else f"{value} is not a JSON number; leave the field out or write null"
    except OverflowError:
        return "the number is beyond the range of a 64-bit float; write it as a string"
