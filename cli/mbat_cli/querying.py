"""``mbat query`` and ``mbat get``: documents like a document, and documents by their ids."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from mbat.addresses import shown
from mbat.errors import SourceError
from mbat_cli.documents import documents_of_input, parsed_document
from mbat_cli.options import (
    any_index_option,
    depth_option,
    device_options,
    effort_option,
    find_index,
    unmet,
    warn_of_unmet,
    weight_options,
)
from mbat_cli.printing import print_hits, print_line, wants_table

if TYPE_CHECKING:
    from mbat import Hit


@click.command()
@click.argument("document", required=False, metavar="[DOCUMENT | @FILE | -]")
@any_index_option
@click.option("-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many to find.")
@click.option("--where", metavar="EXPR", help="What documents must be like, as: price < 10 and tags contains 'new'.")
@weight_options
@click.option("--like", multiple=True, metavar="ID", help="A document of the index to be like. May be given often.")
@click.option("--unlike", multiple=True, metavar="ID", help="A document not to be like. May be given several times.")
@click.option("--explain", is_flag=True, help="Say why each was found, field by field.")
@depth_option
@effort_option
@device_options
@click.option("--json/--plain", "as_json", default=None, help="JSON lines or a table; a table only on a terminal.")
def query(
    document: str | None,
    index_path: str | None,
    k: int,
    where: str | None,
    weights: dict[str, float],
    ignore: tuple[str, ...],
    like: tuple[str, ...],
    unlike: tuple[str, ...],
    explain: bool,
    depth: int | None,
    effort: float | None,
    device: str,
    gpu_memory: int | None,
    as_json: bool | None,
) -> None:
    """Find the documents most like DOCUMENT.

    DOCUMENT is JSON, whole or only the fields that matter; @FILE takes it from a file, and - takes one query
    from each line of standard input.

    \b
      mbat query '{"name": "Bob"}'
      mbat query @bob.json -k 3 | jq .id
      mbat query '{"name": "Bob"}' --where "born >= 1950 and address.city = 'Oslo'"
      mbat query '{"name": "Bob", "city": "Oslo"}' --weight name=3 --explain
      mbat query --like 17 --like 42 --unlike 5
      cat queries.jsonl | mbat query -
    """
    ids = bool(like or unlike)
    many = document == "-" or (document is None and not ids and not sys.stdin.isatty())
    if document is None and not many and not ids:
        raise click.UsageError("""Give a document to search for, as in: mbat query '{"name": "Bob"}'""")
    if many and ids:
        raise click.UsageError("--like and --unlike go with one DOCUMENT, or none, and not with standard input.")
    if depth and not explain:
        raise click.UsageError("--depth groups the fields of --explain.")
    from mbat.asking import NOTHING
    from mbat.index import Index

    options: dict[str, Any] = {"where": where, "weights": weights, "ignore": ignore, "effort": effort}
    table = wants_table(as_json)
    alone = NOTHING if document is None or many else parsed_document(document)
    unused = {*weights, *ignore}
    with Index.open(find_index(index_path), device, gpu_memory=gpu_memory) as opened:
        if not many:
            hits = opened.search(alone, k, explain=explain, like=like, unlike=unlike, **options)
            print_hits(_grouped(hits, depth), None, table)
            for one in (alone, *map(opened.get, (*like, *unlike) if unused else ())):
                unused = unmet(unused, one)
            warn_of_unmet(unused)
            return
        queries, number = documents_of_input(), 0
        while batch := list(islice(queries, opened.batch)):
            for one in batch:
                unused = unmet(unused, one)
            for hits in opened.search_batch(batch, k, explain=explain, **options):
                print_hits(_grouped(hits, depth), number, table)
                number += 1
        warn_of_unmet(unused)


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@any_index_option
def get(ids: tuple[str, ...], index_path: str | None) -> None:
    """Print the documents with these ids, a line of JSON each."""
    from mbat.index import Index

    place = find_index(index_path)
    with Index.open(place) as index:
        for one in ids:
            try:
                document = index.get(one)
            except KeyError:
                raise SourceError(f"There is no document with the id {one!r} in {shown(place)}.") from None
            print_line(document)


def _grouped(hits: list[Hit], depth: int | None) -> list[Hit]:
    if depth is None:
        return hits
    return [replace(hit, explanation=hit.explanation and hit.explanation.grouped(depth)) for hit in hits]
