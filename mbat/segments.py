"""Segments: the vectors of consecutive rows, written once, loaded, and searched together."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import mbat_indexes
from mbat import durable
from mbat.content import Segment
from mbat.errors import DeviceError, IndexDamagedError, IndexFolderError, MissingExtraError, ParameterError
from mbat.sealing import damaged, file_record
from mbat_indexes import (
    CPU,
    Device,
    IndexFileError,
    MissingFaissError,
    VectorIndex,
    index_writer,
    load_index,
    segment_files,
)

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]


class SegmentGoneError(IndexDamagedError):
    """The file of a segment is not there: damage, or the index has just changed."""


def write_segment(
    folder: Path,
    kind: str,
    dim: int,
    span: tuple[int, int],
    count: int,
    rows: Iterable[tuple[Rows, Vectors]],
    device: Device = CPU,
) -> Segment:
    """Write a segment and see that it is on the disk; it is in the index when the store's content names it.

    Parameters
    ----------
    folder : Path
        The index.
    kind, dim
        Kind of the segment, length of the vectors.
    span : (int, int)
        The rows it covers, `Segment.after` and `Segment.last`.
    count : int
        How many vectors there will be.
    rows : iterable of (row numbers, vectors)
        By rows. If it raises an error, no file is left.
    device : Device
        Where the lists of kinds that have them are found.
    """
    name = f"vectors-{secrets.token_hex(6)}"
    written = 0
    try:
        with index_writer(kind, folder / name, dim, count, device) as writer:
            for numbers, vectors in rows:
                writer.add(numbers, vectors)
                written += len(vectors)
        files = segment_files(kind, folder / name)
        with ThreadPoolExecutor() as pool:
            records = pool.map(file_record, files)
            for file in files:
                durable.sync(file)
            durable.sync(folder)
            named = {file.name: record for file, record in zip(files, records, strict=True)}
    except BaseException as error:
        for file in folder.glob(f"{name}*"):
            file.unlink(missing_ok=True)
        if isinstance(error, MissingFaissError):
            raise MissingExtraError(str(error)) from error
        if isinstance(error, mbat_indexes.DeviceError):
            raise DeviceError(f"{error} Nothing was changed.") from error
        if isinstance(error, IndexFileError):
            raise IndexFolderError(f"{error} Nothing was changed.") from error
        raise
    return Segment(name, kind, *span, written, named)


def check_sizes(folder: Path, segment: Segment) -> None:
    """Raise IndexDamagedError if a file of a segment is missing or has another size."""
    for name, record in segment.files.items():
        try:
            size = (folder / name).stat().st_size
        except FileNotFoundError:
            raise SegmentGoneError(str(damaged(str(folder), f"its {name} is missing"))) from None
        if size != record.bytes:
            raise damaged(str(folder / name), f"it has {size:,} bytes instead of {record.bytes:,}")


def load_segment(folder: Path, segment: Segment, dim: int, device: Device = CPU) -> VectorIndex:
    """Load a segment.

    Raises
    ------
    IndexDamagedError
        If its files are not what was written, as far as can be told without reading all of them.
    MissingExtraError
        If FAISS is not installed.
    DeviceError
        If its kind is not searched on a device that is required.
    """
    check_sizes(folder, segment)
    try:
        vectors = load_index(segment.kind, folder / segment.name, device)
    except (IndexFileError, ValueError, OSError) as error:
        check_sizes(folder, segment)  # it may have gone in this moment
        for name in segment.files:
            (folder / name).open("rb").close()  # or the system refuses it
        raise damaged(str(folder / segment.name), str(error)) from error
    except MissingFaissError as error:
        raise MissingExtraError(str(error)) from error
    except mbat_indexes.DeviceError as error:
        raise DeviceError(str(error)) from error
    if len(vectors) != segment.vectors or vectors.dim != dim:
        found = f"it holds {len(vectors):,} vectors of length {vectors.dim}"
        raise damaged(str(folder / segment.name), f"{found}, and not {segment.vectors:,} of length {dim}")
    return vectors


class Segments(NamedTuple):
    """All segments of an index, loaded.

    Attributes
    ----------
    parts : sequence of (Segment, VectorIndex)
    dropped : int64 array
        The rows, rising, whose vectors are still there though the documents are gone.
    """

    parts: Sequence[tuple[Segment, VectorIndex]]
    dropped: Rows

    def search(
        self, queries: Vectors, k: int, effort: float | None = None, allowed: Rows | None = None
    ) -> tuple[Vectors, Rows]:
        """Return the best rows for each query, equal scores by row: k, or all if there are fewer; -inf and -1 for none.

        Parameters
        ----------
        queries : float32 array of shape (m, dim)
        k : int
        effort : float, optional
            The share of the vectors to look at; see `VectorIndex.search`.
        allowed : int64 array, optional
            The only rows to find, rising; none of them dropped.

        Raises
        ------
        ParameterError
            If k or effort is out of range.
        DeviceError
            If there is no room on a device that is required.
        """
        k = min(k, max(1, sum(segment.vectors for segment, _ in self.parts)))
        scores = [np.zeros((len(queries), 0), dtype=np.float32)]
        rows = [np.zeros((len(queries), 0), dtype=np.int64)]
        for segment, vectors in self.parts:
            some = None if allowed is None else _within(segment, allowed)
            excluded = _within(segment, self.dropped) if allowed is None else None
            if some is not None and not len(some):
                continue
            try:
                with np.errstate(all="ignore"):  # damaged vectors may hold any number
                    found = vectors.search(queries, k, effort=effort, allowed=some, excluded=excluded)
            except ValueError as error:
                raise ParameterError(str(error)) from None
            except mbat_indexes.DeviceError as error:
                raise DeviceError(str(error)) from error
            except (IndexFileError, RuntimeError) as error:  # the second is what FAISS raises
                raise damaged(segment.name, str(error).rpartition("\n")[2]) from error
            if not np.isfinite(found[0][found[1] >= 0]).all():
                raise damaged(segment.name, "it has vectors with numbers that are not finite")
            scores.append(found[0])
            rows.append(found[1])
        return _best(np.concatenate(scores, axis=1), np.concatenate(rows, axis=1), k)


def _within(segment: Segment, rows: Rows) -> Rows:
    """Return those of some rising rows that a segment covers."""
    start, stop = np.searchsorted(rows, [segment.after, segment.last], side="right")
    return rows[start:stop]


def _best(scores: Vectors, rows: Rows, k: int) -> tuple[Vectors, Rows]:
    """Return the k best of each line, equal scores by row."""
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)


def load_segments(
    folder: Path,
    segments: Sequence[Segment],
    dim: int,
    dropped: Rows,
    known: Mapping[str, VectorIndex],
    device: Device = CPU,
) -> Segments:
    """Load the segments of an index, but for those that are `known` by their names already."""
    parts = [
        (one, known[one.name] if one.name in known else load_segment(folder, one, dim, device)) for one in segments
    ]
    return Segments(parts, dropped)
