"""Rows of Arrow tables have the vectors of the same rows as documents, to the last bit."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.json
import pytest
from hypothesis import given, settings

from mbat import DocumentError, Encoder, ParameterError
from mbat.arrow import ArrowRows, table_rows
from mbat.columns import Walker
from mbat.paths import PathTable
from tests.arrow_strategies import Case, cases

SHARED = Path(__file__).parent.parent.parent / "shared/data"
ENCODER = Encoder(dim=48)


def tape(columns: Any) -> tuple[list[Any], list[int], bytes, bytes]:
    items = [(columns.paths.steps(item >> 4), item & 15) for item in columns.items.tolist()]
    return items, columns.ends.tolist(), columns.text.tobytes(), columns.text_ends.tobytes() + columns.numbers.tobytes()


@settings(max_examples=300, deadline=None)
@given(cases())
def test_columns_are_those_of_the_documents_and_documents_come_back(case: Case) -> None:
    batches = case.table.combine_chunks().to_batches()
    rows = ArrowRows(batches[0]) if batches else ArrowRows(pa.RecordBatch.from_pylist([], case.table.schema))
    walker = Walker(PathTable(0), keep_strings=True)
    columns, expected = rows.columns(walker), walker.columns(case.missing)
    assert tape(columns) == tape(expected)
    assert columns.strings == expected.strings
    assert rows.documents() == case.missing


@settings(max_examples=100, deadline=None)
@given(cases())
def test_vectors_and_statistics_are_those_of_the_documents_in_chunks_and_slices(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mbat.arrow.ROWS", 2)
        for nulls, documents in (("missing", case.missing), ("null", case.null)):
            fitted = Encoder(dim=48).fit(documents)
            assert Encoder(dim=48).fit_table(case.table, nulls) == fitted
            for encoder in (ENCODER, fitted):
                assert encoder.encode_table(case.table, nulls).tobytes() == encoder.encode(documents).tobytes()


def test_null_fields_are_missing_and_null_elements_and_entries_are_null() -> None:
    kind = pa.struct(
        [
            ("a", pa.int64()),
            ("o", pa.struct([("b", pa.string())])),
            ("l", pa.list_(pa.int64())),
            ("m", pa.map_(pa.string(), pa.int64())),
        ]
    )
    row = {"a": None, "o": {"b": None}, "l": [None, 1], "m": [("k", None)]}
    table = pa.Table.from_struct_array(pa.array([row], kind))
    missing = {"o": {}, "l": [None, 1], "m": {"k": None}}
    null = {"a": None, "o": {"b": None}, "l": [None, 1], "m": {"k": None}}
    assert ENCODER.encode_table(table).tobytes() == ENCODER.encode([missing]).tobytes()
    assert ENCODER.encode_table(table, nulls="null").tobytes() == ENCODER.encode([null]).tobytes()
    assert ENCODER.encode([missing]).tobytes() != ENCODER.encode([null]).tobytes()


EVENING = "1969-12-31T20:40:00.5-03:30"


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array([0, 1500], pa.timestamp("ms")), ["1970-01-01T00:00:00", "1970-01-01T00:00:01.5"]),
        (pa.array([1, 10**9], pa.timestamp("ns")), ["1970-01-01T00:00:00.000000001", "1970-01-01T00:00:01"]),
        (pa.array([0, 10], pa.timestamp("s", "UTC")), ["1970-01-01T00:00:00Z", "1970-01-01T00:00:10Z"]),
        (pa.array([0, 600_500], pa.timestamp("ms", "-03:30")), ["1969-12-31T20:30:00-03:30", EVENING]),
        (pa.array([0, 86_400_000], pa.date64()), ["1970-01-01", "1970-01-02"]),
        (pa.array([dt.time(1, 2, 3), dt.time(10, 20, 30, 400)]), ["01:02:03", "10:20:30.0004"]),
    ],
)  # fmt: skip
def test_dates_and_times_are_texts_in_iso_8601(array: Any, texts: list[str]) -> None:
    table = pa.table({"at": array})
    assert ENCODER.encode_table(table).tobytes() == ENCODER.encode([{"at": text} for text in texts]).tobytes()


def test_points_on_the_globe_are_found() -> None:
    documents = [
        {"lat": 60.2, "lng": 24.9, "at": {"coordinates": [24.9, 60.2], "type": "Point"}},
        {"lat": -1.5, "lng": 179.0, "at": {"coordinates": [0.5, 60.25], "type": "Point"}},
    ]
    table = pa.Table.from_pylist(documents)
    walked = ENCODER._ready().prepare(documents).points
    found = ENCODER._ready().prepare(ArrowRows(table.to_batches()[0])).points
    assert len(found.items) == 8
    np.testing.assert_array_equal(found.items, walked.items)
    assert ENCODER.encode_table(table).tobytes() == ENCODER.encode(documents).tobytes()


DOCUMENTS = [{"name": f"Åsa {i % 7}", "n": i, "at": {"x": i / 2}} for i in range(2500)]
TABLE = pa.Table.from_pylist(DOCUMENTS)


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE.combine_chunks().to_batches()[0],
        TABLE.to_reader(max_chunksize=700),
        TABLE.to_batches(max_chunksize=999),
        iter(TABLE.to_batches(max_chunksize=10)),
        pa.chunked_array([batch.to_struct_array() for batch in TABLE.to_batches(max_chunksize=1300)]),
        TABLE.set_column(0, "name", TABLE["name"].dictionary_encode()),
        TABLE.set_column(1, "n", pa.compute.run_end_encode(TABLE["n"])),
    ],
    ids=["Table", "RecordBatch", "reader", "list", "iterator", "stream of structs", "dictionary", "runs"],
)  # fmt: skip
def test_rows_come_from_whatever_holds_or_streams_batches(table: Any) -> None:
    assert ENCODER.encode_table(table).tobytes() == ENCODER.encode(DOCUMENTS).tobytes()


@pytest.mark.parametrize("text", [None, lambda texts: np.array([[len(text), text.count("Å")] for text in texts])])
def test_a_text_embedder_is_given_the_strings_as_they_came(text: Any) -> None:
    encoder = Encoder(dim=48, text=text)
    assert encoder.encode_table(TABLE).tobytes() == encoder.encode(DOCUMENTS).tobytes()


def test_no_rows_and_no_columns_are_no_vectors_and_empty_objects() -> None:
    assert ENCODER.encode_table(pa.table({"a": pa.array([], pa.int64())})).shape == (0, 48)
    assert ENCODER.encode_table([]).shape == (0, 48)
    assert Encoder(dim=48).fit_table([]) == ENCODER
    bare = TABLE.slice(0, 3).select([])
    assert ENCODER.encode_table(bare).tobytes() == ENCODER.encode([{}] * 3).tobytes()


def test_keys_of_maps_that_are_data_do_not_pile_up() -> None:
    maps = pa.array(
        [[(f"key {i}", i), (f"key {i + 1}", None)] for i in range(70_000)], pa.map_(pa.string(), pa.int64())
    )
    encoder = Encoder(dim=16)
    rows = encoder.encode_table(pa.table({"m": maps}))
    assert len(encoder._ready().walker.paths) < 70_000
    last = {"m": {"key 69999": 69_999, "key 70000": None}}
    assert rows[-1].tobytes() == encoder.encode([last]).tobytes()


NO_FORM = "has no form in JSON"


@pytest.mark.parametrize(
    ("kind", "path", "reason"),
    [
        (pa.binary(), "$.a", f"a column of type binary {NO_FORM}; leave it out, or cast it to text or to a number"),
        (pa.list_(pa.struct([("b c", pa.binary_view())])), '$.a[]."b c"', "a column of type binary_view has no form"),
        (pa.dictionary(pa.int8(), pa.binary()), "$.a", "a column of type binary has no form in JSON"),
        (pa.duration("s"), "$.a", "a column of type duration[s] has no form in JSON"),
        (pa.dense_union([pa.field("x", pa.int8())]), "$.a", f"a column of type dense_union<x: int8=0> {NO_FORM}"),
        (pa.map_(pa.int64(), pa.int64()), "$.a", "the keys of a map are of type int64; in JSON, keys are strings"),
        (pa.map_(pa.string(), pa.binary()), '$.a.""', "a column of type binary has no form in JSON"),
        (pa.uuid(), "$.a", "a column of type extension<arrow.uuid> has no form in JSON"),
        (pa.struct([pa.field("b", pa.int8())] * 2), "$.a", "two columns are called 'b'; rename one"),
        (pa.timestamp("s", "No/Where"), "$.a", "a column of type timestamp[s, tz=No/Where] cannot be read, Cannot lo"),
        (pa.dictionary(pa.int8(), pa.list_(pa.string_view())), "$.a", "a column of type dictionary<values=list<item: "),
    ],
)  # fmt: skip
def test_a_column_that_json_has_no_form_for_is_refused_by_its_path(kind: Any, path: str, reason: str) -> None:
    batch = pa.RecordBatch.from_arrays([pa.nulls(1, kind)], ["a"])
    with pytest.raises(DocumentError) as caught:
        ENCODER.encode_table(batch)
    assert caught.value.path == path
    assert caught.value.reason.startswith(reason)
    assert caught.value.position is None


def test_columns_nested_deeper_than_documents_may_be_are_refused_and_others_read() -> None:
    def deep(levels: int) -> Any:
        kind = pa.int64()
        value: Any = 1
        for _ in range(levels):
            kind, value = pa.list_(kind), [value]
        return pa.table({"a": pa.array([value], kind)}), {"a": value}

    table, document = deep(249)
    assert ENCODER.encode_table(table).tobytes() == ENCODER.encode([document]).tobytes()
    with pytest.raises(DocumentError, match="nested deeper than 250 levels"):
        ENCODER.encode_table(deep(250)[0])


def damaged_text() -> Any:
    offsets, data = np.array([0, 1, 2], dtype=np.int32), b"a\xff"
    return pa.StringArray.from_buffers(2, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data))


def damaged_dictionary() -> Any:
    return pa.DictionaryArray.from_arrays(pa.array([0, 5], pa.int8()), pa.array(["a"]), safe=False)


def map_with_a_key_twice() -> Any:
    twice = pa.MapArray.from_arrays([0, 1, 3], pa.array(["k", "k", "k"]), pa.array([1, 2, 3]))
    return pa.StructArray.from_arrays([twice], ["m"])


@pytest.mark.parametrize(
    ("array", "path", "reason"),
    [
        (pa.array([1.0, float("nan")]), "$.a", "nan is not a JSON number; leave the field out or write null"),
        (pa.array([[1.0, 2.0], [3.0, float("-inf")]]), "$.a[1]", "-inf is not a JSON number"),
        (damaged_text(), "$.a", "the column cannot be read, Invalid UTF8 sequence"),
        (damaged_dictionary(), "$.a", "the column cannot be read, "),
        (map_with_a_key_twice(), "$.a.m", "the key 'k' stands twice in a map"),
        (pa.array([0, 2**62], pa.timestamp("s")), "$.a", "a value of type timestamp[s] is out of the range of dates"),
    ],
)
def test_a_row_that_is_no_json_is_named_with_its_path(array: Any, path: str, reason: str) -> None:
    table = pa.concat_tables([pa.table({"a": array.slice(0, 1)})] * 1500 + [pa.table({"a": array.slice(1)})])
    encoder = Encoder(dim=48)
    before = encoder.statistics
    for read in (encoder.encode_table, encoder.fit_table):
        with pytest.raises(DocumentError) as caught:
            read(table)
        assert (caught.value.position, caught.value.path) == (1500, path)
        assert caught.value.reason.startswith(reason)
    assert encoder.statistics is before


@pytest.mark.parametrize(
    "array",
    [
        pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 1]), pa.array(["a", "b"]).cast(pa.string_view())),
        pa.RunEndEncodedArray.from_arrays([1, 2, 3, 4], pa.array(["a", "b", None, "b"]).dictionary_encode()),
        pa.RunEndEncodedArray.from_arrays([1, 2, 3, 4], pa.array(["a", "b", None, "b"]).cast(pa.string_view())),
        pa.RunEndEncodedArray.from_arrays([2, 4, 5, 6, 7], pa.array(["b", "a", "b", None, "b"])).slice(3),
    ],
    ids=["dictionary of views", "runs of a dictionary", "runs of views", "a slice of runs"],
)
def test_what_is_encoded_twice_stands_for_its_values(array: Any) -> None:
    expected = ENCODER.encode([{"x": "a"}, {"x": "b"}, {}, {"x": "b"}]).tobytes()
    assert ENCODER.encode_table(pa.table({"x": array})).tobytes() == expected


def test_rows_beside_one_that_is_no_document_keep_their_nulls() -> None:
    table = pa.table({"a": [1, None], "at": pa.array([2**62, None], pa.timestamp("s"))})
    (rows,) = table_rows(table, "null")
    bad, good = rows.documents()
    assert isinstance(bad, DocumentError)
    assert good == {"a": None, "at": None}


def test_a_map_with_a_key_twice_is_no_document_and_the_rows_beside_it_are() -> None:
    twice = pa.array([[], [[("k", 1)], [("k", 1), ("a b", 2), ("k", 3)]], None], pa.list_(pa.map_(pa.string(), "int8")))
    (rows,) = table_rows(pa.table({"a": twice}))
    first, bad, last = rows.documents()
    assert (first, last) == ({"a": []}, {})
    assert isinstance(bad, DocumentError)
    assert (bad.reason, bad.path) == ("the key 'k' stands twice in a map", "$.a[1]")


@pytest.mark.parametrize("table", [3, DOCUMENTS, None, "a.parquet", [TABLE], pa.chunked_array([[1]])])
def test_what_is_no_table_is_refused(table: Any) -> None:
    with pytest.raises(ParameterError, match=r"^A table is a pyarrow Table, .* For documents use encode and fit\.$"):
        ENCODER.encode_table(table)


def test_nulls_are_missing_or_null() -> None:
    with pytest.raises(ParameterError, match="nulls is 'missing' or 'null', not 'none'"):
        ENCODER.encode_table(TABLE, nulls="none")  # type: ignore[arg-type]


def test_without_pyarrow_one_sentence_tells_how_to_install_it() -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None; from mbat import Encoder, MissingExtraError\n"
        "try: Encoder().encode_table([])\n"
        "except MissingExtraError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == (
        "Reading or writing Arrow and Parquet needs pyarrow, which is not installed. Run: pip install 'mbat[parquet]'\n"
    )


def in_order(value: Any, fields: Any) -> Any:
    """Return an object with its keys in the order of a schema."""
    held = [field for field in fields if field.name in value]
    return {
        field.name: in_order(value[field.name], field.type) if pa.types.is_struct(field.type) else value[field.name]
        for field in held
    }


@pytest.mark.parametrize("name", ["cities", "adult", "debian-packages"])
def test_real_records_have_the_vectors_they_have_as_json(name: str) -> None:
    path = SHARED / name / "documents.jsonl"
    if not path.is_file():
        pytest.skip("the data set is not at hand")
    documents = [orjson.loads(line) for line in path.read_bytes().splitlines()[:3000]]
    documents = [document for document in documents if isinstance(document.get("Maintainer", {}), dict)]
    table = pa.Table.from_struct_array(pa.array(documents))
    read = pa.json.read_json(pa.py_buffer(b"\n".join(map(orjson.dumps, documents))))
    ordered = [in_order(document, table.schema) for document in documents]
    fitted = Encoder(dim=256).fit_table(table)
    assert fitted == Encoder(dim=256).fit(documents)
    assert fitted.encode_table(table).tobytes() == fitted.encode(ordered).tobytes()
    np.testing.assert_allclose(fitted.encode_table(read), fitted.encode(documents), atol=1e-5)
