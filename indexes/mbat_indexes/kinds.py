"""The kinds of index by name: what they are, how they are written and how they are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbat_indexes.exact import ExactSink, load_exact
from mbat_indexes.faiss_flat import FlatSink, load_flat
from mbat_indexes.protocol import VectorIndex
from mbat_indexes.writing import Sink, VectorWriter


@dataclass(frozen=True)
class Kind:
    """What a kind of index is and can do.

    Attributes
    ----------
    name : str
        Its name.
    summary : str
        What it is, in a line.
    factory : str or None
        What FAISS calls it; None for numpy.
    half : bool
        Whether vectors, and so scores, are rounded to float16.
    effort : str or None
        The parameter of FAISS that `effort` sets; None where every vector is compared.
    """

    name: str
    summary: str
    factory: str | None
    half: bool = False
    effort: str | None = None


_ALL: Final = (
    Kind("exact", "every vector compared, by numpy alone and in memory", None),
    Kind("flat", "every vector compared, as float32", "Flat"),
    Kind("flat-fp16", "every vector compared, rounded to float16", "SQfp16", half=True),
)

KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in _ALL}
"""The kinds by name."""


@contextmanager
def index_writer(kind: str, path: Path, dim: int, count: int | None = None) -> Iterator[VectorWriter]:
    """Write the files of an index from a stream of vectors; they are complete when the context ends without an error.

    Parameters
    ----------
    kind : str
        Name of the kind.
    path : Path
        The file; where a kind needs more of them, their names start with it.
    dim : int
        Length of the vectors.
    count : int, optional
        How many vectors will come, where that is known; another number is an error at the end.

    Raises
    ------
    ValueError
        If there is no such kind, or not as many vectors came as were announced.
    MissingFaissError
        If the kind needs FAISS and it is not installed.
    """
    _check(kind)
    sink: Sink = ExactSink(path, dim) if kind == "exact" else FlatSink(path, dim, kind)
    try:
        writer = VectorWriter(sink, dim, count)
        yield writer
        writer.finish()
    finally:
        sink.close()


def segment_files(kind: str, path: Path) -> list[Path]:
    """Return the files of an index: `path`, and what lies beside it."""
    _check(kind)
    return [path]


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
    return load_exact(path) if kind == "exact" else load_flat(path, kind)


def _check(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"There is no kind of index {kind!r}; there are {', '.join(KINDS)}.")
