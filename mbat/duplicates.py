"""Duplicates: pairs of documents that are nearly the same, and the groups that these make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from tempfile import TemporaryFile
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.distinct import Distinct, distinct_vectors
from mbat.errors import MbatError, ParameterError
from mbat.folder_index import FolderIndex
from mbat.pairs import Pairs, similar_pairs
from mbat.progress import Progress, silent

SUGGESTED: Final = 0.85
"""The threshold that is used if none is given; ``docs/duplicates.md`` tells how good it is."""

MOST_PAIRS: Final = 20_000_000
"""More pairs than these are not kept in memory."""

_BLOCK: Final = 1 << 14


class Pair(NamedTuple):
    """Two documents that are nearly the same.

    Attributes
    ----------
    ids : (str, str)
        Their ids, the earlier document first.
    positions : (int, int)
        Which documents of the collection they are, counted from 0.
    score : float
        The cosine of their vectors.
    """

    ids: tuple[str, str]
    positions: tuple[int, int]
    score: float


class Group(NamedTuple):
    """Documents that are linked by pairs, not necessarily each with each.

    Attributes
    ----------
    ids : tuple of str
        Of its documents, in their order; the first is the one to keep.
    positions : tuple of int
    pairs : int
        How many pairs link them.
    lowest, highest : float
        The scores of these.
    """

    ids: tuple[str, ...]
    positions: tuple[int, ...]
    pairs: int
    lowest: float
    highest: float


@dataclass(frozen=True, eq=False)
class Duplicates:
    """The pairs of a collection whose score is at least a threshold.

    Of documents that have the same vector only the first is in pairs with others; the rest are in one with it.

    Attributes
    ----------
    threshold : float
    documents : int
        How many documents there are in all.
    ids : mapping from int to str
        What the documents in pairs are called, by position. Ids of a file's field may be the same for several.
    found : Pairs
        The pairs of positions, in order.
    """

    threshold: float
    documents: int
    ids: Mapping[int, str]
    found: Pairs

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.found.first)

    def pairs(self) -> Iterator[Pair]:
        """Yield the pairs, in the order of their documents."""
        for start in range(0, len(self), _BLOCK):
            block = self.found.chosen(slice(start, start + _BLOCK))
            for first, second, score in zip(*(column.tolist() for column in block), strict=True):
                yield Pair((self.ids[first], self.ids[second]), (first, second), score)

    def groups(self) -> list[Group]:
        """Return the groups: the connected components of the graph of the pairs, in the order of their first documents.

        Groups chain: if A is like B, and B like C, all three are one group, however little A is like C.
        """
        return list(self._groups)

    def dropped(self) -> set[int]:
        """Return the positions of the documents that are not the first of their group."""
        return {position for group in self._groups for position in group.positions[1:]}

    def at(self, threshold: float) -> Duplicates:
        """Return those of the pairs whose score is at least another threshold.

        Raises
        ------
        ParameterError
            If that is lower than the one they were found with, or above 1.
        """
        check_threshold(threshold)
        if threshold < self.threshold:
            raise ParameterError(
                f"The pairs were found with a threshold of {self.threshold}, so those of {threshold} are not all among "
                "them. Find them anew."
            )
        return replace(self, threshold=threshold, found=self.found.chosen(self.found.scores >= threshold))

    @cached_property
    def _groups(self) -> list[Group]:
        if not len(self):
            return []
        rows, of_rows, of_pairs = self._components()
        members, starts = _sorted(of_rows)
        links, link_starts = _sorted(of_pairs)
        positions, scores = rows[members].tolist(), self.found.scores[links]
        ends = [*starts[1:].tolist(), len(rows)]
        together = [tuple(positions[start:end]) for start, end in zip(starts.tolist(), ends, strict=True)]
        counts = np.diff(link_starts, append=len(links)).tolist()
        lowest, highest = (extreme.reduceat(scores, link_starts).tolist() for extreme in (np.minimum, np.maximum))
        groups = [
            Group(tuple(map(self.ids.__getitem__, some)), some, *told)
            for some, *told in zip(together, counts, lowest, highest, strict=True)
        ]
        return sorted(groups, key=lambda group: group.positions[0])

    def _components(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
        """Return the positions that are in pairs, and the number of the component of each, and of each pair."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        rows, numbers = np.unique(np.stack([self.found.first, self.found.second]), return_inverse=True)
        first, second = numbers.reshape(2, -1)
        linked = coo_array((np.ones(len(self), dtype=np.int8), (first, second)), shape=(len(rows), len(rows)))
        labels = connected_components(linked, directed=False)[1]
        return rows, labels, labels[first]


def check_threshold(threshold: float) -> None:
    """Raise ParameterError if a threshold is not above 0 and up to 1."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 < threshold <= 1:
        raise ParameterError(f"A threshold of scores is a number above 0 and up to 1; {threshold!r} is not.")


def find_duplicates(
    index: FolderIndex, threshold: float = SUGGESTED, ignore: Iterable[str] = (), *, progress: Progress = silent
) -> Duplicates:
    """Find all pairs of documents of an index whose score is at least a threshold, whatever its kind.

    Parameters
    ----------
    index : FolderIndex
    threshold : float
        Above 0, up to 1.
    ignore : iterable of paths
        Fields that do not count, such as ids and times of writing.
    progress : callable
        Told how far the work is.

    Raises
    ------
    ParameterError
        If the threshold is out of range, more than `MOST_PAIRS` pairs reach it, or a path to ignore is not well formed.
    MbatError
        If there is no room for the vectors in the folder for temporary files.

    Examples
    --------
    >>> import tempfile
    >>> from mbat import Index
    >>> names = [{"name": "Ann Lee"}, {"name": "Bob Roy"}, {"name": "ann lee"}]
    >>> with Index.create(tempfile.mkdtemp() + "/names.mbat", names) as index:
    ...     [group.ids for group in find_duplicates(index).groups()]
    [('0', '2')]
    """
    check_threshold(threshold)
    encoder = index.encoder.weigh({}, ignore)
    try:
        with TemporaryFile() as file:
            distinct = index.read(lambda view: distinct_vectors(view.store, encoder, file, progress))
            found = _pairs(distinct, threshold, progress)
    except OSError as error:
        raise MbatError(f"The vectors cannot be kept in a temporary file: {error.strerror or error}.") from error
    ids = {position: distinct.ids[position] for position in found.rows().tolist()}
    return Duplicates(threshold, len(distinct.ids), ids, found)


def _pairs(distinct: Distinct, threshold: float, progress: Progress) -> Pairs:
    """Return the pairs of documents, by position."""
    held = np.flatnonzero(distinct.numbers >= 0)
    first = distinct.firsts[distinct.numbers[held]]
    copies = first < held
    found = [Pairs(first[copies], held[copies], np.ones(int(copies.sum())))]
    count = len(found[0].first)
    for pairs in similar_pairs(distinct.vectors, threshold, progress):
        count += len(pairs.first)
        if count > MOST_PAIRS:
            raise ParameterError(
                f"More than {MOST_PAIRS:,} pairs have a score of {threshold} or more. Give a higher threshold."
            )
        scores = np.minimum(pairs.scores, 1.0)
        found.append(Pairs(distinct.firsts[pairs.first], distinct.firsts[pairs.second], scores))
    whole = Pairs(*(np.concatenate(column) for column in zip(*found, strict=True)))
    return whole.chosen(np.lexsort((whole.second, whole.first)))


def _sorted(labels: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what sorts labels, and where each begins then."""
    order = np.argsort(labels, kind="stable")
    return order, np.flatnonzero(np.diff(labels[order], prepend=-1))
