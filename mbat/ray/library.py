"""The one place that imports Ray; importing this module without it raises MissingExtraError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from mbat import errors
from mbat.errors import DocumentError, MbatError, ParameterError, SourceError
from mbat.extras import extra_module

ray: Final[Any] = extra_module("ray", "ray", "Working on Ray")
data: Final[Any] = extra_module("ray.data", "ray", "Working on Ray")

Row = dict[str, Any]


def check_workers(workers: int | None) -> None:
    """Raise ParameterError if `workers` is no number of workers."""
    if workers is not None and (type(workers) is not int or workers < 1):
        raise ParameterError(
            f"workers is how many workers Ray starts, a whole number of at least 1; {workers!r} is not."
        )


def refusal(error: MbatError) -> Row:
    """Return an error of a worker as part of a row, so that it reaches who asked as what it is."""
    kind = SourceError if isinstance(error, DocumentError) else type(error)
    return {"error": kind.__name__, "reason": str(error)}


def raise_refusal(row: Row) -> None:
    """Raise the error that a row tells of, if it does."""
    if row["error"] is not None:
        kind = getattr(errors, row["error"])
        raise kind(row["reason"])


@contextmanager
def working() -> Iterator[None]:
    """Say what stops Ray as an MbatError."""
    try:
        yield
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        reason = next(filter(None, str(cause).splitlines()), "it gives no reason")
        raise MbatError(f"Ray has ended the work, {type(cause).__name__}: {reason}") from error
