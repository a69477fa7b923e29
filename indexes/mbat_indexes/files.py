"""Writing and reading the files of an index of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mbat_indexes.devices import CPU, Device
from mbat_indexes.exact import ExactSink, load_exact
from mbat_indexes.faiss_building import BuiltSink
from mbat_indexes.faiss_flat import FlatSink, load_flat
from mbat_indexes.faiss_gpu import check_on_gpu, on_gpu
from mbat_indexes.faiss_loading import load_built
from mbat_indexes.faiss_placing import placer
from mbat_indexes.kinds import KINDS, Kind
from mbat_indexes.protocol import VectorIndex
from mbat_indexes.spool import copy_file
from mbat_indexes.writing import Sink, VectorWriter


@contextmanager
def index_writer(
    kind: str, path: Path, dim: int, count: int | None = None, device: Device = CPU
) -> Iterator[VectorWriter]:
    """Write the files of an index from a stream of vectors; they are complete when the context ends without an error.

    The flat kinds are written as vectors come, ``exact`` is held in memory. The vectors of the others wait in a file
    beside `path`, whose name starts with that of `path`; if it is no part of the index, it is removed at the end, also
    after an error. Then ``hnsw`` is built in memory, and the others are trained on a sample.

    Parameters
    ----------
    kind : str
        Name of the kind.
    path : Path
        The file; where a kind needs a second one, see `segment_files`, its name starts with it.
    dim : int
        Length of the vectors.
    count : int, optional
        How many vectors will come, where that is known; another number is an error at the end.
    device : Device
        Where the lists of kinds that have them are found, and the list of each vector. The files are those that any
        machine reads.

    Raises
    ------
    ValueError
        If there is no such kind, or not as many vectors came as were announced.
    MissingFaissError
        If the kind needs FAISS and it is not installed.
    DeviceError
        If the kind is not searched on a GPU and the device is required, or FAISS cannot work there.
    """
    check_on_gpu(_known(kind), dim, device)
    sink = _sink(_known(kind), path, dim, device)
    try:
        writer = VectorWriter(sink, dim, count)
        yield writer
        writer.finish()
    finally:
        sink.close()


def segment_files(kind: str, path: Path) -> list[Path]:
    """Return the files of an index: `path`, and what lies beside it."""
    return [path, copy_file(path)] if _known(kind).copy else [path]


def load_index(kind: str, path: Path, device: Device = CPU) -> VectorIndex:
    """Return the index that a file holds, memory-mapped but for ``exact``: it must stay as it is while in use.

    Parameters
    ----------
    kind : str
        Name of the kind.
    path : Path
        The file.
    device : Device
        Where to search. Vectors are brought to a GPU by the first search.

    Raises
    ------
    ValueError
        If there is no such kind.
    IndexFileError
        If the file holds no index of the kind.
    DeviceError
        If the kind is not searched on a GPU and the device is required; at the first search, if there is no room.
    MissingFaissError
        If the kind needs FAISS and it is not installed.
    """
    known = _known(kind)
    if known.name == "exact":
        check_on_gpu(known, 0, device)
        return load_exact(path)
    index = load_built(path, known) if _is_built(known) else load_flat(path, kind)
    return on_gpu(index, known, device)


def _sink(kind: Kind, path: Path, dim: int, device: Device) -> Sink:
    if kind.name == "exact":
        return ExactSink(path, dim)
    return BuiltSink(path, dim, kind, placer(device)) if _is_built(kind) else FlatSink(path, dim, kind.name)


def _is_built(kind: Kind) -> bool:
    """Tell whether a kind can be written only when all vectors are there."""
    return kind.copy or kind.effort is not None


def _known(kind: str) -> Kind:
    if kind not in KINDS:
        raise ValueError(f"There is no kind of index {kind!r}; there are {', '.join(KINDS)}.")
    return KINDS[kind]
