"""Input files as records: JSON lines, JSON arrays and single documents, plain or gzipped, or standard input."""

from __future__ import annotations

import gzip
import sys
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import orjson

from mbat.errors import SourceError
from mbat.json_arrays import split_array
from mbat.paths import Steps, format_path, parse_path

STANDARD_INPUT: Final = "-"

_LINES: Final = (".jsonl", ".ndjson")
_WHITESPACE: Final = b" \t\r\n"
_MARKS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_BLOCK: Final = 1 << 20

OnError = Literal["stop", "skip"]


class Record(NamedTuple):
    """A document with its id, None if it is to be numbered, and the JSON text that it came as."""

    id: str | None
    text: bytes
    document: Any


class Reader:
    """Reads files as records, one after the other, in memory that does not grow with their number.

    Parameters
    ----------
    files : iterable of str
        Names ending in .jsonl, .ndjson or .json, each also with .gz after it; ``-`` is standard input,
        as JSON lines. An array in a .json file is many documents, anything else in one is one.
    id_path : str or None
        Path of the field that holds each document's id; without it they have none.
    on_error : {"stop", "skip"}
        Whether a broken document ends the reading or is counted in `skipped` and left out.

    Attributes
    ----------
    skipped : int
        How many documents were left out so far.
    bytes_read, bytes_total : int
        Bytes of the files as they lie on disk; the total is 0 if one of them is standard input.
    """

    def __init__(self, files: Iterable[str], id_path: str | None = None, on_error: OnError = "stop") -> None:
        self._files = list(files)
        self._id_steps = None if id_path is None else _id_steps(id_path)
        self._id_path = id_path
        self._on_error = on_error
        self._breaks: list[tuple[int, str, int]] = []
        self._count = self._expected = 0
        self.skipped = 0
        self.bytes_read = 0
        for name in self._files:
            _check_file(name)
        named = STANDARD_INPUT not in self._files
        self.bytes_total = sum(Path(name).stat().st_size for name in self._files) if named else 0

    def __iter__(self) -> Iterator[Record]:
        """Yield the records.

        Raises
        ------
        SourceError
            If a file cannot be read, or holds something that is no JSON; the message says where.
        """
        for name in self._files:
            before = self.bytes_read
            with _opened(name) as (file, raw):
                try:
                    for number, text in _texts(name, file):
                        if name != STANDARD_INPUT:
                            self.bytes_read = before + raw.tell()
                        record = self._record(name, number, text)
                        if record is not None:
                            yield record
                except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                    raise SourceError(f"{name} is not a whole gzip file: {error}") from error
                except OSError as error:
                    raise SourceError(f"{name} cannot be read: {error.strerror or error}.") from error

    def where(self, position: int) -> str:
        """Return file and line of the record yielded at a position, counted from 0."""
        first, name, number = self._breaks[bisect_right(self._breaks, position, key=lambda b: b[0]) - 1]
        return _place(name, number + position - first)

    def _record(self, name: str, number: int, text: bytes) -> Record | None:
        try:
            document = orjson.loads(text)
            one = None if self._id_steps is None else self._id(document)
        except ValueError as error:
            if self._on_error == "skip":
                self.skipped += 1
                return None
            raise SourceError(f"{_place(name, number)}: {_reason(error)}") from None
        if not self._breaks or self._breaks[-1][1] != name or self._expected != number:
            self._breaks.append((self._count, name, number))
        self._expected = number + 1
        self._count += 1
        return Record(one, text, document)

    def _id(self, document: Any) -> str:
        value = document
        for step in self._id_steps or ():
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


def _check_file(name: str) -> None:
    if name == STANDARD_INPUT:
        return
    path = Path(name)
    if not path.exists():
        raise SourceError(f"There is no file {name}.")
    if path.is_dir():
        raise SourceError(f"{name} is a folder; name the files in it.")
    _format(path)


def _format(path: Path) -> str:
    """Return the suffix that tells the format, .gz taken off."""
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix not in (*_LINES, ".json"):
        raise SourceError(
            f"The name of {path} does not tell its format. It should end in .jsonl, .ndjson or .json, "
            "each also with .gz after it; or give - and JSON lines on standard input."
        )
    return suffix


class _opened:  # noqa: N801, used like a function
    """Open a file, unpacked, beside the raw file that tells how far it was read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> tuple[BinaryIO, BinaryIO]:
        if self._name == STANDARD_INPUT:
            return sys.stdin.buffer, sys.stdin.buffer
        try:
            self._raw = open(self._name, "rb")
        except OSError as error:
            raise SourceError(f"{self._name} cannot be read: {error.strerror}.") from error
        packed = self._name.endswith(".gz")
        return (gzip.open(self._raw, "rb") if packed else self._raw), self._raw  # type: ignore[return-value]

    def __exit__(self, *_: object) -> None:
        if self._name != STANDARD_INPUT:
            self._raw.close()


def _texts(name: str, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the JSON text of each document with its number, from 1: its line, or its place in the array."""
    if name == STANDARD_INPUT or _format(Path(name)) in _LINES:
        for number, line in enumerate(file, start=1):
            text = (_unmarked(name, line) if number == 1 else line).strip(_WHITESPACE)
            if text:
                yield number, text
        return
    block = _unmarked(name, file.read(_BLOCK))
    while block and not block.strip(_WHITESPACE):
        block = file.read(_BLOCK)
    if block.lstrip(_WHITESPACE).startswith(b"["):
        yield from enumerate(split_array(name, block.lstrip(_WHITESPACE), file), start=1)
    else:
        yield 1, (block + file.read()).strip(_WHITESPACE)


def _unmarked(name: str, start: bytes) -> bytes:
    """Take the UTF-8 byte order mark off the start of a file; refuse other encodings."""
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            raise SourceError(f"{name} is encoded as {encoding}; JSON files are UTF-8. Convert it first.")
    return start.removeprefix(_UTF8_MARK)


def _place(name: str, number: int) -> str:
    if name == STANDARD_INPUT:
        return f"standard input, line {number}"
    return f"{name}, {'line' if _format(Path(name)) in _LINES else 'document'} {number}"


def _reason(error: ValueError) -> str:
    """Return what the parser says as the end of a sentence; its line count would be that of the one text."""
    said = str(error)
    if isinstance(error, orjson.JSONDecodeError):
        return f"not JSON, {error.msg} at character {error.pos + 1}."
    return f"{said}."
