"""Whatever ends a process in the middle of a change: the index holds all of it or nothing, and search agrees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mbat import durable
from mbat.building import build_index
from mbat.manifest import Manifest
from mbat.putting import drop_documents, put_documents
from mbat.records import Record
from mbat.writable_store import WritableStore
from tests.crashing import BEFORE, ENCODER, STEPS

ROOT = Path(__file__).parent.parent
ROOTS = os.pathsep.join(str(ROOT / name) for name in (".", "indexes", "cli"))


@pytest.fixture
def memory() -> Iterator[Path]:
    """Yield a folder in memory, where there is one: a killed process is not a lost disk, and nothing waits for that."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


def outcomes(*arguments: str) -> list[dict[str, Any]]:
    environment = {**os.environ, "PYTHONPATH": ROOTS, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.mark.slow
def test_a_process_killed_at_any_sync_rename_removal_or_commit_leaves_all_of_a_change_or_nothing(memory: Path) -> None:
    kills = outcomes("tests.crashing", "steps", str(memory))
    assert [kill["left"] for kill in kills] == [[]] * len(kills)
    for name, (_, after) in STEPS.items():
        before = None if name == "index" else BEFORE
        found = [kill["documents"] for kill in kills if kill["operation"] == name]
        steps = [kill["killed"] for kill in kills if kill["operation"] == name]
        switch = steps.index("after rename to manifest.json" if name.startswith("index") else "after commit")
        assert found == [before] * switch + [after] * (len(steps) - switch)
        assert steps[-1] is None
        assert len(steps) >= 3


@pytest.mark.slow
def test_a_process_killed_200_times_at_random_leaves_every_finished_change_and_no_half(memory: Path) -> None:
    kills = outcomes("tests.crashing", "random", str(memory), "200")
    counts = Counter(kill["outcome"] for kill in kills)
    assert len(kills) == 200
    assert counts["half"] == 0
    assert counts["none"] > 50
    assert sum(kill["done"] for kill in kills) > 50
    assert len({kill["begun"] for kill in kills}) >= 5


def steps_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that the steps of this process are added to, with names that are the same each time."""
    steps: list[str] = []

    def watch(name: str) -> None:
        if name.startswith("after"):
            kind, _, file = name.removeprefix("after ").rpartition(" ")
            steps.append(f"{kind} {file.split('-')[0]}".strip())

    monkeypatch.setattr(durable, "watch", watch)
    return steps


def records(*ids: str) -> list[Record]:
    return [Record(one, b'"text"', "text") for one in ids]


def test_vectors_are_on_the_disk_before_the_commit_that_names_them_and_removed_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, steps = tmp_path / "a.mbat", steps_of(monkeypatch)
    build_index(path, records("a", "b"), ENCODER, "flat")
    manifest = ["sync of manifest.json.partial", "rename to manifest.json", "sync of a.mbat"]
    parent = f"sync of {tmp_path.name}"
    assert steps == [parent, "sync of vectors", "sync of a.mbat", "commit", "sync of documents", *manifest]
    steps.clear()
    put_documents(path, records("b", "c"), ENCODER, replacing=True)
    assert steps == ["sync of vectors", "sync of a.mbat", "commit", "removal of vectors"]
    steps.clear()
    drop_documents(path, ["a"])
    assert steps == ["commit"]


def test_a_sync_reaches_the_disk_and_not_only_its_announcement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process loses nothing that was written, so that only this tells a sync from none."""
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    durable.replace(tmp_path / "a", b"text")
    assert synced == [(tmp_path / "a").stat().st_ino, tmp_path.stat().st_ino]


def test_sqlite_waits_for_the_disk_at_every_commit_to_an_index_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.mbat"
    build_index(path, records("a"), ENCODER, "flat")
    with WritableStore.open(path / Manifest.read(path).database) as store:
        assert store._integers("PRAGMA synchronous").tolist() == [2]
