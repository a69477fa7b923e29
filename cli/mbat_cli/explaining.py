"""``mbat explain``: why two documents are as alike as they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mbat.errors import IndexNotFoundError, SourceError
from mbat_cli.documents import parsed_document
from mbat_cli.options import (
    depth_option,
    find_index,
    index_option,
    picture_option,
    unmet,
    warn_of_unmet,
    weight_options,
)
from mbat_cli.printing import print_explanation, wants_table

if TYPE_CHECKING:
    from mbat import Explanation, Index


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@index_option
@weight_options
@depth_option
@picture_option(required=False)
@click.option("--json/--plain", "as_json", default=None, help="JSON or a table; a table only on a terminal.")
def explain(
    first: str,
    second: str,
    index_path: str | None,
    weights: dict[str, float],
    ignore: tuple[str, ...],
    depth: int | None,
    output: Path | None,
    as_json: bool | None,
) -> None:
    """Explain the score of A and B, field by field.

    Each is a document of the index by its id, JSON that starts with { or [ or ", or @FILE. A may be a query of only
    some fields. The parts sum to the score; what a field would add if B agreed with A in it shows in grey.

    \b
      mbat explain 17 42
      mbat explain '{"name": "Bob"}' 42 --weight name=2
      mbat explain @a.json @b.json
      mbat explain 17 42 -o why.svg

    Where there is no index, the two are compared without what one learns of its documents.
    """
    from mbat.asking import ALONE, Explainer, Question, Weights
    from mbat.encoder import Encoder
    from mbat.index import Index

    given = [None if _is_id(one) else one for one in (first, second)]
    try:
        index: Index | None = Index.open(find_index(index_path))
    except IndexNotFoundError:
        if index_path or None in given:
            raise
        index = None
        click.echo("Note: there is no index here, so nothing is known of which words and fields are rare.", err=True)
    if output is not None and as_json is not None:
        raise click.UsageError("-o draws the explanation instead of printing it; leave out --json and --plain.")
    encoder = Encoder() if index is None else index.encoder
    one, other = (_document(text, index) for text in (first, second))
    (why,) = Explainer(Weights(weights, ignore), encoder).explain(Question([one], ALONE), [other])
    warn_of_unmet(unmet({*weights, *ignore}, one))
    why = why.grouped(depth) if depth else why
    if output is None:
        print_explanation(why, wants_table(as_json))
    else:
        _draw(why, output)


def _draw(why: Explanation, output: Path) -> None:
    from mbat.pictures import explanation_chart, save_picture

    save_picture(explanation_chart(why), output)
    click.echo(f"Drew the explanation: {output}", err=True)


def _is_id(text: str) -> bool:
    return not text.startswith(("{", "[", '"', "@"))


def _document(text: str, index: Index | None) -> Any:
    if index is None or not _is_id(text):
        return parsed_document(text)
    try:
        return index.get(text)
    except KeyError:
        raise SourceError(f"There is no document with the id {text!r} in {index.place}.") from None
