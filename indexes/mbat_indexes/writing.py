"""Writing an index from a stream of vectors."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mbat_indexes.protocol import Ids, Vectors, checked_rising, checked_vectors


class Sink(Protocol):
    """Where the vectors of one kind go."""

    def write(self, vectors: Vectors) -> None:
        """Take the next vectors."""

    def finish(self, ids: Ids) -> None:
        """Complete the files; without this they hold no index."""

    def close(self) -> None:
        """Let go of the files, and remove those that were needed only for the writing."""


class VectorWriter:
    """Checks vectors and ids as they come, and keeps the ids until the end.

    Parameters
    ----------
    sink : Sink
        Where the vectors go.
    dim : int
        Length of the vectors.
    count : int or None
        How many will come, if that is known.
    """

    def __init__(self, sink: Sink, dim: int, count: int | None) -> None:
        self._sink, self._dim, self._announced = sink, dim, count
        self._ids: list[Ids] = [np.zeros(0, dtype=np.int64)]
        self._last = -1

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors.

        Parameters
        ----------
        ids : int64 array of shape (n,)
            Not negative, and rising, also from call to call.
        vectors : float32 array of shape (n, dim)
            Finite.

        Raises
        ------
        ValueError
            If ids or vectors are not as said; nothing is added.
        """
        vectors = checked_vectors(vectors, self._dim)
        ids = checked_rising(ids, len(vectors), self._last)
        if len(ids):
            self._sink.write(vectors)
            self._ids.append(ids.copy())
            self._last = int(ids[-1])

    def finish(self) -> None:
        """Complete the files.

        Raises
        ------
        ValueError
            If not as many vectors came as were announced.
        """
        ids = np.concatenate(self._ids)
        if self._announced not in (None, len(ids)):
            raise ValueError(f"{self._announced:,} vectors were announced and {len(ids):,} came.")
        self._sink.finish(ids)


def as_half(vectors: Vectors) -> NDArray[np.float16]:
    """Return vectors rounded to float16.

    Raises
    ------
    ValueError
        If a number is beyond what float16 holds.
    """
    if np.abs(vectors).max(initial=0) > np.finfo(np.float16).max:
        raise ValueError("A number of the vectors is too large for float16. Choose a kind that stores float32.")
    return vectors.astype("<f2")
