"""``mbat eval``: how many of the true neighbours searches find, and how fast."""

from __future__ import annotations

import sys

import click
import orjson

from mbat_cli.options import device_options, effort_option, index_option, named_index


@click.command(name="eval")
@click.argument("name", required=False, metavar="[NAME.mbat]")
@index_option
@click.option("--queries", type=click.IntRange(min=1), default=1000, show_default=True, help="How many to search for.")
@effort_option
@device_options
@click.option("--json/--plain", "as_json", default=None, help="JSON or text; text only on a terminal.")
def evaluate(
    name: str | None,
    index_path: str | None,
    queries: int,
    effort: float | None,
    device: str,
    gpu_memory: int | None,
    as_json: bool | None,
) -> None:
    """Measure how well and how fast an index searches.

    Documents sampled from it are searched for. Recall is the share of the nearest, and of the ten nearest, that a
    search finds, of those that a comparison with every vector finds.
    """
    from mbat.folder_index import FolderIndex
    from mbat.measuring import evaluate as evaluated

    with FolderIndex.open(named_index(name, index_path), device, gpu_memory=gpu_memory) as index:
        told = evaluated(index, queries, effort).plain()
    if as_json or (as_json is None and not sys.stdout.isatty()):
        sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
        return
    for key, value in told.items():
        click.echo(f"{key.replace('_', ' '):>20}  {'default' if value is None else value}")
