"""The scale on which the numbers of a path are coded, chosen by the sketch of those that `fit` has met."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbat.kernels import rough_log2
from mbat.sketches import Sketch, centres
from mbat.symbols import LARGEST


@dataclass(frozen=True)
class Scale:
    """How the numbers of one path are brought to a common scale; see `mbat.leaves.LeafPlaces`."""

    unit: float = 1.0
    centre: float = 0.0
    rate: float = 1.0
    logs: bool = True


UNFITTED: Final = Scale()
"""For a path that no fit has seen: doublings, from 1 up."""

_SKEWED: Final = 2.0


def scale_of(sketch: Sketch) -> Scale:
    """Choose the scale of a path: its own standard deviation, after a logarithm if it is skewed."""
    values, counts = centres(sketch), sketch[2]
    size = float(np.abs(values).max())
    if size < 1.0 / LARGEST:
        return UNFITTED
    centre, spread, skew = _moments(values / size, counts)
    if spread == 0.0:
        return Scale(1.0 / size, centre, 1.0, logs=False)
    if abs(skew) <= _SKEWED:
        return Scale(1.0 / size, centre, 1.0 / spread, logs=False)
    unit = _unit(values, counts)
    with np.errstate(over="ignore"):
        sizes = np.minimum(np.abs(values) * unit, LARGEST)
    warped = np.sign(values) * np.array([rough_log2(1.0 + one) for one in sizes.tolist()])
    centre, spread, _ = _moments(warped, counts)
    return Scale(unit, centre, 1.0 / spread if spread > 0.0 else 1.0, logs=True)


def _unit(values: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """Return one over the median size of the values that are not 0, as a power of two."""
    order = np.argsort(np.abs(values), kind="stable")
    sizes = np.abs(values)[order]
    cumulated = np.cumsum(np.where(sizes > 0.0, counts[order], 0))
    median = sizes[np.searchsorted(cumulated, cumulated[-1] / 2)]
    return float(2.0 ** -max(int(np.frexp(median)[1]) - 1, -1000))


def _moments(values: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return mean, standard deviation and skewness, rounded so that every machine agrees."""
    total = float(counts.sum())
    mean = math.fsum(values * counts) / total  # fsum, for the last bits are all there is of a small spread
    variance = math.fsum((values - mean) ** 2 * counts) / total
    if variance <= 1e-30 * max(1.0, mean * mean):
        return float(np.float32(mean)), 0.0, 0.0
    spread = variance**0.5
    skew = float(((values - mean) ** 3 * counts).sum()) / total / spread**3
    return float(np.float32(mean)), float(np.float32(spread)), skew
