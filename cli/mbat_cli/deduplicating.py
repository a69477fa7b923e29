"""``mbat dedup``: documents that are nearly the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mbat.errors import SourceError
from mbat.sources import OnError, Reader, Record
from mbat_cli.duplicates_shown import print_groups, print_kept, print_pairs, tell_of_duplicates
from mbat_cli.options import (
    config_option,
    find_index,
    index_option,
    located,
    new_encoder,
    on_error_option,
    warn_of_unmatched_fields,
    working,
)
from mbat_cli.printing import wants_table

if TYPE_CHECKING:
    from mbat.differences import Difference
    from mbat.duplicates import Duplicates, Pair
    from mbat.explaining import Account
    from mbat.folder_index import FolderIndex

_ACCOUNTS: Final = 256


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE... | NAME.mbat]")
@on_error_option
@index_option
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    show_default="0.85; with --rethreshold that of the pairs",
    help="The least score of a pair. Lower finds more pairs, and more wrong ones; docs/duplicates.md has figures.",
)
@click.option(
    "--show",
    type=click.Choice(["groups", "pairs", "kept"]),
    default="groups",
    show_default=True,
    help="What to print: groups of duplicates, pairs with their scores, or the documents that are left when of each "
    "group the first is kept.",
)
@click.option("--explain", is_flag=True, help="With --show pairs: the fields that differ, and what each costs.")
@click.option("--ignore", multiple=True, metavar="PATH", help="A field that does not count, such as an id. Repeatable.")
@click.option("--pairs", "pairs_path", metavar="PAIRS.jsonl", help="Write the pairs to a file, for --rethreshold.")
@click.option(
    "--rethreshold",
    "stored_path",
    metavar="PAIRS.jsonl",
    help="Take the pairs of a file that --pairs has written, instead of finding them; at the same threshold or a "
    "higher one. Documents need be named for --show kept alone.",
)
@click.option("--id-field", metavar="PATH", help="Field of FILE that documents are called by, else running numbers.")
@config_option
@click.option("--json/--plain", "as_json", default=None, help="JSON lines or text; text only on a terminal.")
def dedup(
    files: tuple[str, ...],
    on_error: OnError,
    index_path: str | None,
    threshold: float | None,
    show: str,
    explain: bool,
    ignore: tuple[str, ...],
    pairs_path: str | None,
    stored_path: str | None,
    id_field: str | None,
    config: str | None,
    as_json: bool | None,
) -> None:
    """Find documents that are nearly the same, in FILE... or in an index.

    Every two documents are compared. Those whose score reaches the threshold are a pair; documents that pairs link,
    directly or through others, are a group. FILE is as for mbat index, or one NAME.mbat; without FILE it is the index
    of -i.

    \b
      mbat dedup docs.jsonl --ignore id
      mbat dedup docs.jsonl --show pairs --explain
      mbat dedup docs.jsonl --show kept > clean.jsonl
      mbat dedup docs.jsonl --threshold 0.7 --pairs pairs.jsonl > groups.jsonl
      mbat dedup --rethreshold pairs.jsonl --threshold 0.9
    """
    if show == "kept" and as_json is not None:
        raise click.UsageError("--show kept prints the documents as they came: leave out --json and --plain.")
    if explain and (show != "pairs" or stored_path):
        raise click.UsageError("--explain goes with --show pairs, and not with --rethreshold.")
    if stored_path:
        if ignore or pairs_path or config:
            raise click.UsageError("With --rethreshold the pairs are there: leave out --ignore, --pairs and --config.")
        if show != "kept" and (files or index_path or id_field or on_error != "stop"):
            raise click.UsageError("With --rethreshold documents, and how they are read, are for --show kept alone.")
    where = _source(files, on_error, index_path, id_field, config)
    table = wants_table(as_json)
    if stored_path:
        _regroup(Path(stored_path), threshold, show, where, table)
        return
    from mbat.duplicates import SUGGESTED, find_duplicates
    from mbat.pair_files import check_pairs_file, save_pairs

    if pairs_path:
        check_pairs_file(Path(pairs_path), map(Path, files) if isinstance(where, Reader) else [find_index(where)])
    with _opened(where, config) as (index, labels):
        with working() as progress:
            found = find_duplicates(index, threshold or SUGGESTED, ignore, progress=progress)
        _warn_of_unmatched(index, ignore)
        document = _documents(index, found)
        if labels is not None:
            found = replace(found, ids={position: labels[position] for position in found.ids})
        if pairs_path:
            save_pairs(found, Path(pairs_path))
        if show == "kept":
            print_kept(_texts(index, labels), found)
        elif show == "pairs":
            print_pairs(found, _differing(index, ignore, document) if explain else None, table)
        else:
            print_groups(found, document, table)
    tell_of_duplicates(found)


def _source(
    files: tuple[str, ...], on_error: OnError, index_path: str | None, id_field: str | None, config: str | None
) -> Reader | str | None:
    """Return where the documents are: files, or an index, None if it is not named."""
    if index_path and files:
        raise click.UsageError("Name FILE... or an index, and not both.")
    named = files[0] if len(files) == 1 and files[0].rstrip("/").endswith(".mbat") else index_path
    if files and not named:
        return Reader(files, id_field, on_error)
    if config or id_field or on_error != "stop":
        raise click.UsageError(
            "--config, --id-field and --on-error are for FILE...; an index was made with its own, of whole documents."
        )
    return named


@contextmanager
def _opened(where: Reader | str | None, config: str | None) -> Iterator[tuple[FolderIndex, list[str] | None]]:
    """Open the index, or one that is made of the files and gone afterwards, and what its documents are called if so."""
    from mbat.building import build_index
    from mbat.folder_index import FolderIndex

    if not isinstance(where, Reader):
        with FolderIndex.open(find_index(where)) as index:
            yield index, None
        return
    labels: list[str] = []
    with tempfile.TemporaryDirectory(prefix="mbat-dedup-") as folder:
        path = Path(folder) / "documents.mbat"
        encoder = new_encoder(config)
        with located(where), working() as progress:
            build_index(path, _numbered(where, labels), encoder, "exact", progress=progress, fit=True)
        warn_of_unmatched_fields(encoder)
        if where.skipped:
            click.echo(f"Note: {where.skipped:,} broken documents were left out.", err=True)
        with FolderIndex.open(path) as index:
            yield index, labels


def _numbered(reader: Reader, labels: list[str]) -> Iterator[Record]:
    """Yield records without their ids, of which two may be the same, and keep these or running numbers as labels."""
    for position, record in enumerate(reader):
        labels.append(str(position) if record.id is None else record.id)
        yield record._replace(id=None)


def _regroup(stored: Path, threshold: float | None, show: str, where: Reader | str | None, table: bool) -> None:
    """Print what a file of pairs holds by a higher threshold."""
    from mbat.folder_index import FolderIndex
    from mbat.pair_files import load_pairs

    found = load_pairs(stored)
    found = found if threshold is None else found.at(threshold)
    if show == "pairs":
        print_pairs(found, None, table)
    elif show == "groups":
        print_groups(found, None, table)
    elif isinstance(where, Reader):
        labels: list[str] = []
        print_kept(((labels[-1], record.text) for record in _numbered(where, labels)), found)
    else:
        with FolderIndex.open(find_index(where)) as index:
            print_kept(_texts(index, None), found)
    tell_of_duplicates(found)


def _texts(index: FolderIndex, labels: list[str] | None) -> Iterator[tuple[str, bytes]]:
    """Yield what documents are called, and their texts."""
    for position, stored in enumerate(index.stored()):
        yield stored.id if labels is None else labels[position], stored.text


def _documents(index: FolderIndex, found: Duplicates) -> Callable[[int], Any]:
    """Return what returns the document at a position of those in pairs."""

    def document(position: int) -> Any:
        one = found.ids[position]
        try:
            return index.get(one)
        except KeyError:
            raise SourceError(f"The document {one!r} has just been deleted from {index.path}; try again.") from None

    return document


def _differing(
    index: FolderIndex, ignore: tuple[str, ...], document: Callable[[int], Any]
) -> Callable[[Pair], Sequence[Difference]]:
    """Return what tells the fields that the documents of a pair differ in."""
    from mbat.differences import differences

    encoder = index.encoder.weigh({}, ignore)

    @lru_cache(_ACCOUNTS)
    def account(position: int) -> Account:
        return encoder.account(document(position))

    return lambda pair: differences(*map(account, pair.positions))


def _warn_of_unmatched(index: FolderIndex, ignore: tuple[str, ...]) -> None:
    known = index.encoder.unmatched_fields()
    for path in index.encoder.weigh({}, ignore).unmatched_fields():
        if path not in known:
            click.echo(f"Note: no document has the field {path}, so ignoring it changes nothing.", err=True)
