"""The index in a collection of Milvus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, Self

from mbat.addresses import Address, parsed_address
from mbat.embedding import TextFunction
from mbat.encoder import BATCH, Encoder
from mbat.errors import ParameterError
from mbat.index import Ask, Index
from mbat.milvus.changing import put_rows
from mbat.milvus.collection import Collection
from mbat.milvus.connecting import Connection
from mbat.milvus.creating import About, opened, read_about, read_encoder
from mbat.milvus.kinds import kind_of
from mbat.milvus.searching import MilvusSearch
from mbat.pipeline import batched
from mbat.progress import Progress, silent
from mbat.putting import Changes
from mbat.records import Record
from mbat.refusals import foreign
from mbat.searching import Hit, Request, Searcher


class MilvusIndex(Index):
    """An `Index` in a collection of Milvus.

    It answers as one in a folder does, to the last bit of each score, if Milvus offers the same documents. Milvus knows
    no transactions: a change that is interrupted leaves a part of its documents.

    Attributes
    ----------
    about : About
        What the collection says of itself.
    """

    def __init__(self, address: Address, connection: Connection, text: TextFunction | None = None) -> None:
        self._address, self._connection = address, connection
        self.about: About = read_about(connection, address)
        self._encoder = read_encoder(connection, address, self.about, text)
        self._collection = Collection(connection, address.name, kind_of(self.about.kind, connection.is_file))
        self._collection.load()
        self._searcher, self._search = Searcher(), MilvusSearch(self._collection, self._encoder)

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        device: str = "auto",
        *,
        text: TextFunction | None = None,
        gpu_memory: int | None = None,
    ) -> Self:
        """Open a collection that is named ``milvus:URI#NAME``; see `mbat.Index.open`."""
        if device != "auto" or gpu_memory is not None:
            raise ParameterError("Milvus searches where it is: a device and its memory are for an index in a folder.")
        address = parsed_address(path)
        connection = opened(address)
        try:
            return cls(address, connection, text)
        except BaseException:
            connection.close()
            raise

    @property
    def place(self) -> str:
        """The address of the collection, without a password."""
        return str(self._address)

    @property
    def encoder(self) -> Encoder:
        """The encoder that made the vectors."""
        return self._encoder

    @property
    def id_field(self) -> str | None:
        """The path of the field that the ids are from, None if they are from no field."""
        return self.about.id_field or None

    def close(self) -> None:
        """Close the connection; the index can be used no more."""
        self._connection.close()

    def __len__(self) -> int:
        """Return the number of documents."""
        return self._collection.count()

    def __contains__(self, one: object) -> bool:
        """Tell whether a document has this id."""
        return isinstance(one, str) and bool(self._collection.documents([one]))

    def put(self, records: Iterable[Record], replacing: bool, progress: Progress = silent) -> Changes:
        """Add records, or put them in the place of those that have their ids; see `mbat.milvus.changing.put_rows`."""
        return put_rows(self._collection, self._encoder, records, replacing, progress)

    def _documents(self, ids: Sequence[str]) -> dict[str, Any]:
        return self._collection.documents(ids)

    def _answer(self, ask: Ask, request: Request) -> list[list[Hit]]:
        return self._searcher.search(self._encoder, self._search.nearest, ask(self._documents), request)

    def _drop(self, ids: Iterable[str]) -> int:
        dropped = 0
        for some in batched(foreign(ids), BATCH):
            there = list(self._collection.documents(list(set(some))))
            self._collection.delete(there)
            dropped += len(there)
        return dropped
