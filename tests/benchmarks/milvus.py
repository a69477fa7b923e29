"""Push documents to milvus-lite, and compare what is found there with the local index of kind flat.

    python tests/benchmarks/milvus.py DOCUMENTS.jsonl [--kinds HNSW,IVF_SQ8] [--queries 500] [--folder FOLDER]

Queries are documents of the index, drawn at random, whole. Of the ten that the local index finds for each, the share
that Milvus finds is counted twice: by id, and by score, for of equal documents it does not matter which is found.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from mbat import Hit, Index
from mbat.milvus import push

K = 10
SINGLE = 50


def shares(local: list[list[Hit]], found: list[list[Hit]]) -> tuple[float, float]:
    """Return the share of the local hits that are found, by id and by score."""
    wanted = sum(map(len, local))
    same = sum(
        len({hit.id for hit in one} & {hit.id for hit in other}) for one, other in zip(local, found, strict=True)
    )
    good = sum(
        min(len(one), sum(hit.score >= one[-1].score for hit in other)) for one, other in zip(local, found, strict=True)
    )
    return same / wanted, good / wanted


def measured(index: Index, queries: list[Any]) -> tuple[list[list[Hit]], float, float]:
    """Return what is found for all queries, the seconds of all at once, and the milliseconds of a single one."""
    index.search(queries[0])
    start = time.perf_counter()
    found = index.search_batch(queries, K)
    together = time.perf_counter() - start
    single = []
    for query in queries[:SINGLE]:
        start = time.perf_counter()
        index.search(query, K)
        single.append(time.perf_counter() - start)
    return found, together, statistics.median(single) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--kinds", default="HNSW,IVF_SQ8")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    documents = [orjson.loads(line) for line in arguments.documents.read_bytes().split(b"\n") if line]
    queries = random.Random(0).sample(documents, arguments.queries)
    print(f"{len(documents):,} documents, {len(queries)} queries, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        compare(documents, queries, folder, arguments.kinds.split(","))


def compare(documents: list[Any], queries: list[Any], folder: str, kinds: list[str]) -> None:
    with Index.create(f"{folder}/local.mbat", documents, kind="flat") as index:
        local, together, single = measured(index, queries)
        print(f"local flat: {together:.1f} s together, {single:.1f} ms a single one", flush=True)
        for kind in kinds:
            uri = f"{folder}/{kind}.db"
            start = time.perf_counter()
            pushed = push(index, uri, "documents", kind)
            took = time.perf_counter() - start
            print(f"{kind}: pushed {pushed.documents:,} in {took:.0f} s, {pushed.findings()}", flush=True)
            with Index.open(f"milvus:{uri}#documents") as served:
                found, together, single = measured(served, queries)
            by_id, by_score = shares(local, found)
            print(
                f"  of the ten by id {by_id:.4f}, by score {by_score:.4f}; {together:.1f} s together, "
                f"{single:.1f} ms a single one; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
