"""What an encoder is made of: from documents to vectors, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mbat.accounting import accounted
from mbat.binding import FAMILIES, array_hash, sequence_hash
from mbat.bundling import bundled
from mbat.columns import KIND_BITS, Walker
from mbat.decoding import CANDIDATE_SOFTNESS, FILLER_KEY
from mbat.errors import DocumentError
from mbat.fields import FieldRules, weighed_fields
from mbat.identity import Identity
from mbat.leaves import SymbolBuffer, leaf_weights
from mbat.parameters import PRESENCE, Parameters, shares
from mbat.paths import Steps
from mbat.preparing import Batch, Documents, Preparer
from mbat.reference import accounted_densely, bundled_densely
from mbat.statistics import Statistics, Tally
from mbat.symbols import symbol_runs


class Coding(Identity):
    """The part of `mbat.Encoder` that makes vectors of batches."""

    def _set_statistics(self, statistics: Statistics) -> None:
        super()._set_statistics(statistics)
        p = self._parameters
        self._how = leaf_weights(p.seed, p.softness, statistics.idf())
        self._shares = shares(p.softness)
        self._binding = FAMILIES[p.binding](p.dim)
        self._preparer: Preparer | None = None
        self._decoder: Self | None = None

    def _ready(self) -> Preparer:
        if self._preparer is None:
            self._preparer = self._new_preparer(None)
        return self._preparer

    def _new_preparer(self, walker: Walker | None) -> Preparer:
        p = self._parameters
        soft, fields = p.softness > 0.0, FieldRules(p.fields, p.strings, p.numbers)
        return Preparer(
            p.dim, p.seed, PRESENCE if soft else 0.0, soft, fields, self._statistics, walker, self._embedder
        )

    def _prepared(self, batches: Iterable[Documents]) -> Iterator[Batch]:
        position = 0
        for documents in batches:
            try:
                yield self._ready().prepare(documents)
            except DocumentError as error:
                raise DocumentError(error.reason, error.path, position + (error.position or 0)) from None
            position += len(documents)

    def _symbols(self, batch: Batch) -> Iterator[tuple[int, int, SymbolBuffer]]:
        return symbol_runs(batch.columns, self._how, batch.leaves, batch.points, batch.embeddings)

    def _prepared_alone(self, document: Any) -> Batch:
        try:
            return self._ready().prepare([document])
        except DocumentError as error:
            raise DocumentError(error.reason, error.path) from None

    def _encode_batch(self, batch: Batch) -> NDArray[np.float32]:
        if self._parameters.binding == "signed-permutation":
            return bundled(batch.columns, batch.places, self._shares, self._symbols(batch), self.dim)
        return self._encode_densely(batch)

    def _encode_densely(self, batch: Batch) -> NDArray[np.float32]:
        runs = self._symbols(batch)
        return bundled_densely(batch.columns, batch.places, self._shares, runs, self._binding, self._names())

    def _altered(self, parameters: Parameters) -> Self:
        """Return an encoder of other parameters that shares what this one has worked out; a copy would do so anew."""
        other = object.__new__(type(self))
        vars(other).update({**vars(self), "_parameters": parameters})
        other._preparer = other._fingerprint = other._decoder = None
        return other

    def _decoding(self) -> Self:
        """Return the encoder of the candidates for what a vector holds; see `mbat.decoding`."""
        if self._decoder is None:
            p = self._parameters
            fields = weighed_fields(p.fields, {}, [f'**."{FILLER_KEY}"'])
            decoder = self._altered(replace(p, softness=CANDIDATE_SOFTNESS * p.softness, fields=fields))
            decoder._set_statistics(self._statistics)  # by softness
            self._decoder = decoder
        return self._decoder

    def _encode_values(self, documents: list[Any], steps: Steps) -> NDArray[np.float32]:
        """Return the vectors of documents without the symbols that say that the keys of a path are there."""
        batch = self._ready().prepare(documents)
        presence = batch.places.presence.copy()
        presence[[batch.columns.paths.number(steps[:depth]) for depth in range(len(steps) + 1)]] = 0.0
        return self._encode_batch(replace(batch, places=batch.places._replace(presence=presence)))

    def _coordinates(self, documents: Documents) -> set[Steps]:
        """Return the paths at which documents hold latitudes and longitudes that are coded as one point."""
        batch = self._ready().prepare(documents)
        paths = np.unique(batch.columns.items[batch.points.items] >> KIND_BITS)
        return {batch.columns.paths.steps(path) for path in paths.tolist()}

    def _account_of(self, batch: Batch) -> NDArray[np.float64]:
        """Return what each path of a batch's one document adds to its sum, by path, float64 of shape (paths, dim)."""
        if self._parameters.binding == "signed-permutation":
            return accounted(batch.columns, batch.places, self._shares, self._symbols(batch), self.dim)
        return self._account_densely(batch)

    def _account_densely(self, batch: Batch) -> NDArray[np.float64]:
        runs = self._symbols(batch)
        return accounted_densely(batch.columns, batch.places, self._shares, runs, self._binding, self._names())

    def _names(self) -> tuple[int, int]:
        return array_hash(self._parameters.seed), sequence_hash(self._parameters.seed)

    def _count(self, batch: Batch, tallies: tuple[Tally, Tally], statistics: Statistics) -> None:
        statistics.add(batch.columns, batch.path_hashes, self._symbols(batch), tallies)
