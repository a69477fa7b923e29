"""The command line: what it prints, where, and with which exit status."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest

from mbat import Encoder, Index
from mbat_cli.main import cli, run

COUNTRIES = Path(__file__).parent.parent / "examples/countries.jsonl"
SUITE = Path(__file__).parent.parent.parent / "shared/data/json-test-suite/raw"
PROGRAM = [sys.executable, "-c", "from mbat_cli.main import main; main()"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MBAT_INDEX", raising=False)
    return tmp_path


def mbat(*arguments: str) -> int:
    return run(lambda **options: cli.main(list(arguments), prog_name="mbat", **options))


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def write(name: str, content: str | bytes) -> str:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def test_files_are_indexed_and_queried(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("index", str(COUNTRIES), "--id-field", "name") == 0
    out, err = capfd.readouterr()
    assert out == ""
    chosen, indexed = err.splitlines()
    said = "Kind flat: It is quick to compare all of 193 vectors with a query; as flat they take 0.8 MB, less than half"
    assert chosen == f"{said} of the memory."
    assert indexed.startswith("Indexed 193 documents in ")
    assert indexed.endswith(" s: countries.mbat")
    assert mbat("query", '{"capital": {"name": "Helsinki"}}', "-k", "2") == 0
    hits = lines(capfd.readouterr().out)
    assert [list(hit) for hit in hits] == [["id", "score", "document"]] * 2
    assert hits[0]["id"] == "Finland"


def test_every_input_format_gives_the_same_index(capfd: pytest.CaptureFixture[str]) -> None:
    documents = [{"name": "Ann", "n": 1}, "text", 3, None, ["a", ["b"]]]
    text = "\n".join(map(json.dumps, documents))
    files = [
        write("a.jsonl", text),
        write("b.ndjson", "\ufeff" + text.replace("\n", "\r\n\n") + "\n"),
        write("c.json", json.dumps(documents, indent=3)),
        write("d.jsonl.gz", gzip.compress(text.encode())),
    ]
    for name in files:
        assert mbat("index", name, "-o", name + ".mbat") == 0
        with Index.open(name + ".mbat") as index:
            assert list(index.documents()) == documents
    piped = subprocess.run([*PROGRAM, "index", "-", "-o", "e.mbat"], input=text.encode(), check=False)
    assert piped.returncode == 0
    assert len({next(Path(f"{name}.mbat").glob("vectors-*")).read_bytes() for name in [*files, "e"]}) == 1
    assert mbat("index", write("one.json", '{"just": "one"}')) == 0
    assert mbat("index", write("none.json", " [ ] ")) == 0
    capfd.readouterr()
    assert mbat("index", write("empty.jsonl", "")) == 0
    assert capfd.readouterr().err.startswith(
        "Indexed 0 documents in "
    )  # and no word of how quick it is to compare none
    assert mbat("index", write("alone.jsonl", '{"a": 1}')) == 0
    assert "\nIndexed 1 document in " in capfd.readouterr().err


DEEP = '{"a":' * 251 + "1" + "}" * 251


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.jsonl", '{"a":1}\n{"a":\n3\n', "Error: a.jsonl, line 2: not JSON, "),
        ("a.json", "[1, 2, nope]", "Error: a.json, document 3: not JSON, "),
        ("a.json", "[1, 2", "Error: a.json ends in the middle of document 2: the array is not closed."),
        ("a.json", "[1] 2", "Error: a.json goes on after the end of its array; for many documents use JSON lines."),
        ("a.json", "[1}", "Error: a.json, document 1: not JSON, the array is closed with a brace."),
        ("a.json", "", "Error: a.json, document 1: not JSON, "),
        ("a.jsonl", b'1\n"\xff"\n', "Error: a.jsonl, line 2: not JSON, "),
        ("a.jsonl", '1\n{"a": NaN}\n', "Error: a.jsonl, line 2: not JSON, "),
        ("a.jsonl", '1\n{"a": 1e999}\n', "Error: a.jsonl, line 2: not JSON, number is infinity"),
        ("a.jsonl", '1\n"\\ud800"\n', "Error: a.jsonl, line 2: not JSON, no low surrogate"),
        ("a.jsonl", "1\n\n" + DEEP, "Error: a.jsonl, line 3, at $.a.a"),
        ("a.jsonl", '{"a":1}'.encode("utf-16"), "Error: a.jsonl is encoded as UTF-16; JSON files are UTF-8."),
        ("a.jsonl.gz", gzip.compress(b"1\n" * 1000)[:-9], "Error: a.jsonl.gz is not a whole gzip file: "),
        ("a.jsonl.gz", b"1\n", "Error: a.jsonl.gz is not a whole gzip file: "),
        ("a.csv", "a,b", "Error: The name of a.csv does not tell its format."),
    ],
)
@pytest.mark.parametrize("command", ["index", "encode"])
def test_broken_input_is_one_sentence_and_leaves_nothing(
    command: str, name: str, content: str | bytes, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write(name, content)
    assert mbat(command, name, *(["-o", "v.npy"] if command == "encode" else [])) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(sentence)
    assert err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == [name]


@pytest.mark.parametrize(
    "content",
    ['{"a":' * 200 + "1" + "}" * 200, '{"a":1,"a":2}', "[" + "9" * 40 + "]", '"\\u0000"', '{"":{"":[]}}'],
)
def test_unusual_json_is_accepted_and_found(content: str) -> None:
    assert mbat("index", write("a.jsonl", content)) == 0
    with Index.open("a.mbat") as index:
        assert index.get("0") == json.loads(content) or "9" in content
        assert index.search(index.get("0"))[0].score >= 0.999


def test_a_document_may_have_a_hundred_thousand_keys() -> None:
    assert mbat("index", write("a.json", json.dumps({f"key {i}": i for i in range(100_000)}))) == 0
    with Index.open("a.mbat") as index:
        assert index.search(index.get("0"))[0].score >= 0.999


def test_broken_lines_are_counted_if_they_may_be_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    write("a.jsonl", '{"a":1}\n{"a":\n{"a":3}\n')
    assert mbat("index", "a.jsonl", "--on-error", "skip") == 0
    assert capfd.readouterr().err.endswith("a.mbat, 1 left out\n")
    with Index.open("a.mbat") as index:
        assert list(index.documents()) == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"id": "x"}\n{"id": "x"}', "Error: The id 'x' is given to two documents; ids must differ.\n"),
        (
            '{"id": 1}\n{}',
            "Error: a.jsonl, line 2: there is nothing at the id field id; an id is a string or an integer.\n",
        ),
        ('{"id": 1.5}', "Error: a.jsonl, line 1: there is a value of type float at the id field id; "),
    ],
)
def test_ids_must_be_there_and_differ(content: str, sentence: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("index", write("a.jsonl", content), "--id-field", "id") == 1
    assert capfd.readouterr().err.startswith(sentence)


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["index", "gone.jsonl"], 1, "Error: There is no file gone.jsonl.\n"),
        (["index", "."], 1, "Error: . is a folder; name the files in it.\n"),
        (["index"], 2, "Error: Missing argument 'FILE...'."),
        (["index", "-"], 2, "Error: Name the index with -o NAME.mbat when there are several files or standard input."),
        (
            ["query", "{}"],
            1,
            "Error: Which index? Name it with -i NAME.mbat or $MBAT_INDEX; there is no *.mbat here.\n",
        ),
        (["query", "{}", "-i", "gone.mbat"], 1, "Error: gone.mbat does not exist. Make an index with: mbat index FILE"),
        (["query", "{}", "-k", "0"], 2, "Error: Invalid value for '-k'"),
        (["query", "{'a': 1}"], 1, "Error: The query is not JSON: "),
        (["query", "@gone.json"], 1, "Error: The query file gone.json cannot be read: No such file or directory.\n"),
        (["encode", "a.jsonl", "-o", "v.csv"], 2, "Error: The output v.csv should end in .npy or .parquet."),
        (["fly"], 2, "Error: No such command 'fly'"),
    ],
)
def test_wrong_use_is_answered_with_a_sentence(
    arguments: list[str], status: int, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert mbat(*arguments) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err


def test_the_index_is_found_by_option_then_variable_then_folder(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        assert mbat("index", write(f"{name}.jsonl", f'"{name}"')) == 0
    assert mbat("query", '"a"') == 1
    assert "there are a.mbat, b.mbat here." in capfd.readouterr().err
    monkeypatch.setenv("MBAT_INDEX", "a.mbat")
    assert mbat("query", '"x"') == 0
    assert lines(capfd.readouterr().out)[0]["document"] == "a"
    assert mbat("query", '"x"', "-i", "b.mbat") == 0
    assert lines(capfd.readouterr().out)[0]["document"] == "b"


def test_an_index_that_is_there_is_kept_unless_it_may_be_replaced(capfd: pytest.CaptureFixture[str]) -> None:
    write("a.jsonl", "1")
    assert mbat("index", "a.jsonl") == 0
    write("a.jsonl", "1\n2")
    assert mbat("index", "a.jsonl") == 1
    assert "Error: a.mbat is there already." in capfd.readouterr().err
    assert mbat("index", "a.jsonl", "--overwrite") == 0
    with Index.open("a.mbat") as index:
        assert len(index) == 2


def test_queries_from_a_pipe_are_numbered_and_head_may_close_it() -> None:
    assert mbat("index", str(COUNTRIES)) == 0
    piped = subprocess.run(
        [*PROGRAM, "query", "-", "-k", "1"], input=b'{"name":"Chad"}\n\n"x"\n', capture_output=True, check=False
    )
    assert piped.returncode == 0
    assert [hit["query"] for hit in lines(piped.stdout.decode())] == [0, 1]
    assert piped.stderr == b""
    command = f"yes '{{}}' | head -2000 | {' '.join(map(repr, PROGRAM))} query -k 50 | head -1; echo ${{PIPESTATUS[2]}}"
    run_ = subprocess.run(["bash", "-c", command], capture_output=True, check=False, timeout=60)
    assert run_.stderr == b""
    assert run_.stdout.splitlines()[1:] == [b"0"]


def test_a_table_fits_the_terminal(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert mbat("index", str(COUNTRIES), "--id-field", "name") == 0
    assert mbat("query", '{"name": "Vincent"}', "-k", "5", "--plain") == 0
    table = capfd.readouterr().out.splitlines()
    assert table[0].split() == ["score", "id", "document"]
    assert len(table) == 6
    assert max(map(len, table)) <= 60


def test_vectors_are_those_of_the_library(capfd: pytest.CaptureFixture[str]) -> None:
    documents = [json.loads(line) for line in COUNTRIES.read_text(encoding="utf-8").splitlines()]
    assert mbat("encode", str(COUNTRIES), "-o", "v.npy") == 0
    assert capfd.readouterr().err == "Encoded 193 documents: v.npy\n"
    np.testing.assert_array_equal(np.load("v.npy"), Encoder().fit(documents).encode(documents))
    assert mbat("index", str(COUNTRIES)) == 0
    assert mbat("encode", str(COUNTRIES), "-o", "w.npy", "--encoder", "countries.mbat") == 0
    np.testing.assert_array_equal(np.load("v.npy"), np.load("w.npy"))
    assert mbat("encode", write("none.jsonl", ""), "-o", "n.npy") == 0
    assert np.load("n.npy").shape == (0, 1024)


def test_info_tells_what_an_index_holds(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("info") == 0
    assert json.loads(capfd.readouterr().out)["index"] is None
    assert mbat("index", str(COUNTRIES)) == 0
    assert mbat("info") == 0
    told = json.loads(capfd.readouterr().out)
    assert told["index"]["documents"] == 193
    assert told["index"]["kind"] == "flat"
    assert "faiss" in told["installed"]["faiss"]
    assert mbat("info", "-i", "gone.mbat") == 1


@pytest.mark.parametrize("name", [None, *cli.commands])
def test_every_command_and_option_has_help(name: str | None, capfd: pytest.CaptureFixture[str]) -> None:
    for option in ("-h", "--help"):
        assert mbat(*filter(None, [name, option])) == 0
        assert capfd.readouterr().out.startswith("Usage: mbat")
    command = cli if name is None else cli.commands[name]
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.skipif(os.name == "nt", reason="resource limits are those of Unix")
def test_a_full_disk_is_one_sentence_and_leaves_nothing() -> None:
    Path("data").mkdir()
    write("data/a.jsonl", "\n".join(json.dumps({"n": i, "text": "word " * 20}) for i in range(2000)))
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18)); from mbat_cli.main import main; main()"
    )
    failed = subprocess.run(
        [sys.executable, "-c", limited, "index", "data/a.jsonl", "-o", "a.mbat"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("Error: ")
    assert "Nothing was changed." in failed.stderr
    assert [path.name for path in Path().iterdir()] == ["data"]


@pytest.mark.skipif(not SUITE.is_dir(), reason="the JSON test suite is not at hand")
def test_the_json_test_suite_is_accepted_and_refused_as_it_says(capfd: pytest.CaptureFixture[str]) -> None:
    seen = {"y": 0, "n": 0, "i": 0}
    for path in sorted(SUITE.glob("*.json")):
        expected = path.name[0]
        status = mbat("index", str(path), "-o", "suite.mbat", "--overwrite")
        assert status in {"y": {0}, "n": {1}}.get(expected, {0, 1}), path.name
        assert "Traceback" not in capfd.readouterr().err
        seen[expected if expected in seen else "i"] += 1
    assert seen["y"] == 95
    assert seen["n"] >= 187


HEEDFUL = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
"""Tests that run in the background may have SIGINT ignored, which a process inherits."""


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_leaves_the_old_index_and_nothing_else(sent: int, status: int, folder: Path) -> None:
    assert mbat("index", write("old.jsonl", '{"a": "old"}'), "-o", "x.mbat") == 0
    before = sorted(path.name for path in folder.rglob("*"))
    python, option, program = PROGRAM
    command = [python, option, HEEDFUL + program, "index", "-", "-o", "x.mbat", "--overwrite"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b'{"a": "new"}\n' * 2000)
        process.stdin.flush()
        while len(list((folder / "x.mbat").glob("documents-*.sqlite"))) < 2:
            time.sleep(0.01)
        process.send_signal(sent)
        process.wait(timeout=60)
        assert process.returncode == status, process.stderr.read().decode()
    assert sorted(path.name for path in folder.rglob("*")) == before
    with Index.open("x.mbat") as index:
        assert index.get("0") == {"a": "old"}
