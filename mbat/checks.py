"""Checks of what a caller gives: documents in the plural, vectors, folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbat.errors import ParameterError


def several(documents: Iterable[Any]) -> Iterable[Any]:
    """Return documents as they are given, or raise ParameterError if it is a single one, or no iterable."""
    try:
        iter(documents)
    except TypeError:
        single = True
    else:
        single = isinstance(documents, Mapping | str | bytes | bytearray)
    if single:
        raise ParameterError(
            f"Documents are given as a list or another iterable of them; {documents!r:.60} of type "
            f"{type(documents).__name__} is none. Make a list of a single document, or use encode_one."
        )
    return documents


def checked_vector(vector: Any, dim: int) -> NDArray[np.float64]:
    """Return a vector as float64, or raise ParameterError if it is not one of an encoder of this length."""
    try:
        checked = np.asarray(vector, dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError(f"A vector is an array of {dim} numbers; {vector!r:.60} is not.") from None
    if checked.shape != (dim,):
        raise ParameterError(f"A vector of this encoder has the shape ({dim},); the one given has {checked.shape}.")
    if not np.isfinite(checked).all():
        raise ParameterError("The vector holds numbers that are not finite.")
    return checked


def checked_folder(folder: Any) -> Path:
    """Return a folder as a Path, or raise ParameterError if it is no path."""
    try:
        return Path(folder)
    except TypeError:
        raise ParameterError(f"The folder of an encoder is a path; {folder!r:.60} is none.") from None
