"""What any index is to its user: documents, searched by the vectors that an encoder makes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

from mbat.addresses import folder_of, is_collection
from mbat.asking import ALONE, NOTHING, Lookup, Question, question
from mbat.complaints import several
from mbat.embedding import TextFunction
from mbat.encoder import Encoder
from mbat.errors import ParameterError
from mbat.given import checked_ids, found_device, records_of
from mbat.progress import Progress, silent
from mbat.putting import Changes
from mbat.records import Record
from mbat.searching import Hit, Request, request_of

if TYPE_CHECKING:
    from mbat.folder_index import FolderIndex

Ask = Callable[[Lookup], Sequence[Question]]
"""Returns the questions to an index, given what looks its documents up."""


class Index(ABC):
    """Documents, searched by their vectors.

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
        progress: Progress = silent,
        gpu_memory: int | None = None,
    ) -> FolderIndex:
        """Make an index of documents, in a folder, and open it.

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
        kind : str
            How vectors are stored and searched, a kind of `mbat_indexes.KINDS`; ``auto`` chooses by their
            number and length and the memory of the machine; `content.reason` says why.
        device : str
            Where to build and to search, as of `open`.
        overwrite : bool
            Whether an index that is there may be replaced.
        progress : callable
            Called with a stage, the documents done in it, and how many there are or None.
        gpu_memory : int, optional
            As of `open`.

        Raises
        ------
        DocumentError
            If a document is no JSON value.
        ParameterError
            If ids are missing or twice the same, or there is no such kind.
        DeviceError
            If a GPU is asked for that is not there, has no room, or does not search the kind.
        IndexExistsError
            If something is there that may not be replaced.
        IndexBusyError
            If another process is changing the index that is to be replaced.
        IndexFolderError
            If the folder cannot be written. In each case nothing has changed.
        """
        from mbat.building import build_index
        from mbat.folder_index import FolderIndex

        where = found_device(device, gpu_memory)
        if not isinstance(encoder, Encoder | None):
            raise ParameterError(f"encoder is an mbat.Encoder; {encoder!r:.80} is not.")
        folder, records = folder_of(path), records_of(documents, ids, encoder is not None)
        build_index(folder, records, encoder, kind, overwrite, progress, device=where)
        embedder = None if encoder is None else encoder.embedder
        return FolderIndex(folder, None if embedder is None else embedder.function, where)

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        device: str = "auto",
        *,
        text: TextFunction | None = None,
        gpu_memory: int | None = None,
    ) -> Index:
        """Open an index.

        What other processes change is seen from the next call on.

        Parameters
        ----------
        path : path
            The folder; or ``milvus:URI#NAME``, a collection of Milvus that `mbat.milvus.push` has filled.
        device : str
            Where to search: ``cpu``; ``gpu``, or ``gpu:1`` or ``gpu:0,1`` for GPUs by their numbers; or ``auto`` for
            the first GPU if there is one that can be used and the vectors fit into its memory, else the processor.
            Scores are the same, and so are the answers of the flat kinds. A collection takes ``auto`` alone: Milvus
            searches where it is.
        text : callable, optional
            The text embedder of the index's encoder, if it was made with one.
        gpu_memory : int, optional
            How many bytes of the memory of each GPU all vectors there may take; without it all that are free.

        Raises
        ------
        DeviceError
            If a GPU is asked for that is not there or does not search the index's kind; at the first search, if there
            is no room.
        IndexNotFoundError, IndexDamagedError, IndexVersionError
            If there is none, its files are not what they were, or this version cannot use it.
        MissingExtraError
            If FAISS, or what a collection of Milvus needs, is not installed.
        MilvusError
            If Milvus cannot be reached.
        ParameterError
            If the text embedder is missing, or is one too many.
        """
        from mbat.folder_index import FolderIndex

        if is_collection(path):
            from mbat.milvus.index import MilvusIndex

            return MilvusIndex.open(path, device, text=text, gpu_memory=gpu_memory)
        return FolderIndex.open(path, device, text=text, gpu_memory=gpu_memory)

    @classmethod
    def repair(
        cls, path: str | PathLike[str], *, text: TextFunction | None = None, progress: Progress = silent
    ) -> FolderIndex:
        """Make anew what can be made of an index's documents, and open it; see `mbat.repairing.repair_index`."""
        from mbat.folder_index import FolderIndex
        from mbat.repairing import repair_index

        repair_index(folder_of(path), progress, text)
        return FolderIndex.open(path, text=text)

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the index is."""

    @property
    @abstractmethod
    def encoder(self) -> Encoder:
        """The encoder that made the vectors."""

    @property
    @abstractmethod
    def id_field(self) -> str | None:
        """The path of the field that the ids are from, None if they are from no field."""

    @abstractmethod
    def close(self) -> None:
        """Close what is open; the index can be used no more."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of documents."""

    @abstractmethod
    def __contains__(self, one: object) -> bool:
        """Tell whether a document has this id."""

    @abstractmethod
    def put(self, records: Iterable[Record], replacing: bool, progress: Progress = silent) -> Changes:
        """Add records, or put them in the place of those that have their ids; for what is read from files."""

    @abstractmethod
    def _documents(self, ids: Sequence[str]) -> dict[str, Any]:
        """Return those documents that have one of some ids, by id."""

    @abstractmethod
    def _answer(self, ask: Ask, request: Request) -> list[list[Hit]]:
        """Return the hits of each question."""

    @abstractmethod
    def _drop(self, ids: Iterable[str]) -> int:
        """Delete documents and return how many there were."""

    def __enter__(self) -> Self:
        """Return the index."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the index."""
        self.close()

    def __repr__(self) -> str:
        """Name the place and how many documents are in it."""
        return f"<Index {self.place!r}: {len(self):,} documents>"

    def get(self, one: str) -> Any:
        """Return the document with an id.

        Raises
        ------
        KeyError
            If there is none.
        ParameterError
            If the id is no string.
        """
        ids = list(checked_ids([one]))
        return self._documents(ids)[one]

    def add(
        self, documents: Iterable[Any], ids: Iterable[str] | None = None, *, progress: Progress = silent
    ) -> Changes:
        """Add documents, as one change: all are there when it returns, or none.

        Milvus knows no transactions: there a change that is interrupted, or that a server refuses half way, leaves a
        part of its documents. What mbat itself refuses changes nothing.

        Parameters
        ----------
        documents : iterable of JSON values
            Read once, in batches, and encoded with the index's encoder as it is.
        ids : iterable of str, optional
            One for each document. Without it they are numbered on, past ids that are taken.
        progress : callable
            As for `create`.

        Returns
        -------
        Changes
            How many were added.

        Raises
        ------
        DocumentError
            If a document is no JSON value.
        ParameterError
            If an id is missing, or is taken.
        IndexBusyError
            If another process is changing the index; the message tells which.
        IndexFolderError, MilvusError
            If the folder cannot be written, or Milvus refuses it. But for Milvus, nothing has changed.

        Examples
        --------
        >>> import tempfile
        >>> index = Index.create(tempfile.mkdtemp() + "/a.mbat", ["one", "two"])
        >>> index.add(["three"]).added, index.get("2")
        (1, 'three')
        """
        return self.put(records_of(documents, ids, True), False, progress)

    def upsert(self, documents: Iterable[Any], ids: Iterable[str], *, progress: Progress = silent) -> Changes:
        """Add documents, or put them in the place of those that have their ids, as one change.

        A document that is there as it is, is left alone. If an id is given twice the last document counts.

        Parameters
        ----------
        documents, ids, progress
            As for `add`; each document needs an id.

        Returns
        -------
        Changes
            How many were added, replaced, and left alone.

        Raises
        ------
        DocumentError, ParameterError, IndexBusyError, IndexFolderError, MilvusError
            As for `add`.

        Examples
        --------
        >>> import tempfile
        >>> index = Index.create(tempfile.mkdtemp() + "/a.mbat", ["one", "two"], ids=["a", "b"])
        >>> index.upsert(["one", "TWO", "three"], ids=["a", "b", "c"])
        Changes(added=1, replaced=1, unchanged=1)
        """
        if ids is None:
            raise ParameterError("upsert needs the ids of the documents; add numbers those that have none.")
        return self.put(records_of(documents, ids, True), True, progress)

    def delete(self, ids: Iterable[str]) -> int:
        """Delete documents, as one change, and return how many there were.

        Parameters
        ----------
        ids : iterable of str
            Those that no document has are passed over.

        Raises
        ------
        ParameterError
            If an id is no string, or `ids` is a string itself.
        IndexBusyError, IndexFolderError, MilvusError
            As for `add`.

        Examples
        --------
        >>> import tempfile
        >>> index = Index.create(tempfile.mkdtemp() + "/a.mbat", ["one", "two"], ids=["a", "b"])
        >>> index.delete(["a", "x"]), len(index)
        (1, 1)
        """
        return self._drop(checked_ids(ids))

    def search(
        self,
        document: Any = NOTHING,
        k: int = 10,
        where: str | None = None,
        weights: Mapping[str, float] | None = None,
        ignore: Iterable[str] = (),
        explain: bool = False,
        *,
        like: Iterable[str] = (),
        unlike: Iterable[str] = (),
        effort: float | None = None,
    ) -> list[Hit]:
        """Find the documents most like one.

        Parameters
        ----------
        document : JSON value, optional
            The query; it may hold only some of the fields.
        k : int
            How many to find.
        where : str, optional
            What the documents found must be like, as ``price < 10 and seller.country = 'FI'``; see `mbat.filters`.
        weights : mapping from paths to numbers, optional
            What the part of a field, and of all below it, is multiplied by in the query: ``{"price": 3, "id": 0}``.
            Below 0 it asks for documents that are not so. See `mbat.Encoder.weigh`.
        ignore : iterable of paths
            Fields of the query of weight 0.
        explain : bool
            Whether each hit says why it was found.
        like, unlike : iterables of ids
            Documents of the index that what is found should be like, or not. The query is the sum of their vectors, and
            of that of the document, less those of the unlike. They themselves are not found.
        effort : float, optional
            The share of the vectors to look at, above 0 and up to 1, where every vector is compared as it is stored;
            the default is that of the kind. Kinds that compare every vector in any case are not changed by it, but for
            ``sq8`` by 1: below that it compares codes.

        Returns
        -------
        list of Hit
            Best first, equal scores in the order of adding (in Milvus, of ids); fewer than k only if fewer documents
            match.

        Raises
        ------
        DocumentError
            If the query is no JSON value.
        FilterError
            If the filter is not well formed.
        ParameterError
            If there is no query or nothing is left of it, an id is not there, a path, a weight, k or effort is no such.
        MilvusError
            If k documents that match are more than Milvus finds; see ``docs/milvus.md``.
        """
        request = request_of(k, where, weights, ignore, explain, effort)
        liked, unliked = list(checked_ids(like)), list(checked_ids(unlike))

        def ask(lookup: Lookup) -> Sequence[Question]:
            return [question(document, liked, unliked, lookup)]

        return self._answer(ask, request)[0]

    @property
    def batch(self) -> int:
        """How many queries are best asked at a time."""
        return 64

    def search_batch(
        self,
        documents: Iterable[Any],
        k: int = 10,
        where: str | None = None,
        weights: Mapping[str, float] | None = None,
        ignore: Iterable[str] = (),
        explain: bool = False,
        *,
        effort: float | None = None,
    ) -> list[list[Hit]]:
        """Find the documents most like each of several; see `search`."""
        request = request_of(k, where, weights, ignore, explain, effort)
        questions = [Question([document], ALONE) for document in several(documents)]
        return self._answer(lambda _: questions, request)
