"""Atoms: the random sparse vector of each symbol, read off its 63-bit hash.

An atom has four nonzero entries of ±1/2, one in each quarter of the dimensions, so that its norm is
exactly 1 and the inner products of different atoms have standard deviation 1/sqrt(dim), as those of
dense random vectors have.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCKS: Final = 4
"""Nonzero entries of an atom."""

FIELD_BITS: Final = 15
"""Bits of the hash that place one entry: its sign, then its position in the block."""

ENTRY: Final = 0.5
"""Size of each entry: 1/sqrt(BLOCKS)."""

_POSITION_BITS: Final = FIELD_BITS - 1


def block_starts(dim: int) -> NDArray[np.int64]:
    """Return where each block of dimensions starts, and where the last one ends."""
    return np.arange(BLOCKS + 1, dtype=np.int64) * dim // BLOCKS


def atom_entry(code: int, weight: float, block: int, starts: NDArray[np.int64]) -> tuple[int, float]:
    """Return position and value of an atom's entry in one block, times a weight."""
    field = code >> (FIELD_BITS * block)
    size = starts[block + 1] - starts[block]
    position = starts[block] + (((field >> 1) & ((1 << _POSITION_BITS) - 1)) * size >> _POSITION_BITS)
    value = ENTRY * weight * (1 - 2 * (field & 1))
    return position, value


def dense(codes: NDArray[np.int64], weights: NDArray[np.float64], dim: int) -> NDArray[np.float64]:
    """Return the weighted sum of atoms as one dense vector of shape (dim,)."""
    starts = block_starts(dim)
    vector = np.zeros(dim)
    for block in range(BLOCKS):
        fields = codes >> (FIELD_BITS * block)
        sizes = starts[block + 1] - starts[block]
        positions = starts[block] + (((fields >> 1) & ((1 << _POSITION_BITS) - 1)) * sizes >> _POSITION_BITS)
        np.add.at(vector, positions, ENTRY * weights * (1 - 2 * (fields & 1)))
    return vector
