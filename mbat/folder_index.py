"""The index in a folder: documents, their vectors and the encoder that made them, on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Self, TypeVar

import orjson

from mbat.addresses import folder_of
from mbat.content import Content
from mbat.embedding import TextFunction
from mbat.encoder import Encoder
from mbat.folder_search import FolderSearch
from mbat.given import found_device
from mbat.index import Ask, Index
from mbat.manifest import Manifest
from mbat.progress import Progress, silent
from mbat.putting import Changes, drop_documents, put_documents
from mbat.reading import FolderReader, View
from mbat.records import Record
from mbat.rewriting import compact_index, rebuild_index
from mbat.searching import Hit, Request, Searcher
from mbat.store import Stored
from mbat_indexes import CPU, Device

T = TypeVar("T")


class FolderIndex(Index):
    """An `Index` in a folder, which can also be read as a whole, looked over and made anew."""

    def __init__(self, path: Path, text: TextFunction | None = None, device: Device = CPU) -> None:
        self.path = path.absolute()  # the current folder may become another
        self._text, self._device = text, device
        self._reader = FolderReader(self.path, text, device)
        self._searcher, self._folder_search = Searcher(), FolderSearch()

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        device: str = "auto",
        *,
        text: TextFunction | None = None,
        gpu_memory: int | None = None,
    ) -> Self:
        """Open an index in a folder; see `Index.open`."""
        folder = folder_of(path)
        Manifest.read(folder)  # says it in the words given if there is none
        return cls(folder, text, found_device(device, gpu_memory))

    @property
    def place(self) -> str:
        """The folder."""
        return str(self.path)

    @property
    def encoder(self) -> Encoder:
        """The encoder that made the vectors."""
        return self.read(lambda view: view.encoder)

    @property
    def id_field(self) -> str | None:
        """The path of the field that the ids are from, None if they are from no field."""
        return self.content.id_field

    @property
    def batch(self) -> int:
        """How many queries are best asked at a time: a GPU wants many."""
        return 1024 if self._device.gpus else super().batch

    @property
    def content(self) -> Content:
        """What the index holds, besides the documents."""
        return self.read(lambda view: view.content)

    @property
    def manifest(self) -> Manifest:
        """Format and version of the folder."""
        return self.read(lambda view: view.manifest)

    def close(self) -> None:
        """Close the files; the index can be used no more."""
        self._reader.end()

    def read(self, action: Callable[[View], T]) -> T:
        """Return what an action makes of the index at one moment; for what works on the whole of it."""
        return self._reader.read(action)

    def __len__(self) -> int:
        """Return the number of documents."""
        return self.content.documents

    def __contains__(self, one: object) -> bool:
        """Tell whether a document has this id."""
        return self.read(lambda view: one in view.store)

    def documents(self) -> Iterator[Any]:
        """Yield all documents, in the order they came; what changes meanwhile is not seen."""
        return (document for _, document in self.items())

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield the id and document of all, in the order they came; what changes meanwhile is not seen."""
        return ((stored.id, orjson.loads(stored.text)) for stored in self.stored())

    def stored(self) -> Iterator[Stored]:
        """Yield all documents as the JSON texts they came as, like `items`."""
        return self._reader.documents()

    def compact(self, *, progress: Progress = silent) -> bool:
        """Give the space of deleted and replaced documents back; see `mbat.rewriting.compact_index`."""
        return compact_index(self.path, self.encoder, progress, self._device)

    def rebuild(self, kind: str | None = None, refit: bool = False, *, progress: Progress = silent) -> None:
        """Make all vectors anew from the documents; see `mbat.rewriting.rebuild_index`."""
        self._reader.check_open()
        rebuild_index(self.path, kind, refit, progress, self._text, self._device)

    def verify(self) -> list[str]:
        """Read all of the index and return what is wrong with it, as sentences; see `mbat.verifying.verify_index`."""
        from mbat.verifying import verify_index

        self._reader.check_open()
        return verify_index(self.path, self._text)

    def put(self, records: Iterable[Record], replacing: bool, progress: Progress = silent) -> Changes:
        """Add records, or put them in the place of those that have their ids; see `mbat.putting.put_documents`."""
        return put_documents(self.path, records, self.encoder, replacing, progress, self._device)

    def _documents(self, ids: Sequence[str]) -> dict[str, Any]:
        return self.read(lambda view: _looked_up(view, ids))

    def _answer(self, ask: Ask, request: Request) -> list[list[Hit]]:
        def found(view: View) -> list[list[Hit]]:
            questions = ask(partial(_looked_up, view))
            nearest = partial(self._folder_search.nearest, view)
            return self._searcher.search(view.encoder, nearest, questions, request)

        return self.read(found)

    def _drop(self, ids: Iterable[str]) -> int:
        self._reader.check_open()
        return drop_documents(self.path, ids)


def _looked_up(view: View, ids: Sequence[str]) -> dict[str, Any]:
    return {one: orjson.loads(stored.text) for one, stored in view.store.found(ids).items()}
