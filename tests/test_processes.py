"""Several processes give what one does, to the last bit, and say what goes wrong as one does."""

from __future__ import annotations

import os
import signal
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


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2"])
def test_a_number_of_processes_that_is_none_is_refused(workers: Any) -> None:
    with pytest.raises(ParameterError, match="workers is how many processes work, a whole number of at least 1"):
        Encoder(dim=16).encode(DOCUMENTS[:3], workers=workers)


def test_an_encoder_that_cannot_be_sent_says_so() -> None:
    encoder = Encoder(dim=16, text=lambda texts: 2 * length(texts))
    with pytest.raises(ParameterError, match=r"cannot be sent to other processes: .* Use workers=1"):
        encoder.encode(DOCUMENTS[:3], workers=2)


def kill_oneself(_: Any) -> list[Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def test_a_process_that_is_killed_ends_in_a_sentence() -> None:
    with pytest.raises(MbatError, match="A worker process ended before its work was done"):
        list(encoded(Encoder(dim=16), [Packed(1, None, kill_oneself)], 2))


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
