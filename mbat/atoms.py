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


def atom_entry(code: int, block: int, dim: int) -> tuple[int, int]:
    """Return where an atom of a vector of length `dim` has its entry in one block, and 1 if the entry is negative."""
    field = code >> (FIELD_BITS * block)
    start = dim * block // BLOCKS
    size = dim * (block + 1) // BLOCKS - start
    return start + (((field >> 1) & ((1 << _POSITION_BITS) - 1)) * size >> _POSITION_BITS), field & 1


def dense(codes: NDArray[np.int64], weights: NDArray[np.float64], dim: int) -> NDArray[np.float64]:
    """Return the weighted sum of atoms as one dense vector of shape (dim,)."""
    vector = np.zeros(dim)
    for block in range(BLOCKS):
        positions, negative = atom_entry(codes, block, dim)  # type: ignore[arg-type]  # it works on arrays as well
        np.add.at(vector, positions, ENTRY * weights * (1 - 2 * negative))
    return vector
