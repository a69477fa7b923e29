"""Files to a folder of Parquet files, on Ray."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple

from mbat.encoder import Encoder
from mbat.encoder_files import statistics_of
from mbat.errors import IndexExistsError, MbatError, ParameterError, SourceError
from mbat.pieces import cut
from mbat.progress import Progress, silent
from mbat.ray.library import Row, check_workers, data, raise_refusal, ray, working
from mbat.ray.workers import Order, Work, count_piece, fit_piece, write_piece
from mbat.records import OnError
from mbat.sources import STANDARD_INPUT, Reader
from mbat.statistics import Statistics

ENCODER: Final = "encoder"
"""The folder for the encoder in that of the vectors."""

_LEAST, _MOST = 1 << 20, 1 << 24
"""Bytes of a piece."""

_PIECES_EACH: Final = 4
"""Pieces that each worker gets, so that all are busy to the end."""


class Encoded(NamedTuple):
    """How many documents were encoded, how many broken ones left out, and the encoder."""

    documents: int
    skipped: int
    encoder: Encoder


def encode_files(
    files: Iterable[str | Path],
    output: str | Path,
    encoder: Encoder | None = None,
    *,
    fit: bool = False,
    id_field: str | None = None,
    on_error: OnError = "stop",
    workers: int | None = None,
    progress: Progress = silent,
) -> Encoded:
    """Write the vectors of the documents in files to a folder of Parquet files, and the encoder beside them.

    Parameters
    ----------
    files : iterable of str or path
        As `mbat index` takes them, but for standard input. Lines of one file are shared out among the workers, which
        all have to find it under this name; a packed file or a ``.json`` is read by one of them.
    output : path
        The folder, new or empty. It is there when all is done: files ``part-000000.parquet`` and so on, whose names
        are in the order of the documents, with the columns ``id``, ``vector`` and ``document`` (the JSON text), and
        ``encoder`` for `Encoder.load`.
    encoder : Encoder, optional
        Used as it is, unless `fit` is true. Without it a new one is fitted on the documents.
    fit : bool
        Whether the encoder that is given is fitted on the documents; it is itself left as it was.
    id_field : str, optional
        Path of the field that holds each document's id; without it they are numbered from 0.
    on_error : {"stop", "skip"}
        What to do at a broken document: stop and leave no folder, or leave it out and count it.
    workers : int, optional
        How many workers; as many as the cluster has processors, if it is not given.
    progress : callable
        Told how far the work is.

    Raises
    ------
    SourceError
        If a file cannot be read, or holds something that is no JSON; the message has file and line.
    IndexExistsError
        If there is something at `output`.
    MbatError
        If Ray cannot do it, or the folder cannot be written.
    """
    if isinstance(files, str):
        raise ParameterError(f"files is the names of files, as [{files!r}], and not one name.")
    names = [str(file) for file in files]
    check_request(names, output, encoder, id_field, on_error, workers)
    with _new_folder(Path(os.path.abspath(output))) as folder, working():
        order = Order(os.getcwd(), encoder or Encoder(), id_field, on_error, str(folder))
        job = _Job(names, order, workers, progress)
        if fit or encoder is None:
            job.fit()
        elif id_field is None:
            job.count()
        job.encode()
        job.order.encoder.save(folder / ENCODER)
        return Encoded(job.documents, job.skipped, job.order.encoder)


class _Job:
    """The passes over the files."""

    def __init__(self, names: list[str], order: Order, workers: int | None, progress: Progress) -> None:
        self.order, self._progress = order, progress
        self._workers = workers or _processors()
        self._pieces = list(cut(names, _piece_size(names, self._workers)))
        self._counts = [0] * len(self._pieces)
        self.documents = self.skipped = 0

    def count(self) -> None:
        self._counts = [row["documents"] for row in self._done(count_piece, "count")]

    def fit(self) -> None:
        """Merge the statistics of the pieces as they come."""
        statistics, counts = Statistics(), []
        for row in self._done(fit_piece, "read"):
            statistics = statistics.merge(statistics_of(row["statistics"]))
            counts.append(row["documents"])
        self._counts = counts
        self.order = replace(self.order, encoder=self.order.encoder.fitted_as(statistics))

    def encode(self) -> None:
        for row in self._done(write_piece, "encode"):
            self.documents += row["documents"]
            self.skipped += row["skipped"]

    def _done(self, work: Work, stage: str) -> Iterator[Row]:
        """Yield what workers answer of each piece, in order; the first that is broken ends it."""
        rows = data.from_items(self._rows(), override_num_blocks=len(self._pieces))
        _quieten(rows.context)
        workers = min(self._workers, len(self._pieces))
        done = rows.map(work, fn_args=(self.order,), compute=data.TaskPoolStrategy(workers))
        total = sum(self._counts) or None
        documents = 0
        for row in done.iter_rows():
            raise_refusal(row)
            documents += row["documents"]
            self._progress(stage, documents, total)
            yield row

    def _rows(self) -> list[Row]:
        firsts = accumulate(self._counts[:-1], initial=0)
        return [
            {"number": number, "first": first, **piece._asdict()}
            for number, (piece, first) in enumerate(zip(self._pieces, firsts, strict=True))
        ]


def check_request(
    names: Sequence[str],
    output: str | Path,
    encoder: Encoder | None,
    id_field: str | None,
    on_error: OnError,
    workers: int | None,
) -> None:
    """Refuse what `encode_files` cannot do, before any work, and before a cluster is started for it."""
    check_workers(workers)
    if not isinstance(encoder, Encoder | None):
        raise ParameterError(f"encoder is an mbat.Encoder; {encoder!r:.60} is not.")
    if not names:
        raise ParameterError("files is the names of at least one file; it is empty.")
    if STANDARD_INPUT in names:
        raise SourceError("Standard input cannot be read by the workers of Ray; write it to a file first.")
    Reader(names, id_field, on_error)
    for name in names:
        if not os.path.isfile(name):
            raise SourceError(f"{name} cannot be read in pieces, as a pipe cannot; write it to a file first.")
    _check_output(Path(os.path.abspath(output)))


def _check_output(path: Path) -> None:
    if os.path.lexists(path) and (path.is_symlink() or not path.is_dir() or any(path.iterdir())):
        raise IndexExistsError(f"There is something at {path}. Name another folder, or remove it first.")
    if os.path.ismount(path):
        raise MbatError(f"A disk is mounted at {path}, which nothing can be moved to; name a folder in it.")
    if not os.access(path.parent, os.W_OK):
        raise MbatError(f"The vectors cannot be written to {path}: {path.parent} is no folder that may be written to.")


def _processors() -> int:
    return max(int(ray.cluster_resources().get("CPU", 1)), 1)


def _piece_size(names: list[str], workers: int) -> int:
    total = sum(Path(name).stat().st_size for name in names)
    return min(max(total // (_PIECES_EACH * workers), _LEAST), _MOST)


def _quieten(context: Any) -> None:
    """Let a dataset print nothing, and yield its rows in their order."""
    context.execution_options.preserve_order = True
    context.enable_progress_bars = context.print_on_execution_start = False
    context.raise_original_map_exception = True


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to write to; it is moved to its place when it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
        partial.mkdir()
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise MbatError(f"The vectors cannot be written to {path}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
