"""A map of an index: its documents on a plane, where those that are alike lie near each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.errors import ParameterError
from mbat.extras import extra_module
from mbat.paths import Steps, format_path, parse_path
from mbat.picking import values_at
from mbat.terminal import cut, printable

if TYPE_CHECKING:
    from mbat.folder_index import FolderIndex

Method = Literal["pca", "umap"]

MOST_CATEGORIES: Final = 10
"""Values of the colouring field that have colours of their own, the most frequent; the rest share one."""

_LEAST_DOCUMENTS: Final = 3
_FIELDS: Final = 6
_LOOKED_AT: Final = 1000
_WIDTH: Final = 60


class Grey(Enum):
    """What colours a document by none of the values that have colours of their own; no text, so no value is one."""

    OTHER = "other"
    MISSING = "missing"


@dataclass(frozen=True)
class Map:
    """Documents on a plane.

    Attributes
    ----------
    places : float64 array of shape (documents, 2)
    ids : sequence of str
    fields : mapping from paths to sequences of str
        What a picture tells of each document: a value, or nothing, for each of its main fields.
    colour : str or None
        The path of the field that colours them.
    colours : sequence
        What stands there: numbers if all are numbers, else strings, of the rare ones `Grey.OTHER`. `Grey.MISSING` if
        nothing does.
    method : str
        What the two axes are.
    documents : int
        How many the index holds, some of which may not be on the map.
    """

    places: NDArray[np.float64]
    ids: Sequence[str]
    fields: Mapping[str, Sequence[str]]
    colour: str | None
    colours: Sequence[float | str | Grey]
    method: str
    documents: int

    @property
    def is_numeric(self) -> bool:
        """Whether numbers colour the map."""
        return any(isinstance(colour, float) for colour in self.colours)

    @property
    def categories(self) -> list[str]:
        """The values that have colours of their own, the most frequent first."""
        found = Counter(colour for colour in self.colours if isinstance(colour, str))
        return sorted(found, key=lambda one: (-found[one], one))


def map_of(index: FolderIndex, colour: str | None = None, method: Method = "pca", sample: int | None = None) -> Map:
    """Return the documents of an index on a plane; the same index gives the same map.

    Parameters
    ----------
    index : FolderIndex
    colour : str, optional
        The path of a field. Where there are several values the first counts.
    method : {"pca", "umap"}
        Principal components keep as much of the differences as two axes can; UMAP (package umap-learn) keeps neighbours
        together, and distances mean little.
    sample : int, optional
        How many documents to show at most, drawn at random. Without it all.

    Raises
    ------
    ParameterError
        If there are fewer than 3 documents, no such method, or no document has the field.
    PathError
        If the path is not well formed.
    MissingExtraError
        If umap-learn is asked for and not installed.
    """
    if method not in ("pca", "umap"):
        raise ParameterError(f"method is 'pca' or 'umap'; {method!r} is neither.")
    if sample is not None and (isinstance(sample, bool) or not isinstance(sample, int) or sample < _LEAST_DOCUMENTS):
        raise ParameterError(f"sample is how many documents to show, {_LEAST_DOCUMENTS} or more; {sample!r} is not.")
    steps = None if colour is None else parse_path(colour)
    count = len(index)
    chosen = _sampled(count, sample)
    items = [item for number, item in enumerate(index.items()) if chosen is None or number in chosen]
    if len(items) < _LEAST_DOCUMENTS:
        raise ParameterError(f"A map needs {_LEAST_DOCUMENTS} documents or more; {index.path} has {len(items)}.")
    documents = [document for _, document in items]
    colours = [] if steps is None else _colours(documents, steps)
    places, axes = _plane(index.encoder.encode(documents), method)
    fields = {format_path(path): [_told(document, path) for document in documents] for path in _main(documents)}
    path = None if steps is None else format_path(steps)
    return Map(places, [one for one, _ in items], fields, path, colours, axes, count)


def _sampled(count: int, sample: int | None) -> set[int] | None:
    if sample is None or sample >= count:
        return None
    return set(np.random.default_rng(0).choice(count, sample, replace=False).tolist())


def _plane(vectors: NDArray[np.float32], method: Method) -> tuple[NDArray[np.float64], str]:
    if method == "umap":
        umap = extra_module("umap", "umap", "A map by UMAP")
        neighbours = min(15, len(vectors) - 1)
        reducer = umap.UMAP(n_neighbors=neighbours, metric="cosine", init="pca", random_state=0, n_jobs=1)
        return np.asarray(reducer.fit_transform(vectors), dtype=np.float64), "UMAP"
    places, share = principal(vectors)
    return places, f"the two principal components, with {share:.0%} of the variance"


def principal(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Return vectors on their two principal components, and how much of their variance these have.

    The sign of an axis is such that the vector farthest from the middle is on its positive side.
    """
    from scipy.linalg import eigh

    centred = vectors - vectors.mean(axis=0)
    covariance = (centred.T @ centred).astype(np.float64)
    last = len(covariance) - 1
    values, axes = eigh(covariance, subset_by_index=[last - 1, last])
    places = (centred @ axes[:, ::-1]).astype(np.float64)
    farthest = np.abs(places).argmax(axis=0)
    places *= np.where(places[farthest, [0, 1]] < 0, -1.0, 1.0)
    return places, float(values.sum() / (np.trace(covariance) or 1.0))


def _colours(documents: Sequence[Any], steps: Steps) -> list[float | str | Grey]:
    """Return what stands at a path: numbers, if nothing else does, else the most frequent values as text."""
    found = [values_at(document, steps)[:1] for document in documents]
    values = [one[0] for one in found if one]
    if not values:
        raise ParameterError(f"No document has a value at {format_path(steps)}, so it cannot colour the map.")
    if all(type(value) in (int, float) for value in values):
        return [float(one[0]) if one else Grey.MISSING for one in found]
    texts = [_written(one[0]) if one else None for one in found]
    ranked = Counter(text for text in texts if text is not None)
    kept = sorted(ranked, key=lambda text: (-ranked[text], text))[:MOST_CATEGORIES]
    return [Grey.MISSING if text is None else text if text in kept else Grey.OTHER for text in texts]


def _main(documents: Sequence[Any]) -> list[Steps]:
    """Return the paths that most documents have, of values that are neither objects nor arrays, in their order."""
    found: Counter[Steps] = Counter()
    for document in documents[:_LOOKED_AT]:
        found.update(_leaves((), document))
    kept = {path for path, _ in found.most_common(_FIELDS)}
    return [path for path in found if path in kept]


def _leaves(steps: Steps, value: Any) -> list[Steps]:
    if isinstance(value, dict):
        return [path for key, child in value.items() for path in _leaves((*steps, key), child)]
    return [] if isinstance(value, list) else [steps]


def _told(document: Any, steps: Steps) -> str:
    found = values_at(document, steps)
    return _written(found[0]) if found else ""


def _written(value: Any) -> str:
    return cut(printable(value if isinstance(value, str) else orjson.dumps(value).decode()), _WIDTH)
