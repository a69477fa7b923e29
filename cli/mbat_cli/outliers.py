"""``mbat outliers``: the documents least like their neighbours."""

from __future__ import annotations

from typing import Any, Final

import click

from mbat_cli.options import device_options, effort_option, index_option, named_index, working
from mbat_cli.printing import print_line, print_outlier, wants_table

_FIELDS: Final = 3


@click.command()
@click.argument("name", required=False, metavar="[NAME.mbat]")
@index_option
@click.option("-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many to find.")
@click.option(
    "--neighbours",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many of the nearest other documents count.",
)
@effort_option
@device_options
@click.option("--json/--plain", "as_json", default=None, help="JSON lines or a table; a table only on a terminal.")
def outliers(
    name: str | None,
    index_path: str | None,
    k: int,
    neighbours: int,
    effort: float | None,
    device: str,
    gpu_memory: int | None,
    as_json: bool | None,
) -> None:
    """Find the documents that are least like their nearest neighbours.

    The score is the mean of those of the neighbours; the fields are those that the neighbours agree in least, with
    what each costs of that score.
    """
    from mbat.folder_index import FolderIndex
    from mbat.outliers import find_outliers

    with FolderIndex.open(named_index(name, index_path), device, gpu_memory=gpu_memory) as index:
        with working() as progress:
            found = find_outliers(index, k, neighbours, effort=effort, progress=progress)
        documents = len(index)
    if documents < 2:
        click.echo("Note: an outlier takes two documents or more; the index has fewer.", err=True)
    for outlier in found:
        if wants_table(as_json):
            print_outlier(outlier, _FIELDS)
        else:
            near = [{"id": one, "score": round(score, 6)} for one, score in outlier.neighbours]
            fields: list[dict[str, Any]] = [
                {**field._asdict(), "lost": round(field.lost, 6)} for field in outlier.fields
            ]
            told = {"id": outlier.id, "score": round(outlier.score, 6), "neighbours": near, "fields": fields}
            print_line({**told, "document": outlier.document})
