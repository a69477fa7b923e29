"""Adding, replacing and deleting documents, for every kind: what is found is what is there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mbat
from mbat import Changes, Encoder, Index
from mbat.changing import kept_segments
from mbat.content import Content, Segment
from mbat.database import checksum
from mbat.putting import put_documents
from mbat.records import Record
from mbat.rewriting import compact_index
from mbat_indexes import KINDS
from tests.test_index import COUNTRIES, NAMES

SMALL = Encoder(dim=32)


def person(number: int) -> dict[str, Any]:
    return {"name": f"person {number}", "number": number}


def make(path: Path, count: int, kind: str = "auto") -> Index:
    return Index.create(path / "a.mbat", map(person, range(count)), map(str, range(count)), SMALL, kind)


def contents(index: Index) -> dict[str, Any]:
    return dict(index.items())


def check(index: Index, expected: dict[str, Any]) -> None:
    """Compare an index with what it should hold, by every way to ask it."""
    assert contents(index) == expected
    assert len(index) == len(expected)
    assert index.verify() == []
    for one, document in expected.items():
        assert index.get(one) == document
        assert one in index
    found = index.search(person(0), k=len(expected) + 5)
    assert {hit.id: hit.document for hit in found} == expected
    vectors = SMALL.encode([hit.document for hit in found])
    np.testing.assert_allclose([hit.score for hit in found], vectors @ SMALL.encode_one(person(0)), atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_added_replaced_and_deleted_is_so_at_once_for_every_kind(kind: str, tmp_path: Path) -> None:
    with make(tmp_path, 300, kind) as index:
        expected = contents(index)
        assert index.add([person(1000), person(1001)], ids=["x", "y"]) == Changes(added=2)
        expected |= {"x": person(1000), "y": person(1001)}
        check(index, expected)
        upserted = [person(7), person(-8), person(2000)]
        assert index.upsert(upserted, ids=["7", "8", "z"]) == Changes(added=1, replaced=1, unchanged=1)
        expected |= {"8": person(-8), "z": person(2000)}
        check(index, expected)
        assert index.delete(["0", "x", "gone", "0"]) == 2
        del expected["0"], expected["x"]
        check(index, expected)
        assert [hit.id for hit in index.search(person(1000), k=1)] != ["x"]
        index.compact()
        check(index, expected)
        assert len(index.content.segments) == 1
        assert index.content.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_rebuilt_as_every_other_without_the_sources(kind: str, tmp_path: Path) -> None:
    with make(tmp_path, 40) as index:
        index.delete(["3"])
        expected = contents(index)
        index.rebuild(kind)
        assert index.content.kind == kind
        check(index, expected)
        index.rebuild()
        assert index.content.kind == kind
        index.rebuild("auto")
        check(index, expected)


def test_a_refit_learns_from_all_documents_that_are_there(tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.mbat", COUNTRIES[:20], NAMES[:20]) as index:
        index.add(COUNTRIES[20:], NAMES[20:])
        index.delete([NAMES[0]])
        assert index.encoder == Encoder().fit(COUNTRIES[:20])
        index.rebuild(refit=True)
        assert index.encoder == Encoder().fit(COUNTRIES[1:])
        assert index.verify() == []
        assert index.search(COUNTRIES[100], k=1)[0].id == NAMES[100]


def test_documents_without_ids_are_numbered_on_past_ids_that_are_taken(tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.mbat", ["zero", "one"]) as index:
        index.add(["mine"], ids=["3"])
        index.add(["two", "four"])
        assert contents(index) == {"0": "zero", "1": "one", "3": "mine", "2": "two", "4": "four"}
        index.delete(["4"])
        index.add(["five"])
        assert index.get("5") == "five"
        assert "4" not in index


def test_an_index_without_documents_grows(tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.mbat", [], encoder=SMALL) as index:
        assert index.add([]) == Changes()
        assert index.delete(["a"]) == 0
        index.add(map(person, range(3)))
        check(index, {str(i): person(i) for i in range(3)})
        assert index.delete(map(str, range(3))) == 3
        check(index, {})
        index.compact()
        index.rebuild("exact", refit=True)
        check(index, {})


def test_what_is_there_as_it_is_is_left_alone_however_it_is_written(tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.mbat", [{"a": 1, "b": [1.5, "é"]}], ids=["x"]) as index:
        version = index.content.version
        assert index.upsert([{"b": [1.5, "é"], "a": 1}], ids=["x"]) == Changes(unchanged=1)
        assert index.content.version == version
        assert index.upsert([{"a": 1.0, "b": [1.5, "é"]}], ids=["x"]) == Changes(replaced=1)


def test_of_two_documents_with_one_id_the_last_counts_in_an_upsert(tmp_path: Path) -> None:
    with make(tmp_path, 2) as index:
        changes = index.upsert([person(5), person(6), person(7), person(6)], ids=["0", "x", "0", "x"])
        assert changes == Changes(added=1, replaced=2, unchanged=1)
        check(index, {"1": person(1), "0": person(7), "x": person(6)})


@pytest.mark.parametrize(
    ("documents", "ids", "error", "sentence"),
    [
        (
            [1, 2],
            ["new", "7"],
            mbat.ParameterError,
            "The id '7' is in the index already; upsert replaces its document.",
        ),
        ([1, 2], ["new", "new"], mbat.ParameterError, "The id 'new' is given to two documents; ids must differ."),
        ([1, 2], ["new"], mbat.ParameterError, "Each document needs an id; for document 1 there is none."),
        ([1], ["\ud800"], mbat.ParameterError, "has half of a surrogate pair"),
        ([1], [7], mbat.ParameterError, "An id is a string; 7 is not."),
        ([1], "7", mbat.ParameterError, "ids is a list of ids; for one give"),
        ({"a": 1}, None, mbat.ParameterError, "Several documents are expected, a list of them"),
        ([1, {"a": float("nan")}], None, mbat.DocumentError, r"At document 1, \$.a: nan is not a JSON number"),
        ([1, {"a": {1}}], None, mbat.DocumentError, r"At document 1, \$.a: \{1\} of type set"),
        ([*range(300), {"a": Path("b")}], None, mbat.DocumentError, r"At document 300, \$.a: PosixPath"),
    ],
)
@pytest.mark.parametrize("replacing", [False, True])
def test_a_change_that_cannot_be_made_whole_is_not_made(
    documents: Any, ids: Any, error: type[Exception], sentence: str, replacing: bool, tmp_path: Path
) -> None:
    with make(tmp_path, 10) as index:
        before = sorted(path.name for path in index.path.iterdir())
        if replacing and ids is not None and not sentence.startswith("The id"):
            with pytest.raises(error, match=sentence):
                index.upsert(documents, ids)
        else:
            with pytest.raises(error, match=sentence):
                index.add(documents, ids)
        check(index, {str(i): person(i) for i in range(10)})
        assert sorted(path.name for path in index.path.iterdir()) == before


DEEP: list[Any] = [[]]
for _ in range(251):
    DEEP = [DEEP]


def test_a_document_that_cannot_be_encoded_is_named_by_its_place_among_those_given(tmp_path: Path) -> None:
    with make(tmp_path, 1000) as index:
        index.add(["tail"] * 3)
        with pytest.raises(mbat.DocumentError, match=r"At document 4, .*nested deeper than 250 levels"):
            index.upsert([person(0), person(1), "a", "b", DEEP], ids=["0", "1", "a", "b", "deep"])
        assert len(index) == 1003
        assert index.verify() == []


def test_ids_of_documents_to_delete_are_checked(tmp_path: Path) -> None:
    with make(tmp_path, 3) as index:
        with pytest.raises(mbat.ParameterError, match="ids is a list of ids"):
            index.delete("012")
        with pytest.raises(mbat.ParameterError, match=r"An id is a string; 1 is not\."):
            index.delete(["0", 1])  # type: ignore[list-item]
        assert index.delete(["\ud800"]) == 0
        assert len(index) == 3
        with pytest.raises(mbat.ParameterError, match=r"ids is a list of ids; None is not\."):
            index.delete(None)  # type: ignore[arg-type]
        with pytest.raises(mbat.ParameterError, match=r"An id is a string; 5 is not\."):
            index.get(5)  # type: ignore[arg-type]
        with pytest.raises(mbat.ParameterError, match="upsert needs the ids"):
            index.upsert([1], None)  # type: ignore[arg-type]


def test_compacting_gives_the_space_back(tmp_path: Path) -> None:
    with make(tmp_path, 2000) as index:
        index.delete(map(str, range(1900)))
        before = sum(file.stat().st_size for file in index.path.iterdir())
        index.compact()
        assert sum(file.stat().st_size for file in index.path.iterdir()) < before / 4
        check(index, {str(i): person(i) for i in range(1900, 2000)})


def test_many_small_changes_leave_few_segments(tmp_path: Path) -> None:
    with make(tmp_path, 1000) as index:
        most = 0
        for i in range(120):
            index.add([person(i)])
            most = max(most, len(index.content.segments))
        assert 4 <= most <= 10
        assert len(index) == 1120
        assert index.verify() == []


def sized(*sizes: int) -> Content:
    ends = np.cumsum([0, *sizes]).tolist()
    segments = tuple(Segment(f"{i}", "flat", ends[i], ends[i + 1], size, {}) for i, size in enumerate(sizes))
    return Content(1, sum(sizes), 0, "flat", 32, "", "", segments=segments)


@pytest.mark.parametrize(
    ("sizes", "dropped", "new", "kept"),
    [
        ((), 0, 5, 0),
        ((10000,), 0, 5, 1),
        ((10000, 100), 0, 5, 2),
        ((10000, 5, 5), 0, 5, 3),
        ((10000, 5, 5, 5), 0, 5, 1),
        ((10000, 500, 5, 5, 5), 0, 5, 2),
        ((10000, 500, 5, 5, 5), 0, 1, 5),
        ((10000, 40, 40, 5, 5, 5), 0, 5, 3),
        ((10000, 40, 40, 40, 15, 15, 15), 0, 15, 1),
        ((10000, 2000), 0, 500, 2),
        ((10000, 2000), 0, 501, 0),
        ((10000,), 5000, 5, 1),
        ((10000,), 5001, 5, 0),
    ],
)
def test_what_is_written_anew_is_small_beside_what_stays(
    sizes: tuple[int, ...], dropped: int, new: int, kept: int
) -> None:
    assert kept_segments(sized(*sizes), dropped, new) == kept


operations = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=4)),
        st.tuples(st.just("delete"), st.lists(st.integers(0, 9), max_size=4)),
        st.tuples(st.sampled_from(["compact", "rebuild", "reopen"]), st.none()),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=operations)
def test_any_changes_leave_what_a_dictionary_would_hold(
    operations: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    index = make(tmp_path_factory.mktemp("any"), 5)
    expected = contents(index)
    for name, what in operations:
        if name == "upsert":
            index.upsert([person(value) for _, value in what], [str(one) for one, _ in what])
            expected |= {str(one): person(value) for one, value in what}
        elif name == "delete":
            assert index.delete(map(str, what)) == len({str(one) for one in what} & set(expected))
            expected = {one: document for one, document in expected.items() if int(one) not in what}
        elif name == "reopen":
            index.close()
            index = Index.open(index.path)
        else:
            getattr(index, name)()
        assert contents(index) == expected
    check(index, expected)
    index.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_for_more_than_there_are_takes_no_memory_for_them(kind: str, tmp_path: Path) -> None:
    with make(tmp_path, 12, kind) as index:
        index.add([person(12)])
        index.delete(["3"])
        expected = [hit.id for hit in index.search(person(5), k=12, effort=1.0)]
        for k in (13, 10**12, 2**70):
            assert [hit.id for hit in index.search(person(5), k=k, effort=1.0)] == expected
            assert [hit.id for hit in index.search(person(5), k=k, where="number = 12")] == ["12"]
        index.delete(expected)
        assert index.search(person(5), k=10**12) == []


def test_a_document_of_before_that_cannot_be_encoded_any_more_is_named_by_its_id(tmp_path: Path) -> None:
    with make(tmp_path, 3) as index:
        text = orjson.dumps(DEEP)
        with closing(sqlite3.connect(index.path / index.manifest.database)) as connection, connection:
            values = text, checksum("1", text)
            connection.execute("UPDATE documents SET document = ?, checksum = ? WHERE id = '1'", values)
        with pytest.raises(mbat.DocumentError, match=r"nested deeper .* in the document '1' of the index") as old:
            index.add([person(7), person(8), person(9)])
        assert old.value.position is None


def test_what_was_measured_of_vectors_goes_with_them(tmp_path: Path) -> None:
    with make(tmp_path, 300, "hnsw") as index:
        assert index.content.recall is not None
        index.delete(map(str, range(300)))
        index.compact()
        assert index.content.recall is None


def test_an_index_that_was_closed_is_not_opened_again_unasked(tmp_path: Path) -> None:
    index = make(tmp_path, 3)
    index.close()
    index.close()
    for use in (
        lambda: index.search(1),
        lambda: list(index.items()),
        lambda: index.get("1"),
        lambda: index.add([1]),
        lambda: index.upsert([1], ["1"]),
        lambda: index.delete(["1"]),
        index.compact,
        index.rebuild,
        index.verify,
        lambda: len(index),
    ):
        with pytest.raises(mbat.IndexFolderError, match=r"a\.mbat was closed\. Open it again with Index\.open\."):
            use()
    with Index.open(index.path) as again:
        check(again, {str(i): person(i) for i in range(3)})


def test_a_writer_keeps_the_text_embedder_it_was_opened_with_when_another_refits(tmp_path: Path) -> None:
    def embed(texts: list[str]) -> Any:
        return np.array([[len(text), 1.0] for text in texts])

    with Index.create(tmp_path / "a.mbat", ["some words"], encoder=Encoder(dim=32, text=embed)) as index:
        known = index.encoder
        index.rebuild(refit=True)
        assert index.encoder != known
        records = [Record(None, b'"more words"', "more words")]
        assert put_documents(index.path, records, known, replacing=False).added == 1
        index.delete(["0"])
        assert compact_index(index.path, known) is True
        assert index.verify() == []
