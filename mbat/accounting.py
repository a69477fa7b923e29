"""Accounting: what each path of a document adds to its vector, in rows that sum to the whole.

A vector is linear in the leaves of its document, so it is a sum of one vector a path, and the inner product of two
documents a sum over pairs of paths. Where `mbat.bundling` adds up all that an object holds and then binds it, here
each path is followed to the root by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbat.atoms import BLOCKS
from mbat.bundling import BUNDLING, Places, Shares, Stack, add_leaf, container_shares, matrix_of, open_row, open_stack
from mbat.columns import KIND_BITS, KIND_MASK, Columns, Kind
from mbat.kernels import Kernel, nth
from mbat.leaves import SymbolBuffer, symbol_count
from mbat.rows import add_atom, fold
from mbat.structure import structure

_ARRAY = int(Kind.ARRAY)

_PATH, _LEVEL, _ROW = 0, 1, 2


def _follow(dim: int, places: Places, shares: Shares, stack: Stack, members: Any, pending: Any, out: Any) -> None:
    """Bind what a path has added to a row of sums by all that holds it, and add it to the path's own row."""
    for level in range(pending[_LEVEL], 0, -1):
        path = stack.path[level]
        plain, bound = container_shares(path, members[level], stack.numeric[level], places, shares)
        matrix, at = matrix_of(path, stack.position[level], level - 1, dim, places, stack)
        fold(level, dim, stack.rows, matrix, at, plain, bound)
        stack.rows.counts[level] = 0
    at = pending[_ROW] * dim
    for i in range(dim):
        out[nth(at + i)] += stack.rows.sums[nth(i)]
        stack.rows.sums[nth(i)] = 0.0


def _account(
    start: int,
    stop: int,
    symbols: SymbolBuffer,
    items: Any,
    item_rows: Any,
    item_members: Any,
    item_numeric: Any,
    places: Places,
    shares: Shares,
    stack: Stack,
    members: Any,
    pending: Any,
    dim: int,
    out: Any,
) -> int:
    """Add a run of items, with their symbols, to the rows of their paths.

    `pending` is the path that has added to the sums, the level of these, and its row; `members` is how many values
    the open objects and arrays have.
    """
    for item in range(start, stop):
        path, kind = items[item] >> KIND_BITS, items[item] & KIND_MASK
        depth = places.depth[path]
        if path != pending[_PATH]:
            _follow(dim, places, shares, stack, members, pending, out)
            pending[_PATH], pending[_LEVEL], pending[_ROW] = path, max(depth - 1, 0), item_rows[item]
        if places.presence[path] != 0.0:
            add_atom(places.presence_code[path], places.presence[path], depth - 1, dim, stack.rows)
        if kind <= _ARRAY:
            open_row(path, kind, dim, places, stack)
            stack.numeric[depth], members[depth] = item_numeric[item], item_members[item]
        else:
            first, last = symbols.starts[item - start], symbols.ends[item - start]
            add_leaf(path, kind, first, last, symbols, places, stack, dim)
        if item + 1 == len(items):
            _follow(dim, places, shares, stack, members, pending, out)
    return 0


account = Kernel(_account, *BUNDLING, _follow)
"""The compiled form of the above; its first argument is the work, in symbols and rows."""


def accounted(
    columns: Columns,
    places: Places,
    shares: Shares,
    runs: Iterable[tuple[int, int, SymbolBuffer]],
    dim: int,
) -> NDArray[np.float64]:
    """Return what each path of one document adds to its sum.

    Parameters
    ----------
    columns, places, shares, runs, dim
        As for `mbat.bundling.bundled`; the columns are of one document.

    Returns
    -------
    float64 array of shape (paths, dim)
        A row for each path that the document has, by path; the sum is not normalised.
    """
    paths, item_rows = np.unique(columns.items >> KIND_BITS, return_inverse=True)
    found = structure(columns.items, places.depth, places.place)
    out = np.zeros((len(paths), dim))
    stack = open_stack(places, dim)
    members, pending = np.zeros(len(stack.path), dtype=np.int64), np.zeros(3, dtype=np.int64)
    for start, stop, symbols in runs:
        work = BLOCKS * symbol_count(symbols, stop - start) + (stop - start) * dim
        account(
            *(work, start, stop, symbols, columns.items, item_rows, found.members, found.numeric.astype(np.int64)),
            *(places, shares, stack, members, pending, dim, out.reshape(-1)),
        )
    return out
