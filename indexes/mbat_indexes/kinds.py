"""The kinds of index by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mbat_indexes.exact import ExactIndex, ExactWriter
from mbat_indexes.faiss_flat import FACTORIES, FlatIndex, FlatWriter
from mbat_indexes.protocol import VectorIndex, VectorWriter

KINDS: Final = ("exact", *FACTORIES)
"""Names of the kinds. All three compare every vector; ``flat-fp16`` rounds the stored ones to float16."""


def make_index(kind: str, dim: int) -> VectorIndex:
    """Return an empty index.

    Raises
    ------
    ValueError
        If there is no such kind.
    MissingFaissError
        If the kind needs FAISS and it is not installed.
    """
    _check(kind)
    return ExactIndex(dim) if kind == "exact" else FlatIndex(dim, kind)


@contextmanager
def index_writer(kind: str, path: Path, dim: int) -> Iterator[VectorWriter]:
    """Write the file of an index from a stream of vectors; it is complete when the context ends without an error.

    Raises
    ------
    ValueError
        If there is no such kind.
    MissingFaissError
        If the kind needs FAISS and it is not installed.
    """
    _check(kind)
    writer: VectorWriter = ExactWriter(path, dim) if kind == "exact" else FlatWriter(path, dim, kind)
    try:
        yield writer
        writer.finish()
    finally:
        writer.close()


def load_index(kind: str, path: Path) -> VectorIndex:
    """Return the index that a file holds.

    Raises
    ------
    ValueError
        If there is no such kind.
    IndexFileError
        If the file holds no index of the kind.
    MissingFaissError
        If the kind needs FAISS and it is not installed.
    """
    _check(kind)
    return ExactIndex.load(path) if kind == "exact" else FlatIndex.load(path, kind)


def _check(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"There is no kind of index {kind!r}; there are {', '.join(KINDS)}.")
