"""``mbat add``, ``upsert``, ``delete``, ``compact`` and ``rebuild``: changes to an index."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mbat.addresses import is_collection, shown
from mbat.records import OnError
from mbat.sources import STANDARD_INPUT, Reader, located
from mbat_cli.options import (
    any_index_option,
    counted,
    device_options,
    find_folder,
    find_index,
    folder_bytes,
    id_field_option,
    index_option,
    input_options,
    tell_of_kind,
    working,
)
from mbat_indexes import KINDS

if TYPE_CHECKING:
    from mbat.putting import Changes


@click.command()
@input_options
@any_index_option
@id_field_option
def add(files: tuple[str, ...], on_error: OnError, index_path: str | None, id_field: str | None) -> None:
    """Add the documents in FILE... to an index.

    All of them or, if anything is wrong, none. Their ids are those of the field that the index was made with, or of
    --id-field; without either they are numbered on. An id that is taken is an error; mbat upsert replaces. In Milvus
    a change that is interrupted leaves a part.
    """
    _put(find_index(index_path), files, on_error, id_field, replacing=False)


@click.command()
@input_options
@any_index_option
@id_field_option
def upsert(files: tuple[str, ...], on_error: OnError, index_path: str | None, id_field: str | None) -> None:
    """Add the documents in FILE..., or replace those that have their ids.

    All of them or, if anything is wrong, none. A document that is there as it is, is left alone; of two with one id
    the last counts. In Milvus a change that is interrupted leaves a part; run it again.
    """
    _put(find_index(index_path), files, on_error, id_field, replacing=True)


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@any_index_option
def delete(ids: tuple[str, ...], index_path: str | None) -> None:
    """Delete the documents with these ids, all in one change.

    An ID of - stands for ids on standard input, one a line. Ids that no document has are counted and passed over.
    """
    from mbat.index import Index
    from mbat.putting import drop_documents

    place = find_index(index_path)
    named = {one for given in ids for one in (_lines() if given == STANDARD_INPUT else [given])}
    if is_collection(place):
        with Index.open(place) as index:
            deleted = index.delete(named)
    else:
        deleted = drop_documents(Path(place), named)  # which needs no text embedder
    click.echo(f"Deleted {deleted:,}, not found {len(named) - deleted:,}: {shown(place)}", err=True)


@click.command()
@index_option
def compact(index_path: str | None) -> None:
    """Give the space of deleted and replaced documents back."""
    from mbat.folder_index import FolderIndex

    path = find_folder(index_path)
    with FolderIndex.open(path) as index:
        before = folder_bytes(path)
        with working() as progress:
            given_back = index.compact(progress=progress)
    click.echo(f"Compacted: {before:,} bytes are now {folder_bytes(path):,}: {path}", err=True)
    if not given_back:
        click.echo("Note: readers hold what the documents were before; the rest is given back when they end.", err=True)


@click.command()
@index_option
@click.option("--kind", type=click.Choice(["auto", *KINDS]), help="How to store and search; as it is if not given.")
@click.option("--refit", is_flag=True, help="Learn the encoder's statistics anew from the documents.")
@device_options
def rebuild(index_path: str | None, kind: str | None, refit: bool, device: str, gpu_memory: int | None) -> None:
    """Make all vectors anew from the documents that the index holds.

    This changes the kind, learns from documents that were added since, or both. No source files are needed.
    """
    from mbat.given import found_device
    from mbat.rewriting import rebuild_index

    path = find_folder(index_path)
    with working() as progress:
        content = rebuild_index(path, kind, refit, progress, device=found_device(device, gpu_memory))
    click.echo(f"Rebuilt {counted(content.documents)} as {content.kind}: {path}", err=True)
    tell_of_kind(content)


def _put(place: str, files: tuple[str, ...], on_error: OnError, id_field: str | None, replacing: bool) -> None:
    from mbat.index import Index

    with Index.open(place) as index:
        field = id_field or index.id_field
        if replacing and field is None:
            raise click.UsageError("upsert needs to know the documents' ids: name their field with --id-field PATH.")
        reader = Reader(files, field, on_error)
        with located(reader), working() as progress:
            changes = index.put(reader, replacing, progress)
        _tell(shown(place), changes, replacing, reader.skipped)
        _advise(index.encoder.statistics.documents, len(index))


def _tell(place: str, changes: Changes, replacing: bool, skipped: int) -> None:
    counts = f"Added {changes.added:,}"
    if replacing:
        counts += f", replaced {changes.replaced:,}, unchanged {changes.unchanged:,}"
    left_out = f", {skipped:,} left out" if skipped else ""
    click.echo(f"{counts}: {place}{left_out}", err=True)


def _advise(fitted: int, documents: int) -> None:
    """Say so when most documents are newer than what the encoder has learned."""
    if documents > 2 * fitted:
        click.echo(
            f"Note: the encoder has learned from {fitted:,} of now {documents:,} documents; "
            "mbat rebuild --refit learns from all.",
            err=True,
        )


def _lines() -> list[str]:
    return [line.rstrip("\r\n") for line in sys.stdin if line.strip("\r\n")]
