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
from mbat.pieces import LINES, PARQUET, Piece, lines_of, numbered_before
from mbat.records import OnError, Record, RecordMaker

if TYPE_CHECKING:
    from mbat.arrow import ArrowRows

STANDARD_INPUT: Final = "-"

_UNITS: Final = {**dict.fromkeys(LINES, "line"), PARQUET: "row"}
_WHITESPACE: Final = b" \t\r\n"
_MARKS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_BLOCK: Final = 1 << 20


class Reader:
    """Reads files as records, one after the other, in memory that does not grow with their number.

    Parameters
    ----------
    files : iterable of str or Piece
        Names ending in .jsonl, .ndjson or .json, each also with .gz or .zst after it, or in .parquet; ``-`` is
        standard input, as JSON lines. An array in a .json file is many documents, anything else in one is one. A row of
        a Parquet file is an object of its columns that are not null. Of a piece the rest of the file is not read.
    id_path : str or None
        Path of the field that holds each document's id; without it they have none.
    on_error : {"stop", "skip"}
        Whether a broken document ends the reading or is counted in `skipped` and left out.

    Attributes
    ----------
    bytes_read, bytes_total : int
        Bytes of the files as they lie on disk; the total is 0 if one of them is standard input.
    """

    def __init__(self, files: Iterable[str | Piece], id_path: str | None = None, on_error: OnError = "stop") -> None:
        self._pieces = [Piece(file) if isinstance(file, str) else file for file in files]
        self._maker = RecordMaker(id_path, on_error)
        self._on_error = on_error
        self._breaks: list[tuple[int, Piece, int]] = []
        self._count = self._expected = 0
        self.bytes_read = 0
        names = dict.fromkeys(piece.name for piece in self._pieces)
        for name in names:
            _check_file(name)
        self.bytes_total = 0 if STANDARD_INPUT in names else sum(Path(p.name).stat().st_size for p in self._pieces)

    def __iter__(self) -> Iterator[Record]:
        """Yield the records.

        Raises
        ------
        SourceError
            If a file cannot be read, or holds something that is no JSON; the message says where.
        """
        for piece in self._pieces:
            for number, content in self._contents(piece):
                record = self._maker.record(content, partial(_place, piece, number))
                if record is not None:
                    self._count_in(piece, number, 1)
                    yield record

    @property
    def skipped(self) -> int:
        """How many documents were left out so far."""
        return self._maker.skipped

    @property
    def is_tabular(self) -> bool:
        """Whether `tables` reads these files: they are Parquet, and a broken document ends the reading."""
        return self._on_error == "stop" and all(Path(piece.name).suffix == PARQUET for piece in self._pieces)

    def tables(self) -> Iterator[tuple[ArrowRows, list[str | None]]]:
        """Yield the rows of Parquet files, some at a time, with their ids, each None if there is no id field.

        Raises
        ------
        SourceError
            If a file cannot be read, or a row has no id.
        """
        from mbat.parquet import parquet_rows

        for piece in self._pieces:
            number = 1
            for rows in parquet_rows(piece):
                self._count_in(piece, number, len(rows))
                yield rows, self._row_ids(piece, number, rows)
                number += len(rows)

    def _contents(self, piece: Piece) -> Iterator[tuple[int, Any]]:
        """Yield what stands for each document of a piece, with its number: JSON text, or a row of a table."""
        before, path = self.bytes_read, Path(piece.name)
        if piece.name == STANDARD_INPUT:
            yield from _texts(piece, sys.stdin.buffer)
        elif _format(path) == PARQUET:
            from mbat.parquet import parquet_rows

            yield from enumerate((row for rows in parquet_rows(piece) for row in rows.documents()), start=1)
            self.bytes_read = before + path.stat().st_size
        else:
            with opened(piece.name) as (file, raw):
                for number, text in _texts(piece, file):
                    self.bytes_read = before + raw.tell()
                    yield number, text

    def read_again(self, text: bytes) -> Record:
        """Return the record of a JSON text that a record was yielded of."""
        return self._maker.again(text)

    def where(self, position: int) -> str:
        """Return file and line of the record yielded at a position, counted from 0."""
        first, piece, number = self._breaks[bisect_right(self._breaks, position, key=lambda b: b[0]) - 1]
        return _place(piece, number + position - first)

    def _count_in(self, piece: Piece, number: int, documents: int) -> None:
        """Count documents of a piece, the first of that number, so that `where` finds them again."""
        if not self._breaks or self._breaks[-1][1] != piece or self._expected != number:
            self._breaks.append((self._count, piece, number))
        self._expected = number + documents
        self._count += documents

    def _row_ids(self, piece: Piece, number: int, rows: ArrowRows) -> list[str | None]:
        steps = self._maker.id_steps
        if steps is None:
            return [None] * len(rows)
        found = enumerate(rows.documents(steps[0]), start=number)
        return [self._maker.row_id(row, partial(_place, piece, at)) for at, row in found]


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
    if _format(path) == PARQUET:
        extra_module("pyarrow.parquet", "parquet", "Reading a Parquet file")
    check_packing(name)


def _format(path: Path) -> str:
    """Return the suffix that tells the format, that of a packed file taken off."""
    packed = path.suffix in PACKINGS
    suffix = Path(path.stem).suffix if packed else path.suffix
    if suffix not in (*LINES, ".json") and (packed or suffix != PARQUET):
        raise SourceError(
            f"The name of {path} does not tell its format. It should end in .jsonl, .ndjson or .json, each also with "
            ".gz or .zst after it, or in .parquet; or give - and JSON lines on standard input."
        )
    return suffix


def _texts(piece: Piece, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the JSON text of each document with its number in the piece, from 1: that of its line, or in the array."""
    name = piece.name
    if name == STANDARD_INPUT or _format(Path(name)) in LINES:
        for number, line in enumerate(lines_of(piece, file), start=1):
            text = (_unmarked(name, line) if number == 1 and not piece.start else line).strip(_WHITESPACE)
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


def _place(piece: Piece, number: int) -> str:
    """Return the place of a document, of its number in the piece."""
    if piece.name == STANDARD_INPUT:
        return f"standard input, line {number}"
    return f"{piece.name}, {_UNITS.get(_format(Path(piece.name)), 'document')} {numbered_before(piece) + number}"
