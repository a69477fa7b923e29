"""Whether an index is what was written, all of it; and making anew what its documents say it should be."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.building import library_version
from mbat.changing import Change, remove_orphans
from mbat.choosing import chosen_kind
from mbat.content import Content, Segment
from mbat.encoder import Encoder
from mbat.encoder_files import encoder_of, encoder_parts, unfitted_encoder_of
from mbat.errors import IndexDamagedError, IndexFolderError, IndexNotFoundError
from mbat.locking import writer_lock
from mbat.manifest import FOLDER_FORMAT, Manifest
from mbat.progress import Progress, silent
from mbat.reading import encoder_of_index, golden_vector
from mbat.sealing import file_record
from mbat.segments import check_sizes, load_segment
from mbat.store import Store
from mbat.writable_store import WritableStore
from mbat_indexes import VectorIndex

SAMPLE: Final = 100
"""Documents that are encoded again and compared with their vectors."""

_CLOSE: Final = 2e-3  # as far as rounding to float16 moves a score


def verify_index(folder: Path) -> list[str]:
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
    if not path.is_file():
        return [f"The documents, {path}, are missing."]
    try:
        with Store.open(path) as store:
            store.begin()
            return list(_findings(folder, store))
    except IndexDamagedError as error:
        return [str(error)]


def _findings(folder: Path, store: Store) -> Iterator[str]:
    yield from (f"The documents, {store.path}, are damaged: {complaint}." for complaint in store.complaints())
    yield from (f"The document {one!r} is not what was written." for one in store.broken())
    content = Content.parse(store.content(), str(store.path))
    rows = store.rows()
    if len(rows) != content.documents:
        yield f"There are {len(rows):,} documents, and should be {content.documents:,}."
    outside = rows[rows > content.last]
    if len(outside):
        yield f"{len(outside):,} documents have no vectors."
    try:
        encoder: Encoder | None = encoder_of_index(store, content, folder, None)
    except IndexFolderError as error:
        encoder = None
        yield str(error)
    for segment in content.segments:
        try:
            yield from _segment_findings(folder, segment, store, content.dim, rows, encoder)
        except IndexDamagedError as error:
            yield str(error)


def _segment_findings(
    folder: Path, segment: Segment, store: Store, dim: int, rows: NDArray[np.int64], encoder: Encoder | None
) -> Iterator[str]:
    check_sizes(folder, segment)
    wrong = [name for name, record in segment.files.items() if file_record(folder / name) != record]
    yield from (f"{folder / name} is damaged: its checksum is wrong." for name in wrong)
    if wrong:
        return  # what damaged files hold is not worth a look
    vectors = load_segment(folder, segment, dim)
    live = _covered(segment, rows)
    expected = np.union1d(live, _covered(segment, store.dropped()))
    if not np.array_equal(vectors.ids(), expected):
        yield f"{folder / segment.name} has vectors of other rows than the documents."
    elif encoder is not None:
        yield from _sample_findings(store, vectors, live, encoder)


def _covered(segment: Segment, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return rows[(rows > segment.after) & (rows <= segment.last)]


def _sample_findings(store: Store, vectors: VectorIndex, live: NDArray[np.int64], encoder: Encoder) -> Iterator[str]:
    sample = sorted(random.Random(0).sample(live.tolist(), min(SAMPLE, len(live))))
    for row, stored in store.by_rows(sample).items():
        vector = encoder.encode_one(orjson.loads(stored.text))
        scores, _ = vectors.search(vector[None, :], 1, allowed=np.array([row]))
        if abs(float(scores[0, 0]) - float(vector @ vector)) > _CLOSE:
            yield f"The vector of the document {stored.id!r} is not the one that its encoder makes."


def repair_index(folder: Path, progress: Progress = silent) -> Content:
    """Make anew all that can be made of the documents: manifest, content, statistics where needed, and vectors.

    Returns
    -------
    Content
        What the index then holds.

    Raises
    ------
    IndexNotFoundError, IndexVersionError
        If there is no index, or of another format.
    IndexDamagedError
        If documents themselves are damaged: they cannot be made of anything else.
    IndexBusyError, IndexFolderError
        If it is being changed, or cannot be written.
    """
    manifest, whole = _manifest(folder)
    with writer_lock(folder):
        path = folder / manifest.database
        if not path.is_file():
            raise IndexDamagedError(f"The documents, {path}, are missing; index them again.")
        with WritableStore.open(path) as store:
            store.reindex()
            _check_documents(store)
            change = Change(folder, store, _content(store))
            try:
                encoder = _encoder(change, progress)
                kind = chosen_kind(change.before.kind, len(store), encoder.dim)
                made = {"kind": kind, "fingerprint": encoder.fingerprint, "golden": golden_vector(encoder)}
                content = change.commit(change.rewrite(0, encoder, kind, progress), **made, dim=encoder.dim)
            except BaseException:
                change.undo()
                raise
            if not whole:
                manifest.write(folder)
            remove_orphans(folder, path, content.segments)
            return content


def _manifest(folder: Path) -> tuple[Manifest, bool]:
    """Return the manifest, or one for the only database that is there; and whether it was whole."""
    try:
        return Manifest.read(folder), True
    except (IndexDamagedError, IndexNotFoundError):
        databases = sorted(path.name for path in folder.glob("documents-????????.sqlite"))
        if len(databases) != 1:
            raise
        return Manifest(FOLDER_FORMAT, library_version(), databases[0]), False


def _check_documents(store: Store) -> None:
    complaints = [*store.complaints(), *(f"the document {one!r} is not what was written" for one in store.broken())]
    if complaints:
        raise IndexDamagedError(
            f"{store.path} is damaged in the documents themselves: {'; '.join(complaints[:5])}. Delete or upsert "
            "these, or index all documents again."
        )


def _content(store: Store) -> Content:
    """Return the content, or where it is damaged what can be known without it."""
    with suppress(IndexDamagedError):
        return Content.parse(store.content(), str(store.path))
    return Content(
        version=store.any_version(),
        documents=0,
        numbered=store.last_row(),
        kind="auto",
        dim=0,
        fingerprint="",
        golden="",
    )


def _encoder(change: Change, progress: Progress) -> Encoder:
    """Return the index's encoder, with statistics of its documents if its own are damaged."""
    parts = change.store.encoder()
    with suppress(IndexDamagedError):
        return encoder_of(*parts, str(change.folder))
    encoder = change.fitted(unfitted_encoder_of(parts[0], str(change.folder)), progress)
    change.store.put_encoder(*encoder_parts(encoder))
    return encoder
