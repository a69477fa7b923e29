"""The commands that change an index: what they say, where, and with which exit status."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mbat import Index
from mbat.verifying import verify_index
from tests.test_cli import COUNTRIES, PROGRAM, folder, lines, mbat, write

__all__ = ["folder"]  # a fixture

PEOPLE = '{"id": "ann", "born": 1950}\n{"id": "bob", "born": 1990}\n'


@pytest.fixture
def people(folder: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    assert mbat("index", write("people.jsonl", PEOPLE), "--id-field", "id") == 0
    capfd.readouterr()
    return folder / "people.mbat"


def held(path: Path) -> dict[str, object]:
    with Index.open(path) as index:
        return dict(index.items())


def test_documents_are_added_upserted_fetched_and_deleted_and_counted(
    people: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert mbat("add", write("a.jsonl", '{"id": "cy"}\n{"id": 7}')) == 0
    assert capfd.readouterr() == ("", "Added 2: people.mbat\n")
    assert mbat("upsert", write("b.json", '[{"id": "ann", "born": 1950}, {"id": "cy", "new": 1}, {"id": "di"}]')) == 0
    note = "Note: the encoder has learned from 2 of now 5 documents; mbat rebuild --refit learns from all.\n"
    assert capfd.readouterr() == ("", f"Added 1, replaced 1, unchanged 1: people.mbat\n{note}")
    assert mbat("get", "cy", "7") == 0
    assert capfd.readouterr() == ('{"id":"cy","new":1}\n{"id":7}\n', "")
    assert mbat("delete", "cy", "gone", "7", "cy") == 0
    assert capfd.readouterr() == ("", "Deleted 2, not found 1: people.mbat\n")
    assert mbat("get", "ann", "cy", "bob") == 1
    out, err = capfd.readouterr()
    assert lines(out) == [{"id": "ann", "born": 1950}]
    assert err == "Error: There is no document with the id 'cy' in people.mbat.\n"
    assert set(held(people)) == {"ann", "bob", "di"}


def test_ids_to_delete_are_read_from_a_pipe(people: Path) -> None:
    piped = subprocess.run([*PROGRAM, "delete", "-"], input=b"ann\r\n\nnobody\n", capture_output=True, check=False)
    assert piped.stderr == b"Deleted 1, not found 1: people.mbat\n"
    assert set(held(people)) == {"bob"}


def test_the_id_field_of_the_index_is_remembered_and_another_may_be_named(
    people: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert mbat("add", write("a.jsonl", '{"name": "x"}')) == 1
    assert capfd.readouterr().err.startswith("Error: a.jsonl, line 1: there is nothing at the id field id;")
    assert mbat("add", "a.jsonl", "--id-field", "name") == 0
    assert mbat("info") == 0
    assert held(people)["x"] == {"name": "x"}
    assert '"id field": "id"' in capfd.readouterr().out


def test_without_an_id_field_documents_are_numbered_on_and_cannot_be_upserted(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert mbat("index", write("a.jsonl", '"zero"\n"one"')) == 0
    assert mbat("add", write("b.jsonl", '"two"')) == 0
    assert mbat("get", "2") == 0
    assert capfd.readouterr().out == '"two"\n'
    assert mbat("upsert", "b.jsonl") == 2
    assert "upsert needs to know the documents' ids: name their field with --id-field PATH." in capfd.readouterr().err


def test_an_id_that_is_taken_is_refused_and_nothing_is_added(people: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = held(people)
    assert mbat("add", write("a.jsonl", '{"id": "new"}\n{"id": "bob"}')) == 1
    assert capfd.readouterr().err == "Error: The id 'bob' is in the index already; upsert replaces its document.\n"
    assert held(people) == before


@pytest.mark.parametrize("command", ["add", "upsert"])
def test_a_broken_line_stops_the_change_or_is_left_out(
    command: str, people: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    deep = '{"id": "deep", "a":' * 251 + "1" + "}" * 251
    assert mbat(command, write("a.jsonl", f'{{"id": "x"}}\n{deep}')) == 1
    assert capfd.readouterr().err.startswith("Error: a.jsonl, line 2, at $.a.a")
    assert mbat(command, write("a.jsonl", '{"id": "x"}\n{"id":')) == 1
    assert set(held(people)) == {"ann", "bob"}
    assert mbat(command, "a.jsonl", "--on-error", "skip") == 0
    assert ": people.mbat, 1 left out\n" in capfd.readouterr().err
    assert set(held(people)) == {"ann", "bob", "x"}


def test_an_index_is_compacted_rebuilt_and_verified(people: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("delete", "ann") == 0
    assert mbat("compact") == 0
    assert mbat("rebuild", "--kind", "flat-fp16", "--refit") == 0
    assert mbat("verify") == 0
    out, err = capfd.readouterr()
    assert out == ""
    _, compacted, rebuilt, verified = err.splitlines()
    assert compacted.startswith("Compacted: ")
    assert rebuilt == "Rebuilt 1 document as flat-fp16: people.mbat"
    assert verified == "All is well: people.mbat"
    assert mbat("rebuild", "--kind", "cubist") == 2


def test_what_is_wrong_is_listed_and_repaired(people: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = held(people)
    vectors = next(people.glob("vectors-*"))
    content = bytearray(vectors.read_bytes())
    content[len(content) // 2] ^= 1
    vectors.write_bytes(content)
    assert mbat("verify") == 1
    out, err = capfd.readouterr()
    assert out.startswith(f"people.mbat/{vectors.name} is damaged: its checksum is wrong.")
    assert out.count("\n") == 1
    assert err == "1 things are wrong with people.mbat.\n"
    assert mbat("verify", "--repair") == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "Made the vectors of 2 documents anew: people.mbat\nAll is well: people.mbat\n"
    assert held(people) == before
    assert verify_index(people) == []


def test_a_query_takes_a_filter_and_an_effort(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("index", str(COUNTRIES), "--id-field", "name") == 0
    where = "landlocked = true and languages contains 'German'"
    assert mbat("query", '{"name": "France"}', "--where", where, "--effort", "1") == 0
    hits = lines(capfd.readouterr().out)
    assert {hit["id"] for hit in hits} == {"Austria", "Liechtenstein", "Luxembourg", "Switzerland"}
    assert mbat("query", "{}", "--where", "landlocked =") == 1
    assert capfd.readouterr().err.startswith("Error: The filter")
    assert mbat("query", "{}", "--effort", "2") == 2


@pytest.mark.parametrize("command", ["add", "upsert", "delete", "get", "compact", "rebuild", "verify"])
def test_an_index_that_is_not_there_is_a_sentence(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    write("a.jsonl", json.dumps({"id": 1}))
    given = {"add": ["a.jsonl"], "upsert": ["a.jsonl"], "delete": ["1"], "get": ["1"]}.get(command, [])
    assert mbat(command, *given, "-i", "gone.mbat") == 1
    assert capfd.readouterr().err.startswith("Error: gone.mbat does not exist. Make an index with: mbat index FILE")
    assert not Path("gone.mbat").exists()
    assert mbat(command, *given, "-i", "a.jsonl") == 1
    assert capfd.readouterr().err.startswith("Error: a.jsonl is a file, and an mbat index is a folder.")
