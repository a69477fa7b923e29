"""``mbat verify``: whether an index is what was written, and mending it."""

from __future__ import annotations

import click

from mbat_cli.options import counted, find_folder, index_option, working


@click.command()
@index_option
@click.option("--repair", is_flag=True, help="Make anew all that can be made of the documents.")
def verify(index_path: str | None, repair: bool) -> None:
    """Read all of an index and tell what is wrong with it.

    A finding a line on standard output, and status 1 if there is any. With --repair vectors and counts are made anew
    from the documents, and then looked at again; documents that are damaged themselves cannot be mended.
    """
    from mbat.repairing import repair_index
    from mbat.verifying import verify_index

    path = find_folder(index_path)
    if repair:
        with working() as progress:
            content = repair_index(path, progress)
        click.echo(f"Made the vectors of {counted(content.documents)} anew: {path}", err=True)
    findings = verify_index(path)
    for finding in findings:
        click.echo(finding)
    if findings:
        click.echo(f"{len(findings):,} things are wrong with {path}.", err=True)
        raise click.exceptions.Exit(1)
    click.echo(f"All is well: {path}", err=True)
