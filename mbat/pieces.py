"""Files cut into pieces that can be read apart from each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

LINES: Final = (".jsonl", ".ndjson")
"""What the name of a file ends in of which every line is a document."""

PARQUET: Final = ".parquet"

_BLOCK: Final = 1 << 20


class Piece(NamedTuple):
    """A file, or what of it begins at some places: lines at bytes, or row groups of a Parquet file at their numbers.

    Attributes
    ----------
    name : str
        The file.
    start, stop : int, int or None
        The first place, and the one after the last; None is that after the end.
    """

    name: str
    start: int = 0
    stop: int | None = None


def cut(names: Iterable[str], size: int) -> Iterator[Piece]:
    """Yield the pieces of files, in order: of about so many bytes where lines are read, else a row group or a file.

    Examples
    --------
    >>> list(cut(["a.jsonl.gz", "b.json"], 1))
    [Piece(name='a.jsonl.gz', start=0, stop=None), Piece(name='b.json', start=0, stop=None)]
    """
    for name in names:
        suffix = Path(name).suffix
        if suffix in LINES:
            total = Path(name).stat().st_size
            for start in range(0, max(total, 1), size):
                yield Piece(name, start, min(start + size, total))
        elif suffix == PARQUET:
            from mbat.parquet import row_groups

            for group in range(max(row_groups(name), 1)):
                yield Piece(name, group, group + 1)
        else:
            yield Piece(name)


def lines_of(piece: Piece, file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a piece of an open file."""
    at = 0
    if piece.start:
        file.seek(piece.start - 1)  # the line that goes on here belongs to the piece before, if only by its line break
        at = piece.start - 1 + len(file.readline())
    for line in file:
        if piece.stop is not None and at >= piece.stop:
            return
        yield line
        at += len(line)


def numbered_before(piece: Piece) -> int:
    """Return how many lines, or rows, of the file are before a piece."""
    if not piece.start:
        return 0
    if Path(piece.name).suffix == PARQUET:
        from mbat.parquet import rows_before

        return rows_before(piece.name, piece.start)
    breaks, left = 0, piece.start - 1
    with open(piece.name, "rb") as file:
        while left and (block := file.read(min(_BLOCK, left))):
            breaks += block.count(b"\n")
            left -= len(block)
    return breaks + 1
