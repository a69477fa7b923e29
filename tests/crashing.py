"""Processes that are killed in the middle of changing an index, and what is found afterwards.

    python -m tests.crashing steps FOLDER      kill at each sync, rename, removal and commit of each operation
    python -m tests.crashing random FOLDER N   kill N times at random instants

Prints a line of JSON for each kill. Everything is done in forked processes, so that nothing is imported 200 times.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from mbat import Encoder, Index, durable
from mbat.changing import own_files
from mbat.errors import IndexNotFoundError
from mbat.repairing import repair_index

ENCODER: Final = Encoder(dim=16)

Operation = Callable[[Path], Any]
Documents = dict[str, Any]


def document(one: int, value: int) -> dict[str, int]:
    return {"name": one, "value": value}


def create(path: Path, documents: Documents, overwrite: bool = False) -> None:
    Index.create(path, documents.values(), documents.keys(), ENCODER, overwrite=overwrite).close()


def upsert(path: Path, documents: Documents) -> None:
    with Index.open(path) as index:
        index.upsert(documents.values(), documents.keys())


def add(path: Path, documents: Documents) -> None:
    with Index.open(path) as index:
        index.add(documents.values(), documents.keys())


def delete(path: Path, ids: list[str]) -> None:
    with Index.open(path) as index:
        index.delete(ids)


def compact(path: Path) -> None:
    with Index.open(path) as index:
        index.compact()


def rebuild(path: Path) -> None:
    with Index.open(path) as index:
        index.rebuild("sq8", refit=True)


BEFORE: Final = {str(i): document(i, 0) for i in range(40)}
ADDED: Final = {str(i): document(i, 1) for i in range(40, 45)}
UPSERTED: Final = {str(i): document(i, 2) for i in range(38, 42)}
NEW: Final = {str(i): document(i, 3) for i in range(7)}

STEPS: Final[dict[str, tuple[Operation, Documents]]] = {
    "index": (lambda path: create(path, NEW), NEW),
    "index --overwrite": (lambda path: create(path, NEW, overwrite=True), NEW),
    "add": (lambda path: add(path, ADDED), BEFORE | ADDED),
    "upsert": (lambda path: upsert(path, UPSERTED), BEFORE | UPSERTED),
    "delete": (lambda path: delete(path, ["0", "1"]), {k: v for k, v in BEFORE.items() if k not in "01"}),
    "compact": (compact, BEFORE),
    "rebuild --refit": (rebuild, BEFORE),
    "repair": (repair_index, BEFORE),
}
"""Each operation, and what the index holds after it."""


def found(path: Path) -> Documents | None:
    """Return what an index holds if all ways to ask it agree; None if there is none."""
    try:
        index = Index.open(path)
    except IndexNotFoundError:
        return None
    with index:
        documents = dict(index.items())
        hits = index.search(document(3, 0), k=1000)
        assert {hit.id: hit.document for hit in hits} == documents
        assert len(index) == len(documents)
        assert index.verify() == [], index.verify()
        for hit in hits[:3]:
            score = ENCODER.encode_one(hit.document) @ ENCODER.encode_one(document(3, 0))
            assert index.encoder != ENCODER or abs(hit.score - score) < 2e-3
    return documents


def in_a_fork(function: Callable[[], Any]) -> int:
    """Run a function in a process of its own; return its status."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    status = 1
    try:
        function()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def answer_of_a_fork(path: Path, function: Callable[[], Any]) -> Any:
    """Return what a function returns in a process of its own, as JSON."""
    answer = path.with_name("answer.json")
    status = in_a_fork(lambda: answer.write_text(json.dumps(function())))
    if status:
        raise SystemExit(status)
    return json.loads(answer.read_text())


def needed_files(path: Path) -> set[str]:
    with Index.open(path) as index:
        segments = {name for segment in index.content.segments for name in segment.files}
        return {"manifest.json", "writer.lock", index.manifest.database, *segments}


def killed_at(step: int, operation: Operation, path: Path) -> str | None:
    """Run an operation that kills its process at a step; return the step's name, None if it ended before."""
    note = path.with_name("step.txt")
    note.unlink(missing_ok=True)
    count = 0

    def watch(name: str) -> None:
        nonlocal count
        if count == step:
            note.write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # another thread may take the signal
        count += 1

    def run() -> None:
        durable.watch = watch
        operation(path)

    status = in_a_fork(run)
    if status not in (0, -signal.SIGKILL):
        raise SystemExit(status)
    return note.read_text() if status else None


def afterwards(path: Path) -> tuple[Documents | None, list[str]]:
    """Return what an index holds after a kill, and the files that are left over when another writer has been there."""
    documents = found(path)
    if documents is None:
        create(path, NEW)
    else:
        upsert(path, {"last": document(99, 9)})
        assert found(path) == documents | {"last": document(99, 9)}
    return documents, sorted({file.name for file in own_files(path)} - needed_files(path))


def kill_at_each_step(folder: Path) -> None:
    original = folder / "original.mbat"
    create(original, BEFORE)
    upsert(original, {"x": 1})
    delete(original, ["x"])
    path = folder / "copy.mbat"
    for name, (operation, _) in STEPS.items():
        for step in range(1000):
            shutil.rmtree(path, ignore_errors=True)
            if name != "index":
                shutil.copytree(original, path)
            killed = killed_at(step, operation, path)
            documents, left = answer_of_a_fork(path, lambda: afterwards(path))
            print(json.dumps({"operation": name, "killed": killed, "documents": documents, "left": left}), flush=True)
            if killed is None:
                break


def random_operation(random_: random.Random) -> tuple[str, Any]:
    ids = [random_.randrange(30) for _ in range(random_.randrange(1, 6))]
    kind = random_.choice(["upsert", "upsert", "upsert", "delete", "compact", "rebuild", "create"])
    if kind in ("upsert", "create"):
        value = random_.randrange(1000)
        return kind, {str(one): document(one, value) for one in ids}
    if kind == "rebuild":
        return kind, [random_.choice(["exact", "flat", "sq8"]), random_.random() < 0.3]
    return kind, [str(one) for one in ids] if kind == "delete" else None


def apply(index: Index, kind: str, what: Any) -> None:
    if kind == "create":
        create(index.path, what, overwrite=True)
    elif kind == "rebuild":
        index.rebuild(*what)
    elif kind == "compact":
        index.compact()
    elif kind == "delete":
        index.delete(what)
    else:
        index.upsert(what.values(), what.keys())


def applied(documents: Documents, kind: str, what: Any) -> Documents:
    """Return what an index holds after an operation."""
    if kind == "create":
        return dict(what)
    if kind == "upsert":
        return documents | what
    if kind == "delete":
        return {one: value for one, value in documents.items() if one not in what}
    return documents


def work(path: Path, log: int, seed: int) -> None:
    """Change an index without end, and note in a log what is begun and what is done."""
    random_ = random.Random(seed)
    with Index.open(path) as index:
        while True:
            kind, what = random_operation(random_)
            os.write(log, (json.dumps([kind, what]) + "\n").encode())
            apply(index, kind, what)
            os.write(log, b'"done"\n')


def kill_at_random(folder: Path, times: int) -> None:
    random_ = random.Random(7)
    path, log_path = folder / "random.mbat", folder / "log"
    create(path, BEFORE)
    finished: Documents = BEFORE
    for seed in range(times):
        lines = killed_after(random_.uniform(0, 0.1), path, log_path, seed)
        for operation, done in pairwise(lines):
            finished = applied(finished, *operation) if done == "done" else finished
        begun = lines[-1] if lines[-1] != "done" else None
        after = applied(finished, *begun) if begun else finished
        documents = answer_of_a_fork(path, lambda: found(path))
        outcome = "none" if documents == finished else "whole" if documents == after else "half"
        print(json.dumps({"done": lines.count("done"), "begun": begun and begun[0], "outcome": outcome}), flush=True)
        finished = documents


def killed_after(seconds: float, path: Path, log_path: Path, seed: int) -> list[Any]:
    """Kill a process that changes an index, some time after its first change began; return its log."""
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    process = os.fork()
    if not process:
        try:
            work(path, log, seed)
        finally:
            traceback.print_exc()
            os._exit(1)
    os.close(log)
    while not log_path.stat().st_size:
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != -signal.SIGKILL:
        raise SystemExit("The process ended before it was killed.")
    return [json.loads(line) for line in log_path.read_text().splitlines()]


if __name__ == "__main__":
    if sys.argv[1] == "steps":
        kill_at_each_step(Path(sys.argv[2]))
    else:
        kill_at_random(Path(sys.argv[2]), int(sys.argv[3]))
