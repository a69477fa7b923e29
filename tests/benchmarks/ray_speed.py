"""Time `mbat encode --engine ray` beside one plain process, as commands.

    python -m tests.benchmarks.ray_speed DOCUMENTS.jsonl [--documents 1000000] [--workers 2] [--runs 3] [--folder /tmp]

The plain process writes one Parquet file of vectors, once with its threads as they come and once on one processor.
Ray's workers write a folder of vectors with ids and
documents. Each run takes all in turn, and each command also of a
single document, which is its start-up; ratios are medians of those within a run, after start-up. A file of documents is
made as `million.py` makes it; the vectors of a million take 4 GB.
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
from pathlib import Path
from typing import Final

from tests.benchmarks.million import write_documents

MBAT: Final = (sys.executable, "-c", "from mbat_cli.main import main; main()")


def one_processor() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def seconds(output: Path, *arguments: str, pinned: bool = False) -> float:
    """Run `mbat encode`, take away what it wrote, and return its seconds."""
    start = time.perf_counter()
    subprocess.run(
        (*MBAT, "encode", *arguments, "-o", str(output)),
        check=True,
        stderr=subprocess.DEVNULL,
        preexec_fn=one_processor if pinned else None,
    )
    took = time.perf_counter() - start
    if output.is_dir():
        shutil.rmtree(output)
    else:
        output.unlink()
    return took


def turn(file: Path, one: Path, folder: Path, workers: int) -> dict[str, tuple[float, float]]:
    """Return the seconds of each way, and those of its start-up."""
    ray = ("--engine", "ray", "--workers", str(workers))
    plain, out = folder / "v.parquet", folder / "out"
    return {
        "plain, its threads": (seconds(plain, str(file)), seconds(plain, str(one))),
        "plain, one processor": (seconds(plain, str(file), pinned=True), seconds(plain, str(one), pinned=True)),
        f"ray, {workers} workers": (seconds(out, str(file), *ray), seconds(out, str(one), *ray)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", help="Where the files go, which are removed afterwards.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        file, one = folder / "documents.jsonl", folder / "one.jsonl"
        write_documents(given.source, given.documents, file)
        write_documents(given.source, 1, one)
        print(f"{given.documents:,} documents, {file.stat().st_size / 1e6:,.0f} MB; load {os.getloadavg()[0]:.1f}")
        runs = [turn(file, one, folder, given.workers) for _ in range(given.runs)]
        print(f"load {os.getloadavg()[0]:.1f}")
    *plain, ray = runs[0]
    for way in runs[0]:
        took, start = (statistics.median(run[way][i] for run in runs) for i in (0, 1))
        print(f"{way:22} {took:7.1f} s, of which start-up {start:5.1f} s")
    for way in plain:
        ratio = statistics.median((run[way][0] - run[way][1]) / (run[ray][0] - run[ray][1]) for run in runs)
        print(f"{ray} beside {way}, after start-up: {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
