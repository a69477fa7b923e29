"""What Ray's workers do with pieces of files: count their documents, fit on them, or encode them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from mbat.encoder import BATCH, Encoder
from mbat.encoder_files import statistics_bytes
from mbat.errors import MbatError
from mbat.parquet import ParquetVectors
from mbat.pieces import Piece
from mbat.pipeline import batched
from mbat.ray.library import Row, refusal
from mbat.records import OnError, Record
from mbat.sources import Reader, located


@dataclass(frozen=True)
class Order:
    """What is asked of workers.

    Attributes
    ----------
    folder : str
        The folder that names of files are relative to, on every machine.
    encoder : Encoder
    id_path : str or None
    on_error : {"stop", "skip"}
        See `mbat.sources.Reader`.
    output : str
        The folder that vectors are written to.
    """

    folder: str
    encoder: Encoder
    id_path: str | None
    on_error: OnError
    output: str


Work = Callable[[Row, Order], Row]


def count_piece(row: Row, order: Order) -> Row:
    """Return how many documents a piece of a file has, or what is wrong with it."""
    return _answer(row, order, lambda reader: {"documents": sum(1 for _ in reader)})


def fit_piece(row: Row, order: Order) -> Row:
    """Return how many documents a piece has, and what `Encoder.fit` counts in them; or what is wrong with it."""

    def work(reader: Reader) -> Row:
        statistics = order.encoder.fit(record.document for record in reader).statistics
        return {"documents": statistics.documents, "statistics": statistics_bytes(statistics)}

    return _answer(row, order, work)


def write_piece(row: Row, order: Order) -> Row:
    """Write the vectors of a piece to a file; return how many they are, or what is wrong with it."""
    encoder, numbers = order.encoder, count(row["first"])
    waiting: deque[list[Record]] = deque()

    def documents(reader: Reader) -> Iterator[list[Any]]:
        for records in batched(reader, BATCH):
            waiting.append(records)
            yield [record.document for record in records]

    def work(reader: Reader) -> Row:
        with ParquetVectors(Path(order.output, part_name(row["number"])), encoder.dim, True, True) as file:
            for rows in encoder.encode_batches(documents(reader), threads=0):
                records = waiting.popleft()
                numbered = zip(records, numbers, strict=False)
                ids = [str(number) if record.id is None else record.id for record, number in numbered]
                file.add(rows, ids, [record.text for record in records])
        return {"documents": next(numbers) - row["first"]}

    return _answer(row, order, work)


def part_name(number: int) -> str:
    """Return the name of the file for the vectors of a piece."""
    return f"part-{number:06}.parquet"


def _answer(row: Row, order: Order, work: Callable[[Reader], Row]) -> Row:
    answer = {"documents": 0, "skipped": 0, "statistics": b"", "error": None, "reason": None}
    try:
        with chdir(order.folder):
            reader = Reader([Piece(row["name"], row["start"], row["stop"])], order.id_path, order.on_error)
            with located(reader):
                return {**answer, **work(reader), "skipped": reader.skipped}
    except MbatError as error:
        return {**answer, **refusal(error)}
    except OSError as error:
        return {**answer, **refusal(_unusable(error))}


def _unusable(error: OSError) -> MbatError:
    told = f"A worker cannot use {error.filename or 'a file'}: {os.strerror(error.errno) if error.errno else error}."
    if isinstance(error, FileNotFoundError):
        told += " Files and folders must be there under the same name on all machines of the cluster."
    return MbatError(told)
