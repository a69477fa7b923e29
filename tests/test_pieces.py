"""Files that are cut into pieces hold the same documents, at the same places."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbat import DocumentError, SourceError
from mbat.pieces import Piece, cut
from mbat.sources import Reader, located


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([b"", b"1", b'"two"', b"[3, 4]", b" \r", b'{"five": 6}']), max_size=12),
    st.booleans(),
    st.integers(1, 40),
)
def test_pieces_of_any_size_hold_the_lines_of_the_file_once_each(lines: list[bytes], ends: bool, size: int) -> None:
    Path("a.jsonl").write_bytes(b"\n".join(lines) + b"\n" * ends)
    pieces = list(cut(["a.jsonl"], size))
    apart = [record for piece in pieces for record in Reader([piece])]
    assert apart == list(Reader(["a.jsonl"])) == list(Reader(pieces))
    assert len(pieces) == max(-(-Path("a.jsonl").stat().st_size // size), 1)


@pytest.mark.parametrize("size", [1, 5, 7, 8, 9, 1000])
@pytest.mark.parametrize("broken", range(5))
def test_a_broken_line_is_numbered_in_its_file_and_not_in_its_piece(broken: int, size: int) -> None:
    lines = ["[1]", "[22]", "", "[333]", "[4]"]
    lines[broken] = "[4"
    Path("a.jsonl").write_text("\n".join(lines))
    told = []
    for piece in cut(["a.jsonl"], size):
        try:
            list(Reader([piece]))
        except SourceError as error:
            told.append(str(error))
    assert told == [f"a.jsonl, line {broken + 1}: not JSON, unexpected end of data at character 3."]


def test_where_tells_the_line_of_a_record_in_any_piece() -> None:
    Path("a.jsonl").write_text("".join(f"[{n}]\n" + "\n" * (n % 3) for n in range(30)))
    whole = Reader(["a.jsonl"])
    expected = [whole.where(position) for position, _ in enumerate(whole)]
    pieces = Reader(list(cut(["a.jsonl"], 11)))
    assert [pieces.where(position) for position, _ in enumerate(pieces)] == expected
    assert expected[:4] == [f"a.jsonl, line {line}" for line in (1, 2, 4, 7)]


def test_what_an_encoder_refuses_is_placed_in_the_file() -> None:
    Path("a.jsonl").write_text("[1]\n[2]\n[3]\n")
    reader = Reader([Piece("a.jsonl", 4, 12)])
    assert len(list(reader)) == 2
    with pytest.raises(SourceError, match=r"^a\.jsonl, line 3, at \$\[0\]: no good\.$"), located(reader):
        raise DocumentError("no good", "$[0]", 1)


def test_a_byte_order_mark_is_taken_off_the_start_of_the_file_alone() -> None:
    Path("a.jsonl").write_bytes(b"\xef\xbb\xbf1\n\xef\xbb\xbf2\n")
    first, second = cut(["a.jsonl"], 5)
    assert [record.document for record in Reader([first])] == [1]
    for file in (second, "a.jsonl"):
        with pytest.raises(SourceError, match=r"^a\.jsonl, line 2: not JSON"):
            list(Reader([file]))


@pytest.mark.parametrize("rows", [0, 1, 2000])
def test_row_groups_are_pieces_of_a_parquet_file(rows: int) -> None:
    documents = [{"n": n} for n in range(rows)]
    pq.write_table(pa.Table.from_pylist(documents, pa.schema([("n", pa.int64())])), "a.parquet", row_group_size=700)
    pieces = list(cut(["a.parquet"], 1))
    assert len(pieces) == max(-(-rows // 700), 1)
    assert [record.document for piece in pieces for record in Reader([piece])] == documents
    assert sum(len(table) for table, _ in Reader(pieces).tables()) == rows


def test_a_broken_row_is_numbered_in_its_file() -> None:
    numbers = [0.5] * 1000
    numbers[900] = float("nan")
    pq.write_table(pa.table({"x": numbers}), "a.parquet", row_group_size=300)
    *good, last = cut(["a.parquet"], 1)
    assert len(list(Reader(good))) == 900
    with pytest.raises(SourceError, match=r"^a\.parquet, row 901, at \$\.x: nan is not a JSON number"):
        list(Reader([last]))


def test_files_that_have_no_lines_are_one_piece() -> None:
    Path("a.json").write_text(json.dumps([1, 2]))
    assert list(cut(["a.json", "a.jsonl.gz", "b.ndjson.zst"], 1)) == [
        Piece("a.json"),
        Piece("a.jsonl.gz"),
        Piece("b.ndjson.zst"),
    ]
