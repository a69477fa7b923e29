"""Working ahead: one thread computes while another prepares the next batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_LOOKAHEAD: Final = 3


def ahead(function: Callable[[T], R], values: Iterable[T]) -> Iterator[R]:
    """Yield ``function(value)`` for each value, in order, computed in a second thread.

    The values are drawn in the calling thread, a few ahead of what is yielded, so that parsing, which
    holds the interpreter, and kernels, which do not, run side by side.

    Examples
    --------
    >>> list(ahead(str, range(3)))
    ['0', '1', '2']
    """
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(1) as worker:
        try:
            for value in values:
                waiting.append(worker.submit(function, value))
                if len(waiting) > _LOOKAHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
