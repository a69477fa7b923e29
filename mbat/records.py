"""Records: a document with its id and its text, made of a JSON text or of a row of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import orjson

from mbat.complaints import check_document, checked_row
from mbat.errors import DocumentError, ParameterError, SourceError
from mbat.paths import Steps, format_path, parse_path

OnError = Literal["stop", "skip"]


class Record(NamedTuple):
    """A document with its id, None if it is to be numbered, and the JSON text that it came as."""

    id: str | None
    text: bytes
    document: Any


class RecordMaker:
    """Makes records of what stands for documents.

    Parameters
    ----------
    id_path : str or None
        Path of the field that holds each document's id; without it they have none.
    on_error : {"stop", "skip"}
        Whether a broken document is an error or is counted in `skipped` and left out.

    Attributes
    ----------
    skipped : int
        How many documents were left out so far.

    Examples
    --------
    >>> maker = RecordMaker("n", "skip")
    >>> maker.record(b'{"n": 7}', lambda: "a.jsonl, line 1")
    Record(id='7', text=b'{"n": 7}', document={'n': 7})
    >>> maker.record(b'{"n": 7', lambda: "a.jsonl, line 2"), maker.skipped
    (None, 1)
    """

    def __init__(self, id_path: str | None, on_error: OnError) -> None:
        if on_error not in ("stop", "skip"):
            raise ParameterError(f"on_error is 'stop' or 'skip', not {on_error!r}.")
        self.id_steps = None if id_path is None else _id_steps(id_path)
        self._id_path = id_path
        self._on_error = on_error
        self.skipped = 0

    def record(self, content: Any, place: Callable[[], str]) -> Record | None:
        """Return the record of a JSON text or a row, None if it is broken and left out.

        Raises
        ------
        SourceError
            If it is broken and not to be left out; the message begins with its place.
        """
        try:
            text, document = _parsed(content)
            return Record(None if self.id_steps is None else self.id(document), text, document)
        except ValueError as error:
            if self._on_error == "stop":
                raise SourceError(f"{place()}{_reason(error)}") from None
            self.skipped += 1
            return None

    def again(self, text: bytes) -> Record:
        """Return the record of a JSON text that one was made of before."""
        document = orjson.loads(text)
        return Record(None if self.id_steps is None else self.id(document), text, document)

    def row_id(self, row: Any, place: Callable[[], str]) -> str:
        """Return the id of a row, of which no more than the first key of the id's path is needed."""
        try:
            return self.id(checked_row(row))
        except ValueError as error:
            raise SourceError(f"{place()}{_reason(error)}") from None

    def id(self, document: Any) -> str:
        """Return the id of a document, or raise ValueError."""
        value = document
        for step in self.id_steps or ():
            value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return str(value)
        found = "nothing" if value is None else f"a value of type {type(value).__name__}"
        raise ValueError(f"there is {found} at the id field {self._id_path}; an id is a string or an integer")


def _id_steps(path: str) -> Steps:
    steps = parse_path(path)
    if not steps or None in steps:
        raise SourceError(f"The id field {format_path(steps)} must name one field, without [].")
    return steps


def _parsed(content: Any) -> tuple[bytes, Any]:
    """Return the JSON text and the document of what stands for one."""
    if isinstance(content, bytes):
        return content, orjson.loads(content)
    document = checked_row(content)
    text = orjson.dumps(document)
    if b"null" in text:  # which is also what a number is written as that is not finite
        check_document(document)
    return text, document


def _reason(error: ValueError) -> str:
    """Return what is wrong as the end of a sentence; the parser's count of lines would be that of the one text."""
    if isinstance(error, DocumentError):
        return f", at {error.path}: {error.reason}."
    if isinstance(error, orjson.JSONDecodeError):
        return f": not JSON, {error.msg} at character {error.pos + 1}."
    return f": {error}."
