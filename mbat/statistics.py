"""What `fit` learns: document frequencies of symbols, and the spread of the numbers of each path.

Both are counts of whole numbers, so that parts fitted apart and merged, in any order, are equal to the
last bit to one fit of everything. Their size is bounded, whatever the number of documents.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.columns import KIND_BITS, KIND_MASK, Columns, Kind
from mbat.kernels import Kernel, nth, rough_log2
from mbat.leaves import SymbolBuffer, symbol_count
from mbat.symbols import LARGEST

TABLE_BITS: Final = 18
TABLE_SIZE: Final = 1 << TABLE_BITS
"""Entries of the table of document frequencies; symbols share entries by the low bits of their hash."""

PATH_TABLE_SIZE: Final = 1 << 16
"""Entries of the table of how many documents have each path."""

UNSEEN: Final = 0.3
"""Weight of a symbol that no fitted document has, relative to the rarest that one has. It can match nothing among
them and would only add noise; but it must still match documents that are added later."""

SKETCH_BINS: Final = 1024
"""Distinct values that a path's sketch holds before it becomes coarser."""

SKETCHED_PATHS: Final = 1 << 16
"""Sketches there are at most. Paths share them by the low bits of their hash: numbers of paths that do are brought to
one scale, made of all of them. Of 300 paths of numbers one pair does in half of all cases, of 3,000 some 70 pairs."""

_SIGN: Final = np.uint64(1 << 63)

Sketch = tuple[int, NDArray[np.uint64], NDArray[np.int64]]
"""Bits dropped, the distinct values left (as ordered integers, rising), how often each occurs."""


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
            and all(_same(sketch, other.sketches[path]) for path, sketch in self.sketches.items())
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
            coarsened(*_sum(self.sketches[path], sketch)) if path in self.sketches else coarsened(*sketch)
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


def _same(a: Sketch, b: Sketch) -> bool:
    return a[0] == b[0] and np.array_equal(a[1], b[1]) and np.array_equal(a[2], b[2])


def ordered_integers(numbers: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return the bits of floats as integers in the same order; -0.0 counts as 0.0."""
    bits = (numbers + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def ordered_floats(integers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return the floats of ordered integers; the inverse of `ordered_integers`."""
    return np.where(integers & _SIGN, integers & ~_SIGN, ~integers).view(np.float64)


def _shifted(sketch: Sketch, dropped: int) -> Sketch:
    """Drop low bits, so that `dropped` are gone in all."""
    integers = sketch[1] >> np.uint64(dropped - sketch[0])
    distinct, inverse = np.unique(integers, return_inverse=True)
    counts = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(counts, inverse, sketch[2])
    return dropped, distinct, counts


def _sum(a: Sketch, b: Sketch) -> Sketch:
    dropped = max(a[0], b[0])
    a, b = _shifted(a, dropped), _shifted(b, dropped)
    return _shifted((dropped, np.r_[a[1], b[1]], np.r_[a[2], b[2]]), dropped)


def coarsened(dropped: int, integers: NDArray[np.uint64], counts: NDArray[np.int64]) -> Sketch:
    """Drop as few low bits as leave at most SKETCH_BINS distinct values.

    What is dropped in the end depends on all values alone and not on their order: a part never needs
    more dropped than the whole.
    """
    sketch = (dropped, integers, counts)
    while len(sketch[1]) > SKETCH_BINS:
        sketch = _shifted(sketch, sketch[0] + 1)
    return sketch


@dataclass(frozen=True)
class Scale:
    """How the numbers of one path are brought to a common scale; see `mbat.leaves.LeafPlaces`."""

    unit: float = 1.0
    centre: float = 0.0
    rate: float = 1.0
    logs: bool = True


UNFITTED: Final = Scale()
"""For a path that no fit has seen: doublings, from 1 up."""

_SKEWED: Final = 2.0


def scale_of(sketch: Sketch) -> Scale:
    """Choose the scale of a path: its own standard deviation, after a logarithm if it is skewed."""
    values, counts = _centres(sketch), sketch[2]
    size = float(np.abs(values).max())
    if size < 1.0 / LARGEST:
        return UNFITTED
    centre, spread, skew = _moments(values / size, counts)
    if spread == 0.0:
        return Scale(1.0 / size, centre, 1.0, logs=False)
    if abs(skew) <= _SKEWED:
        return Scale(1.0 / size, centre, 1.0 / spread, logs=False)
    unit = _unit(values, counts)
    with np.errstate(over="ignore"):
        sizes = np.minimum(np.abs(values) * unit, LARGEST)
    warped = np.sign(values) * np.array([rough_log2(1.0 + one) for one in sizes.tolist()])
    centre, spread, _ = _moments(warped, counts)
    return Scale(unit, centre, 1.0 / spread if spread > 0.0 else 1.0, logs=True)


def spread_of(sketch: Sketch) -> tuple[float, float]:
    """Return the least and the greatest number of a sketch."""
    values = _centres(sketch)
    return float(values[0]), float(values[-1])


def _centres(sketch: Sketch) -> NDArray[np.float64]:
    """Return the middle of each bin of a sketch."""
    dropped, integers, _ = sketch
    half = np.uint64((1 << dropped) >> 1)
    lowest, highest = ordered_integers(np.array([-LARGEST, LARGEST]))
    return ordered_floats(np.clip((integers << np.uint64(dropped)) | half, lowest, highest))


def _unit(values: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """Return one over the median size of the values that are not 0, as a power of two."""
    order = np.argsort(np.abs(values), kind="stable")
    sizes = np.abs(values)[order]
    cumulated = np.cumsum(np.where(sizes > 0.0, counts[order], 0))
    median = sizes[np.searchsorted(cumulated, cumulated[-1] / 2)]
    return float(2.0 ** -max(int(np.frexp(median)[1]) - 1, -1000))


def _moments(values: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return mean, standard deviation and skewness, rounded so that every machine agrees."""
    total = float(counts.sum())
    mean = math.fsum(values * counts) / total  # fsum, for the last bits are all there is of a small spread
    variance = math.fsum((values - mean) ** 2 * counts) / total
    if variance <= 1e-30 * max(1.0, mean * mean):
        return float(np.float32(mean)), 0.0, 0.0
    spread = variance**0.5
    skew = float(((values - mean) ** 3 * counts).sum()) / total / spread**3
    return float(np.float32(mean)), float(np.float32(spread)), skew
