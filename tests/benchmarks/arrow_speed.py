"""What the rows of an Arrow table cost, beside the same records as JSON lines.

    python tests/benchmarks/arrow_speed.py FILE.jsonl... [--runs 7] [--documents 20000]

All rows of a file are measured in turn, in one process, without other threads and with the garbage collector off;
figures are medians of the CPU time, in microseconds a document, and of the ratios within a run. "Apart" is what it
takes to come to columns: parsing and walking, or Arrow.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import pyarrow as pa

from mbat import Encoder
from mbat.arrow import table_rows
from mbat.encoder import BATCH
from mbat.pipeline import batched


def cpu(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def drain(batches: Any) -> None:
    for _ in batches:
        pass


def records(path: Path, limit: int) -> list[Any]:
    """Return the documents of a file that one schema holds, their keys in its order."""
    documents = [orjson.loads(line) for line in path.read_bytes().split(b"\n")[:limit] if line]
    kinds = {key: type(value) for document in documents[:1000] for key, value in document.items()}
    return [one for one in documents if all(type(value) is kinds.get(key) for key, value in one.items())]


def measured(path: Path, limit: int, runs: int) -> None:
    documents = records(path, limit)
    lines = [orjson.dumps(document) for document in documents]
    table = pa.Table.from_struct_array(pa.array(documents))
    encoder = Encoder().fit(documents)
    pa.set_cpu_count(1)

    def parsed() -> Any:
        return batched(map(orjson.loads, lines), BATCH)

    ways: dict[str, Callable[[], None]] = {
        "JSON: apart": lambda: drain(encoder._prepared(parsed())),
        "Arrow: apart": lambda: drain(encoder._prepared(table_rows(table))),
        "JSON: encode": lambda: drain(encoder.encode_batches(parsed(), threads=0)),
        "Arrow: encode": lambda: drain(encoder.encode_batches(table_rows(table), threads=0)),
    }
    for way in ways.values():
        way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    gc.collect()
    gc.disable()
    for _ in range(runs):
        for name, way in ways.items():
            times[name].append(1e6 * cpu(way) / len(documents))
    gc.enable()
    print(f"\n{path.parent.name if path.stem == 'documents' else path.stem}, {len(documents):,} documents")
    for name, some in times.items():
        print(f"  {name:14} {median(some):6.1f} us")
    for step in ("apart", "encode"):
        ratios = [a / b for a, b in zip(times[f"Arrow: {step}"], times[f"JSON: {step}"], strict=True)]
        print(f"  {step}: Arrow takes {median(ratios):.2f} of JSON")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--documents", type=int, default=20_000)
    arguments = parser.parse_args()
    for path in arguments.files:
        measured(path, arguments.documents, arguments.runs)


if __name__ == "__main__":
    main()
