"""``mbat index``: files to an index."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click

from mbat.errors import DocumentError, SourceError
from mbat.sources import STANDARD_INPUT, OnError, Reader
from mbat_cli.options import config_option, input_options, new_encoder, warn_of_unmatched_fields
from mbat_cli.progress import ProgressLine
from mbat_indexes import KINDS

_SUFFIXES: Final = (".gz", ".jsonl", ".ndjson", ".json")


@click.command()
@input_options
@click.option("-o", "--output", metavar="NAME.mbat", help="The index to make; by default FILE's name with .mbat.")
@click.option("--id-field", metavar="PATH", help="Field that holds each document's id, as a.b; else running numbers.")
@click.option("--kind", type=click.Choice(["auto", *KINDS]), default="auto", show_default=True, help="How to store.")
@config_option
@click.option("--overwrite", is_flag=True, help="Replace an index that is there already.")
def index(
    files: tuple[str, ...],
    on_error: OnError,
    output: str | None,
    id_field: str | None,
    kind: str,
    config: str | None,
    overwrite: bool,
) -> None:
    """Make an index of the documents in FILE...

    Files end in .jsonl or .ndjson (one document a line) or .json (an array of documents, or one), each also with
    .gz after it; - is JSON lines on standard input.
    """
    from mbat.building import build_index, check_place

    path = Path(output) if output else _named_after(files)
    check_place(path, overwrite)
    encoder = new_encoder(config)
    reader = Reader(files, id_field, on_error)
    progress = ProgressLine()
    counted = 0

    def report(stage: str, done: int, total: int | None) -> None:
        nonlocal counted
        counted = max(counted, done)
        progress(stage, done, total)

    start = time.perf_counter()
    try:
        build_index(path, reader, encoder, kind, overwrite, report, fit=True)
    except DocumentError as error:
        place = reader.where(error.position or 0)
        raise SourceError(f"{place}, at {error.path}: {error.reason}.") from error
    finally:
        progress.clear()
    warn_of_unmatched_fields(encoder)
    left_out = f", {reader.skipped:,} left out" if reader.skipped else ""
    click.echo(
        f"Indexed {counted:,} documents in {time.perf_counter() - start:.1f} s: {path}{left_out}",
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
