"""The index folder: made, opened, searched, and refused when it is not what it was."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import mbat
from mbat import Encoder, Index
from mbat.encoder_files import encoder_parts

COUNTRIES = [
    orjson.loads(line) for line in (Path(__file__).parent.parent / "examples/countries.jsonl").read_bytes().splitlines()
]
NAMES = [country["name"] for country in COUNTRIES]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("index") / "countries.mbat"
    Index.create(path, COUNTRIES, ids=NAMES).close()
    return path


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy.mbat"))


def test_every_document_finds_itself_first(made: Path) -> None:
    with Index.open(made) as index:
        for name, hits in zip(NAMES, index.search_batch(COUNTRIES, k=1), strict=True):
            assert hits[0].id == name
            assert 0.999 <= hits[0].score <= 1


def test_documents_come_back_as_they_were(made: Path) -> None:
    with Index.open(made) as index:
        assert len(index) == len(COUNTRIES)
        assert index.get("Finland") == COUNTRIES[NAMES.index("Finland")]
        assert "Finland" in index
        assert "Atlantis" not in index
        assert 3 not in index
        assert list(index.documents()) == COUNTRIES
        with pytest.raises(KeyError, match="Atlantis"):
            index.get("Atlantis")


def test_a_search_gives_the_best_k_in_order_and_all_if_k_is_more(made: Path) -> None:
    with Index.open(made) as index:
        hits = index.search({"landlocked": True, "languages": ["Spanish"]}, k=5)
        assert hits[0].id == "Paraguay"
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert len(index.search({}, k=1000)) == len(COUNTRIES)
        assert index.search_batch([], k=3) == []
        with pytest.raises(mbat.ParameterError, match="k is how many to find"):
            index.search({}, k=0)


@pytest.mark.parametrize("kind", ["flat", "flat-fp16", "exact", "auto"])
def test_every_kind_gives_the_same_answers(kind: str, tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.mbat", COUNTRIES, ids=NAMES, kind=kind) as index:
        hits = [hit.id for hit in index.search(index.get("Estonia"), k=3)]
        assert hits[0] == "Estonia"
        assert set(hits) == {"Estonia", "Latvia", "Lithuania"}


def test_without_ids_documents_are_numbered_and_equal_ones_come_in_order(tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.mbat", [{"a": "same"}] * 5 + ["other"]) as index:
        assert [hit.id for hit in index.search({"a": "same"}, k=3)] == ["0", "1", "2"]


def test_no_documents_make_an_empty_index(tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.mbat", []) as index:
        assert len(index) == 0
        assert index.search({"a": 1}) == []


def test_an_encoder_that_is_given_is_kept_as_it_is(tmp_path: Path) -> None:
    encoder = Encoder(dim=64, seed=5).fit(COUNTRIES[:50])
    with Index.create(tmp_path / "a.mbat", iter(COUNTRIES), encoder=encoder) as index:
        assert index.encoder == encoder
        assert index.search(COUNTRIES[7], k=1)[0].id == "7"


def test_documents_past_the_memory_for_kept_ones_are_encoded_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbat.building.KEEP_BYTES", 20_000)
    monkeypatch.setattr("mbat.building.BATCH", 16)
    with Index.create(tmp_path / "a.mbat", COUNTRIES) as index:
        expected = Encoder().fit(COUNTRIES)
        assert index.encoder == expected
        for i, hits in enumerate(index.search_batch(COUNTRIES, 1)):
            assert hits[0].id == str(i)


def files(path: Path) -> set[str]:
    """Return the names in a folder that no open index is in."""
    return {file.name for file in path.iterdir() if file.name != "writer.lock"}


def failing(error: BaseException) -> Iterator[dict[str, int]]:
    yield from ({"a": i} for i in range(1000))
    raise error


@pytest.mark.parametrize("error", [RuntimeError("no more"), KeyboardInterrupt()])
def test_a_build_that_fails_leaves_nothing_and_the_old_index_whole(error: BaseException, copy: Path) -> None:
    before = files(copy)
    for path in (copy, copy.with_name("new.mbat")):
        with pytest.raises(type(error)):
            Index.create(path, failing(error), overwrite=True)
    assert [path.name for path in copy.parent.iterdir()] == ["copy.mbat"]
    assert files(copy) == before
    with Index.open(copy) as index:
        assert index.verify() == []
        assert len(index) == len(COUNTRIES)


def test_an_index_is_replaced_only_when_asked_and_anything_else_never(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(mbat.IndexExistsError, match="is there already"):
        Index.create(copy, [1])
    with Index.create(copy, ["new"], overwrite=True) as index:
        assert index.get("0") == "new"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(mbat.IndexExistsError, match="is no mbat index; it is left alone"):
        Index.create(tmp_path / "mine", [1], overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"


@pytest.mark.parametrize(
    ("documents", "ids", "error", "sentence"),
    [
        ([1, 2], ["a", "a"], mbat.ParameterError, "The id 'a' is given to two documents; ids must differ."),
        ([1, 2], ["a"], mbat.ParameterError, "Each document needs an id; for document 1 there is none."),
        ([1], ["a", "b"], mbat.ParameterError, "There are more ids than the 1 documents."),
        ([1], ["\ud800"], mbat.ParameterError, "has half of a surrogate pair; ids are Unicode text."),
        ({"a": 1}, None, mbat.ParameterError, "Several documents are expected, a list of them"),
        ([1], "a", mbat.ParameterError, r"ids is a list of ids; for one give \['a'\]."),
        ([1], [7], mbat.ParameterError, "An id is a string; 7 is not."),
        (
            [1, {"a": [0, float("nan")]}],
            None,
            mbat.DocumentError,
            r"At document 1, \$.a\[1\]: nan is not a JSON number",
        ),
        ([1, {"a": {1}}], None, mbat.DocumentError, r"At document 1, \$.a: \{1\} of type set is not a JSON value."),
        ([2**70], None, mbat.DocumentError, "Integer exceeds 64-bit range"),
    ],
)
@pytest.mark.parametrize("encoder", [None, Encoder(dim=64)])
def test_what_cannot_be_indexed_is_refused(
    documents: list[Any], ids: Any, error: type[Exception], sentence: str, encoder: Encoder | None, tmp_path: Path
) -> None:
    with pytest.raises(error, match=sentence):
        Index.create(tmp_path / "a.mbat", documents, ids=ids, encoder=encoder)
    assert not list(tmp_path.iterdir())


def database(path: Path) -> str:
    return next(path.glob("documents-*.sqlite")).name


def vectors(path: Path) -> str:
    return next(path.glob("vectors-*")).name


def edited(**changes: Any) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        fields = json.loads((path / "manifest.json").read_text())
        (path / "manifest.json").write_text(json.dumps({**fields, **changes}))

    return edit


def cut(name: Callable[[Path], str], keep: float) -> Callable[[Path], None]:
    def truncate(path: Path) -> None:
        content = (path / name(path)).read_bytes()
        (path / name(path)).write_bytes(content[: int(len(content) * keep)])

    return truncate


def executed(statement: str, *values: Any) -> Callable[[Path], None]:
    def execute(path: Path) -> None:
        with closing(sqlite3.connect(path / database(path))) as connection, connection:
            connection.execute(statement, values)

    return execute


@pytest.mark.parametrize(
    ("damage", "error", "sentence"),
    [
        (shutil.rmtree, mbat.IndexNotFoundError, "does not exist"),
        (lambda p: (p / "manifest.json").unlink(), mbat.IndexNotFoundError, "is no mbat index"),
        (cut(lambda p: "manifest.json", 0.5), mbat.IndexDamagedError, "is damaged"),
        (edited(library_version="6"), mbat.IndexDamagedError, "its checksum is wrong"),
        (edited(format_version=1), mbat.IndexVersionError, "has format 1; this version of mbat reads format 2."),
        (edited(format_version=99), mbat.IndexVersionError, "has format 99; this version"),
        (lambda p: (p / vectors(p)).unlink(), mbat.IndexDamagedError, "vectors-[0-9a-f]{12} is missing"),
        (cut(vectors, 0.9), mbat.IndexDamagedError, "it has 71.,... bytes instead of 79"),
        (lambda p: (p / database(p)).unlink(), mbat.IndexDamagedError, r"documents-[0-9a-f]{8}.sqlite is missing"),
        (cut(database, 0.5), mbat.IndexDamagedError, "malformed"),
        (cut(database, 0), mbat.IndexDamagedError, "is not a store of documents made by mbat"),
        (executed("CREATE TABLE more (a)"), mbat.IndexDamagedError, "is not a store of documents made by mbat"),
        (executed("UPDATE content SET text = text || '1'"), mbat.IndexDamagedError, "is damaged"),
        (executed("DELETE FROM content"), mbat.IndexDamagedError, "does not tell what it holds"),
        (executed("UPDATE encoder SET statistics = x'00'"), mbat.IndexDamagedError, "The encoder in .* is damaged"),
        (executed("UPDATE encoder SET parameters = '{}'"), mbat.IndexDamagedError, "The encoder in .* is damaged"),
        (executed("DELETE FROM encoder"), mbat.IndexDamagedError, "it has no encoder"),
    ],
)
def test_a_folder_that_is_not_what_it_was_is_refused(
    damage: Callable[[Path], None], error: type[Exception], sentence: str, copy: Path
) -> None:
    damage(copy)
    with pytest.raises(error, match=sentence):
        Index.open(copy)


def test_another_encoder_is_refused(copy: Path) -> None:
    executed("UPDATE encoder SET parameters = ?, statistics = ?", *encoder_parts(Encoder(seed=1)))(copy)
    with pytest.raises(mbat.IndexVersionError, match="is not the one its vectors were made with"):
        Index.open(copy)


def test_an_encoder_that_has_drifted_is_refused(copy: Path) -> None:
    with Index.open(copy) as index:
        content = replace(index.content, golden="00" * 4096)
    executed("UPDATE content SET text = ?", content.written())(copy)
    with pytest.raises(mbat.IndexVersionError, match="makes other vectors here"):
        Index.open(copy)


def test_the_same_documents_make_the_same_vectors_file(made: Path, tmp_path: Path) -> None:
    Index.create(tmp_path / "again.mbat", COUNTRIES, ids=NAMES).close()
    again = tmp_path / "again.mbat"
    assert (again / vectors(again)).read_bytes() == (made / vectors(made)).read_bytes()


def test_the_encoder_of_an_index_is_loaded_from_its_folder(made: Path) -> None:
    with Index.open(made) as index:
        assert Encoder.load(made) == index.encoder


def test_an_index_stays_the_same_one_when_the_current_folder_becomes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        Index.create(tmp_path / name / "a.mbat", [name], encoder=Encoder(dim=32)).close()
    monkeypatch.chdir(tmp_path / "here")
    with Index.open("a.mbat") as index:
        monkeypatch.chdir(tmp_path / "there")
        assert index.get("0") == "here"
        assert index.delete(["0"]) == 1
        assert index.verify() == []
    with Index.open(tmp_path / "here" / "a.mbat") as here, Index.open("a.mbat") as there:
        assert (len(here), len(there)) == (0, 1)


def test_files_of_names_that_are_nearly_those_of_an_index_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.mbat"
    Index.create(path, ["one"], encoder=Encoder(dim=32)).close()
    mine = {
        f"{database(path)}.bak",
        "documents.sqlite",
        "encoder.json",
        "encoder.npz",
        "manifest.json.old",
        "vectors-0123456789ab.mine.txt",
        "vectors.faiss",
    }
    for name in mine:
        (path / name).write_text("mine")
    left = {
        "documents-01234567.sqlite-wal",
        "manifest.json.partial",
        "vectors-0123456789ab",
        "vectors-0123456789ab.raw",
    }
    for name in left:
        (path / name).write_text("of a killed process")
    with Index.open(path) as index:
        index.add(["two"])
    assert files(path) & (mine | left) == mine
    Index.create(path, ["three"], overwrite=True).close()
    assert files(path) & (mine | left) == mine


def test_an_encoder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(mbat.ParameterError, match=r"encoder is an mbat\.Encoder; 3 is not\."):
        Index.create(tmp_path / "a.mbat", [1], encoder=3)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_are_numbers(made: Path) -> None:
    with Index.open(made) as index:
        few = index.search(COUNTRIES[3], k=np.int64(2), effort=np.float32(0.5))  # type: ignore[arg-type]
        assert [hit.id for hit in few] == [hit.id for hit in index.search(COUNTRIES[3], k=2, effort=0.5)]


@pytest.mark.parametrize("first", [5, 200, 300])
def test_an_id_that_is_given_twice_is_the_one_that_is_named(first: int, tmp_path: Path) -> None:
    ids = [str(i) for i in range(1000)]
    ids[700] = ids[first]
    with pytest.raises(mbat.ParameterError, match=f"The id '{first}' is given to two documents"):
        Index.create(tmp_path / "a.mbat", range(1000), ids, Encoder(dim=32))


def test_auto_takes_lists_where_comparing_all_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbat_indexes.choosing.QUICK_NUMBERS", 192 * 64)
    with Index.create(tmp_path / "a.mbat", COUNTRIES, encoder=Encoder(dim=64)) as index:
        assert index.content.kind == "ivf"
        assert index.content.reason.startswith("It is too much to compare all of 193 vectors with a query; as ivf ")
        index.delete(["0"])
        index.rebuild(kind="auto")
        assert (index.content.kind, index.content.reason[:9]) == ("flat", "It is qui")


def test_many_queries_are_answered_as_each_alone_and_a_bad_one_is_named_by_its_place(tmp_path: Path) -> None:
    names = [{"name": f"{first} {last}"} for first in ("Ann", "Bob", "Eve") for last in ("Lee", "Roy", "Poe")]
    with Index.create(tmp_path / "a.mbat", names, encoder=Encoder(dim=64)) as index:
        queries = [names[position % 9] for position in range(2500)]
        found = index.search_batch(queries, k=2)
        alone = [index.search(name, k=2) for name in names]
        assert found == [alone[position % 9] for position in range(2500)]
        with pytest.raises(mbat.DocumentError, match=r"^At document 2100, \$\.name: "):
            index.search_batch([*queries[:2100], {"name": {1, 2}}, *queries[:5]])
        with pytest.raises(mbat.DocumentError, match=r"^At document 2048, \$: "):
            index.search_batch([*queries[:2048], {1, 2}])
