"""Flat FAISS indexes: every vector is compared, stored as float32 or float16. The one place that knows FAISS."""

from __future__ import annotations

import struct
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np

from mbat_indexes.protocol import (
    Ids,
    IndexFileError,
    MissingFaissError,
    Scores,
    Vectors,
    checked_ids,
    checked_k,
    checked_rising,
    checked_vectors,
    ranked,
)

FACTORIES: Final = {"flat": "IDMap2,Flat", "flat-fp16": "IDMap2,SQfp16"}
"""The factory string of each kind."""

_STORED: Final = {"flat": ("<f4", 4), "flat-fp16": ("<f2", 1)}
"""How each kind stores a number, and the unit in bytes in which its file counts what is stored."""

_ID_BYTES: Final = 8
_SIZE: Final = struct.Struct("<Q")
_HEADER_BYTES: Final = 37  # type of index, dimension, count, two unused counts, trained or not, metric
_COUNT_AT: Final = 8

DISTRIBUTIONS: Final = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs", "faiss-gpu-cu12")
"""The packages that bring the module ``faiss``; two at once overwrite each other."""


def load_faiss() -> Any:
    """Import FAISS.

    Raises
    ------
    MissingFaissError
        If it is not installed; the message has the line that installs it.
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingFaissError(
            "Searching needs FAISS, which is not installed. Run: pip install 'mbat[cpu]' (or 'mbat[gpu]')"
        ) from error
    return faiss


def installed_faiss() -> dict[str, str]:
    """Return the installed packages that bring FAISS, with their versions."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class FlatIndex:
    """A flat FAISS index with ids.

    Parameters
    ----------
    dim : int
        Length of the vectors.
    kind : {"flat", "flat-fp16"}
        How vectors are stored.
    """

    def __init__(self, dim: int, kind: str = "flat") -> None:
        faiss = load_faiss()
        self.kind, self.dim = kind, dim
        self._index = faiss.index_factory(dim, FACTORIES[kind], faiss.METRIC_INNER_PRODUCT)
        self._largest_id = -1

    def __len__(self) -> int:
        """Return the number of vectors."""
        return int(self._index.ntotal)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors; see `VectorIndex.add`."""
        vectors = checked_vectors(vectors, self.dim)
        ids = checked_ids(ids, len(vectors))
        if len(ids) and ids.min() <= self._largest_id:
            known = ids[np.isin(ids, self._ids())]
            if len(known):
                raise ValueError(f"The id {int(known[0])} is in the index already.")
        self._index.add_with_ids(vectors, ids)
        self._largest_id = max(self._largest_id, int(ids.max(initial=-1)))

    def _ids(self) -> Ids:
        ids: Ids = load_faiss().vector_to_array(self._index.id_map)
        return ids

    def search(self, queries: Vectors, k: int) -> tuple[Scores, Ids]:
        """Return the k best for each query; see `VectorIndex.search`."""
        queries, k = checked_vectors(queries, self.dim), checked_k(k)
        k_found = min(k, len(self))
        if not k_found or not len(queries):
            return ranked(np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64), k)
        wanted = min(k_found + 1, len(self))
        while True:
            scores, ids = self._index.search(queries, wanted)
            if wanted == len(self) or not (scores[:, -1] == scores[:, k_found - 1]).any():
                return ranked(scores, ids, k)
            wanted = min(2 * wanted, len(self))  # the k-th score goes on: all who share it are needed

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        try:
            load_faiss().write_index(self._index, str(path))
        except RuntimeError as error:
            raise OSError(f"FAISS cannot write {path}: {str(error).splitlines()[-1]}") from error

    @classmethod
    def load(cls, path: Path, kind: str) -> FlatIndex:
        """Read an index from a file, memory-mapped: the file must stay as it is while the index is in use.

        Raises
        ------
        IndexFileError
            If the file holds none of this kind.
        """
        faiss = load_faiss()
        try:
            raw = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise IndexFileError(f"FAISS cannot read {path}: {str(error).splitlines()[-1]}") from error
        expected = {"flat": faiss.IndexFlat, "flat-fp16": faiss.IndexScalarQuantizer}[kind]
        inner = faiss.downcast_index(raw.index) if isinstance(raw, faiss.IndexIDMap2) else None
        if not isinstance(inner, expected) or raw.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise IndexFileError(f"{path} holds a FAISS index of another kind than {kind!r}.")
        stored = len(faiss.serialize_index(cls(raw.d, kind)._index)) + raw.ntotal * (inner.code_size + _ID_BYTES)
        if path.stat().st_size != stored:  # FAISS would map memory past the end of the file
            raise IndexFileError(f"{path} should have {stored:,} bytes and has {path.stat().st_size:,}.")
        index = cls.__new__(cls)
        index.kind, index.dim, index._index = kind, int(raw.d), raw
        index._largest_id = int(index._ids().max(initial=-1))
        return index


class FlatWriter:
    """Writes the file of a flat index as vectors come, without holding them: byte for byte what FAISS writes.

    Parameters
    ----------
    path : Path
        The file.
    dim, kind
        As for `FlatIndex`.
    """

    def __init__(self, path: Path, dim: int, kind: str) -> None:
        self._dim, self._type, self._unit = dim, *_STORED[kind]
        empty = load_faiss().serialize_index(FlatIndex(dim, kind)._index).tobytes()
        self._header = bytearray(empty[: -2 * _SIZE.size])
        self._ids: list[Ids] = []
        self._file = path.open("wb")
        self._file.write(bytes(len(self._header) + _SIZE.size))

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Write vectors; see `VectorWriter.add`."""
        vectors = checked_vectors(vectors, self._dim)
        ids = checked_rising(ids, len(vectors), int(self._ids[-1][-1]) if self._ids else -1)
        if len(ids):
            self._file.write(vectors.astype(self._type, copy=False).data)
            self._ids.append(ids)

    def finish(self) -> None:
        """Write what comes after the vectors, and the counts that stand before them."""
        ids = np.concatenate([np.zeros(0, dtype=np.int64), *self._ids])
        self._file.write(_SIZE.pack(len(ids)) + ids.tobytes())
        for header in (0, _HEADER_BYTES):
            _SIZE.pack_into(self._header, header + _COUNT_AT, len(ids))
        stored = len(ids) * self._dim * np.dtype(self._type).itemsize
        self._file.seek(0)
        self._file.write(bytes(self._header) + _SIZE.pack(stored // self._unit))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
