"""Decoding: which value a vector holds at a path.

A value is compared with the vector by what it would add to it there: the vector of the document that has the value at
the path and nothing else, without the symbols that say which keys are there, for these are alike for all values. So
what softness leaves unbound counts too. It also shows what other fields hold, so the candidates are coded at half the
encoder's softness: over records of fields with words in common that finds more than all of it, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.paths import Steps
from mbat.picking import values_at
from mbat.pipeline import batched
from mbat.scales import Scale
from mbat.sketches import Sketch, spread_of
from mbat.symbols import LARGEST

if TYPE_CHECKING:
    from mbat.encoder import Encoder

CANDIDATE_SOFTNESS: Final = 0.5
"""Softness of the candidates, over that of the encoder."""

FILLER_KEY: Final = "mbat: nothing"
"""A key that is left out, so that an element of an array may add nothing."""

_POSITION_BITS: Final = 3
_BATCH: Final = 256
_LOOKED_AT: Final = 256

_MARGIN: Final = 1.0
_GRID: Final = 4096
_STEP: Final = 0.01
_ZOOM: Final = 256
_ZOOMS: Final = 3
_UNITS: Final = 3.0

Rows = Callable[[list[Any]], NDArray[np.float32]]
"""Returns the vectors of documents, of norm 1, each of which has but one value."""

Fit = Callable[[Sequence[Any]], NDArray[np.float64]]
"""Returns for each value its cosine with a vector, as what it would add to that."""


@dataclass(frozen=True)
class Number:
    """A number that was read back out of a vector.

    Attributes
    ----------
    value : float
        The one that fits best. Numbers beyond 1e300 are coded as that, so they are read as that too.
    low, high : float
        The error bar: the least and the greatest number of which the square of the cosine is within ``9 / dim`` of that
        of the best, which is three noise units, of 1/sqrt(dim), in terms of likelihood.
    cosine : float
        Of the vector and what the number would add to it. Below some 4 noise units it may be of chance.
    """

    value: float
    low: float
    high: float
    cosine: float


def distinct_values(documents: Iterable[Any], steps: Steps, most: int) -> list[Any]:
    """Return the first distinct values that stand at a path of documents, at most so many.

    Examples
    --------
    >>> distinct_values([{"a": 1}, {"a": True}, {}, {"a": 1}, {"a": "x"}], ("a",), 9)
    [1, True, 'x']
    """
    found: dict[bytes, Any] = {}
    for document in documents:
        for value in values_at(document, steps):
            found.setdefault(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), value)
            if len(found) == most:
                return list(found.values())
    return list(found.values())


def point_around(encoder: Encoder, documents: Iterable[Any], steps: Steps) -> Steps | None:
    """Return the path of the points whose latitudes or longitudes stand at a path of the first documents with it.

    Returns
    -------
    tuple or None
        None if what stands there is no part of a point, and so has a code of its own.

    Examples
    --------
    >>> from mbat import Encoder
    >>> point_around(Encoder(), [{"at": {"lat": 60.2, "lon": 24.9}}], ("at", "lat"))
    ('at',)
    """
    some = list(islice((document for document in documents if values_at(document, steps)), _LOOKED_AT))
    if steps not in encoder._coordinates(some):
        return None
    return steps[:-2] if steps[-1] is None else steps[:-1]


def cosines(rows: Rows, vector: NDArray[np.float64], steps: Steps, values: Sequence[Any]) -> NDArray[np.float64]:
    """Return the cosine of a vector with what each value would add to it at a path.

    Where the path goes through an array that is the greatest over the first positions: 8, or 2 each of two or three
    arrays.
    """
    direction = vector / (np.abs(vector).max() or 1.0)  # squares of what is very large or small would be lost
    direction /= np.linalg.norm(direction) or 1.0
    ways = [*_positions(steps)]
    documents = (_nested(steps, value, positions) for value in values for positions in ways)
    found = [rows(some) @ direction for some in batched(documents, _BATCH)]
    all_ways = np.concatenate([np.zeros(0), *found]).reshape(len(values), len(ways))
    return np.asarray(all_ways.max(axis=1, initial=-np.inf), dtype=np.float64)


def _positions(steps: Steps) -> Iterator[tuple[int, ...]]:
    arrays = steps.count(None)
    return product(range(1 << _POSITION_BITS // max(arrays, 1)), repeat=arrays)


def _nested(steps: Steps, value: Any, positions: tuple[int, ...]) -> Any:
    """Return a document that has a value at a path, with so many elements before it in each array that add nothing."""
    before = list(positions)
    for step in reversed(steps):
        value = {step: value} if step is not None else [*[{FILLER_KEY: 0}] * before.pop(), value]
    return value


def decoded_number(fit: Fit, scale: Scale, sketch: Sketch, dim: int) -> Number:
    """Return the number that fits best, of those a standard deviation or less outside what was fitted.

    Parameters
    ----------
    fit : callable
    scale : Scale
        That of the path's numbers, on which the search goes in even steps: over all of it, then around the best.
    sketch : Sketch
        The numbers of the path that were fitted.
    dim : int
        Length of the vectors.
    """
    low, high = (_place(scale, x) for x in spread_of(sketch))
    low, high = low - _MARGIN, high + _MARGIN
    places = np.linspace(low, high, min(_GRID, round((high - low) / _STEP) + 1))
    fits = fit(_numbers(scale, places))
    step = float(places[1] - places[0])
    for _ in range(_ZOOMS):
        best = float(places[fits.argmax()])
        near = np.linspace(best - 2 * step, best + 2 * step, _ZOOM + 1)
        places, fits = np.r_[places, near], np.r_[fits, fit(_numbers(scale, near))]
        step = 4 * step / _ZOOM
    best_fit = float(fits.max())
    within = places[(fits > 0) & (fits**2 >= best_fit**2 - _UNITS**2 / dim)] if best_fit > 0 else places
    value, least, greatest = _numbers(scale, np.array([places[fits.argmax()], within.min(), within.max()]))
    return Number(value, least, greatest, best_fit)


def _place(scale: Scale, x: float) -> float:
    """Return where a number stands on its scale, as `mbat.symbols` has it."""
    x = min(max(x * scale.unit, -LARGEST), LARGEST)
    if scale.logs:
        fraction, exponent = np.frexp(1.0 + abs(x))
        x = float(np.copysign(exponent - 2 + 2 * fraction, x))
    return (x - scale.centre) * scale.rate


def _numbers(scale: Scale, places: NDArray[np.float64]) -> list[float]:
    """Return the numbers that stand at places of a scale."""
    x = places / scale.rate + scale.centre
    if scale.logs:
        size = np.minimum(np.abs(x), 996.0)
        whole = np.floor(size)
        x = np.copysign((1.0 + size - whole) * 2.0**whole - 1.0, x)
    found: list[float] = np.clip(x / scale.unit, -LARGEST, LARGEST).tolist()
    return found
