"""``mbat decode``: which value a vector holds at a path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import numpy as np
from numpy.typing import NDArray

from mbat.errors import ParameterError, SourceError
from mbat_cli.documents import parsed_document
from mbat_cli.options import find_index, index_option
from mbat_cli.printing import print_number, print_values, wants_table

if TYPE_CHECKING:
    from mbat import Encoder, Number
    from mbat.folder_index import FolderIndex

_MOST_VALUES: Final = 10_000
_RANKED: Final = 10


@click.command()
@click.argument("path", metavar="PATH")
@index_option
@click.option("--like", metavar="ID", help="Read from the vector of a document of the index.")
@click.option("--document", metavar="JSON", help="Read from the vector of a document; @FILE takes it from a file.")
@click.option("--vector", metavar="FILE.npy", help="Read from a vector, of the index's encoder.")
@click.option("-k", "k", type=click.IntRange(min=1), help=f"How many values to rank, {_RANKED} if it is not given.")
@click.option("--json/--plain", "as_json", default=None, help="JSON lines or a table; a table only on a terminal.")
def decode(
    path: str,
    index_path: str | None,
    like: str | None,
    document: str | None,
    vector: str | None,
    k: int | None,
    as_json: bool | None,
) -> None:
    """Tell which value a vector holds at PATH.

    The values that documents of the index have at PATH are ranked by how well they fit. If all of these are numbers,
    the number that fits best comes with the range in which it is hardly less likely; with -k numbers are ranked too,
    and so are those that have no scale. Of a point read the object that holds it, and not its latitude.

    \b
      mbat decode seller.country --like 17
      mbat decode tags[] --document '{"tags": ["red"]}' -k 3
      mbat decode price --vector vector.npy
    """
    if sum(one is not None for one in (like, document, vector)) != 1:
        raise click.UsageError("Say which vector to read: with one of --like ID, --document JSON, --vector FILE.npy.")
    from mbat.folder_index import FolderIndex

    with FolderIndex.open(find_index(index_path)) as index:
        encoder = index.encoder
        held = _vector(index, encoder, like, document, vector)
        values = _values(index, path)
    if k is None and all(map(_is_number, values)):
        number = _number(encoder, held, path)
        if number is not None:
            _warn_of_chance(number.cosine, encoder.dim)
            print_number(number, wants_table(as_json))
            return
    if len(values) == _MOST_VALUES:
        click.echo(f"Note: only the first {_MOST_VALUES:,} different values at {path} are ranked.", err=True)
    ranked = encoder.decode(held, path, values)
    _warn_of_chance(ranked[0][1], encoder.dim)
    print_values(ranked[: k or _RANKED], wants_table(as_json))


def _values(index: FolderIndex, path: str) -> list[Any]:
    """Return the values that documents have at a path."""
    from mbat.decoding import distinct_values, point_around
    from mbat.paths import format_path, parse_path

    steps = parse_path(path)
    values = distinct_values(index.documents(), steps, _MOST_VALUES)
    if not values:
        raise SourceError(f"No document of {index.path} has a value at {path}.")
    point = point_around(index.encoder, index.documents(), steps) if any(map(_is_number, values)) else None
    if point is not None:
        raise SourceError(f"{path} is half of a point, and no value of its own; decode {format_path(point)}.")
    return values


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _number(encoder: Encoder, held: NDArray[np.floating[Any]], path: str) -> Number | None:
    """Return the number that is read at a path, or None, and say so, if numbers have no scale there."""
    encoder.decode(held, path, [])  # refuses what cannot be ranked either
    try:
        return encoder.decode_number(held, path)
    except ParameterError:
        click.echo(
            f"Note: numbers at {path} have no scale to read one from, so those of the index are ranked.", err=True
        )
        return None


def _warn_of_chance(best: float, dim: int) -> None:
    if best < 4.0 * dim**-0.5:
        click.echo("Note: even the best value fits hardly better than by chance.", err=True)


def _vector(
    index: FolderIndex, encoder: Encoder, like: str | None, document: str | None, vector: str | None
) -> NDArray[np.floating[Any]]:
    if vector is not None:
        return _read(Path(vector))
    if document is not None:
        return encoder.encode_one(parsed_document(document))
    try:
        return encoder.encode_one(index.get(like or ""))
    except KeyError:
        raise SourceError(f"There is no document with the id {like!r} in {index.path}.") from None


def _read(path: Path) -> NDArray[np.floating[Any]]:
    """Return the one vector of a file, as ``mbat encode`` writes it."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "it is no array of numbers that NumPy has written"
        raise SourceError(f"The vector {path} cannot be read: {reason}.") from error
    if not isinstance(array, np.ndarray):
        raise SourceError(f"The vector {path} cannot be read: it holds several arrays.")
    if array.ndim == 2 and len(array) != 1:
        raise SourceError(f"{path} holds {len(array):,} vectors; give a file of one.")
    return array[0] if array.ndim == 2 else array
