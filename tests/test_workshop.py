from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mbat.workshop import put_in_place, workshop

HOLD = (
    "import sys; from pathlib import Path; from mbat.workshop import workshop\nwith workshop(Path(sys.argv[1])) as f: "
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def build(place: Path, content: str) -> None:
    with workshop(place) as folder:
        (folder / "file").write_text(content)
        put_in_place(folder, place)


def test_a_folder_is_put_in_place_and_replaces_what_is_there(tmp_path: Path) -> None:
    for content in ("one", "two"):
        build(tmp_path / "deep" / "x", content)
        assert (tmp_path / "deep" / "x" / "file").read_text() == content
        assert names(tmp_path / "deep") == ["x"]


def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    build(tmp_path / "x", "old")

    def failing() -> None:
        with workshop(tmp_path / "x") as folder:
            (folder / "file").write_text("new")
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x" / "file").read_text() == "old"


def test_a_move_that_fails_moves_the_old_folder_back(tmp_path: Path) -> None:
    build(tmp_path / "x", "old")
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "missing", tmp_path / "x")
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x" / "file").read_text() == "old"


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    place = tmp_path / "x"
    subprocess.run([sys.executable, "-c", HOLD + "import os; (f / 'file').touch(); os._exit(9)", place], check=False)
    assert len(names(tmp_path)) == 1
    build(place, "new")
    assert names(tmp_path) == ["x"]


def test_what_a_living_process_builds_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "x"
    code = HOLD + "print(f.name, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = other.stdout.readline().strip()
        build(place, "ours")
        assert names(tmp_path) == sorted([theirs, "x"])
        other.communicate("\n")
    assert names(tmp_path) == ["x"]


def test_an_index_that_a_killed_process_had_moved_away_comes_back(tmp_path: Path) -> None:
    build(tmp_path / "x", "old")
    os.replace(tmp_path / "x", tmp_path / ".x.0123abcd.old")
    with workshop(tmp_path / "x"):
        assert (tmp_path / "x" / "file").read_text() == "old"
    assert names(tmp_path) == ["x"]


def test_folders_of_other_names_are_no_leftovers(tmp_path: Path) -> None:
    others = [".x.partial", ".x.y.0123abcd.partial", ".y.0123abcd.partial", "x.0123abcd.old"]
    for name in others:
        (tmp_path / name).mkdir()
    build(tmp_path / "x", "new")
    assert names(tmp_path) == sorted([*others, "x"])


def test_on_a_file_system_without_locks_folders_are_built_and_leftovers_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    (tmp_path / ".x.0123abcd.partial").mkdir()
    build(tmp_path / "x", "new")
    assert names(tmp_path) == [".x.0123abcd.partial", "x"]
    assert (tmp_path / "x" / "file").read_text() == "new"
