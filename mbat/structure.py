"""How the values of documents hang together: which holds which, at what position, and what an array holds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.columns import KIND_BITS, KIND_MASK, Kind
from mbat.leaves import ELEMENT, LEFT_OUT

Items = NDArray[np.int64]


class Structure(NamedTuple):
    """What the items of whole documents are to each other; one entry an item in each array.

    Attributes
    ----------
    holders : int64 array
        The item that holds it, -1 for a root.
    members : int64 array
        How many values an object or array has, those left out not counted.
    positions : int64 array
        Of an element its position in its array, from 1; else 0.
    numeric : bool array
        Whether it is a number, or an array of nothing else at any depth.
    """

    holders: Items
    members: Items
    positions: Items
    numeric: NDArray[np.bool_]


def structure(items: Items, depth: Items, place: NDArray[np.int8]) -> Structure:
    """Return the structure of whole documents.

    Parameters
    ----------
    items : int64 array
        As in `mbat.columns.Columns`.
    depth, place : arrays of shape (paths,)
        As in `mbat.bundling.Places`.
    """
    paths, kinds = items >> KIND_BITS, items & KIND_MASK
    holders = _holders(depth[paths])
    counted = (holders >= 0) & (place[paths] != LEFT_OUT)
    members = np.bincount(holders[counted], minlength=len(items))
    positions = np.zeros(len(items), dtype=np.int64)
    seen = np.zeros(len(items), dtype=np.int64)
    for item in np.flatnonzero(place[paths] == ELEMENT).tolist():
        seen[holders[item]] += 1
        positions[item] = seen[holders[item]]
    numeric = (kinds == Kind.ARRAY) | (kinds == Kind.NUMBER)
    for item in range(len(items) - 1, -1, -1):  # what an item holds comes after it
        if holders[item] >= 0 and not numeric[item]:
            numeric[holders[item]] = False
    return Structure(holders, members, positions, numeric)


def _holders(depths: Items) -> Items:
    last: dict[int, int] = {}
    holders = np.empty(len(depths), dtype=np.int64)
    for item, depth in enumerate(depths.tolist()):
        last[depth] = item
        holders[item] = last[depth - 1] if depth else -1
    return holders
