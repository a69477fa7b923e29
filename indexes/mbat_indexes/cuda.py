"""What the CUDA runtime says of the GPUs of this machine, asked of the library that FAISS brings along."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, Final, NamedTuple

_PROPERTIES: Final = {"libcudart.so.12": "cudaGetDeviceProperties_v2", "libcudart.so.13": "cudaGetDeviceProperties"}
"""The libraries, and what each calls the function that fills in the properties of its time."""

_CAPABILITY: Final = (75, 76)  # the numbers of the attributes that hold the two parts of it
_PROPERTIES_BYTES: Final = 1 << 14  # more than any version fills, the name first
_DRIVER: Final = "libcuda.so.1"


class Gpu(NamedTuple):
    """A GPU as CUDA sees it.

    Attributes
    ----------
    number : int
        Its number, which ``CUDA_VISIBLE_DEVICES`` may change.
    name : str
        Its model.
    free_bytes, total_bytes : int
        Memory, now.
    """

    number: int
    name: str
    free_bytes: int
    total_bytes: int


def has_driver() -> bool:
    """Tell whether the driver of NVIDIA is installed."""
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return False
    return True


def count_gpus() -> int:
    """Return how many GPUs there are.

    FAISS can count them too, but ends the process where CUDA refuses to.

    Raises
    ------
    OSError
        If CUDA refuses, as where there is no GPU, or the driver does not go with the system.
    """
    library, _ = _there()
    count = ctypes.c_int()
    _check(library, library.cudaGetDeviceCount(ctypes.byref(count)))
    return count.value


def capability(number: int) -> tuple[int, int]:
    """Return the compute capability of a GPU: what programs it can run.

    Raises
    ------
    OSError
        If CUDA cannot say it.
    """
    library, _ = _there()
    parts = ctypes.c_int(), ctypes.c_int()
    for part, attribute in zip(parts, _CAPABILITY, strict=True):
        _check(library, library.cudaDeviceGetAttribute(ctypes.byref(part), attribute, number))
    return parts[0].value, parts[1].value


def gpu(number: int) -> Gpu:
    """Return what is known of a GPU that is there.

    Raises
    ------
    OSError
        If CUDA cannot say it.
    """
    library, name_of_properties = _there()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
    before = ctypes.c_int()
    _check(library, library.cudaGetDevice(ctypes.byref(before)))
    try:
        _check(library, library.cudaSetDevice(number))
        _check(library, library.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)))
        _check(library, getattr(library, name_of_properties)(properties, number))
    finally:
        library.cudaSetDevice(before)
    return Gpu(number, properties.value.decode(), free.value, total.value)


def driver_version() -> str:
    """Return the version of CUDA that the driver has, as ``12.8``.

    Raises
    ------
    OSError
        If CUDA cannot say it.
    """
    library, _ = _there()
    version = ctypes.c_int()
    _check(library, library.cudaDriverGetVersion(ctypes.byref(version)))
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


@cache
def _runtime() -> tuple[Any, str] | None:
    for name, properties in _PROPERTIES.items():
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.cudaGetErrorString.restype = ctypes.c_char_p
        return library, properties
    return None


def _there() -> tuple[Any, str]:
    runtime = _runtime()
    if runtime is None:
        raise OSError("The CUDA runtime is not installed.")
    return runtime


def _check(library: Any, status: int) -> None:
    if status:
        raise OSError(f"CUDA: {library.cudaGetErrorString(status).decode()}")
