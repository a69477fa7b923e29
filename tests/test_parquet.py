"""Parquet and packed files, read and written by the command line."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mbat import Encoder, Index, SourceError
from mbat.sources import Reader
from mbat_cli.main import cli, run

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DOCUMENTS: list[dict[str, Any]] = [
    {"key": f"k{i}", "name": f"Åsa No {i % 50}", "n": i, "at": {"lat": i % 90 + 0.5, "lon": i / 10}}
    for i in range(2500)
]
DOCUMENTS[7].pop("name")
TABLE = pa.Table.from_pylist(DOCUMENTS)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MBAT_INDEX", raising=False)
    return tmp_path


def mbat(*arguments: str) -> int:
    return run(lambda **options: cli.main(list(arguments), prog_name="mbat", **options))


def parquet(name: str, table: Any = TABLE, **options: Any) -> str:
    pq.write_table(table, name, **options)
    return name


def lines(documents: list[Any] = DOCUMENTS) -> bytes:
    return "\n".join(map(json.dumps, documents)).encode()


def test_rows_are_documents_whatever_the_row_groups() -> None:
    files = [parquet("a.parquet", TABLE.slice(0, 2000), row_group_size=700), parquet("b.parquet", TABLE.slice(2000))]
    reader = Reader(files, "n")
    records = list(reader)
    assert [record.document for record in records] == DOCUMENTS
    assert [json.loads(record.text) for record in records] == DOCUMENTS
    assert [record.id for record in records] == [str(i) for i in range(2500)]
    assert reader.where(1999) == "a.parquet, row 2000"
    assert reader.where(2000) == "b.parquet, row 1"
    assert reader.bytes_read == reader.bytes_total > 0


def test_an_index_of_a_parquet_file_is_that_of_its_rows(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("index", parquet("a.parquet"), "--id-field", "key") == 0
    assert capfd.readouterr().err.endswith(": a.mbat\n")
    Path("b.jsonl.zst").write_bytes(zstd.compress(lines()))
    assert mbat("index", "b.jsonl.zst", "--id-field", "key") == 0
    assert capfd.readouterr().err.endswith(": b.mbat\n")
    with Index.open("a.mbat") as index, Index.open("b.mbat") as other:
        assert index.get("k7") == DOCUMENTS[7]
        assert list(index.documents()) == DOCUMENTS
        assert index.encoder == other.encoder == Encoder().fit(DOCUMENTS)


@pytest.mark.parametrize(
    "pack", [gzip.compress, zstd.compress, lambda text: zstd.compress(text[:999]) + zstd.compress(text[999:])]
)
@pytest.mark.parametrize(("suffix", "text"), [(".jsonl", lines()), (".json", json.dumps(DOCUMENTS).encode())])
def test_packed_files_are_read_as_plain_ones(pack: Callable[[bytes], bytes], suffix: str, text: bytes) -> None:
    name = f"a{suffix}.gz" if pack is gzip.compress else f"a{suffix}.zst"
    Path(name).write_bytes(pack(text))
    assert [record.document for record in Reader([name])] == DOCUMENTS


def test_a_row_with_a_map_that_has_a_key_twice_is_named_or_skipped(capfd: pytest.CaptureFixture[str]) -> None:
    maps = pa.array([[("k", 1)], [("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int64()))
    name = parquet("a.parquet", pa.table({"id": ["a", "b"], "m": maps}))
    for command in (["index", name], ["encode", name, "-o", "v.npy"]):
        assert mbat(*command) == 1
        told = "Error: a.parquet, row 2, at $.m: the key 'k' stands twice in a map."
        assert capfd.readouterr().err.splitlines()[-1] == told
    assert mbat("index", name, "--on-error", "skip", "--id-field", "id") == 0
    with Index.open("a.mbat") as index:
        assert list(index.documents()) == [{"id": "a", "m": {"k": 1}}]
    assert mbat("encode", name, "-o", "v.npy", "--on-error", "skip") == 0
    assert np.load("v.npy").shape == (1, 1024)


def test_vectors_of_parquet_are_those_of_json_lines_to_the_last_bit(capfd: pytest.CaptureFixture[str]) -> None:
    Path("a.jsonl").write_bytes(lines())
    assert mbat("encode", "a.jsonl", "-o", "json.npy") == 0
    halves = [parquet("a.parquet", TABLE.slice(0, 900)), parquet("b.parquet", TABLE.slice(900))]
    assert mbat("encode", *halves, "-o", "parquet.npy") == 0
    assert mbat("encode", *halves, "-o", "skipping.npy", "--on-error", "skip") == 0
    assert mbat("encode", halves[0], "a.jsonl", "-o", "mixed.npy") == 0
    expected = np.load("json.npy")
    assert expected.shape == (2500, 1024)
    assert Path("parquet.npy").read_bytes() == Path("skipping.npy").read_bytes() == Path("json.npy").read_bytes()
    assert np.load("mixed.npy").shape == (3400, 1024)
    assert mbat("index", "a.jsonl") == 0
    assert mbat("encode", *halves, "-o", "kept.npy", "--encoder", "a.mbat") == 0
    assert Path("kept.npy").read_bytes() == Path("json.npy").read_bytes()
    assert "Encoded 2,500 documents: parquet.npy\n" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_vectors_are_written_to_parquet_with_ids(name: str) -> None:
    Path("a.jsonl").write_bytes(lines())
    parquet("a.parquet")
    expected = Encoder().fit(DOCUMENTS).encode(DOCUMENTS)
    assert mbat("encode", name, "-o", "v.parquet", "--id-field", "n") == 0
    table = pq.read_table("v.parquet")
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 1024)
    assert table.column_names == ["id", "vector"]
    assert table["id"].to_pylist() == [str(i) for i in range(2500)]
    assert table["vector"].combine_chunks().flatten().to_numpy().tobytes() == expected.tobytes()
    assert mbat("encode", name, "-o", "w.parquet") == 0
    assert pq.read_table("w.parquet").equals(table.select(["vector"]))


def test_no_rows_are_an_empty_file_of_vectors() -> None:
    assert mbat("encode", parquet("none.parquet", TABLE.slice(0, 0)), "-o", "v.parquet", "--id-field", "n") == 0
    assert pq.read_table("v.parquet").num_rows == 0
    assert pq.read_table("v.parquet").column_names == ["id", "vector"]


def with_nan(row: int) -> Any:
    numbers = np.arange(2500) / 2
    numbers[row] = np.nan
    return TABLE.append_column("x", pa.array(numbers))


DAMAGED = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
BAD_TEXT = pa.concat_tables([pa.table({"a": ["x"] * 4}), pa.table({"a": DAMAGED})])
NAN = "nan is not a JSON number; leave the field out or write null."


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (with_nan(2100), f"a.parquet, row 2101, at $.x: {NAN}"),
        (BAD_TEXT, "a.parquet, row 5, at $.a: the column cannot be read, Invalid UTF8 sequence at string index 0."),
        (pa.table({"a": [b"x"]}), "a.parquet, at $.a: a column of type binary has no form in JSON; "),
    ],
)
@pytest.mark.parametrize("command", [["index"], ["encode", "-o", "v.npy"]])
def test_what_is_wrong_in_a_file_is_one_sentence_with_the_row(
    command: list[str], table: Any, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert mbat(*command, parquet("a.parquet", table)) == 1
    err = capfd.readouterr().err
    assert err.startswith(f"Error: {sentence}")
    assert err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["a.parquet"]


@pytest.mark.parametrize(
    ("table", "left"), [(with_nan(2100), 2499), (BAD_TEXT, 4)], ids=["a number that is none", "a text that is none"]
)
def test_broken_rows_are_counted_if_they_may_be_left_out(
    table: Any, left: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert mbat("index", parquet("a.parquet", table), "--on-error", "skip") == 0
    assert capfd.readouterr().err.endswith("a.mbat, 1 left out\n")
    assert mbat("encode", "a.parquet", "-o", "v.npy", "--on-error", "skip") == 0
    assert len(np.load("v.npy")) == left


def test_a_file_that_is_not_whole_is_refused() -> None:
    whole = Path(parquet("a.parquet")).read_bytes()
    for damaged in (b"", b"no parquet", whole[:-30], whole[: len(whole) // 2]):
        Path("a.parquet").write_bytes(damaged)
        with pytest.raises(SourceError, match=r"^a\.parquet is not a whole Parquet file: .+"):
            list(Reader(["a.parquet"]))
    for damaged in (zstd.compress(lines())[:-9], b"no zstd", zstd.compress(lines()) + b"rest"):
        Path("a.jsonl.zst").write_bytes(damaged)
        with pytest.raises(SourceError, match=r"^a\.jsonl\.zst is not a whole zstd file: .+"):
            list(Reader(["a.jsonl.zst"]))


def test_bytes_that_were_changed_end_in_a_sentence_or_are_not_seen() -> None:
    whole = Path(parquet("a.parquet", TABLE.slice(0, 50))).read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.choice(len(whole), 300, replace=False).tolist():
        Path("b.parquet").write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with suppress(SourceError):
            list(Reader(["b.parquet"]))


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["-o", "v.npy", "--id-field", "n"], 2, "Error: A .npy file has no place for ids. Leave out --id-field, or "),
        (["-o", "v.csv"], 2, "Error: The output v.csv should end in .npy or .parquet."),
        (["-o", "v.parquet", "--id-field", "m"], 1, "a.parquet, row 1: there is nothing at the id field m; an id"),
        (["-o", "v.parquet", "--id-field", "at.lat"], 1, "a.parquet, row 1: there is a value of type float at "),
        (["-o", "v.parquet", "--id-field", "name"], 1, "a.parquet, row 8: there is nothing at the id field"),
    ],
)  # fmt: skip
def test_wrong_use_is_answered_with_a_sentence(
    arguments: list[str], status: int, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert mbat("encode", parquet("a.parquet"), *arguments) == status
    assert sentence in capfd.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["a.parquet"]


def test_a_packed_parquet_file_is_refused() -> None:
    Path("a.parquet.gz").write_bytes(b"")
    with pytest.raises(SourceError, match=r"^The name of a\.parquet\.gz does not tell its format\."):
        Reader(["a.parquet.gz"])


@pytest.mark.parametrize(
    ("module", "arguments", "needs", "extra"),
    [
        ("pyarrow", ["index", "a.parquet"], "Reading a Parquet file needs pyarrow", "parquet"),
        ("pyarrow", ["encode", "a.json", "-o", "v.parquet"], "Writing a Parquet file needs pyarrow", "parquet"),
        ("backports", ["index", "a.json.zst"], "Reading a .zst file needs backports.zstd", "zstd"),
    ],
)
def test_a_missing_extra_is_told_before_any_work(module: str, arguments: list[str], needs: str, extra: str) -> None:
    if module == "backports" and sys.version_info >= (3, 14):
        pytest.skip("Python has it")
    for name in ("a.parquet", "a.json", "a.json.zst"):
        Path(name).write_bytes(b"not even read")
    program = f"import sys; sys.modules[{module!r}] = None; from mbat_cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        *(1, ""),
        f"Error: {needs}, which is not installed. Run: pip install 'mbat[{extra}]'\n",
    )
