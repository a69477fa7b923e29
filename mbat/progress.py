"""How far a long work is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with the stage, how many documents are done in it, and how many there are, None while not known."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Tell nobody."""
