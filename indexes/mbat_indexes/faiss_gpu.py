"""FAISS on GPUs: candidates are found there, and scored by the vectors of the file as everywhere else.

So a GPU gives the answers of the processor, to the last bit of every score and with equal scores by id, although it
adds in another order, and perhaps by float16; of kinds that look at a part of the vectors it may look at a slightly
other part. What it cannot do is left to the processor: more than `MOST` candidates or lists for a query, and vectors
that do not fit into its memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from mbat_indexes.candidates import CandidateIndex, Finder
from mbat_indexes.devices import Device, DeviceError
from mbat_indexes.faiss_library import load_faiss
from mbat_indexes.faiss_placing import MOST, USING, Placed, brought, needed_bytes, refusals
from mbat_indexes.kinds import KINDS, Kind
from mbat_indexes.protocol import Scores, Vectors
from mbat_indexes.stored import Mask, Positions

_PQ_PARTS: Final = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)
_WORTHWHILE_BYTES: Final = 1 << 26  # the processor compares fewer sooner than a GPU is made ready


class GpuFinder:
    """Finds candidates on GPUs, where the vectors are brought when they are first needed.

    Parameters
    ----------
    finder : Finder
        Finds them by the processor, and has the vectors.
    bring : callable
        Brings the vectors to the GPUs; returns None if there is no room for them.
    lists : int
        How many inverted lists there are; 0 if every vector is compared.
    required : bool
        Whether it is an error if the GPUs fail; else the processor goes on alone.
    """

    def __init__(self, finder: Finder, bring: Callable[[], Placed | None], lists: int, required: bool) -> None:
        self._finder, self._bring, self._lists, self._required = finder, bring, lists, required
        self.exact, self.effort, self.rows = finder.exact, finder.effort, finder.rows
        self._brought: tuple[Placed | None] | None = None

    @property
    def placed(self) -> Placed | None:
        """The index on the GPUs; None if there is no room."""
        with USING:
            if self._brought is None:
                self._brought = (self._bring(),)
        return self._brought[0]

    @property
    def selects(self) -> bool:
        """Whether it can pass over vectors that may not be found: FAISS does not on a GPU."""
        return self._finder.selects and self.placed is None

    @property
    def candidates(self) -> int:
        """How many candidates are needed for each vector that is wanted."""
        return self._finder.candidates if self.placed is None else self.placed.candidates

    @property
    def rounding(self) -> float:
        """How far scores may be off; see `Finder`."""
        return self._finder.rounding if self.placed is None else self.placed.rounding

    def nearest(self, queries: Vectors, count: int, effort: float, live: Mask | None) -> tuple[Scores, Positions]:
        """Return candidates for each query, by a GPU if it can select so many."""
        placed, probes = self.placed, max(1, int(np.ceil(effort * self._lists - 1e-6)))
        if placed is not None and max(count, probes) <= MOST:
            try:
                return self._nearest_there(placed, queries, count, probes)
            except DeviceError:
                if self._required:
                    raise
                self._brought = (None,)
        return self._finder.nearest(queries, count, effort, live)

    def _nearest_there(self, placed: Placed, queries: Vectors, count: int, probes: int) -> tuple[Scores, Positions]:
        with USING, refusals("cannot search on the GPU"):
            if self._lists:
                _probe(placed.index, probes)
            found: tuple[Scores, Positions] = placed.index.search(queries, count)
        return found


def check_on_gpu(kind: Kind, dim: int, device: Device) -> bool:
    """Tell whether vectors of a kind are searched on the GPUs of a device.

    Raises
    ------
    DeviceError
        If they are not and it is required.
    """
    parts = kind.parts_for(dim) if kind.is_pq else 1
    if device.gpus and kind.gpu and parts in _PQ_PARTS:
        return True
    if device.required:
        what = f"the kind {kind.name}" + (f" with {parts} parts of a vector" if kind.gpu else "")
        there = ", ".join(name for name, other in KINDS.items() if other.gpu)
        raise DeviceError(f"FAISS does not search {what} on a GPU. Use the CPU, or make the index one of {there}.")
    return False


def on_gpu(index: CandidateIndex, kind: Kind, device: Device) -> CandidateIndex:
    """Return an index that finds its candidates on the GPUs of a device, if its kind is searched there.

    One that is small stays as it is unless the device is required.

    Raises
    ------
    DeviceError
        If it is not and the device is required.
    """
    small = needed_bytes(kind, index.dim, len(index), False) < _WORTHWHILE_BYTES
    if not check_on_gpu(kind, index.dim, device) or (small and not device.required):
        return index
    finder: Any = index.finder

    def bring() -> Placed | None:
        return brought(finder.index, kind, device)

    lists = int(finder.index.nlist) if kind.effort == "nprobe" else 0
    return CandidateIndex(index.kind, index.ids(), index.dim, GpuFinder(finder, bring, lists, device.required))


def _probe(index: Any, lists: int) -> None:
    """Set how many lists an index on GPUs looks at; one on several consists of others."""
    faiss = load_faiss()
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexShards | faiss.IndexReplicas):
        for part in range(index.count()):
            _probe(index.at(part), lists)
    else:
        index.nprobe = lists
