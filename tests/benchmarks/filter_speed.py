"""Time filters on a file of JSON lines, ``python tests/benchmarks/filter_speed.py DOCUMENTS.jsonl``.

The filters are such as suit ../shared/data/debian-packages. Rates are medians of five passes.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from mbat.filters import parse_filter

FILTERS = (
    "Size < 100000",
    "Size < 100000 and Maintainer.name = 'Debian Games Team' and Tag contains 'role::program'",
    "Description ilike '%game%' or Depends[] starts with 'libsdl'",
)


def seconds(function: Callable[[], Any], runs: int = 5) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    lines = Path(sys.argv[1]).read_bytes().splitlines()
    documents = [orjson.loads(line) for line in lines]
    print(f"first filter, with lark's import and tables: {1e3 * seconds(lambda: parse_filter('a = 1'), 1):.1f} ms")
    parsing = seconds(lambda: list(map(orjson.loads, lines)))
    print(f"parsing the documents alone: {len(lines) / parsing:,.0f} documents/s")
    for text in FILTERS:
        matches = parse_filter(text).matches
        alone = seconds(lambda matches=matches: sum(map(matches, documents)))
        both = seconds(lambda matches=matches: sum(map(matches, map(orjson.loads, lines))))
        print(f"{text}\n    reading the filter: {1e6 * seconds(lambda text=text: parse_filter(text)):.0f} us")
        print(f"    {len(lines) / alone:,.0f} documents/s, with their parsing {len(lines) / both:,.0f}")


if __name__ == "__main__":
    main()
