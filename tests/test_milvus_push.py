"""Filling collections of Milvus, and the commands on them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import mbat
from mbat import Encoder, Index
from mbat.addresses import address_of
from mbat.folder_index import FolderIndex
from mbat.milvus import Pushed, create_collection, push, push_files
from mbat.milvus.connecting import Connection
from mbat.milvus.creating import about_of
from mbat.milvus.index import MilvusIndex
from mbat.milvus.looking import Rows, unfound_ids
from mbat.milvus.pushing import _filled, _Kept
from mbat_cli.main import cli

PEOPLE: list[Any] = [{"name": f"person {i}", "born": 1900 + i, "home": {"city": "Oslo"}} for i in range(30)]
IDS = [f"p{i:02}" for i in range(30)]
ENCODER = Encoder(dim=64).fit(PEOPLE)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[FolderIndex]:
    with Index.create(tmp_path / "people.mbat", PEOPLE, IDS, ENCODER) as index:
        yield index


def contents(uri: object) -> dict[str, Any]:
    with MilvusIndex.open(f"milvus:{uri}#people") as index:
        return index._collection.matching("")


def write(path: Path, documents: list[Any], ids: list[str], encoder: Encoder = ENCODER) -> None:
    """Write what ``mbat encode --engine ray`` writes."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(encoder.encode(documents).reshape(-1)), encoder.dim)
    texts = [orjson.dumps(document).decode() for document in documents]
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"id": ids, "vector": vectors, "document": texts}), path)


def test_a_pushed_index_holds_the_same_documents(local: FolderIndex, tmp_path: Path) -> None:
    stages = []
    pushed = push(local, f"{tmp_path}/a.db", "people", progress=lambda stage, done, _: stages.append((stage, done)))
    assert pushed == Pushed(rows=30, documents=30)
    assert pushed.findings() == []
    assert contents(tmp_path / "a.db") == dict(local.items())
    assert stages == [("check", 30), ("write", 30), ("look", 30)]


def test_an_empty_index_can_be_pushed(tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.mbat", []) as index:
        assert push(index, f"{tmp_path}/a.db", "people") == Pushed()
    with Index.open(f"milvus:{tmp_path}/a.db#people") as served:
        assert (len(served), served.search({"a": 1}), served.search({"a": 1}, where="a = 1")) == (0, [], [])


def test_a_collection_is_replaced_only_on_request(local: FolderIndex, tmp_path: Path) -> None:
    uri = f"{tmp_path}/a.db"
    create_collection(uri, "people", Encoder(dim=16), kind="FLAT")
    with pytest.raises(mbat.IndexExistsError, match=r"The collection people is in .* already\. Choose another name"):
        push(local, uri, "people")
    assert contents(uri) == {}
    push(local, uri, "people", overwrite=True)
    assert len(contents(uri)) == 30


@pytest.mark.parametrize("name", ["people_encoder", "strangers"])
def test_a_collection_that_is_not_the_one_to_be_replaced_is_left_alone(
    name: str, local: FolderIndex, tmp_path: Path
) -> None:
    uri = f"{tmp_path}/a.db"
    push(local, uri, "people")
    connection = Connection(uri)
    connection.call("create_collection", "strangers", dimension=2)
    with pytest.raises(mbat.IndexExistsError, match=rf"The collection {name} is in .* and is none that mbat has made"):
        push(local, uri, name, overwrite=True)
    assert set(connection.call("list_collections")) == {"people", "people_encoder", "strangers"}
    assert len(contents(uri)) == 30
    connection.close()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("GPU_CAGRA", r"milvus-lite has no GPU_CAGRA; take another"),
        ("flat", r"There is no kind 'flat' of index in Milvus"),
    ],
)
def test_a_kind_that_there_is_not_is_refused_before_anything_is_dropped(
    kind: str, error: str, local: FolderIndex, tmp_path: Path
) -> None:
    with pytest.raises(mbat.ParameterError, match=error):
        push(local, f"{tmp_path}/a.db", "people", kind, overwrite=True)
    assert not (tmp_path / "a.db").exists()


def test_what_milvus_cannot_keep_ends_the_push_or_is_left_out(tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.mbat", [{"a": 1}, 7, "text", [1]], encoder=ENCODER) as index:
        with pytest.raises(mbat.DocumentError, match=r"At document 1, \$: Milvus keeps objects and arrays alone"):
            push(index, f"{tmp_path}/a.db", "people")
        assert not (tmp_path / "a.db").exists()
        assert push(index, f"{tmp_path}/a.db", "people", on_error="skip") == Pushed(rows=2, documents=2, left_out=2)
    assert contents(tmp_path / "a.db") == {"0": {"a": 1}, "3": [1]}


def test_rows_that_are_lost_or_altered_on_their_way_are_told(tmp_path: Path) -> None:
    address, passes = address_of(f"{tmp_path}/a.db", "people"), []

    def source() -> Iterator[Rows]:
        passes.append(1)
        if len(passes) == 3:  # all is written, and is to be looked for
            with MilvusIndex.open(str(address)) as index:
                index.delete(["p03", "p04"])
                index.upsert([{"name": "another"}], ["p05"])
        yield IDS, None, PEOPLE

    pushed = _filled(_Kept(source, True, False), ENCODER, address, about_of(ENCODER, "HNSW", None), False, print)
    assert (pushed.rows, pushed.documents, pushed.missing, pushed.unfound) == (30, 28, ["p03", "p04", "p05"], [])
    assert pushed.findings() == ["Missing, or not as written: 3 of 30 documents ('p03', 'p04', 'p05')."]


def test_findings_name_a_few_ids_and_count_all() -> None:
    told = Pushed(rows=10, documents=3, missing=list("abcdefg"), unfound=["x"]).findings()
    assert told == [
        "Missing, or not as written: 7 of 10 documents ('a', 'b', 'c', 'd', 'e', …).",
        "There, but found by no search: 1 of 10 documents ('x'). A graph may not reach every document; the kinds "
        "IVF_FLAT and FLAT find all with --effort 1.",
    ]


def test_parquet_files_are_pushed_as_the_index_of_their_documents(local: FolderIndex, tmp_path: Path) -> None:
    write(tmp_path / "out" / "1.parquet", PEOPLE[:17], IDS[:17])
    write(tmp_path / "out" / "2.parquet", PEOPLE[17:], IDS[17:])
    files = [f"{tmp_path}/out/1.parquet", f"{tmp_path}/out/2.parquet"]
    assert push_files(files, ENCODER, f"{tmp_path}/a.db", "people") == Pushed(rows=30, documents=30)
    with Index.open(f"milvus:{tmp_path}/a.db#people") as served:
        assert served.search({"name": "person 7"}, 30) == local.search({"name": "person 7"}, 30)


def test_an_id_that_two_rows_have_is_told(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", [PEOPLE[0], PEOPLE[0], PEOPLE[1]], ["a", "a", "b"])
    pushed = push_files([f"{tmp_path}/1.parquet"], ENCODER, f"{tmp_path}/a.db", "people")
    assert pushed.findings() == ["Of 3 documents written 2 are there: ids occur more than once."]


def test_vectors_of_another_encoder_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", PEOPLE, IDS, Encoder(dim=64, seed=1))
    write(tmp_path / "2.parquet", PEOPLE, IDS, Encoder(dim=32))
    for name, error in (
        ("1", "are of another encoder than the one given"),
        ("2", "those of the encoder are 64 floats"),
    ):
        with pytest.raises(mbat.MbatError, match=error):
            push_files([f"{tmp_path}/{name}.parquet"], ENCODER, f"{tmp_path}/a.db", "people")
    assert not (tmp_path / "a.db").exists()


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ({"id": ["a"], "document": ["{}"]}, "has no column vector; it needs id, vector, document"),
        ({"id": ["a"], "vector": [[1.0]], "document": ["{}"]}, "are list<.*>; those of the encoder are 64 floats"),
        ({"id": pa.array([None], pa.string()), "document": ["{}"]}, "The column id of .* has a null"),
        ({"id": ["a"], "document": ["{"]}, "row 1: not JSON"),
        ({"id": [1], "document": ["{}"]}, "The column id of .* is int64, and not text"),
    ],
)
def test_parquet_files_of_another_form_are_refused(table: dict[str, Any], error: str, tmp_path: Path) -> None:
    if error.startswith(("The", "row")):
        table["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(ENCODER.encode([{}])[0]), 64)
    pq.write_table(pa.table(table), tmp_path / "1.parquet")
    with pytest.raises(mbat.SourceError, match=error):
        push_files([f"{tmp_path}/1.parquet"], ENCODER, f"{tmp_path}/a.db", "people")


# Commands.


def run(*arguments: str, lines: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=lines)


def answers(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def place(local: FolderIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    result = run("push", "--to", "people.db", "--collection", "people")
    assert (result.exit_code, result.stderr) == (0, "Pushed 30 documents: milvus:people.db#people\n")
    return "milvus:people.db#people"


def test_commands_answer_as_on_a_local_index(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = (
        ["query", '{"name": "person 7"}', "-k", "3", "--where", "born > 1910"],
        ["query", "--like", "p07", "--ignore", "name"],
        ["get", "p07", "p08"],
    )
    for command in commands:
        assert answers(run(*command, "-i", place)) == answers(run(*command, "-i", "people.mbat"))
    monkeypatch.setenv("MBAT_INDEX", place)
    assert answers(run("explain", "p07", "p08"))[0]["score"] == pytest.approx(
        answers(run("explain", "p07", "p08", "-i", "people.mbat"))[0]["score"]
    )
    told = answers(run("info"))[0]["index"]
    assert (told["collection"], told["documents"], told["kind"], told["format"]) == (place, 30, "HNSW", "1")
    assert told["fingerprint"] == ENCODER.fingerprint


def test_commands_change_a_collection(place: str) -> None:
    lines = '{"name": "new"}\n'
    assert run("add", "-", "-i", place, lines=lines).stderr == f"Added 1: {place}\n"
    assert run("add", "-", "--id-field", "name", "-i", place, lines=lines).stderr == f"Added 1: {place}\n"
    again = run("add", "-", "--id-field", "name", "-i", place, lines=lines)
    assert (again.exit_code, again.stderr) == (
        1,
        "Error: The id 'new' is in the index already; upsert replaces its document.\n",
    )
    upserted = run("upsert", "-", "--id-field", "name", "-i", place, lines=lines)
    assert upserted.stderr == f"Added 0, replaced 0, unchanged 1: {place}\n"
    assert run("delete", "new", "30", "gone", "-i", place).stderr == f"Deleted 2, not found 1: {place}\n"
    assert run("get", "new", "-i", place).stderr == f"Error: There is no document with the id 'new' in {place}.\n"


@pytest.mark.parametrize(
    "command",
    ["compact", "rebuild", "verify", "dedup", "outliers", "eval", "map -o a.html", "decode name --like p07"],
)
def test_commands_that_need_a_folder_say_so(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MBAT_INDEX", "milvus:people.db#people")
    result = run(*command.split())
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "Error: This works on an index in a folder, and milvus:people.db#people is a collection of Milvus."
    )


def test_a_collection_is_not_made_of_files_as_a_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("index", "-", "-o", "milvus:people.db#people", lines="{}\n")
    assert (result.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert result.stderr.startswith("Error: This works on an index in a folder, and milvus:people.db#people is a")


def test_a_folder_of_parquet_files_is_pushed_with_the_encoder_in_it(tmp_path: Path) -> None:
    write(tmp_path / "out" / "1.parquet", PEOPLE, IDS)
    to = ("--to", f"{tmp_path}/a.db", "--collection", "people")
    missing = run("push", f"{tmp_path}/out", *to)
    assert (missing.exit_code, "There is no encoder in" in missing.stderr) == (1, True)
    ENCODER.save(tmp_path / "out" / "encoder")
    assert run("push", f"{tmp_path}/out", *to).stderr == f"Pushed 30 documents: milvus:{tmp_path}/a.db#people\n"
    assert contents(tmp_path / "a.db") == dict(zip(IDS, PEOPLE, strict=True))
    named = run("push", f"{tmp_path}/out/1.parquet", "--encoder", f"{tmp_path}/out/encoder", "--overwrite", *to)
    assert named.exit_code == 0


def test_a_push_that_has_lost_rows_fails(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", [PEOPLE[0], PEOPLE[1]], ["a", "a"])
    ENCODER.save(tmp_path / "encoder")
    result = run("push", f"{tmp_path}/1.parquet", "--to", f"{tmp_path}/a.db", "--collection", "people")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"Pushed 2 documents: milvus:{tmp_path}/a.db#people",
        "Of 2 documents written 1 are there: ids occur more than once.",
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["a.parquet", "-i", "a.mbat", "--to", "a.db"], 2, "Name what to push once, as files or with -i."),
        (
            ["--encoder", "e", "-i", "a.mbat", "--to", "a.db"],
            2,
            "--encoder is for Parquet files; an index has its own.",
        ),
        (["-i", "a.mbat", "--to", "a"], 1, "'a' is neither a file of milvus-lite, which ends in .db, nor a server"),
        (["-i", "a.mbat", "--to", "a.db"], 1, "a.mbat does not exist."),
        (["-i", "a.mbat", "--to", "milvus:a.db"], 1, "'milvus:a.db' is neither a file of milvus-lite"),
        (["-i", "milvus:a.db#a", "--to", "a.db"], 1, "This works on an index in a folder"),
        (["gone.parquet", "--to", "a.db"], 1, "There is no file gone.parquet."),
        ([".", "--to", "a.db"], 1, "There is no Parquet file in ."),
        (["-i", "a.mbat", "--to", "a.db", "--kind", "flat"], 2, "'flat' is not one of 'HNSW', 'IVF_FLAT'"),
    ],
)
def test_a_wrong_push_is_refused(
    arguments: list[str], status: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("push", *arguments, "--collection", "people")
    assert result.exit_code == status
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_another_process_has_open_is_told(place: str) -> None:
    program = f"import mbat; mbat.Index.open({place!r})"
    with Index.open(place):
        other = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LANG": "C"},
        )
    assert other.returncode == 1
    assert "open in one process at a time: is it open in another?" in other.stderr.splitlines()[-1]


def test_what_no_search_finds_is_told_apart_from_what_one_finds(local: FolderIndex, tmp_path: Path) -> None:
    push(local, f"{tmp_path}/a.db", "people")
    with MilvusIndex.open(f"milvus:{tmp_path}/a.db#people") as index:
        rows = dict(zip(["nobody", *IDS], ENCODER.encode([{"name": "nobody"}, *PEOPLE]), strict=True))
        assert unfound_ids(index._collection, rows) == ["nobody"]
        assert unfound_ids(index._collection, {}) == []
