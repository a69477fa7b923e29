"""Time changes to an index beside building it.

    python tests/benchmarks/changes.py DOCUMENTS.jsonl [--documents 100000]

Where the file has fewer documents they are taken again, with a field that tells them apart. Each figure is also given
as a share of building; processor time is that of all threads.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson

from mbat import Index


class Clock:
    """Prints what each step takes, beside the first."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None

    def __call__(self, name: str, action: Callable[[], Any]) -> Any:
        start, processor = time.perf_counter(), time.process_time()
        result = action()
        took = time.perf_counter() - start, time.process_time() - processor
        self._first = self._first or took
        shares = [f"{one:8.3f} s {one / whole:7.1%}" for one, whole in zip(took, self._first, strict=True)]
        print(f"{name:36} {shares[0]}, processor {shares[1]}", flush=True)
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--documents", dest="count", type=int, default=100_000)
    arguments = parser.parse_args()
    lines = arguments.documents.read_bytes().splitlines()
    documents = [{**orjson.loads(line), "copy": i} for i, line in enumerate(islice(cycle(lines), arguments.count))]
    ids = [f"id {i}" for i in range(len(documents))]
    clock, random_ = Clock(), random.Random(0)
    Index.create(tempfile.mkdtemp() + "/warm.mbat", documents[:1000]).close()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mbat"
        index = clock(f"build {len(documents):,}", lambda: Index.create(path, documents, ids))
        for turn in range(8):
            some = random_.sample(range(len(documents)), len(documents) // 100)
            changed = [{**documents[i], "turn": turn} for i in some]
            clock("upsert 1 %, all changed", lambda: index.upsert(changed, [ids[i] for i in some]))  # noqa: B023
        clock("upsert 1 %, none changed", lambda: index.upsert(changed, [ids[i] for i in some]))
        clock("delete 1 %", lambda: index.delete(ids[: len(ids) // 100]))
        clock("add one", lambda: index.add([documents[0]]))
        clock("search", lambda: index.search(documents[7]))
        clock("search, one document matches", lambda: index.search(documents[7], 10, "copy = 77777"))
        clock("the same again", lambda: index.search(documents[7], 10, "copy = 77777"))
        index.close()
        index = clock("open", lambda: Index.open(path))
        clock("verify", index.verify)
        clock("compact", index.compact)
        clock("rebuild, refitted", lambda: index.rebuild(refit=True))
        size = sum(file.stat().st_size for file in path.iterdir())
        print(f"bytes a document {size / len(index):,.0f}")


if __name__ == "__main__":
    main()
