"""Rows of sums, one for each open object or array of a document: symbols are scattered into them, and they are folded.

A row of few entries notes where these are, so that a small object does not cost as much as the whole length of the
vectors. The sums are the same, to the last bit, as if it did not.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.atoms import BLOCKS, ENTRY, atom_entry
from mbat.kernels import nth
from mbat.leaves import SymbolBuffer

_NOTED_PART: Final = 4
_DENSE: Final = -1


class Rows(NamedTuple):
    """Rows by level; row 0 is that of the document.

    Attributes
    ----------
    sums : float64 array of shape (levels * dim,)
        The rows, one after the other.
    counts : int64 array of shape (levels,)
        How many places are noted for each row; -1 for a row of too many, which row 0 is always.
    noted : int32 array of shape (levels * room,)
        The places where a row may be other than 0, some perhaps more than once.
    scratch : float64 array of shape (room,)
        The values at the noted places of a row that is folded.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.int64]
    noted: NDArray[np.int32]
    scratch: NDArray[np.float64]


def empty_rows(levels: int, dim: int) -> Rows:
    """Return rows of zeros."""
    room = dim // _NOTED_PART
    return Rows(
        sums=np.zeros(levels * dim),
        counts=np.full(levels, _DENSE, dtype=np.int64),
        noted=np.empty(levels * room, dtype=np.int32),
        scratch=np.empty(room),
    )


def _note(level: int, more: int, rows: Rows) -> Any:
    """Make room to note some places of a row; return where to write them, or -1 if the row need not note any."""
    count, room = rows.counts[level], len(rows.scratch)
    if count == _DENSE or count + more > room:
        rows.counts[level] = _DENSE
        return _DENSE
    rows.counts[level] = count + more
    return level * room + count


def add_atom(code: int, weight: float, level: int, dim: int, rows: Rows) -> None:
    """Add an atom, times a weight, to a row."""
    notes = _note(level, BLOCKS, rows)
    for block in range(BLOCKS):
        place, negative = atom_entry(code, block, dim)
        rows.sums[nth(level * dim + place)] += -ENTRY * weight if negative else ENTRY * weight
        if notes >= 0:
            rows.noted[nth(notes + block)] = place


def scatter(
    first: int, last: int, symbols: SymbolBuffer, level: int, dim: int, rows: Rows, matrix: Any, at: int
) -> None:
    """Add symbols to a row, one part of each as it is and one bound."""
    start = level * dim
    notes = _note(level, 2 * BLOCKS * (last - first), rows)
    for i in range(first, last):
        code = symbols.codes[nth(i)]
        free, bound = ENTRY * symbols.free[nth(i)], ENTRY * symbols.bound[nth(i)]
        for block in range(BLOCKS):
            place, negative = atom_entry(code, block, dim)
            rows.sums[nth(start + place)] += -free if negative else free
            target = matrix[nth(at + place)] ^ negative
            rows.sums[nth(start + (target >> 1))] += -bound if target & 1 else bound
            if notes >= 0:
                rows.noted[nth(notes)], rows.noted[nth(notes + 1)] = place, target >> 1
                notes += 2


def fold(level: int, dim: int, rows: Rows, matrix: Any, at: int, plain: float, bound: float) -> None:
    """Add a row to the one below it, unbound by one share and bound by another, and clear it."""
    if rows.counts[level] == _DENSE:
        _fold_densely(level * dim, (level - 1) * dim, dim, rows.sums, matrix, at, plain, bound)
        rows.counts[level - 1] = _DENSE
    else:
        _fold_noted(level, dim, rows, matrix, at, plain, bound)


def _fold_densely(
    source: int, target: int, dim: int, sums: Any, matrix: Any, at: int, plain: float, bound: float
) -> None:
    for i in range(dim):
        step = matrix[nth(at + i)]
        value = bound * sums[nth(source + i)]
        sums[nth(target + (step >> 1))] += -value if step & 1 else value
    for i in range(dim):
        sums[nth(target + i)] += plain * sums[nth(source + i)]
        sums[nth(source + i)] = 0.0


def _fold_noted(level: int, dim: int, rows: Rows, matrix: Any, at: int, plain: float, bound: float) -> None:
    """Fold a row by its noted places; a place that is noted again has been cleared by then."""
    count, source, target = rows.counts[level], level * dim, (level - 1) * dim
    first = level * len(rows.scratch)
    notes = _note(level - 1, 2 * count, rows)
    for i in range(count):
        place = rows.noted[nth(first + i)]
        rows.scratch[nth(i)] = rows.sums[nth(source + place)]
        rows.sums[nth(source + place)] = 0.0
        step = matrix[nth(at + place)]
        value = bound * rows.scratch[nth(i)]
        rows.sums[nth(target + (step >> 1))] += -value if step & 1 else value
        if notes >= 0:
            rows.noted[nth(notes + i)] = step >> 1
    for i in range(count):
        place = rows.noted[nth(first + i)]
        rows.sums[nth(target + place)] += plain * rows.scratch[nth(i)]
        if notes >= 0:
            rows.noted[nth(notes + count + i)] = place


def finish(document: int, dim: int, rows: Rows, out: Any) -> None:
    """Write the row of a whole document, normalised, and clear it."""
    sums = rows.sums
    even = odd = 0.0
    for i in range(0, dim - 1, 2):
        even += sums[nth(i)] * sums[nth(i)]
        odd += sums[nth(i + 1)] * sums[nth(i + 1)]
    if dim & 1:
        even += sums[nth(dim - 1)] * sums[nth(dim - 1)]
    total = even + odd
    scale = 1.0 / math.sqrt(total) if total > 0.0 else 0.0
    at = document * dim
    for i in range(dim):
        out[nth(at + i)] = sums[nth(i)] * scale
        sums[nth(i)] = 0.0


ROWS: Final = (atom_entry, _note, add_atom, scatter, fold, _fold_densely, _fold_noted, finish)
"""What a kernel that works on rows has to name as its helpers."""
