"""FAISS on GPUs: candidates are found there, and scored by the vectors of the file as everywhere else.

So a GPU gives the answers of the processor, to the last bit of every score and with equal scores by id, although it
adds in another order, and perhaps by float16. What it cannot do is left to the processor: more than `MOST` candidates
or lists for a query, and vectors that do not fit into its memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import RLock
from typing import Any, Final, NamedTuple

import numpy as np

from mbat_indexes import cuda
from mbat_indexes.candidates import CandidateIndex, Finder
from mbat_indexes.devices import Device, DeviceError
from mbat_indexes.faiss_library import load_faiss
from mbat_indexes.kinds import KINDS, Kind
from mbat_indexes.protocol import Scores, Vectors
from mbat_indexes.stored import Mask, Positions, rounding

MOST: Final = 2048
"""Candidates for a query, and lists to look at, that FAISS can select on a GPU."""

_HALF_CANDIDATES: Final = 2
_SCRATCH_BYTES: Final = 1 << 29
_PQ_PARTS: Final = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)
_LONG_PQ: Final = 56  # parts of a vector from which on FAISS has room for its tables as float16 alone

_USING: Final = RLock()
"""Held while GPUs are used: the memory in which FAISS works there is for one thread at a time."""

_resources: Final[dict[int, Any]] = {}

_HALF_UNIT: Final = 2.0**-11
"""How much a float16 may be off by rounding, as a part of it."""

_HALF_LEAST: Final = 2.0**-25
"""How much one below 2^-14 may be off."""

Placer = Callable[[Any], AbstractContextManager[Any]]
"""Brings a flat FAISS index to where it is to be searched."""


class Placed(NamedTuple):
    """An index on GPUs.

    Attributes
    ----------
    index
        The FAISS index.
    rounding : float
        How far its scores may be off, as a part of the product of the norms.
    candidates : int
        How many candidates make up for it, for each vector that is wanted.
    """

    index: Any
    rounding: float
    candidates: int


class Plan(NamedTuple):
    """How vectors are brought to GPUs.

    Attributes
    ----------
    half : bool
        Whether as float16.
    shards : bool
        Whether each GPU has a part of them, and not all.
    """

    half: bool
    shards: bool


def half_rounding(dim: int) -> float:
    """Return how far the product of two vectors of norm 1 may be off when both are rounded to float16."""
    off = _HALF_UNIT + _HALF_LEAST * math.sqrt(dim)
    return 2 * off + off * off


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
    """

    def __init__(self, finder: Finder, bring: Callable[[], Placed | None], lists: int) -> None:
        self._finder, self._bring, self._lists = finder, bring, lists
        self.exact, self.effort, self.rows = finder.exact, finder.effort, finder.rows
        self._brought: tuple[Placed | None] | None = None

    @property
    def placed(self) -> Placed | None:
        """The index on the GPUs; None if there is no room."""
        with _USING:
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
        probes = max(1, int(np.ceil(effort * self._lists - 1e-6)))
        if self.placed is None or max(count, probes) > MOST:
            return self._finder.nearest(queries, count, effort, live)
        with _USING, _refusals("cannot search on the GPU"):
            if self._lists:
                _probe(self.placed.index, probes)
            found: tuple[Scores, Positions] = self.placed.index.search(queries, count)
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

    Raises
    ------
    DeviceError
        If it is not and the device is required.
    """
    if not check_on_gpu(kind, index.dim, device):
        return index
    finder: Any = index.finder

    def bring() -> Placed | None:
        return _brought(finder.index, kind, device)

    lists = int(finder.index.nlist) if kind.effort == "nprobe" else 0
    return CandidateIndex(index.kind, index.ids(), index.dim, GpuFinder(finder, bring, lists))


def placer(device: Device) -> Placer:
    """Return what brings flat indexes to the first GPU of a device, to build others with them."""

    @contextmanager
    def place(index: Any) -> Iterator[Any]:
        with _USING, _refusals("cannot build on the GPU"):
            yield load_faiss().index_cpu_to_gpu(_resource(device.gpus[0]), device.gpus[0], index)

    return place if device.gpus else nullcontext


def needed_bytes(kind: Kind, dim: int, count: int, half: bool) -> int:
    """Return the memory that vectors need on a GPU, besides that in which FAISS works.

    The kind ``flat-fp16`` is filled bit by bit, and needs room for old and new when it grows.
    """
    stored = count * round(dim * (16 if half else kind.code_bits) / 8)
    if kind.effort == "nprobe":
        stored += 8 * count + kind.fixed_bytes(count, dim)
    return 2 * stored if kind.name == "flat-fp16" else stored


def planned(kind: Kind, dim: int, count: int, gpus: int, free: int) -> Plan | None:
    """Return how vectors are brought to so many GPUs with so much room on each; None if they do not fit.

    They stay float32 where that fits. Every GPU has all of them if they fit, and answers a part of the queries; else
    each has a part of the vectors, which FAISS does not do for ``flat-fp16``.
    """
    for shards in (False, True) if gpus > 1 and kind.name != "flat-fp16" else (False,):
        for half in (False, True) if kind.name == "flat" else (False,):
            if needed_bytes(kind, dim, count, half) <= free * (gpus if shards else 1):
                return Plan(half, shards)
    return None


def _brought(index: Any, kind: Kind, device: Device) -> Placed | None:
    """Bring an index to GPUs; return None if that fails, or it does not fit, and need not be there."""
    try:
        plan = _plan(index, kind, device)
        placed = _cloned(index, plan, device)
    except DeviceError:
        if device.required:
            raise
        return None
    half = plan.half or kind.name == "flat-fp16"
    off = rounding(index.d) + (half_rounding(index.d) if half else 0.0)
    return Placed(placed, off, max(kind.candidates_for(index.d), _HALF_CANDIDATES if half else 1))


def _plan(index: Any, kind: Kind, device: Device) -> Plan:
    count, free = int(index.ntotal), _room(device)
    plan = planned(kind, index.d, count, len(device.gpus), free)
    if plan is None:
        needed = needed_bytes(kind, index.d, count, kind.name == "flat")
        raise DeviceError(
            f"{count:,} vectors of kind {kind.name} need {needed / 1e9:,.1f} GB of memory on the GPU, and "
            f"{free / 1e9:,.1f} GB may be used. Use the CPU, more GPUs, or a kind that takes less."
        )
    return plan


def _cloned(index: Any, plan: Plan, device: Device) -> Any:
    faiss = load_faiss()
    options = faiss.GpuMultipleClonerOptions()
    options.useFloat16 = plan.half or (isinstance(index, faiss.IndexIVFPQ) and index.pq.M >= _LONG_PQ)
    options.shard = plan.shards
    with _refusals("cannot bring the vectors to the GPU"):
        resources = [_resource(number) for number in device.gpus]
        if len(resources) == 1:
            return faiss.index_cpu_to_gpu(resources[0], device.gpus[0], index, options)
        return faiss.index_cpu_to_gpu_multiple_py(resources, index, options, device.gpus)


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    """Raise what FAISS raises as a DeviceError."""
    try:
        yield
    except RuntimeError as error:
        raise DeviceError(f"FAISS {what}: {str(error).splitlines()[-1]}") from error


def _probe(index: Any, lists: int) -> None:
    """Set how many lists an index on GPUs looks at; one on several consists of others."""
    faiss = load_faiss()
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexShards | faiss.IndexReplicas):
        for part in range(index.count()):
            _probe(index.at(part), lists)
    else:
        index.nprobe = lists


def _room(device: Device) -> int:
    """Return how much may be used of the memory of that GPU that has the least, when FAISS has what it works in."""
    try:
        free = min(cuda.gpu(number).free_bytes - _to_be_taken(number) for number in device.gpus)
    except OSError as error:
        raise DeviceError(f"The memory of the GPU cannot be told: {error}") from error
    return max(0, free) if device.memory_bytes is None else min(max(0, free), device.memory_bytes)


def _to_be_taken(number: int) -> int:
    return 0 if number in _resources else _SCRATCH_BYTES


def _resource(number: int) -> Any:
    """Return what FAISS works with on a GPU: there is one, since each takes memory."""
    with _USING:
        if number not in _resources:
            _resources[number] = load_faiss().StandardGpuResources()
            _resources[number].setTempMemory(_SCRATCH_BYTES)
        return _resources[number]
