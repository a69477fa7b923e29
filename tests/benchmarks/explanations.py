"""Explain right and wrong first answers on a matching set: why each document was found, and why not the true one.

    python tests/benchmarks/explanations.py FOLDER [--count 3]

FOLDER holds ``documents_a.jsonl``, ``documents_b.jsonl`` and ``pairs.jsonl``, with lines ``{"a": 0, "b": 53}`` that
say which documents are the same thing. The encoder is fitted on b, and each document of a searched for there.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from mbat import Encoder


def lines(path: Path) -> list[Any]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=3)
    arguments = parser.parse_args()
    queries, base = (lines(arguments.folder / f"documents_{side}.jsonl") for side in "ab")
    true: dict[int, set[int]] = {}
    for pair in lines(arguments.folder / "pairs.jsonl"):
        true.setdefault(pair["a"], set()).add(pair["b"])
    encoder = Encoder().fit(base)
    asked = sorted(true)
    first = (encoder.encode([queries[i] for i in asked]) @ encoder.encode(base).T).argmax(axis=1)
    right = np.array([found in true[i] for i, found in zip(asked, first.tolist(), strict=True)])
    print(f"{arguments.folder.name}: the first answer is right for {right.mean():.1%} of {len(asked):,} queries")
    for name, chosen in (("right", right), ("wrong", ~right)):
        some = random.Random(1).sample(np.flatnonzero(chosen).tolist(), arguments.count)
        for i in some:
            query, found = queries[asked[i]], base[first[i]]
            print(f"\n{name}: query {asked[i]}, found {first[i]}\n{encoder.explain(query, found)}")
            if name == "wrong":
                one = min(true[asked[i]])
                print(f"the true one, {one}:\n{encoder.explain(query, base[one])}")


if __name__ == "__main__":
    main()
