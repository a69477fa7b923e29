"""The one place that imports FAISS, and what is the same for all its files."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np

from mbat_indexes.protocol import Ids, IndexFileError, MissingFaissError, Vectors
from mbat_indexes.stored import dots

DISTRIBUTIONS: Final = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs", "faiss-gpu-cu12")
"""The packages that bring the module ``faiss``; two at once overwrite each other."""

_MANY: Final = 20  # fewer vectors are sooner rotated by one thread than BLAS has woken up others

_READING: Final = Lock()
"""Held while a file is read, since FAISS has one limit on what a file may ask for: here no more than its own size."""


def load_faiss() -> Any:
    """Import FAISS.

    Raises
    ------
    MissingFaissError
        If it, or a library that it needs, is not installed; the message has the line that installs it.
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingFaissError(
            "Searching needs FAISS, which is not installed. Run: pip install 'mbat[cpu]' (or 'mbat[gpu]')"
        ) from error
    except RuntimeError as error:  # what faiss-gpu raises, with the line that installs it
        raise MissingFaissError(f"FAISS lacks a library of CUDA: {error}") from error
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


def lists_of(index: Any) -> Any:
    """Return the part of an index that has inverted lists: the index itself, or what is behind its rotation."""
    faiss = load_faiss()
    return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index


def rotated(index: Any, vectors: Vectors) -> Vectors:
    """Return vectors as they come to the inverted lists of an index."""
    faiss = load_faiss()
    if not isinstance(index, faiss.IndexPreTransform):
        return vectors
    rotation = faiss.downcast_VectorTransform(index.chain.at(0))
    if len(vectors) >= _MANY:
        turned: Vectors = rotation.apply(vectors)
        return turned
    matrix = faiss.rev_swig_ptr(rotation.A.data(), rotation.A.size()).reshape(rotation.d_out, rotation.d_in)
    return np.asarray(dots("nd,od->no", vectors, matrix))


def make_index(dim: int, factory: str) -> Any:
    """Return an empty FAISS index for inner products."""
    faiss = load_faiss()
    return faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)


def read_file(path: Path, kind: str, lists: bool = False, tables: int = 0) -> tuple[Any, Any, Ids]:
    """Return the index that a file holds, memory-mapped, the one within it that holds vectors, and their ids.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        Name of the kind that it should be.
    lists : bool
        Whether that has inverted lists, which FAISS maps in a way of their own.
    tables : int
        How many bytes may be asked for beyond the size of the file.

    Raises
    ------
    IndexFileError
        If the file holds no index with ids that rise.
    """
    faiss = load_faiss()
    outer = _mapped(path, faiss.IO_FLAG_MMAP if lists else faiss.IO_FLAG_MMAP_IFC, tables)
    if not isinstance(outer, faiss.IndexIDMap):
        raise IndexFileError(f"{path} holds a FAISS index of another kind than {kind!r}.")
    ids: Ids = faiss.vector_to_array(outer.id_map)
    if len(ids) != outer.ntotal or outer.index.ntotal != outer.ntotal:
        raise IndexFileError(f"{path} counts {outer.ntotal} vectors and has {len(ids)} ids.")
    if len(ids) and (ids[0] < 0 or (np.diff(ids) <= 0).any()):
        raise IndexFileError(f"The ids in {path} do not rise.")
    return outer, faiss.downcast_index(outer.index), ids


def _mapped(path: Path, flags: int, tables: int) -> Any:
    faiss = load_faiss()
    try:
        with _READING:
            before = faiss.get_deserialization_vector_byte_limit()
            faiss.set_deserialization_vector_byte_limit(path.stat().st_size + tables)
            try:
                return faiss.read_index(str(path), flags)
            finally:
                faiss.set_deserialization_vector_byte_limit(before)
    except (OSError, RuntimeError, MemoryError) as error:
        reason = (str(error).splitlines() or ["there is not enough memory"])[-1]
        raise IndexFileError(f"FAISS cannot read {path}: {reason}") from error


def check_type(path: Path, kind: str, index: Any, expected: Any) -> None:
    """Raise IndexFileError if an index is not of the type that the factory of its kind makes."""
    faiss = load_faiss()
    expected = faiss.deserialize_index(faiss.serialize_index(expected))  # reading makes subclasses of some
    same = type(index) is type(expected) and all(
        getattr(index, name, None) == getattr(expected, name, None) for name in ("d", "metric_type", "code_size")
    )
    if not same or not index.is_trained:
        raise IndexFileError(f"{path} holds a FAISS index of another kind than {kind!r}.")


def check_size(path: Path, dim: int, factory: str, stored: int) -> None:
    """Raise IndexFileError if a file is not that of an empty index and so many bytes: FAISS would map past its end."""
    size, right = path.stat().st_size, len(empty_file(dim, factory)) + stored
    if size != right:
        raise IndexFileError(f"{path} should have {right:,} bytes and has {size:,}.")


def empty_file(dim: int, factory: str) -> bytes:
    """Return the file of an empty index with ids."""
    faiss = load_faiss()
    written: bytes = faiss.serialize_index(faiss.IndexIDMap(make_index(dim, factory))).tobytes()
    return written


def write_file(path: Path, index: Any) -> None:
    """Write an index to a file."""
    try:
        load_faiss().write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(f"FAISS cannot write {path}: {str(error).splitlines()[-1]}") from error
