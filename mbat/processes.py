"""Encoding and fitting in several processes: documents go out packed, rows and counts come back in order.

Parsing and taking documents apart holds the interpreter, so that threads alone do not use more than two processors.
Documents that cannot be packed, or are refused by another process as they arrived there, are worked on by the calling
one, as they were given: so the result, or the error, is that of one process.
"""

from __future__ import annotations

import marshal
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from tempfile import TemporaryDirectory
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
Work = Callable[["Encoder", list[Any]], T]

PACKED: Final = 1024
"""Documents that go to a process at a time to be encoded."""

COUNTED: Final = 8192
"""Documents that go to a process at a time to be fitted on; megabytes of counts come back."""

_LOOKAHEAD: Final = 2
_BEGUN: Final = "begun"

_encoder: Encoder | None = None
"""In a worker process, the encoder that it works for."""


class Packed(NamedTuple):
    """Some documents, ready to be sent to another process.

    Attributes
    ----------
    size : int
        How many they are.
    content
        What `unpack` takes; None if they cannot be sent.
    unpack : callable
        Returns the documents.
    documents : list, optional
        The documents as they were given, which stay here.
    """

    size: int
    content: Any
    unpack: Callable[[Any], list[Any]]
    documents: list[Any] | None = None


def packed(documents: list[Any]) -> Packed:
    """Pack documents: as the interpreter's own bytes, which is quick, unless some value is of a type of one's own.

    Values that hold their memory open, as numpy's do, become bytes, which are no JSON and refused as such.
    """
    try:
        return Packed(len(documents), marshal.dumps(documents), marshal.loads, documents)
    except ValueError:
        return _pickled(documents)


def _pickled(documents: list[Any]) -> Packed:
    try:
        content = bytes(ForkingPickler.dumps(documents))
    except Exception:  # whatever keeps some value from being sent
        content = None
    return Packed(len(documents), content, ForkingPickler.loads, documents)


def packed_texts(texts: Sequence[bytes]) -> Packed:
    """Pack documents that are JSON texts; the other process parses them."""
    return Packed(len(texts), b"[" + b",".join(texts) + b"]", orjson.loads)


def check_workers(workers: int) -> None:
    """Raise ParameterError if `workers` is no number of processes."""
    if type(workers) is not int or workers < 1:
        raise ParameterError(f"workers is how many processes work, a whole number of at least 1; {workers!r} is not.")


def encoded(encoder: Encoder, batches: Iterable[Packed], workers: int) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors of batches of documents, in order, made by worker processes.

    Parameters
    ----------
    encoder : Encoder
        Each process reads it once, from a temporary file.
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
        If a process was killed, or could not start.
    """
    return _in_order(encoder, _encode, batches, workers)


def fitted(encoder: Encoder, batches: Iterable[Packed], workers: int) -> Statistics:
    """Return the statistics of batches of documents, counted by worker processes: equal to those of one fit."""
    statistics = Statistics()
    for part in _in_order(encoder, _fit, batches, workers):
        statistics = statistics.merge(part)
    return statistics


def _in_order(encoder: Encoder, work: Work[T], batches: Iterable[Packed], workers: int) -> Iterator[T]:
    check_workers(workers)
    with _sent(encoder) as place, closing(_submitted(place, work, batches, workers)) as submitted:
        first = 0
        try:
            for batch, future in submitted:
                yield _result(encoder, work, first, batch, future)
                first += batch.size
        except BrokenProcessPool:
            raise _ended(place) from None


@contextmanager
def _sent(encoder: Encoder) -> Iterator[Path]:
    """Write an encoder where worker processes can read it.

    What a process is given as it is started goes through a pipe; were it too much for that, and the process to end
    before it reads, both would wait for ever.
    """
    try:
        content = ForkingPickler.dumps(encoder)
    except Exception as error:  # whatever keeps the user's function for texts from being sent
        raise ParameterError(f"The encoder cannot be sent to other processes: {error}. Use one process.") from None
    with TemporaryDirectory(prefix="mbat-") as folder:
        place = Path(folder) / "encoder"
        try:
            place.write_bytes(content)
        except OSError as error:
            raise MbatError(
                f"The encoder cannot be written to {folder} for other processes: {error.strerror}. Set TMPDIR to a "
                "folder with room, or use one process."
            ) from error
        yield place


def _submitted(
    place: Path, work: Work[T], batches: Iterable[Packed], workers: int
) -> Generator[tuple[Packed, Future[T | None] | None], None, None]:
    """Yield batches with what worker processes make of them, in order; some are drawn ahead."""
    waiting: deque[tuple[Packed, Future[T | None] | None]] = deque()
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads that it does not copy
    pool = ProcessPoolExecutor(workers, context, _begin, (place,))
    try:
        for batch in batches:
            with _uninterrupted():
                sent = None if batch.content is None else pool.submit(_worked, work, batch.unpack, batch.content)
            waiting.append((batch, sent))
            if len(waiting) > workers + _LOOKAHEAD:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold an interrupt back from this thread, and from processes that it starts, until `_begin` ignores it there."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _result(encoder: Encoder, work: Work[T], first: int, batch: Packed, future: Future[T | None] | None) -> T:
    result = None if future is None else future.result()
    if result is not None:
        return result
    documents = batch.unpack(batch.content) if batch.documents is None else batch.documents
    try:
        return work(encoder, documents)
    except DocumentError as error:
        raise DocumentError(error.reason, error.path, first + (error.position or 0)) from None


def _ended(place: Path) -> MbatError:
    """Return what to say when a worker process ended by itself."""
    if place.with_name(_BEGUN).exists():
        return MbatError("A worker process ended before its work was done. Was there enough memory?")
    return MbatError(
        "The worker processes ended as they were started; what they printed tells why. They import the script that is "
        'run: guard what it does by `if __name__ == "__main__":`, or use one process.'
    )


def _begin(place: Path) -> None:
    """Start a worker process: an interrupt is for the process that it works for."""
    global _encoder  # noqa: PLW0603, what a worker process works with is not sent with every task
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _encoder = ForkingPickler.loads(place.read_bytes())
    place.with_name(_BEGUN).touch()


def _worked(work: Work[T], unpack: Callable[[Any], list[Any]], content: Any) -> T | None:
    """Return what a worker process makes of documents, None if they are not documents as they arrived."""
    assert _encoder is not None
    try:
        documents = unpack(content)
    except Exception:  # whatever keeps values of types of one's own from being made here
        return None
    try:
        return work(_encoder, documents)
    except DocumentError:
        return None


def _encode(encoder: Encoder, documents: list[Any]) -> NDArray[np.float32]:
    from mbat.encoder import BATCH

    return np.concatenate(list(encoder.encode_batches(batched(documents, BATCH), threads=0)))


def _fit(encoder: Encoder, documents: list[Any]) -> Statistics:
    from mbat.encoder import Encoder

    return Encoder(**encoder.parameters).fit(documents).statistics
