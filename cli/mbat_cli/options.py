"""Options that several commands share, and how they find their index."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from mbat.addresses import folder_of, is_collection
from mbat.errors import IndexNotFoundError, ParameterError
from mbat_cli.progress import ProgressLine

if TYPE_CHECKING:
    from mbat import Encoder
    from mbat.content import Content

F = TypeVar("F", bound=Callable[..., Any])

INDEX_VARIABLE: Final = "MBAT_INDEX"

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?)b?", re.ASCII | re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def _index_option(what: str) -> Callable[[F], F]:
    told = f"{what}. Without it ${INDEX_VARIABLE}, else the only *.mbat in the current folder."
    return click.option("-i", "--index", "index_path", metavar="NAME.mbat", help=told)


def index_option(command: F) -> F:
    """Add -i/--index."""
    return _index_option("The index")(command)


def any_index_option(command: F) -> F:
    """Add -i/--index, where a collection of Milvus may be named, too."""
    return _index_option("The index, or milvus:URI#NAME, a collection that mbat push has filled")(command)


def input_options(command: F) -> F:
    """Add FILE... and --on-error."""
    return click.argument("files", nargs=-1, required=True, metavar="FILE...")(on_error_option(command))


def on_error_option(command: F) -> F:
    """Add --on-error."""
    return click.option(
        "--on-error",
        type=click.Choice(["stop", "skip"]),
        default="stop",
        show_default=True,
        help="What to do at a broken document: stop and change nothing, or leave it out and count it.",
    )(command)


def id_field_option(command: F) -> F:
    """Add --id-field."""
    return click.option(
        "--id-field",
        metavar="PATH",
        help="Field that holds each document's id, as a.b; else that of mbat index, else running numbers.",
    )(command)


def workers_option(command: F) -> F:
    """Add --workers."""
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        metavar="N",
        help="Processes that fit and encode; worth their start from some 100,000 documents on. The result is the same.",
    )(command)


@contextmanager
def working() -> Iterator[ProgressLine]:
    """Show how far the work is, as long as it lasts."""
    progress = ProgressLine()
    try:
        yield progress
    finally:
        progress.clear()


def device_options(command: F) -> F:
    """Add --device and --gpu-memory."""
    command = click.option(
        "--gpu-memory",
        callback=_bytes,
        metavar="SIZE",
        help="How much of a GPU's memory vectors may take, as 20GB; by default all that is free.",
    )(command)
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="DEVICE",
        callback=_device,
        help="cpu; gpu, or gpu:0,1 for GPUs by number; or auto: a GPU if one can be used, else the CPU.",
    )(command)


def _device(context: click.Context, option: click.Parameter, given: str) -> str:
    from mbat_indexes import checked_device

    try:
        return checked_device(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _bytes(context: click.Context, option: click.Parameter, given: str | None) -> int | None:
    if given is None:
        return None
    found = _SIZE.fullmatch(given.strip())
    if not found or float(found[1]) <= 0:
        raise click.BadParameter(f"{given!r} is no size such as 20GB or 800MB.")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def effort_option(command: F) -> F:
    """Add --effort."""
    return click.option(
        "--effort",
        type=click.FloatRange(0, 1, min_open=True),
        help="The share of the vectors to look at, up to 1 for all; by default that of the kind.",
    )(command)


def weight_options(command: F) -> F:
    """Add --weight and --ignore."""
    command = click.option(
        "--ignore",
        "ignore",
        multiple=True,
        metavar="PATH",
        help="A field of the query that does not count, with all below it. May be given several times.",
    )(command)
    return click.option(
        "--weight",
        "weights",
        multiple=True,
        metavar="PATH=W",
        callback=_weights,
        help="How often a field of the query counts, with all below it; below 0 it counts against. In a path * is any "
        "one key, ** any steps. May be given several times.",
    )(command)


def _weights(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for text in given:
        path, equals, weight = text.rpartition("=")
        try:
            number = float(weight)
        except ValueError:
            equals = ""
        if not equals or not path:
            raise click.BadParameter(f"{text!r} is not PATH=W, such as price=3.")
        if path in weights:
            raise click.BadParameter(f"{path} has two weights.")
        weights[path] = number
    return weights


def depth_option(command: F) -> F:
    """Add --depth."""
    return click.option(
        "--depth",
        type=click.IntRange(min=1),
        metavar="N",
        help="Take fields of an explanation together that lie below one path of N keys.",
    )(command)


def picture_option(required: bool) -> Callable[[F], F]:
    """Return what adds -o/--output for a picture."""
    return click.option(
        "-o",
        "--output",
        required=required,
        callback=_picture,
        metavar="FILE",
        help="The picture to write: .html (a page that needs no network), .png or .svg.",
    )


def _picture(context: click.Context, option: click.Parameter, given: str | None) -> Path | None:
    """Refuse a picture that cannot be made, before any work is done."""
    if given is None:
        return None
    from mbat.pictures import check_picture

    try:
        check_picture(Path(given))
    except ParameterError as error:
        raise click.BadParameter(str(error)) from None
    return Path(given)


def config_option(command: F) -> F:
    """Add --config."""
    return click.option(
        "--config",
        metavar="FILE.toml",
        help="Parameters of the encoder: dim, softness, weights of fields and so on; see the README.",
    )(command)


def new_encoder(config: str | None) -> Encoder:
    """Return the encoder that a command fits: of a configuration, or the default."""
    from mbat.configuration import configured_encoder
    from mbat.encoder import Encoder

    return Encoder() if config is None else configured_encoder(Path(config))


def warn_of_unmatched_fields(encoder: Encoder) -> None:
    """Say on stderr which fields of a configuration no document has."""
    for path in encoder.unmatched_fields():
        click.echo(f"Note: no document has the field {path} of the configuration.", err=True)


def named_index(name: str | None, index_path: str | None) -> Path:
    """Return the folder of the index of a command that takes it as an argument, too."""
    if name and index_path:
        raise click.UsageError("Name the index once, as NAME.mbat or with -i.")
    return find_folder(name or index_path)


def find_folder(given: str | None) -> Path:
    """Return the folder of the index that a command works on; raise ParameterError if it is in none."""
    return folder_of(find_index(given))


def find_index(given: str | None) -> str:
    """Return the index that a command works on: a folder, or a collection of Milvus.

    Raises
    ------
    IndexNotFoundError
        If none was given and there is not just one in the current folder.
    """
    named = given or os.environ.get(INDEX_VARIABLE)
    if named:
        return named if is_collection(named) else str(Path(named))
    found = sorted(path.name for path in Path().glob("*.mbat"))
    if len(found) == 1:
        return found[0]
    saw = f"there are {', '.join(found)} here" if found else "there is no *.mbat here"
    raise IndexNotFoundError(f"Which index? Name it with -i NAME.mbat or ${INDEX_VARIABLE}; {saw}.")


def tell_of_kind(content: Content) -> None:
    """Say on stderr why a kind was chosen, and if its searches find too few of the true neighbours."""
    from mbat.measuring import ENOUGH

    if content.reason and content.documents:
        click.echo(f"Kind {content.kind}: {content.reason}", err=True)
    if content.recall is not None and content.recall.at_10 < ENOUGH:
        click.echo(
            f"Note: of the ten nearest a search finds {content.recall.at_10:.1%}, measured on "
            f"{content.recall.queries:,} documents. More with mbat query --effort, all with mbat rebuild --kind flat.",
            err=True,
        )


def counted(documents: int) -> str:
    """Return how many documents, in words."""
    return f"{documents:,} document" + "s" * (documents != 1)


def folder_bytes(path: Path) -> int:
    """Return how large the files in a folder are together."""
    total = 0
    for file in path.iterdir():
        with suppress(FileNotFoundError):  # it has just been removed
            total += file.stat().st_size
    return total


def unmet(patterns: set[str], document: Any) -> set[str]:
    """Return the paths of --weight and --ignore that a query does not have."""
    from mbat.patterns import matches, parse_pattern
    from mbat.picking import paths_in

    paths = paths_in(document) if patterns else set()
    return {pattern for pattern in patterns if not any(matches(parse_pattern(pattern), steps) for steps in paths)}


def warn_of_unmet(patterns: set[str]) -> None:
    """Say on stderr which paths of --weight and --ignore no query has."""
    for pattern in sorted(patterns):
        click.echo(f"Note: no query has the field {pattern}, so its weight changes nothing.", err=True)
