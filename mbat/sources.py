"""Input files as records: JSON lines, JSON arrays and single documents, plain or packed, Parquet, or standard input."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from mbat.errors import DocumentError, SourceError
from mbat.extras import extra_module
from mbat.json_arrays import split_array
from mbat.packed import PACKINGS, check_packing, opened
from mbat.records import OnError, Record, RecordMaker

if TYPE_CHECKING:
    from mbat.arrow import ArrowRows

STANDARD_INPUT: Final = "-"

_LINES: Final = (".jsonl", ".ndjson")
_PARQUET: Final = ".parquet"
_UNITS: Final = {**dict.fromkeys(_LINES, "line"), _PARQUET: "row"}
_WHITESPACE: Final = b" \t\r\n"
_MARKS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_BLOCK: Final = 1 << 20


class Reader:
    """Reads files as records, one after the other, in memory that does not grow with their number.

    Parameters
    ----------
    files : iterable of str
        Names ending in .jsonl, .ndjson or .json, each also with .gz or .zst after it, or in .parquet; ``-`` is
        standard input, as JSON lines. An array in a .json file is many documents, anything else in one is one. A row of
        a Parquet file is an object of its columns that are not null.
    id_path : str or None
        Path of the field that holds each document's id; without it they have none.
    on_error : {"stop", "skip"}
        Whether a broken document ends the reading or is counted in `skipped` and left out.

    Attributes
    ----------
    bytes_read, bytes_total : int
        Bytes of the files as they lie on disk; the total is 0 if one of them is standard input.
    """

    def __init__(self, files: Iterable[str], id_path: str | None = None, on_error: OnError = "stop") -> None:
        self._files = list(files)
        self._maker = RecordMaker(id_path, on_error)
        self._on_error = on_error
        self._breaks: list[tuple[int, str, int]] = []
        self._count = self._expected = 0
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
            for number, content in self._contents(name):
                record = self._maker.record(content, partial(_place, name, number))
                if record is not None:
                    self._count_in(name, number, 1)
                    yield record

    @property
    def skipped(self) -> int:
        """How many documents were left out so far."""
        return self._maker.skipped

    @property
    def is_tabular(self) -> bool:
        """Whether `tables` reads these files: they are Parquet, and a broken document ends the reading."""
        return self._on_error == "stop" and all(Path(name).suffix == _PARQUET for name in self._files)

    def tables(self) -> Iterator[tuple[ArrowRows, list[str | None]]]:
        """Yield the rows of Parquet files, some at a time, with their ids, each None if there is no id field.

        Raises
        ------
        SourceError
            If a file cannot be read, or a row has no id.
        """
        from mbat.parquet import parquet_rows

        for name in self._files:
            number = 1
            for rows in parquet_rows(name):
                self._count_in(name, number, len(rows))
                yield rows, self._row_ids(name, number, rows)
                number += len(rows)

    def _contents(self, name: str) -> Iterator[tuple[int, Any]]:
        """Yield what stands for each document of a file, with its number: JSON text, or a row of a table."""
        before = self.bytes_read
        if name == STANDARD_INPUT:
            yield from _texts(name, sys.stdin.buffer)
        elif _format(Path(name)) == _PARQUET:
            from mbat.parquet import parquet_rows

            yield from enumerate((row for rows in parquet_rows(name) for row in rows.documents()), start=1)
            self.bytes_read = before + Path(name).stat().st_size
        else:
            with opened(name) as (file, raw):
                for number, text in _texts(name, file):
                    self.bytes_read = before + raw.tell()
                    yield number, text

    def read_again(self, text: bytes) -> Record:
        """Return the record of a JSON text that a record was yielded of."""
        return self._maker.again(text)

    def where(self, position: int) -> str:
        """Return file and line of the record yielded at a position, counted from 0."""
        first, name, number = self._breaks[bisect_right(self._breaks, position, key=lambda b: b[0]) - 1]
        return _place(name, number + position - first)

    def _count_in(self, name: str, number: int, documents: int) -> None:
        """Count documents of a file, the first of that number, so that `where` finds them again."""
        if not self._breaks or self._breaks[-1][1] != name or self._expected != number:
            self._breaks.append((self._count, name, number))
        self._expected = number + documents
        self._count += documents

    def _row_ids(self, name: str, number: int, rows: ArrowRows) -> list[str | None]:
        steps = self._maker.id_steps
        if steps is None:
            return [None] * len(rows)
        found = enumerate(rows.documents(steps[0]), start=number)
        return [self._maker.row_id(row, partial(_place, name, at)) for at, row in found]


@contextmanager
def located(reader: Reader) -> Iterator[None]:
    """Say in which file and line a document is that cannot be encoded."""
    try:
        yield
    except DocumentError as error:
        if error.position is None:
            raise
        raise SourceError(f"{reader.where(error.position)}, at {error.path}: {error.reason}.") from error


def _check_file(name: str) -> None:
    if name == STANDARD_INPUT:
        return
    path = Path(name)
    if not path.exists():
        raise SourceError(f"There is no file {name}.")
    if path.is_dir():
        raise SourceError(f"{name} is a folder; name the files in it.")
    if _format(path) == _PARQUET:
        extra_module("pyarrow.parquet", "parquet", "Reading a Parquet file")
    check_packing(name)


def _format(path: Path) -> str:
    """Return the suffix that tells the format, that of a packed file taken off."""
    packed = path.suffix in PACKINGS
    suffix = Path(path.stem).suffix if packed else path.suffix
    if suffix not in (*_LINES, ".json") and (packed or suffix != _PARQUET):
        raise SourceError(
            f"The name of {path} does not tell its format. It should end in .jsonl, .ndjson or .json, each also with "
            ".gz or .zst after it, or in .parquet; or give - and JSON lines on standard input."
        )
    return suffix


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
    return f"{name}, {_UNITS.get(_format(Path(name)), 'document')} {number}"
