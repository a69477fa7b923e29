"""Everything that JSON allows comes back as it was, from get, query and where, also where it is meant to do harm."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbat import Encoder, Index
from mbat.filters import parse_filter
from tests.json_strategies import documents
from tests.test_cli import PROGRAM

SHARED = Path(__file__).parent.parent.parent / "shared/data"
ENCODER = Encoder(dim=64)


def quoted(text: str) -> str:
    """Write text as the filter language has it."""
    return "'" + text.replace("'", "''") + "'"


def stored_documents(name: str) -> list[bytes]:
    path = SHARED / name / "documents.jsonl"
    if not path.is_file():
        pytest.skip(f"{name} is not at hand")
    return path.read_bytes().splitlines()


@pytest.mark.parametrize("name", ["json-test-suite", "naughty-strings"])
def test_hostile_documents_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    lines = stored_documents(name)
    expected = [orjson.loads(line) for line in lines]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    made = [*PROGRAM, "index", "in.jsonl", "-o", "a.mbat"]
    assert subprocess.run(made, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    with Index.open(tmp_path / "a.mbat") as index:
        assert list(index.documents()) == expected
        for one, document in enumerate(expected):
            assert index.get(str(one)) == document
        for document, hits in zip(expected, index.search_batch(expected, k=1), strict=True):
            assert hits[0].score >= 0.999 or hits[0].score == 0
            assert json.dumps(ENCODER.encode_one(hits[0].document).tolist()) == json.dumps(
                ENCODER.encode_one(document).tolist()
            )
        assert index.verify() == []


def test_every_naughty_string_is_found_by_a_filter_and_serves_as_id(tmp_path: Path) -> None:
    strings = sorted({text for line in stored_documents("naughty-strings") for text in texts_of(orjson.loads(line))})
    assert len(strings) > 400
    with Index.create(tmp_path / "a.mbat", ({"s": text} for text in strings), strings, ENCODER) as index:
        for text in strings:
            where = f"s = {quoted(text)}"
            assert parse_filter(where).matches({"s": text})
            assert index.get(text) == {"s": text}
            assert text in index
        for text in strings[::20]:
            assert [hit.id for hit in index.search({"s": "x"}, 5, f"s = {quoted(text)}")] == [text]
        assert index.delete(strings[1:]) == len(strings) - 1
        assert dict(index.items()) == {strings[0]: {"s": strings[0]}}


def texts_of(document: Any) -> list[str]:
    if isinstance(document, str):
        return [document]
    members = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return [text for member in members for text in texts_of(member)]


def is_kept(document: Any) -> bool:
    """Tell whether a document is within what JSON texts in UTF-8 and numbers of 64 bits hold."""
    try:
        return bool(orjson.loads(orjson.dumps(document)) == document)
    except TypeError:
        return False


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=st.lists(documents.filter(is_kept), max_size=8))
def test_any_documents_are_added_and_upserted_and_come_back(
    some: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Index.create(tmp_path_factory.mktemp("any") / "a.mbat", some[:3], encoder=ENCODER) as index:
        index.add(some[3:])
        expected = {str(i): document for i, document in enumerate(some)}
        assert dict(index.items()) == expected
        assert index.upsert(expected.values(), expected.keys()).unchanged == len(some)
        assert {hit.id for hit in index.search({"a": 1}, k=20)} == set(expected)
