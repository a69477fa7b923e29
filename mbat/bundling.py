"""Bundling: the tape of a batch and the symbols of its leaves become one vector a document.

The principle is:

1. Each open object or array of the document has a row of sums on a stack.
2. A leaf scatters its symbols into the row of what holds it, bound by its key or position.
3. When an object or array closes, its row is divided by the square root of the number of its members,
   so that a large subtree does not hide the fields beside it, then bound by its own key or position and
   added to the row below: the cost of soft binding grows with the depth and not as 2^depth.

The binding is ``B = (a I + b M) / sqrt(a^2 + b^2)``, with ``a / b`` the softness, here `plain` and `bound`.
This module does it for signed permutations, `mbat.reference` for any family of matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.atoms import BLOCKS
from mbat.binding import POSITIONS, fill_permutation
from mbat.columns import KIND_BITS, KIND_MASK, Columns, Kind
from mbat.hashing import extend, mix
from mbat.kernels import Kernel
from mbat.leaves import ELEMENT, KEY, LEFT_OUT, SymbolBuffer, symbol_count
from mbat.rows import ROWS, Rows, add_atom, empty_rows, finish, fold, scatter

_ARRAY, _NUMBER = int(Kind.ARRAY), int(Kind.NUMBER)

_TOP, _DOCUMENT = 0, 1


class Shares(NamedTuple):
    """How much of an object or array stays unbound and how much is bound: two pairs whose squares sum to 1."""

    key_plain: float
    key_bound: float
    position_plain: float
    position_bound: float


class Places(NamedTuple):
    """The paths of a batch, and the signed permutations of their keys.

    Attributes
    ----------
    depth, key_hash, slot : arrays of shape (paths,)
        See `mbat.paths.PathTable`.
    place : int8 array of shape (paths,)
        UNBOUND, KEY, ELEMENT or LEFT_OUT of `mbat.leaves`.
    presence, presence_code : float64 and int64 arrays of shape (paths,)
        The symbol that says that a key is there, and its weight.
    keys : int32 array
        The permutations of the keys, one after the other, by slot; those past the end are made when they are met.
    positions : int32 array
        The permutations of the positions 0 (M_ARRAY alone) to POSITIONS, one after the other.
    sequence : int32 array of shape (dim,)
        The permutation of M_SEQ.
    """

    depth: NDArray[np.int64]
    place: NDArray[np.int8]
    key_hash: NDArray[np.int64]
    slot: NDArray[np.int64]
    presence: NDArray[np.float64]
    presence_code: NDArray[np.int64]
    keys: NDArray[np.int32]
    positions: NDArray[np.int32]
    sequence: NDArray[np.int32]


class Stack(NamedTuple):
    """The open objects and arrays: entry d of each array belongs to the one at depth d.

    Attributes
    ----------
    state : int64 array of shape (2,)
        The depth of the innermost open one (-1: none) and the number of the document.
    path, children, position, numeric : int64 arrays of shape (levels,)
        Its path, how many members it has had, its own position, whether it holds but numbers.
    rows : Rows
        The sums.
    matrices : int32 array of shape (levels * dim,)
        The permutation of the last position past POSITIONS.
    scratch : int32 array of shape (dim,)
        The permutation of a key that has no slot.
    """

    state: NDArray[np.int64]
    path: NDArray[np.int64]
    children: NDArray[np.int64]
    position: NDArray[np.int64]
    numeric: NDArray[np.int64]
    rows: Rows
    matrices: NDArray[np.int32]
    scratch: NDArray[np.int32]


def _compose(first: Any, first_at: int, then: Any, then_at: int, out: Any, out_at: int, dim: int) -> None:
    """Write the permutation that applies `first`, then `then`."""
    for i in range(dim):
        step = first[first_at + i]
        out[out_at + i] = then[then_at + (step >> 1)] ^ (step & 1)


def _next_position(level: int, dim: int, places: Places, stack: Stack) -> int:
    """Count one more element of the array at a level; return its position, its permutation made ready."""
    position = int(stack.children[level]) + 1
    stack.children[level] = position
    if position > POSITIONS:
        at = level * dim
        if position == POSITIONS + 1:
            for i in range(dim):
                stack.matrices[at + i] = places.positions[POSITIONS * dim + i]
        for i in range(dim):  # the old one is read before it is overwritten only through the scratch
            stack.scratch[i] = stack.matrices[at + i]
        _compose(places.sequence, 0, stack.scratch, 0, stack.matrices, at, dim)
    return position


def matrix_of(path: int, position: int, level: int, dim: int, places: Places, stack: Stack) -> Any:
    """Return the permutation of a key or position, as an array and where it starts there."""
    if places.place[path] == ELEMENT:
        if position <= POSITIONS:
            return places.positions, position * dim
        return stack.matrices, level * dim
    if places.place[path] == LEFT_OUT:  # there is nothing to bind, and an element has no slot
        return places.sequence, 0
    slot = places.slot[path]
    if (slot + 1) * dim <= len(places.keys):
        return places.keys, slot * dim
    fill_permutation(places.key_hash[path], stack.scratch, 0, dim)
    return stack.scratch, 0


def add_leaf(
    path: int, kind: int, first: int, last: int, symbols: SymbolBuffer, places: Places, stack: Stack, dim: int
) -> None:
    """Add the symbols of a leaf to the row of what holds it."""
    level = places.depth[path] - 1
    if level < 0:
        scatter(first, last, symbols, 0, dim, stack.rows, places.sequence, 0)
        return
    position = 0
    if places.place[path] == ELEMENT:
        position = _next_position(level, dim, places, stack)
    if kind != _NUMBER:
        stack.numeric[level] = 0
    matrix, at = matrix_of(path, position, level, dim, places, stack)
    scatter(first, last, symbols, level, dim, stack.rows, matrix, at)


def open_row(path: int, kind: int, dim: int, places: Places, stack: Stack) -> None:
    """Start the row of an object or array."""
    level = places.depth[path]
    position = 0
    if places.place[path] == ELEMENT:
        position = _next_position(level - 1, dim, places, stack)
    stack.path[level] = path
    stack.position[level] = position
    stack.children[level] = 0
    stack.numeric[level] = int(kind == _ARRAY)
    if level > 0:
        stack.rows.counts[level] = 0
    stack.state[_TOP] = level


def container_shares(path: int, members: int, numeric: int, places: Places, shares: Shares) -> Any:
    """Return how much of an object or array shows as it is, and how much is bound, in what holds it."""
    plain, bound = 1.0, 0.0
    if places.place[path] == KEY:
        plain, bound = shares.key_plain, shares.key_bound
    elif places.place[path] == ELEMENT:
        plain, bound = shares.position_plain, shares.position_bound
        if numeric != 0:
            plain, bound = 0.0, 1.0
    if members > 1:
        share = 1.0 / math.sqrt(members)
        plain, bound = plain * share, bound * share
    return plain, bound


def _close(dim: int, places: Places, shares: Shares, stack: Stack) -> None:
    """Bind the innermost open row and add it to the row below it."""
    level = stack.state[_TOP]
    path = stack.path[level]
    if stack.numeric[level] == 0:
        stack.numeric[level - 1] = 0
    plain, bound = container_shares(path, stack.children[level], stack.numeric[level], places, shares)
    matrix, at = matrix_of(path, stack.position[level], level - 1, dim, places, stack)
    fold(level, dim, stack.rows, matrix, at, plain, bound)
    stack.state[_TOP] = level - 1


def _bundle(
    start: int,
    stop: int,
    symbols: SymbolBuffer,
    items: Any,
    ends: Any,
    places: Places,
    shares: Shares,
    stack: Stack,
    dim: int,
    out: Any,
) -> int:
    """Add a run of items, with their symbols, to the documents they belong to."""
    for item in range(start, stop):
        path, kind = items[item] >> KIND_BITS, items[item] & KIND_MASK
        depth = places.depth[path]
        while stack.state[_TOP] >= depth:
            _close(dim, places, shares, stack)
        if places.presence[path] != 0.0:
            add_atom(places.presence_code[path], places.presence[path], depth - 1, dim, stack.rows)
        if depth > 0 and places.place[path] != ELEMENT and places.place[path] != LEFT_OUT:
            stack.children[depth - 1] += 1
        first, last = symbols.starts[item - start], symbols.ends[item - start]
        if kind <= _ARRAY:
            open_row(path, kind, dim, places, stack)
        else:
            add_leaf(path, kind, first, last, symbols, places, stack, dim)
        if item + 1 == ends[stack.state[_DOCUMENT]]:
            while stack.state[_TOP] > 0:
                _close(dim, places, shares, stack)
            finish(stack.state[_DOCUMENT], dim, stack.rows, out)
            stack.state[_TOP] = -1
            stack.state[_DOCUMENT] += 1
    return 0


BUNDLING: Final = (
    *(mix, extend, fill_permutation, *ROWS),
    *(_compose, _next_position, matrix_of, add_leaf, open_row, container_shares),
)
"""What a kernel that goes through the items of documents has to name as its helpers."""

bundle = Kernel(_bundle, *BUNDLING, _close)
"""The compiled form of the above; its first argument is the work, in symbols and rows."""


def bundled(
    columns: Columns,
    places: Places,
    shares: Shares,
    runs: Iterable[tuple[int, int, SymbolBuffer]],
    dim: int,
) -> NDArray[np.float32]:
    """Return the vectors of a batch, from the symbols of its leaves.

    Parameters
    ----------
    columns, places, shares
        The batch, its paths, and how softly they bind.
    runs : iterable
        As from `mbat.symbols.symbol_runs`.
    dim : int
        Length of the vectors.

    Returns
    -------
    float32 array of shape (documents, dim)
        Rows of norm 1.
    """
    out = np.empty((len(columns), dim), dtype=np.float32)
    stack = open_stack(places, dim)
    for start, stop, symbols in runs:
        work = BLOCKS * symbol_count(symbols, stop - start) + stop - start + dim * len(columns)
        bundle(
            *(work, start, stop, symbols, columns.items, columns.ends),
            *(places, shares, stack, dim, out.reshape(-1)),
        )
    return out


def open_stack(places: Places, dim: int) -> Stack:
    """Return an empty stack, deep enough for the paths of the batch."""
    levels = int(places.depth.max()) + 1
    return Stack(
        state=np.array([-1, 0], dtype=np.int64),
        path=np.zeros(levels, dtype=np.int64),
        children=np.zeros(levels, dtype=np.int64),
        position=np.zeros(levels, dtype=np.int64),
        numeric=np.zeros(levels, dtype=np.int64),
        rows=empty_rows(levels, dim),
        matrices=np.empty(levels * dim, dtype=np.int32),
        scratch=np.empty(dim, dtype=np.int32),
    )
