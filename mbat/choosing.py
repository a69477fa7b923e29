"""The kind of index that a name stands for."""

from __future__ import annotations

import os

import mbat_indexes
from mbat.errors import DeviceError, ParameterError
from mbat_indexes import KINDS, Device, check_on_gpu, choose_kind


def check_kind(kind: str, dim: int, device: Device) -> None:
    """Raise an error if there is no such kind of index, or it is not searched on a device that is required."""
    if kind not in ("auto", *KINDS):
        raise ParameterError(f"There is no kind of index {kind!r}; there are auto, {', '.join(KINDS)}.")
    try:
        if kind != "auto":
            check_on_gpu(KINDS[kind], dim, device)
    except mbat_indexes.DeviceError as error:
        raise DeviceError(str(error)) from None


def chosen_kind(kind: str, count: int, dim: int, device: Device) -> tuple[str, str]:
    """Return the kind to use for some vectors, and if ``auto`` stands for it, why, in a sentence."""
    if kind != "auto":
        return kind, ""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    choice = choose_kind(count, dim, memory, on_gpu=device.required)
    return choice.kind, choice.reason


def is_exact(kind: str) -> bool:
    """Tell whether a search of a kind compares every vector as it is stored."""
    return KINDS[kind].effort is None and not KINDS[kind].copy
