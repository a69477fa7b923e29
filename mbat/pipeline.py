"""Streams in batches, and working ahead: threads compute while another prepares the next batches."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

T = TypeVar("T")
R = TypeVar("R")

WORKERS: Final = min(4, os.cpu_count() or 1)
"""Threads for work whose order does not matter."""

_LOOKAHEAD: Final = 2


def ahead(function: Callable[[T], R], values: Iterable[T], workers: int = 1) -> Iterator[R]:
    """Yield ``function(value)`` for each value, in order, computed in other threads.

    The values are drawn in the calling thread, a few ahead of what is yielded, so that parsing, which
    holds the interpreter, and kernels, which do not, run side by side. With no workers it is `map`.

    Examples
    --------
    >>> list(ahead(str, range(3)))
    ['0', '1', '2']
    """
    if workers == 0:
        yield from map(function, values)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers) as worker:
        try:
            for value in values:
                waiting.append(worker.submit(function, value))
                if len(waiting) > workers + _LOOKAHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most `size` values."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


def stacked(batches: Iterable[NDArray[Any]], width: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return batches of rows as one array, which grows as they come: batches kept until the end would be as much again.

    Examples
    --------
    >>> stacked(iter([np.ones((2, 3)), np.zeros((1, 3))]), 3, "float32").shape
    (3, 3)
    """
    rows, done = np.empty((0, width), dtype=dtype), 0
    for batch in batches:
        end = done + len(batch)
        if end > len(rows):
            rows.resize((end + end // 8, width), refcheck=False)
        rows[done:end] = batch
        done = end
    rows.resize((done, width), refcheck=False)
    return rows
