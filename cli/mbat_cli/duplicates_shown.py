"""What ``mbat dedup`` prints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from mbat.errors import SourceError
from mbat_cli.documents import one_line
from mbat_cli.printing import print_group, print_line, print_pair

if TYPE_CHECKING:
    from mbat.differences import Difference
    from mbat.duplicates import Duplicates, Pair


def print_kept(texts: Iterable[tuple[str, bytes]], found: Duplicates) -> None:
    """Print the documents that are kept, of all with their ids, as they came but for line breaks within."""
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


def print_groups(found: Duplicates, document: Callable[[int], Any] | None, table: bool) -> None:
    """Print groups, in a table with the documents at their positions where these are at hand."""
    for group in found.groups():
        if table:
            documents = [None if document is None else document(position) for position in group.positions]
            print_group(group, documents)
        else:
            scores = {"lowest": round(group.lowest, 6), "highest": round(group.highest, 6)}
            print_line({"group": group.ids, "positions": group.positions, "pairs": group.pairs, **scores})


def print_pairs(found: Duplicates, differing: Callable[[Pair], Sequence[Difference]] | None, table: bool) -> None:
    """Print pairs, and if it can be told the fields they differ in."""
    from mbat.pair_files import plain_pair

    for pair in found.pairs():
        fields = None if differing is None else differing(pair)
        if table:
            print_pair(pair, fields or ())
        else:
            told = {} if fields is None else {"differs": [one.plain() for one in fields]}
            print_line({**plain_pair(pair), **told})


def tell_of_duplicates(found: Duplicates) -> None:
    """Say on stderr how many there are."""
    groups = found.groups()
    within = sum(len(group.ids) for group in groups)
    kept = found.documents - within + len(groups)
    click.echo(
        f"Groups: {len(groups):,}, of {within:,} documents together; pairs at {found.threshold:g} or more: "
        f"{len(found):,}. Of {found.documents:,} documents {kept:,} are left if one of each group is kept.",
        err=True,
    )
