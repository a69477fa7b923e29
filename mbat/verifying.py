"""Whether an index is what was written, all of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.content import Content, Segment
from mbat.embedding import TextFunction
from mbat.encoder import Encoder
from mbat.errors import IndexDamagedError, IndexFolderError
from mbat.manifest import Manifest
from mbat.reading import encoder_of_index
from mbat.refusals import as_folder_error
from mbat.sealing import damaged, file_record
from mbat.segments import check_sizes, load_segment
from mbat.store import Store
from mbat_indexes import VectorIndex

SAMPLE: Final = 100
"""Documents that are encoded again and compared with their vectors."""

_CLOSE: Final = 2e-3  # as far as rounding to float16 moves a score


def verify_index(folder: Path, text: TextFunction | None = None) -> list[str]:
    """Compare an index with what was written, and its parts with each other; return what is wrong, as sentences.

    Looked at are the structure of the database, the checksum of each document, the counts, the encoder and its golden
    vector, size and SHA-256 of each file of vectors, which rows these are of, and a sample of documents, which are
    encoded again.

    Raises
    ------
    IndexNotFoundError
        If there is no index.
    IndexVersionError
        If its format is another.
    """
    try:
        manifest = Manifest.read(folder)
    except IndexDamagedError as error:
        return [str(error)]
    path = folder / manifest.database
    try:
        with as_folder_error(f"{folder} cannot be read"):
            if not path.is_file():
                return [f"The documents, {path}, are missing."]
            with Store.open(path) as store:
                store.begin()
                return list(_findings(folder, store, text))
    except IndexDamagedError as error:
        return [str(error)]


def _findings(folder: Path, store: Store, text: TextFunction | None) -> Iterator[str]:
    yield from (f"The documents, {store.path}, are damaged: {complaint}." for complaint in store.complaints())
    broken = store.broken()
    yield from (f"The document {stored.id!r} is not what was written." for stored in broken)
    content = Content.parse(store.content(), str(store.path))
    rows = store.rows()
    if len(rows) != content.documents:
        yield f"There are {len(rows):,} documents, and should be {content.documents:,}."
    outside = rows[rows > content.last]
    if len(outside):
        yield f"{len(outside):,} documents have no vectors."
    try:
        encoder: Encoder | None = encoder_of_index(store, content, folder, None, text)
    except IndexFolderError as error:
        encoder = None
        yield str(error)
    readable = np.setdiff1d(rows, [stored.row for stored in broken])
    expected = np.union1d(rows, store.dropped())
    for segment in content.segments:
        try:
            vectors = _whole_segment(folder, segment, content.dim)
            if not np.array_equal(vectors.ids(), _covered(segment, expected)):
                yield f"{folder / segment.name} has vectors of other rows than the documents."
            elif encoder is not None:
                yield from _sample_findings(store, vectors, _covered(segment, readable), encoder)
        except IndexDamagedError as error:
            yield str(error)


def _whole_segment(folder: Path, segment: Segment, dim: int) -> VectorIndex:
    """Load a segment, or raise IndexDamagedError if a file has not the content that was written."""
    check_sizes(folder, segment)
    for name, record in segment.files.items():
        if file_record(folder / name) != record:
            raise damaged(str(folder / name), "its checksum is wrong")
    return load_segment(folder, segment, dim)


def _covered(segment: Segment, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return rows[(rows > segment.after) & (rows <= segment.last)]


def _sample_findings(store: Store, vectors: VectorIndex, rows: NDArray[np.int64], encoder: Encoder) -> Iterator[str]:
    sample = sorted(random.Random(0).sample(rows.tolist(), min(SAMPLE, len(rows))))
    for row, stored in store.by_rows(sample).items():
        vector = encoder.encode_one(orjson.loads(stored.text))
        scores, _ = vectors.search(vector[None, :], 1, allowed=np.array([row]))
        if abs(float(scores[0, 0]) - float(vector @ vector)) > _CLOSE:
            yield f"The vector of the document {stored.id!r} is not the one that its encoder makes."
