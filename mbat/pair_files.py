"""Pairs of duplicates in a file, so that they can be grouped by another threshold without being found again.

JSON lines: the first tells threshold, documents and how many pairs follow, each other one is a pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from mbat.duplicates import Duplicates, Pair, check_threshold
from mbat.errors import MbatError, ParameterError, SourceError
from mbat.pairs import Pairs

_ROUNDED: Final = 1e-9


def save_pairs(duplicates: Duplicates, path: Path) -> None:
    """Write pairs to a file.

    Raises
    ------
    MbatError
        If it cannot be written.
    """
    header = {"threshold": duplicates.threshold, "documents": duplicates.documents, "pairs": len(duplicates)}
    try:
        with path.open("wb") as file:
            file.write(orjson.dumps(header) + b"\n")
            file.writelines(orjson.dumps(plain_pair(pair)) + b"\n" for pair in duplicates.pairs())
    except OSError as error:
        raise MbatError(f"The pairs cannot be written to {path}: {error.strerror or error}.") from error


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
    found: list[Pair] = []
    ids: dict[int, str] = {}
    for number, value in numbered:
        pair = _pair(value, header)
        if pair is None or any(ids.setdefault(p, one) != one for p, one in zip(pair.positions, pair.ids, strict=True)):
            raise SourceError(f"{path}, line {number}: this is no pair that mbat dedup --pairs has written.")
        found.append(pair)
    if len(found) != header["pairs"]:
        raise SourceError(f"{path} holds {len(found):,} pairs instead of {header['pairs']:,}: it is not whole.")
    positions = np.array([pair.positions for pair in found], dtype=np.int64).reshape(-1, 2)
    scores = np.array([pair.score for pair in found], dtype=np.float64)
    pairs = Pairs(positions[:, 0], positions[:, 1], scores)
    return Duplicates(header["threshold"], header["documents"], ids, pairs)


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
    return all(type(value[name]) is int and value[name] >= 0 for name in ("documents", "pairs"))


def _pair(value: Any, header: dict[str, Any]) -> Pair | None:
    """Return the pair that a line stands for; None if it is none."""
    match value:
        case {"ids": [str(one), str(other)], "positions": [int(first), int(second)], "score": int() | float() as score}:
            rising = 0 <= first < second < header["documents"] and type(first) is type(second) is int
            if rising and header["threshold"] - _ROUNDED <= score <= 1:
                return Pair((one, other), (first, second), float(score))
    return None
