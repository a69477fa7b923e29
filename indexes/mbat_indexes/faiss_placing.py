"""Bringing FAISS indexes to GPUs: what fits, in which form, and what FAISS needs there besides.

FAISS may end the process where it finds no memory for its own needs, so that room is looked for before it is asked.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from mbat_indexes import cuda
from mbat_indexes.devices import Device, DeviceError
from mbat_indexes.faiss_flat import codes_of
from mbat_indexes.faiss_library import load_faiss
from mbat_indexes.kinds import Kind, lists_for
from mbat_indexes.stored import rounding

T = TypeVar("T")

MOST: Final = 2048
"""Candidates for a query, and lists to look at, that FAISS can select on a GPU."""

USING: Final = RLock()
"""Held while GPUs are used, and while memory is given back there: FAISS keeps account of it for one thread alone."""

_HALF_CANDIDATES: Final = 2
_SCRATCH_BYTES: Final = 3 << 29  # what FAISS takes on a GPU to work in
_PADDED: Final = 16  # vectors for which each list has room without holding them: it holds 32 or a multiple
_LONG_PQ: Final = 56  # parts of a vector from which on FAISS has room for its tables as float16 alone
_HALF_UNIT: Final = 2.0**-11  # how much a float16 may be off by rounding, as a part of it
_HALF_LEAST: Final = 2.0**-25  # how much one below 2^-14 may be off

_resources: Final[dict[int, Any]] = {}
_held: Final[Counter[int]] = Counter()  # bytes of vectors on each GPU


class Placed:
    """An index on GPUs; their memory is given back with it.

    Parameters
    ----------
    index
        The FAISS index.
    rounding : float
        How far its scores may be off, as a part of the product of the norms.
    candidates : int
        How many candidates make up for it, for each vector that is wanted.
    held : mapping from int to int
        The bytes of its vectors on each GPU.
    """

    def __init__(self, index: Any, rounding: float, candidates: int, held: Mapping[int, int] | None = None) -> None:
        self.index, self.rounding, self.candidates, self._bytes = index, rounding, candidates, dict(held or {})
        with USING:
            _held.update(self._bytes)

    def __del__(self) -> None:
        """Give the memory back while no other thread uses a GPU."""
        with USING:
            _held.subtract(self._bytes)
            del self.index


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


class Placer(Protocol):
    """Does some work with a flat FAISS index where it is to be searched."""

    def __call__(self, index: Any, work: Callable[[Any], T]) -> T:
        """Return what the work returns; it is done again, by the processor, if a GPU that need not be used fails."""


def half_rounding(dim: int) -> float:
    """Return how far the product of two vectors of norm 1 or more may be off when both are rounded to float16."""
    off = _HALF_UNIT + _HALF_LEAST * math.sqrt(dim)
    return 2 * off + off * off


def needed_bytes(kind: Kind, dim: int, count: int, half: bool, parts: int = 1) -> int:
    """Return the memory that vectors need on so many GPUs that share them, besides that in which FAISS works.

    The kind ``flat-fp16`` is filled bit by bit, and needs room for old and new when it grows.
    """
    vector = round(dim * (16 if half else kind.code_bits) / 8)
    stored = count * (vector + 8)  # its norms, as they are made anew, or its place in a list
    if kind.effort == "nprobe":
        stored += parts * (kind.fixed_bytes(count, dim) + (0 if kind.is_pq else lists_for(count) * _PADDED * vector))
    return 2 * stored if kind.name == "flat-fp16" else stored


def planned(kind: Kind, dim: int, count: int, gpus: int, free: int) -> Plan | None:
    """Return how vectors are brought to so many GPUs with so much room on each; None if they do not fit.

    They stay float32 where that fits. Every GPU has all of them if they fit, and answers a part of the queries; else
    each has a part of the vectors, which FAISS does not do for ``flat-fp16``.
    """
    for parts in (1, gpus) if gpus > 1 and kind.name != "flat-fp16" else (1,):
        for half in (False, True) if kind.name == "flat" else (False,):
            if needed_bytes(kind, dim, count, half, parts) <= free * parts:
                return Plan(half, parts > 1)
    return None


def brought(index: Any, kind: Kind, device: Device) -> Placed | None:
    """Bring an index to GPUs; return None if that fails, or it does not fit, and need not be there."""
    try:
        plan = _plan(index, kind, device)
        placed = _cloned(index, plan, device)
    except DeviceError:
        if device.required:
            raise
        return None
    half = plan.half or kind.name == "flat-fp16"
    off = rounding(index.d)
    if half:
        off = 2 * off + half_rounding(index.d)  # tensor cores cut sums off where others round them
    parts = len(device.gpus) if plan.shards else 1
    each = needed_bytes(kind, index.d, int(index.ntotal), plan.half, parts) // parts
    candidates = max(kind.candidates_for(index.d), _HALF_CANDIDATES if half else 1)
    return Placed(placed, off, candidates, dict.fromkeys(device.gpus, each))


def placer(device: Device) -> Placer:
    """Return what does work with flat indexes on the first GPU of a device, to build others by them."""
    gpus = device.gpus[:1]

    def place(index: Any, work: Callable[[Any], T]) -> T:
        try:
            with USING, refusals("cannot build on the GPU"):
                _check_room(4 * index.d * int(index.ntotal), device)
                return work(load_faiss().index_cpu_to_gpu(_resource(gpus[0]), gpus[0], index))
        except DeviceError:
            if device.required:
                raise
        return work(index)

    def stay(index: Any, work: Callable[[Any], T]) -> T:
        return work(index)

    return place if gpus else stay


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Raise what FAISS raises as a DeviceError."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().rpartition(" failed: ")[2] or "it does not say why"
        raise DeviceError(f"FAISS {what}: {reason.splitlines()[-1]}") from error


def _plan(index: Any, kind: Kind, device: Device) -> Plan:
    count, free = int(index.ntotal), _room(device)
    plan = planned(kind, index.d, count, len(device.gpus), free)
    if plan is None:
        needed = needed_bytes(kind, index.d, count, kind.name == "flat")
        what = f"{count:,} vectors of kind {kind.name} need {needed / 1e9:,.1f} GB"
        raise _no_room(what, free, "Use the CPU, more GPUs, or a kind that takes less.")
    return plan


def _cloned(index: Any, plan: Plan, device: Device) -> Any:
    faiss = load_faiss()
    options = faiss.GpuMultipleClonerOptions()
    options.useFloat16 = plan.half or (isinstance(index, faiss.IndexIVFPQ) and index.pq.M >= _LONG_PQ)
    options.shard = plan.shards
    if hasattr(index, "nprobe"):
        index.nprobe = min(index.nprobe, MOST)  # FAISS clones no index with more; each search has its own
    with refusals("cannot bring the vectors to the GPU"):
        if plan.shards:
            resources = [_resource(number) for number in device.gpus]
            return faiss.index_cpu_to_gpu_multiple_py(resources, index, options, device.gpus)
        if plan.half:
            return _together([_half(index, number) for number in device.gpus])
        return _together([faiss.index_cpu_to_gpu(_resource(one), one, index, options) for one in device.gpus])


def _half(index: Any, number: int) -> Any:
    """Return a flat index as float16: made by adding, since a clone has all vectors there as float32 first."""
    faiss = load_faiss()
    config = faiss.GpuIndexFlatConfig()
    config.device, config.useFloat16 = number, True
    placed = faiss.GpuIndexFlat(_resource(number), index.d, faiss.METRIC_INNER_PRODUCT, config)
    placed.add(codes_of(index).view("<f4"))
    return placed


def _together(copies: list[Any]) -> Any:
    """Return what parts queries among copies; FAISS itself makes copies of some kinds without using a GPU."""
    if len(copies) == 1:
        return copies[0]
    together = load_faiss().IndexReplicas(copies[0].d)
    for copy in copies:
        together.addIndex(copy)
    return together


def _check_room(needed: int, device: Device) -> None:
    if needed >= (free := _room(device)):
        raise _no_room(f"Finding lists needs {needed / 1e9:,.1f} GB", free, "Use the CPU.")


def _no_room(what: str, free: int, advice: str) -> DeviceError:
    return DeviceError(f"{what} of memory on the GPU, and {free / 1e9:,.1f} GB may be used. {advice}")


def _room(device: Device) -> int:
    """Return how much may be used of the memory of that GPU that has the least, when FAISS has what it works in."""
    bound = math.inf if device.memory_bytes is None else device.memory_bytes
    try:
        rooms = [min(cuda.gpu(one).free_bytes - _to_be_taken(one), bound - _held[one]) for one in device.gpus]
    except OSError as error:
        raise DeviceError(f"The memory of the GPU cannot be told: {error}") from error
    return max(0, int(min(rooms)))


def _to_be_taken(number: int) -> int:
    return 0 if number in _resources else _SCRATCH_BYTES


def _resource(number: int) -> Any:
    """Return what FAISS works with on a GPU: there is one, since each takes memory."""
    with USING:
        if number not in _resources:
            _resources[number] = load_faiss().StandardGpuResources()
        return _resources[number]
