"""Reading an index that others may be changing: each look is at one moment, and sees all changes finished by then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from mbat.content import Content
from mbat.embedding import TextFunction
from mbat.encoder import Encoder
from mbat.encoder_files import encoder_of
from mbat.errors import IndexDamagedError, IndexFolderError, IndexVersionError
from mbat.manifest import GOLDEN_DOCUMENT, MANIFEST_FILE, Manifest
from mbat.refusals import as_folder_error, is_foreign
from mbat.sealing import damaged
from mbat.segments import SegmentGoneError, Segments, load_segments
from mbat.store import PassingError, Store, Stored
from mbat_indexes import CPU, Device

T = TypeVar("T")
Stamp = tuple[int, ...]

_ATTEMPTS: Final = 20


@dataclass(frozen=True, eq=False)
class View:
    """An index at one moment."""

    manifest: Manifest
    content: Content
    encoder: Encoder
    segments: Segments
    store: Store


class FolderReader:
    """An index folder, open to be read.

    Parameters
    ----------
    folder : Path
    text : callable, optional
        The text embedder of its encoder, if that has one.
    device : Device
        Where to search.

    Raises
    ------
    IndexNotFoundError, IndexDamagedError, IndexVersionError
        If there is no index, its files are not what was written, or this version cannot use it.
    ParameterError
        If the text embedder is missing, or is one too many.
    MissingExtraError
        If FAISS is not installed.
    """

    def __init__(self, folder: Path, text: TextFunction | None = None, device: Device = CPU) -> None:
        self.folder = folder
        self._text, self._device = text, device
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._stamps: tuple[Stamp, Stamp] = (), ()
        self._view: View | None = None
        self._ended = False
        try:
            self.read(lambda view: None)
        except BaseException:
            self.close()
            raise

    def end(self) -> None:
        """Close the files for good."""
        with self._lock:
            self.close()
            self._ended = True

    def check_open(self) -> None:
        """Raise IndexFolderError after the `end`."""
        if self._ended:
            raise IndexFolderError(f"The index {self.folder} was closed. Open it again with Index.open.")

    def close(self) -> None:
        """Close the files; the next look opens them again."""
        with self._lock:
            if self._store is not None:
                self._store.close()
            self._store = self._view = None

    def read(self, action: Callable[[View], T]) -> T:
        """Return what an action makes of the index as it is now; it may be called again if the index moves away."""
        with self._lock, as_folder_error(f"{self.folder} cannot be read"):
            self.check_open()
            for _ in range(_ATTEMPTS):
                try:
                    result = self._read(action)
                except (SegmentGoneError, FileNotFoundError) as error:
                    if is_foreign(error):
                        raise
                    gone: Exception = error  # a writer has just put other files in their place, or they are lost
                    continue
                except PassingError as error:
                    gone = error
                else:
                    if result is not None:
                        return result[0]
                    gone = damaged(str(self.folder), "it changes without end")
                self.close()
            if isinstance(gone, FileNotFoundError):
                gone = damaged(str(self.folder), f"{gone.filename} is missing")
            raise gone

    def documents(self) -> Iterator[Stored]:
        """Yield all documents, by row, as they are when the first is asked for.

        Raises
        ------
        IndexFolderError
            If what was yielded may be wrong, because it changed where it cannot be seen to change.
        """
        with self.read(lambda view: Store.of_now(view.store.path)) as store:
            try:
                yield from store.after()
            except (IndexDamagedError, PassingError):
                if not store.overtaken():
                    raise
            if store.overtaken():
                raise IndexFolderError(
                    f"{self.folder} was changed while it was read as one that is not; read it again."
                )

    def _read(self, action: Callable[[View], T]) -> tuple[T] | None:
        """Return the result in a tuple, or None if the files changed while they were read as ones that do not."""
        manifest, store = self._opened()
        try:
            store.begin()
            result = action(self._current(manifest, store))
        except IndexDamagedError:
            if store.overtaken():
                return None
            raise
        finally:
            store.end()
        return None if store.overtaken() else (result,)

    def _opened(self) -> tuple[Manifest, Store]:
        """Return the manifest that is there now, and its store; other files, older ones too, are opened anew."""
        manifest = _stamp(self.folder / MANIFEST_FILE)
        if self._store is None or (manifest, _stamp(self._store.path)[:2]) != self._stamps:
            self.close()
            self._manifest = Manifest.read(self.folder)
            database = self.folder / self._manifest.database
            self._stamps = manifest, _stamp(database)[:2]  # it changes, and stays the same file
            self._store = Store.open(database)
        return self._manifest, self._store

    def _current(self, manifest: Manifest, store: Store) -> View:
        """Return the view of this moment: the last one if nothing has changed since."""
        view = self._view
        if view is None or view.content.version != store.version():
            content = Content.parse(store.content(), str(store.path))
            encoder = encoder_of_index(store, content, self.folder, view.encoder if view else None, self._text)
            known = {segment.name: vectors for segment, vectors in view.segments.parts} if view else {}
            dropped = store.dropped()
            segments = load_segments(self.folder, content.segments, content.dim, dropped, known, self._device)
            view = self._view = View(manifest, content, encoder, segments, store)
        return view


def _stamp(path: Path) -> Stamp:
    """Return what is another when another file is there: device, number and time; nothing if there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ()  # opening it says which
    return status.st_dev, status.st_ino, status.st_mtime_ns


def encoder_of_index(
    store: Store, content: Content, folder: Path, known: Encoder | None, text: TextFunction | None = None
) -> Encoder:
    """Return the encoder of an index: the known one if it is that, else one with its text embedder if none is given.

    Raises
    ------
    IndexDamagedError, IndexVersionError
        If the encoder is not what was written, or would make other vectors here.
    """
    if known is not None and known.fingerprint == content.fingerprint:
        return known
    if text is None and known is not None and known.embedder is not None:
        text = known.embedder.function
    encoder = encoder_of(*store.encoder(), str(folder), text)
    if encoder.fingerprint != content.fingerprint or encoder.dim != content.dim:
        raise IndexVersionError(f"The encoder in {folder} is not the one its vectors were made with.")
    if golden_vector(encoder) != content.golden:
        raise IndexVersionError(
            f"The encoder in {folder} makes other vectors here than where the index was made. "
            "Run mbat verify --repair, or index the documents again."
        )
    return encoder


def golden_vector(encoder: Encoder) -> str:
    """Return the vector of the golden document, in hexadecimal."""
    return encoder.encode_one(GOLDEN_DOCUMENT).tobytes().hex()
