"""``mbat encode --engine ray``: files to a folder of Parquet files."""

from __future__ import annotations

from pathlib import Path

import click

from mbat.records import OnError
from mbat_cli.options import counted, new_encoder, warn_of_unmatched_fields, working


def encode_on_ray(
    files: tuple[str, ...],
    output: Path,
    id_field: str | None,
    on_error: OnError,
    encoder_from: tuple[str | None, str | None],
    address: str | None,
    workers: int | None,
) -> None:
    """Write the vectors of files to a folder, by workers of Ray; `encoder_from` are --config and --encoder."""
    if output.suffix == ".npy":
        told = f"With --engine ray the output is a folder of Parquet files; {output} is the name of another file."
        raise click.UsageError(told)
    from mbat.encoder import Encoder
    from mbat.ray import encode_files
    from mbat.ray.cluster import cluster
    from mbat.ray.files import check_request

    config, folder = encoder_from
    encoder = new_encoder(config) if folder is None else Encoder.load(folder)
    check_request(files, output, encoder, id_field, on_error, workers)
    with working() as progress, cluster(address, workers):
        done = encode_files(
            files,
            output,
            encoder,
            fit=folder is None,
            id_field=id_field,
            on_error=on_error,
            workers=workers,
            progress=progress,
        )
    if folder is None:
        warn_of_unmatched_fields(done.encoder)
    left_out = f", {done.skipped:,} left out" if done.skipped else ""
    click.echo(f"Encoded {counted(done.documents)}: {output}{left_out}", err=True)
