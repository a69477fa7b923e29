"""Damage to the files of an index, and what comes of using them.

    python -m tests.damaging FOLDER TIMES

Prints a line of JSON for each time. Each is tried in a process of its own, which may crash.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from mbat import Encoder, Index
from mbat.errors import MbatError
from mbat.sealing import sealed
from mbat.verifying import verify_index
from mbat_indexes import KINDS
from tests.crashing import document

DOCUMENTS: Final = {f"id {i}": {**document(i, i), "text": "some words " * (i % 5)} for i in range(60)}
QUERIES: Final[list[Any]] = [{"name": 3}, {"text": "some words"}, {"value": 50.5}]
VALUES: Final = (
    None,
    True,
    -1,
    0,
    1,
    7,
    1 << 40,
    1 << 70,
    0.5,
    "",
    "x",
    "../../x",
    [],
    {},
    [[]],
    "vectors-0123456789ab",
)


def answers(path: Path) -> Any:
    with Index.open(path) as index:
        hits = index.search_batch(QUERIES, 5)
        filtered = index.search(QUERIES[0], 5, "value < 30", effort=1)
        return [
            [[(hit.id, round(hit.score, 4), hit.document) for hit in found] for found in [*hits, filtered]],
            dict(index.items()),
            len(index),
            "id 7" in index,
        ]


def flip(path: Path, random_: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(random_.choice([1, 1, 8])):
        content[random_.randrange(len(content))] ^= 1 << random_.randrange(8)
    path.write_bytes(content)


def cut(path: Path, random_: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: random_.randrange(path.stat().st_size)])


def overwrite(path: Path, random_: random.Random) -> None:
    """Put random bytes, zeros or ones over some bytes; more often near the start or end, where sizes are kept."""
    content = bytearray(path.read_bytes())
    length = min(random_.choice([1, 4, 8, 64, 4096]), len(content))
    start = random_.choice([random_.randrange(len(content)), random_.randrange(min(128, len(content))), len(content)])
    start = min(start, len(content) - length)
    content[start : start + length] = random_.choice([bytes(length), b"\xff" * length, random_.randbytes(length)])
    path.write_bytes(content)


def enlarge(path: Path, random_: random.Random) -> None:
    with path.open("ab") as file:
        file.write(random_.randbytes(random_.choice([1, 8, 4096])))


def a_file(damage: Callable[[Path, random.Random], None], pattern: str) -> Callable[[Path, random.Random], None]:
    """Return what damages one of some files; they are told apart by size, for their names are made by chance."""

    def damaged(path: Path, random_: random.Random) -> None:
        files = sorted(path.glob(pattern), key=lambda file: (file.stat().st_size, file.suffix))
        damage(random_.choice(files), random_)

    return damaged


def forge(path: Path, random_: random.Random) -> None:
    """Change a field of the content, and seal it again."""
    database = next(path.glob("documents-*.sqlite"))
    with closing(sqlite3.connect(database)) as connection, connection:
        fields = json.loads(connection.execute("SELECT text FROM content").fetchone()[0])
        fields.pop("checksum")
        part = fields
        while True:
            name = random_.choice(sorted(part) if isinstance(part, dict) else range(len(part)))
            if not isinstance(part[name], dict | list) or not part[name] or random_.random() < 0.1:
                break
            part = part[name]
        part[name] = random_.choice(VALUES)
        connection.execute("UPDATE content SET text = ?", [sealed(fields)])


def spoil_encoder(path: Path, random_: random.Random) -> None:
    """Damage the encoder's statistics or parameters where SQLite does not see it."""
    database = next(path.glob("documents-*.sqlite"))
    with closing(sqlite3.connect(database)) as connection, connection:
        parameters, statistics = connection.execute("SELECT parameters, statistics FROM encoder").fetchone()
        file = path / "part"
        if random_.random() < 0.3:
            file.write_bytes(parameters.encode())
            random_.choice([flip, cut])(file, random_)
            connection.execute("UPDATE encoder SET parameters = ?", [file.read_bytes().decode(errors="replace")])
        else:
            file.write_bytes(statistics)
            random_.choice([flip, cut, overwrite, enlarge])(file, random_)
            connection.execute("UPDATE encoder SET statistics = ?", [file.read_bytes()])
        file.unlink()


DAMAGES: Final = [
    a_file(flip, "manifest.json"),
    a_file(cut, "manifest.json"),
    a_file(overwrite, "manifest.json"),
    *(a_file(damage, "documents-*") for damage in (flip, cut, overwrite, enlarge)),
    *(a_file(damage, "vectors-*") for damage in (flip, flip, cut, overwrite, overwrite, enlarge)),
    forge,
    forge,
    spoil_encoder,
]


def outcome(path: Path, expected: Any) -> str:
    """Return what comes of using an index: refused, right, or noticed, which is wrong, and verify finds why."""
    try:
        found = json.loads(json.dumps(answers(path)))
    except MbatError as error:
        return "refused" if "\n" not in str(error).strip() else "refused at length"
    try:
        noticed = verify_index(path)
    except MbatError:
        return "refused"
    return "right" if found == expected else "noticed" if noticed else "unnoticed"


def main(folder: Path, times: int) -> None:
    originals = {}
    for kind in KINDS:
        path = folder / f"{kind}.mbat"
        half = dict(list(DOCUMENTS.items())[:50])
        with Index.create(path, half.values(), half.keys(), Encoder(dim=32), kind) as index:
            index.add(list(DOCUMENTS.values())[50:], list(DOCUMENTS)[50:])
            index.delete(["id 5", "id 55"])
        originals[path] = json.loads(json.dumps(answers(path)))
    for seed in range(times):
        random_ = random.Random(seed)
        original = random_.choice(sorted(originals))
        path, answer = folder / "damaged.mbat", folder / "answer"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(original, path)
        damage = random_.randrange(len(DAMAGES))
        DAMAGES[damage](path, random_)
        process = os.fork()
        if not process:
            status = 1
            try:
                answer.write_text(outcome(path, originals[original]))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        told = answer.read_text() if status == 0 else f"ended with {status}"
        print(json.dumps({"seed": seed, "kind": original.stem, "damage": damage, "outcome": told}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
