"""What people have becomes documents: the same whatever library holds it."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbat import DocumentError, Encoder, ParameterError
from mbat.arrow import table_rows
from mbat.frames import arrow_table, documents, is_table, known, repeatable
from tests.json_strategies import documents as any_document

RECORDS: list[Any] = [{"name": "Ann", "age": 31, "tags": ["a", "b"], "home": {"x": 1}}, {"name": "Bob"}, {"age": 5}]
CELLS = st.one_of(st.none(), st.floats(allow_infinity=False), st.text(st.characters(codec="utf-8"), max_size=5))


def rows_of(data: Any) -> list[Any]:
    table = arrow_table(data)
    if table is None:
        return list(documents(known(data)))
    return [row for batch in table_rows(table) for row in batch.documents()]


@given(st.lists(any_document.filter(lambda value: not isinstance(value, str)), max_size=4))
def test_documents_stay_what_they_are(given_documents: list[Any]) -> None:
    assert list(documents(given_documents)) == given_documents
    assert list(documents(iter(given_documents))) == given_documents


@pytest.mark.parametrize("text", ['{"a": [1, null]}', b'{"a": [1, null]}'])
def test_a_json_text_among_documents_is_parsed(text: str | bytes) -> None:
    assert list(documents([{"b": 2}, text])) == [{"b": 2}, {"a": [1, None]}]


def test_a_text_is_a_document_where_texts_are_not_parsed_but_bytes_are_json_still() -> None:
    assert list(documents(["[1]", b"[1]"], parse=False)) == ["[1]", [1]]


def test_a_text_that_is_no_json_is_named_by_its_position() -> None:
    with pytest.raises(DocumentError, match=r"^At document 2, \$: '\{\"a\": ' is not JSON \(.+\); parse=False takes"):
        list(documents(["1", "2", '{"a": ']))
    with pytest.raises(DocumentError, match=r"^At document 0, \$: b'x' is not JSON \(.+?\)\.$"):
        list(documents([b"x"]))


@pytest.mark.parametrize("frame", [pd.DataFrame(RECORDS), pl.DataFrame(RECORDS), pa.Table.from_pylist(RECORDS)])
def test_a_row_of_a_data_frame_is_a_flat_document_without_what_is_missing(frame: Any) -> None:
    assert is_table(frame)
    assert rows_of(frame) == RECORDS


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5))
def test_what_is_missing_in_a_cell_of_a_row_is_no_key(rows: list[tuple[Any, Any]]) -> None:
    expected = [
        {key: cell for key, cell in zip(("x0", "x1"), row, strict=True) if cell is not None and cell == cell}
        for row in rows
    ]
    array = np.empty((len(rows), 2), dtype=object)
    array[:] = rows
    assert rows_of(array) == expected
    assert rows_of(pd.DataFrame(array, columns=["x0", "x1"], dtype=object)) == expected


def test_each_kind_of_missing_value_of_pandas_and_numpy_is_missing() -> None:
    frame = pd.DataFrame({"a": [None, np.nan, pd.NA, pd.NaT, 1]}, dtype=object)
    assert rows_of(frame) == [{}, {}, {}, {}, {"a": 1}]
    assert rows_of(frame.to_numpy()) == [{}, {}, {}, {}, {"x0": 1}]
    others = [np.float32("nan"), np.datetime64("NaT"), Decimal("NaN"), 1]
    assert rows_of(np.array([others, others], dtype=object)) == [{"x3": 1}] * 2


def test_values_of_numpy_and_pandas_are_what_json_has() -> None:
    frame = pd.DataFrame(
        {
            "small": pd.array([1, None], dtype="Int8"),
            "half": np.array([0.5, 1.5], dtype=np.float32),
            "yes": [True, False],
            "kind": pd.Categorical(["x", "y"]),
            "when": pd.to_datetime(["2020-01-31T12:00", None]),
            "day": [datetime.date(2020, 1, 31), None],
            "price": [Decimal("1.25"), None],
            "values": [np.array([1, 2]), [3]],
        }
    )
    first, second = rows_of(frame)
    times = {"when": "2020-01-31T12:00:00", "day": "2020-01-31"}
    assert first == {"small": 1, "half": 0.5, "yes": True, "kind": "x", **times, "price": 1.25, "values": [1, 2]}
    assert second == {"half": 1.5, "yes": False, "kind": "y", "values": [3]}
    assert {type(value) for value in first.values()} == {int, float, bool, str, list}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (np.array([np.array([1, 2]), np.array([3])], dtype=object), [[1, 2], [3]]),
        (np.array([{"a": np.array(["x", None], dtype=object)}]), [{"a": ["x", None]}]),
        ({"a": [np.int64(1), (np.float32(0.5), np.str_("x"), np.bool_(True))]}, {"a": [1, [0.5, "x", True]]}),
        ([datetime.date(2020, 1, 31), {"b": Decimal("1.25")}], ["2020-01-31", {"b": 1.25}]),
        (np.array(["2020-01-31T12:00", "NaT"], dtype="datetime64[ns]"), ["2020-01-31T12:00:00", None]),
        (np.array(["2020-01-31"], dtype="datetime64[D]"), ["2020-01-31"]),
        ([pd.NaT, pd.NA, None, pd.Timestamp("2020-01-31")], [None, None, None, "2020-01-31T00:00:00"]),
    ],
)
def test_what_is_nested_in_a_cell_is_what_json_has(cell: Any, expected: Any) -> None:
    frame = pd.DataFrame({"x0": [None, cell]}, dtype=object)
    assert rows_of(frame) == rows_of(frame.to_numpy()) == [{}, {"x0": expected}]
    assert rows_of(frame["x0"]) == rows_of(frame["x0"].to_numpy()) == [{}, expected]
    assert json.dumps(rows_of(frame)) == json.dumps([{}, {"x0": expected}])


@pytest.mark.parametrize("cell", [np.timedelta64(3, "ns"), np.longdouble(1), {1, 2}, b"x", pd.Period("2020")])
def test_what_has_no_form_in_json_stays_as_it_is_within_a_cell_too(cell: Any) -> None:
    frame = pd.DataFrame({"a": [[cell]]}, dtype=object)
    assert rows_of(frame)[0]["a"] == [cell]
    with pytest.raises(DocumentError, match=r"^At document 0, \$.a\[0\]: .+ is not a JSON value"):
        Encoder().encode(rows_of(frame))


def test_a_count_of_nanoseconds_does_not_become_a_number() -> None:
    spans = pd.DataFrame({"a": [np.array([1], dtype="timedelta64[ns]")]})
    assert rows_of(spans) == [{"a": [np.timedelta64(1, "ns")]}]


def test_a_cell_that_is_nested_too_deeply_is_left_as_it_is() -> None:
    cell: list[Any] = []
    for _ in range(5000):
        cell = [cell]
    assert rows_of(pd.Series([cell]))[0] is cell


def test_nested_tables_of_pandas_have_the_documents_of_arrow() -> None:
    nested = pa.table(
        {"a": [[{"b": [1, 2], "at": datetime.datetime(2020, 1, 31)}], []], "c": [[["x"], ["y", "z"]], None]}
    )
    assert rows_of(nested.to_pandas()) == rows_of(nested)


def test_texts_of_numpy_are_parsed() -> None:
    assert rows_of(list(np.array(['{"a": 1}']))) == rows_of(list(np.array([b'{"a": 1}']))) == [{"a": 1}]


def test_dates_and_missing_floats_are_the_same_of_polars_as_of_pandas() -> None:
    columns = {"when": [datetime.datetime(2020, 1, 31, 12), None], "size": [float("nan"), 2.5]}
    expected = [{"when": "2020-01-31T12:00:00"}, {"size": 2.5}]
    assert rows_of(pd.DataFrame(columns)) == rows_of(pl.DataFrame(columns)) == expected


def test_a_frame_longer_than_a_chunk_keeps_its_rows_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbat.frames._CHUNK", 2)
    numbers = list(range(5))
    assert rows_of(pd.DataFrame({"x0": numbers})) == rows_of(np.array([numbers]).T) == [{"x0": n} for n in numbers]
    assert rows_of(pd.Series(numbers)) == rows_of(pl.Series(numbers)) == numbers


@pytest.mark.parametrize("index", [[0, 1, 2], [7, 7, 3]])
def test_the_index_of_a_data_frame_is_not_looked_at(index: list[int]) -> None:
    assert rows_of(pd.DataFrame(RECORDS, index=index)) == RECORDS


def test_a_column_of_texts_or_dictionaries_is_documents() -> None:
    texts = ['{"a": 1}', "[2]"]
    for column in (pd.Series(texts), pl.Series(texts), np.array(texts), np.array(texts, dtype=object)):
        assert rows_of(column) == [{"a": 1}, [2]]
    assert rows_of(pd.Series(RECORDS, dtype=object)) == RECORDS
    assert rows_of(pl.Series(RECORDS)) == RECORDS
    assert rows_of(pl.Series(RECORDS, dtype=pl.Object)) == RECORDS
    assert rows_of(pl.Series([[1], [2, 3]])) == [[1], [2, 3]]


def test_a_missing_document_in_a_column_or_array_is_an_empty_object_and_none_in_a_list_is_null() -> None:
    assert rows_of(np.array([{"a": 1}, None, np.nan], dtype=object)) == [{"a": 1}, {}, {}]
    assert rows_of(pd.array(["[1]", None], dtype="string")) == [[1], {}]
    assert rows_of(pd.Series(['{"a": 1}', None])) == rows_of(pl.Series(['{"a": 1}', None])) == [{"a": 1}, {}]
    assert rows_of(pl.Series([{"a": 1}, None])) == [{"a": 1}, {}]
    assert rows_of([{"a": 1}, None]) == [{"a": 1}, None]


def test_what_hands_out_an_array_is_that_array() -> None:
    class Tensor:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.array([[1.0, 2.0]])

    assert rows_of(Tensor()) == [{"x0": 1.0, "x1": 2.0}]


def test_a_subclass_of_a_data_frame_is_a_data_frame() -> None:
    class Mine(pd.DataFrame):
        pass

    assert rows_of(Mine(RECORDS)) == RECORDS


def test_columns_named_by_numbers_are_keys() -> None:
    assert rows_of(pd.DataFrame([[1, 2]])) == [{"0": 1, "1": 2}]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.zeros(3), "got a 1D array of float64. Reshape your data"),
        (np.zeros((2, 2, 2)), r"one of shape \(2, 2, 2\) has not"),
        (np.zeros((1, 1), dtype=complex), "Complex data not supported"),
        (np.zeros((1, 1), dtype="datetime64[s]"), r"An array of type datetime64\[s\] has no form in JSON"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "Two columns are called 'a'"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), "Two columns are called '1'"),
        (pd.DataFrame([[1]], columns=[("a", "b")]), r"the column \('a', 'b'\) has another name"),
        ({"a": 1}, "a dict is not"),
        ('{"a": 1}', "a str is not"),
        (7, "a int is not"),
    ],
)
def test_what_is_no_documents_is_refused(data: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        rows_of(data)


def test_a_generator_is_read_no_further_than_asked() -> None:
    read = []

    def stream() -> Iterator[Any]:
        for number in range(5):
            read.append(number)
            yield number

    found = documents(stream())
    assert next(found) == 0
    assert read == [0]
    assert repeatable(iter([1, 2])) == [1, 2]
    assert repeatable(RECORDS) is RECORDS


def test_data_frames_are_known_without_importing_their_libraries() -> None:
    program = "import sys, mbat.frames; print({'pandas', 'polars', 'pyarrow', 'sklearn'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
