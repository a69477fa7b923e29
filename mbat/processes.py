"""Encoding and fitting in several processes: documents go out packed, rows and counts come back in order.

Parsing and taking documents apart holds the interpreter, so that threads alone do not use more than two processors.
"""

from __future__ import annotations

import marshal
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.errors import DocumentError, MbatError, ParameterError
from mbat.pipeline import batched
from mbat.statistics import Statistics

if TYPE_CHECKING:
    from mbat.encoder import Encoder

T = TypeVar("T")

PACKED: Final = 1024
"""Documents that go to a process at a time to be encoded."""

COUNTED: Final = 8192
"""Documents that go to a process at a time to be fitted on; megabytes of counts come back."""

_LOOKAHEAD: Final = 2

_encoder: Encoder | None = None
"""In a worker process, the encoder that it works for."""


class Packed(NamedTuple):
    """Some documents, ready to be sent to another process.

    Attributes
    ----------
    size : int
        How many they are.
    content
        What `unpack` takes.
    unpack : callable
        Returns the documents.
    """

    size: int
    content: Any
    unpack: Callable[[Any], list[Any]]


def packed(documents: list[Any]) -> Packed:
    """Pack documents: as the interpreter's own bytes, which is quick, unless some value is of a type of one's own."""
    try:
        return Packed(len(documents), marshal.dumps(documents), marshal.loads)
    except ValueError:
        return Packed(len(documents), documents, list)


def packed_texts(texts: Sequence[bytes]) -> Packed:
    """Pack documents that are JSON texts; the other process parses them."""
    return Packed(len(texts), b"[" + b",".join(texts) + b"]", orjson.loads)


def encoded(encoder: Encoder, batches: Iterable[Packed], workers: int) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors of batches of documents, in order, made by worker processes.

    Parameters
    ----------
    encoder : Encoder
        Sent to each process once.
    batches : iterable of Packed
        Drawn in the calling thread, a few ahead of what is yielded.
    workers : int
        How many processes.

    Raises
    ------
    DocumentError
        If a document is no JSON value; the position counts from the first batch.
    ParameterError
        If the encoder cannot be sent to another process, or `workers` is no number of processes.
    MbatError
        If a process was killed.
    """
    return _in_order(encoder, _encode, batches, workers)


def fitted(encoder: Encoder, batches: Iterable[Packed], workers: int) -> Statistics:
    """Return the statistics of batches of documents, counted by worker processes: equal to those of one fit."""
    statistics = Statistics()
    for part in _in_order(encoder, _fit, batches, workers):
        statistics = statistics.merge(part)
    return statistics


def _in_order(encoder: Encoder, work: Callable[[Packed], T], batches: Iterable[Packed], workers: int) -> Iterator[T]:
    if type(workers) is not int or workers < 1:
        raise ParameterError(f"workers is how many processes work, a whole number of at least 1; {workers!r} is not.")
    _check_portable(encoder)
    waiting: deque[tuple[int, Future[T]]] = deque()
    first = 0
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads that it does not copy
    with ProcessPoolExecutor(workers, context, _begin, (encoder,)) as pool:
        try:
            for batch in batches:
                waiting.append((first, pool.submit(work, batch)))
                first += batch.size
                if len(waiting) > workers + _LOOKAHEAD:
                    yield _result(*waiting.popleft())
            while waiting:
                yield _result(*waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _check_portable(encoder: Encoder) -> None:
    try:
        ForkingPickler.dumps(encoder)
    except Exception as error:  # whatever keeps the user's function for texts from being sent
        raise ParameterError(f"The encoder cannot be sent to other processes: {error}. Use workers=1.") from None


def _result(first: int, future: Future[T]) -> T:
    try:
        return future.result()
    except DocumentError as error:
        raise DocumentError(error.reason, error.path, first + (error.position or 0)) from None
    except BrokenProcessPool:
        raise MbatError("A worker process ended before its work was done. Was there enough memory?") from None


def _begin(encoder: Encoder) -> None:
    """Start a worker process: an interrupt is for the process that it works for."""
    global _encoder  # noqa: PLW0603, what a worker process works with is not sent with every task
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _encoder = encoder


def _encode(batch: Packed) -> NDArray[np.float32]:
    from mbat.encoder import BATCH

    assert _encoder is not None
    batches = batched(batch.unpack(batch.content), BATCH)
    return np.concatenate(list(_encoder.encode_batches(batches, threads=0)))


def _fit(batch: Packed) -> Statistics:
    from mbat.encoder import Encoder

    assert _encoder is not None
    return Encoder(**_encoder.parameters).fit(batch.unpack(batch.content)).statistics
