"""Datasets of Ray Data: fitting on them, and encoding them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mbat.arrow import ROWS, table_rows
from mbat.arrow_library import pa
from mbat.arrow_types import NULLS, Nulls
from mbat.encoder import BATCH, Encoder
from mbat.encoder_files import statistics_bytes, statistics_of
from mbat.errors import DocumentError, MbatError, ParameterError, SourceError
from mbat.parquet import vector_batch, vector_schema
from mbat.pipeline import batched
from mbat.ray.library import Row, check_workers, data, raise_refusal, refusal, working
from mbat.records import OnError, Record, RecordMaker
from mbat.statistics import Statistics

if TYPE_CHECKING:
    from ray.data import Dataset

_log = logging.getLogger(__name__)

ENCODED: Final = 4096
"""Documents that a worker encodes at a time, 16 MB of vectors."""

_PATH: Final = "path"
"""The column in which Ray's readers write the file of a row, if they are told to."""

_MISSING: Final = DocumentError("the text is missing; leave such rows out with Dataset.filter")


def fit(
    dataset: Dataset,
    encoder: Encoder | None = None,
    column: str | None = "text",
    *,
    nulls: Nulls = "missing",
    on_error: OnError = "stop",
    workers: int | None = None,
) -> Encoder:
    """Return an encoder fitted on a dataset: equal to one fitted on the same documents in one process.

    Parameters
    ----------
    dataset : ray.data.Dataset
        Read once. Its blocks are counted in Ray's workers, and the counts merged as they come.
    encoder : Encoder, optional
        One of the parameters that the result is to have, which is left as it was.
    column : str or None
        The column of JSON texts, a document each, as `ray.data.read_text` makes one; or None: each row is a document,
        an object of its columns, as after `ray.data.read_parquet`.
    nulls : {"missing", "null"}
        What a field of a row is that is null; see `Encoder.encode_table`. In texts null is null.
    on_error : {"stop", "skip"}
        What to do at a broken document: raise an error, or leave it out and log how many were.
    workers : int, optional
        How many workers at most; it is left to Ray if it is not given.

    Raises
    ------
    SourceError
        If a document is broken; the message has its file, if the dataset has a column ``path``, and its beginning.
    ParameterError
        If there is no such column.
    """
    work = _Work(Encoder() if encoder is None else encoder, column, nulls, None, on_error)
    check_workers(workers)
    statistics, skipped = Statistics(), 0
    counted = dataset.map_batches(
        _count,  # type: ignore[arg-type]  # its type leaves no room for fn_args
        fn_args=(work,),
        batch_size=None,
        batch_format="pyarrow",
        compute=data.TaskPoolStrategy(workers),
    )
    with working():
        for row in counted.iter_rows():
            raise_refusal(row)
            statistics = statistics.merge(statistics_of(row["statistics"]))
            skipped += row["skipped"]
    _tell_of(skipped, skipped + statistics.documents)
    return work.encoder.fitted_as(statistics)


def encode(
    dataset: Dataset,
    encoder: Encoder,
    column: str | None = "text",
    *,
    id_field: str | None = None,
    nulls: Nulls = "missing",
    on_error: OnError = "stop",
    workers: int | None = None,
) -> Dataset:
    """Return the dataset of the vectors of another, which are those of one process to the last bit.

    Parameters
    ----------
    dataset, column, nulls, on_error, workers
        As of `fit`.
    encoder : Encoder
        Sent to each worker once.
    id_field : str, optional
        Path of the field that holds each document's id.

    Returns
    -------
    ray.data.Dataset
        With the columns ``id``, if there is an id field; ``vector``, of `dim` float32; and ``document``, the JSON text.
        Like any dataset it is computed when it is used, and so are the errors raised.
    """
    check_workers(workers)
    vectors = dataset.map_batches(
        _Encoder,
        fn_constructor_args=(_Work(encoder, column, nulls, id_field, on_error),),
        batch_size=ENCODED,
        batch_format="pyarrow",
        compute=data.ActorPoolStrategy(min_size=1, max_size=workers),
    )
    vectors.context.raise_original_map_exception = True
    return vectors


@dataclass(frozen=True)
class _Work:
    """How workers make records of batches; see `encode`."""

    encoder: Encoder
    column: str | None
    nulls: Nulls
    id_field: str | None
    on_error: OnError

    def __post_init__(self) -> None:
        if not isinstance(self.encoder, Encoder):
            raise ParameterError(f"encoder is an mbat.Encoder; {self.encoder!r:.60} is not.")
        RecordMaker(self.id_field, self.on_error)
        if self.nulls not in NULLS:
            raise ParameterError(f"nulls is 'missing' or 'null', not {self.nulls!r}.")

    def records(self, table: Any, maker: RecordMaker) -> Iterator[Record]:
        for content, place in self._contents(table):
            record = maker.record(content, place)
            if record is not None:
                yield record

    @contextmanager
    def located(self, table: Any) -> Iterator[RecordMaker]:
        """Say which document of a table it is that cannot be encoded."""
        try:
            yield RecordMaker(self.id_field, self.on_error)
        except DocumentError as error:
            if error.position is None:
                raise
            records = self.records(table, RecordMaker(self.id_field, self.on_error))
            text = next(islice(records, error.position, None)).text
            raise SourceError(f"{_place(text)}, at {error.path}: {error.reason}.") from None

    def _contents(self, table: Any) -> Iterator[tuple[Any, Callable[[], str]]]:
        """Yield what stands for each document of a table, JSON text, a row, or what is wrong with it; and its place."""
        if self.column is None:
            for rows in table_rows(table, self.nulls):
                for row in rows.documents():
                    yield row, partial(_place, row)
            return
        for batch in _texts(table, self.column).to_batches(max_chunksize=ROWS):
            files = batch.column(1).to_pylist() if batch.num_columns > 1 else repeat(None)
            for text, file in zip(batch.column(0).to_pylist(), files, strict=False):
                yield _MISSING if text is None else text, partial(_place, text, file)


def _count(table: Any, work: _Work) -> Any:
    """Return what `Encoder.fit` counts in a batch, or what is wrong with it, as one row."""
    statistics, skipped, refused = Statistics(), 0, {"error": None, "reason": None}
    try:
        with work.located(table) as maker:
            statistics = work.encoder.fit(record.document for record in work.records(table, maker)).statistics
            skipped = maker.skipped
    except MbatError as error:
        refused = refusal(error)
    return _one_row({"statistics": statistics_bytes(statistics), "skipped": skipped, **refused})


class _Encoder:
    """Encodes batches; one for each worker, so that what an encoder finds out of paths is found out once."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._schema = vector_schema(work.encoder.dim, work.id_field is not None, True)

    def __call__(self, table: Any) -> Any:
        encoder = self._work.encoder
        with self._work.located(table) as maker:
            records = list(self._work.records(table, maker))
            documents = ([record.document for record in batch] for batch in batched(records, BATCH))
            rows = [np.zeros((0, encoder.dim), np.float32), *encoder.encode_batches(documents, threads=0)]
            _tell_of(maker.skipped, maker.skipped + len(records))
        ids, texts = [record.id for record in records], [record.text for record in records]
        return pa.Table.from_batches([vector_batch(self._schema, np.concatenate(rows), ids, texts)])


def _texts(table: Any, column: str) -> Any:
    """Return a column of texts, as bytes, beside that of their files if there is one."""
    if column not in table.column_names:
        raise ParameterError(
            f"The dataset has no column {column!r}; it has {', '.join(table.column_names)}. Name that of the JSON "
            "texts, or give column=None if each row is a document."
        )
    try:
        texts = table[column].cast(pa.large_binary())
    except pa.ArrowException:
        raise ParameterError(f"The column {column!r} is of type {table[column].type} and holds no texts.") from None
    return pa.table({"text": texts, **({"file": table[_PATH]} if _PATH in table.column_names else {})})


def _place(content: Any, file: str | None = None) -> str:
    """Return where a document is: its file, if that is known, and how it begins."""
    shown = content.decode(errors="replace") if isinstance(content, bytes) else content
    began = "" if isinstance(content, DocumentError) or content is None else f" that begins {shown!s:.60}"
    return f"{file or 'The dataset'}, the document{began}"


def _one_row(row: Row) -> Any:
    told = [("error", pa.string()), ("reason", pa.string())]
    return pa.Table.from_pylist([row], pa.schema([("statistics", pa.large_binary()), ("skipped", pa.int64()), *told]))


def _tell_of(skipped: int, documents: int) -> None:
    if skipped:
        _log.warning("%d of %d documents are broken and were left out.", skipped, documents)
