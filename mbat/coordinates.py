"""Points on the globe: where the documents of a batch hold them.

A point is an object with a latitude and a longitude among its keys, or a GeoJSON point. Two numbers coded apart
would make places alike that share a latitude alone; so they are coded as one, in place of the latitude.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.columns import KIND_BITS, KIND_MASK, Columns, Kind
from mbat.paths import PathTable

_NO_ROLE, _LATITUDE, _LONGITUDE, _COORDINATES, _TYPE = range(5)
_PARTNERS: Final = ((_LATITUDE, _LONGITUDE), (_COORDINATES, _TYPE))
_ROLES: Final = {
    **dict.fromkeys(("lat", "latitude"), _LATITUDE),
    **dict.fromkeys(("lon", "lng", "long", "longitude"), _LONGITUDE),
    "coordinates": _COORDINATES,
    "type": _TYPE,
}
_POINT: Final = np.array([ord(letter) for letter in "point"], dtype=np.uint32)

Items = NDArray[np.int64]


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

    def pairs(self, columns: Columns) -> dict[int, int]:
        """Return the paths of latitudes, which the points stand at, with those of their longitudes.

        Of GeoJSON both are one path, and there is no pair.
        """
        paths, parents = columns.items[self.items] >> KIND_BITS, columns.paths.parents
        first = np.isfinite(self.degrees[::2])
        longitudes = {parents[path]: path for path in np.unique(paths[~first]).tolist()}
        latitudes = np.unique(paths[first]).tolist()
        return {path: longitudes[parents[path]] for path in latitudes if longitudes[parents[path]] != path}


NO_POINTS: Final = Points(np.zeros(0, dtype=np.int64), np.zeros(0))


class PointFinder:
    """Finds the points of batches of one path table.

    Parameters
    ----------
    paths : PathTable
        The table, which may grow.
    coded : callable
        Tells whether what stands at a path is coded by closeness; coordinates elsewhere make no points. Of GeoJSON
        coordinates the path of the numbers counts, and not that of the array.
    """

    def __init__(self, paths: PathTable, coded: Callable[[int], bool]) -> None:
        self._paths, self._coded = paths, coded
        self._roles = bytearray()

    def points(self, columns: Columns) -> Points:
        """Return the points of a batch."""
        for path in range(len(self._roles), len(self._paths)):
            role = self._role(path)
            self._roles.append(role if role != _NO_ROLE and self._coded(path) else _NO_ROLE)
        if not any(first in self._roles and second in self._roles for first, second in _PARTNERS):
            return NO_POINTS
        view = _View(columns, np.array(self._roles, dtype=np.int8))
        found = [view.pairs(), view.geojson()]
        latitudes, longitudes = (np.concatenate(items) for items in zip(*found, strict=True))
        return view.points(latitudes, longitudes) if len(latitudes) else NO_POINTS

    def _role(self, path: int) -> int:
        """Return what may stand at a path by its key; elements of GeoJSON coordinates by the key of their array."""
        element = self._paths.elements[path]
        key = self._paths.keys[self._paths.parents[path] if element else path] or ""
        role = _ROLES.get(key.lower(), _NO_ROLE)
        return role if (role == _COORDINATES) == bool(element) else _NO_ROLE


class _View:
    """A batch, looked at for points; what it returns are items."""

    def __init__(self, columns: Columns, roles: NDArray[np.int8]) -> None:
        self._columns = columns
        self._paths, self._kinds = columns.items >> KIND_BITS, columns.items & KIND_MASK
        self._roles = roles[self._paths]
        self._parents = np.array(columns.paths.parents, dtype=np.int64)

    def _where(self, role: int, kind: Kind) -> Items:
        return np.flatnonzero((self._roles == role) & (self._kinds == kind))

    def pairs(self) -> tuple[Items, Items]:
        """Return the latitudes and longitudes that stand in one object."""
        return self._joined(self._where(_LATITUDE, Kind.NUMBER), self._where(_LONGITUDE, Kind.NUMBER))

    def geojson(self) -> tuple[Items, Items]:
        """Return the latitudes and longitudes of the GeoJSON points."""
        types = self._where(_TYPE, Kind.STRING)
        numbers = self._where(_COORDINATES, Kind.NUMBER)
        arrays = numbers[self._kinds[numbers - 1] == Kind.ARRAY] - 1
        arrays = arrays[arrays + 2 < len(self._paths)]
        arrays = arrays[self._holds_number(arrays, 1) & self._holds_number(arrays, 2)]
        _, arrays = self._joined(types[self._are_points(types)], arrays)
        return arrays + 2, arrays + 1

    def _holds_number(self, arrays: Items, position: int) -> NDArray[np.bool_]:
        """Return which arrays, of at least as many elements or followed by other items, hold a number there."""
        items = arrays + position
        held: NDArray[np.bool_] = self._parents[self._paths[items]] == self._paths[arrays]
        held &= self._kinds[items] == Kind.NUMBER
        return held

    def _are_points(self, types: Items) -> NDArray[np.bool_]:
        """Return which of some strings are "Point"."""
        strings = (np.cumsum(self._kinds == Kind.STRING) - 1)[types]
        ends = self._columns.text_ends[strings]
        starts = np.where(strings > 0, self._columns.text_ends[strings - 1] + 1, 0)
        same: NDArray[np.bool_] = ends - starts == len(_POINT)
        letters = starts[same][:, None] + np.arange(len(_POINT))
        same[same] = (self._columns.text[letters] == _POINT).all(axis=1)
        return same

    def _joined(self, first: Items, second: Items) -> tuple[Items, Items]:
        """Return the items of two kinds that the same object holds."""
        if not len(first) or not len(second):
            return first[:0], second[:0]
        _, one, other = np.intersect1d(self._holders(first), self._holders(second), return_indices=True)
        return first[one], second[other]

    def _holders(self, items: Items) -> Items:
        """Return a number for the object that holds each item, the last of the path above that comes before it."""
        objects = np.flatnonzero(self._kinds == Kind.OBJECT)
        size = len(self._paths)
        keys = np.sort(self._paths[objects] * size + objects)
        found: Items = np.searchsorted(keys, self._parents[self._paths[items]] * size + items)
        return found

    def points(self, latitudes: Items, longitudes: Items) -> Points:
        """Return the points whose coordinates are in range, in the order of the batch."""
        numbers = np.cumsum(self._kinds == Kind.NUMBER) - 1
        degrees = self._columns.numbers[numbers[np.stack([latitudes, longitudes], axis=1)]]
        good = (np.abs(degrees) <= (90.0, 360.0)).all(axis=1)
        items = np.concatenate([latitudes[good], longitudes[good]])
        both = np.concatenate([degrees[good], np.full((int(good.sum()), 2), np.nan)])
        order = np.argsort(items)
        return Points(items[order], both[order].reshape(-1))
