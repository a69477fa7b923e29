"""Documents made ready for the kernels: their columns, and what an encoder knows of their paths."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.binding import Permutations, sequence_hash
from mbat.bundling import Places
from mbat.columns import Columns, Rows, Walker
from mbat.coordinates import PointFinder, Points
from mbat.embedding import NO_EMBEDDINGS, Embeddings, TextEmbedder
from mbat.errors import ParameterError
from mbat.fields import FieldRules, Rule
from mbat.hashing import domain, extend, mix
from mbat.leaves import ELEMENT, KEY, LEFT_OUT, SCALED, UNBOUND, LeafPlaces
from mbat.paths import PathTable, Steps
from mbat.scales import UNFITTED, Scale, scale_of
from mbat.statistics import SKETCHED_PATHS, Statistics

MOST_PATHS: Final = 1 << 16
"""Paths after which a new table is started, so that keys that are data do not fill the memory."""


Documents = Sequence[Any] | Rows
"""Some documents, as Python objects or not."""


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
    points : Points
        The numbers that are coordinates.
    embeddings : Embeddings
        What a text embedder says of the texts.
    """

    columns: Columns
    places: Places
    leaves: LeafPlaces
    path_hashes: NDArray[np.int64]
    points: Points
    embeddings: Embeddings


class Knowledge(NamedTuple):
    """What an encoder knows of a path.

    Attributes
    ----------
    place : int
        UNBOUND, KEY, ELEMENT or LEFT_OUT of `mbat.leaves`.
    path_hash : int
        That of the path without the keys that are skipped.
    presence, presence_code
        Weight and code of the symbol that says that the key is there.
    scale : Scale
        Of the numbers there.
    rule : Rule
        Weight, and how strings and numbers are taken.
    """

    place: int
    path_hash: int
    presence: float
    presence_code: int
    scale: Scale
    rule: Rule


class Preparer:
    """Makes batches of documents ready, and remembers the paths they have in common.

    Parameters
    ----------
    dim, seed : int
        Those of the encoder.
    presence : float
        Weight of the symbol that says that a key is there.
    skip_unknown : bool
        Whether a key that no fitted document has at its place is skipped: binding by it could match nothing, so
        the value below counts as if it stood in the place of the object that holds it.
    fields : FieldRules
        Weights of fields, and how their strings and numbers are taken.
    statistics : Statistics
        What the encoder has learned.
    walker : Walker, optional
        One that has met documents of the same seed before, whose columns are to be used again.
    embedder : TextEmbedder, optional
        Embeds the texts.
    """

    def __init__(
        self,
        dim: int,
        seed: int,
        presence: float,
        skip_unknown: bool,
        fields: FieldRules,
        statistics: Statistics,
        walker: Walker | None = None,
        embedder: TextEmbedder | None = None,
    ) -> None:
        self._dim, self._seed, self._presence = dim, seed, presence
        self._fields = fields
        self._skip_unknown = skip_unknown and statistics.documents > 0
        self._statistics = statistics
        self._presence_domain = domain(seed, "presence")
        self._sequence_hash = sequence_hash(seed)
        self._lock = threading.Lock()
        self._embedder = embedder
        self._start(walker or self._new_walker())

    def _new_walker(self) -> Walker:
        return Walker(PathTable(self._seed), keep_strings=self._embedder is not None)

    def _start(self, walker: Walker) -> None:
        self.walker = walker
        self._permutations = Permutations(self._dim, self._seed)
        self._finder = PointFinder(walker.paths, self._codes_closeness)
        self._known: list[Knowledge] = []
        self._tables: tuple[Places, LeafPlaces, NDArray[np.int64]] | None = None

    def prepare(self, documents: Documents) -> Batch:
        """Make a batch ready.

        Raises
        ------
        DocumentError
            If a document is no JSON value.
        """
        with self._lock:
            if len(self.walker.paths) > MOST_PATHS:
                self._start(self._new_walker())
            if isinstance(documents, Rows):
                return self._batch(documents.columns(self.walker))
            return self._batch(self.walker.columns(documents))

    def prepare_again(self, columns: Columns) -> Batch:
        """Make a batch ready whose columns came from this preparer's walker.

        Raises
        ------
        ParameterError
            If so many paths were met since that a new table was started, in which theirs have other numbers.
        """
        with self._lock:
            if columns.paths is not self.walker.paths:
                raise ParameterError("These documents were kept before many others were encoded. Encode them anew.")
            return self._batch(columns)

    def binding_names(self, steps: Steps) -> list[int]:
        """Return the names of the matrices that bind the values of a path, outermost first; of arrays the first."""
        with self._lock:
            paths = self.walker.paths
            path, names = 0, []
            for step in steps:
                path = paths.child(path, step)
                self._learn()
                if self._known[path].place != UNBOUND:
                    names.append(paths.key_hashes[path])
                if paths.elements[path]:
                    names.append(self._sequence_hash)
            return names

    def knowledge(self, steps: Steps) -> Knowledge:
        """Return what is known of a path."""
        with self._lock:
            path = self.walker.paths.number(steps)
            self._learn()
            return self._known[path]

    def _batch(self, columns: Columns) -> Batch:
        self._learn()
        if self._tables is None or len(self._tables[2]) < len(self._known):
            self._tables = self._make_tables()
        places, leaves, hashes = self._tables
        embeddings = self._embedder.embeddings(columns, leaves) if self._embedder else NO_EMBEDDINGS
        return Batch(columns, places, leaves, hashes, self._finder.points(columns), embeddings)

    def _codes_closeness(self, path: int) -> bool:
        known = self._known[path]
        return known.place != LEFT_OUT and known.rule.numbers == SCALED

    def _learn(self) -> None:
        """Look up what is known of paths that are new."""
        for path in range(len(self._known), len(self.walker.paths)):
            self._known.append(self._knowledge(path))

    def _make_tables(self) -> tuple[Places, LeafPlaces, NDArray[np.int64]]:
        """Return what the kernels need of every path, and its hash."""
        paths = self.walker.paths
        slots = np.array(paths.key_slots, dtype=np.int64)
        hashes = np.array(paths.key_hashes, dtype=np.int64)
        place = np.array([known.place for known in self._known], dtype=np.int8)
        scales = [known.scale for known in self._known]
        places = Places(
            depth=np.array(paths.depths, dtype=np.int64),
            place=place,
            key_hash=hashes,
            slot=slots,
            presence=np.array([known.presence for known in self._known], dtype=np.float64),
            presence_code=np.array([known.presence_code for known in self._known], dtype=np.int64),
            keys=self._permutations.keys(slots, hashes),
            positions=self._permutations.positions if (place == ELEMENT).any() else self._permutations.sequence,
            sequence=self._permutations.sequence,
        )
        leaves = LeafPlaces(
            place=place,
            weight=np.array([known.rule.weight for known in self._known]),
            strings=np.array([known.rule.strings for known in self._known], dtype=np.int8),
            numbers=np.array([known.rule.numbers for known in self._known], dtype=np.int8),
            unit=np.array([scale.unit for scale in scales]),
            centre=np.array([scale.centre for scale in scales]),
            rate=np.array([scale.rate for scale in scales]),
            logs=np.array([scale.logs for scale in scales], dtype=np.int8),
        )
        return places, leaves, np.array(paths.path_hashes, dtype=np.int64)

    def _knowledge(self, path: int) -> Knowledge:
        """Return what is known of a path; its parent comes before it."""
        paths = self.walker.paths
        if not path:
            return self._known_as(UNBOUND, paths.path_hashes[0], self._fields.root)
        above = self._known[paths.parents[path]]
        rule = self._fields.below(above.rule, paths, path)
        path_hash = mix(extend(above.path_hash, paths.key_hashes[path]))
        if rule.weight == 0.0:
            return self._known_as(LEFT_OUT, path_hash, rule)
        if paths.elements[path]:
            return self._known_as(ELEMENT, path_hash, rule)
        frequency = self._statistics.documents_with_path(path_hash)
        if self._skip_unknown and not frequency:
            return self._known_as(UNBOUND, above.path_hash, rule)
        code = mix(extend(self._presence_domain, paths.key_hashes[path]))
        return self._known_as(KEY, path_hash, rule, rule.weight * self._presence * self._rarity(frequency), code)

    def _known_as(self, place: int, path_hash: int, rule: Rule, presence: float = 0.0, code: int = 0) -> Knowledge:
        sketch = self._statistics.sketches.get(path_hash % SKETCHED_PATHS)
        scale = UNFITTED if sketch is None else scale_of(sketch)
        return Knowledge(place, path_hash, presence, code, scale, rule)

    def _rarity(self, frequency: int) -> float:
        documents = self._statistics.documents
        if not documents:
            return 1.0
        return float(np.round(np.log((1 + documents) / (1 + min(frequency, documents))) * 1024) / 1024)
