"""Points on the globe: where a batch holds them, and how a point becomes symbols.

A point is an object with a latitude and a longitude among its keys, or a GeoJSON point. Two numbers coded apart
would make places alike that share a latitude alone; so the point is coded as one, as a unit vector in space
between the anchors of a cubic grid, at several scales, and stands in place of its latitude.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.columns import KIND_BITS, Columns, Kind
from mbat.hashing import MASK, extend, mix
from mbat.paths import PathTable

POINT_WIDTHS: Final = (4000.0, 500.0, 60.0, 8.0, 1.5)
"""Distance between neighbouring anchors at each scale, in kilometres."""

POINT_SYMBOLS: Final = 27 * len(POINT_WIDTHS)
"""How many symbols a point takes."""

_RADIUS: Final = 6371.0
_LATITUDES: Final = frozenset(("lat", "latitude"))
_LONGITUDES: Final = frozenset(("lon", "lng", "long", "longitude"))
_POINT: Final = np.array([ord(letter) for letter in "point"], dtype=np.uint32)

_KIND_MASK: Final = (1 << KIND_BITS) - 1


class Points(NamedTuple):
    """The numbers of a batch that are coordinates.

    Attributes
    ----------
    items : int64 array, rising
        Their items.
    degrees : float64 array of shape (2 * items,)
        For each, latitude and longitude of its point if it is the latitude; NaN if it is the longitude.
    """

    items: NDArray[np.int64]
    degrees: NDArray[np.float64]


NO_POINTS: Final = Points(np.zeros(0, dtype=np.int64), np.zeros(0))


class PointFinder:
    """Knows which paths of a table may hold points, and finds the points of its batches.

    Parameters
    ----------
    paths : PathTable
        The table, which may grow.
    """

    def __init__(self, paths: PathTable) -> None:
        self._paths = paths
        self._seen = 0
        self._latitudes: dict[int, int] = {}
        self._longitudes: dict[int, int] = {}
        self._arrays: dict[int, int] = {}
        self._types: dict[int, int] = {}

    def points(self, columns: Columns) -> Points:
        """Return the points of a batch."""
        self._learn()
        pairs = [(above, latitude, self._longitudes.get(above)) for above, latitude in self._latitudes.items()]
        arrays = [(above, array, self._types.get(above)) for above, array in self._arrays.items()]
        view = _View(columns)
        found = [view.pairs(above, lat, lon) for above, lat, lon in pairs if lon is not None]
        found += [view.geojson(above, array, kind) for above, array, kind in arrays if kind is not None]
        found = [(latitudes, longitudes) for latitudes, longitudes in found if len(latitudes)]
        return view.points(found) if found else NO_POINTS

    def _learn(self) -> None:
        """Note the new paths whose keys are those of points."""
        paths = self._paths
        for path in range(self._seen, len(paths)):
            key, above = paths.keys[path], paths.parents[path]
            name = "" if key is None else key.lower()
            if name in _LATITUDES:
                self._latitudes[above] = path
            elif name in _LONGITUDES:
                self._longitudes[above] = path
            elif name == "coordinates":
                self._arrays[above] = path
            elif name == "type":
                self._types[above] = path
        self._seen = len(paths)


class _View:
    """A batch, looked at for points."""

    def __init__(self, columns: Columns) -> None:
        self._columns, self._items = columns, columns.items
        self._elements = columns.paths

    def _where(self, path: int, kind: Kind) -> NDArray[np.int64]:
        return np.flatnonzero(self._items == (path << KIND_BITS | kind))

    def pairs(self, above: int, latitude: int, longitude: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the items of the latitudes and longitudes that stand in one object."""
        latitudes, longitudes = self._where(latitude, Kind.NUMBER), self._where(longitude, Kind.NUMBER)
        objects = self._where(above, Kind.OBJECT)
        return _joined(objects, latitudes, longitudes)

    def geojson(self, above: int, array: int, kind: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the items of latitude and longitude of the GeoJSON points."""
        types, arrays = self._where(kind, Kind.STRING), self._where(array, Kind.ARRAY)
        if not len(types) or not len(arrays):
            return NO_POINTS.items, NO_POINTS.items
        types = types[self._are_points(types)]
        number = self._elements.child(array, None) << KIND_BITS | Kind.NUMBER
        arrays = arrays[arrays + 2 < len(self._items)]
        arrays = arrays[(self._items[arrays + 1] == number) & (self._items[arrays + 2] == number)]
        _, arrays = _joined(self._where(above, Kind.OBJECT), types, arrays)
        return arrays + 2, arrays + 1

    def _are_points(self, types: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of some strings are "Point"."""
        strings = np.cumsum((self._items & _KIND_MASK) == Kind.STRING) - 1
        ends = self._columns.text_ends[strings[types]]
        starts = np.where(strings[types] > 0, self._columns.text_ends[strings[types] - 1] + 1, 0)
        five = ends - starts == len(_POINT)
        letters = np.where(five, starts, 0)[:, None] + np.arange(len(_POINT))
        same: NDArray[np.bool_] = five & (self._columns.text.take(letters, mode="clip") == _POINT).all(axis=1)
        return same

    def points(self, found: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> Points:
        """Return the pairs of items that are in range, in the order of the batch."""
        latitudes, longitudes = (np.concatenate(items) for items in zip(*found, strict=True))
        values = self._columns.numbers[np.cumsum((self._items & _KIND_MASK) == Kind.NUMBER) - 1]
        good = (np.abs(values[latitudes]) <= 90.0) & (np.abs(values[longitudes]) <= 360.0)
        latitudes, longitudes = latitudes[good], longitudes[good]
        items = np.concatenate([latitudes, longitudes])
        degrees = np.full((len(items), 2), np.nan)
        degrees[: len(latitudes)] = np.stack([values[latitudes], values[longitudes]], axis=1)
        order = np.argsort(items)
        return Points(items[order], degrees[order].reshape(-1))


def _joined(
    holders: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the items of two paths that the same object holds."""
    owners = np.searchsorted(holders, first), np.searchsorted(holders, second)
    _, one, other = np.intersect1d(*owners, return_indices=True)
    return first[one], second[other]


def sine(degrees: float) -> float:
    """Return the sine of an angle, by sums and products alone: alike on every machine, to 1e-15."""
    turned = math.floor(degrees / 90.0 + 0.5)
    x = (degrees - 90.0 * turned) * 0.017453292519943295
    y = x * x
    quarter = turned & 3
    if quarter & 1:
        value = 1.0 - y / 2.0 * _series(y, 12.0, 30.0, 56.0, _series(y, 90.0, 132.0, 182.0, 1.0))
    else:
        value = x * (1.0 - y / 6.0 * _series(y, 20.0, 42.0, 72.0, _series(y, 110.0, 156.0, 210.0, 1.0)))
    return -value if quarter & 2 else value


def _series(y: float, first: float, second: float, third: float, rest: float) -> float:
    return 1.0 - y / first * (1.0 - y / second * (1.0 - y / third * rest))


def spline(offset: float, step: int) -> float:
    """Return the weight of the anchor a step from the nearest one: a quadratic B-spline."""
    if step == 0:
        return 0.75 - offset * offset
    half = 0.5 + step * offset
    return 0.5 * half * half


def _spline_norm(offset: float) -> float:
    below, middle, above = spline(offset, -1), spline(offset, 0), spline(offset, 1)
    return math.sqrt(below * below + middle * middle + above * above)


def put_point(
    latitude: float, longitude: float, tag: int, gain: float, bound: float, free: float, used: int, buffer: Any
) -> int:
    """Write the anchors around a point; return where they end."""
    flat = sine(latitude + 90.0)
    x, y, z = flat * sine(longitude + 90.0), flat * sine(longitude), sine(latitude)
    for scale in range(len(POINT_WIDTHS)):
        rate = _RADIUS / POINT_WIDTHS[scale]
        at_x, at_y, at_z = math.floor(x * rate + 0.5), math.floor(y * rate + 0.5), math.floor(z * rate + 0.5)
        off_x, off_y, off_z = x * rate - at_x, y * rate - at_y, z * rate - at_z
        norm = gain / (_spline_norm(off_x) * _spline_norm(off_y) * _spline_norm(off_z))
        start = extend(tag, scale)
        for i in range(-1, 2):
            plane = extend(start, (at_x + i) & MASK)
            weight_x = norm * spline(off_x, i)
            for j in range(-1, 2):
                line = extend(plane, (at_y + j) & MASK)
                weight_y = weight_x * spline(off_y, j)
                for k in range(-1, 2):
                    weight = weight_y * spline(off_z, k)
                    buffer.codes[used] = mix(extend(line, (at_z + k) & MASK))
                    buffer.bound[used] = weight * bound
                    buffer.free[used] = weight * free
                    used += 1
    return used


POINTS: Final = (sine, _series, spline, _spline_norm, put_point)
"""What a kernel that calls `put_point` has to name as its helpers."""
