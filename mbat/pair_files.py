"""Pairs of duplicates in a file, so that they can be grouped by another threshold without being found again.

JSON lines: the first tells threshold, documents and how many pairs follow, each other one is a pair.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import orjson

from mbat.duplicates import Duplicates, Pair, check_threshold
from mbat.errors import MbatError, ParameterError, SourceError
from mbat.pairs import Pairs

_ROUNDED: Final = 1e-9
_MOST_DOCUMENTS: Final = (1 << 63) - 1


def check_pairs_file(path: Path, inputs: Iterable[Path]) -> None:
    """Refuse a file for pairs that cannot be written, or is one of the inputs or within it, before any work is done.

    Raises
    ------
    ParameterError
        If it is of the inputs.
    MbatError
        If it cannot be written.
    """
    place = path.resolve()
    for one in inputs:
        if place.is_relative_to(one.resolve()) or (path.exists() and one.exists() and path.samefile(one)):
            raise ParameterError(f"The pairs cannot be written to {path}: the documents are there. Name another file.")
    with _written(path):
        pass


def save_pairs(duplicates: Duplicates, path: Path) -> None:
    """Write pairs to a file, which is there when it is whole; until then what was there stays.

    Raises
    ------
    MbatError
        If it cannot be written.
    """
    header = {"threshold": duplicates.threshold, "documents": duplicates.documents, "pairs": len(duplicates)}
    with _written(path) as file:
        file.write(orjson.dumps(header) + b"\n")
        file.writelines(orjson.dumps(plain_pair(pair)) + b"\n" for pair in duplicates.pairs())
        file.flush()
        os.replace(file.name, path.resolve())


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside the one to be written, which is gone afterwards unless it was moved."""
    place = path.resolve()
    if place.exists() and not place.is_file():
        raise MbatError(f"The pairs cannot be written to {path}: it is there and no file.")
    partial = place.with_name(f".{place.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
    except OSError as error:
        raise MbatError(f"The pairs cannot be written to {path}: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)


def plain_pair(pair: Pair) -> dict[str, Any]:
    """Return a pair as JSON."""
    return {"ids": pair.ids, "positions": pair.positions, "score": pair.score}


def load_pairs(path: Path) -> Duplicates:
    """Read pairs that `save_pairs` has written.

    Raises
    ------
    SourceError
        If there is no such file, or it is no file of pairs, or not a whole one; the message says where.
    """
    try:
        with path.open("rb") as file:
            return _parsed(path, file)
    except OSError as error:
        raise SourceError(f"The pairs {path} cannot be read: {error.strerror or error}.") from error


def _parsed(path: Path, lines: Iterable[bytes]) -> Duplicates:
    numbered = _lines(path, lines)
    header: Any = next(numbered, (1, None))[1]
    if not _is_header(header):
        raise SourceError(f"{path} is no file of pairs that mbat dedup --pairs has written.")
    positions, scores = array("q"), array("d")
    ids: dict[int, str] = {}
    last = (-1, -1)
    for number, value in numbered:
        pair = _pair(value, header)
        if pair is None or not _agrees(pair, ids):
            raise SourceError(f"{path}, line {number}: this is no pair that mbat dedup --pairs has written.")
        if pair.positions <= last:
            what = "the same pair as" if pair.positions == last else "a pair of earlier documents than"
            raise SourceError(f"{path}, line {number}: this is {what} the one before it. Make the file anew.")
        last = pair.positions
        positions.extend(pair.positions)
        scores.append(pair.score)
    if len(scores) != header["pairs"]:
        raise SourceError(f"{path} holds {len(scores):,} pairs instead of {header['pairs']:,}: it is not whole.")
    rows = np.array(positions, dtype=np.int64).reshape(-1, 2)
    pairs = Pairs(rows[:, 0].copy(), rows[:, 1].copy(), np.array(scores, dtype=np.float64))
    return Duplicates(header["threshold"], header["documents"], ids, pairs)


def _agrees(pair: Pair, ids: dict[int, str]) -> bool:
    """Note the ids of a pair; return whether its documents had no others before."""
    (one, other), (first, second), _ = pair
    return ids.setdefault(first, one) == one and ids.setdefault(second, other) == other


def _lines(path: Path, lines: Iterable[bytes]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, start=1):
        try:
            yield number, orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise SourceError(f"{path}, line {number}: not JSON, {error.msg} at character {error.pos + 1}.") from None


def _is_header(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"threshold", "documents", "pairs"}:
        return False
    try:
        check_threshold(value["threshold"])
    except ParameterError:
        return False
    return all(type(value[name]) is int and 0 <= value[name] <= _MOST_DOCUMENTS for name in ("documents", "pairs"))


def _pair(value: Any, header: dict[str, Any]) -> Pair | None:
    """Return the pair that a line stands for; None if it is none."""
    try:
        ids, positions, score = value["ids"], value["positions"], value["score"]
        (one, other), (first, second) = ids, positions
    except (KeyError, TypeError, ValueError):
        return None
    plain = type(ids) is type(positions) is list and type(one) is type(other) is str and type(score) in (int, float)
    rising = plain and type(first) is type(second) is int and 0 <= first < second < header["documents"]
    if rising and header["threshold"] - _ROUNDED <= score <= 1:
        return Pair((one, other), (first, second), float(score))
    return None
