"""``mbat query``: documents like a document."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from mbat.errors import SourceError
from mbat_cli.options import effort_option, find_index, index_option

if TYPE_CHECKING:
    from mbat import Hit

_BATCH: Final = 64
_LEAST_WIDTH: Final = 20


@click.command()
@click.argument("document", required=False, metavar="[DOCUMENT | @FILE | -]")
@index_option
@click.option("-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many to find.")
@click.option("--where", metavar="EXPR", help="What documents must be like, as: price < 10 and tags contains 'new'.")
@effort_option
@click.option("--json/--plain", "as_json", default=None, help="JSON lines or a table; a table only on a terminal.")
def query(
    document: str | None,
    index_path: str | None,
    k: int,
    where: str | None,
    effort: float | None,
    as_json: bool | None,
) -> None:
    """Find the documents most like DOCUMENT.

    DOCUMENT is JSON, whole or only the fields that matter; @FILE takes it from a file, and - takes one query
    from each line of standard input.

    \b
      mbat query '{"name": "Bob"}'
      mbat query @bob.json -k 3 | jq .id
      mbat query '{"name": "Bob"}' --where "born >= 1950 and address.city = 'Oslo'"
      cat queries.jsonl | mbat query -
    """
    many = document == "-" or (document is None and not sys.stdin.isatty())
    if document is None and not many:
        raise click.UsageError("""Give a document to search for, as in: mbat query '{"name": "Bob"}'""")
    queries = _lines() if many else iter([_parsed(document or "")])
    from mbat.index import Index

    with Index.open(find_index(index_path)) as opened:
        table = sys.stdout.isatty() if as_json is None else not as_json
        number = 0
        while batch := list(islice(queries, _BATCH)):
            for hits in opened.search_batch(batch, k, where, effort=effort):
                _print(hits, number if many else None, table)
                number += 1


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@index_option
def get(ids: tuple[str, ...], index_path: str | None) -> None:
    """Print the documents with these ids, a line of JSON each."""
    from mbat.index import Index

    path = find_index(index_path)
    with Index.open(path) as index:
        for one in ids:
            try:
                document = index.get(one)
            except KeyError:
                raise SourceError(f"There is no document with the id {one!r} in {path}.") from None
            sys.stdout.buffer.write(orjson.dumps(document) + b"\n")
            sys.stdout.buffer.flush()


def _print(hits: list[Hit], number: int | None, table: bool) -> None:
    if table:
        _print_table(hits, number)
    else:
        _print_lines(hits, number)


def _print_lines(hits: Iterable[Hit], number: int | None) -> None:
    query_number = {} if number is None else {"query": number}
    for hit in hits:
        line = {**query_number, "id": hit.id, "score": round(hit.score, 6), "document": hit.document}
        sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()


def _print_table(hits: list[Hit], number: int | None) -> None:
    if number is not None:
        click.echo(f"{chr(10) if number else ''}query {number}")
    width = shutil.get_terminal_size().columns
    id_width = min(max([2, *(len(hit.id) for hit in hits)]), width // 3)
    room = max(width - id_width - 9, _LEAST_WIDTH)
    click.echo(f"{'score':>6}  {'id':{id_width}}  document")
    for hit in hits:
        text = orjson.dumps(hit.document).decode()
        click.echo(f"{hit.score:6.3f}  {_cut(hit.id, id_width):{id_width}}  {_cut(text, room - 1)}")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _parsed(document: str) -> Any:
    if document.startswith("@"):
        path = Path(document[1:])
        try:
            text, place = path.read_bytes(), str(path)
        except OSError as error:
            raise SourceError(f"The query file {path} cannot be read: {error.strerror}.") from error
    else:
        text, place = document.encode("utf-8", "surrogateescape"), "The query"
    return _loaded(text, place)


def _loaded(text: bytes, place: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SourceError(f"{place} is not JSON: {error.msg} at character {error.pos + 1}.") from None


def _lines() -> Iterator[Any]:
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if line.strip():
            yield _loaded(line, f"standard input, line {number}")
