"""Sketches: how often which numbers occur, in bounded room: the more differ, the fewer of their bits are kept."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbat.symbols import LARGEST

SKETCH_BINS: Final = 1024
"""Distinct values that a path's sketch holds before it becomes coarser."""

_SIGN: Final = np.uint64(1 << 63)

Sketch = tuple[int, NDArray[np.uint64], NDArray[np.int64]]
"""Bits dropped, the distinct values left (as ordered integers, rising), how often each occurs."""


def ordered_integers(numbers: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return the bits of floats as integers in the same order; -0.0 counts as 0.0."""
    bits = (numbers + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def ordered_floats(integers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return the floats of ordered integers; the inverse of `ordered_integers`."""
    return np.where(integers & _SIGN, integers & ~_SIGN, ~integers).view(np.float64)


def _shifted(sketch: Sketch, dropped: int) -> Sketch:
    """Drop low bits, so that `dropped` are gone in all."""
    integers = sketch[1] >> np.uint64(dropped - sketch[0])
    distinct, inverse = np.unique(integers, return_inverse=True)
    counts = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(counts, inverse, sketch[2])
    return dropped, distinct, counts


def summed(a: Sketch, b: Sketch) -> Sketch:
    """Return the sketch of the values of both, perhaps of more than SKETCH_BINS."""
    dropped = max(a[0], b[0])
    a, b = _shifted(a, dropped), _shifted(b, dropped)
    return _shifted((dropped, np.r_[a[1], b[1]], np.r_[a[2], b[2]]), dropped)


def coarsened(dropped: int, integers: NDArray[np.uint64], counts: NDArray[np.int64]) -> Sketch:
    """Drop as few low bits as leave at most SKETCH_BINS distinct values.

    What is dropped in the end depends on all values alone and not on their order: a part never needs
    more dropped than the whole.
    """
    sketch = (dropped, integers, counts)
    while len(sketch[1]) > SKETCH_BINS:
        sketch = _shifted(sketch, sketch[0] + 1)
    return sketch


def same(a: Sketch, b: Sketch) -> bool:
    """Tell whether two sketches are equal."""
    return a[0] == b[0] and np.array_equal(a[1], b[1]) and np.array_equal(a[2], b[2])


def spread_of(sketch: Sketch) -> tuple[float, float]:
    """Return the least and the greatest number of a sketch."""
    values = centres(sketch)
    return float(values[0]), float(values[-1])


def centres(sketch: Sketch) -> NDArray[np.float64]:
    """Return the middle of each bin of a sketch."""
    dropped, integers, _ = sketch
    half = np.uint64((1 << dropped) >> 1)
    lowest, highest = ordered_integers(np.array([-LARGEST, LARGEST]))
    return ordered_floats(np.clip((integers << np.uint64(dropped)) | half, lowest, highest))
