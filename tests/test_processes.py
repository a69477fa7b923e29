"""Several processes give what one does, to the last bit, and say what goes wrong as one does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from mbat import DocumentError, Encoder, Index, MbatError, ParameterError
from mbat.processes import Packed, encoded, fitted, packed, packed_texts
from mbat_cli.main import cli

DOCUMENTS: list[Any] = [
    {"name": f"Item {i % 97} of many", "price": i * 0.75, "tags": ["a", f"t{i % 5}"], "at": {"lat": i % 90, "lon": i}}
    for i in range(2500)
]
UNUSUAL: list[Any] = [{"big": 2**70, "pair": (1, 2), "surrogate": "\ud800", "minus": -0.0}]


def length(texts: list[str]) -> NDArray[np.float64]:
    return np.array([[len(text), 1.0] for text in texts])


def test_rows_of_two_processes_are_those_of_one_to_the_last_bit() -> None:
    encoder = Encoder(dim=128, text=length).fit(DOCUMENTS)
    documents = [*DOCUMENTS, *UNUSUAL]
    assert encoder.encode(documents, workers=2).tobytes() == encoder.encode(documents).tobytes()
    assert encoder.encode([], workers=2).shape == (0, 128)


def test_documents_that_are_texts_are_parsed_by_the_processes_and_fit_as_in_one() -> None:
    encoder = Encoder(dim=64)
    texts = [orjson.dumps(document) for document in DOCUMENTS]
    batches = [packed_texts(texts[start : start + 300]) for start in range(0, len(texts), 300)]
    assert fitted(encoder, batches, 2) == Encoder(dim=64).fit(DOCUMENTS).statistics
    rows = np.concatenate(list(encoded(encoder, batches, 2)))
    assert rows.tobytes() == encoder.encode(DOCUMENTS).tobytes()


class Shout(str):
    __slots__ = ()


def test_values_of_types_of_ones_own_are_packed_too() -> None:
    documents = [{"a": Shout("x")}]
    batch = packed(documents)
    assert batch.unpack(batch.content) == documents
    assert packed(UNUSUAL).unpack(packed(UNUSUAL).content) == UNUSUAL


@pytest.mark.parametrize(
    ("bad", "reason"),
    [({1}, "of type set is not a JSON value"), (float("nan"), "nan is not a JSON number; leave the field out")],
)
def test_a_bad_document_is_named_by_its_position_among_all(bad: Any, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason) as caught:
        Encoder(dim=16).encode([*DOCUMENTS[:1500], {"a": [bad]}], workers=2)
    assert (caught.value.position, caught.value.path) == (1500, "$.a[0]")


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [np.float64(1.5), np.str_("hello you"), Shout("HELLO"), np.float64(3)])
def test_values_that_one_process_takes_are_taken_by_several(value: Any) -> None:
    encoder, documents = Encoder(dim=64), [*DOCUMENTS[:1500], {"z": [value]}]
    assert encoder.encode(documents, workers=2).tobytes() == encoder.encode(documents).tobytes()


@pytest.mark.parametrize("value", [np.int64(3), b"x", lambda: 1, deep(5000), 10**400, {np.str_("k"): np.int8(1)}])
def test_values_that_one_process_refuses_are_refused_alike_by_several(value: Any) -> None:
    told = []
    for workers in (1, 2):
        with pytest.raises(DocumentError) as caught:
            Encoder(dim=16).encode([*DOCUMENTS[:1500], {"z": value}], workers=workers)
        told.append((caught.value.reason, caught.value.path, caught.value.position))
    assert told[0] == told[1]
    assert told[0][2] == 1500


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2", True])
def test_a_number_of_processes_that_is_none_is_refused(workers: Any) -> None:
    with pytest.raises(ParameterError, match="workers is how many processes work, a whole number of at least 1"):
        Encoder(dim=16).encode(DOCUMENTS[:3], workers=workers)


def test_an_encoder_that_cannot_be_sent_says_so() -> None:
    encoder = Encoder(dim=16, text=lambda texts: 2 * length(texts))
    with pytest.raises(ParameterError, match=r"cannot be sent to other processes: .* Use one process"):
        encoder.encode(DOCUMENTS[:3], workers=2)


def kill_oneself(_: Any) -> list[Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def test_a_process_that_is_killed_ends_in_a_sentence() -> None:
    with pytest.raises(MbatError, match="A worker process ended before its work was done"):
        list(encoded(Encoder(dim=16), [Packed(1, b"", kill_oneself)], 2))


def kill_all_workers_then(batches: list[Packed]) -> Iterator[Packed]:
    yield from batches
    for child in multiprocessing.active_children():
        with suppress(ProcessLookupError):  # the pool ends the others when it notices that one is gone
            os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
    while True:
        yield batches[0]


def test_processes_that_are_killed_before_the_next_documents_are_sent_end_in_a_sentence() -> None:
    with pytest.raises(MbatError, match=r"A worker process ended before its work was done\. Was there enough memory"):
        for _ in encoded(Encoder(dim=16), kill_all_workers_then([packed(DOCUMENTS[:9])] * 6), 2):
            pass


def test_a_script_that_is_not_guarded_ends_in_a_sentence_that_says_so(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text("from mbat import Encoder\nprint(Encoder(dim=64).encode([{'a': 1}] * 10, workers=2).shape)\n")
    done = subprocess.run([sys.executable, str(script)], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mbat.errors.MbatError: The worker processes ended as they were started;")
    assert 'guard what it does by `if __name__ == "__main__":`' in last


STARTING = """
import os, signal, sys, threading
from mbat import Encoder

def work():
    try:
        Encoder(dim=64).encode([{"a": 1}] * 10_000, workers=2)
    finally:
        done.set()

if __name__ == "__main__":
    done = threading.Event()
    if sys.argv[1] == "main":
        work()
    threading.Thread(target=work).start()
    try:
        done.wait()
    finally:
        done.wait()
else:
    try:
        os.mkdir(sys.argv[2])
    except FileExistsError:
        pass
    else:
        os.killpg(0, signal.SIGINT)
"""


@pytest.mark.parametrize("thread", ["main", "another"])
def test_an_interrupt_while_processes_start_is_told_of_by_the_calling_process_alone(
    thread: str, tmp_path: Path
) -> None:
    script = tmp_path / "starting.py"
    script.write_text(STARTING)
    command = [sys.executable, str(script), thread, str(tmp_path / "interrupted")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, start_new_session=True)
    assert done.returncode == -signal.SIGINT
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"


def test_an_index_made_by_two_processes_holds_what_one_process_makes(tmp_path: Path) -> None:
    file = tmp_path / "docs.jsonl"
    file.write_bytes(b"".join(orjson.dumps(document) + b"\n" for document in DOCUMENTS))
    made = []
    for workers in ("1", "2"):
        place = tmp_path / f"made{workers}.mbat"
        done = CliRunner().invoke(cli, ["index", str(file), "-o", str(place), "--workers", workers])
        assert done.exit_code == 0, done.output
        with Index.open(place) as index:
            assert index.verify() == []
            made.append(
                (index.encoder, index.content.golden, [list(one.files.values()) for one in index.content.segments])
            )
    assert made[0] == made[1]
