"""Outliers: the documents least like their nearest neighbours, and the fields that make them so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.errors import ParameterError
from mbat.explaining import Part, own_parts
from mbat.folder_index import FolderIndex
from mbat.given import check_search
from mbat.pipeline import batched
from mbat.progress import Progress, silent
from mbat.reading import View
from mbat.store import Stored

_BATCH: Final = 1024
_LEAST: Final = 0.0005
"""A field that costs less than this of a score is not told of."""


class Oddity(NamedTuple):
    """A field of an outlier.

    Attributes
    ----------
    path : str
        Where it stands.
    lost : float
        What it would add to the scores of the neighbours if they agreed in it, less what it adds: the mean.
    value : JSON value
        What stands there; a list where there are several values.
    others : tuple of JSON values
        What stands there in the neighbours that have the field.
    """

    path: str
    lost: float
    value: Any
    others: tuple[Any, ...]


@dataclass(frozen=True)
class Outlier:
    """A document that is unlike its neighbours.

    Attributes
    ----------
    id : str
    score : float
        The mean score of its nearest neighbours.
    document : JSON value
    neighbours : tuple of (str, float)
        Their ids and scores, the nearest first.
    fields : tuple of Oddity
        Those first that cost most.
    """

    id: str
    score: float
    document: Any
    neighbours: tuple[tuple[str, float], ...]
    fields: tuple[Oddity, ...]


def find_outliers(
    index: FolderIndex, k: int = 10, neighbours: int = 5, *, effort: float | None = None, progress: Progress = silent
) -> list[Outlier]:
    """Find the documents of an index that are least like their nearest neighbours.

    Parameters
    ----------
    index : FolderIndex
        Searched by its own kind: one that may miss neighbours may take a document for odder than it is.
    k : int
        How many to find.
    neighbours : int
        How many of the nearest other documents count; all others, if there are fewer.
    effort : float, optional
        See `Index.search`.
    progress : callable
        Told how far the work is.

    Returns
    -------
    list of Outlier
        The oddest first, equal scores in the order of the documents. None if there are fewer than two documents.

    Raises
    ------
    ParameterError
        If k, neighbours or effort is out of range.

    Examples
    --------
    >>> import tempfile
    >>> from mbat import Index
    >>> names = [{"name": "Ann Lee"}, {"name": "Ann Li"}, {"name": "Anne Lee"}, {"title": 3}]
    >>> with Index.create(tempfile.mkdtemp() + "/names.mbat", names) as index:
    ...     [(outlier.id, outlier.fields[0].path) for outlier in find_outliers(index, k=1, neighbours=2)]
    [('3', 'title')]
    """
    check_search(k, effort)
    if isinstance(neighbours, bool) or not isinstance(neighbours, int) or neighbours < 1:
        raise ParameterError(f"neighbours is how many count, a whole number of at least 1; {neighbours!r} is not.")
    return index.read(lambda view: _found(view, k, neighbours, effort, progress))


def _found(view: View, k: int, neighbours: int, effort: float | None, progress: Progress) -> list[Outlier]:
    total = len(view.store)
    count = min(neighbours, total - 1)
    if count < 1:
        return []
    rows, means = [], []
    for batch in batched(view.store.after(), _BATCH):
        near, _ = _nearest(view, batch, count, effort)
        rows += [stored.row for stored in batch]
        means.append(near.mean(axis=1, dtype=np.float64))
        progress("compare", len(rows), total)
    oddest = np.argsort(np.concatenate(means), kind="stable")[:k].tolist()
    stored = view.store.by_rows([rows[position] for position in oddest])
    return [_outlier(view, stored[rows[position]], count, effort) for position in oddest]


def _nearest(
    view: View, batch: Sequence[Stored], count: int, effort: float | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return scores and rows of the documents nearest to each of some, but for itself."""
    vectors = view.encoder.encode([orjson.loads(stored.text) for stored in batch])
    scores, rows = view.segments.search(vectors, count + 1, effort)
    others = rows != np.array([stored.row for stored in batch])[:, None]
    others[:, -1] &= ~others.all(axis=1)  # not found by itself: the last goes
    shape = len(batch), count
    return np.maximum(scores[others].reshape(shape), -1.0), rows[others].reshape(shape)


def _outlier(view: View, stored: Stored, count: int, effort: float | None) -> Outlier:
    """Return an outlier with its neighbours and the fields that make it one."""
    scores, rows = (array[0].tolist() for array in _nearest(view, [stored], count, effort))
    found = view.store.by_rows([row for row in rows if row >= 0])
    near = [(found[row], score) for row, score in zip(rows, scores, strict=True) if row in found]
    document = orjson.loads(stored.text)
    fields = _oddities(view, document, [orjson.loads(one.text) for one, _ in near])
    named = tuple((one.id, score) for one, score in near)
    return Outlier(stored.id, float(np.mean(scores)), document, named, tuple(fields))


def _oddities(view: View, document: Any, others: Sequence[Any]) -> Iterator[Oddity]:
    account = view.encoder.account(document)
    parts: dict[str, list[Part]] = defaultdict(list)
    for other in others:
        for part in own_parts(account, view.encoder.account(other)):
            parts[part.path].append(part)
    lost = {path: float(np.mean([part.possible - part.contribution for part in some])) for path, some in parts.items()}
    for path in sorted((path for path in parts if lost[path] >= _LEAST), key=lambda path: -lost[path]):
        values = tuple(part.other_value for part in parts[path] if part.other_path is not None)
        yield Oddity(path, lost[path], parts[path][0].value, values)
