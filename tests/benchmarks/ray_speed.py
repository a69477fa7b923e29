"""Time `mbat.ray.encode_files` on this machine beside one plain process.

    python -m tests.benchmarks.ray_speed DOCUMENTS.jsonl [--documents 1000000] [--workers 2] [--runs 3] [--folder DIR]

The plain process is `mbat encode` to one Parquet file of vectors, once with its threads as they come and once on one
processor; its start-up is what it takes for a single document. Ray's start-up is that of the cluster and its workers,
with a single document each; then it writes a folder of vectors with ids and documents. All fit a new encoder first.
Each run takes all in turn; ratios are medians of those within a run, after start-up. A file of documents is made as
`million.py` makes it; the vectors of a million take 4 GB, so that the folder should be on a quick disk or in memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mbat.ray import encode_files
from mbat.ray.cluster import cluster
from tests.benchmarks.million import write_documents

MBAT: Final = (sys.executable, "-c", "from mbat_cli.main import main; main()")
Times = tuple[float, float]
"""Seconds of start-up, and of the work after it."""


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def one_processor() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def plain(file: Path, one: Path, pinned: bool) -> Times:
    output = file.with_name("v.parquet")

    def encode(name: Path) -> None:
        command = (*MBAT, "encode", str(name), "-o", str(output))
        pin = one_processor if pinned else None
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, preexec_fn=pin)
        output.unlink()

    start = seconds(lambda: encode(one))
    return start, seconds(lambda: encode(file)) - start


def on_ray(file: Path, one: Path, workers: int) -> Times:
    output = file.with_name("out")
    begun = time.perf_counter()
    with cluster(None, workers):
        encode_files([str(one)] * workers, output, workers=workers)
        shutil.rmtree(output)
        start = time.perf_counter() - begun
        took = seconds(lambda: encode_files([str(file)], output, workers=workers))
        shutil.rmtree(output)
    return start, took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", help="Where the files go, which are removed afterwards.")
    given = parser.parse_args()
    ways: dict[str, list[Times]] = {"plain": [], "plain, one processor": [], "ray": []}
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        file, one = Path(name, "documents.jsonl"), Path(name, "one.jsonl")
        write_documents(given.source, given.documents, file)
        write_documents(given.source, 1, one)
        print(f"{given.documents:,} documents, {file.stat().st_size / 1e6:,.0f} MB, {given.workers} workers")
        for _ in range(given.runs):
            ways["plain"].append(plain(file, one, False))
            ways["plain, one processor"].append(plain(file, one, True))
            ways["ray"].append(on_ray(file, one, given.workers))
            print(f"load {os.getloadavg()[0]:.1f}:", *(f"{way} {times[-1][1]:.1f} s" for way, times in ways.items()))
    for way, times in ways.items():
        ratio = statistics.median(a[1] / b[1] for a, b in zip(times, ways["ray"], strict=True))
        start, took = (statistics.median(one[i] for one in times) for i in (0, 1))
        print(f"{way:22} start-up {start:5.1f} s, then {took:6.1f} s, {ratio:.2f} times that of ray")


if __name__ == "__main__":
    main()
