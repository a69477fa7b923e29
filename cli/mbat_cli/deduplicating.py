"""``mbat dedup``: documents that are nearly the same."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mbat.errors import SourceError
from mbat.sources import OnError, Reader
from mbat_cli.documents import one_line
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
from mbat_cli.printing import print_group, print_line, print_pair, wants_table

if TYPE_CHECKING:
    from mbat import Index
    from mbat.differences import Difference
    from mbat.duplicates import Duplicates, Pair
    from mbat.explaining import Account

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
@click.option("--id-field", metavar="PATH", help="Field of FILE that holds each document's id, else running numbers.")
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
    if explain and (show != "pairs" or stored_path):
        raise click.UsageError("--explain goes with --show pairs, and not with --rethreshold.")
    if stored_path and (ignore or pairs_path or config):
        raise click.UsageError("With --rethreshold the pairs are there: leave out --ignore, --pairs and --config.")
    where = _source(files, on_error, index_path, id_field, config)
    table = wants_table(as_json)
    if stored_path:
        _regroup(Path(stored_path), threshold, show, where, table)
        return
    from mbat.duplicates import SUGGESTED, find_duplicates
    from mbat.pair_files import save_pairs

    with _opened(where, config) as index:
        with working() as progress:
            found = find_duplicates(index, threshold or SUGGESTED, ignore, progress=progress)
        _warn_of_unmatched(index, ignore)
        if pairs_path:
            save_pairs(found, Path(pairs_path))
        if show == "kept":
            _print_kept(((one.id, one.text) for one in index.stored()), found)
        elif show == "pairs":
            _print_pairs(found, index if explain else None, ignore, table)
        else:
            _print_groups(found, index, table)
    _tell(found)


def _source(
    files: tuple[str, ...], on_error: OnError, index_path: str | None, id_field: str | None, config: str | None
) -> Reader | str | None:
    """Return where the documents are: files, or an index, None if it is not named."""
    if index_path and files:
        raise click.UsageError("Name FILE... or an index, and not both.")
    named = files[0] if len(files) == 1 and files[0].rstrip("/").endswith(".mbat") else index_path
    if files and not named:
        return Reader(files, id_field, on_error)
    if config or id_field:
        raise click.UsageError("--config and --id-field are for FILE...; an index was made with its own.")
    return named


@contextmanager
def _opened(where: Reader | str | None, config: str | None) -> Iterator[Index]:
    """Open the index, or one that is made of the files and gone afterwards."""
    from mbat.building import build_index
    from mbat.index import Index

    if not isinstance(where, Reader):
        with Index.open(find_index(where)) as index:
            yield index
        return
    with tempfile.TemporaryDirectory(prefix="mbat-dedup-") as folder:
        path = Path(folder) / "documents.mbat"
        encoder = new_encoder(config)
        with located(where), working() as progress:
            build_index(path, where, encoder, "exact", progress=progress, fit=True)
        warn_of_unmatched_fields(encoder)
        if where.skipped:
            click.echo(f"Note: {where.skipped:,} broken documents were left out.", err=True)
        with Index.open(path) as index:
            yield index


def _regroup(stored: Path, threshold: float | None, show: str, where: Reader | str | None, table: bool) -> None:
    """Print what a file of pairs holds by a higher threshold."""
    from mbat.index import Index
    from mbat.pair_files import load_pairs

    found = load_pairs(stored)
    found = found if threshold is None else found.at(threshold)
    if show == "pairs":
        _print_pairs(found, None, (), table)
    elif show == "groups":
        _print_groups(found, None, table)
    elif isinstance(where, Reader):
        _print_kept(_numbered(where), found)
    else:
        with Index.open(find_index(where)) as index:
            _print_kept(((one.id, one.text) for one in index.stored()), found)
    _tell(found)


def _numbered(reader: Reader) -> Iterator[tuple[str, bytes]]:
    """Yield id and text of the records of files, the ids numbers if there is no field of them."""
    for position, record in enumerate(reader):
        yield str(position) if record.id is None else record.id, record.text


def _print_kept(texts: Iterator[tuple[str, bytes]], found: Duplicates) -> None:
    """Print the documents that are kept, as they came but for line breaks within."""
    dropped = found.dropped()
    kept, count = [], 0
    for position, (one, text) in enumerate(texts):
        count += 1
        if found.ids.get(position, one) != one:
            raise SourceError(f"These are not the documents of the pairs: the id {one!r} is another there.")
        if position not in dropped:
            kept.append(text)
    if count != found.documents:
        raise SourceError(f"These are {count:,} documents, and the pairs are of {found.documents:,}.")
    for text in kept:
        sys.stdout.buffer.write(one_line(text))
    sys.stdout.buffer.flush()


def _print_groups(found: Duplicates, index: Index | None, table: bool) -> None:
    for group in found.groups():
        if table:
            documents = [None if index is None else _document(index, one) for one in group.ids]
            print_group(group, documents)
        else:
            scores = {"lowest": round(group.lowest, 6), "highest": round(group.highest, 6)}
            print_line({"group": group.ids, "positions": group.positions, "pairs": group.pairs, **scores})


def _print_pairs(found: Duplicates, index: Index | None, ignore: tuple[str, ...], table: bool) -> None:
    """Print pairs, and if there is an index the fields they differ in."""
    from mbat.pair_files import plain_pair

    differing = None if index is None else _differing(index, ignore)
    for pair in found.pairs():
        fields = None if differing is None else differing(pair)
        if table:
            print_pair(pair, fields or ())
        else:
            told = {} if fields is None else {"differs": [one.plain() for one in fields]}
            print_line({**plain_pair(pair), **told})


def _differing(index: Index, ignore: tuple[str, ...]) -> Callable[[Pair], Sequence[Difference]]:
    """Return what tells the fields that the documents of a pair differ in."""
    from mbat.differences import differences

    encoder = index.encoder.weigh({}, ignore)

    @lru_cache(_ACCOUNTS)
    def account(one: str) -> Account:
        return encoder.account(_document(index, one))

    return lambda pair: differences(account(pair.ids[0]), account(pair.ids[1]))


def _warn_of_unmatched(index: Index, ignore: tuple[str, ...]) -> None:
    known = index.encoder.unmatched_fields()
    for path in index.encoder.weigh({}, ignore).unmatched_fields():
        if path not in known:
            click.echo(f"Note: no document has the field {path}, so ignoring it changes nothing.", err=True)


def _document(index: Index, one: str) -> Any:
    try:
        return index.get(one)
    except KeyError:
        raise SourceError(f"The document {one!r} has just been deleted from {index.path}; try again.") from None


def _tell(found: Duplicates) -> None:
    groups = found.groups()
    within = sum(len(group.ids) for group in groups)
    kept = found.documents - within + len(groups)
    click.echo(
        f"Groups: {len(groups):,}, of {within:,} documents together; pairs at {found.threshold:g} or more: "
        f"{len(found):,}. Of {found.documents:,} documents {kept:,} are left if one of each group is kept.",
        err=True,
    )
