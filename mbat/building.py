"""Building an index: in its folder, beside one that is there, which it takes the place of when it is whole."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat import durable
from mbat.changing import foreign_files, own_files, remove_files, remove_orphans
from mbat.choosing import check_kind, chosen_kind
from mbat.columns import Columns
from mbat.content import Content, Segment
from mbat.database import database_files
from mbat.encoder import BATCH, Encoder
from mbat.encoder_files import encoder_parts
from mbat.errors import IndexExistsError, IndexFolderError
from mbat.fitting import fit_keeping
from mbat.locking import writer_lock
from mbat.manifest import FOLDER_FORMAT, MANIFEST_FILE, Manifest
from mbat.measuring import measured_recall
from mbat.numbering import Numbers
from mbat.pipeline import batched
from mbat.processes import COUNTED, PACKED, encoded, fitted, packed_texts
from mbat.progress import Progress, silent
from mbat.reading import golden_vector
from mbat.records import Record
from mbat.refusals import NOTHING_CHANGED, as_folder_error, check_name, foreign
from mbat.sealing import unsealed
from mbat.segments import write_segment
from mbat.store import Store
from mbat.writable_store import WritableStore
from mbat_indexes import CPU, Device

KEEP_BYTES: Final = 1 << 28
"""Memory for documents taken apart to be fitted on, so that as many need not be parsed again to be encoded."""


_FORMAT_1: Final = ("documents.sqlite", "vectors.faiss", "encoder.json", "encoder.npz")


def build_index(
    path: Path,
    records: Iterable[Record],
    encoder: Encoder | None = None,
    kind: str = "auto",
    overwrite: bool = False,
    progress: Progress = silent,
    *,
    fit: bool = False,
    id_field: str | None = None,
    workers: int = 1,
    device: Device = CPU,
) -> Content:
    """Make an index folder of a stream of records; return what it holds.

    Parameters
    ----------
    path : Path
        The folder.
    records : iterable of Record
        Read once; the documents wait in the index's own store while the encoder is fitted. Those without an id are
        numbered.
    encoder : Encoder, optional
        Used as it is, unless `fit` is true. Without it a new one is fitted on the documents.
    kind : str
        A kind of `mbat_indexes.KINDS`, or ``auto``.
    overwrite : bool
        Whether an index that is there may be replaced; it stays until the new one is whole.
    progress : callable
        Told how far the work is.
    fit : bool
        Whether the encoder that is given is fitted on the documents too.
    id_field : str, optional
        The path of the field that the ids are from, to be remembered.
    workers : int
        How many processes fit and encode; the index is the same.
    device : Device
        Where vectors are put into lists.

    Raises
    ------
    IndexExistsError
        If something is there that may not be replaced.
    IndexBusyError
        If another process is changing the index that is there.
    IndexFolderError
        If the folder cannot be written. In each case nothing has changed.
    """
    check_place(path, overwrite)
    check_kind(kind, (encoder or Encoder()).dim, device)
    with as_folder_error(f"The index cannot be written to {path}", NOTHING_CHANGED), _site(path):
        check_place(path, overwrite)
        how = fit or encoder is None, kind, id_field, workers, device
        return _fill(path, foreign(records), encoder or Encoder(), *how, progress)


def check_place(path: Path, overwrite: bool) -> None:
    """Raise IndexFolderError if an index may not be put in a place."""
    check_name(path)
    with as_folder_error(f"The index cannot be written to {path}", NOTHING_CHANGED):
        if path.is_symlink() and not path.exists():
            raise IndexExistsError(f"{path} is a link to what is not there. Remove it, or choose another name.")
        if not path.exists():
            return
        indexed = (path / MANIFEST_FILE).is_file()
        if not path.is_dir() or (not indexed and foreign_files(path)):
            raise IndexExistsError(f"{path} is there and is no mbat index; it is left alone. Choose another name.")
        if indexed and not overwrite:
            raise IndexExistsError(f"{path} is there already. Choose another name, or give --overwrite to replace it.")


@contextmanager
def _site(path: Path) -> Iterator[None]:
    """Have a folder to oneself; if no index comes to be in it, all that was made for it is removed."""
    made = [parent for parent in (path, *path.parents) if not parent.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        for folder in made:
            durable.sync(folder.parent)
        with writer_lock(path):
            try:
                yield
            finally:
                if not (path / MANIFEST_FILE).is_file():
                    for file in own_files(path):
                        file.unlink(missing_ok=True)
    finally:
        with suppress(OSError):  # what is not empty stays
            for folder in made:
                folder.rmdir()


def _fill(
    path: Path,
    records: Iterable[Record],
    encoder: Encoder,
    fit: bool,
    kind: str,
    id_field: str | None,
    workers: int,
    device: Device,
    progress: Progress,
) -> Content:
    """Write a new database and its segments, and put the manifest that names it in its place."""
    _clear_away(path)
    outdated = _files_of_format_1(path)
    database = path / f"documents-{secrets.token_hex(4)}.sqlite"
    segments: tuple[Segment, ...] = ()
    try:
        with WritableStore.create(database) as store:
            numbers = Numbers()
            stored = _stored(store, numbers, records, progress, "read" if fit else "store")
            kept = _fitted(encoder, stored, workers) if fit else _drained(stored)
            chosen, reason = chosen_kind(kind, len(store), encoder.dim, device)
            vectors = _vectors(store, encoder, kept, workers)
            segments = _segments(path, store, encoder.dim, chosen, vectors, device, progress)
            store.put_encoder(*encoder_parts(encoder))
            content = Content(
                version=1,
                documents=len(store),
                numbered=numbers.next,
                kind=chosen,
                dim=encoder.dim,
                fingerprint=encoder.fingerprint,
                golden=golden_vector(encoder),
                reason=reason,
                id_field=id_field,
                recall=measured_recall(path, store, encoder, segments, device),
                segments=segments,
            )
            store.put(content.version, content.written())
            store.finish()
        Manifest(FOLDER_FORMAT, library_version(), database.name).write(path)
    except BaseException:
        _undo(path, database, segments)
        raise
    _clear_away(path)
    for file in outdated:
        file.unlink(missing_ok=True)
    return content


def _segments(
    path: Path,
    store: Store,
    dim: int,
    kind: str,
    vectors: Iterable[NDArray[np.float32]],
    device: Device,
    progress: Progress,
) -> tuple[Segment, ...]:
    """Write the one segment of an index whose rows are 1, 2, ...; there is none without documents."""
    count = store.last_row()
    if not count:
        return ()
    rows = _numbered_rows(vectors, progress, count)
    return (write_segment(path, kind, dim, (0, count), count, rows, device),)


def _fitted(encoder: Encoder, stored: Iterable[list[Record]], workers: int) -> list[Columns]:
    """Fit an encoder on documents; return the first ones as they were taken apart, if this process did."""
    if workers == 1:
        return fit_keeping(encoder, ([record.document for record in batch] for batch in stored), KEEP_BYTES)
    texts = (record.text for batch in stored for record in batch)
    encoder._set_statistics(fitted(encoder, map(packed_texts, batched(texts, COUNTED)), workers))
    return []


def _vectors(store: Store, encoder: Encoder, kept: list[Columns], workers: int) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors of all documents, of which the first were kept taken apart."""
    if workers > 1:
        batches = batched(store.after(), PACKED)
        return encoded(encoder, (packed_texts([stored.text for stored in batch]) for batch in batches), workers)
    rest = batched(store.after(sum(map(len, kept))), BATCH)
    parsed = ([orjson.loads(stored.text) for stored in batch] for batch in rest)
    return chain(encoder.encode_kept(kept), encoder.encode_batches(parsed))


def _numbered_rows(
    batches: Iterable[NDArray[np.float32]], progress: Progress, total: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    done = 0
    for vectors in batches:
        yield np.arange(done + 1, done + 1 + len(vectors)), vectors
        done += len(vectors)
        progress("encode", done, total)


def _stored(
    store: WritableStore, numbers: Numbers, records: Iterable[Record], progress: Progress, stage: str
) -> Iterator[list[Record]]:
    """Put records into the store, and yield them in batches."""
    done = 0
    for batch in batched(records, BATCH):
        store.add(done + 1, numbers.ids(batch), [record.text for record in batch])
        done += len(batch)
        progress(stage, done, None)
        yield batch


def _drained(batches: Iterable[list[Record]]) -> list[Columns]:
    for _ in batches:
        pass
    return []


def _undo(path: Path, database: Path, segments: tuple[Segment, ...]) -> None:
    """Remove what was written of a new index, unless the manifest names it."""
    with suppress(IndexFolderError):
        if Manifest.read(path).database == database.name:
            return
    for file in database_files(database):
        file.unlink(missing_ok=True)
    remove_files(path, segments)


def _clear_away(path: Path) -> None:
    """Remove all files of an index that are not of the one whose manifest is there."""
    try:
        database = path / Manifest.read(path).database
        with Store.open(database) as store:
            segments = Content.parse(store.content(), str(database)).segments
    except (IndexFolderError, FileNotFoundError):
        return  # there was no index that could be used: nothing tells what belongs to it
    remove_orphans(path, database, segments)


def _files_of_format_1(path: Path) -> list[Path]:
    """Return the files of an index of format 1; in any other folder files of such names are not of an index."""
    try:
        manifest = unsealed((path / MANIFEST_FILE).read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError, IndexFolderError):
        return []
    return [path / name for name in _FORMAT_1] if manifest.get("format_version") == 1 else []


def library_version() -> str:
    """Return the version of mbat, "unknown" if it runs from a source folder that was never installed."""
    try:
        return version("mbat")
    except PackageNotFoundError:
        return "unknown"
