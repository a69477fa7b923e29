"""The different vectors of documents: copies of a document, however many, are encoded into one row."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import IO, Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.encoder import BATCH, Encoder
from mbat.pipeline import batched
from mbat.progress import Progress
from mbat.store import Store


class Distinct(NamedTuple):
    """The different vectors of documents.

    Attributes
    ----------
    ids : list of str
        Of all documents.
    firsts : int64 array of shape (vectors,)
        The first document of each vector.
    numbers : int64 array of shape (documents,)
        The vector of each document; -1 for the vector zero, which is like nothing.
    vectors : float32 array of shape (vectors, dim)
    """

    ids: list[str]
    firsts: NDArray[np.int64]
    numbers: NDArray[np.int64]
    vectors: NDArray[np.float32]


def distinct_vectors(store: Store, encoder: Encoder, file: IO[bytes], progress: Progress) -> Distinct:
    """Encode all documents, and write vectors that are not there yet to a file."""
    file.seek(0)
    file.truncate()
    ids: list[str] = []
    total = len(store)
    known: dict[bytes, int] = {}
    firsts: list[int] = []
    numbers: list[int] = []

    def documents() -> Iterator[list[Any]]:
        for batch in batched(store.after(), BATCH):
            ids.extend(stored.id for stored in batch)
            yield [orjson.loads(stored.text) for stored in batch]

    for rows in encoder.encode_batches(documents()):
        for row in rows:
            there = bool(row.any())
            number = known.setdefault(blake2b(row.data, digest_size=16).digest(), len(known)) if there else -1
            if number == len(firsts):
                firsts.append(len(numbers))
                file.write(row.data)
            numbers.append(number)
        progress("encode", len(numbers), total)
    file.flush()
    shape = len(firsts), encoder.dim
    empty = np.zeros(shape, dtype=np.float32)
    vectors = np.memmap(file, np.float32, "r", shape=shape) if firsts else empty
    return Distinct(ids, np.array(firsts, dtype=np.int64), np.array(numbers, dtype=np.int64), vectors)
