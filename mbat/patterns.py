"""Patterns of paths, for rules that hold in many places: ``*`` stands for any one key, ``**`` for any steps or none."""

from __future__ import annotations

from enum import Enum

from mbat.errors import PathError
from mbat.paths import ELEMENT, Steps, format_path, parsed_steps


class Wild(Enum):
    """A step that stands for others."""

    KEY = "*"
    STEPS = "**"


Pattern = tuple[str | Wild | None, ...]
"""The steps of a pattern: a key, None for "any element of the array", or a wild one."""

_WILD = {one.value: one for one in Wild}


def parse_pattern(text: str) -> Pattern:
    """Read a pattern: a path in which ``*`` and ``**``, if they are not quoted, are no keys.

    Raises
    ------
    PathError
        If it is not well formed, or ends with ``**``: what holds of a path holds of all below it anyway.

    Examples
    --------
    >>> parse_pattern("offers[].*.price")
    ('offers', None, <Wild.KEY: '*'>, 'price')
    """
    pattern = tuple(_WILD.get(step or "", step) if plain else step for step, plain in parsed_steps(text))
    if pattern and pattern[-1] is Wild.STEPS:
        raise PathError(f"The pattern {text!r} ends with **. A rule holds of all below its path: leave it out.")
    return pattern


def format_pattern(pattern: Pattern) -> str:
    """Write a pattern; the inverse of `parse_pattern`.

    Examples
    --------
    >>> format_pattern((Wild.STEPS, "id")), format_pattern(("**", "id"))
    ('**.id', '"**".id')
    """
    written = ""
    for step in pattern:
        if isinstance(step, Wild):
            written += f".{step.value}" if written else step.value
        elif step is None:
            written += ELEMENT
        else:
            key = f'"{step}"' if step in _WILD else format_path([step])
            written += f".{key}" if written else key
    return written or "$"


def is_wild(pattern: Pattern) -> bool:
    """Return whether some step stands for others."""
    return any(isinstance(step, Wild) for step in pattern)


def matches(pattern: Pattern, steps: Steps) -> bool:
    """Return whether a path, as a whole, is one that a pattern stands for.

    Examples
    --------
    >>> matches(parse_pattern("**.id"), ("offers", None, "id")), matches(parse_pattern("*.id"), ("id",))
    (True, False)
    """
    reached = {0}  # how many steps of the pattern may be behind us
    for step in steps:
        reached = _past_many(pattern, reached)
        reached = {at if pattern[at] is Wild.STEPS else at + 1 for at in reached if _stands_for(pattern, at, step)}
    return len(pattern) in _past_many(pattern, reached)


def _past_many(pattern: Pattern, reached: set[int]) -> set[int]:
    """Add the places behind each ``**``, which may stand for nothing."""
    found = set(reached)
    for at in range(len(pattern)):
        if at in found and pattern[at] is Wild.STEPS:
            found.add(at + 1)
    return found


def _stands_for(pattern: Pattern, at: int, step: str | None) -> bool:
    if at == len(pattern):
        return False
    wanted = pattern[at]
    return wanted == step or wanted is Wild.STEPS or (wanted is Wild.KEY and step is not None)
