"""How many of the true neighbours a search finds, and how fast it is: measured, not hoped for."""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.choosing import is_exact
from mbat.content import Content, Recall, Segment
from mbat.encoder import Encoder
from mbat.errors import ParameterError
from mbat.segments import Segments, load_segments
from mbat.store import Store
from mbat_indexes import Device

if TYPE_CHECKING:
    from mbat.folder_index import FolderIndex
    from mbat.reading import View

BUILD_QUERIES: Final = 100
"""Documents searched for when vectors have been written."""

ENOUGH: Final = 0.95
"""A recall below this is said aloud."""

_K: Final = 10
_SAME: Final = 1e-4  # scores closer than this are as good: among equal documents it does not matter which is found


@dataclass(frozen=True)
class Evaluation:
    """How good and how fast an index is.

    Attributes
    ----------
    documents : int
    kind : str
    effort : float or None
        As given; None is the default of the kind.
    queries : int
        How many documents were searched for.
    recall_at_1, recall_at_10 : float
        The share of the first, and of the first ten, of an exact search that is found, the document itself apart.
    queries_per_second : float
        When all queries are asked at once.
    milliseconds_median, milliseconds_90, milliseconds_99 : float
        What a single search takes: the median, and what 90 and 99 of 100 take at most.
    """

    documents: int
    kind: str
    effort: float | None
    queries: int
    recall_at_1: float
    recall_at_10: float
    queries_per_second: float
    milliseconds_median: float
    milliseconds_90: float
    milliseconds_99: float

    def plain(self) -> dict[str, Any]:
        """Return the evaluation as JSON."""
        return asdict(self)


def measured_recall(
    folder: Path, store: Store, encoder: Encoder, segments: tuple[Segment, ...], device: Device
) -> Recall | None:
    """Return the recall of segments that have just been written; None if all of them are exact."""
    if all(is_exact(segment.kind) for segment in segments):
        return None
    loaded = load_segments(folder, segments, encoder.dim, np.zeros(0, dtype=np.int64), {}, device)
    rows, documents = _sampled(store, BUILD_QUERIES)
    return _recall(loaded, rows, encoder.encode(documents), None)


def evaluate(index: FolderIndex, queries: int = 1000, effort: float | None = None) -> Evaluation:
    """Search for documents of an index, sampled at random, and compare with what an exact search finds.

    Parameters
    ----------
    index : FolderIndex
    queries : int
        How many documents to search for.
    effort : float, optional
        See `Index.search`.

    Raises
    ------
    ParameterError
        If there are no documents.
    """

    def measured(view: View) -> tuple[Content, list[Any], Recall]:
        rows, documents = _sampled(view.store, queries)
        if not documents:
            raise ParameterError(f"{index.path} has no documents to search for.")
        return view.content, documents, _recall(view.segments, rows, view.encoder.encode(documents), effort)

    content, documents, recall = index.read(measured)
    index.search(documents[0], _K, effort=effort)
    single = [_seconds(lambda one=one: index.search(one, _K, effort=effort)) for one in documents]
    together = _seconds(lambda: index.search_batch(documents, _K, effort=effort))
    median, most, nearly_all = np.percentile(np.array(single) * 1e3, [50, 90, 99]).round(3).tolist()
    return Evaluation(
        documents=content.documents,
        kind=content.kind,
        effort=effort,
        queries=len(documents),
        recall_at_1=round(recall.at_1, 4),
        recall_at_10=round(recall.at_10, 4),
        queries_per_second=round(len(documents) / together, 1),
        milliseconds_median=median,
        milliseconds_90=most,
        milliseconds_99=nearly_all,
    )


def _sampled(store: Store, count: int) -> tuple[NDArray[np.int64], list[Any]]:
    rows = store.rows().tolist()
    sample = sorted(random.Random(0).sample(rows, min(count, len(rows))))
    found = store.by_rows(sample)
    return np.array(sample, dtype=np.int64), [orjson.loads(found[row].text) for row in sample]


def _recall(segments: Segments, rows: NDArray[np.int64], vectors: NDArray[np.float32], effort: float | None) -> Recall:
    """Compare a search with one that looks at every vector."""
    true, _ = _others(segments, rows, vectors, 1.0)
    found, _ = _others(segments, rows, vectors, effort)
    shares = []
    for k in (1, _K):
        there = np.isfinite(true[:, :k])
        floor = np.where(there, true[:, :k], np.inf).min(axis=1, keepdims=True, initial=np.inf)
        right = ((found[:, :k] >= floor - _SAME) & np.isfinite(found[:, :k])).sum(axis=1)
        shares.append(float(right.sum() / there.sum()) if there.any() else 1.0)
    return Recall(len(rows), *shares)


def _others(
    segments: Segments, rows: NDArray[np.int64], vectors: NDArray[np.float32], effort: float | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the best for each vector, but for its own row."""
    scores, found = segments.search(vectors, _K + 1, effort)
    itself = found == rows[:, None]
    itself[:, -1] |= ~itself.any(axis=1)
    shape = len(rows), found.shape[1] - 1
    return scores[~itself].reshape(shape), found[~itself].reshape(shape)


def _seconds(action: Any) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
