"""Collections of Milvus, which milvus-lite serves within the process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from hypothesis import HealthCheck, assume, given, settings

import mbat
from mbat import Changes, Encoder, Index
from mbat.addresses import address_of, shown
from mbat.filter_tree import Condition
from mbat.filters import Filter, parse_filter
from mbat.folder_index import FolderIndex
from mbat.milvus import create_collection, push, searching
from mbat.milvus.collection import check_row
from mbat.milvus.connecting import Connection, _Silence
from mbat.milvus.creating import keep_encoder
from mbat.milvus.filters import expression_of
from mbat.milvus.index import MilvusIndex
from mbat.milvus.kinds import KINDS
from tests.test_filters import cases

COUNT = 200
DOCUMENTS: list[Any] = [
    {"name": f"thing {i} of {i % 13}", "n": i, "half": i / 2, "tags": [f"t{i % 7}", "all"], "seller": {"country": "FI"}}
    for i in range(COUNT)
]
IDS = [f"{i:03}" for i in range(COUNT)]
QUERY = {"name": "thing 7", "n": 100, "seller": {"country": "SE"}}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderIndex]:
    with Index.create(tmp_path_factory.mktemp("local") / "a.mbat", DOCUMENTS, IDS, kind="flat") as index:
        yield index


@pytest.fixture(scope="module")
def served(local: FolderIndex) -> Iterator[MilvusIndex]:
    uri = str(local.path.parent / "a.db")
    assert push(local, uri, "docs", "FLAT").findings() == []
    with MilvusIndex.open(f"milvus:{uri}#docs") as index:
        yield index


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[MilvusIndex]:
    uri = str(tmp_path / "a.db")
    create_collection(uri, "docs", Encoder(dim=64))
    with MilvusIndex.open(f"milvus:{uri}#docs") as index:
        yield index


def contents(index: MilvusIndex) -> dict[str, Any]:
    return index._collection.matching("")


SEARCHES: list[dict[str, Any]] = [
    {},
    {"k": 1},
    {"k": COUNT + 1},
    {"weights": {"n": 3, "name": -1}},
    {"ignore": ["name"], "explain": True},
    {"explain": True},
    {"like": ["007", "008"], "unlike": ["100"], "explain": True},
    {"effort": 1.0},
    {"where": "n < 5"},
    {"where": "tags contains 't3' and n >= 100.5", "k": 3},
    {"where": "not (n > 3)"},
    {"where": "gone is missing", "k": 5},
    {"where": "gone exists"},
]


@pytest.mark.parametrize("how", SEARCHES, ids=str)
def test_what_is_found_is_what_a_local_index_finds_to_the_last_bit(
    how: dict[str, Any], local: FolderIndex, served: MilvusIndex
) -> None:
    found, expected = served.search(QUERY, **how), local.search(QUERY, **how)
    assert [(hit.id, hit.score, hit.document) for hit in found] == [
        (hit.id, hit.score, hit.document) for hit in expected
    ]
    for hit, other in zip(found, expected, strict=True):
        assert [part.path for part in hit.parts] == [part.path for part in other.parts]
        assert sum(part.contribution for part in hit.parts) == pytest.approx(hit.score if hit.parts else 0, abs=1e-6)


def test_many_questions_at_once_are_answered_as_one_by_one(local: FolderIndex, served: MilvusIndex) -> None:
    found = served.search_batch(DOCUMENTS[:70], 2, where="n < 100")
    assert found == local.search_batch(DOCUMENTS[:70], 2, where="n < 100")
    assert found[3] == served.search(DOCUMENTS[3], 2, where="n < 100")
    assert served.search_batch([]) == []


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.on_files and name != "FLAT"])
def test_scores_are_exact_in_every_kind(kind: str, local: FolderIndex, tmp_path: Path) -> None:
    scores = {hit.id: hit.score for hit in local.search(QUERY, COUNT)}
    assert push(local, str(tmp_path / "a.db"), "docs", kind).findings() == []
    with Index.open(f"milvus:{tmp_path}/a.db#docs") as index:
        for effort in (None, 0.01, 1.0):
            hits = index.search(QUERY, 20, effort=effort)
            assert {hit.id: hit.score for hit in hits} == {hit.id: scores[hit.id] for hit in hits}
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
            assert len(hits) == 20


def test_a_collection_is_used_as_any_index(local: FolderIndex, served: MilvusIndex) -> None:
    assert len(served) == COUNT
    assert "007" in served
    assert "7" not in served
    assert 7 not in served
    assert served.get("007") == DOCUMENTS[7]
    assert served.encoder == local.encoder
    with pytest.raises(KeyError, match="nobody"):
        served.get("nobody")
    with pytest.raises(mbat.ParameterError, match=r"There is no document with the id 'nobody' to be like or unlike\."):
        served.search(like=["nobody"])


# Filters.


@pytest.mark.parametrize(
    ("where", "expression"),
    [
        ("a = 'x'", 'd["a"] == "x"'),
        ("a.b-c = true", 'd["a"]["b-c"] == true'),
        ("a = 5", '(d["a"] == 5 or d["a"] == 5.0)'),
        ("a = 5.0", '(d["a"] == 5 or d["a"] == 5.0)'),
        ("a = 5.5", 'd["a"] == 5.5'),
        ("a < -5.5", '(d["a"] <= -6 or d["a"] < -5.5)'),
        ("a >= 5.5", '(d["a"] >= 6 or d["a"] >= 5.5)'),
        ("a between 1 and 2.5", '(d["a"] >= 1 or d["a"] >= 1.0) and (d["a"] <= 2 or d["a"] <= 2.5)'),
        ("a in ('x', 'y')", '(d["a"] == "x" or d["a"] == "y")'),
        ("a starts with 'ab%c'", 'd["a"] like "ab%"'),
        ("a like 'ab_d'", 'd["a"] like "ab%"'),
        ("a = 'x' and b is null", 'd["a"] == "x"'),
        ("a = 'x' or b is null", ""),
        ("(a = 'x' or b = 'y') and c = 'z'", '(d["a"] == "x" or d["b"] == "y") and d["c"] == "z"'),
        ("a != 'x'", ""),
        ("not (a = 'x')", ""),
        ("a exists", ""),
        ("a is null", ""),
        ("a in ('x', null)", ""),
        ("a[].b = 1", ""),
        ("$ = 'x'", ""),
        ("a contains 'x'", ""),
        ("a ilike 'x%'", ""),
        ("a like '%x'", ""),
        ("a = 'it''s'", ""),
        ("a = '\"'", ""),
        ("a = 'back\\slash'", ""),
        ("a = 'é'", ""),
        ('"é" = 1', ""),
        ('"a b" = 1', ""),
        ('"1" = 1', ""),
        ("a = 9007199254740992", ""),
        ("a > 1e-7", ""),
    ],
)
def test_a_filter_is_said_to_milvus_as_far_as_it_can_be(where: str, expression: str) -> None:
    assert expression_of(parse_filter(where), "d") == expression


def test_the_longest_alternative_is_left_to_mbat() -> None:
    many = ", ".join(f"'{i}'" for i in range(257))
    assert expression_of(parse_filter(f"a in ({many})"), "d") == ""


@given(cases())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_filter_finds_what_it_holds_of(served: MilvusIndex, case: tuple[Any, Condition]) -> None:
    document, condition = case
    assume(isinstance(document, dict | list))
    try:
        kept = orjson.loads(orjson.dumps(document))
    except TypeError:
        assume(False)
    where = Filter(condition)
    served.upsert([kept], ["any"])
    try:
        found = {hit.id for hit in served.search({"n": 1}, COUNT + 2, where=str(where))}
    finally:
        served.delete(["any"])
    documents = {**dict(zip(IDS, DOCUMENTS, strict=True)), "any": kept}
    assert found == {one for one, document in documents.items() if where.matches(document)}


def test_more_is_asked_for_until_k_match(
    served: MilvusIndex, local: FolderIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MOST_FOUND", 10)  # as in a collection of millions
    monkeypatch.setattr(served._collection, "kind", replace(KINDS["FLAT"], most=COUNT))
    for where in ("tags[] = 't3'", "n > 150 and not (n < 160)"):
        assert served.search(QUERY, 3, where=where) == local.search(QUERY, 3, where=where)


def test_fewer_than_k_are_never_found_silently(served: MilvusIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MOST_FOUND", 10)
    monkeypatch.setattr(served._collection, "kind", replace(KINDS["FLAT"], most=40))
    with pytest.raises(
        mbat.MilvusError, match=r"Of the 40 documents .* 200 would have to be looked at\. Ask for fewer"
    ):
        served.search(QUERY, 3, where="not (n < 198)")
    assert len(served.search(QUERY, 3, where="n >= 197")) == 3
    assert len(served.search(QUERY, 3, where="n >= 198")) == 2  # all of which Milvus itself can be asked for


# Changes.


def test_changes_do_what_they_do_to_a_local_index(empty: MilvusIndex, tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.mbat", [], encoder=Encoder(dim=64)) as local:
        for index in (local, empty):
            assert index.add([{"a": 1}, {"a": 2}], ["x", "y"]) == Changes(added=2)
            changes = index.upsert([{"a": 1}, {"a": 3}, {"b": [1.0]}, {"b": [1]}], ["x", "y", "z", "z"])
            assert changes == Changes(added=1, replaced=2, unchanged=1)
            assert index.delete(["x", "x", "nobody"]) == 1
        assert contents(empty) == dict(local.items()) == {"y": {"a": 3}, "z": {"b": [1]}}
        assert type(empty.get("z")["b"][0]) is int
        for search in ({"document": {"a": 3}}, {"like": ["y"]}):
            assert empty.search(**search) == local.search(**search)


def test_documents_without_ids_are_numbered_past_those_that_are_taken(empty: MilvusIndex) -> None:
    empty.add([{"a": 1}, {"a": 2}], ["x", "3"])
    assert empty.add([{"a": 3}, {"a": 4}]) == Changes(added=2)
    assert set(contents(empty)) == {"x", "2", "3", "4"}


ODD_IDS = ["", " ", "a\"b'c\\", "new\nline\r\tand\x00", "é😀", "{x}", "%_", "id in [1]", "\\n", "x" * 65_535]


def test_any_text_can_be_an_id(empty: MilvusIndex) -> None:
    documents = [{"place": place} for place in range(len(ODD_IDS))]
    assert empty.add(documents, ODD_IDS) == Changes(added=len(ODD_IDS))
    for one, document in zip(ODD_IDS, documents, strict=True):
        assert one in empty
        assert empty.get(one) == document
        assert empty.search(like=[one], k=len(ODD_IDS))[0].id != one
    assert {hit.id for hit in empty.search({"place": 1}, k=20)} == set(ODD_IDS)
    for one in ODD_IDS:
        assert empty.delete([one]) == 1
    assert len(empty) == 0


@pytest.mark.parametrize(
    ("documents", "ids", "error", "message"),
    [
        ([{}, 7], ["a", "b"], mbat.DocumentError, r"At document 1, \$: Milvus keeps objects and arrays alone"),
        ([{}, None], ["a", "b"], mbat.DocumentError, "Milvus keeps objects and arrays alone"),
        ([{}, "text"], ["a", "b"], mbat.DocumentError, "Milvus keeps objects and arrays alone"),
        ([{}, {"a": 2**64}], ["a", "b"], mbat.DocumentError, r"At document 1, \$: .*Integer exceeds 64-bit range"),
        ([{}, {"a": float("nan")}], ["a", "b"], mbat.DocumentError, r"At document 1, \$\.a: nan is not a JSON number"),
        (
            [{}, {}],
            ["a", "x" * 65_536],
            mbat.ParameterError,
            "The id of document 1, 'xxx.*65,535 bytes of UTF-8 at most",
        ),
        ([{}, {}], ["a", "\ud800"], mbat.ParameterError, "The id of document 1, .* is no id in Milvus"),
        ([{}, {}], ["a", "there"], mbat.ParameterError, "The id 'there' is in the index already; upsert replaces"),
        ([{}, {}], ["a", "a"], mbat.ParameterError, "The id 'a' is given to two documents; ids must differ"),
        ([{}, {}], ["a"], mbat.ParameterError, "Each document needs an id; for document 1 there is none"),
    ],
)
def test_what_milvus_cannot_keep_is_refused_before_anything_is_written(
    empty: MilvusIndex, documents: list[Any], ids: list[str], error: type[Exception], message: str
) -> None:
    empty.add([{"a": 1}], ["there"])
    with pytest.raises(error, match=message):
        empty.add(documents, ids)
    assert contents(empty) == {"there": {"a": 1}}


def test_a_long_document_is_kept_by_milvus_lite_and_refused_for_a_server(empty: MilvusIndex) -> None:
    document = {"a": "é" * 32_764}
    assert len(orjson.dumps(document)) == 65_536
    check_row("a", document, 7, on_file=False)
    document["a"] += "x"
    with pytest.raises(mbat.DocumentError, match=r"At document 7, \$: it has 65,537 bytes, and a document on a server"):
        check_row("a", document, 7, on_file=False)
    empty.add([document], ["a"])
    assert empty.get("a") == document


# Opening.


def test_a_collection_that_is_not_there_is_not_made(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        mbat.IndexNotFoundError, match=r"There is no file .*/a\.db of milvus-lite\. Make it with: mbat push"
    ):
        Index.open(f"milvus:{tmp_path}/a.db#docs")
    assert list(tmp_path.iterdir()) == []
    create_collection(f"{tmp_path}/a.db", "docs", Encoder(dim=64))
    with pytest.raises(
        mbat.IndexNotFoundError, match=r"There is no collection dogs in .*; there are: docs, docs_encoder\."
    ):
        Index.open(f"milvus:{tmp_path}/a.db#dogs")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("where", [{"device": "cpu"}, {"device": "gpu"}, {"gpu_memory": 10**9}])
def test_where_milvus_searches_cannot_be_chosen_here(where: dict[str, Any], empty: MilvusIndex) -> None:
    with pytest.raises(mbat.ParameterError, match=r"^Milvus searches where it is: a device and its memory are for"):
        Index.open(empty.place, **where)


def test_an_encoder_that_did_not_make_the_vectors_is_refused(empty: MilvusIndex) -> None:
    place, call = f"milvus:{empty._address.uri}#docs", empty._connection.call
    call("drop_collection", "docs_encoder")
    keep_encoder(empty._connection, "docs", Encoder(dim=64, seed=1))
    with pytest.raises(mbat.IndexVersionError, match="is not the one its vectors were made with"):
        Index.open(place)
    call("drop_collection", "docs_encoder")
    with pytest.raises(mbat.IndexDamagedError, match="has no encoder: what filled it was cut short"):
        Index.open(place)
    keep_encoder(empty._connection, "docs", Encoder(dim=64))
    Index.open(place).close()
    call("upsert", "docs_encoder", data=[{"place": 0, "piece": "[", "vector": [0.0, 0.0]}])
    with pytest.raises(mbat.IndexDamagedError, match=r"The encoder of milvus:.*#docs is damaged\."):
        Index.open(place)


@pytest.mark.parametrize(
    ("properties", "error", "message"),
    [
        ({"mbat.format": "2"}, mbat.IndexVersionError, "has format 2; this version of mbat reads format 1"),
        ({"mbat.golden": "0"}, mbat.IndexVersionError, "makes other vectors here than where they were made"),
        (
            {"mbat.kind": "DISKANN"},
            mbat.ParameterError,
            "There is no kind 'DISKANN' of index in Milvus; there are HNSW",
        ),
    ],
)
def test_a_collection_of_another_version_is_refused(
    empty: MilvusIndex, properties: dict[str, str], error: type[Exception], message: str
) -> None:
    empty._connection.call("alter_collection_properties", "docs", properties=properties)
    with pytest.raises(error, match=message):
        Index.open(empty.place)


def test_a_collection_that_others_made_is_left_alone(empty: MilvusIndex) -> None:
    with pytest.raises(mbat.IndexNotFoundError, match="docs_encoder was not made by mbat: its properties tell of no"):
        Index.open(f"{empty.place}_encoder")


def test_a_text_embedder_is_asked_for_and_kept_by(tmp_path: Path) -> None:
    def embed(texts: list[str]) -> list[list[float]]:
        return [[float("car" in text or "automobile" in text), 1.0] for text in texts]

    documents = [{"a": "a quick automobile"}, {"a": "an old boat"}]
    with Index.create(tmp_path / "a.mbat", documents, encoder=Encoder(dim=64, text=embed)) as local:
        push(local, f"{tmp_path}/a.db", "docs")
        with pytest.raises(mbat.ParameterError, match="was made with a text embedder"):
            Index.open(f"milvus:{tmp_path}/a.db#docs")
        with Index.open(f"milvus:{tmp_path}/a.db#docs", text=embed) as served:
            assert served.search({"a": "the fast car"}, 1) == local.search({"a": "the fast car"}, 1)


def test_a_file_stays_open_until_the_last_index_in_it_is_closed(empty: MilvusIndex) -> None:
    with Index.open(empty.place) as other:
        assert len(other) == 0
    assert empty.add([{"a": 1}]) == Changes(added=1)
    empty.close()
    empty.close()
    with pytest.raises(mbat.MilvusError, match=r"was closed\. Open it again with Index\.open\."):
        len(empty)
    with Index.open(empty.place) as again:
        assert again.get("0") == {"a": 1}


def test_a_milvus_that_refuses_says_so_in_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    connection = Connection(f"{tmp_path}/a.db")
    with pytest.raises(mbat.MilvusError, match=r"^Milvus at .*/a\.db refuses to query: .*nowhere.*\.$"):
        connection.call("query", "nowhere", filter="")
    connection.close()
    with pytest.raises(mbat.MilvusError, match=r"^Milvus at .*/gone/a\.db cannot be opened: .*dir: .* not exists"):
        Connection(f"{tmp_path}/gone/a.db")
    assert capfd.readouterr() == ("", "")


def test_what_milvus_lite_does_after_an_interrupt_is_not_logged() -> None:
    logger = logging.getLogger("milvus_lite")
    level, silence = logger.level, _Silence()
    try:
        with pytest.raises(ValueError, match="refused"), silence:
            raise ValueError("refused")
        assert logger.level == level
        with pytest.raises(KeyboardInterrupt), silence:
            raise KeyboardInterrupt
        assert not logger.isEnabledFor(logging.CRITICAL)
    finally:
        silence.__exit__(None)
    assert logger.level == level


def test_an_error_below_pymilvus_is_a_sentence_too(empty: MilvusIndex) -> None:
    with (
        pytest.raises(mbat.MilvusError, match=r"^Milvus at .*/a\.db refuses to search: failed to connect"),
        empty._connection._told("refuses to search"),
        grpc.insecure_channel("localhost:1") as channel,
    ):
        channel.unary_unary("/milvus/Search")(b"")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("milvus:docs.db", r"'milvus:docs\.db' does not name a collection\. Write milvus:URI#NAME"),
        ("milvus:#docs", "does not name a collection"),
        ("milvus:docs#docs", r"'docs' is neither a file of milvus-lite, which ends in \.db, nor a server"),
        ("milvus:milvus:docs.db#docs", r"'milvus:docs\.db' is neither a file"),
        ("milvus:ftp://localhost#docs", r"A server of Milvus is written http://HOST:PORT or .*MBAT_MILVUS_TOKEN"),
        ("milvus:docs.db#a-b", "'a-b' is no name of a collection"),
        ("milvus:docs.db#", "'' is no name of a collection"),
    ],
)
def test_an_address_that_can_be_none_is_refused(place: str, message: str) -> None:
    with pytest.raises(mbat.ParameterError, match=message):
        Index.open(place)


def test_a_password_is_not_shown() -> None:
    address = address_of("http://root:secret@localhost:19530/db", "docs")
    assert str(address) == "milvus:http://localhost:19530/db#docs"
    assert shown("milvus:https://root:p@ss@localhost#docs") == "milvus:https://localhost#docs"
    assert shown("milvus:http://root:p/w#d@localhost#docs") == "milvus:http://localhost#docs"
    assert shown("a@b//c@d/docs.db") == "a@b//c@d/docs.db"


@pytest.mark.parametrize(
    "place",
    [
        "milvus:http://root:secret@localhost:1",
        "milvus:root:secret@localhost#docs",
        "milvus:http://root:#secret@localhost",
        "milvus:http://root:secret#1@localhost#docs",
        "milvus:ftp://root:secret@localhost#docs",
        "milvus:http://root:secret@localhost/docs.db#docs",
        "milvus:http://root:secret@#docs",
        "milvus:http://root:secret@localhost:port#docs",
        "milvus:milvus:http://root:secret@localhost#docs",
    ],
)
def test_an_address_that_can_be_none_is_refused_without_its_password(place: str) -> None:
    with pytest.raises(mbat.ParameterError) as error:
        Index.open(place)
    assert "secret" not in str(error.value)


def test_a_collection_is_no_place_for_a_local_index(empty: MilvusIndex) -> None:
    for refused in (Index.repair, lambda place: Index.create(place, []), FolderIndex.open):
        with pytest.raises(mbat.ParameterError, match=r"This works on an index in a folder, and milvus:.*#docs is a"):
            refused(empty.place)
