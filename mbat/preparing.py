"""Documents made ready for the kernels: their columns, and what an encoder knows of their paths."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.binding import Permutations
from mbat.bundling import Places
from mbat.columns import Columns, Walker
from mbat.hashing import domain, extend, mix
from mbat.leaves import ELEMENT, KEY, ROOT, LeafPlaces
from mbat.paths import PathTable
from mbat.statistics import SKETCHED_PATHS, UNFITTED, Scale, Statistics, scale_of

MOST_PATHS: Final = 1 << 16
"""Paths after which a new table is started, so that keys that are data do not fill the memory."""


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch of documents, ready to be encoded or counted.

    Attributes
    ----------
    columns : Columns
    places : Places
        The paths of the columns, with their permutations.
    leaves : LeafPlaces
        What the coding of leaves needs of each path.
    path_hashes : int64 array of shape (paths,)
    """

    columns: Columns
    places: Places
    leaves: LeafPlaces
    path_hashes: NDArray[np.int64]


class Preparer:
    """Makes batches of documents ready, and remembers the paths they have in common.

    Parameters
    ----------
    dim, seed : int
        Those of the encoder.
    presence : float
        Weight of the symbol that says that a key is there.
    statistics : Statistics
        What the encoder has learned.
    walker : Walker, optional
        One that has met documents of the same seed before, whose columns are to be used again.
    """

    def __init__(
        self, dim: int, seed: int, presence: float, statistics: Statistics, walker: Walker | None = None
    ) -> None:
        self._dim, self._seed, self._presence = dim, seed, presence
        self._frequencies, self._documents = statistics.frequencies, statistics.documents
        self._scales = {path: scale_of(sketch) for path, sketch in statistics.sketches.items()}
        self._presence_domain = domain(seed, "presence")
        self._lock = threading.Lock()
        self._start(walker or Walker(PathTable(seed)))

    def _start(self, walker: Walker) -> None:
        self.walker = walker
        self._permutations = Permutations(self._dim, self._seed)
        self._known: list[tuple[float, int, Scale]] = []

    def prepare(self, documents: Sequence[Any]) -> Batch:
        """Make a batch ready.

        Raises
        ------
        DocumentError
            If a document is no JSON value.
        """
        with self._lock:
            if len(self.walker.paths) > MOST_PATHS:
                self._start(Walker(PathTable(self._seed)))
            return self._batch(self.walker.columns(documents))

    def prepare_again(self, columns: Columns) -> Batch:
        """Make a batch ready whose columns came from this preparer's walker."""
        with self._lock:
            return self._batch(columns)

    def _batch(self, columns: Columns) -> Batch:
        paths = columns.paths
        for path in range(len(self._known), len(paths)):
            self._known.append(self._knowledge(path))
        presence, codes, scales = zip(*self._known, strict=True)
        slots = np.array(paths.key_slots, dtype=np.int64)
        hashes = np.array(paths.key_hashes, dtype=np.int64)
        elements = np.array(paths.elements, dtype=np.int8)
        place = np.where(elements != 0, ELEMENT, KEY).astype(np.int8)
        place[0] = ROOT
        places = Places(
            depth=np.array(paths.depths, dtype=np.int64),
            element=elements,
            key_hash=hashes,
            slot=slots,
            presence=np.array(presence, dtype=np.float64),
            presence_code=np.array(codes, dtype=np.int64),
            keys=self._permutations.keys(slots, hashes),
            positions=self._permutations.positions if elements.any() else self._permutations.sequence,
            sequence=self._permutations.sequence,
        )
        leaves = LeafPlaces(
            place=place,
            unit=np.array([scale.unit for scale in scales]),
            centre=np.array([scale.centre for scale in scales]),
            rate=np.array([scale.rate for scale in scales]),
            logs=np.array([scale.logs for scale in scales], dtype=np.int8),
        )
        return Batch(columns, places, leaves, np.array(paths.path_hashes, dtype=np.int64))

    def _knowledge(self, path: int) -> tuple[float, int, Scale]:
        """Return weight and code of the symbol that a path is there, and the scale of its numbers."""
        paths = self.walker.paths
        path_hash = paths.path_hashes[path]
        scale = self._scales.get(path_hash % SKETCHED_PATHS, UNFITTED)
        if not path or paths.elements[path]:
            return 0.0, 0, scale
        code = mix(extend(self._presence_domain, paths.key_hashes[path]))
        return self._presence * self._rarity(path_hash), code, scale

    def _rarity(self, path_hash: int) -> float:
        if not self._documents:
            return 1.0
        frequency = int(self._frequencies[path_hash & (len(self._frequencies) - 1)])
        return float(np.round(np.log((1 + self._documents) / (1 + min(frequency, self._documents))) * 1024) / 1024)
