"""Reading the FAISS indexes that are built, and finding candidates in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from mbat_indexes.candidates import CandidateIndex
from mbat_indexes.faiss_building import factory_of
from mbat_indexes.faiss_flat import codes_of
from mbat_indexes.faiss_library import check_size, check_type, lists_of, load_faiss, make_index, read_file, rotated
from mbat_indexes.kinds import Kind
from mbat_indexes.protocol import IndexFileError, Scores, Vectors
from mbat_indexes.spool import StoredRows, copy_file
from mbat_indexes.stored import Mask, Positions, Rows, rounding

_ID_BYTES: Final = 8
_PQ_TABLE_BYTES: Final = 1 << 36  # FAISS checks the size of a table that it makes for other distances alone


class CodesFinder:
    """Compares every vector by its code, whatever the effort.

    So an effort below 1 only tells how often more candidates are asked for before the vectors themselves are compared.
    """

    exact, selects = False, False
    effort = 1 / 8  # that is twice; not at all where an eighth of the vectors or fewer may be found

    def __init__(self, outer: Any, index: Any, rows: Rows, candidates: int) -> None:
        self._outer, self.index, self.rows, self.candidates = outer, index, rows, candidates
        self.rounding = rounding(index.d)

    def nearest(self, queries: Vectors, count: int, effort: float, live: Mask | None) -> tuple[Scores, Positions]:
        """Return the best by their codes, whatever the effort."""
        found: tuple[Scores, Positions] = self.index.search(queries, count)
        return found


class ListsFinder:
    """Compares the vectors of those inverted lists that are nearest to the query."""

    exact, selects = False, True

    def __init__(self, outer: Any, index: Any, rows: Rows, candidates: int) -> None:
        self._outer, self.index, self.rows, self.candidates = outer, index, rows, candidates
        self.rounding = rounding(index.d)
        self._lists = lists_of(index)
        self.effort = self._lists.nprobe / self._lists.nlist

    def nearest(self, queries: Vectors, count: int, effort: float, live: Mask | None) -> tuple[Scores, Positions]:
        """Return the best of that share of the lists."""
        faiss = load_faiss()
        bits = None if live is None else np.packbits(live, bitorder="little")
        selector = None if bits is None else faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        probed = max(1, int(np.ceil(effort * self._lists.nlist - 1e-6)))
        params = faiss.SearchParametersIVF(nprobe=probed, sel=selector)
        turned = rotated(self.index, queries)
        found: tuple[Scores, Positions] = self._lists.search(turned, count, params=params)
        return found


class GraphFinder:
    """Walks from neighbour to neighbour."""

    exact, selects, candidates = False, False, 1

    def __init__(self, outer: Any, index: Any, rows: Rows) -> None:
        self._outer, self.index, self.rows = outer, index, rows
        self.rounding = rounding(index.d)
        self.effort = min(1.0, index.hnsw.efSearch / max(1, index.ntotal))

    def nearest(self, queries: Vectors, count: int, effort: float, live: Mask | None) -> tuple[Scores, Positions]:
        """Return the best of as many candidates as that share of the vectors."""
        held = max(count, int(np.ceil(effort * self.index.ntotal)))
        params = load_faiss().SearchParametersHNSW(efSearch=held)
        found: tuple[Scores, Positions] = self.index.search(queries, count, params=params)
        return found


def load_built(path: Path, kind: Kind) -> CandidateIndex:
    """Return the index of a file, memory-mapped: its files must stay as they are while the index is in use.

    Raises
    ------
    IndexFileError
        If they hold none of this kind.
    """
    tables = _PQ_TABLE_BYTES if kind.is_pq else 0
    outer, index, ids = read_file(path, kind.name, kind.effort == "nprobe", tables)
    candidates = kind.candidates_for(index.d)
    finder: CodesFinder | ListsFinder | GraphFinder
    if kind.effort == "efSearch":
        finder = GraphFinder(outer, index, _rows_of_graph(path, kind, index))
    elif kind.effort == "nprobe":
        _check_lists(path, kind, index)
        rows = StoredRows(copy_file(path), index.d, len(ids), kind.half) if kind.copy else _rows_of_lists(path, index)
        finder = ListsFinder(outer, index, rows, candidates)
    else:
        check_type(path, kind.name, index, make_index(index.d, factory_of(kind, index.d, 0)))
        _check_codes(path, kind, index)
        copy = StoredRows(copy_file(path), index.d, len(ids), kind.half)
        finder = CodesFinder(outer, index, copy, candidates)
    return CandidateIndex(kind.name, ids, index.d, finder)


def _check_codes(path: Path, kind: Kind, index: Any) -> None:
    trained = load_faiss().vector_to_array(index.sq.trained)
    if len(trained) != 2 * index.d or index.codes.size() != index.ntotal * index.code_size:
        raise IndexFileError(f"{path} has not as many codes as vectors.")
    check_size(
        path, index.d, factory_of(kind, index.d, 0), trained.nbytes + index.ntotal * (index.code_size + _ID_BYTES)
    )


def _check_lists(path: Path, kind: Kind, index: Any) -> None:
    inner = lists_of(index)
    lists, count = int(getattr(inner, "nlist", 0)), int(index.ntotal)
    if not 1 <= lists <= max(1, count):
        raise IndexFileError(f"{path} holds a FAISS index of another kind than {kind.name!r}.")
    expected = make_index(index.d, factory_of(kind, index.d, lists))
    check_type(path, kind.name, index, expected)
    check_type(path, kind.name, inner, lists_of(expected))
    check_type(path, kind.name, load_faiss().downcast_index(inner.quantizer), lists_of(expected).quantizer)
    if inner is not index and not _is_rotation(index):
        raise IndexFileError(f"The rotation in {path} is damaged.")
    stored = load_faiss().downcast_InvertedLists(inner.invlists)
    stored.prefetch_nthread = 0  # threads that read ahead cost more than they save
    end = stored.lists.at(0).offset + count * (inner.code_size + _ID_BYTES) + _ID_BYTES * (1 + count)
    if (stored.nlist, stored.code_size, inner.quantizer.ntotal) != (lists, inner.code_size, lists):
        raise IndexFileError(f"{path} does not have the {lists:,} lists that it should.")
    if stored.compute_ntotal() != count or path.stat().st_size != end:
        raise IndexFileError(f"{path} should have {end:,} bytes for {count:,} vectors.")
    if inner.direct_map.type != load_faiss().DirectMap.NoMap:
        raise IndexFileError(f"{path} says where its vectors lie, which is to be found out by looking.")
    if not 1 <= inner.nprobe <= lists:
        raise IndexFileError(f"{path} says to look at {inner.nprobe} of {lists:,} lists.")


def _is_rotation(index: Any) -> bool:
    if index.chain.size() != 1:
        return False
    rotation = load_faiss().downcast_VectorTransform(index.chain.at(0))
    if not isinstance(rotation, load_faiss().RandomRotationMatrix) or rotation.have_bias:
        return False
    return (rotation.d_in, rotation.d_out, rotation.A.size()) == (index.d, index.d, index.d**2)


def _rows_of_lists(path: Path, index: Any) -> Rows:
    """Return how to read the vectors out of the lists."""
    try:
        index.make_direct_map()
    except RuntimeError as error:
        raise IndexFileError(f"The lists in {path} are damaged: {str(error).splitlines()[-1]}") from error
    places = load_faiss().vector_to_array(index.direct_map.array)
    if len(places) != index.ntotal or (places < 0).any():
        raise IndexFileError(f"The lists in {path} are damaged: a vector is missing.")

    def rows(positions: Positions | slice) -> Vectors:
        wanted = np.arange(positions.start, positions.stop) if isinstance(positions, slice) else positions
        vectors: Vectors = index.reconstruct_batch(wanted)
        return vectors

    return rows


def _rows_of_graph(path: Path, kind: Kind, index: Any) -> Rows:
    """Return how to read the vectors of a graph, after it was looked at whether it is whole."""
    faiss = load_faiss()
    factory, count = factory_of(kind, index.d, 0), int(index.ntotal)
    expected = make_index(index.d, factory)
    check_type(path, kind.name, index, expected)
    graph, storage = index.hnsw, faiss.downcast_index(index.storage)
    check_type(path, kind.name, storage, expected.storage)
    links = int(graph.neighbors.size())
    check_size(path, index.d, factory, count * (4 + 8 + storage.code_size + _ID_BYTES) + 4 * links)
    if (storage.ntotal, storage.codes.size()) != (count, count * storage.code_size) or not _is_graph(
        graph, expected.hnsw, count
    ):
        raise IndexFileError(f"The graph in {path} is damaged.")
    vectors = codes_of(storage).view("<f2") if count else np.zeros((0, index.d), dtype=np.float16)
    return lambda positions: vectors[positions].astype(np.float32)


def _is_graph(graph: Any, expected: Any, count: int) -> bool:
    """Tell whether the arrays of a graph fit together: FAISS follows them without looking."""
    faiss = load_faiss()
    levels, offsets = faiss.vector_to_array(graph.levels), faiss.vector_to_array(graph.offsets).astype(np.int64)
    room = faiss.vector_to_array(graph.cum_nneighbor_per_level)
    if not np.array_equal(room, faiss.vector_to_array(expected.cum_nneighbor_per_level)):
        return False
    if (
        (len(levels), len(offsets)) != (count, count + 1)
        or levels.min(initial=1) < 1
        or levels.max(initial=0) >= len(room)
    ):
        return False
    links = int(graph.neighbors.size())
    neighbours = faiss.rev_swig_ptr(graph.neighbors.data(), links) if links else np.zeros(0, np.int32)
    entry = graph.entry_point
    return bool(
        (offsets[0], offsets[-1]) == (0, links)
        and np.array_equal(np.diff(offsets), room[levels])
        and neighbours.min(initial=-1) >= -1
        and neighbours.max(initial=-1) < count
        and graph.max_level == levels.max(initial=0) - 1
        and (0 <= entry < count and levels[entry] == graph.max_level + 1 if count else entry == -1)
        and graph.efSearch >= 1
    )
