"""``mbat encode``: files to an array of vectors."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click
import numpy as np
import orjson

from mbat.errors import DocumentError, MbatError, SourceError
from mbat.sources import OnError, Reader, Record
from mbat_cli.options import config_option, input_options, new_encoder, warn_of_unmatched_fields
from mbat_cli.progress import ProgressLine

if TYPE_CHECKING:
    from mbat import Encoder


_SPACES: Final = bytes.maketrans(b"\r\n", b"  ")  # in JSON text, a line break is white space and no more


@click.command()
@input_options
@click.option("-o", "--output", required=True, metavar="VECTORS.npy", help="The file to write, float32, a row each.")
@config_option
@click.option("--encoder", "encoder_folder", metavar="FOLDER", help="An index, or a folder written by Encoder.save.")
def encode(
    files: tuple[str, ...], on_error: OnError, output: str, config: str | None, encoder_folder: str | None
) -> None:
    """Write the vectors of the documents in FILE... to a NumPy file.

    Without --encoder a new encoder is fitted on the documents. Rows are in the order of the documents; a left-out
    document has no row.
    """
    path = Path(output)
    if path.suffix != ".npy":
        raise click.UsageError(f"The output {output} should end in .npy.")
    if config is not None and encoder_folder is not None:
        raise click.UsageError("Give --config, for a new encoder, or --encoder, and not both.")
    reader = Reader(files, None, on_error)
    progress = ProgressLine()
    try:
        rows = _write(path, reader, config, encoder_folder, progress)
    except DocumentError as error:
        raise SourceError(f"{reader.where(error.position or 0)}, at {error.path}: {error.reason}.") from error
    except OSError as error:
        raise MbatError(f"The vectors cannot be written to {path}: {error.strerror or error}.") from error
    finally:
        progress.clear()
    left_out = f", {reader.skipped:,} left out" if reader.skipped else ""
    click.echo(f"Encoded {rows:,} documents: {path}{left_out}", err=True)


def _write(path: Path, reader: Reader, config: str | None, encoder_folder: str | None, progress: ProgressLine) -> int:
    from mbat.encoder import BATCH, Encoder
    from mbat.pipeline import batched

    with tempfile.TemporaryFile() as spool:
        if encoder_folder is None:
            encoder = new_encoder(config).fit(_spooled(reader, spool, progress))
            progress.clear()
            warn_of_unmatched_fields(encoder)
            spool.seek(0)
            documents: Iterable[Any] = map(orjson.loads, spool)
        else:
            encoder = Encoder.load(encoder_folder)
            documents = (record.document for record in reader)
        return _write_rows(path, encoder, batched(documents, BATCH), progress)


def _spooled(reader: Iterable[Record], spool: BinaryIO, progress: ProgressLine) -> Iterator[Any]:
    """Yield the documents, and keep them a line each for a second reading."""
    for number, record in enumerate(reader, start=1):
        spool.write(record.text.translate(_SPACES) + b"\n")
        progress("read", number, None)
        yield record.document


def _write_rows(path: Path, encoder: Encoder, batches: Iterable[list[Any]], progress: ProgressLine) -> int:
    """Write the rows, then the header that tells how many there are, and move the file to its place."""
    partial = path.with_name(f".{path.name}.partial")
    count = 0
    try:
        with partial.open("wb") as file:
            _write_header(file, 0, encoder.dim)
            for rows in encoder.encode_batches(batches):
                rows.tofile(file)
                count += len(rows)
                progress("encode", count, None)
            file.seek(0)
            _write_header(file, count, encoder.dim)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _write_header(file: BinaryIO, rows: int, dim: int) -> None:
    """Write a header of version 1.0, which NumPy pads so that the number of rows does not change its length."""
    header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": (rows, dim)}
    np.lib.format.write_array_header_1_0(file, header)
