"""Files that are not what was written end in a sentence, the right answer, or a finding of verify: never in a crash."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mbat
from mbat import Encoder, Index
from mbat.content import Content
from mbat.encoder_files import encoder_parts
from mbat.repairing import repair_index
from mbat.segments import Segments
from mbat.verifying import verify_index
from tests.damaging import DOCUMENTS
from tests.test_durability import memory, outcomes

__all__ = ["memory"]  # a fixture

ENCODER = Encoder(dim=32)


@pytest.mark.slow
def test_damaged_files_never_crash_a_process_nor_give_a_wrong_answer_unnoticed(memory: Path) -> None:
    tried = outcomes("tests.damaging", str(memory), "300")
    counts = Counter(one["outcome"] for one in tried)
    assert len(tried) == 300
    assert set(counts) == {"refused", "right", "noticed"}, [one for one in tried if "ended" in one["outcome"]]
    assert min(counts.values()) >= 5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Index.create(tmp_path / "a.mbat", DOCUMENTS.values(), DOCUMENTS.keys(), ENCODER) as index:
        index.add([{"name": "tail"}], ["tail"])
        index.delete(["id 5", "tail"])
    return tmp_path / "a.mbat"


LEFT = {one: document for one, document in DOCUMENTS.items() if one != "id 5"}


def execute(path: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(next(path.glob("documents-*.sqlite")))) as connection, connection:
        connection.execute(statement, values)


def content(path: Path) -> Content:
    with Index.open(path) as index:
        return index.content


def put(path: Path, changed: Content) -> None:
    execute(path, "UPDATE content SET text = ?", changed.written())


def flip(file: Path, at: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(len(content) * at)] ^= 0x10
    file.write_bytes(content)


def first_vectors(path: Path) -> Path:
    return path / content(path).segments[0].name


def swap_vectors(path: Path) -> None:
    """Put the vectors of other documents, in a file that is whole, in the place of an index's own."""
    with Index.create(path.with_name("other.mbat"), list(DOCUMENTS.values())[::-1], None, ENCODER) as other:
        segment = other.content.segments[0]
        shutil.copy(other.path / segment.name, first_vectors(path))
    before = content(path)
    own = before.segments[0]
    files = {own.name: segment.files[segment.name]}
    put(path, replace(before, segments=(replace(own, files=files), *before.segments[1:])))


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (lambda p: flip(first_vectors(p), 0.5), "its checksum is wrong"),
        (lambda p: first_vectors(p).unlink(), r"is damaged: its vectors-[0-9a-f]{12} is missing"),
        (lambda p: flip(p / "manifest.json", 0.6), r"manifest\.json is damaged"),
        (lambda p: put(p, replace(content(p), documents=7)), "There are 59 documents, and should be 7."),
        (lambda p: put(p, replace(content(p), segments=content(p).segments[:1], documents=59)), None),
        (lambda p: put(p, replace(content(p), segments=())), "59 documents have no vectors."),
        (lambda p: put(p, replace(content(p), golden="00")), "makes other vectors here"),
        (lambda p: put(p, replace(content(p), dim=64)), "is not the one its vectors were made with"),
        (lambda p: execute(p, "DELETE FROM dropped WHERE row < 60"), "has vectors of other rows than the documents"),
        (lambda p: execute(p, "DELETE FROM content"), "does not tell what it holds"),
        (lambda p: execute(p, "UPDATE encoder SET statistics = x'00'"), "The encoder in .* is damaged"),
        (
            lambda p: execute(p, "UPDATE documents SET row = row + 1000 WHERE id = 'id 3'"),
            "1 documents have no vectors",
        ),
        (swap_vectors, "is not the one that its encoder makes"),
    ],
)
def test_what_is_wrong_is_found_and_made_anew_from_the_documents(damage: Any, finding: str | None, path: Path) -> None:
    assert verify_index(path) == []
    damage(path)
    if finding is not None:
        assert any(re.search(finding, one) for one in verify_index(path))
    repaired = repair_index(path)
    assert repaired.documents == len(LEFT)
    assert verify_index(path) == []
    with Index.open(path) as index:
        assert dict(index.items()) == LEFT
        assert index.search(DOCUMENTS["id 7"], k=1)[0].id == "id 7"
        index.add([{"name": "more"}])
        assert len(index) == len(LEFT) + 1


def test_a_damaged_document_is_named_is_not_given_out_and_can_be_put_right(path: Path) -> None:
    execute(path, "UPDATE documents SET document = x'22787822' WHERE id = 'id 7'")
    assert verify_index(path) == ["The document 'id 7' is not what was written."]
    with Index.open(path) as index:
        with pytest.raises(mbat.IndexDamagedError, match="the document 'id 7' is not what was written"):
            index.get("id 7")
        with pytest.raises(mbat.IndexDamagedError, match="the document 'id 7' is not what was written"):
            index.search({"name": 7}, k=100)
        assert index.get("id 8") == DOCUMENTS["id 8"]
    with pytest.raises(mbat.IndexDamagedError, match="damaged in the documents themselves: the document 'id 7'"):
        repair_index(path)
    with Index.open(path) as index:
        assert index.upsert([DOCUMENTS["id 7"]], ["id 7"]).replaced == 1
    assert verify_index(path) == []


def test_an_encoder_that_is_damaged_learns_anew_from_the_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.mbat"
    Index.create(path, DOCUMENTS.values(), DOCUMENTS.keys()).close()
    with Index.open(path) as index:
        before = index.encoder
    execute(path, "UPDATE encoder SET statistics = ?", encoder_parts(Encoder())[1])
    with pytest.raises(mbat.IndexDamagedError, match="its fingerprint is another"):
        Index.open(path)
    repair_index(path)
    with Index.open(path) as index:
        assert index.encoder == before


def test_an_error_within_faiss_is_a_sentence_of_damage(path: Path) -> None:
    class Broken:
        kind, dim = "flat", 32

        def search(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("Error in somewhere.cpp:3\nError: 'true' failed")

    found: Any = Broken()
    first = content(path).segments[0]
    with pytest.raises(mbat.IndexDamagedError, match=f"{first.name} is damaged: Error: 'true' failed"):
        Segments([(first, found)], np.zeros(0, dtype=np.int64)).search(ENCODER.encode([1]), 3)


def test_a_manifest_that_is_lost_is_written_anew(path: Path) -> None:
    (path / "manifest.json").unlink()
    with pytest.raises(mbat.IndexNotFoundError, match="is no mbat index"):
        verify_index(path)
    repair_index(path)
    assert verify_index(path) == []
    with pytest.raises(mbat.IndexNotFoundError, match="does not exist"):
        repair_index(path.with_name("gone.mbat"))


@pytest.mark.parametrize(
    "name",
    ["../a", "vectors-0123456789ab/../../a", "/etc/passwd", "vectors-0123456789ab\n", "documents-01234567.sqlite"],
)
def test_a_file_outside_the_folder_is_never_named(name: str, path: Path) -> None:
    before = content(path)
    first = before.segments[0]
    for segment in (replace(first, name=name), replace(first, files={name: first.files[first.name]})):
        put(path, replace(before, segments=(segment, *before.segments[1:])))
        with pytest.raises(mbat.IndexDamagedError, match="its name"):
            Index.open(path)


@pytest.mark.parametrize("of_table", [True, False])
def test_an_id_that_is_no_text_any_more_is_named_and_can_be_deleted(of_table: bool, path: Path) -> None:
    file = next(path.glob("documents-*.sqlite"))
    content = bytearray(file.read_bytes())
    (place,) = re.finditer(rb"id 17(?=\{)" if of_table else rb"id 17(?!\{)", content)
    content[place.start()] ^= 0x80
    file.write_bytes(content)
    damaged_id = "\udce9d 17"
    assert any("sqlite_autoindex_documents_1" in finding for finding in verify_index(path))
    if of_table:
        assert f"The document {damaged_id!r} is not what was written." in verify_index(path)
        with pytest.raises(
            mbat.IndexDamagedError, match=r"the document '\\udce9d 17' is not what was written\. Delete"
        ):
            repair_index(path)
        with Index.open(path) as index:
            with pytest.raises(mbat.IndexDamagedError, match="is not what was written"):
                index.get(damaged_id)
            assert index.delete([damaged_id]) == 1
            assert index.add([DOCUMENTS["id 17"]], ["id 17"]).added == 1
    else:
        repair_index(path)
    assert verify_index(path) == []
    with Index.open(path) as index:
        assert dict(index.items()) == LEFT


def test_an_index_with_a_text_embedder_is_repaired_with_it(tmp_path: Path) -> None:
    def embed(texts: list[str]) -> Any:
        return np.array([[len(text), 1.0] for text in texts])

    path, texts = tmp_path / "a.mbat", ["some words", "some more words"]
    Index.create(path, texts, encoder=Encoder(dim=32, text=embed)).close()
    flip(next(path.glob("vectors-*")), 0.5)
    with pytest.raises(mbat.ParameterError, match="Give the function again, as text="):
        repair_index(path)
    with Index.repair(path, text=embed) as index:
        assert list(index.documents()) == texts
        assert index.verify() == []


def test_what_is_left_of_a_first_build_that_was_cut_short_is_to_be_indexed_again(tmp_path: Path) -> None:
    path = tmp_path / "a.mbat"
    path.mkdir()
    (path / "documents-01234567.sqlite").write_bytes(b"")
    with pytest.raises(mbat.IndexNotFoundError, match="If its making was cut short, index the documents again"):
        Index.open(path)
    with pytest.raises(mbat.IndexDamagedError, match="holds an index whose making was cut short; index the documents"):
        repair_index(path)
    Index.create(path, ["one"], encoder=ENCODER).close()
    assert verify_index(path) == []
