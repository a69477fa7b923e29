"""Disks that are full, folders that may not be written, and several processes at one index."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import mbat
from mbat import Encoder, Index
from tests.crashing import BEFORE, create
from tests.test_durability import ROOT, ROOTS

PROGRAM = "from mbat_cli.main import main; main()"
LIMITED = """
import os, resource, signal, sys
limit = int(sys.argv.pop(1))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
"""
UNPRIVILEGED = """
import ctypes
version_3, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None).capset(ctypes.byref(version_3), ctypes.byref(nothing)) == 0
"""
"""Gives up the right of root to write what it may not write."""


def run(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": ROOTS},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module", autouse=True)
def kernels() -> None:
    """Have the inner loops compiled and kept before there is no room for them."""
    Encoder().fit([{"a": ["text", 1]}] * 300).encode([{"a": ["text", 1]}] * 300)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create(tmp_path / "a.mbat", BEFORE)
    return tmp_path / "a.mbat"


def more(folder: Path, count: int) -> Path:
    file = folder / "more.jsonl"
    file.write_text("".join(json.dumps({"id": f"new {i}", "text": "word " * 20}) + "\n" for i in range(count)))
    return file


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir() if file.name != "writer.lock")


def unchanged(path: Path) -> bool:
    with Index.open(path) as index:
        return dict(index.items()) == BEFORE and index.verify() == []


@pytest.mark.parametrize("limit", [1 << 14, 1 << 16, 1 << 18])
@pytest.mark.parametrize("command", ["index", "add", "upsert", "rebuild"])
def test_a_full_disk_is_one_sentence_and_changes_nothing(command: str, limit: int, path: Path, tmp_path: Path) -> None:
    before = names(path)
    file = more(tmp_path, 5_000)
    arguments = {
        "index": ["index", file, "-o", path, "--overwrite"],
        "add": ["add", file, "-i", path],
        "upsert": ["upsert", file, "-i", path, "--id-field", "id"],
        "rebuild": ["rebuild", "-i", path, "--refit"],
    }[command]
    if command == "rebuild":
        limit = 1 << 9
    failed = run(LIMITED + PROGRAM, str(limit), *arguments)
    assert failed.returncode == 1, failed.stderr
    assert failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("Error: ")
    assert failed.stderr.endswith("Nothing was changed.\n")
    assert unchanged(path)
    assert names(path) == before


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Take the right to write a folder and its files away."""
    for file in path.iterdir():
        file.chmod(0o444)
    path.chmod(0o555)
    yield
    path.chmod(0o755)
    for file in path.iterdir():
        file.chmod(0o644)


@pytest.mark.parametrize(
    "arguments",
    [["add", "FILE"], ["upsert", "FILE", "--id-field", "id"], ["delete", "1"], ["compact"], ["rebuild"]],
)
def test_a_folder_that_may_not_be_written_is_one_sentence_and_can_be_searched(
    arguments: list[str], path: Path, tmp_path: Path
) -> None:
    file = more(tmp_path, 2)
    with read_only(path):
        given = [str(file) if argument == "FILE" else argument for argument in arguments]
        failed = run(UNPRIVILEGED + PROGRAM, *given, "-i", path)
        assert failed.returncode == 1
        assert failed.stderr == f"Error: {path} cannot be changed: Permission denied. Nothing was changed.\n"
        asked = run(UNPRIVILEGED + PROGRAM, "query", '{"name": 3}', "-k", "1", "-i", path)
        assert json.loads(asked.stdout)["id"] == "3", asked.stderr
        for command in ("info", "verify"):
            assert run(UNPRIVILEGED + PROGRAM, command, "-i", path).returncode == 0
    assert unchanged(path)


def test_a_place_that_may_not_be_written_is_one_sentence(path: Path, tmp_path: Path) -> None:
    file = more(tmp_path, 2)
    with read_only(path):
        for output, overwrite in ((path, ["--overwrite"]), (path / "deeper" / "new.mbat", [])):
            failed = run(UNPRIVILEGED + PROGRAM, "index", file, "-o", output, *overwrite)
            assert failed.returncode == 1
            assert failed.stderr.count("\n") == 1
            assert failed.stderr.endswith("Permission denied. Nothing was changed.\n")
    assert unchanged(path)


KILLED_WRITER = """
import os, signal, sys
from mbat import Encoder, Index
index = Index.open(sys.argv[1])
index.upsert([{"name": 3, "value": "new"}], ["3"])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_finished_is_read_where_nothing_may_be_written(path: Path) -> None:
    assert run(KILLED_WRITER, path).returncode == -signal.SIGKILL
    assert list(path.glob("*-wal"))
    with read_only(path):
        asked = run(UNPRIVILEGED + PROGRAM, "get", "3", "-i", path)
        assert asked.stdout == '{"name":3,"value":"new"}\n', asked.stderr


READER = """
import sys
from mbat import Encoder, Index
with Index.open(sys.argv[1]) as index:
    for _ in sys.stdin:
        hits = index.search({"name": 3}, k=1000)
        print(len(index), len(hits), sorted({hit.document["value"] for hit in hits}), flush=True)
"""


@pytest.mark.parametrize("code", [READER, UNPRIVILEGED + READER])
def test_an_open_reader_sees_each_change_when_it_is_finished(code: str, path: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        env={**os.environ, "PYTHONPATH": ROOTS},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None

        def answer() -> str:
            process.stdin.write("\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            return process.stdout.readline().strip()  # type: ignore[union-attr]

        assert answer() == "40 40 [0]"
        with Index.open(path) as index:
            index.add([{"name": 3, "value": 7}], ["new"])
            assert answer() == "41 41 [0, 7]"
            index.delete(list(BEFORE))
            assert answer() == "1 1 [7]"
            index.compact()
            assert answer() == "1 1 [7]"
        assert answer() == "1 1 [7]"
        create(path, {"a": {"name": 1, "value": 8}, "b": {"name": 2, "value": 9}}, overwrite=True)
        assert answer() == "2 2 [8, 9]"
        with Index.open(path) as index:
            index.rebuild("exact", refit=True)
            assert answer() == "2 2 [8, 9]"
        process.stdin.close()
    assert process.returncode == 0


HOLDER = """
import sys
from pathlib import Path
from mbat.changing import changing
with changing(Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""


def test_a_second_writer_is_told_who_is_writing_and_readers_are_not_kept_waiting(path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        env={**os.environ, "PYTHONPATH": ROOTS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process, Index.open(path) as index:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        host = os.uname().nodename
        told = rf"is being changed by process {process.pid} on {host} \(-c .*a.mbat\), since 20\d\d-.* UTC\. Try again"
        for change in (
            lambda: index.add([1]),
            lambda: index.upsert([1], ["1"]),
            lambda: index.delete(["1"]),
            index.compact,
            index.rebuild,
            lambda: create(path, BEFORE, overwrite=True),
        ):
            with pytest.raises(mbat.IndexBusyError, match=told):
                change()
        assert len(index.search({"name": 3}, k=50)) == 40
        assert run(PROGRAM, "delete", "1", "-i", path).stderr.count("\n") == 1
        process.kill()
        process.wait()
        assert index.delete(["1"]) == 1


WRITER = """
import sys
from mbat import Encoder, Index
with Index.open(sys.argv[1]) as index:
    for value in range(1, 31):
        index.upsert([{"name": i, "value": value} for i in range(40)], map(str, range(40)))
        if value % 5 == 0:
            index.compact()
        if value % 7 == 0:
            index.rebuild("exact" if value % 2 else "flat")
"""


def test_readers_beside_a_writer_see_whole_changes_in_their_order(path: Path) -> None:
    seen = [0]
    with (
        Index.open(path) as index,
        subprocess.Popen([sys.executable, "-c", WRITER, str(path)], env={**os.environ, "PYTHONPATH": ROOTS}) as process,
    ):
        while process.poll() is None:
            hits = index.search({"name": 3}, k=100)
            assert sorted(hit.id for hit in hits) == sorted(BEFORE)
            values = {hit.document["value"] for hit in hits}
            assert len(values) == 1
            seen.append(values.pop())
        assert process.returncode == 0
        assert index.search({"name": 3}, k=1)[0].document["value"] == 30
    assert seen == sorted(seen)
    assert len(set(seen)) > 5


def test_threads_may_search_one_index_while_another_changes_it(path: Path) -> None:
    with Index.open(path) as index, ThreadPoolExecutor(4) as pool:
        searches = [pool.submit(index.search, {"name": 3}, 1) for _ in range(40)]
        index.upsert([{"name": "x", "value": 1}], ["x"])
        assert {search.result()[0].id for search in searches} == {"3"}
        assert index.search({"name": "x"}, k=1)[0].id == "x"


def test_compacting_waits_for_no_reader_and_says_that_one_keeps_the_space(path: Path) -> None:
    before = sum(file.stat().st_size for file in path.iterdir())
    with Index.open(path) as index:
        reading = index.items()
        first = next(reading)
        index.delete(list(BEFORE)[:30])
        assert index.compact() is False
        assert run(PROGRAM, "compact", "-i", path).stderr.endswith(
            "Note: readers hold what the documents were before; the rest is given back when they end.\n"
        )
        assert dict([first, *reading]) == BEFORE
        assert index.compact() is True
    assert sum(file.stat().st_size for file in path.iterdir()) < before


def test_compacting_without_room_says_that_the_vectors_were_brought_together(path: Path) -> None:
    with Index.open(path) as index:
        index.add([{"name": i, "text": "word " * 2000} for i in range(200)])
        index.delete(["0"])
    assert not list(path.glob("*-wal"))
    failed = run(LIMITED + PROGRAM, str(1 << 20), "compact", "-i", path)
    assert failed.returncode == 1, failed.stderr
    assert failed.stderr.count("\n") == 1
    assert "cannot be given back: disk I/O error. Documents and vectors are whole;" in failed.stderr
    with Index.open(path) as index:
        assert len(index.content.segments) == 1
        assert index.verify() == []
