"""Measure how many pairs of duplicates are right, and how many are found, by threshold; print Markdown tables.

    python tests/benchmarks/duplicates.py FOLDER

FOLDER holds a folder a set. A set of one collection has ``documents.jsonl`` and ``pairs.jsonl`` of all true pairs
(``{"a": line, "b": line}``); a set of two has ``documents_a.jsonl``, ``documents_b.jsonl`` and ``labelled_pairs.jsonl``
of pairs that someone has judged, ``label`` 1 where they are the same: hard ones mostly, so that precision is lower
there than among all pairs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat import Encoder
from mbat.pairs import similar_pairs

THRESHOLDS: Final = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)


class Scored(NamedTuple):
    """The scores of pairs at the lowest threshold or above, whether each is true, and how many true ones there are."""

    scores: NDArray[np.float64]
    true: NDArray[np.bool_]
    positives: int

    def at(self, threshold: float) -> tuple[float | None, float]:
        """Return precision, None if nothing is found, and recall."""
        found = self.true[self.scores >= threshold]
        return (float(found.mean()) if len(found) else None), float(found.sum() / self.positives)


def loaded(path: Path) -> list[Any]:
    """Return the values of a file of JSON lines."""
    with path.open(encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines]


def of_one_collection(folder: Path) -> Scored:
    """Compare every two documents."""
    documents = loaded(folder / "documents.jsonl")
    gold = {(min(pair["a"], pair["b"]), max(pair["a"], pair["b"])) for pair in loaded(folder / "pairs.jsonl")}
    vectors = Encoder().fit(documents).encode(documents)
    scores, true = [], []
    for pairs in similar_pairs(vectors, THRESHOLDS[0]):
        scores.append(pairs.scores)
        true += [pair in gold for pair in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)]
    return Scored(np.concatenate(scores), np.array(true, dtype=np.bool_), len(gold))


def of_labelled_pairs(folder: Path) -> Scored:
    """Compare the documents of pairs that are labelled; the encoder is fitted on both collections."""
    a, b = loaded(folder / "documents_a.jsonl"), loaded(folder / "documents_b.jsonl")
    vectors = Encoder().fit([*a, *b]).encode([*a, *b]).astype(np.float64)
    labelled = loaded(folder / "labelled_pairs.jsonl")
    first, second = ([pair[side] for pair in labelled] for side in "ab")
    scores = np.einsum("ij,ij->i", vectors[first], vectors[np.add(second, len(a))])
    true = np.array([bool(pair["label"]) for pair in labelled])
    return Scored(scores, true, int(true.sum()))


def measured(folder: Path) -> Iterator[tuple[str, Scored]]:
    """Yield the sets that have what is needed, first those of one collection."""
    for name, measure in (("documents.jsonl", of_one_collection), ("labelled_pairs.jsonl", of_labelled_pairs)):
        for path in sorted(folder.glob(f"*/{name}")):
            if name != "documents.jsonl" or (path.parent / "pairs.jsonl").exists():
                yield path.parent.name, measure(path.parent)


def table(found: dict[str, Scored]) -> str:
    """Return precision and recall of each set at each threshold as a Markdown table, and their means."""
    lines = ["| set | " + " | ".join(map(str, THRESHOLDS)) + " |", "|---|" + "---:|" * len(THRESHOLDS)]
    rows = {name: [scored.at(threshold) for threshold in THRESHOLDS] for name, scored in found.items()}
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(_cell(*figures) for figures in row) + " |")
    means = []
    for column in zip(*rows.values(), strict=True):
        precisions = [precision for precision, _ in column if precision is not None]
        recall = sum(recall for _, recall in column) / len(column)
        means.append(_cell(sum(precisions) / len(precisions) if precisions else None, recall))
    return "\n".join([*lines, "| mean | " + " | ".join(means) + " |"])


def _cell(precision: float | None, recall: float) -> str:
    return f"{'-' if precision is None else f'{precision:.2f}'} / {recall:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of sets")
    print(table(dict(measured(parser.parse_args().folder))))


if __name__ == "__main__":
    main()
