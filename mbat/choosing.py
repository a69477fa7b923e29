"""The kind of index that a name stands for."""

from __future__ import annotations

import os

from mbat.errors import ParameterError
from mbat_indexes import KINDS, choose_kind


def check_kind(kind: str) -> None:
    """Raise ParameterError if there is no such kind of index."""
    if kind not in ("auto", *KINDS):
        raise ParameterError(f"There is no kind of index {kind!r}; there are auto, {', '.join(KINDS)}.")


def chosen_kind(kind: str, count: int, dim: int) -> tuple[str, str]:
    """Return the kind to use for some vectors, and if ``auto`` stands for it, why, in a sentence."""
    if kind != "auto":
        return kind, ""
    choice = choose_kind(count, dim, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return choice.kind, choice.reason


def is_exact(kind: str) -> bool:
    """Tell whether a search of a kind compares every vector as it is stored."""
    return KINDS[kind].effort is None and not KINDS[kind].copy
