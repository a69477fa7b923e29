"""Results on standard output: lines of JSON for programs, tables for people."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

if TYPE_CHECKING:
    from mbat import Explanation, Hit, Number
    from mbat.differences import Difference
    from mbat.duplicates import Group, Pair
    from mbat.outliers import Outlier

_LEAST_WIDTH: Final = 20
_INDENT: Final = "    "
_SHOWN: Final = 0.0005
"""A field that costs less of a score has no line in a table."""


def wants_table(as_json: bool | None) -> bool:
    """Return whether to print tables: as asked for, else on a terminal."""
    return sys.stdout.isatty() if as_json is None else not as_json


def print_line(value: Any) -> None:
    """Print a line of JSON, at once."""
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.buffer.flush()


def print_hits(hits: list[Hit], number: int | None, table: bool) -> None:
    """Print what a query has found; `number` tells which query it is, if there may be several."""
    if table:
        _print_table(hits, number)
    else:
        _print_lines(hits, number)


def print_explanation(why: Explanation, table: bool) -> None:
    """Print why two documents are alike."""
    if table:
        from mbat.explanation_table import explanation_table

        click.echo(explanation_table(why, max(shutil.get_terminal_size().columns, 2 * _LEAST_WIDTH)))
    else:
        print_line(_plain(why))


def print_values(ranked: Iterable[tuple[Any, float]], table: bool) -> None:
    """Print values that a vector may hold, best first."""
    if not table:
        for value, score in ranked:
            sys.stdout.buffer.write(orjson.dumps({"value": value, "score": round(score, 6)}) + b"\n")
        sys.stdout.buffer.flush()
        return
    from mbat.terminal import cut

    room = max(shutil.get_terminal_size().columns - 9, _LEAST_WIDTH)
    click.echo(f"{'score':>6}  value")
    for value, score in ranked:
        click.echo(f"{score:6.3f}  {cut(_json(value), room)}")


def print_number(number: Number, table: bool) -> None:
    """Print a number that a vector holds, and its error bar."""
    if table:
        click.echo(
            f"{'score':>6}  value\n{number.cosine:6.3f}  {number.value:.6g}, {number.low:.6g} to {number.high:.6g}"
        )
    else:
        bar = {"value": number.value, "low": number.low, "high": number.high}
        print_line({**bar, "score": round(number.cosine, 6)})


def _plain(why: Explanation) -> dict[str, Any]:
    parts = [vars(part) for part in why.parts]
    return {"score": why.score, "agreement": why.agreement, "parts": parts}


def _print_lines(hits: Iterable[Hit], number: int | None) -> None:
    query_number = {} if number is None else {"query": number}
    for hit in hits:
        line = {**query_number, "id": hit.id, "score": round(hit.score, 6), "document": hit.document}
        if hit.explanation is not None:
            line["explanation"] = _plain(hit.explanation)
        sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()


def _print_table(hits: list[Hit], number: int | None) -> None:
    from mbat.explanation_table import explanation_table
    from mbat.terminal import cut, padded, printable, width_of

    if number is not None:
        click.echo(f"{chr(10) if number else ''}query {number}")
    width = shutil.get_terminal_size().columns
    ids = [printable(hit.id) for hit in hits]
    id_width = min(max([2, *map(width_of, ids)]), width // 3)
    room = max(width - id_width - 9, _LEAST_WIDTH)
    click.echo(f"{'score':>6}  {'id':{id_width}}  document")
    for one, hit in zip(ids, hits, strict=True):
        text = _json(hit.document)
        click.echo(f"{hit.score:6.3f}  {padded(cut(one, id_width), id_width)}  {cut(text, room - 1)}")
        if hit.explanation is not None:
            table = explanation_table(hit.explanation, max(width - len(_INDENT), 2 * _LEAST_WIDTH))
            click.echo("".join(f"{_INDENT}{line}\n" for line in table.splitlines()))


def print_group(group: Group, documents: Sequence[Any]) -> None:
    """Print a group of duplicates for people; the documents may be None where they are not at hand."""
    from mbat.terminal import cut, padded, printable, width_of

    width = shutil.get_terminal_size().columns
    ids = list(map(printable, group.ids))
    id_width = min(max(map(width_of, ids)), width // 3)
    room = max(width - id_width - 9, _LEAST_WIDTH)
    click.echo(f"{len(group.ids):,} documents, {_scores(group)}")
    for number, (one, document) in enumerate(zip(ids, documents, strict=True)):
        mark = "" if number else "keep"
        text = "" if document is None else cut(_json(document), room)
        click.echo(f"  {mark:4}  {padded(cut(one, id_width), id_width)} {text}".rstrip())


def print_pair(pair: Pair, differing: Sequence[Difference]) -> None:
    """Print a pair of duplicates for people, with the fields that differ."""
    from mbat.terminal import printable

    click.echo(f"{pair.score:6.3f}  {' | '.join(map(printable, pair.ids))}")
    values = [
        ["missing" if one.missing == i else _json(one.values[i]) for i in range(2)]
        for one in differing
        if one.lost >= _SHOWN
    ]
    _print_fields([(one.path, one.lost) for one in differing if one.lost >= _SHOWN], values)


def print_outlier(outlier: Outlier, most: int) -> None:
    """Print an outlier for people, with the fields that cost most."""
    from mbat.terminal import cut, printable, width_of

    width = shutil.get_terminal_size().columns
    one = cut(printable(outlier.id), width // 3)
    room = max(width - width_of(one) - 11, _LEAST_WIDTH)
    click.echo(f"{outlier.score:6.3f}  {one}  {cut(_json(outlier.document), room)}")
    fields = outlier.fields[:most]
    values = [[_json(field.value), ", ".join(map(_json, field.others)) or "missing"] for field in fields]
    _print_fields([(field.path, field.lost) for field in fields], values)


def _print_fields(fields: Sequence[tuple[str, float]], values: Sequence[Sequence[str]]) -> None:
    """Print fields, a line each: what it costs, and the values on both sides."""
    from mbat.terminal import cut, padded, printable, width_of

    width = shutil.get_terminal_size().columns
    paths = [printable(path) for path, _ in fields]
    name_width = min(max([0, *map(width_of, paths)]), width // 3)
    room = max(width - name_width - 20, _LEAST_WIDTH)
    for path, (_, lost), (one, other) in zip(paths, fields, values, strict=True):
        first = cut(one, max(room // 2, room - width_of(other)))
        second = cut(other, room - width_of(first))
        click.echo(f"        {padded(cut(path, name_width), name_width)} {-lost:7.3f} {first} | {second}")


def _scores(group: Group) -> str:
    low, high = f"{group.lowest:.3f}", f"{group.highest:.3f}"
    return f"score {low}" if low == high else f"scores {low} to {high}"


def _json(value: Any) -> str:
    from mbat.terminal import printable

    return printable(orjson.dumps(value).decode())
