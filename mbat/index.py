"""The index: documents, their vectors and the encoder that made them, in one folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.building import Progress, build_index
from mbat.checks import several
from mbat.complaints import check_document
from mbat.encoder import Encoder
from mbat.encoder_files import load_encoder
from mbat.errors import (
    DocumentError,
    IndexDamagedError,
    IndexVersionError,
    MissingExtraError,
    ParameterError,
)
from mbat.manifest import GOLDEN_DOCUMENT, VECTORS_FILE, Manifest
from mbat.sources import Record
from mbat.store import STORE_FILE, DocumentStore
from mbat_indexes import IndexFileError, MissingFaissError, VectorIndex, load_index


@dataclass(frozen=True)
class Hit:
    """A document that was found.

    Attributes
    ----------
    id : str
        The document's id.
    score : float
        Cosine of the angle between query and document, in [-1, 1].
    document : JSON value
        The document.
    """

    id: str
    score: float
    document: Any


class Index:
    """Documents in a folder, searched by their vectors.

    Make one with `create`, open one with `open`; close it, or use it as a context manager.

    Examples
    --------
    >>> import tempfile
    >>> people = [{"name": "Ann Lee", "born": 1950}, {"name": "Bob Roy", "born": 1990}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Index.create(folder + "/people.mbat", people, ids=["ann", "bob"]) as index:
    ...         [hit.id for hit in index.search({"name": "bob"}, k=1)]
    ['bob']
    """

    def __init__(self, path: Path, manifest: Manifest, encoder: Encoder, store: DocumentStore, vectors: VectorIndex):
        self.path, self.manifest, self.encoder = path, manifest, encoder
        self._store, self._vectors = store, vectors

    @classmethod
    def create(
        cls,
        path: str | PathLike[str],
        documents: Iterable[Any],
        ids: Iterable[str] | None = None,
        encoder: Encoder | None = None,
        kind: str = "auto",
        device: str = "auto",
        overwrite: bool = False,
        *,
        progress: Progress | None = None,
    ) -> Self:
        """Make an index of documents and open it.

        Parameters
        ----------
        path : path
            The folder, by custom ending in ``.mbat``.
        documents : iterable of JSON values
            Read once, in batches.
        ids : iterable of str, optional
            One for each document, all different. Without it they are numbered "0", "1", ...
        encoder : Encoder, optional
            Used as it is, and kept with the index. Without it a new one is fitted on the documents.
        kind : {"auto", "flat", "flat-fp16", "exact"}
            How vectors are stored; all of these compare every vector. ``flat-fp16`` takes half the space.
        device : {"auto", "cpu"}
            Where to search.
        overwrite : bool
            Whether an index that is there may be replaced.
        progress : callable, optional
            Called with a stage, the documents done in it, and how many there are or None.

        Raises
        ------
        DocumentError
            If a document is no JSON value.
        IndexExistsError
            If something is there that may not be replaced.
        IndexFolderError
            If the folder cannot be written. In each case nothing is left behind.
        """
        _check_device(device)
        build_index(Path(path), _records(several(documents), ids), encoder, kind, overwrite, progress)
        return cls.open(path, device)

    @classmethod
    def open(cls, path: str | PathLike[str], device: str = "auto") -> Self:
        """Open an index to search it.

        Raises
        ------
        IndexNotFoundError, IndexDamagedError, IndexVersionError
            If there is none, its files are not what they were, or this version cannot use it.
        MissingExtraError
            If FAISS is not installed.
        """
        _check_device(device)
        folder = Path(path)
        manifest = Manifest.read(folder)
        manifest.check_sizes(folder)
        encoder = load_encoder(folder)
        _check_encoder(folder, manifest, encoder)
        vectors = _load_vectors(folder, manifest)
        return cls(folder, manifest, encoder, DocumentStore.open(folder / STORE_FILE), vectors)

    def __enter__(self) -> Self:
        """Return the index."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the index."""
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._store.close()

    def __len__(self) -> int:
        """Return the number of documents."""
        return self.manifest.count

    def __contains__(self, one: object) -> bool:
        """Tell whether a document has this id."""
        return one in self._store

    def __repr__(self) -> str:
        """Name the folder and how many documents it holds."""
        return f"<Index {str(self.path)!r}: {len(self):,} documents>"

    def get(self, one: str) -> Any:
        """Return the document with an id.

        Raises
        ------
        KeyError
            If there is none.
        """
        text = self._store.text(one)
        if text is None:
            raise KeyError(one)
        return orjson.loads(text)

    def documents(self) -> Iterator[Any]:
        """Yield all documents, in the order they were added."""
        return map(orjson.loads, self._store.texts())

    def search(self, document: Any, k: int = 10) -> list[Hit]:
        """Find the documents most like one.

        Parameters
        ----------
        document : JSON value
            The query; it may hold only some of the fields.
        k : int
            How many to find.

        Returns
        -------
        list of Hit
            Best first, equal scores in the order of adding; fewer than k if there are fewer documents.

        Raises
        ------
        DocumentError
            If the query is no JSON value.
        ParameterError
            If k is not a whole number of at least 1.
        """
        return self._search(self.encoder.encode_one(document)[None, :], k)[0]

    def search_batch(self, documents: Iterable[Any], k: int = 10) -> list[list[Hit]]:
        """Find the documents most like each of several; see `search`."""
        return self._search(self.encoder.encode(documents), k)

    def _search(self, vectors: NDArray[np.float32], k: int) -> list[list[Hit]]:
        try:
            scores, rows = self._vectors.search(vectors, k)
        except ValueError as error:
            raise ParameterError(str(error)) from None
        found = self._store.by_rows(np.unique(rows[rows >= 0]).tolist())
        return [
            [self._hit(float(score), row, found) for score, row in zip(*pair, strict=True) if row >= 0]
            for pair in zip(scores, rows.tolist(), strict=True)
        ]

    def _hit(self, score: float, row: int, found: dict[int, tuple[str, bytes]]) -> Hit:
        if row not in found:
            raise IndexDamagedError(f"{self.path} has a vector without a document. Index the documents again.")
        one, text = found[row]
        return Hit(one, min(max(score, -1.0), 1.0), orjson.loads(text))

    def verify(self) -> None:
        """Read all files and compare them with their checksums.

        Raises
        ------
        IndexDamagedError
            If a file is not what was written.
        """
        self.manifest.check_content(self.path)


def _records(documents: Iterable[Any], ids: Iterable[str] | None) -> Iterator[Record]:
    given = None if ids is None else iter(ids)
    position = -1
    for position, document in enumerate(documents):
        one = str(position) if given is None else next(given, None)
        if not isinstance(one, str):
            what = "there is none" if one is None else f"{one!r} is not one"
            raise ParameterError(f"Each document needs an id that is a string; for document {position} {what}.")
        yield Record(one, _text(document, position), document)
    if given is not None and next(given, None) is not None:
        raise ParameterError(f"There are more ids than the {position + 1} documents.")


def _text(document: Any, position: int) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError as error:
        try:
            check_document(document)
        except DocumentError as located:
            raise DocumentError(located.reason, located.path, position) from None
        raise DocumentError(f"it cannot be kept as JSON: {error}", "$", position) from None


def _check_device(device: str) -> None:
    if device not in ("auto", "cpu"):
        raise ParameterError(f"device is 'auto' or 'cpu'; {device!r} is not available in this version.")


def _check_encoder(folder: Path, manifest: Manifest, encoder: Encoder) -> None:
    if encoder.fingerprint != manifest.fingerprint or encoder.dim != manifest.dim:
        raise IndexVersionError(f"The encoder in {folder} is not the one its vectors were made with.")
    if encoder.encode_one(GOLDEN_DOCUMENT).tobytes().hex() != manifest.golden:
        raise IndexVersionError(
            f"The encoder in {folder} makes other vectors here than where the index was made "
            f"(by mbat {manifest.library_version}). Index the documents again."
        )


def _load_vectors(folder: Path, manifest: Manifest) -> VectorIndex:
    try:
        vectors = load_index(manifest.kind, folder / VECTORS_FILE)
    except (IndexFileError, ValueError) as error:
        raise IndexDamagedError(f"{error} Index the documents again.") from error
    except MissingFaissError as error:
        raise MissingExtraError(str(error)) from error
    if len(vectors) != manifest.count or vectors.dim != manifest.dim:
        raise IndexDamagedError(
            f"{folder / VECTORS_FILE} holds {len(vectors):,} vectors of length {vectors.dim}, the manifest says "
            f"{manifest.count:,} of length {manifest.dim}. Index the documents again."
        )
    return vectors
