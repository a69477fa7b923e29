"""Building an index folder: beside its place, and moved there when it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.encoder import BATCH, Encoder, batched
from mbat.encoder_files import PARAMETERS_FILE, STATISTICS_FILE, save_encoder
from mbat.errors import IndexExistsError, IndexFolderError, MissingExtraError, ParameterError
from mbat.manifest import FOLDER_FORMAT, GOLDEN_DOCUMENT, MANIFEST_FILE, VECTORS_FILE, FileRecord, Manifest, file_record
from mbat.sources import Record
from mbat.store import STORE_FILE, DocumentStore
from mbat.workshop import put_in_place, sync, workshop
from mbat_indexes import KINDS, MissingFaissError, VectorWriter, index_writer

DEFAULT_KIND: Final = "flat"
"""What ``auto`` chooses: exact, and scores that are right to the last bits of float32."""

KEEP_BYTES: Final = 1 << 28
"""Memory for documents taken apart to be fitted on, so that as many need not be parsed again to be encoded."""

Progress = Callable[[str, int, int | None], None]
"""Called with the stage, how many documents are done in it, and how many there are, None while not known."""


def build_index(
    path: Path,
    records: Iterable[Record],
    encoder: Encoder | None = None,
    kind: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
    *,
    fit: bool = False,
) -> None:
    """Make an index folder of a stream of records.

    Parameters
    ----------
    path : Path
        The folder.
    records : iterable of Record
        Read once; the documents wait in the index's own store while the encoder is fitted.
    encoder : Encoder, optional
        Used as it is, unless `fit` is true. Without it a new one is fitted on the documents.
    kind : str
        A kind of `mbat_indexes.KINDS`, or ``auto``.
    overwrite : bool
        Whether an index that is there may be replaced; it stays until the new one is whole.
    progress : callable, optional
        Told how far the work is.
    fit : bool
        Whether the encoder that is given is fitted on the documents too.

    Raises
    ------
    IndexExistsError
        If something is there that may not be replaced.
    IndexFolderError
        If the folder cannot be written.
    """
    check_place(path, overwrite)
    index_kind = checked_kind(kind)
    report = progress or (lambda stage, done, total: None)
    try:
        with workshop(path) as folder:
            _fill(folder, records, encoder or Encoder(), fit or encoder is None, index_kind, report)
            check_place(path, overwrite)
            put_in_place(folder, path)
    except OSError as error:
        reason = error.strerror or error
        raise IndexFolderError(f"The index cannot be written to {path}: {reason}. Nothing was changed.") from error
    except MissingFaissError as error:
        raise MissingExtraError(str(error)) from error


def check_place(path: Path, overwrite: bool) -> None:
    """Raise IndexExistsError if an index may not be put in a place."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / MANIFEST_FILE).is_file():
        raise IndexExistsError(f"{path} is there and is no mbat index; it is left alone. Choose another name.")
    if not overwrite:
        raise IndexExistsError(f"{path} is there already. Choose another name, or give --overwrite to replace it.")


def checked_kind(kind: str) -> str:
    """Return the kind of index that a name stands for."""
    if kind == "auto":
        return DEFAULT_KIND
    if kind not in KINDS:
        raise ParameterError(f"There is no kind of index {kind!r}; there are auto, {', '.join(KINDS)}.")
    return kind


def _fill(folder: Path, records: Iterable[Record], encoder: Encoder, fit: bool, kind: str, report: Progress) -> None:
    with (
        DocumentStore.create(folder / STORE_FILE) as store,
        index_writer(kind, folder / VECTORS_FILE, encoder.dim) as writer,
    ):
        stored = _stored(store, records, report, "read" if fit else "encode")
        rows = _fitted_rows(encoder, stored, store) if fit else encoder.encode_batches(stored)
        count = _write(writer, rows, report, encoder.statistics.documents if fit else None)
        store.commit()
    save_encoder(encoder, folder)
    Manifest(
        format_version=FOLDER_FORMAT,
        library_version=library_version(),
        kind=kind,
        dim=encoder.dim,
        count=count,
        fingerprint=encoder.fingerprint,
        golden=encoder.encode_one(GOLDEN_DOCUMENT).tobytes().hex(),
        files=_settled(folder, (STORE_FILE, VECTORS_FILE, PARAMETERS_FILE, STATISTICS_FILE)),
    ).write(folder)
    sync(folder / MANIFEST_FILE)
    sync(folder)


def _fitted_rows(encoder: Encoder, stored: Iterable[list[Any]], store: DocumentStore) -> Iterator[NDArray[np.float32]]:
    """Fit an encoder on documents while they are stored; return an iterator over their vectors."""
    kept = encoder.fit_keeping(stored, KEEP_BYTES)
    rest = batched(store.texts(sum(map(len, kept))), BATCH)
    parsed = ([orjson.loads(text) for text in batch] for batch in rest)
    return chain(encoder.encode_kept(kept), encoder.encode_batches(parsed))


def _stored(store: DocumentStore, records: Iterable[Record], report: Progress, stage: str) -> Iterator[list[Any]]:
    """Put records into the store, and yield their documents in batches."""
    done = 0
    for batch in batched(records, BATCH):
        ids, texts, documents = zip(*batch, strict=True)
        store.add(done, ids, texts)
        done += len(batch)
        report(stage, done, None)
        yield list(documents)


def _write(writer: VectorWriter, rows: Iterable[NDArray[np.float32]], report: Progress, total: int | None) -> int:
    """Write vectors, each under the number of its row; return how many."""
    count = 0
    for vectors in rows:
        writer.add(np.arange(count, count + len(vectors)), vectors)
        count += len(vectors)
        if total is not None:
            report("encode", count, total)
    return count


def _settled(folder: Path, names: Sequence[str]) -> dict[str, FileRecord]:
    """Make sure that files are on the disk, and return size and checksum of each."""

    def settle(name: str) -> FileRecord:
        sync(folder / name)
        return file_record(folder / name)

    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(settle, names), strict=True))


def library_version() -> str:
    """Return the version of mbat, "unknown" if it runs from a source folder that was never installed."""
    try:
        return version("mbat")
    except PackageNotFoundError:
        return "unknown"
