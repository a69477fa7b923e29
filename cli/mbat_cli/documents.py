"""Documents on the command line: JSON, the name of a file, or lines of standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from mbat.errors import SourceError

_SPACES: Final = bytes.maketrans(b"\r\n", b"  ")  # in JSON text, a line break is white space and no more


def parsed_document(document: str) -> Any:
    """Return the document that an argument stands for: JSON, or the file named after an ``@``."""
    if document.startswith("@"):
        path = Path(document[1:])
        try:
            text, place = path.read_bytes(), str(path)
        except OSError as error:
            raise SourceError(f"The query file {path} cannot be read: {error.strerror}.") from error
    else:
        text, place = document.encode("utf-8", "surrogateescape"), "The query"
    return _loaded(text, place)


def documents_of_input() -> Iterator[Any]:
    """Yield the documents of the lines of standard input."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if line.strip():
            yield _loaded(line, f"standard input, line {number}")


def _loaded(text: bytes, place: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SourceError(f"{place} is not JSON: {error.msg} at character {error.pos + 1}.") from None


def one_line(text: bytes) -> bytes:
    """Return a JSON text as a line."""
    return text.translate(_SPACES) + b"\n"
