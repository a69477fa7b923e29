"""Rows of Arrow as the dictionaries that JSON would hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mbat.arrow_library import pa
from mbat.arrow_types import Nulls
from mbat.errors import DocumentError
from mbat.paths import format_path


def documents(rows: Any, nulls: Nulls = "missing") -> list[Any]:
    """Return the values of an array that `mbat.arrow_types.plain_rows` has returned.

    Raises
    ------
    DocumentError
        If a map has a key twice; the message names the map, in the first row that has one.
    """
    try:
        values: list[Any] = rows.to_pylist(maps_as_pydicts="strict")
    except (KeyError, ValueError):  # within a struct Arrow makes the one the other
        for row in rows.to_pylist():
            _check_keys(rows.type, row, "$")
        raise
    return values if nulls == "null" else list(map(_without_nulls(rows.type), values))


def _check_keys(kind: Any, value: Any, path: str) -> None:
    """Raise DocumentError if a map has a key twice; here maps are lists of pairs."""
    if value is None:
        return
    if pa.types.is_struct(kind):
        for field in kind:
            _check_keys(field.type, value[field.name], f"{path}.{format_path([field.name])}")
    elif pa.types.is_large_list(kind):
        for position, one in enumerate(value):
            _check_keys(kind.value_type, one, f"{path}[{position}]")
    elif pa.types.is_map(kind):
        keys: set[str] = set()
        for key, one in value:
            if key in keys:
                raise DocumentError(f"the key {key!r} stands twice in a map", path)
            keys.add(key)
            _check_keys(kind.item_type, one, f"{path}.{format_path([key])}")


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
