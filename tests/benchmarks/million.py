"""Measure a large index as its users meet it: built and asked by the command, and from Python beside FAISS alone.

    python -m tests.benchmarks.million DOCUMENTS.jsonl [--documents 1000000] [--kinds auto,ivf-rabitq]

Where more documents are wanted than the file has, they are made of those there: most fields from one, the others from
a second. The first kind is built from the file, the others from the index, as `mbat rebuild` does.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from mbat import Index
from tests.benchmarks.kinds import BATCH, K, alone, seconds, times

MBAT = (sys.executable, "-c", "from mbat_cli.main import main; main()")
OPEN = "import time, sys, mbat.index, faiss; t = time.perf_counter(); mbat.index.Index.open(sys.argv[1]);"
OPEN += " print(time.perf_counter() - t)"
FROM_SECOND = 0.3


def write_documents(source: Path, count: int, target: Path) -> None:
    known = [orjson.loads(line) for line in source.read_bytes().splitlines()]
    random_ = random.Random(0)
    with target.open("wb") as file:
        for i in range(count):
            document = known[i % len(known)]
            if i >= len(known):
                other = random_.choice(known)
                document = {
                    key: other[key] if key in other and random_.random() < FROM_SECOND else value
                    for key, value in document.items()
                }
            file.write(orjson.dumps(document) + b"\n")


def run(*arguments: str) -> tuple[float, float]:
    """Run the command; return its seconds and the most memory it had, in GB."""
    process = subprocess.Popen((*MBAT, *arguments), stdout=subprocess.DEVNULL)
    used: list[Any] = []
    took = seconds(lambda: used.extend(os.wait4(process.pid, 0)))
    if used[1]:
        raise SystemExit(f"mbat {' '.join(arguments)} ended with {used[1]}.")
    return took, used[2].ru_maxrss / 1e6


def figures(path: Path, queries: list[Any]) -> None:
    """Print what an index takes on disk, to open, and to search."""
    name = str(path)
    opened = [float(subprocess.check_output((sys.executable, "-c", OPEN, name))) for _ in range(5)]
    asked = [run("query", "-i", name, '{"Description": "a game of chess"}')[0] for _ in range(5)]
    with Index.open(path) as index:
        content = index.content
        size = sum(file.stat().st_size for file in path.iterdir()) / len(index)
        print(
            f"{content.kind}: {len(index):,} documents, recall {content.recall}, {size:,.0f} bytes a document on disk"
        )
        print(
            f"  open {statistics.median(opened):.3f} s, mbat query {statistics.median(asked):.2f} s, the whole process"
        )
        segment, vectors = index.read(lambda view: view.segments.parts[0])
        rows = index.encoder.encode(queries)
        bare = alone(segment.kind, vectors)
        ways = {"FAISS alone": bare, "mbat, vectors": lambda q: index.read(lambda v: v.segments.search(q, K))}
        measured = {way: [times(search, rows) for _ in range(3)] for way, search in ways.items()}
        for way, turns in measured.items():
            single, batch = np.median(turns, axis=0)
            print(
                f"  {way:22} {single * 1e3:8.2f} ms a single query, {BATCH / batch:8,.0f} queries/s in batches of 100"
            )
        single = statistics.median(seconds(lambda q=query: index.search(q, K)) for query in queries[:BATCH])
        batch = statistics.median(seconds(lambda: index.search_batch(queries[:BATCH], K)) for _ in range(5))
        print(f"  mbat, with documents   {single * 1e3:8.2f} ms a single query, {BATCH / batch:8,.0f} queries/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--documents", dest="count", type=int, default=1_000_000)
    parser.add_argument("--kinds", default="auto")
    arguments = parser.parse_args()
    first, *others = arguments.kinds.split(",")
    with tempfile.TemporaryDirectory() as name:
        source, path = Path(name) / "documents.jsonl", Path(name) / "large.mbat"
        write_documents(arguments.documents, arguments.count, source)
        with source.open("rb") as file:
            lines = [line for i, line in enumerate(file) if i % (arguments.count // 500) == 0]
        queries = [orjson.loads(line) for line in lines[:500]]
        took, peak = run("index", str(source), "-o", str(path), "--kind", first)
        print(
            f"mbat index {took:.0f} s, {arguments.count / took:,.0f} documents/s, peak memory {peak:.2f} GB", flush=True
        )
        figures(path, queries)
        for kind in others:
            took, peak = run("rebuild", "-i", str(path), "--kind", kind)
            print(f"mbat rebuild --kind {kind} {took:.0f} s, peak memory {peak:.2f} GB", flush=True)
            figures(path, queries)


if __name__ == "__main__":
    main()
