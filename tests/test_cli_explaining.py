"""``mbat explain``, and the options of ``mbat query`` that weigh, compare and explain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from mbat import Encoder, Index
from mbat_cli.main import cli

PEOPLE: dict[str, dict[str, Any]] = {
    "ann": {"name": "Ann Lee", "born": 1950, "home": {"city": "Oslo", "zip": 150}},
    "bob": {"name": "Bob Roy", "born": 1990, "home": {"city": "Oslo", "zip": 151}},
    "cy": {"name": "Cy Lee", "born": 1951, "home": {"city": "Rome", "zip": 100}},
    "7": {"name": "Dee\x1b[31m\nPoe", "born": 1991},
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explain") / "people.mbat"
    Index.create(path, PEOPLE.values(), ids=PEOPLE).close()
    return path


def mbat(index: Path, *arguments: str, lines: str | None = None) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(cli, [command, "-i", str(index), *rest], input=lines)


def answers(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def test_documents_are_explained_by_their_ids_or_as_json(index: Path, tmp_path: Path) -> None:
    (tmp_path / "ann.json").write_bytes(orjson.dumps(PEOPLE["ann"]))
    asked = [("ann", "cy"), (orjson.dumps(PEOPLE["ann"]).decode(), "cy"), (f"@{tmp_path}/ann.json", "cy")]
    found = [answers(mbat(index, "explain", *pair)) for pair in asked]
    assert found[0] == found[1] == found[2]
    (why,) = found[0]
    with Index.open(index) as opened:
        expected = opened.encoder.explain(PEOPLE["ann"], PEOPLE["cy"])
    assert (why["score"], why["agreement"]) == pytest.approx((expected.score, expected.agreement))
    assert [part["path"] for part in why["parts"]] == [part.path for part in expected.parts]
    assert sum(part["contribution"] for part in why["parts"]) == pytest.approx(why["score"], abs=1e-5)


def test_an_id_that_looks_like_a_number_is_an_id(index: Path) -> None:
    assert answers(mbat(index, "explain", "7", "7"))[0]["score"] == pytest.approx(1.0, abs=1e-6)


def test_weights_and_depth_hold_for_an_explanation(index: Path) -> None:
    (why,) = answers(mbat(index, "explain", "ann", "bob", "--weight", "home=3", "--ignore", "name", "--depth", "1"))
    paths = [part["path"] for part in why["parts"]]
    assert paths[0] == "home"
    assert "name" not in paths
    assert "home.city" not in paths


def test_a_table_of_an_explanation_steers_no_terminal(index: Path) -> None:
    result = mbat(index, "explain", "7", "ann", "--plain")
    assert "\x1b" not in result.stdout
    assert "Dee\\x1b[31m\\nPoe | Ann Lee" in result.stdout
    assert "\x1b" not in mbat(index, "query", '{"name": "Dee"}', "--plain", "--explain").stdout


def test_without_an_index_documents_are_compared_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MBAT_INDEX", raising=False)
    result = CliRunner().invoke(cli, ["explain", '{"a": "x y"}', '{"a": "x z"}'])
    assert orjson.loads(result.stdout)["score"] == pytest.approx(Encoder().explain({"a": "x y"}, {"a": "x z"}).score)
    assert "there is no index here" in result.stderr
    missing = CliRunner().invoke(cli, ["explain", "ann", '{"a": 1}'])
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "Which index?" in missing.stderr


def test_hits_are_explained_one_by_one(index: Path) -> None:
    for hit in answers(mbat(index, "query", '{"name": "Lee", "born": 1950}', "--explain", "-k", "2")):
        assert sum(part["contribution"] for part in hit["explanation"]["parts"]) == pytest.approx(
            hit["score"], abs=1e-5
        )
    assert "explanation" not in answers(mbat(index, "query", '{"name": "Lee"}'))[0]


def test_several_queries_are_weighed_and_explained_alike(index: Path) -> None:
    lines = '{"name": "Lee"}\n{"home": {"city": "Rome"}, "born": 1990}\n'
    found = answers(mbat(index, "query", "-", "-k", "1", "--ignore", "born", "--explain", lines=lines))
    assert [(hit["query"], hit["id"]) for hit in found][1] == (1, "cy")
    assert all(part["path"] != "born" for part in found[1]["explanation"]["parts"])


def test_documents_like_some_and_unlike_others_are_found(index: Path) -> None:
    assert [hit["id"] for hit in answers(mbat(index, "query", "--like", "ann", "-k", "1"))] == ["cy"]
    assert [hit["id"] for hit in answers(mbat(index, "query", "--like", "ann", "--unlike", "cy", "-k", "1"))] == ["bob"]
    with_document = answers(mbat(index, "query", '{"born": 1990}', "--like", "ann", "--weight", "home=0"))
    assert {hit["id"] for hit in with_document} == {"bob", "cy", "7"}


def test_a_weight_of_a_field_that_no_query_has_is_told(index: Path) -> None:
    result = mbat(index, "query", '{"name": "Lee"}', "--weight", "nane=3", "--ignore", "**.zip", "--weight", "*=2")
    assert result.exit_code == 0
    notes = [f"Note: no query has the field {path}, so its weight changes nothing." for path in ("**.zip", "nane")]
    assert result.stderr.splitlines() == notes


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["query", "{}", "--weight", "name"], 2, "'name' is not PATH=W, such as price=3."),
        (["query", "{}", "--weight", "=3"], 2, "'=3' is not PATH=W, such as price=3."),
        (["query", "{}", "--weight", "a=1", "--weight", "a=2"], 2, "a has two weights."),
        (["query", "{}", "--weight", "a=1e9"], 1, "The field 'a': weight is 0 or a number from 0.001 to 1000"),
        (["query", "{}", "--weight", "a..b=2"], 1, "The path 'a..b' is not well formed"),
        (["query", "-", "--like", "ann"], 2, "--like and --unlike go with one DOCUMENT, or none"),
        (["query", "{}", "--depth", "1"], 2, "--depth groups the fields of --explain."),
        (["query", "--like", "eve"], 1, "There is no document with the id 'eve' to be like or unlike."),
        (["query", "--like", "ann", "--unlike", "ann"], 1, "Nothing is asked"),
        (["explain", "ann", "eve"], 1, "There is no document with the id 'eve' in "),
        (["explain", "ann", "{"], 1, "is not JSON: "),
        (["explain", "ann", "@nowhere.json"], 1, "The query file nowhere.json cannot be read"),
        (["explain", "ann"], 2, "Missing argument 'B'."),
    ],
)
def test_what_is_not_well_asked_is_refused_in_a_sentence(
    index: Path, arguments: list[str], status: int, message: str
) -> None:
    result = mbat(index, *arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
