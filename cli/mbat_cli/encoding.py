"""``mbat encode``: files to a file of vectors."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from mbat.errors import MbatError
from mbat.records import OnError, Record
from mbat.sources import Reader, located
from mbat_cli.documents import one_line
from mbat_cli.encoding_on_ray import encode_on_ray
from mbat_cli.options import config_option, counted, input_options, new_encoder, warn_of_unmatched_fields
from mbat_cli.progress import ProgressLine
from mbat_cli.vector_files import VectorFile, check_output, vector_file

if TYPE_CHECKING:
    from mbat import Encoder
    from mbat.preparing import Documents

Batches = Iterable[tuple["Documents", list[str | None]]]
"""Some documents at a time, and their ids, each None if there is no id field."""


@click.command()
@input_options
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="VECTORS",
    help="The file to write, float32, a row each: .npy, or .parquet with the columns vector and, with --id-field, id. "
    "With --engine ray the folder, new or empty, for .parquet files of id, vector and document.",
)
@click.option("--id-field", metavar="PATH", help="Field that holds each document's id, as a.b, for a .parquet output.")
@config_option
@click.option("--encoder", "encoder_folder", metavar="FOLDER", help="An index, or a folder written by Encoder.save.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="This process, or workers of Ray, on one machine or many; see docs/ray.md.",
)
@click.option("--address", metavar="ADDRESS", help="With --engine ray: a cluster, as of ray.init, else this machine.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="With --engine ray: how many workers, else as many as there are processors. The result is the same.",
)
def encode(
    files: tuple[str, ...],
    on_error: OnError,
    output: str,
    id_field: str | None,
    config: str | None,
    encoder_folder: str | None,
    engine: str,
    address: str | None,
    workers: int | None,
) -> None:
    """Write the vectors of the documents in FILE... to a NumPy or Parquet file, or on Ray to a folder.

    Without --encoder a new encoder is fitted on the documents. Rows are in the order of the documents; a left-out
    document has no row. FILE is as for mbat index; Parquet files alone are read quickest.
    """
    path = Path(output)
    if config is not None and encoder_folder is not None:
        raise click.UsageError("Give --config, for a new encoder, or --encoder, and not both.")
    if engine == "ray":
        encode_on_ray(files, path, id_field, on_error, (config, encoder_folder), address, workers)
        return
    if address is not None or workers is not None:
        raise click.UsageError("--address and --workers are for --engine ray.")
    check_output(path, id_field)
    reader = Reader(files, id_field, on_error)
    progress = ProgressLine()
    try:
        with located(reader):
            rows = _write(path, reader, config, encoder_folder, id_field, progress)
    except OSError as error:
        raise MbatError(f"The vectors cannot be written to {path}: {error.strerror or error}.") from error
    finally:
        progress.clear()
    left_out = f", {reader.skipped:,} left out" if reader.skipped else ""
    click.echo(f"Encoded {counted(rows)}: {path}{left_out}", err=True)


def _write(
    path: Path,
    reader: Reader,
    config: str | None,
    encoder_folder: str | None,
    id_field: str | None,
    progress: ProgressLine,
) -> int:
    from mbat.encoder import Encoder

    with tempfile.TemporaryFile() as spool:
        if encoder_folder is None:
            encoder = new_encoder(config)
            batches = _fitted(encoder, reader, spool, progress)
            progress.clear()
            warn_of_unmatched_fields(encoder)
        else:
            encoder = Encoder.load(encoder_folder)
            batches = reader.tables() if reader.is_tabular else _batches(reader)
        with vector_file(path, encoder.dim, id_field is not None) as file:
            return _write_rows(file, encoder, batches, progress)


def _fitted(encoder: Encoder, reader: Reader, spool: BinaryIO, progress: ProgressLine) -> Batches:
    """Fit an encoder on the documents; return them once more."""
    from mbat.fitting import fit_keeping

    if reader.is_tabular:
        fit_keeping(encoder, _counted(reader.tables(), progress), 0)
        return reader.tables()
    encoder.fit(_spooled(reader, spool, progress))
    spool.seek(0)
    return _batches(map(reader.read_again, spool))


def _counted(batches: Batches, progress: ProgressLine) -> Iterator[Documents]:
    done = 0
    for documents, _ in batches:
        done += len(documents)
        progress("read", done, None)
        yield documents


def _batches(records: Iterable[Record]) -> Batches:
    from mbat.encoder import BATCH
    from mbat.pipeline import batched

    for batch in batched(records, BATCH):
        yield [record.document for record in batch], [record.id for record in batch]


def _spooled(reader: Iterable[Record], spool: BinaryIO, progress: ProgressLine) -> Iterator[Any]:
    """Yield the documents, and keep them a line each for a second reading."""
    for number, record in enumerate(reader, start=1):
        spool.write(one_line(record.text))
        progress("read", number, None)
        yield record.document


def _write_rows(file: VectorFile, encoder: Encoder, batches: Batches, progress: ProgressLine) -> int:
    count = 0
    waiting: deque[list[str | None]] = deque()

    def documents() -> Iterator[Documents]:
        for batch, ids in batches:
            waiting.append(ids)
            yield batch

    for rows in encoder.encode_batches(documents()):
        file.add(rows, waiting.popleft())
        count += len(rows)
        progress("encode", count, None)
    return count
