"""What the types of Arrow are in JSON.

Structs and maps are objects, lists of every kind arrays; dictionaries and runs stand for their values. Decimals are
numbers, dates and times texts in ISO 8601. Types without a form that JSON would hold are refused, by the schema, before
any row is looked at. Times with a zone have the offset that Arrow knows: after 2037 that of winter the whole year.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from mbat.arrow_library import pa, pc
from mbat.errors import DocumentError
from mbat.paths import MAX_DEPTH, Steps, format_path

Nulls = Literal["missing", "null"]
NULLS: Final = ("missing", "null")
"""What a field is that is null."""

_TEXTS: Final = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_TIMES: Final = (pa.types.is_date, pa.types.is_time, pa.types.is_timestamp)
_LISTS: Final = (
    *(pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list),
    *(pa.types.is_list_view, pa.types.is_large_list_view),
)
_NUMBERS: Final = (pa.types.is_integer, pa.types.is_floating)
_CONSTANTS: Final = (pa.types.is_boolean, pa.types.is_null)
_ADVICE: Final = "leave it out, or cast it to text or to a number"

_FRACTION: Final = (r"(\.\d*?)0+(\D|$)", r"\1\2")
_POINT_ALONE: Final = (r"\.(\D|$)", r"\1")
_ZONE: Final = (r"([+-]\d\d)(\d\d)$", r"\1:\2")
_OUT_OF_RANGE: Final = "<value out of range"


def is_any(kind: Any, tests: tuple[Any, ...]) -> bool:
    """Return whether a type passes one of some tests."""
    return any(test(kind) for test in tests)


def check_schema(schema: Any) -> None:
    """Raise DocumentError if a column has no form in JSON; the message names its path."""
    _check(pa.struct(list(schema)), ())


def _check(kind: Any, steps: Steps) -> None:
    if len(steps) > MAX_DEPTH:
        raise _refused(steps, f"the columns are nested deeper than {MAX_DEPTH} levels")
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        _check(kind.value_type, steps)
        _check_readable(kind, steps)
    elif pa.types.is_timestamp(kind):
        _check_readable(kind, steps)
    elif not is_any(kind, (*_NUMBERS, *_CONSTANTS, *_TEXTS, *_TIMES, pa.types.is_decimal)):
        for step, below in _members(kind, steps):
            _check(below, (*steps, step))


def _check_readable(kind: Any, steps: Steps) -> None:
    """Refuse a type that Arrow has no way to decode, or a time zone that it does not know."""
    try:
        plain(pa.nulls(1, kind))
    except pa.ArrowException as error:
        raise _refused(steps, f"a column of type {kind} cannot be read, {_first_line(error)}; {_ADVICE}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _members(kind: Any, steps: Steps) -> Iterator[tuple[str | None, Any]]:
    """Yield the steps and types below one that is an object or an array; refuse any other."""
    if pa.types.is_struct(kind):
        names: set[str] = set()
        for field in kind:
            if field.name in names:
                raise _refused(steps, f"two columns are called {field.name!r}; rename one")
            names.add(field.name)
            yield field.name, field.type
    elif is_any(kind, _LISTS):
        yield None, kind.value_type
    elif pa.types.is_map(kind):
        if not is_any(_value_type(kind.key_type), _TEXTS):
            raise _refused(steps, f"the keys of a map are of type {kind.key_type}; in JSON, keys are strings")
        yield "", kind.item_type
    else:
        raise _refused(steps, f"a column of type {kind} has no form in JSON; {_ADVICE}")


def _value_type(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _refused(steps: Steps, reason: str) -> DocumentError:
    return DocumentError(reason, f"$.{format_path(steps)}" if steps else "$")


def plain(array: Any) -> Any:
    """Return an array of the types that JSON has.

    These are structs, large lists, maps with texts as keys, large strings, floats, integers, booleans and nulls. Types
    that `check_schema` refuses do not come here.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        return plain(_taken(array.dictionary, array.indices))
    if pa.types.is_run_end_encoded(kind):
        return plain(_taken(array.values, _run_positions(array)))
    if is_any(kind, _TEXTS):
        return array.cast(pa.large_string())
    if is_any(kind, _TIMES):
        return _times(array)
    if pa.types.is_decimal(kind):  # by way of text, which is read to the nearest float
        return array.cast(pa.string()).cast(pa.float64())
    if is_any(kind, (*_NUMBERS, *_CONSTANTS)):
        return array
    return _nested(array)


def _taken(values: Any, positions: Any) -> Any:
    """Return the values at some positions; Arrow takes none out of views and runs."""
    if pa.types.is_string_view(values.type) or pa.types.is_run_end_encoded(values.type):
        values = plain(values)
    return values.take(positions)


def _run_positions(array: Any) -> Any:
    """Return the position of each value of an array of runs among the values of the runs."""
    positions = pa.array(np.arange(len(array.values)))
    runs = pa.RunEndEncodedArray.from_arrays(array.run_ends, positions)
    return pc.run_end_decode(runs.slice(array.offset, len(array)))


def plain_rows(batch: Any) -> Any:
    """Return the rows of a RecordBatch as one array of structs, of the types that JSON has.

    Raises
    ------
    DocumentError
        If a text is not UTF-8, a date cannot be written, or a column is otherwise damaged; the message names it.
    """
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            column.validate()
            columns.append(plain(column))
            columns[-1].validate(full=True)  # only now, for what lies under nulls need not be valid
        except pa.ArrowException as error:
            raise _refused((name,), f"the column cannot be read, {_first_line(error)}") from error
        except DocumentError as error:
            raise _refused((name,), error.reason) from None
    fields = [pa.field(name, column.type) for name, column in zip(batch.schema.names, columns, strict=True)]
    return pa.Array.from_buffers(pa.struct(fields), batch.num_rows, [None], children=columns)


def _nested(array: Any) -> Any:
    kind, missing = array.type, array.is_null()
    if pa.types.is_struct(kind):
        if not kind.num_fields:
            return array
        return pa.StructArray.from_arrays(list(map(plain, array.flatten())), [f.name for f in kind], mask=missing)
    if pa.types.is_map(kind):
        lengths, entries = members(array)
        keys, values = (plain(side) for side in entries.flatten())
        return pa.MapArray.from_arrays(_offsets(lengths).astype(np.int32), keys, values, mask=missing)
    lengths, elements = members(array)
    return pa.LargeListArray.from_arrays(_offsets(lengths), plain(elements), mask=missing)


def members(array: Any) -> tuple[NDArray[np.int64], Any]:
    """Return how many elements each list has, none where it is null, and all elements; those of a map are structs."""
    if pa.types.is_map(array.type):  # the same memory as a list; a cast would damage lists of nulls below
        entries, buffers = array.values, array.buffers()[:2]
        kind = pa.list_(entries.type)
        array = pa.Array.from_buffers(kind, len(array), buffers, offset=array.offset, children=[entries])
    lengths = pc.list_value_length(array).fill_null(0)
    return lengths.to_numpy(zero_copy_only=False).astype(np.int64), array.flatten()


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)])


def _times(array: Any) -> Any:
    """Return dates and times as texts in ISO 8601, without a fraction of a second that is zero."""
    texts = array.cast(pa.large_string())
    if pc.any(pc.starts_with(texts, _OUT_OF_RANGE)).as_py():
        raise DocumentError(f"a value of type {array.type} is out of the range of dates that can be written as text")
    if pa.types.is_date(array.type):
        return texts
    texts = pc.replace_substring(texts, " ", "T", max_replacements=1)
    rules = (_FRACTION, _POINT_ALONE, _ZONE) if pa.types.is_timestamp(array.type) else (_FRACTION, _POINT_ALONE)
    for pattern, replacement in rules:
        texts = pc.replace_substring_regex(texts, pattern, replacement)
    return texts
