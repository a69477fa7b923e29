"""Bundling with any family of orthogonal matrices, in numpy: slower, and the yardstick of `mbat.bundling`.

All values of a batch have a dense vector each. Level by level, from the deepest up, the vectors are
bound by their keys or positions and added to those of what holds them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbat.atoms import dense
from mbat.binding import Binding, Vectors
from mbat.bundling import Places, Shares
from mbat.columns import KIND_BITS, Columns, Kind
from mbat.errors import ParameterError
from mbat.leaves import ELEMENT, LEFT_OUT, UNBOUND, SymbolBuffer

LARGEST_BATCH: Final = 1 << 16
"""Values of a batch that may have dense vectors at once."""


def parents(depths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each item the item that holds it, -1 for a root."""
    last: dict[int, int] = {}
    holders = np.empty(len(depths), dtype=np.int64)
    for item, depth in enumerate(depths.tolist()):
        last[depth] = item
        holders[item] = last[depth - 1] if depth else -1
    return holders


def dense_leaves(items: int, dim: int, runs: Iterable[tuple[int, int, SymbolBuffer]]) -> tuple[Vectors, Vectors]:
    """Return the parts of each leaf of a batch that its key binds and that it leaves free.

    Both are float64 of shape (items, dim), zero for objects and arrays.

    Raises
    ------
    ParameterError
        If there are too many items for a dense vector each.
    """
    if items > LARGEST_BATCH:
        raise ParameterError(
            f"A batch of {items:,} values is too large for this family of matrices, which holds a dense vector for "
            f"each of at most {LARGEST_BATCH:,}. Use binding='signed-permutation'."
        )
    bound, free = np.zeros((items, dim)), np.zeros((items, dim))
    for start, stop, buffer in runs:
        for item in range(start, stop):
            first, last = int(buffer.starts[item - start]), int(buffer.ends[item - start])
            bound[item] = dense(buffer.codes[first:last], buffer.bound[first:last], dim)
            free[item] = dense(buffer.codes[first:last], buffer.free[first:last], dim)
    return bound, free


def bundle_densely(
    columns: Columns,
    bound: Vectors,
    free: Vectors,
    places: Places,
    shares: Shares,
    binding: Binding,
    names: tuple[int, int],
) -> Vectors:
    """Bundle a batch.

    Parameters
    ----------
    columns : Columns
        The batch.
    bound, free : float64 arrays of shape (items, dim)
        The parts of each leaf, from `dense_leaves`; used as scratch.
    places, shares
        As for `mbat.bundling.bundle`; the permutations are not used.
    binding : Binding
        The family of matrices.
    names : tuple of int
        The hashes that name M_ARRAY and M_SEQ.

    Returns
    -------
    float64 array of shape (documents, dim)
        Rows of norm 1.
    """
    paths, kinds = columns.items >> KIND_BITS, columns.items & ((1 << KIND_BITS) - 1)
    depths, elements = places.depth[paths], places.place[paths] == ELEMENT
    holders = parents(depths)
    children = np.bincount(holders[(depths > 0) & (places.place[paths] != LEFT_OUT)], minlength=len(paths))
    position = np.zeros(len(paths), dtype=np.int64)
    seen = np.zeros(len(paths), dtype=np.int64)
    for item in np.flatnonzero(elements):
        seen[holders[item]] += 1
        position[item] = seen[holders[item]]
    numeric = (kinds == Kind.ARRAY) | (kinds == Kind.NUMBER)
    for depth in range(int(depths.max(initial=0)), 0, -1):
        at = np.flatnonzero(depths == depth)
        numeric[holders[at[~numeric[at]]]] = False
        holds = kinds[at] <= Kind.ARRAY
        sums = free[at[holds]] / np.sqrt(np.maximum(children[at[holds]], 1))[:, None]
        plain_share = np.where(elements[at], np.where(numeric[at], 0.0, shares.position_plain), shares.key_plain)
        bound_share = np.where(elements[at], np.where(numeric[at], 1.0, shares.position_bound), shares.key_bound)
        skipped = places.place[paths[at]] == UNBOUND
        plain_share[skipped], bound_share[skipped] = 1.0, 0.0
        free[at[holds]], bound[at[holds]] = plain_share[holds, None] * sums, bound_share[holds, None] * sums
        rows = bound[at]
        for path in np.unique(paths[at]):
            here = paths[at] == path
            if places.place[path] == ELEMENT:
                rows[here] = _at_positions(rows[here], position[at[here]], binding, names)
            else:
                rows[here] = binding.apply(int(places.key_hash[path]), rows[here])
        np.add.at(free, holders[at], rows + free[at] + _presence(paths[at], places, rows.shape[1]))
    roots = free[depths == 0]
    units: Vectors = roots / np.linalg.norm(roots, axis=1, keepdims=True)
    return units


def _at_positions(rows: Vectors, position: NDArray[np.int64], binding: Binding, names: tuple[int, int]) -> Vectors:
    """Multiply each row with ``M_ARRAY M_SEQ^position``."""
    array, sequence = names
    rows = rows.copy()
    for step in range(1, int(position.max()) + 1):
        rows[position >= step] = binding.apply(sequence, rows[position >= step])
    return binding.apply(array, rows)


def _presence(paths: NDArray[np.int64], places: Places, dim: int) -> Vectors:
    """Return the symbols that say which keys are there, a dense row for each path given."""
    rows = np.zeros((len(paths), dim))
    for row, path in zip(rows, paths, strict=True):
        row += dense(places.presence_code[path : path + 1], places.presence[path : path + 1], dim)
    return rows
