"""What `fit` learns: document frequencies of symbols, and the spread of the numbers of each path.

Both are counts of whole numbers, so that parts fitted apart and merged, in any order, are equal to the
last bit to one fit of everything. Their size is bounded, whatever the number of documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.columns import KIND_BITS, KIND_MASK, Columns, Kind
from mbat.kernels import Kernel, nth
from mbat.leaves import SymbolBuffer, symbol_count
from mbat.sketches import Sketch, coarsened, ordered_integers, same, summed

TABLE_BITS: Final = 18
TABLE_SIZE: Final = 1 << TABLE_BITS
"""Entries of the table of document frequencies; symbols share entries by the low bits of their hash."""

PATH_TABLE_SIZE: Final = 1 << 16
"""Entries of the table of how many documents have each path."""

UNSEEN: Final = 0.3
"""Weight of a symbol that no fitted document has, relative to the rarest that one has. It can match nothing among
them and would only add noise; but it must still match documents that are added later."""

SKETCHED_PATHS: Final = 1 << 16
"""Sketches there are at most. Paths share them by the low bits of their hash: numbers of paths that do are brought to
one scale, made of all of them. Of 300 paths of numbers one pair does in half of all cases, of 3,000 some 70 pairs."""


class Tally(NamedTuple):
    """A table being counted: in how many documents each entry occurs, and the last one it was counted for."""

    frequencies: NDArray[np.int64]
    latest: NDArray[np.int64]


def _count_documents(
    start: int, stop: int, buffer: SymbolBuffer, path_hashes: Any, owners: Any, symbols: Tally, paths: Tally
) -> int:
    """Count each table entry once for each document that has a symbol, or a path, there.

    `path_hashes` and `owners` tell for each item its path and its document, the documents counted from 1
    over the whole fit.
    """
    mask, path_mask = len(symbols.frequencies) - 1, len(paths.frequencies) - 1
    for item in range(start, stop):
        document = owners[item]
        entry = path_hashes[item] & path_mask
        if paths.latest[entry] != document:
            paths.latest[entry] = document
            paths.frequencies[entry] += 1
        for i in range(buffer.starts[item - start], buffer.ends[item - start]):
            entry = buffer.codes[nth(i)] & mask
            if symbols.latest[nth(entry)] != document:
                symbols.latest[nth(entry)] = document
                symbols.frequencies[nth(entry)] += 1
    return 0


count_documents = Kernel(_count_documents)


@dataclass(eq=False)
class Statistics:
    """Counts over the documents that an encoder was fitted on.

    Attributes
    ----------
    documents : int
        How many documents there were.
    frequencies : int64 array of shape (TABLE_SIZE,)
        In how many documents some symbol of each table entry occurs.
    paths : int64 array of shape (PATH_TABLE_SIZE,)
        In how many documents some path of each table entry occurs.
    sketches : dict
        The numbers of each path, by the low bits of the path's hash.
    """

    documents: int = 0
    frequencies: NDArray[np.int64] = field(default_factory=lambda: np.zeros(TABLE_SIZE, dtype=np.int64))
    paths: NDArray[np.int64] = field(default_factory=lambda: np.zeros(PATH_TABLE_SIZE, dtype=np.int64))
    sketches: dict[int, Sketch] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Statistics):
            return NotImplemented
        return (
            self.documents == other.documents
            and np.array_equal(self.frequencies, other.frequencies)
            and np.array_equal(self.paths, other.paths)
            and self.sketches.keys() == other.sketches.keys()
            and all(same(sketch, other.sketches[path]) for path, sketch in self.sketches.items())
        )

    def tallies(self) -> tuple[Tally, Tally]:
        """Return the tables of symbols and of paths, to be counted into."""
        return (
            Tally(self.frequencies, np.zeros(len(self.frequencies), dtype=np.int64)),
            Tally(self.paths, np.zeros(len(self.paths), dtype=np.int64)),
        )

    def add(
        self,
        columns: Columns,
        path_hashes: NDArray[np.int64],
        runs: Iterable[tuple[int, int, SymbolBuffer]],
        tallies: tuple[Tally, Tally],
    ) -> None:
        """Count a batch of documents, their symbols and paths into the tallies; `path_hashes` has one entry a path."""
        owners = np.repeat(np.arange(len(columns)), np.diff(columns.ends, prepend=0)) + self.documents + 1
        paths = path_hashes[columns.items >> KIND_BITS]
        for start, stop, buffer in runs:
            work = symbol_count(buffer, stop - start) + stop - start
            count_documents(work, start, stop, buffer, paths, owners, *tallies)
        self.documents += len(columns)
        self.add_numbers(columns, paths)

    def add_numbers(self, columns: Columns, path_hashes: NDArray[np.int64]) -> None:
        """Add the numbers of a batch to the sketches of their paths; `path_hashes` has one entry an item."""
        kinds = columns.items & KIND_MASK
        hashes = path_hashes[kinds == Kind.NUMBER] % SKETCHED_PATHS
        order = np.argsort(hashes, kind="stable")
        hashes, values = hashes[order], ordered_integers(columns.numbers[order])
        for path, start, stop in _groups(hashes):
            distinct, counts = np.unique(values[start:stop], return_counts=True)
            self._add_sketch(path, (0, distinct, counts.astype(np.int64)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the statistics as named arrays, the same for equal statistics."""
        paths = sorted(self.sketches)
        sketches = [self.sketches[path] for path in paths]
        return {
            "documents": np.array([self.documents], dtype=np.int64),
            "frequencies": self.frequencies,
            "paths": self.paths,
            "sketch_paths": np.array(paths, dtype=np.int64),
            "sketch_dropped": np.array([dropped for dropped, _, _ in sketches], dtype=np.int64),
            "sketch_ends": np.cumsum([len(integers) for _, integers, _ in sketches], dtype=np.int64),
            "sketch_integers": np.concatenate([np.zeros(0, np.uint64), *(s[1] for s in sketches)]),
            "sketch_counts": np.concatenate([np.zeros(0, np.int64), *(s[2] for s in sketches)]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Statistics:
        """Make statistics of what `arrays` returned."""
        ends = arrays["sketch_ends"]
        integers = np.split(arrays["sketch_integers"], ends[:-1])
        counts = np.split(arrays["sketch_counts"], ends[:-1])
        paths, dropped = arrays["sketch_paths"].tolist(), arrays["sketch_dropped"].tolist()
        sketches = dict(zip(paths, zip(dropped, integers, counts, strict=False), strict=False))
        return cls(int(arrays["documents"][0]), arrays["frequencies"], arrays["paths"], sketches)

    def merge(self, other: Statistics) -> Statistics:
        """Return the statistics of both sets of documents together."""
        merged = Statistics(
            self.documents + other.documents,
            self.frequencies + other.frequencies,
            self.paths + other.paths,
            dict(self.sketches),
        )
        for path, sketch in other.sketches.items():
            merged._add_sketch(path, sketch)
        return merged

    def _add_sketch(self, path: int, sketch: Sketch) -> None:
        self.sketches[path] = (
            coarsened(*summed(self.sketches[path], sketch)) if path in self.sketches else coarsened(*sketch)
        )

    def documents_with_path(self, path_hash: int) -> int:
        """Return how many documents have a path, or another that shares its table entry."""
        return int(self.paths[path_hash & (len(self.paths) - 1)])

    def idf(self) -> NDArray[np.float64]:
        """Return the weight of each table entry, ``1 + ln((1 + documents) / (1 + frequency))``.

        That of an entry without documents is `UNSEEN` times that, at least 1. All are rounded to 1/1024, so that the
        last bits of a machine's logarithm do not show.
        """
        if not self.documents:
            return np.ones(1)
        weights = 1.0 + np.log((1.0 + self.documents) / (1.0 + self.frequencies))
        unseen = self.frequencies == 0
        weights[unseen] = np.maximum(UNSEEN * weights[unseen], 1.0)
        rounded: NDArray[np.float64] = np.round(weights * 1024.0) / 1024.0
        return rounded


def _groups(values: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Yield each distinct value of a sorted array with where it starts and stops."""
    if not len(values):
        return
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]]).tolist()
    for start, stop in zip(starts, [*starts[1:], len(values)], strict=True):
        yield int(values[start]), start, stop
