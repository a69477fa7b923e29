"""Compare kinds of index on a GPU with the same on the processor: building, searching, recall.

    python -m tests.benchmarks.gpu_speed [--count 1000000] [--dim 1024] [--kinds flat,ivf,ivf-fp16]
        [--devices cpu,gpu] [--bandwidth GB/s] [--folder FOLDER]

The vectors are made by chance around centres, and the queries are vectors of the index, turned a little. All devices
search the same files, of which a row of the table is one. With the bandwidth of the card's memory, by its data sheet,
the last column tells what share of it flat search of a single query reaches: it reads every number once.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat_indexes import KINDS, Device, find_device, index_writer, load_index, recall, told_of_gpus
from mbat_indexes.stored import StoredIndex

K = 10
SINGLE = 50
REPEATS = 5
BLOCK = 1 << 14
CENTRES = 2000
COLUMNS = "| kind | device | build s | first search s | single ms | queries/s | recall@10 | of bandwidth |"


class Row(NamedTuple):
    """What one kind does on one device; seconds, milliseconds and queries a second."""

    kind: str
    device: str
    build: float
    first: float
    single: float
    rate: float
    recall: float
    share: float | None

    def __str__(self) -> str:
        share = "" if self.share is None else f"{self.share:.0%}"
        times = f"{self.build:.1f} | {self.first:.2f} | {self.single:.2f} | {self.rate:,.0f}"
        return f"| {self.kind} | {self.device} | {times} | {self.recall:.3f} | {share} |"


def vectors(count: int, dim: int) -> Iterator[NDArray[np.float32]]:
    """Yield unit vectors around centres, some at a time, the same every time."""
    centres = np.random.default_rng(0).standard_normal((CENTRES, dim), dtype=np.float32)
    for start in range(0, count, BLOCK):
        random = np.random.default_rng([1, start])
        size = min(BLOCK, count - start)
        rows = centres[random.integers(CENTRES, size=size)] + random.standard_normal((size, dim), dtype=np.float32)
        yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


def queries(count: int, dim: int, wanted: int) -> NDArray[np.float32]:
    """Return vectors near some of the index."""
    random = np.random.default_rng(2)
    rows = np.concatenate([block[:: max(1, count // wanted)] for block in vectors(count, dim)])[:wanted]
    turned = rows + random.standard_normal(rows.shape, dtype=np.float32) / np.float32(np.sqrt(dim))
    return np.asarray(turned / np.linalg.norm(turned, axis=1, keepdims=True))


def built(path: Path, kind: str, count: int, dim: int, device: Device) -> float:
    """Write an index; return the seconds, without those for making the vectors."""
    making, start, done = 0.0, time.perf_counter(), 0
    with index_writer(kind, path, dim, count, device) as writer:
        blocks = vectors(count, dim)
        while done < count:
            began = time.perf_counter()
            rows = next(blocks)
            making += time.perf_counter() - began
            writer.add(np.arange(done, done + len(rows)), rows)
            done += len(rows)
    return time.perf_counter() - start - making


def seconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measured(
    path: Path, kind: str, device: str, build: float, asked: NDArray[np.float32], bandwidth: float | None
) -> Row:
    """Return what searches of a file take on a device."""
    index: Any = load_index(kind, path, find_device(device))
    dim = index.dim
    first = seconds(lambda: index.search(asked[:1], K))
    index.search(asked, K)  # so that no search below is the first of its size
    single = statistics.median(seconds(lambda one=one: index.search(one[None], K)) for one in asked[:SINGLE])
    batch = statistics.median(seconds(lambda: index.search(asked, K)) for _ in range(REPEATS))
    found = recall(index, StoredIndex("exact", index.ids(), dim, index.finder.rows), asked[:SINGLE], K)
    share = None
    if bandwidth and device != "cpu" and kind.startswith("flat"):
        share = len(index) * dim * KINDS[kind].code_bits / 8 / (single * bandwidth * 1e9)
    return Row(kind, device, build, first, single * 1e3, len(asked) / batch, found, share)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--queries", type=int, default=4096)
    parser.add_argument("--kinds", default="flat,ivf,ivf-fp16")
    parser.add_argument("--devices", default="cpu,gpu")
    parser.add_argument("--bandwidth", type=float)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.processor() or platform.machine()}; GPUs {told_of_gpus()}")
    print(f"{options.count:,} vectors of {options.dim:,} numbers, {options.queries:,} queries\n")
    print(f"{COLUMNS}\n|---|---|{'---:|' * 6}")
    asked = queries(options.count, options.dim, options.queries)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for kind in options.kinds.split(","):
            for device in options.devices.split(","):
                path = Path(folder) / "index"
                build = built(path, kind, options.count, options.dim, find_device(device))
                print(measured(path, kind, device, build, asked, options.bandwidth), flush=True)


if __name__ == "__main__":
    main()
