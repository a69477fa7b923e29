"""What is given to an index in Python, checked before anything is done with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import orjson

import mbat_indexes
from mbat.complaints import check_document, several
from mbat.errors import DeviceError, DocumentError, ParameterError
from mbat.records import Record
from mbat_indexes import Device, find_device


def records_of(documents: Iterable[Any], ids: Iterable[str] | None, check: bool) -> Iterator[Record]:
    """Yield documents as records.

    Parameters
    ----------
    documents : iterable of JSON values
    ids : iterable of str, optional
        One for each document.
    check : bool
        Whether a document is compared with the JSON that it becomes: what is none may be written as something else,
        NaN as null. Not needed where the documents themselves are taken apart.

    Raises
    ------
    ParameterError
        If ids are no strings, too few or too many.
    DocumentError
        If a document is no JSON value.
    """
    several(documents)
    given = None if ids is None else checked_ids(ids)
    position = -1
    for position, document in enumerate(documents):
        one = None if given is None else next(given, None)
        if given is not None and one is None:
            raise ParameterError(f"Each document needs an id; for document {position} there is none.")
        yield Record(one, _text(document, position, check), document)
    if given is not None and next(given, None) is not None:
        raise ParameterError(f"There are more ids than the {position + 1} documents.")


def _text(document: Any, position: int, check: bool) -> bytes:
    try:
        text = orjson.dumps(document)
        if check and orjson.loads(text) != document:
            check_document(document)
    except DocumentError as error:
        raise DocumentError(error.reason, error.path, position) from None
    except TypeError as error:
        try:
            check_document(document)
        except DocumentError as located:
            raise DocumentError(located.reason, located.path, position) from None
        raise DocumentError(f"it cannot be kept as JSON: {error}", "$", position) from None
    return text


def checked_ids(ids: Iterable[str]) -> Iterator[str]:
    """Yield ids; raise ParameterError if one is no string, or all are a string instead of a list."""
    if isinstance(ids, str | bytes):
        raise ParameterError(f"ids is a list of ids; for one give [{ids!r}].")
    if not isinstance(ids, Iterable):
        raise ParameterError(f"ids is a list of ids; {ids!r} is not.")
    for one in ids:
        if not isinstance(one, str):
            raise ParameterError(f"An id is a string; {one!r} is not.")
        yield one


def check_search(k: int, effort: float | None) -> None:
    """Raise ParameterError if what a search is to find, or how, is out of range."""
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise ParameterError(f"k is how many to find, a whole number of at least 1; {k!r} is not.")
    number = isinstance(effort, int | float | np.integer | np.floating) and not isinstance(effort, bool)
    if effort is not None and (not number or not 0 < effort <= 1):
        raise ParameterError(f"effort is the share of the index to look at, above 0 and up to 1; {effort!r} is not.")


def found_device(device: str, gpu_memory: int | None) -> Device:
    """Return where to search.

    Raises
    ------
    ParameterError
        If there is no such name, or `gpu_memory` is no number of bytes.
    DeviceError
        If it is not there.
    """
    try:
        return find_device(device, gpu_memory)
    except ValueError as error:
        raise ParameterError(str(error)) from None
    except mbat_indexes.DeviceError as error:
        raise DeviceError(str(error)) from None
