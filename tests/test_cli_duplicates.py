"""``mbat dedup`` and ``mbat outliers``: what they print, and what they refuse."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import click
import pytest

from mbat.duplicates import SUGGESTED
from mbat.index import Index
from mbat_cli.main import cli
from tests.test_cli import COUNTRIES, PROGRAM, folder, lines, mbat, write

__all__ = ["folder"]

TEXT = """\
{"id": 7, "name": "Ann Lee", "city": "Oslo"}
{"id": 8,  "name": "Bob Roy", "city": "Rome"}
{"id": 9, "name": "ANN LEE", "city": "Oslo"}
{"id": 5, "name": "Ann Leigh", "city": "Oslo"}
"""
SAME = ["--ignore", "id", "--id-field", "id"]


@pytest.fixture(autouse=True)
def documents(folder: Path) -> str:
    return write("a.jsonl", TEXT)


def test_groups_are_printed_and_counted(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("dedup", "a.jsonl", *SAME, "--threshold", "0.99") == 0
    out, err = capfd.readouterr()
    assert lines(out) == [{"group": ["7", "9"], "positions": [0, 2], "pairs": 1, "lowest": 1.0, "highest": 1.0}]
    assert err.endswith(
        "Groups: 1, of 2 documents together; pairs at 0.99 or more: 1. "
        "Of 4 documents 3 are left if one of each group is kept.\n"
    )
    assert [path.name for path in Path().iterdir()] == ["a.jsonl"]


def test_kept_documents_are_as_they_came_and_a_line_each(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    kept = [TEXT.encode().splitlines(keepends=True)[i] for i in (0, 1, 3)]
    assert mbat("dedup", "a.jsonl", *SAME, "--show", "kept") == 0
    assert capfdbinary.readouterr().out == b"".join(kept)
    array = write("b.json", json.dumps([{"a": 1}, {"a": 1}], indent=1))
    assert mbat("dedup", array, "--show", "kept") == 0
    assert capfdbinary.readouterr().out == b'{   "a": 1  }\n'


def test_pairs_tell_the_fields_that_differ(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("dedup", "a.jsonl", *SAME, "--threshold", "0.5", "--show", "pairs", "--explain") == 0
    pairs = lines(capfd.readouterr().out)
    assert [pair["ids"] for pair in pairs] == [["7", "9"], ["7", "5"]]
    assert pairs[0]["score"] == 1.0
    differs = pairs[1]["differs"]
    assert isinstance(differs, list)
    assert [(d["path"], d["first"], d["second"]) for d in differs] == [("name", "Ann Lee", "Ann Leigh")]
    assert differs[0]["lost"] > 0.1


def test_pairs_are_grouped_again_by_a_higher_threshold(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("dedup", "a.jsonl", *SAME, "--threshold", "0.5", "--pairs", "p.jsonl") == 0
    assert [group["group"] for group in lines(capfd.readouterr().out)] == [["7", "9", "5"]]
    assert mbat("dedup", "--rethreshold", "p.jsonl", "--threshold", "0.99") == 0
    again = capfd.readouterr()
    assert mbat("dedup", "a.jsonl", *SAME, "--threshold", "0.99") == 0
    assert capfd.readouterr() == again
    assert mbat("dedup", "--rethreshold", "p.jsonl", "--threshold", "0.99", "--show", "pairs") == 0
    assert [pair["ids"] for pair in lines(capfd.readouterr().out)] == [["7", "9"]]
    assert mbat("dedup", "--rethreshold", "p.jsonl") == 0
    assert [group["group"] for group in lines(capfd.readouterr().out)] == [["7", "9", "5"]]
    assert mbat("dedup", "--rethreshold", "p.jsonl", "--threshold", "0.4") == 1
    assert "found with a threshold of 0.5, so those of 0.4 are not all" in capfd.readouterr().err


def test_pairs_of_a_file_say_which_documents_to_keep(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("dedup", "a.jsonl", *SAME, "--threshold", "0.5", "--pairs", "p.jsonl") == 0
    assert mbat("index", "a.jsonl", "--id-field", "id") == 0
    capfd.readouterr()
    again = ["dedup", "--rethreshold", "p.jsonl", "--threshold", "0.99", "--show", "kept"]
    for where in (["a.jsonl", "--id-field", "id"], ["-i", "a.mbat"], ["a.mbat"], []):
        assert mbat(*again, *where) == 0
        assert [document["id"] for document in lines(capfd.readouterr().out)] == [7, 8, 5]
    for other, sentence in (
        (TEXT * 2, "These are 8 documents, and the pairs are of 4."),
        ('{"id": 1}', "another there"),
    ):
        assert mbat(*again, write("b.jsonl", other), "--id-field", "id") == 1
        out, err = capfd.readouterr()
        assert out == ""
        assert sentence in err


def test_documents_of_the_same_id_are_duplicates_like_others(capfd: pytest.CaptureFixture[str]) -> None:
    write("b.jsonl", '{"id":"x","a":"q"}\n{"id":"x","a":"q"}\n{"id":"y","a":"z"}\n{"id":"x","a":"p"}\n')
    command = ["dedup", "b.jsonl", "--id-field", "id"]
    assert mbat(*command, "--pairs", "p.jsonl") == 0
    (group,) = lines(capfd.readouterr().out)
    assert (group["group"], group["positions"]) == (["x", "x"], [0, 1])
    kept = [{"id": "x", "a": "q"}, {"id": "y", "a": "z"}, {"id": "x", "a": "p"}]
    assert mbat(*command, "--show", "kept") == 0
    assert lines(capfd.readouterr().out) == kept
    assert mbat("dedup", "--rethreshold", "p.jsonl", "--show", "kept", *command[1:]) == 0
    assert lines(capfd.readouterr().out) == kept
    assert mbat(*command, "--show", "pairs", "--threshold", "0.1", "--explain", "--ignore", "id") == 0
    pairs = lines(capfd.readouterr().out)
    assert [(pair["positions"], pair["differs"]) for pair in pairs] == [([0, 1], [])]
    assert mbat("dedup", "--rethreshold", "p.jsonl", "--show", "kept", "b.jsonl", "--id-field", "a") == 1
    assert "the id 'q' is another there" in capfd.readouterr().err


@pytest.mark.parametrize("pairs", ["a.jsonl", "./a.jsonl", "a.mbat/p.jsonl"])
def test_pairs_are_not_written_over_the_documents(pairs: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("index", "a.jsonl") == 0
    files = sorted(Path("a.mbat").iterdir())
    where = "a.jsonl" if pairs.endswith("a.jsonl") else "a.mbat"
    assert mbat("dedup", where, "--pairs", pairs) == 1
    assert f"The pairs cannot be written to {Path(pairs)}: the documents are there." in capfd.readouterr().err
    assert Path("a.jsonl").read_text(encoding="utf-8") == TEXT
    assert sorted(Path("a.mbat").iterdir()) == files


def test_pairs_that_cannot_be_written_are_told_of_before_the_documents_are_read(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write("broken.jsonl", "{")
    assert mbat("dedup", "broken.jsonl", "--pairs", "gone/p.jsonl") == 1
    assert "The pairs cannot be written to gone/p.jsonl: No such file or directory." in capfd.readouterr().err


def test_an_index_has_the_duplicates_of_its_files(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("index", str(COUNTRIES), "--id-field", "name") == 0
    outputs = set()
    for where in (
        ["countries.mbat"],
        ["countries.mbat/"],
        ["-i", "countries.mbat"],
        [],
        [str(COUNTRIES), "--id-field", "name"],
    ):
        capfd.readouterr()
        assert mbat("dedup", *where, "--threshold", "0.6") == 0
        outputs.add(capfd.readouterr().out)
    assert [group["group"] for group in lines(outputs.pop())][1] == ["North Korea", "South Korea"]
    assert not outputs


def test_documents_on_standard_input_are_compared() -> None:
    run = subprocess.run(
        [*PROGRAM, "dedup", "-"], input=b'{"a":1}\n{"b":2}\n{"a":1}\n', capture_output=True, check=True
    )
    assert [group["group"] for group in lines(run.stdout.decode())] == [["0", "2"]]


@pytest.mark.parametrize("content", ["", '{"a": 1}'])
def test_none_or_one_document_has_no_duplicates(content: str, capfd: pytest.CaptureFixture[str]) -> None:
    write("a.jsonl", content)
    assert mbat("dedup", "a.jsonl") == 0
    assert capfd.readouterr().out == ""
    assert mbat("dedup", "a.jsonl", "--show", "kept") == 0
    assert capfd.readouterr().out.strip() == content


def test_tables_fit_the_terminal(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert mbat("index", str(COUNTRIES), "--id-field", "name") == 0
    capfd.readouterr()
    for arguments in (
        ["dedup", "--threshold", "0.5"],
        ["dedup", "--threshold", "0.5", "--show", "pairs", "--explain"],
        ["outliers"],
    ):
        assert mbat(*arguments, "--plain") == 0
        table = capfd.readouterr().out.splitlines()
        assert len(table) > 9
        assert max(map(len, table)) <= 70


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["a.jsonl", "--threshold", "0"], 2, "Invalid value for '--threshold'"),
        (["a.jsonl", "--threshold", "1.5"], 2, "Invalid value for '--threshold'"),
        (["a.jsonl", "--explain"], 2, "--explain goes with --show pairs"),
        (["a.jsonl", "--show", "kept", "--plain"], 2, "--show kept prints the documents as they came"),
        (["a.jsonl", "--show", "kept", "--json"], 2, "--show kept prints the documents as they came"),
        (["a.jsonl", "-i", "a.mbat"], 2, "Name FILE... or an index, and not both."),
        (["gone.mbat"], 1, "gone.mbat does not exist."),
        (["gone.jsonl"], 1, "There is no file gone.jsonl."),
        ([], 1, "Which index?"),
        (["--id-field", "id"], 2, "--config, --id-field and --on-error are for FILE..."),
        (["a.mbat", "--on-error", "skip"], 2, "--config, --id-field and --on-error are for FILE..."),
        (["--rethreshold", "a.jsonl", "-i", "nothere.mbat"], 2, "are for --show kept alone."),
        (["--rethreshold", "a.jsonl", "a.jsonl"], 2, "are for --show kept alone."),
        (["--rethreshold", "a.jsonl", "--id-field", "name"], 2, "are for --show kept alone."),
        (["--rethreshold", "a.jsonl", "--on-error", "skip"], 2, "are for --show kept alone."),
        (["--rethreshold", "gone.jsonl"], 1, "The pairs gone.jsonl cannot be read: No such file or directory."),
        (["--rethreshold", "a.jsonl"], 1, "a.jsonl is no file of pairs that mbat dedup --pairs has written."),
        (["--rethreshold", "a.jsonl", "--ignore", "id"], 2, "leave out --ignore"),
        (["a.jsonl", "--pairs", "gone/p.jsonl"], 1, "The pairs cannot be written to gone/p.jsonl: No such file"),
        (["a.jsonl", "--ignore", "a..b"], 1, "is not well formed"),
    ],
)
def test_wrong_use_of_dedup_is_answered_with_a_sentence(
    arguments: list[str], status: int, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert mbat("dedup", *arguments) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err
    assert [path.name for path in Path().iterdir()] == ["a.jsonl"]


def test_a_broken_document_is_named_or_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    write("a.jsonl", '{"a":1}\n{"a":\n{"a":1}\n')
    assert mbat("dedup", "a.jsonl") == 1
    assert "a.jsonl, line 2: not JSON" in capfd.readouterr().err
    assert mbat("dedup", "a.jsonl", "--on-error", "skip") == 0
    out, err = capfd.readouterr()
    assert [group["group"] for group in lines(out)] == [["0", "1"]]
    assert "Note: 1 broken documents were left out." in err


def test_outliers_are_printed_oddest_first_with_fields(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("index", str(COUNTRIES), "--id-field", "name") == 0
    capfd.readouterr()
    assert mbat("outliers", "-k", "3", "--neighbours", "2") == 0
    found = lines(capfd.readouterr().out)
    assert [list(one) for one in found] == [["id", "score", "neighbours", "fields", "document"]] * 3
    scores = [one["score"] for one in found]
    assert scores == sorted(scores)  # type: ignore[type-var]
    with Index.open("countries.mbat") as index:
        assert all(one["document"] == index.get(str(one["id"])) for one in found)


def test_outliers_of_too_few_documents_are_none_and_said(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("index", write("a.jsonl", "1")) == 0
    capfd.readouterr()
    assert mbat("outliers") == 0
    assert capfd.readouterr() == ("", "Note: an outlier takes two documents or more; the index has fewer.\n")
    assert mbat("outliers", "a.mbat", "-i", "a.mbat") == 2
    assert mbat("outliers", "--neighbours", "0") == 2


def test_the_threshold_is_the_suggested_one() -> None:
    option = next(one for one in cli.commands["dedup"].params if one.name == "threshold")
    assert isinstance(option, click.Option)
    assert str(option.show_default).startswith(f"{SUGGESTED};")


def test_a_field_to_ignore_that_no_document_has_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("dedup", "a.jsonl", "--ignore", "id", "--ignore", "nmae", "--ignore", "**.x") == 0
    notes = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Note: ")]
    assert notes == ["Note: no document has the field nmae, so ignoring it changes nothing."]
