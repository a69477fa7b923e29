"""What people have, as documents: data frames, arrays, texts; the one place that knows their libraries by name.

The principle is:

1. A table (two dimensions) has a flat document a row, a field a column; a cell that is missing is a missing key.
2. Anything else has a document an element. One that is missing in a column or an array is ``{}``: nothing is known of
   it. In a list, None is null.
3. JSON texts are parsed as they come by, so that a stream needs no memory.

Neither pandas nor polars is imported: what is given is known by where its class comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, time
from decimal import Decimal
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from mbat.complaints import several
from mbat.errors import DocumentError, ParameterError

_CHUNK: Final = 2048
"""Rows of a data frame that are made Python objects together."""

_ARROW: Final = ("pyarrow.Table", "pyarrow.RecordBatch", "pyarrow.RecordBatchReader")
_MISSING_TYPES: Final = ("NAType", "NaTType")
_PLAIN_TYPES: Final = (str, int, float, bool, type(None))
_CELLS: Final = "biufOUT"
"""Kinds of numpy types that have a form in JSON."""


def known(data: Any) -> Any:
    """Return data of a type that this module knows, if they can be: what hands out an array, as that array.

    Raises
    ------
    ParameterError
        If the data are a sparse matrix.
    """
    if hasattr(data, "tocsr"):
        raise ParameterError("Sparse input is not supported; give the documents it was made of, or toarray() of it.")
    if _kind(data) is not None or not hasattr(data, "__array__"):
        return data
    return np.asarray(data)


def is_table(data: Any) -> bool:
    """Return whether data has rows and columns, and not documents."""
    return _kind(data) is not None and len(getattr(data, "shape", ())) == 2


def is_pandas_column(data: Any) -> bool:
    """Return whether data is a column of pandas."""
    return _kind(data) == "pandas.Series"


def pandas_frame(rows: NDArray[Any], column: Any) -> Any:
    """Return rows as a data frame of pandas, with the index of a column of pandas."""
    return type(column.to_frame())(rows, index=column.index)


def check_table(table: Any) -> None:
    """Raise ParameterError if the columns of a table have no form in JSON, or there are none."""
    if not table.shape[1]:
        raise ParameterError(f"0 feature(s) (shape={table.shape}) while a minimum of 1 is required.")
    if _kind(table) == "numpy.ndarray":
        _check_cells(table)
    elif _kind(table) == "pandas.DataFrame":
        _column_names(table)


def arrow_table(data: Any) -> Any | None:
    """Return what `mbat.arrow.table_rows` reads in place of data, None if they are to be read as documents."""
    kind = _kind(data)
    if kind == "polars.Series" and hasattr(data.dtype, "fields"):
        kind, data = "polars.DataFrame", data.struct.unnest()
    if kind == "polars.DataFrame":
        return data.fill_nan(None)
    return data if kind in _ARROW else None


def repeatable(data: Any) -> Any:
    """Return data that can be gone through twice: all that a generator or an Arrow reader yields."""
    if _kind(data) == "pyarrow.RecordBatchReader":
        return data.read_all()
    return list(data) if isinstance(data, Iterator) else data


def documents(data: Any, parse: bool = True) -> Iterator[Any]:
    """Yield the documents of data that are no Arrow table.

    Parameters
    ----------
    data : iterable of documents or JSON texts, data frame, column of one, or numpy array
        Read once.
    parse : bool, default True
        Whether a text is JSON; else it is a document itself. Bytes are JSON in any case. Cells of tables are neither.

    Raises
    ------
    DocumentError
        If a text is no JSON, or a table has no form in JSON.
    ParameterError
        If the data are one document, or an array of other than two dimensions that has no documents.

    Examples
    --------
    >>> list(documents(['{"a": 1}', {"a": 2}]))
    [{'a': 1}, {'a': 2}]
    >>> list(documents(np.array([[1.0, np.nan], [2.0, 3.0]])))
    [{'x0': 1.0}, {'x0': 2.0, 'x1': 3.0}]
    """
    if is_table(data):
        check_table(data)
        return _rows(data)
    reader = _ELEMENTS.get(_kind(data))
    return _parsed(several(data) if reader is None else reader(data), parse)


def _kind(data: Any) -> str | None:
    """Return library and name of the class of data, as ``pandas.Series``, if it is one of those known here."""
    for base in type(data).__mro__:
        name = f"{base.__module__.split('.')[0]}.{base.__name__}"
        if name in _KINDS:
            return name
    return None


def _parsed(values: Iterable[Any], parse: bool) -> Iterator[Any]:
    texts = (bytes, str) if parse else (bytes,)
    for position, value in enumerate(values):
        if not isinstance(value, texts):
            yield value
            continue
        try:
            document = orjson.loads(_exact(value))
        except orjson.JSONDecodeError as error:
            advice = "; parse=False takes texts as they are" if isinstance(value, str) else ""
            raise DocumentError(f"{value!r:.60} is not JSON ({error}){advice}", position=position) from None
        yield document


def _exact(text: str | bytes) -> str | bytes:
    """Return a text of a subclass, such as numpy's, as one of Python's own: orjson takes no other."""
    return str.__str__(text) if isinstance(text, str) else bytes(text)


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as flat documents."""
    if _kind(table) == "numpy.ndarray":
        names = [f"x{number}" for number in range(table.shape[1])]
        for start in range(0, len(table), _CHUNK):
            for row in table[start : start + _CHUNK].tolist():
                yield {name: _plain(cell) for name, cell in zip(names, row, strict=True) if not _is_missing(cell)}
        return
    names = _column_names(table)
    for start in range(0, len(table), _CHUNK):
        chunk = table.iloc[start : start + _CHUNK]
        columns = [_cells(chunk.iloc[:, number]) for number in range(len(names))]
        for row in zip(*columns, strict=True):
            yield {name: _plain(cell) for name, cell in zip(names, row, strict=True) if cell is not None}


def _check_cells(array: NDArray[Any]) -> None:
    if array.dtype.kind == "c":
        raise ParameterError("Complex data not supported: JSON has no complex numbers.")
    if array.dtype.kind not in _CELLS:
        raise ParameterError(f"An array of type {array.dtype} has no form in JSON; give a data frame, or documents.")


def _column_names(frame: Any) -> list[str]:
    """Return the names of the columns of a data frame, integers as texts."""
    names: list[str] = []
    for name in frame.columns:
        if not isinstance(name, str | int):
            raise ParameterError(f"In JSON, keys are texts; the column {name!r:.60} has another name. Rename it.")
        if str(name) in names:
            raise ParameterError(f"Two columns are called {str(name)!r}; rename one.")
        names.append(str(name))
    return names


def _cells(column: Any) -> list[Any]:
    """Return the values of a column of pandas, None for those that are missing."""
    return [None if missing else cell for cell, missing in zip(column.tolist(), column.isna().tolist(), strict=True)]


def _is_missing(cell: Any) -> bool:
    if isinstance(cell, float | Decimal | np.generic):
        return bool(cell != cell)  # NaN, and NaT of numpy
    return cell is None or type(cell).__name__ in _MISSING_TYPES


def _plain(cell: Any) -> Any:
    """Return a value as JSON has it; what has no form there as it is, to be refused where documents are read."""
    try:
        return _converted(cell)
    except RecursionError:  # nested too deeply, which is refused there too
        return cell


def _converted(value: Any) -> Any:
    if type(value) in _PLAIN_TYPES:
        return value
    if isinstance(value, dict):
        return {key: _converted(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_converted(one) for one in value]
    if isinstance(value, np.ndarray):
        return _converted(list(value)) if value.dtype.kind in "OMm" and value.ndim else value.tolist()
    if type(value).__name__ in _MISSING_TYPES:  # NaT is a date to Python
        return None
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return _of_numpy(value) if isinstance(value, np.generic) else value


def _of_numpy(value: np.generic) -> Any:
    """Return a scalar of numpy as JSON has it; what has no form there as it is."""
    if isinstance(value, np.timedelta64):
        return value
    if isinstance(value, np.datetime64) and np.datetime_data(value.dtype)[0] == "ns":
        value = value.astype("datetime64[us]")  # of nanoseconds Python makes a mere count
    plain = value.item()
    return plain if isinstance(plain, np.generic) else _converted(plain)


def _pandas_elements(series: Any) -> Iterator[Any]:
    for start in range(0, len(series), _CHUNK):
        for cell in _cells(series.iloc[start : start + _CHUNK]):
            yield {} if cell is None else _plain(cell)


def _polars_elements(series: Any) -> Iterator[Any]:
    for start in range(0, len(series), _CHUNK):
        yield from map(_element, series.slice(start, _CHUNK).to_list())


def _element(cell: Any) -> Any:
    return {} if _is_missing(cell) else _plain(cell)


def _array_elements(array: NDArray[Any]) -> Iterator[Any]:
    if array.ndim != 1:
        raise ParameterError(f"An array has rows and columns, or documents; one of shape {array.shape} has not.")
    if array.dtype.kind not in "OUST":
        raise ParameterError(
            f"Expected a 2D array, or documents; got a 1D array of {array.dtype}. Reshape your data: reshape(-1, 1) if "
            "it is one column, reshape(1, -1) if it is one row."
        )
    return map(_element, array)


_ELEMENTS: Final[dict[str | None, Callable[[Any], Iterable[Any]]]] = {
    "numpy.ndarray": _array_elements,
    "pandas.Series": _pandas_elements,
    "polars.Series": _polars_elements,
}

_KINDS: Final = frozenset((*_ELEMENTS, *_ARROW, "pandas.DataFrame", "polars.DataFrame"))
