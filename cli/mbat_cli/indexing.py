"""``mbat index``: files to an index."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click

from mbat.addresses import folder_of
from mbat.records import OnError
from mbat.sources import STANDARD_INPUT, Reader, located
from mbat_cli.options import (
    config_option,
    counted,
    device_options,
    id_field_option,
    input_options,
    new_encoder,
    tell_of_kind,
    warn_of_unmatched_fields,
    workers_option,
    working,
)
from mbat_indexes import KINDS

_SUFFIXES: Final = (".gz", ".zst", ".jsonl", ".ndjson", ".json", ".parquet")


@click.command()
@input_options
@click.option("-o", "--output", metavar="NAME.mbat", help="The index to make; by default FILE's name with .mbat.")
@id_field_option
@click.option("--kind", type=click.Choice(["auto", *KINDS]), default="auto", show_default=True, help="How to store.")
@config_option
@workers_option
@device_options
@click.option("--overwrite", is_flag=True, help="Replace an index that is there already.")
def index(
    files: tuple[str, ...],
    on_error: OnError,
    output: str | None,
    id_field: str | None,
    kind: str,
    config: str | None,
    workers: int,
    device: str,
    gpu_memory: int | None,
    overwrite: bool,
) -> None:
    """Make an index of the documents in FILE...

    Files end in .jsonl or .ndjson (one document a line) or .json (an array of documents, or one), each also with
    .gz or .zst after it, or in .parquet (a row is a document); - is JSON lines on standard input.
    """
    from mbat.building import build_index, check_place
    from mbat.given import found_device

    path = folder_of(output) if output else _named_after(files)
    check_place(path, overwrite)
    where = found_device(device, gpu_memory)
    encoder = new_encoder(config)
    reader = Reader(files, id_field, on_error)
    start = time.perf_counter()
    with located(reader), working() as progress:
        how = path, reader, encoder, kind, overwrite, progress
        content = build_index(*how, fit=True, id_field=id_field, workers=workers, device=where)
    warn_of_unmatched_fields(encoder)
    tell_of_kind(content)
    left_out = f", {reader.skipped:,} left out" if reader.skipped else ""
    click.echo(
        f"Indexed {counted(content.documents)} in {time.perf_counter() - start:.1f} s: {path}{left_out}",
        err=True,
    )


def _named_after(files: tuple[str, ...]) -> Path:
    """Return FILE's name, its suffix replaced by .mbat, in the current folder."""
    if len(files) > 1 or files[0] == STANDARD_INPUT:
        raise click.UsageError("Name the index with -o NAME.mbat when there are several files or standard input.")
    path = Path(files[0])
    while path.suffix in _SUFFIXES:
        path = path.with_suffix("")
    return Path(f"{path.name}.mbat")
