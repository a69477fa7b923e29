"""Inner loops: plain Python functions over flat arrays, compiled by numba once there is work for it.

A kernel and its helpers are written in the part of Python that numba compiles to the same meaning, to
the last bit: integers that fit 63 bits, float64 arithmetic with ``+ - * /`` and the square root, one-
dimensional arrays. So a kernel can also run as it stands. One small document, as in a query from
the command line, is done sooner that way than numba is imported.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from mbat.hashing import MASK, times

INTERPRETED_SECONDS: Final = 0.15
"""Time a process spends on interpreted kernels before it loads numba: about what that loading takes."""

INTERPRETED_WORK: Final = 8192
"""The largest call, in loop turns as its caller counts them, that is still interpreted."""


def nth(index: int) -> int:
    """Return an index that is known not to be negative; compiled code then does not test for it."""
    return index


def rough_log2(x: float) -> float:
    """Return log2(x) with straight lines between the powers of two: exact arithmetic, alike on every machine."""
    fraction, exponent = math.frexp(x)
    return exponent - 2 + 2 * fraction


_OPTIONS: Final[Any] = {"forceinline": True, "_nrt": False}
"""Kernels own no memory: without reference counting, and with helpers inlined, they run twice as fast."""


class Kernel:
    """A function that works in place on arrays, compiled or interpreted, with the same result.

    Parameters
    ----------
    function : callable
        The kernel. Its arguments are numbers, one-dimensional arrays and named tuples of those.
    helpers : callables
        The functions that it calls.
    """

    _interpreted_seconds = 0.0

    def __init__(self, function: Callable[..., int], *helpers: Callable[..., Any]) -> None:
        self._function, self._helpers = function, helpers
        self._compiled: Callable[..., int] | None = None

    def __call__(self, work: int, *arguments: Any) -> int:
        """Run the kernel on the arguments; `work` is about how many turns its loops will take."""
        if self._compiled is None and work <= INTERPRETED_WORK and Kernel._interpreted_seconds < INTERPRETED_SECONDS:
            start = time.perf_counter()
            result = self.interpret(*arguments)
            Kernel._interpreted_seconds += time.perf_counter() - start
            return result
        return self.compiled(*arguments)

    def interpret(self, *arguments: Any) -> int:
        """Run the kernel as plain Python."""
        return self._function(*map(_plain, arguments))

    @property
    def compiled(self) -> Callable[..., int]:
        """The kernel as machine code; compiled at first use, and kept on disk."""
        with _compiling:
            if self._compiled is None:
                from mbat.kernel_cache import compiled_and_kept

                _register(times, nth, *self._helpers)
                self._compiled = compiled_and_kept(self._function, {"nogil": True, **_OPTIONS})
            return self._compiled


_compiling = threading.Lock()  # a thread must not compile what another is still registering
_registered: set[Callable[..., Any]] = set()


def _register(*helpers: Callable[..., Any]) -> None:
    """Tell numba which plain functions kernels may call, and what stands for those that it says differently."""
    from numba.extending import overload, register_jitable

    for helper in set(helpers) - _registered:
        _registered.add(helper)
        if helper in _COMPILED_FORMS:
            overload(helper, jit_options=_OPTIONS)(_COMPILED_FORMS[helper])
        else:
            register_jitable(**_OPTIONS)(helper)


def _unsigned_times(x: Any, y: Any) -> Callable[[Any, Any], Any]:
    """Multiply unsigned, which wraps around; a signed product that overflows is undefined to the compiler."""

    def wrapping_times(x: Any, y: Any) -> Any:
        return np.int64((np.uint64(x) * np.uint64(y)) & np.uint64(MASK))

    return wrapping_times


def _unsigned_nth(index: Any) -> Callable[[Any], Any]:
    def unsigned(index: Any) -> Any:
        return np.uint64(index)

    return unsigned


_COMPILED_FORMS: Final[dict[Callable[..., Any], Callable[..., Any]]] = {times: _unsigned_times, nth: _unsigned_nth}


def _plain(argument: Any) -> Any:
    """Replace arrays by views whose elements are Python's own numbers."""
    if isinstance(argument, np.ndarray):
        return memoryview(argument)  # type: ignore[arg-type]  # an array is a buffer from Python 3.12 on
    if isinstance(argument, tuple):
        return type(argument)(*map(_plain, argument))
    return argument
