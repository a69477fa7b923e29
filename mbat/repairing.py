"""Making an index anew from its documents, where other parts of it are damaged or lost."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mbat.building import library_version
from mbat.changing import Change, remove_orphans
from mbat.choosing import chosen_kind
from mbat.content import Content
from mbat.embedding import TextFunction
from mbat.encoder import Encoder
from mbat.encoder_files import encoder_of, encoder_parts, unfitted_encoder_of
from mbat.errors import IndexDamagedError, IndexNotFoundError
from mbat.locking import writer_lock
from mbat.manifest import FOLDER_FORMAT, Manifest
from mbat.progress import Progress, silent
from mbat.reading import golden_vector
from mbat.refusals import NOTHING_CHANGED, as_folder_error
from mbat.store import Store
from mbat.writable_store import WritableStore
from mbat_indexes import CPU


def repair_index(folder: Path, progress: Progress = silent, text: TextFunction | None = None) -> Content:
    """Make anew all that can be made of the documents: manifest, content, statistics where needed, and vectors.

    Parameters
    ----------
    folder : Path
        The index.
    progress : callable
        Told how far the work is.
    text : callable, optional
        The text embedder of the index's encoder, if that has one.

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
    ParameterError
        If the text embedder is missing, or is one too many.
    """
    manifest, whole = _manifest(folder)
    with writer_lock(folder), as_folder_error(f"{folder} cannot be changed", NOTHING_CHANGED):
        path = folder / manifest.database
        if not path.is_file():
            raise IndexDamagedError(f"The documents, {path}, are missing; index them again.")
        with _opened(path, whole) as store:
            store.reindex()
            _check_documents(store)
            change = Change(folder, store, _content(store))
            try:
                encoder = _encoder(change, progress, text)
                kind, _ = chosen_kind(change.before.kind, len(store), encoder.dim, CPU)
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


def _opened(path: Path, whole: bool) -> WritableStore:
    """Open the store; without a manifest, one that cannot be used is what an index is at first."""
    try:
        return WritableStore.open(path)
    except IndexDamagedError:
        if whole:
            raise
        raise IndexDamagedError(
            f"{path.parent} holds an index whose making was cut short; index the documents again."
        ) from None


def _check_documents(store: Store) -> None:
    complaints = [
        *store.complaints(),
        *(f"the document {stored.id!r} is not what was written" for stored in store.broken()),
    ]
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


def _encoder(change: Change, progress: Progress, text: TextFunction | None) -> Encoder:
    """Return the index's encoder, with statistics of its documents if its own are damaged."""
    parts = change.store.encoder()
    with suppress(IndexDamagedError):
        return encoder_of(*parts, str(change.folder), text)
    encoder = change.fitted(unfitted_encoder_of(parts[0], str(change.folder), text), progress)
    change.store.put_encoder(*encoder_parts(encoder))
    return encoder
