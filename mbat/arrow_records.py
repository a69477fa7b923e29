"""Rows of Arrow as the dictionaries that JSON would hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mbat.arrow_library import pa
from mbat.arrow_types import Nulls
from mbat.errors import DocumentError


def documents(rows: Any, nulls: Nulls = "missing") -> list[Any]:
    """Return the values of an array that `mbat.arrow_types.plain_rows` has returned.

    Raises
    ------
    DocumentError
        If a map has a key twice.
    """
    try:
        values: list[Any] = rows.to_pylist(maps_as_pydicts="strict")
    except KeyError as error:
        raise DocumentError(f"a map has a key twice, {error.args[0]}") from None
    return values if nulls == "null" else list(map(_without_nulls(rows.type), values))


def _without_nulls(kind: Any) -> Callable[[Any], Any]:
    """Return a function that takes the null fields out of values of a type."""
    if pa.types.is_struct(kind):
        return _object_without({field.name: _without_nulls(field.type) for field in kind})
    if pa.types.is_map(kind):
        inner = _without_nulls(kind.item_type)
        return lambda value: value and {key: inner(one) for key, one in value.items()}
    if pa.types.is_large_list(kind):
        inner = _without_nulls(kind.value_type)
        return lambda value: value and [inner(one) for one in value]
    return lambda value: value


def _object_without(fields: dict[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def without(value: Any) -> Any:
        return value and {name: inner(value[name]) for name, inner in fields.items() if value[name] is not None}

    return without
