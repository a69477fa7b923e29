"""Measure every kind of vector index on the vectors of documents.

    python tests/benchmarks/kinds.py DOCUMENTS.jsonl [--kinds flat,ivf] [--copies 6] [--queries 500]

Queries are documents of the index, and the ten nearest others are to be found. With --copies the vectors are repeated
with noise, which makes large indexes of real structure. Beside each kind stands FAISS alone, on the same file with the
same effort.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import orjson
from numpy.typing import NDArray

from mbat import Encoder
from mbat_indexes import KINDS, VectorIndex, index_writer, load_index, segment_files
from mbat_indexes.faiss_library import lists_of

BATCH = 100
K = 10


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def vectors_of(path: Path) -> NDArray[np.float32]:
    documents = [orjson.loads(line) for line in path.read_bytes().split(b"\n") if line]
    return Encoder().fit(documents).encode(documents)


def repeated(vectors: NDArray[np.float32], copies: int) -> Iterator[NDArray[np.float32]]:
    yield vectors
    for copy in range(1, copies):
        random = np.random.default_rng(copy)
        for start in range(0, len(vectors), 1 << 14):
            block = vectors[start : start + (1 << 14)]
            noisy = block + 0.5 / np.sqrt(block.shape[1]) * random.standard_normal(block.shape, dtype=np.float32)
            yield noisy / np.linalg.norm(noisy, axis=1, keepdims=True)


def build(kind: str, path: Path, vectors: NDArray[np.float32], copies: int) -> None:
    with index_writer(kind, path, vectors.shape[1]) as writer:
        count = 0
        for block in repeated(vectors, copies):
            for start in range(0, len(block), 512):
                part = block[start : start + 512]
                writer.add(np.arange(count, count + len(part)), part)
                count += len(part)


def alone(kind: str, index: Any) -> Callable[[NDArray[np.float32]], Any]:
    """Return a search by FAISS alone with the same effort; None where there is none."""
    inner, count = index._finder._index, K * KINDS[kind].candidates
    if KINDS[kind].effort is None:
        return lambda queries: inner.search(queries, count)
    if KINDS[kind].effort == "efSearch":
        params = faiss.SearchParametersHNSW(efSearch=inner.hnsw.efSearch)
    else:
        params = faiss.SearchParametersIVF(nprobe=lists_of(inner).nprobe)
        if isinstance(inner, faiss.IndexPreTransform):
            params = faiss.SearchParametersPreTransform(index_params=params)
    return lambda queries: inner.search(queries, count, params=params)


def times(search: Callable[[NDArray[np.float32]], Any], queries: NDArray[np.float32]) -> tuple[float, float]:
    """Return seconds for a single query and for a batch: medians."""
    search(queries[:BATCH])
    single = statistics.median(seconds(lambda q=query[None]: search(q)) for query in queries[:BATCH])
    batches = [queries[start : start + BATCH] for start in range(0, len(queries) - BATCH + 1, BATCH)]
    return single, statistics.median(seconds(lambda q=batch: search(q)) for batch in batches)


def others_found(index: VectorIndex, true: NDArray[np.float32], rows: Any, queries: Any) -> tuple[float, float]:
    """Return the share of the nearest, and of the ten nearest, that is found; a document itself apart."""
    scores, found = index.search(queries, K + 1)
    scores[found == rows[:, None]] = -np.inf
    scores = -np.sort(-scores, axis=1)
    close = 1e-3 if KINDS[index.kind].half else 1e-5
    return float((scores[:, 0] >= true[:, 0] - close).mean()), float((scores[:, :K] >= true[:, [K - 1]] - close).mean())


def measure(kind: str, folder: Path, vectors: Any, copies: int, rows: Any, true: Any) -> None:
    path, queries = folder / kind, vectors[rows]
    built = seconds(lambda: build(kind, path, vectors, copies))
    opened = seconds(lambda: load_index(kind, path))
    index = load_index(kind, path)
    at_1, at_10 = others_found(index, true, rows, queries)
    size = sum(file.stat().st_size for file in segment_files(kind, path)) / len(index)
    single, batch = times(lambda q: index.search(q, K), queries)
    bare = "- | - "
    if kind != "exact":
        bare_single, bare_batch = times(alone(kind, index), queries)
        bare = f"{bare_single * 1e3:.2f} ms | {BATCH / bare_batch:,.0f} "
    effort = getattr(index, "_finder", None) and index._finder.effort  # type: ignore[attr-defined]
    print(
        f"| {kind} | {effort or 1:.3f} | {at_1:.3f} | {at_10:.3f} | {single * 1e3:.2f} ms | {BATCH / batch:,.0f}"
        f" | {bare}| {size:,.0f} | {built:.1f} s | {opened * 1e3:.0f} ms |",
        flush=True,
    )
    for file in segment_files(kind, path):
        os.unlink(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--queries", type=int, default=500)
    arguments = parser.parse_args()
    vectors = np.load(arguments.documents) if arguments.documents.suffix == ".npy" else vectors_of(arguments.documents)
    rows = np.sort(np.random.default_rng(1).choice(len(vectors), arguments.queries, replace=False))
    print(
        "| kind | effort | recall@1 | recall@10 | a query | queries/s | FAISS alone, a query | queries/s"
        " | bytes a vector | build | open |\n|---|" + "---:|" * 10
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build("flat", folder / "true", vectors, arguments.copies)
        scores, found = load_index("flat", folder / "true").search(vectors[rows], K + 1)
        scores[found == rows[:, None]] = -np.inf
        true = -np.sort(-scores, axis=1)[:, :K]
        os.unlink(folder / "true")
        for kind in arguments.kinds.split(","):
            measure(kind, folder, vectors, arguments.copies, rows, true)


if __name__ == "__main__":
    main()
