"""``mbat push``: an index, or vectors in Parquet files, to a collection of Milvus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mbat.addresses import Address, address_of, folder_of
from mbat.milvus.kinds import DEFAULT_KIND, KINDS
from mbat.records import OnError
from mbat_cli.options import counted, find_index, index_option, on_error_option, working

if TYPE_CHECKING:
    from mbat.milvus import Pushed

_ENCODER: Final = "encoder"


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE.parquet... | FOLDER]")
@index_option
@click.option("--to", "uri", required=True, metavar="URI", help="A file of milvus-lite, NAME.db, or http://HOST:19530.")
@click.option("--collection", required=True, metavar="NAME", help="The collection to make.")
@click.option("--kind", type=click.Choice(list(KINDS)), default=DEFAULT_KIND, show_default=True, help="How to search.")
@click.option(
    "--encoder",
    "encoder_folder",
    metavar="FOLDER",
    help="Of Parquet files: the encoder that made the vectors, as an index or a folder written by Encoder.save. "
    "Without it the folder encoder beside the first file.",
)
@on_error_option
@click.option("--overwrite", is_flag=True, help="Replace a collection that is there already.")
def push(
    files: tuple[str, ...],
    index_path: str | None,
    uri: str,
    collection: str,
    kind: str,
    encoder_folder: str | None,
    on_error: OnError,
    overwrite: bool,
) -> None:
    """Serve an index by Milvus: write its documents and vectors to a collection.

    Instead of an index FILE... are Parquet files that mbat encode --engine ray has written, or FOLDER all of them. When
    all is written each document is looked for again, by its id and by a search; status 1 if one is missing.

    \b
      mbat push -i docs.mbat --to docs.db --collection docs
      mbat push out/ --to http://localhost:19530 --collection docs --kind IVF_SQ8
      mbat query -i "milvus:docs.db#docs" '{"name": "Bob"}'

    A token for a server is taken from $MBAT_MILVUS_TOKEN.
    """
    if files and index_path:
        raise click.UsageError("Name what to push once, as files or with -i.")
    if encoder_folder and not files:
        raise click.UsageError("--encoder is for Parquet files; an index has its own.")
    address = address_of(uri, collection)
    with working() as progress:
        how: dict[str, Any] = {"kind": kind, "overwrite": overwrite, "on_error": on_error, "progress": progress}
        if files:
            pushed = _push_files(files, encoder_folder, address, how)
        else:
            pushed = _push_index(folder_of(find_index(index_path)), address, how)
    left_out = f", {pushed.left_out:,} left out" if pushed.left_out else ""
    click.echo(f"Pushed {counted(pushed.rows)}: {address}{left_out}", err=True)
    findings = pushed.findings()
    for finding in findings:
        click.echo(finding, err=True)
    if findings:
        raise click.exceptions.Exit(1)


def _push_index(folder: Path, address: Address, how: dict[str, Any]) -> Pushed:
    from mbat.folder_index import FolderIndex
    from mbat.milvus.pushing import push as pushed

    with FolderIndex.open(folder) as index:
        return pushed(index, address.uri, address.name, **how)


def _push_files(files: tuple[str, ...], encoder_folder: str | None, address: Address, how: dict[str, Any]) -> Pushed:
    from mbat.encoder import Encoder
    from mbat.milvus.pushing import files_in, push_files

    named = files_in(files)
    encoder = Encoder.load(encoder_folder or Path(named[0]).parent / _ENCODER)
    return push_files(named, encoder, address.uri, address.name, **how)
