"""Bundling with any family of orthogonal matrices, in numpy: slower, and the yardstick of `mbat.bundling`.

All values of a batch have a dense vector each. Level by level, from the deepest up, the vectors are
bound by their keys or positions and added to those of what holds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbat.atoms import dense
from mbat.binding import Binding, Vectors
from mbat.bundling import Places, Shares
from mbat.columns import KIND_BITS, KIND_MASK, Columns, Kind
from mbat.errors import ParameterError
from mbat.leaves import ELEMENT, UNBOUND, SymbolBuffer
from mbat.structure import structure

MOST_VALUES: Final = 1 << 16
"""Values that may have dense vectors at once."""


def document_groups(ends: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return where groups of whole documents start and stop, each of as many as have at most MOST_VALUES values.

    Raises
    ------
    ParameterError
        If a single document has more.
    """
    groups, start, stop = [], 0, 0
    for end in ends.tolist():
        if end - stop > MOST_VALUES:
            raise ParameterError(
                f"A document of {end - stop:,} values is too large for this family of matrices, which holds a dense "
                f"vector for each of at most {MOST_VALUES:,}. Use binding='signed-permutation'."
            )
        if end - start > MOST_VALUES:
            groups.append((start, stop))
            start = stop
        stop = end
    return [*groups, (start, stop)]


def dense_leaves(runs: Iterable[tuple[int, int, SymbolBuffer]], dim: int) -> Iterator[tuple[Vectors, Vectors]]:
    """Yield the parts of each item of a batch that its key binds and that it leaves free, vectors of shape (dim,).

    Those of objects and arrays are zero.
    """
    for start, stop, buffer in runs:
        for item in range(stop - start):
            symbols = slice(int(buffer.starts[item]), int(buffer.ends[item]))
            codes = buffer.codes[symbols]
            yield dense(codes, buffer.bound[symbols], dim), dense(codes, buffer.free[symbols], dim)


def sums_densely(
    items: NDArray[np.int64],
    leaves: Iterator[tuple[Vectors, Vectors]],
    places: Places,
    shares: Shares,
    binding: Binding,
    names: tuple[int, int],
) -> Vectors:
    """Bundle whole documents, and do not normalise.

    Parameters
    ----------
    items : int64 array
        Those of the documents, as in `mbat.columns.Columns`.
    leaves : iterator
        The parts of each item, from `dense_leaves`; what is drawn from it are those of the items given.
    places, shares
        As for `mbat.bundling.bundle`; the permutations are not used.
    binding : Binding
        The family of matrices.
    names : tuple of int
        The hashes that name M_ARRAY and M_SEQ.

    Returns
    -------
    float64 array of shape (documents, dim)
    """
    bound, free = np.zeros((2, len(items), binding.dim))
    for row, parts in enumerate(islice(leaves, len(items))):
        bound[row], free[row] = parts
    paths, kinds = items >> KIND_BITS, items & KIND_MASK
    depths, elements = places.depth[paths], places.place[paths] == ELEMENT
    holders, children, position, numeric = structure(items, places.depth, places.place)
    for depth in range(int(depths.max(initial=0)), 0, -1):
        at = np.flatnonzero(depths == depth)
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
    roots: Vectors = free[depths == 0]
    return roots


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


def bundled_densely(
    columns: Columns,
    places: Places,
    shares: Shares,
    runs: Iterable[tuple[int, int, SymbolBuffer]],
    binding: Binding,
    names: tuple[int, int],
) -> NDArray[np.float32]:
    """Return the vectors of a batch, from the symbols of its leaves, as `mbat.bundling.bundled` does."""
    leaves = dense_leaves(runs, binding.dim)
    parts = [
        sums_densely(columns.items[start:stop], leaves, places, shares, binding, names)
        for start, stop in document_groups(columns.ends)
    ]
    sums = np.concatenate(parts)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.where(norms > 0.0, norms, 1.0)).astype(np.float32)


def accounted_densely(
    columns: Columns,
    places: Places,
    shares: Shares,
    runs: Iterable[tuple[int, int, SymbolBuffer]],
    binding: Binding,
    names: tuple[int, int],
) -> Vectors:
    """Return what each path of one document adds to its sum, by path: the sum when all other paths are silent."""
    document_groups(columns.ends)
    leaves = [(bound, free) for bound, free in dense_leaves(runs, binding.dim)]
    silent = np.zeros(binding.dim), np.zeros(binding.dim)
    paths = columns.items >> KIND_BITS
    rows = []
    for path in np.unique(paths):
        heard = (parts if path == one else silent for one, parts in zip(paths, leaves, strict=True))
        alone = places._replace(presence=np.where(np.arange(len(places.presence)) == path, places.presence, 0.0))
        rows.append(sums_densely(columns.items, heard, alone, shares, binding, names)[0])
    return np.stack(rows)
