"""Results on standard output: lines of JSON for programs, tables for people."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

if TYPE_CHECKING:
    from mbat import Explanation, Hit, Number

_LEAST_WIDTH: Final = 20
_INDENT: Final = "    "


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
    from mbat.explanation_table import cut

    room = max(shutil.get_terminal_size().columns - 9, _LEAST_WIDTH)
    click.echo(f"{'score':>6}  value")
    for value, score in ranked:
        click.echo(f"{score:6.3f}  {cut(orjson.dumps(value).decode(), room)}")


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
    return {"score": why.score, "agreement": why.agreement, "parts": [vars(part) for part in why.parts]}


def _print_lines(hits: Iterable[Hit], number: int | None) -> None:
    query_number = {} if number is None else {"query": number}
    for hit in hits:
        line = {**query_number, "id": hit.id, "score": round(hit.score, 6), "document": hit.document}
        if hit.explanation is not None:
            line["explanation"] = _plain(hit.explanation)
        sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()


def _print_table(hits: list[Hit], number: int | None) -> None:
    from mbat.explanation_table import cut, explanation_table

    if number is not None:
        click.echo(f"{chr(10) if number else ''}query {number}")
    width = shutil.get_terminal_size().columns
    id_width = min(max([2, *(len(hit.id) for hit in hits)]), width // 3)
    room = max(width - id_width - 9, _LEAST_WIDTH)
    click.echo(f"{'score':>6}  {'id':{id_width}}  document")
    for hit in hits:
        text = orjson.dumps(hit.document).decode()
        click.echo(f"{hit.score:6.3f}  {cut(hit.id, id_width):{id_width}}  {cut(text, room - 1)}")
        if hit.explanation is not None:
            table = explanation_table(hit.explanation, max(width - len(_INDENT), 2 * _LEAST_WIDTH))
            click.echo("".join(f"{_INDENT}{line}\n" for line in table.splitlines()))
