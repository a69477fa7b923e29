"""How much effort an index needs by default, measured on its own vectors when it is built."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mbat_indexes.faiss_library import lists_of, load_faiss, rotated
from mbat_indexes.protocol import Ids, Vectors
from mbat_indexes.spool import StoredRows
from mbat_indexes.stored import Positions, StoredIndex

TARGET: Final = 0.96
"""The share of the ten nearest that is to be found: some more than is promised, since a sample is only a sample."""

_NEAREST: Final = 10
_QUERIES: Final = 400
_GRAPH_EFFORTS: Final = (32, 64, 128, 256, 512, 1024)


def lists_effort(index: Any, rows: StoredRows, homes: Ids) -> int:
    """Return how many lists have to be looked at, given the list of each vector.

    A true neighbour is found if its list is among those looked at. So one ranks the lists for each query, and takes the
    rank that is enough for the target share of the neighbours.
    """
    queries, neighbours = _neighbours(rows)
    if not neighbours.size:
        return 1
    inner = lists_of(index)
    nearness = rotated(index, queries) @ inner.quantizer.reconstruct_n(0, inner.nlist).T
    own = np.take_along_axis(nearness, homes[neighbours], axis=1)
    ranks = np.stack([(nearness > own[:, [column]]).sum(axis=1) for column in range(own.shape[1])])
    return 1 + int(np.quantile(ranks, TARGET, method="higher"))


def graph_effort(index: Any, rows: StoredRows) -> int:
    """Return how many candidates a search in a graph has to hold."""
    queries, neighbours = _neighbours(rows)
    for effort in _GRAPH_EFFORTS:
        if not neighbours.size:
            return effort
        params = load_faiss().SearchParametersHNSW(efSearch=effort)
        found = index.search(queries, neighbours.shape[1] + 1, params=params)[1]
        hits = [np.isin(true, ours).mean() for true, ours in zip(neighbours, found, strict=True)]
        if np.mean(hits) >= TARGET:
            return effort
    return _GRAPH_EFFORTS[-1]


def _neighbours(rows: StoredRows) -> tuple[Vectors, Positions]:
    """Return some of the vectors, and the positions of those nearest to each, itself left out."""
    chosen = np.unique(np.linspace(0, max(0, rows.count - 1), min(_QUERIES, rows.count)).astype(np.int64))
    queries, count = rows(chosen), min(_NEAREST, rows.count - 1)
    if count < 1:
        return queries, np.zeros((len(queries), 0), dtype=np.int64)
    found = StoredIndex("exact", np.arange(rows.count), rows.dim, rows).search(queries, count + 1)[1]
    # Among many equal vectors a vector may be missing from its own neighbours: then the last one is left out.
    others = np.argsort(found == chosen[:, None], axis=1, kind="stable")[:, :count]
    return queries, np.take_along_axis(found, others, axis=1)
