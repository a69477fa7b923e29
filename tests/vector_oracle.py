"""Vectors to index, and the brute-force search that every kind of index is held to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbat_indexes import KINDS, VectorIndex, index_writer, load_index

Array = NDArray[np.float32]
Ids = NDArray[np.int64]
DIM = 24


def units(count: int, seed: int = 0, dim: int = DIM) -> Array:
    """Return unit vectors, some of them close together as those of documents are."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((30, dim))
    vectors = centres[random.integers(30, size=count)] + random.standard_normal((count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def spread_ids(count: int) -> Ids:
    """Return ids with gaps."""
    return np.arange(count) * 3 + 7


def made(kind: str, path: Path, ids: Ids, vectors: Array, batch: int = 64) -> VectorIndex:
    """Return an index that was written in batches and loaded."""
    with index_writer(kind, path, vectors.shape[1], len(ids)) as writer:
        for start in range(0, len(ids), batch):
            writer.add(ids[start : start + batch], vectors[start : start + batch])
    return load_index(kind, path)


def as_stored(kind: str, vectors: Array) -> Array:
    """Return vectors as a kind keeps them."""
    return vectors.astype(np.float16).astype(np.float32) if KINDS[kind].half else vectors


def brute_force(
    ids: Ids, vectors: Array, queries: Array, k: int, allowed: Ids | None = None, excluded: Ids | None = None
) -> tuple[Array, Ids]:
    """Return scores and ids, best first, equal scores by id, of the vectors that may be found."""
    live = np.isin(ids, excluded if excluded is not None else [], invert=True)
    if allowed is not None:
        live &= np.isin(ids, allowed)
    ids, vectors = ids[live], vectors[live]
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    found = np.full((len(queries), k), -1, dtype=np.int64)
    for row, query in enumerate(queries):
        exact = np.array([np.einsum("d,d->", vector, query) for vector in vectors], dtype=np.float32)
        best = sorted(range(len(ids)), key=lambda one: (-exact[one], ids[one]))[:k]
        scores[row, : len(best)], found[row, : len(best)] = exact[best], ids[best]
    return scores, found


def assert_equal(ours: tuple[Array, Ids], theirs: tuple[Array, Ids]) -> None:
    """Fail unless two results are the same to the last bit."""
    np.testing.assert_array_equal(ours[1], theirs[1])
    np.testing.assert_array_equal(ours[0], theirs[0])
