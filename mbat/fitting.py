"""Fitting an encoder, and keeping what was taken apart for it, so that it need not be parsed again to be encoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mbat.columns import Columns
from mbat.pipeline import ahead
from mbat.preparing import Batch, Documents
from mbat.statistics import Statistics

if TYPE_CHECKING:
    from mbat.encoder import Encoder


def fit_keeping(encoder: Encoder, batches: Iterable[Documents], keep_bytes: int) -> list[Columns]:
    """Fit an encoder on batches of documents, and keep the columns of the first ones for `Encoder.encode_kept`.

    Parameters
    ----------
    encoder : Encoder
        What it had learned is forgotten; if a document is no JSON value, it is left as it was.
    batches : iterable of lists of JSON values, or of batches of a table
        Read once.
    keep_bytes : int
        Memory for columns that are kept.

    Returns
    -------
    list of Columns
        Those of the first batches, as many as there was room for.
    """
    from mbat.encoder import Encoder

    unfitted = Encoder(**encoder.parameters)
    statistics = Statistics()
    tallies = statistics.tallies()
    kept: list[Columns] = []
    walker = unfitted._ready().walker

    def watched() -> Iterator[Batch]:
        room = keep_bytes if encoder.embedder is None else 0  # texts to embed would have to be kept besides
        for batch in unfitted._prepared(batches):
            room = room - batch.columns.nbytes if batch.columns.paths is walker.paths else 0
            if room > 0:
                kept.append(batch.columns)
            yield batch

    for _ in ahead(lambda batch: unfitted._count(batch, tallies, statistics), watched()):
        pass
    encoder._set_statistics(statistics)
    encoder._preparer = encoder._new_preparer(walker if kept else None)
    return kept
