"""Building the FAISS indexes that need all vectors before they can be written."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

import numpy as np

from mbat_indexes.faiss_flat import COUNT_AT, HEADER_BYTES
from mbat_indexes.faiss_library import lists_of, load_faiss, make_index, rotated, write_file
from mbat_indexes.faiss_placing import Placer
from mbat_indexes.kinds import Kind, lists_for
from mbat_indexes.protocol import Ids, Vectors
from mbat_indexes.spool import Spool, StoredRows, copy_file
from mbat_indexes.stored import blocks
from mbat_indexes.tuning import graph_effort, lists_effort

_SAMPLE_BYTES: Final = 1 << 28
_POINTS_PER_LIST: Final = 32
_PQ_CENTROIDS: Final = 256
_LISTS_END: Final = struct.Struct("<4sQQ4sQ")  # what FAISS writes for inverted lists, before the sizes
_SIZE: Final = struct.Struct("<Q")


def factory_of(kind: Kind, dim: int, lists: int) -> str:
    """Return what FAISS calls an index of a kind."""
    return (kind.factory or "").format(lists=lists, parts=kind.parts_for(dim))


class BuiltSink:
    """Lets vectors wait in a file, and builds the index when all are there.

    Parameters
    ----------
    path : Path
        The file.
    dim : int
        Length of the vectors.
    kind : Kind
        A kind that is built.
    place : callable
        Works with a flat FAISS index where it is to be searched while the lists are found.
    """

    def __init__(self, path: Path, dim: int, kind: Kind, place: Placer) -> None:
        load_faiss()
        self._path, self._dim, self._kind, self._place = path, dim, kind, place
        waiting = copy_file(path) if kind.copy else path.with_name(path.name + ".spool")
        self._spool = Spool(waiting, dim, kind.half)

    def write(self, vectors: Vectors) -> None:
        """Let vectors wait."""
        self._spool.write(vectors)

    def finish(self, ids: Ids) -> None:
        """Build the index and write it."""
        rows = self._spool.finish()
        if self._kind.effort == "efSearch":
            _build_graph(self._path, self._kind, ids, rows)
        elif self._kind.effort == "nprobe":
            _build_lists(self._path, self._kind, ids, rows, self._place)
        else:
            index = make_index(self._dim, factory_of(self._kind, self._dim, 0))
            index.train(_sample(rows, _SAMPLE_BYTES // (4 * self._dim)))
            write_file(self._path, _filled(index, ids, rows))

    def close(self) -> None:
        """Close the file in which vectors waited, and remove it if it is no part of the index."""
        try:
            self._spool.close()
        finally:
            if not self._kind.copy:
                self._spool.path.unlink(missing_ok=True)


def _sample(rows: StoredRows, count: int) -> Vectors:
    """Return at most so many vectors from all over, a zero vector if there are none."""
    if not rows.count:
        return np.zeros((1, rows.dim), dtype=np.float32)
    return rows(np.unique(np.linspace(0, rows.count - 1, min(count, rows.count)).astype(np.int64)))


def _filled(index: Any, ids: Ids, rows: StoredRows) -> Any:
    """Return an index with ids, to which the vectors were added."""
    outer = load_faiss().IndexIDMap(index)
    for block in blocks(rows.count, rows.dim):
        outer.add_with_ids(rows(block), ids[block])
    return outer


def _build_graph(path: Path, kind: Kind, ids: Ids, rows: StoredRows) -> None:
    index = make_index(rows.dim, factory_of(kind, rows.dim, 0))
    outer = _filled(index, ids, rows)
    index.hnsw.efSearch = graph_effort(index, rows)
    write_file(path, outer)


def _build_lists(path: Path, kind: Kind, ids: Ids, rows: StoredRows, place: Placer) -> None:
    lists = lists_for(rows.count)
    index = make_index(rows.dim, factory_of(kind, rows.dim, lists))
    _train(index, lists, rows, place)
    inner = lists_of(index)
    homes = _homes(index, rows, place)
    inner.nprobe = lists_effort(index, rows, homes)
    if kind.copy:
        write_file(path, _filled(index, ids, rows))
    else:
        _write_lists(path, inner, ids, rows, homes)


def _train(index: Any, lists: int, rows: StoredRows, place: Placer) -> None:
    inner = lists_of(index)
    sample = _sample(rows, max(lists, min(lists * _POINTS_PER_LIST, _SAMPLE_BYTES // (4 * rows.dim))))
    inner.cp.min_points_per_centroid = 1  # else FAISS writes to stderr
    inner.cp.max_points_per_centroid = len(sample)
    if hasattr(inner, "pq"):
        inner.do_polysemous_training = False  # takes minutes, for a way to search that is not used
        inner.pq.cp.min_points_per_centroid = 1
        inner.pq.cp.max_points_per_centroid = 32
        sample = np.resize(sample, (max(len(sample), _PQ_CENTROIDS), rows.dim))
    if hasattr(inner, "sq"):
        inner.by_residual = False  # else codes are of the distance to the centre, and not of the vector

    def train(nearest_centres: Any) -> None:
        inner.clustering_index = nearest_centres
        nearest_centres.thisown = True  # which FAISS takes it to be no more, and frees it never
        try:
            index.train(sample)
        finally:
            inner.clustering_index = None

    place(load_faiss().IndexFlatIP(rows.dim), train)


def _homes(index: Any, rows: StoredRows, place: Placer) -> Ids:
    """Return the list into which each vector goes."""
    homes = np.zeros(rows.count, dtype=np.int64)

    def assign(nearest_centres: Any) -> None:
        for block in blocks(rows.count, rows.dim):
            homes[block] = nearest_centres.assign(rotated(index, rows(block)), 1)[:, 0]

    place(lists_of(index).quantizer, assign)
    return homes


def _write_lists(path: Path, index: Any, ids: Ids, rows: StoredRows, homes: Ids) -> None:
    """Write the file of an index whose lists hold the vectors as they are, without holding them in memory."""
    faiss = load_faiss()
    header = bytearray(faiss.serialize_index(faiss.IndexIDMap(index)).tobytes()[: -_LISTS_END.size - _SIZE.size])
    for start in (0, HEADER_BYTES):
        _SIZE.pack_into(header, start + COUNT_AT, len(ids))
    sizes = np.bincount(homes, minlength=index.nlist)
    with path.open("wb") as file:
        file.write(header + _LISTS_END.pack(b"ilar", index.nlist, index.code_size, b"full", index.nlist))
        file.write(sizes.astype("<u8").tobytes())
        for positions in np.split(np.argsort(homes, kind="stable"), np.cumsum(sizes)[:-1]):
            file.write(rows.as_stored(positions) + positions.astype("<i8").tobytes())
        file.write(_SIZE.pack(len(ids)) + ids.astype("<i8").tobytes())
