"""Pairs against brute force, groups against a search of the graph, and files of pairs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import mbat.pairs
from mbat import Encoder, Index, MbatError, ParameterError, SourceError
from mbat.differences import differences
from mbat.duplicates import Duplicates, find_duplicates
from mbat.pair_files import check_pairs_file, load_pairs, save_pairs
from mbat.pairs import Pairs, similar_pairs
from tests.json_strategies import documents


def unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clustered(count: int, dim: int, spread: float, seed: int) -> NDArray[np.float32]:
    """Return rows near a few centres, whose energy lies mostly in few directions, and some rows twice."""
    generator = np.random.default_rng(seed)
    scales = 0.97 ** np.arange(dim)
    centres = generator.standard_normal((count // 4, dim)) * scales
    rows = unit(
        centres[generator.integers(len(centres), size=count)] + spread * generator.standard_normal((count, dim))
    )
    rows[-5:] = rows[:5]
    return rows


def by_brute_force(rows: NDArray[np.float32], threshold: float) -> dict[tuple[int, int], float]:
    products = rows.astype(np.float64) @ rows.astype(np.float64).T
    first, second = np.nonzero(np.triu(products >= threshold, 1))
    return dict(zip(zip(first.tolist(), second.tolist(), strict=True), products[first, second].tolist(), strict=True))


def found(rows: NDArray[np.float32], threshold: float) -> dict[tuple[int, int], float]:
    pairs = {}
    for some in similar_pairs(rows, threshold):
        for first, second, score in zip(*(column.tolist() for column in some), strict=True):
            assert (first, second) not in pairs
            pairs[first, second] = score
    return pairs


@pytest.mark.parametrize("threshold", [0.3, 0.7, 0.9, 0.999])
@pytest.mark.parametrize("spread", [0.02, 0.3])
def test_pairs_are_those_of_brute_force_whether_rows_are_shortened_or_not(threshold: float, spread: float) -> None:
    rows = clustered(4600, 200, spread, seed=1)
    expected = by_brute_force(rows, threshold)
    pairs = found(rows, threshold)
    assert pairs.keys() == expected.keys()
    assert all(abs(pairs[pair] - score) < 1e-12 for pair, score in expected.items())


def test_rows_are_shortened_where_that_is_cheaper_and_no_bound_is_below_its_product() -> None:
    rows = clustered(4600, 200, 0.02, seed=1)
    heads = mbat.pairs._heads(rows, 0.9).astype(np.float64)
    assert heads.shape[1] < 200
    assert mbat.pairs._heads(unit(np.random.default_rng(0).standard_normal((4600, 200))), 0.2).shape[1] == 200
    products = rows.astype(np.float64) @ rows.astype(np.float64).T
    assert (heads @ heads.T >= products - 8 * mbat.pairs._EPSILON).all()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(1, 5), st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_ties_at_the_threshold_are_pairs(seed: int, count: int, dim: int, threshold: float) -> None:
    """Rows of 0, 1/2 and 1 have products that are exact."""
    rows = np.random.default_rng(seed).choice([0.0, 0.5, -0.5, 1.0], size=(count, dim)).astype(np.float32)
    assert found(rows, threshold) == by_brute_force(rows, threshold)


def of_pairs(pairs: dict[tuple[int, int], float], count: int, threshold: float = 0.5) -> Duplicates:
    ordered = sorted(pairs)
    columns = np.array(ordered, dtype=np.int64).reshape(-1, 2)
    scores = np.array([pairs[pair] for pair in ordered], dtype=np.float64)
    ids = {position: f"id {position}" for pair in ordered for position in pair}
    return Duplicates(threshold, count, ids, Pairs(columns[:, 0], columns[:, 1], scores))


PAIRS = st.dictionaries(
    st.tuples(st.integers(0, 14), st.integers(0, 14)).filter(lambda pair: pair[0] < pair[1]), st.floats(0.5, 1.0)
)


def components(pairs: dict[tuple[int, int], float], threshold: float) -> list[tuple[int, ...]]:
    groups = {position: {position} for position in range(15)}
    for (first, second), score in pairs.items():
        if score >= threshold:
            joined = groups[first] | groups[second]
            groups.update(dict.fromkeys(joined, joined))
    return sorted({tuple(sorted(group)) for group in groups.values() if len(group) > 1})


@settings(deadline=None)
@given(PAIRS, st.floats(0.5, 1.0))
def test_groups_are_the_components_of_the_graph_at_any_higher_threshold(
    pairs: dict[tuple[int, int], float], threshold: float
) -> None:
    duplicates = of_pairs(pairs, 15).at(threshold)
    groups = duplicates.groups()
    assert [group.positions for group in groups] == components(pairs, threshold)
    for group in groups:
        scores = [s for pair, s in pairs.items() if s >= threshold and pair[0] in group.positions]
        assert (group.pairs, group.lowest, group.highest) == (len(scores), min(scores), max(scores))
        assert group.ids == tuple(f"id {position}" for position in group.positions)
    assert duplicates.dropped() == {p for group in components(pairs, threshold) for p in group[1:]}


@settings(deadline=None)
@given(PAIRS)
def test_a_file_of_pairs_gives_them_back(tmp_path_factory: pytest.TempPathFactory, pairs: dict[Any, float]) -> None:
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    duplicates = of_pairs(pairs, 15)
    save_pairs(duplicates, path)
    loaded = load_pairs(path)
    assert (loaded.threshold, loaded.documents, loaded.ids) == (0.5, 15, duplicates.ids)
    assert list(loaded.pairs()) == list(duplicates.pairs())


HEADER = {"threshold": 0.5, "documents": 3, "pairs": 1}
PAIR = {"ids": ["a", "b"], "positions": [0, 2], "score": 0.75}


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], "is no file of pairs that mbat dedup --pairs has written"),
        ([PAIR], "is no file of pairs"),
        ([{**HEADER, "threshold": 2}], "is no file of pairs"),
        ([{**HEADER, "documents": "3"}], "is no file of pairs"),
        ([HEADER], "holds 0 pairs instead of 1: it is not whole."),
        ([HEADER, PAIR, {**PAIR, "positions": [1, 2], "ids": ["c", "b"]}], "holds 2 pairs instead of 1"),
        ([{**HEADER, "pairs": 2}, PAIR, PAIR], r"line 3: this is the same pair as the one before it\."),
        (
            [{**HEADER, "pairs": 2}, PAIR, {**PAIR, "positions": [0, 1], "ids": ["a", "a"]}],
            "line 3: this is a pair of ea",
        ),
        ([{**HEADER, "documents": 1 << 63}], "is no file of pairs"),
        ([HEADER, {**PAIR, "positions": [2, 0]}], "line 2: this is no pair"),
        ([HEADER, {**PAIR, "positions": [0, 1, 2]}], "line 2: this is no pair"),
        ([HEADER, {**PAIR, "ids": "ab"}], "line 2: this is no pair"),
        ([HEADER, ["ids", "positions", "score"]], "line 2: this is no pair"),
        ([HEADER, None], "line 2: this is no pair"),
        ([HEADER, {**PAIR, "positions": [0, 3]}], "line 2: this is no pair"),
        ([HEADER, {**PAIR, "positions": [False, True]}], "line 2: this is no pair"),
        ([HEADER, {**PAIR, "score": 0.4}], "line 2: this is no pair"),
        ([HEADER, {**PAIR, "score": "high"}], "line 2: this is no pair"),
        ([HEADER, {**PAIR, "ids": ["a"]}], "line 2: this is no pair"),
        ([{**HEADER, "pairs": 2}, PAIR, {**PAIR, "ids": ["x", "b"]}], "line 3: this is no pair"),
    ],
)
def test_a_broken_file_of_pairs_is_refused(lines: list[Any], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with pytest.raises(SourceError, match=sentence):
        load_pairs(path)


def test_pairs_of_very_many_documents_are_grouped(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    last = (1 << 63) - 2
    lines = [{**HEADER, "documents": last + 1}, {**PAIR, "positions": [0, last]}]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    (group,) = load_pairs(path).groups()
    assert group == (("a", "b"), (0, last), 1, 0.75, 0.75)


def test_documents_of_pairs_may_be_called_alike(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, [HEADER, {**PAIR, "ids": ["a", "a"]}])), encoding="utf-8")
    assert [pair.ids for pair in load_pairs(path).pairs()] == [("a", "a")]


def test_more_pairs_than_a_block_are_all_told_in_order() -> None:
    pairs = {(i, i + 1): 0.5 + i / 100_000 for i in range(40_000)}
    assert {pair.positions: pair.score for pair in of_pairs(pairs, 40_001).pairs()} == pairs


def test_a_file_for_pairs_is_refused_before_any_work_if_it_cannot_be_written_or_is_an_input(tmp_path: Path) -> None:
    documents, index = tmp_path / "a.jsonl", tmp_path / "a.mbat"
    documents.write_text("{}", encoding="utf-8")
    index.mkdir()
    (tmp_path / "link.jsonl").symlink_to(documents)
    (tmp_path / "hard.jsonl").hardlink_to(documents)
    for name in ("a.jsonl", "link.jsonl", "hard.jsonl", "a.mbat/p.jsonl", "a.mbat"):
        with pytest.raises(ParameterError, match=r"the documents are there\. Name another file\."):
            check_pairs_file(tmp_path / name, [documents, index])
    for name, reason in ((".", "it is there and no file"), ("gone/p.jsonl", "No such file or directory")):
        with pytest.raises(MbatError, match=rf"cannot be written to .*: {reason}\."):
            check_pairs_file(tmp_path / name, [documents])
    check_pairs_file(tmp_path / "p.jsonl", [documents])
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.jsonl", "a.mbat", "hard.jsonl", "link.jsonl"]


def test_a_file_of_pairs_that_was_there_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    save_pairs(of_pairs({(0, 1): 0.5}, 2), path)
    before = path.read_bytes()
    broken = Duplicates(0.5, 2, {}, of_pairs({(0, 1): 0.5}, 2).found)
    with pytest.raises(KeyError):
        save_pairs(broken, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "link.jsonl").symlink_to(path)
    save_pairs(of_pairs({(0, 2): 0.5}, 3), tmp_path / "link.jsonl")
    assert [pair.positions for pair in load_pairs(path).pairs()] == [(0, 2)]


def test_a_file_that_is_not_json_or_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        load_pairs(path)
    path.write_text(json.dumps(HEADER) + "\n{", encoding="utf-8")
    with pytest.raises(SourceError, match="line 2: not JSON"):
        load_pairs(path)


def test_a_lower_threshold_than_the_pairs_were_found_with_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"found with a threshold of 0\.5, so those of 0\.4 are not all"):
        of_pairs({(0, 1): 0.9}, 2).at(0.4)


Made = Callable[..., Index]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return lambda *arguments, **options: Index.create(tmp_path / "a.mbat", *arguments, overwrite=True, **options)


PEOPLE = [
    {"id": 1, "name": "Ann Lee", "city": "Oslo"},
    {"id": 2, "name": "Bob Roy", "city": "Rome"},
    {"id": 3, "name": "ann lee", "city": "Oslo"},
    {"id": 4, "name": "Ann Lee", "city": "Oslo"},
]


def test_duplicates_of_an_index_are_those_of_its_vectors(made: Made) -> None:
    with made(PEOPLE, ids=list("abcd")) as index:
        vectors = index.encoder.encode(PEOPLE)
        pairs = list(find_duplicates(index, 0.6).pairs())
    expected = by_brute_force(vectors, 0.6)
    assert {pair.positions: pytest.approx(pair.score, abs=1e-12) for pair in pairs} == expected
    assert [pair.ids for pair in pairs] == [("a", "c"), ("a", "d"), ("c", "d")]


def test_fields_that_are_ignored_do_not_count_and_copies_are_paired_with_the_first_alone(made: Made) -> None:
    with made(PEOPLE) as index:
        duplicates = find_duplicates(index, 1, ignore=["id"])
        assert [(pair.positions, pair.score) for pair in duplicates.pairs()] == [((0, 2), 1.0), ((0, 3), 1.0)]
        assert [group.ids for group in duplicates.groups()] == [("0", "2", "3")]
        assert find_duplicates(index, 1).groups() == []
        with pytest.raises(ParameterError, match="not well formed"):
            find_duplicates(index, 1, ignore=["a..b"])


def test_pairs_are_in_the_order_of_their_documents_copies_too(made: Made) -> None:
    with made([{"a": "b c"}, {"a": "b d"}, {"a": "b c"}]) as index:
        assert [pair.positions for pair in find_duplicates(index, 0.1).pairs()] == [(0, 1), (0, 2)]


def test_documents_of_which_nothing_counts_are_no_duplicates(made: Made) -> None:
    with made([{"id": 1}, {"id": 2}, {"id": 3, "a": 1}]) as index:
        assert len(find_duplicates(index, 0.5, ignore=["id"])) == 0


@pytest.mark.parametrize("documents", [[], [{"a": 1}]])
def test_none_or_one_document_makes_no_pair(documents: list[Any], made: Made) -> None:
    with made(documents) as index:
        duplicates = find_duplicates(index, 0.5)
    assert (duplicates.documents, len(duplicates), duplicates.groups()) == (len(documents), 0, [])


@pytest.mark.parametrize("threshold", [0, -1, 1.01, float("nan"), True, "0.9"])
def test_a_threshold_out_of_range_is_refused(threshold: Any, made: Made) -> None:
    with made([1, 2]) as index, pytest.raises(ParameterError, match="a number above 0 and up to 1"):
        find_duplicates(index, threshold)


def test_many_copies_make_few_pairs_and_too_many_pairs_are_refused(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    with made([{"a": "same"}] * 2000) as index:
        assert len(find_duplicates(index, 0.9)) == 1999
    monkeypatch.setattr("mbat.duplicates.MOST_PAIRS", 2)
    with made([{"a": i} for i in range(4)]) as index, pytest.raises(ParameterError, match="Give a higher threshold"):
        find_duplicates(index, 0.01)


@settings(max_examples=60, deadline=None)
@given(documents, documents)
def test_differences_are_the_same_from_both_sides_and_none_of_a_document_with_itself(one: Any, other: Any) -> None:
    encoder = Encoder(dim=64)
    first, second = encoder.account(one), encoder.account(other)
    assert differences(first, first) == ()
    here = {d.path: (d.lost, d.missing) for d in differences(first, second)}
    turned = {None: None, 0: 1, 1: 0}
    assert here == {d.path: (pytest.approx(d.lost), turned[d.missing]) for d in differences(second, first)}


def test_differences_tell_values_and_what_is_missing_and_objects_by_their_members() -> None:
    encoder = Encoder()
    one = {"name": "Ann", "seller": {"city": "Oslo", "zip": None}, "tags": ["a"], "same": [1, {"b": 2}]}
    other = {"name": "Bob", "seller": {"city": "Rome"}, "tags": ["a", "b"], "same": [1, {"b": 2}]}
    found = {d.path: d.plain() for d in differences(encoder.account(one), encoder.account(other))}
    assert found.keys() == {"name", "seller.city", "seller.zip", "tags[]"}
    assert {name: found["name"][name] for name in ("first", "second")} == {"first": "Ann", "second": "Bob"}
    assert "second" not in found["seller.zip"]
    assert found["seller.zip"]["first"] is None
    assert found["tags[]"]["second"] == ["a", "b"]
    assert found["name"]["lost"] > 0.1


def test_points_that_differ_in_longitude_alone_differ() -> None:
    places = [{"name": f"place {i}", "at": {"lat": float(i), "lon": 2.0 * i}} for i in range(50)]
    encoder = Encoder().fit(places)
    one, other = ({"name": "x", "at": {"lat": 5.0, "lon": longitude}} for longitude in (10.0, 90.0))
    found = differences(encoder.account(one), encoder.account(other))
    assert [(d.path, d.values) for d in found] == [("at.lat", (one["at"], other["at"]))]
    assert found[0].lost > 0.1
