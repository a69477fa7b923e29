"""Where vectors are searched and indexes built: by the processor, or on GPUs that are there and usable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mbat_indexes import cuda
from mbat_indexes.faiss_library import installed_faiss, load_faiss
from mbat_indexes.protocol import MissingFaissError

_DEVICE: Final = re.compile(r"gpu(?::(\d+(?:,\d+)*))?", re.ASCII)
_CPU_ONLY: Final = "faiss-cpu"
_LEAST_CAPABILITY: Final = (7, 0)  # older GPUs have no kernels in the wheels of FAISS, which ends the process there
_INSTALL: Final = "pip uninstall -y faiss-cpu faiss-gpu; pip install 'mbat[gpu]'"


class DeviceError(Exception):
    """A GPU that was asked for cannot be used; the message says what is missing."""


@dataclass(frozen=True)
class Device:
    """Where to search and to build.

    Attributes
    ----------
    gpus : tuple of int
        Numbers of the GPUs; none is the processor.
    required : bool
        Whether it is an error if the vectors cannot be there, for example since they do not fit. Else the processor
        searches them.
    memory_bytes : int or None
        How much of the memory of each GPU may be used at most; None is nearly all that is free.
    """

    gpus: tuple[int, ...] = ()
    required: bool = False
    memory_bytes: int | None = None


CPU: Final = Device()
"""The processor."""


def checked_device(text: str) -> str:
    """Return a text if it names a device, there or not, else raise ValueError."""
    if text not in ("auto", "cpu"):
        _numbers(text)
    return text


def find_device(text: str, memory_bytes: int | None = None) -> Device:
    """Return the device of a name.

    Parameters
    ----------
    text : str
        ``cpu``; ``gpu`` for the first GPU, ``gpu:1`` for another, ``gpu:0,1`` for several; or ``auto`` for the first if
        there is one that can be used, else the processor.
    memory_bytes : int, optional
        How much of the memory of each GPU may be used.

    Raises
    ------
    ValueError
        If there is no such name, or `memory_bytes` is no number above 0, or given for the processor.
    DeviceError
        If a GPU is asked for by name and is not there; the message says what is missing.

    Examples
    --------
    >>> find_device("cpu").gpus
    ()
    """
    if memory_bytes is not None and (type(memory_bytes) is not int or memory_bytes < 1):
        raise ValueError(f"The memory of a GPU that may be used is a number of bytes above 0; {memory_bytes!r} is not.")
    if text == "cpu":
        if memory_bytes is not None:
            raise ValueError("The memory of a GPU can be bounded where one may be used, and not on the device 'cpu'.")
        return CPU
    if text == "auto":
        # On most machines there is no driver: this is known sooner than FAISS is imported.
        return Device((0,), False, memory_bytes) if cuda.has_driver() and not _why_not((0,)) else CPU
    numbers = _numbers(text)
    if why := _why_not(numbers):
        raise DeviceError(why)
    return Device(numbers, True, memory_bytes)


def _why_not(numbers: tuple[int, ...]) -> str:
    """Return what keeps some GPUs from being used, in a sentence; nothing if they can be."""
    if missing := what_is_missing():
        return f"No GPU can be used: {missing}"
    try:
        count = cuda.count_gpus()
        if max(numbers) >= count:
            there = "is one GPU, number 0" if count == 1 else f"are {count} GPUs, numbers 0 to {count - 1}"
            return f"There is no GPU {max(numbers)}: there {there}."
        return next(filter(None, map(_too_old, numbers)), "")
    except OSError as error:
        return f"No GPU can be used: {error}"


def _too_old(number: int) -> str:
    found = cuda.capability(number)
    told, least = (".".join(map(str, one)) for one in (found, _LEAST_CAPABILITY))
    return f"GPU {number} is of compute capability {told}, and FAISS needs {least}." * (found < _LEAST_CAPABILITY)


def what_is_missing() -> str:
    """Return what keeps GPUs from being used, and what to do: a sentence, or nothing if there is a GPU."""
    try:
        faiss = load_faiss()
    except MissingFaissError as error:
        return str(error)
    if not hasattr(faiss, "StandardGpuResources"):
        over = sorted(set(installed_faiss()) - {_CPU_ONLY})
        why = f"{_CPU_ONLY} is installed over {over[0]}" if over else "the FAISS that is installed knows no GPU"
        return f"{why}. Run: {_INSTALL}"
    if not cuda.has_driver():
        return "FAISS is built for GPUs, but the driver is missing. Install that of NVIDIA, or use the CPU."
    try:
        why = "" if cuda.count_gpus() else "it counts none"
    except OSError as error:
        why = str(error)
    return why and f"FAISS and the driver are there, but no device ({why}). See nvidia-smi."


def told_of_gpus() -> str:
    """Return which GPUs can be used, or why there is none."""
    missing = what_is_missing()
    if missing:
        return f"none: {missing}"
    try:
        gpus = [cuda.gpu(number) for number in range(cuda.count_gpus())]
        told = [f"{one}: {name}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free" for one, name, free, total in gpus]
        old = [sentence for one in gpus if (sentence := _too_old(one.number))]
        return " ".join([f"{', '.join(told)}; driver for CUDA {cuda.driver_version()}.", *old])
    except OSError as error:
        return f"there are some, of which nothing more is known: {error}"


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of the GPUs that a text names."""
    found = _DEVICE.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise ValueError(
            f"device is 'auto', 'cpu', 'gpu', or GPUs by number as in 'gpu:0,1'; {text!r} is none of these."
        )
    numbers = tuple(map(int, (found[1] or "0").split(",")))
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{text!r} names a GPU twice.")
    return numbers
