"""Parquet files: their rows, a batch at a time, and vectors written to one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.arrow import ROWS, ArrowRows
from mbat.arrow_library import pa, pq
from mbat.arrow_types import check_schema
from mbat.errors import DocumentError, SourceError
from mbat.pieces import Piece

_BUFFER: Final = 1 << 20
"""Bytes of each column that are read ahead, so that a large row group is not held whole."""

_ROW_GROUP: Final = 1 << 14


def parquet_rows(piece: Piece) -> Iterator[ArrowRows]:
    """Yield the rows of a file, or of some of its row groups, some at a time.

    Raises
    ------
    SourceError
        If it is no whole Parquet file, or a column has no form in JSON.
    """
    with _opened(piece.name) as file:
        check_schema(file.schema_arrow)
        groups = range(file.num_row_groups)[piece.start : piece.stop]
        for batch in file.iter_batches(batch_size=ROWS, row_groups=groups):
            yield ArrowRows(batch)


def row_groups(name: str) -> int:
    """Return how many row groups a file has."""
    with _opened(name) as file:
        return int(file.num_row_groups)


def rows_before(name: str, group: int) -> int:
    """Return how many rows of a file are before a row group."""
    with _opened(name) as file:
        return sum(file.metadata.row_group(i).num_rows for i in range(group))


@contextmanager
def _opened(name: str) -> Iterator[Any]:
    try:
        with pq.ParquetFile(name, buffer_size=_BUFFER) as file:
            yield file
    except DocumentError as error:
        raise SourceError(f"{name}, at {error.path}: {error.reason}.") from None
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{name} is not a whole Parquet file: {str(error).splitlines()[0]}") from error


def vector_schema(dim: int, with_ids: bool, with_documents: bool) -> Any:
    """Return the columns of vectors: ``id``, ``vector`` and ``document``, the first and last if wanted."""
    fields = [
        pa.field("id", pa.string(), nullable=False) if with_ids else None,
        pa.field("vector", pa.list_(pa.float32(), dim), nullable=False),
        pa.field("document", pa.string(), nullable=False) if with_documents else None,
    ]
    return pa.schema([field for field in fields if field is not None])


def vector_batch(schema: Any, rows: NDArray[np.float32], ids: Sequence[str | None], texts: Sequence[bytes]) -> Any:
    """Return vectors, their ids and the texts of their documents as far as they are columns of `vector_schema`."""
    columns = {
        "id": lambda: pa.array(ids, pa.string()),
        "vector": lambda: pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1]),
        "document": lambda: pa.array(texts, pa.binary()).cast(pa.string()),
    }
    return pa.RecordBatch.from_arrays([columns[name]() for name in schema.names], schema=schema)


class ParquetVectors:
    """Writes vectors to a Parquet file: the column ``vector``, lists of ``dim`` floats, beside ``id`` and ``document``.

    Parameters
    ----------
    path : Path
        The file; it is there, without rows, once this is made.
    dim : int
        Length of the vectors.
    with_ids : bool
        Whether there is a column ``id``.
    with_documents : bool
        Whether there is a column ``document``, of JSON texts.
    """

    def __init__(self, path: Path, dim: int, with_ids: bool, with_documents: bool = False) -> None:
        self._schema = vector_schema(dim, with_ids, with_documents)
        self._waiting: list[Any] = []
        self._writer = pq.ParquetWriter(path, self._schema, compression="none", use_dictionary=False)

    def __enter__(self) -> ParquetVectors:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if error is None:
                self._flush()
        finally:
            self._writer.close()

    def add(self, rows: NDArray[np.float32], ids: Sequence[str | None], texts: Sequence[bytes] = ()) -> None:
        """Write some vectors, with their ids and the texts of their documents if the file has any."""
        self._waiting.append(vector_batch(self._schema, rows, ids, texts))
        if sum(map(len, self._waiting)) >= _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema), row_group_size=_ROW_GROUP)
        self._waiting = []


def vector_rows(name: str, dim: int, together: int) -> Iterator[tuple[list[str], NDArray[np.float32], list[str]]]:
    """Yield the ids, vectors and JSON texts of a file that ``mbat encode --engine ray`` has written, some at a time.

    Raises
    ------
    SourceError
        If it is no whole Parquet file, or no such one, or its vectors have another length.
    """
    columns = ["id", "vector", "document"]
    with _opened(name) as file:
        schema = file.schema_arrow
        if missing := [column for column in columns if column not in schema.names]:
            raise SourceError(f"{name} has no column {missing[0]}; it needs {', '.join(columns)}.")
        _check_vector_columns(name, schema, dim)
        for batch in file.iter_batches(batch_size=together, columns=columns):
            yield _vector_rows(name, batch, dim)


def _check_vector_columns(name: str, schema: Any, dim: int) -> None:
    kind = schema.field("vector").type
    if kind != pa.list_(pa.float32(), dim):
        raise SourceError(f"The vectors in {name} are {kind}; those of the encoder are {dim} floats of 32 bits.")
    for column in ("id", "document"):
        kind = schema.field(column).type
        if kind not in (pa.string(), pa.large_string()):
            raise SourceError(f"The column {column} of {name} is {kind}, and not text.")


def _vector_rows(name: str, batch: Any, dim: int) -> tuple[list[str], NDArray[np.float32], list[str]]:
    for column in batch.schema.names:
        if batch.column(column).null_count:
            raise SourceError(f"The column {column} of {name} has a null.")
    vectors = batch.column("vector").flatten().to_numpy().reshape(-1, dim)
    return batch.column("id").to_pylist(), vectors, batch.column("document").to_pylist()
