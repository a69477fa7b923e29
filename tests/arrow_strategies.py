"""Arrow types with values of them, and what each value is in JSON by other code than the library's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from tests.json_strategies import STRANGE_TEXTS

Json = Callable[[Any], Any]
"""What a value that is not null is in JSON."""


@dataclass
class Column:
    """A type, a strategy for values of it, null among them, and what they are in JSON; `fields` say for nulls there."""

    kind: pa.DataType
    values: st.SearchStrategy[Any]
    json: Callable[[Any, bool], Any]


def same(value: Any, _: bool) -> Any:
    return value


def iso(value: dt.datetime | dt.time, _: bool) -> str:
    text = value.replace(tzinfo=None).isoformat()
    text = text.rstrip("0") if "." in text else text
    return text + ("+01:00" if value.tzinfo else "")


def as_float(value: Decimal, _: bool) -> float:
    return float(value)


def as_date(value: dt.date, _: bool) -> str:
    return value.isoformat()


BERLIN = dt.timezone(dt.timedelta(hours=1))
SOON = dt.datetime(9000, 1, 1)
texts = st.sampled_from([one for one in STRANGE_TEXTS if one.isprintable() or one in "\n\x00"]) | st.text(max_size=6)
finite = {"allow_nan": False, "allow_infinity": False}

LEAVES: list[tuple[pa.DataType, st.SearchStrategy[Any], Callable[[Any, bool], Any]]] = [
    (pa.null(), st.none(), same),
    (pa.bool_(), st.booleans(), same),
    (pa.int8(), st.integers(-128, 127), same),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1), same),
    (pa.uint64(), st.integers(0, 2**64 - 1), same),
    (pa.float16(), st.floats(width=16, **finite), same),
    (pa.float32(), st.floats(width=32, **finite), same),
    (pa.float64(), st.floats(-90, 90) | st.floats(**finite), same),
    (pa.string(), texts, same),
    (pa.large_string(), texts, same),
    (pa.string_view(), texts, same),
    (pa.dictionary(pa.int8(), pa.string()), texts, same),
    (pa.decimal128(20, 6), st.decimals(-(10**9), 10**9, places=6), as_float),
    (pa.date32(), st.dates(), as_date),
    (pa.date64(), st.dates(), as_date),
    (pa.timestamp("s"), st.datetimes(max_value=SOON).map(lambda one: one.replace(microsecond=0)), iso),
    (pa.timestamp("us"), st.datetimes(max_value=SOON), iso),
    (pa.timestamp("us", "+01:00"), st.datetimes(dt.datetime(2, 1, 1), SOON, timezones=st.just(BERLIN)), iso),
    (pa.time64("us"), st.times(), iso),
]
leaves = st.sampled_from([Column(kind, st.none() | values, json) for kind, values, json in LEAVES])
keys = st.sampled_from(("lat", "lon", "type", "coordinates", "a", "b", "", "a.b", "[]"))


def struct(fields: dict[str, Column]) -> Column:
    def json(value: dict[str, Any], nulls: bool) -> dict[str, Any]:
        held = {key: value[key] for key in fields if nulls or value[key] is not None}
        return {key: None if one is None else fields[key].json(one, nulls) for key, one in held.items()}

    values = st.fixed_dictionaries({key: column.values for key, column in fields.items()})
    return Column(pa.struct([(key, column.kind) for key, column in fields.items()]), st.none() | values, json)


def mapping(column: Column, key_kind: pa.DataType) -> Column:
    def json(value: list[tuple[str, Any]], nulls: bool) -> dict[str, Any]:
        return {key: None if one is None else column.json(one, nulls) for key, one in value}

    values = st.dictionaries(texts, column.values, max_size=3).map(lambda one: list(one.items()))
    return Column(pa.map_(key_kind, column.kind), st.none() | values, json)


def listed(column: Column, kind: Callable[[pa.DataType], pa.DataType], sizes: tuple[int, int]) -> Column:
    def json(value: list[Any], nulls: bool) -> list[Any]:
        return [None if one is None else column.json(one, nulls) for one in value]

    values = st.lists(column.values, min_size=sizes[0], max_size=sizes[1])
    return Column(kind(column.kind), st.none() | values, json)


def nested(below: st.SearchStrategy[Column]) -> st.SearchStrategy[Column]:
    lists = st.sampled_from((pa.list_, pa.large_list, pa.list_view, pa.large_list_view))
    return (
        st.dictionaries(keys, below, max_size=3).map(struct)
        | st.builds(listed, below, lists, st.just((0, 3)))
        | st.builds(lambda one, size: listed(one, lambda k: pa.list_(k, size), (size, size)), below, st.integers(1, 2))
        | st.builds(mapping, below, st.sampled_from((pa.string(), pa.large_string())))
    )


columns = st.recursive(leaves, nested, max_leaves=5)
rows_columns = st.dictionaries(keys, columns, min_size=1, max_size=4).map(struct)


@dataclass
class Case:
    """A table, and its rows in JSON with null fields missing, and with them null."""

    table: pa.Table
    missing: list[Any]
    null: list[Any]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a table in one or more chunks, perhaps a slice of a larger one."""
    column = draw(rows_columns)
    present = column.values.filter(lambda one: one is not None)
    chunks = draw(st.lists(st.lists(present, max_size=4), max_size=3))
    tables = [pa.Table.from_struct_array(pa.array(rows, column.kind)) for rows in chunks]
    table = pa.concat_tables([pa.Table.from_struct_array(pa.array([], column.kind)), *tables])
    start = draw(st.integers(0, 3))
    rows = [row for chunk in chunks for row in chunk][start:]
    return Case(table.slice(start), [column.json(row, False) for row in rows], [column.json(row, True) for row in rows])
