"""Looking whether all that was written to a collection has come to be in it, and is found by searches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.encoder import Encoder
from mbat.milvus.collection import Collection, of_ids
from mbat.milvus.kinds import MOST_FOUND
from mbat.pipeline import batched
from mbat.progress import Progress
from mbat.putting import same_document

_TOLD: Final = 5

_ADVICE: Final = "A graph may not reach every document; the kinds IVF_FLAT and FLAT find all with --effort 1."

_SOUGHT: Final = 256
"""Documents that are searched for by their own vectors, together."""

Rows = tuple[list[str], NDArray[np.float32] | None, list[Any]]
"""Ids, vectors if they are at hand, and documents."""


@dataclass
class Pushed:
    """What became of documents that were written to a collection.

    Attributes
    ----------
    rows : int
        How many were written.
    documents : int
        How many are there now: fewer if several had one id.
    missing : list of str
        Ids of those that are not there when they are read by their ids, or are others than were written.
    unfound : list of str
        Ids of those that are there, but that no search finds.
    left_out : int
        How many were not written, because Milvus cannot keep them.
    """

    rows: int = 0
    documents: int = 0
    missing: list[str] = field(default_factory=list)
    unfound: list[str] = field(default_factory=list)
    left_out: int = 0

    def findings(self) -> list[str]:
        """Return what is wrong, as sentences."""
        found = []
        if self.missing:
            found.append(f"Missing, or not as written: {self._some(self.missing)}.")
        if self.unfound:
            found.append(f"There, but found by no search: {self._some(self.unfound)}. {_ADVICE}")
        if self.documents < self.rows and not self.missing:
            found.append(f"Of {self.rows:,} documents written {self.documents:,} are there: ids occur more than once.")
        return found

    def _some(self, ids: Sequence[str]) -> str:
        some = ", ".join(f"{one!r:.60}" for one in ids[:_TOLD])
        return f"{len(ids):,} of {self.rows:,} documents ({some}{', …' if len(ids) > _TOLD else ''})"


def vectors_of(vectors: NDArray[np.float32] | None, encoder: Encoder, documents: list[Any]) -> NDArray[np.float32]:
    """Return the vectors of documents, made anew if there are none."""
    return encoder.encode(documents) if vectors is None else vectors


def look_again(collection: Collection, rows: Iterable[Rows], encoder: Encoder, pushed: Pushed, tell: Progress) -> None:
    """Read all documents by their ids, and look for each by a search among these ids."""
    done = 0
    for ids, vectors, documents in rows:
        found = collection.documents(ids)
        there = [one for one, document in zip(ids, documents, strict=True) if _is(document, one, found)]
        pushed.missing += sorted(set(ids) - set(there))
        known = dict(zip(ids, vectors_of(vectors, encoder, documents), strict=True))
        pushed.unfound += unfound_ids(collection, {one: known[one] for one in there})
        done += len(ids)
        tell("look", done, pushed.rows)
    pushed.documents = collection.count()


def _is(document: Any, one: str, found: dict[str, Any]) -> bool:
    return one in found and same_document(found[one], document)


def unfound_ids(collection: Collection, rows: dict[str, NDArray[np.float32]]) -> list[str]:
    """Return those ids that no search finds: neither one among some of them, nor one for the id's own vector."""
    unfound = list(rows)
    for ids in batched(rows, collection.kind.most):
        found = _found(collection, ids, rows[ids[0]][None], 1.0)
        unfound = [one for one in unfound if one not in found]
    for effort in (None, 1.0):  # the first finds nearly all, and is soon done
        for ids in batched(unfound, _SOUGHT):
            found = _found(collection, ids, np.stack([rows[one] for one in ids]), effort)
            unfound = [one for one in unfound if one not in found]
    return unfound


def _found(collection: Collection, ids: list[str], vectors: NDArray[np.float32], effort: float | None) -> set[str]:
    looks = collection.kind.looks(len(ids), MOST_FOUND, effort)
    return collection.found_ids(vectors, len(ids), looks, of_ids(ids))
