"""``mbat map``: the documents of an index on a plane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mbat_cli.options import counted, index_option, named_index, picture_option

if TYPE_CHECKING:
    from mbat.mapping import Method


@click.command(name="map")
@click.argument("name", required=False, metavar="[NAME.mbat]")
@index_option
@picture_option(required=True)
@click.option("--colour", "--color", "colour", metavar="PATH", help="Field that colours the documents.")
@click.option(
    "--method",
    type=click.Choice(["pca", "umap"]),
    default="pca",
    show_default=True,
    help="Principal components, or UMAP (needs umap-learn), which keeps neighbours together.",
)
@click.option(
    "--sample",
    type=click.IntRange(min=3),
    default=10_000,
    show_default=True,
    metavar="N",
    help="How many documents to show at most, drawn at random.",
)
def draw_map(
    name: str | None, index_path: str | None, output: Path, colour: str | None, method: Method, sample: int
) -> None:
    """Draw the documents of an index on a plane, those that are alike near each other.

    In a page (.html) the mouse shows each document's id and main fields, and zooms. A field of text colours by its ten
    most frequent values, a field of numbers by a scale.

    \b
      mbat map -o map.html --colour seller.country
      mbat map docs.mbat -o map.png --method umap
    """
    from mbat.folder_index import FolderIndex
    from mbat.mapping import map_of
    from mbat.pictures import map_chart, save_picture

    with FolderIndex.open(named_index(name, index_path)) as index:
        drawn = map_of(index, colour, method, sample)
    if len(drawn.ids) < drawn.documents:
        click.echo(
            f"Note: {len(drawn.ids):,} of {drawn.documents:,} documents are shown; more with --sample.", err=True
        )
    save_picture(map_chart(drawn), output)
    click.echo(f"Drew {counted(len(drawn.ids))}: {output}", err=True)
