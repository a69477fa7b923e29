"""Time `mbat index` and `mbat query` on a file of JSON lines, beside what a Python loop takes.

    python tests/benchmarks/index_speed.py DOCUMENTS.jsonl [--runs 5]

Ratios are medians of runs that alternate. The split is the CPU time of each stage alone, in one thread.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from mbat import Index
from mbat.encoder import BATCH, Encoder
from mbat.pipeline import batched
from mbat.writable_store import WritableStore
from mbat_indexes import index_writer


def flatten(value: Any, path: str, leaves: list[tuple[str, Any]]) -> None:
    if type(value) is dict:
        for key, child in value.items():
            flatten(child, f"{path}.{key}", leaves)
    elif type(value) is list:
        for child in value:
            flatten(child, f"{path}[]", leaves)
    else:
        leaves.append((path, value))


def loop(lines: list[bytes]) -> None:
    for line in lines:
        flatten(orjson.loads(line), "$", [])


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def command(*arguments: str) -> None:
    """Run Python with its modules compiled beforehand, as an installed package has them."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    quiet = subprocess.DEVNULL
    subprocess.run([sys.executable, *arguments], check=True, stdout=quiet, stderr=quiet, env=environment)


MAIN = ("-c", "from mbat_cli.main import main; main()")


def whole_processes(path: Path, lines: list[bytes], folder: Path, runs: int) -> None:
    index = ("index", str(path), "-o", str(folder / "speed.mbat"), "--overwrite")
    command(*MAIN, *index)
    ours, theirs = [], []
    for _ in range(runs):
        theirs.append(seconds(lambda: loop(lines)))
        ours.append(seconds(lambda: command(*MAIN, *index)))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(f"mbat index          {statistics.median(ours):8.2f} s, peak memory {peak:,.0f} MB")
    print(f"loop of loads and flatten {statistics.median(theirs):.2f} s: ratio {ratio:.1f}")
    query = ("query", "-i", str(folder / "speed.mbat"), '{"Description": "a game of chess"}')
    command(*MAIN, *query)
    ours, theirs = [], []
    for _ in range(runs):
        theirs.append(seconds(lambda: command("-c", "import numpy, faiss")))
        ours.append(seconds(lambda: command(*MAIN, *query)))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(
        f"mbat query          {statistics.median(ours):8.2f} s, import numpy, faiss {statistics.median(theirs):.2f} s: "
        f"ratio {ratio:.1f}"
    )


def split(lines: list[bytes], folder: Path) -> None:
    documents: list[Any] = []
    print("CPU seconds of each stage:")

    def stage(name: str, function: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = function()
        spent = time.process_time() - start
        print(f"  {name:10} {spent:6.2f}   {spent / len(lines) * 1e6:6.1f} us a document")
        return result

    encoder = Encoder().fit([{"a": ["b", 1]}] * BATCH)
    encoder.encode([{"a": ["b", 1]}] * BATCH)
    stage("parse", lambda: documents.extend(map(orjson.loads, lines)))
    batches = stage("walk", lambda: list(encoder._prepared(batched(documents, BATCH))))
    fitted = stage("fit", lambda: Encoder().fit(documents))
    prepared = list(fitted._prepared(batched(documents, BATCH)))
    rows = stage("encode", lambda: [fitted._encode_batch(batch) for batch in prepared])
    del batches

    def store() -> None:
        with WritableStore.create(folder / "speed.sqlite") as opened:
            opened.add(1, [str(row) for row in range(len(lines))], lines)
            opened.finish()

    def search_index() -> None:
        count = 0
        with index_writer("flat", folder / "speed.faiss", fitted.dim, len(lines)) as writer:
            for vectors in rows:
                writer.add(np.arange(count, count + len(vectors)), vectors)
                count += len(vectors)

    stage("store", store)
    stage("FAISS", search_index)
    print("  (fit includes a walk of its own)")


def quality(folder: Path) -> None:
    rng = np.random.default_rng(0)
    with Index.open(folder / "speed.mbat") as index:
        ids = rng.choice(len(index), min(500, len(index)), replace=False)
        documents = [index.get(str(one)) for one in ids]
        itself = [
            hits[0].document == document and hits[0].score >= 0.999
            for hits, document in zip(index.search_batch(documents, 1), documents, strict=True)
        ]
        print(f"found themselves first with score >= 0.999: {np.mean(itself):.1%} of {len(itself)}")
        searches = [seconds(lambda one=one: index.search(one)) for one in documents[:200]]
        print(f"a search: {statistics.median(searches) * 1e3:.1f} ms")
        fields = ("Description", "Maintainer")
        queries = [{key: document[key] for key in fields if key in document} for document in documents]
        found = [
            any(all(hit.document.get(key) == query.get(key) for key in fields) for hit in hits)
            for hits, query in zip(index.search_batch(queries, 10), queries, strict=True)
        ]
        print(f"found by {' and '.join(fields)} alone, in the first ten: {np.mean(found):.1%} of {len(found)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    lines = arguments.documents.read_bytes().split(b"\n")[:-1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole_processes(arguments.documents, lines, folder, arguments.runs)
        quality(folder)
        split(lines, folder)


if __name__ == "__main__":
    main()
