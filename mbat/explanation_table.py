"""An explanation as a table for people: a line a field, with a bar."""

from __future__ import annotations

from typing import Any, Final

import orjson

from mbat.explaining import ALL_ELSE, Explanation, Part

_BAR: Final = 12
_LEAST: Final = 0.0005
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_FULL, _MISSING = "█", "░"


def explanation_table(why: Explanation, width: int = 80) -> str:
    """Return the table, its lines at most so many characters wide.

    A bar shows what a field adds, and in grey what it would add besides if the documents agreed in it. Fields of which
    both are next to nothing have no line.
    """
    unit = max(map(_extent, why.parts)) or 1.0
    parts = [
        part for part in why.parts if max(part.possible, abs(part.contribution)) >= _LEAST or part.path == ALL_ELSE
    ]
    names = [part_name(part) for part in parts]
    name_width = min(max(map(len, names)), width // 3)
    room = width - name_width - _BAR - 10
    lines = [f"score {why.score:.3f}, agreement in the fields asked for {why.agreement:.3f}"]
    for name, part in zip(names, parts, strict=True):
        bar, values = _bar(part, unit), part_values(part, room)
        line = f"{cut(name, name_width):{name_width}} {part.contribution:7.3f} {bar} {values}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _extent(part: Part) -> float:
    return max(part.possible, abs(part.contribution))


def part_name(part: Part) -> str:
    """Return the path of a part, or both of its paths."""
    if part.other_path is None or part.other_path == part.path:
        return part.path
    return f"{part.path} <-> {part.other_path}"


def _bar(part: Part, unit: float) -> str:
    """Return a bar of eighths of characters; what is taken away is dotted."""
    if part.contribution < 0:
        return ("-" * round(-part.contribution / unit * _BAR)).ljust(_BAR)
    eighths = round(part.contribution / unit * _BAR * 8)
    bar = (_FULL * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()
    return bar.ljust(round(part.possible / unit * _BAR), _MISSING).ljust(_BAR)


def part_values(part: Part, room: int) -> str:
    """Return the two values, each cut to its half of the room."""
    if part.path == ALL_ELSE:
        return ""
    one, other = _text(part.value), "missing" if part.other_path is None else _text(part.other_value)
    if part.other_path is not None and part.value == part.other_value:
        return cut(f"= {one}", room)
    half = (room - 3) // 2
    if len(one) + len(other) <= room - 3:
        return f"{one} | {other}"
    spare = half - len(other) if len(other) < half else 0
    first = cut(one, half + max(spare, 0))
    return f"{first} | {cut(other, room - 3 - len(first))}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value.isprintable() else orjson.dumps(value).decode()


def cut(text: str, width: int) -> str:
    """Return a text, cut to a width, with an ellipsis if something is gone."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"
