"""What the system refuses is a sentence, no traceback and no damage; what it refuses to the user's code stays so."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mbat
from mbat import Encoder, Index, database, store
from mbat.store import PassingError, Store
from tests.crashing import BEFORE, create
from tests.test_folders import PROGRAM, UNPRIVILEGED, run

SMALL = Encoder(dim=32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create(tmp_path / "a.mbat", BEFORE)
    return tmp_path / "a.mbat"


@pytest.mark.parametrize("pattern", ["manifest.json", "vectors-*", "documents-*.sqlite", "."])
@pytest.mark.parametrize("command", [["query", "{}"], ["add", "FILE"], ["verify"], ["info"]])
def test_a_file_that_may_not_be_read_is_a_sentence_and_no_damage(
    command: list[str], pattern: str, path: Path, tmp_path: Path
) -> None:
    (tmp_path / "more.jsonl").write_text("1\n")
    file = path if pattern == "." else next(path.glob(pattern))
    file.chmod(0o000)
    arguments = [str(tmp_path / "more.jsonl") if one == "FILE" else one for one in command]
    failed = run(UNPRIVILEGED + PROGRAM, *arguments, "-i", path)
    file.chmod(0o755)
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    reason = "unable to open database file" if pattern.startswith("documents") else "Permission denied"
    assert failed.stderr.startswith("Error: ")
    assert f"cannot be {'opened' if pattern.startswith('documents') else 'read'}: {reason}." in failed.stderr
    assert "damaged" not in failed.stderr


FEW_FILES = """
import os, resource, sys
from mbat import Index
from mbat.errors import IndexDamagedError, IndexFolderError
path = sys.argv[1]
with Index.open(path) as index:
    index.search({}, 3)
    list(index.items())
    index.verify()
most = resource.getrlimit(resource.RLIMIT_NOFILE)
free = os.open("/", os.O_RDONLY)
os.close(free)
for more in range(12):
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, most[1]))
    for action in (lambda index: index.search({}, 3), lambda index: index.verify()):
        try:
            with Index.open(path) as index:
                print(len(action(index)))
        except IndexDamagedError as error:
            print("damaged", error)
        except IndexFolderError:
            print("refused")
"""


def test_too_many_open_files_are_no_damage(path: Path) -> None:
    told = run(FEW_FILES, path)
    assert told.returncode == 0, told.stderr
    assert set(told.stdout.split()) == {"refused", "3", "0"}, told.stdout


LONG = "x" * 300


@pytest.mark.parametrize(
    ("name", "sentence"), [(LONG, "cannot be .*: File name too long"), ("a\0b", r"'.*a\\x00b' cannot be a folder")]
)
def test_a_name_that_no_folder_can_have_is_a_sentence(name: str, sentence: str, tmp_path: Path) -> None:
    for action in (
        lambda: Index.open(tmp_path / name),
        lambda: Index.create(tmp_path / name, [1]),
        lambda: Index.create(tmp_path / name, [1], overwrite=True),
    ):
        with pytest.raises(mbat.IndexFolderError, match=sentence):
            action()


def test_a_link_to_nothing_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "a.mbat").symlink_to(tmp_path / "gone")
    with pytest.raises(mbat.IndexExistsError, match="is a link to what is not there"):
        Index.create(tmp_path / "a.mbat", [1])
    assert [file.name for file in tmp_path.iterdir()] == ["a.mbat"]


def test_a_database_that_another_program_holds_is_a_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.01)
    file = next(path.glob("documents-*.sqlite"))
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("UPDATE documents SET row = row")
        with pytest.raises(mbat.IndexFolderError, match=r"database is locked\. Another program may hold it") as held:
            Index.open(path)
        assert not isinstance(held.value, mbat.IndexDamagedError)


def test_a_database_that_goes_as_it_is_opened_is_looked_for_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = store.connected

    def late(file: Path, how: str) -> sqlite3.Connection:
        monkeypatch.setattr(store, "connected", real)
        create(path, {"new": 1}, overwrite=True)
        return real(file, how)

    monkeypatch.setattr(store, "connected", late)
    with Index.open(path) as index:
        assert index.get("new") == 1


@pytest.mark.parametrize("action", [lambda index: index.get("3"), lambda index: dict(index.items())["3"]])
@pytest.mark.parametrize("after", [0, 1])
def test_what_stood_in_the_way_of_a_reader_for_a_moment_is_not_told(
    action: Callable[[Index], Any], after: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Store.begin, iter(range(100))

    def begin(one: Store) -> None:
        if next(calls) == after:
            raise PassingError("The log was just folded in.")
        real(one)

    with Index.open(path) as index:
        monkeypatch.setattr(Store, "begin", begin)
        assert action(index) == BEFORE["3"]


def lost(documents: list[Any]) -> Iterator[Any]:
    yield from documents
    raise FileNotFoundError(2, "No such file or directory", "mine.txt")


@pytest.mark.parametrize(
    "action",
    [
        lambda path: Index.create(path.with_name("b.mbat"), lost([1])),
        lambda path: Index.create(path.with_name("b.mbat"), lost([1]), encoder=SMALL),
        lambda path: Index.open(path).add(lost([1])),
        lambda path: Index.open(path).add([1, 2], ids=lost(["a"])),
        lambda path: Index.open(path).upsert([1, 2], ids=lost(["a"])),
        lambda path: Index.open(path).delete(lost(["1"])),
    ],
)
def test_what_the_system_refuses_to_code_of_the_user_is_told_as_it_came(
    action: Callable[[Path], Any], path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match="mine"):
        action(path)
    with Index.open(path) as index:
        assert dict(index.items()) == BEFORE
    assert [file.name for file in path.parent.iterdir()] == ["a.mbat"]


def test_what_the_system_refuses_to_a_text_embedder_is_told_as_it_came(tmp_path: Path) -> None:
    reachable = True

    def embed(texts: list[str]) -> Any:
        if not reachable:
            raise FileNotFoundError(2, "No such file or directory", "model.bin")
        return np.array([[len(text), 1.0] for text in texts])

    path, documents = tmp_path / "a.mbat", ["a text of words", "other words"]
    with Index.create(path, documents, encoder=Encoder(dim=32, text=embed)) as index:
        reachable = False
        for action in (
            lambda: index.search("some words"),
            lambda: index.add(["more words"]),
            index.rebuild,
            index.verify,
            lambda: Index.create(path, documents, encoder=index.encoder, overwrite=True),
        ):
            with pytest.raises(FileNotFoundError, match=r"model\.bin"):
                action()
        reachable = True
        assert index.verify() == []
        assert list(index.documents()) == documents
