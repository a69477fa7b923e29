"""An explanation as a table for people: a line a field, with a bar."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from mbat.explaining import ALL_ELSE, Explanation, Part
from mbat.picking import same_json
from mbat.terminal import cut, padded, printable, width_of

_BAR: Final = 12
_LEAST: Final = 0.0005
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_WORD: Final = re.compile(r"\w+")
_FULL, _MISSING = "█", "░"


def explanation_table(why: Explanation, width: int = 80) -> str:
    """Return the table, its lines at most so many characters wide.

    A bar shows what a field adds, and in grey what it would add besides if the documents agreed in it. Fields of which
    both are next to nothing have no line.
    """
    unit = max(map(_extent, why.parts)) or 1.0
    parts = [part for part in why.parts if part.path == ALL_ELSE or _extent(part) >= _LEAST]
    names = [part_name(part) for part in parts]
    name_width = min(max(map(width_of, names)), width // 3)
    room = width - name_width - _BAR - 10
    agreement = "" if why.agreement is None else f", agreement in the fields asked for {why.agreement:.3f}"
    lines = [f"score {why.score:.3f}{agreement}"]
    for name, part in zip(names, parts, strict=True):
        bar, values = _bar(part, unit), part_values(part, room)
        line = f"{padded(cut(name, name_width), name_width)} {part.contribution:7.3f} {bar} {values}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _extent(part: Part) -> float:
    return max(part.possible, abs(part.contribution))


def part_name(part: Part) -> str:
    """Return the path of a part, or both of its paths."""
    if part.other_path is None or part.other_path == part.path:
        return printable(part.path)
    return printable(f"{part.path} <-> {part.other_path}")


def _bar(part: Part, unit: float) -> str:
    """Return a bar of eighths of characters; what is taken away is dotted."""
    if part.contribution < 0:
        return ("-" * round(-part.contribution / unit * _BAR)).ljust(_BAR)
    eighths = round(part.contribution / unit * _BAR * 8)
    bar = (_FULL * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()
    return bar.ljust(round(part.possible / unit * _BAR), _MISSING).ljust(_BAR)


def part_values(part: Part, room: int) -> str:
    """Return the two values; where there is no room for both the words that they share, or the start of each."""
    if part.path == ALL_ELSE:
        return ""
    one, other = _text(part.value), "missing" if part.other_path is None else _text(part.other_value)
    if part.other_path is not None and same_json(part.value, part.other_value):
        return cut(f"= {one}", room)
    if width_of(one) + width_of(other) <= room - 3:
        return f"{one} | {other}"
    if shared := _shared_words(part.value, part.other_value):
        return cut(f"both: {shared}", room)
    half = (room - 3) // 2
    first = cut(one, max(half, room - 3 - width_of(other)))
    return f"{first} | {cut(other, room - 3 - width_of(first))}"


def _shared_words(one: Any, other: Any) -> str:
    """Return the words that two texts, or lists of texts, have in common, each once."""
    words, others = (_WORD.findall(_joined(value).casefold()) for value in (one, other))
    known = set(others)
    return printable(" ".join(dict.fromkeys(word for word in words if word in known)))


def _joined(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(text for text in value if isinstance(text, str))
    return value if isinstance(value, str) else ""


def _text(value: Any) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":")))
