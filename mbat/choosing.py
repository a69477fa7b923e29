"""The kind of index that a name stands for."""

from __future__ import annotations

from mbat.errors import ParameterError
from mbat_indexes import KINDS


def check_kind(kind: str) -> None:
    """Raise ParameterError if there is no such kind of index."""
    if kind not in ("auto", *KINDS):
        raise ParameterError(f"There is no kind of index {kind!r}; there are auto, {', '.join(KINDS)}.")


def chosen_kind(kind: str) -> tuple[str, str]:
    """Return the kind to use, and if ``auto`` stands for it, why."""
    if kind != "auto":
        return kind, ""
    return "flat", "every vector is compared"


def is_exact(kind: str) -> bool:
    """Tell whether a search of a kind compares every vector as it is stored."""
    return KINDS[kind].effort is None and not KINDS[kind].copy
