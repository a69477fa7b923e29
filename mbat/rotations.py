"""Vectors turned to fewer numbers, and narrowed to fewer bytes a number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.errors import ParameterError

_LARGEST: Final = 127
_LEAST_PART: Final = 1e-9
"""A direction with less of the vectors than this, beside the foremost one, holds but what rounding left there."""


def learned_rotation(batches: Iterable[NDArray[np.float32]], components: int) -> NDArray[np.float32]:
    """Return the directions that keep most of the inner products of some vectors, as columns, the best one first."""
    count, moment = 0, np.zeros((1, 1))
    for batch in batches:
        rows = _whole(batch, 16)
        count, moment = count + len(rows), moment + rows.T @ rows
    if count < components:
        raise ParameterError(
            f"components={components} directions cannot be learned from {count} documents. Lower it, or fit on more."
        )
    parts, directions = np.linalg.eigh(moment)
    best = directions[:, ::-1][:, :components]
    largest = np.abs(best).argmax(axis=0)
    signs = np.sign(best[largest, np.arange(components)])  # else they are what the linear algebra library makes them
    told = parts[::-1][:components] > _LEAST_PART * parts[-1]  # the other directions are any at all
    return np.ascontiguousarray(best * signs * told, dtype=np.float32)


def turning(rotation: NDArray[np.float32]) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a function that turns rows, each by itself to the last bit."""
    directions = _whole(rotation, 26)
    return lambda rows: np.asarray(_whole(rows, 26) @ directions * 0.5**52, dtype=np.float32)


def narrowed(rows: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Return rows in the type of the output."""
    if dtype != "int8":
        return rows.astype(dtype, copy=False)
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    return np.rint(rows * (_LARGEST / np.where(largest > 0.0, largest, 1.0))).astype(np.int8)


def _whole(numbers: NDArray[np.float32], bits: int) -> NDArray[np.float64]:
    """Return numbers from -1 to 1 in steps of 2**-bits, as whole numbers: sums of their products are then exact.

    So they do not depend on which rows come together, and `n_jobs` processes give what one does.
    """
    return np.rint(numbers * np.float64(1 << bits))
