"""One contract for every kind of vector index, against a brute-force oracle."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mbat_indexes import KINDS, IndexFileError, MissingFaissError, exact_index, index_writer, load_index
from tests.vector_oracle import DIM, Array, as_stored, assert_equal, brute_force, made, spread_ids, units

kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
@pytest.mark.parametrize("k", [1, 10, 300])
@pytest.mark.parametrize("count", [1, 300, 1500])
def test_with_all_effort_a_search_finds_what_the_oracle_finds(kind: str, count: int, k: int, tmp_path: Path) -> None:
    ids, vectors, queries = spread_ids(count), units(count), units(40, seed=1)
    index = made(kind, tmp_path / "file", ids, vectors)
    scores, found = index.search(queries, k, effort=1.0)
    assert (scores.shape, scores.dtype) == ((40, k), np.float32)
    assert (found.shape, found.dtype) == ((40, k), np.int64)
    assert_equal((scores, found), brute_force(ids, as_stored(kind, vectors), queries, k))


@kinds
def test_a_score_is_the_same_whatever_else_is_searched(kind: str, tmp_path: Path) -> None:
    ids, vectors, queries = spread_ids(1500), units(1500), units(60, seed=1)
    index = made(kind, tmp_path / "file", ids, vectors)
    together = index.search(queries, 10)
    for row, query in enumerate(queries):
        assert_equal(index.search(query[None], 10), (together[0][row : row + 1], together[1][row : row + 1]))


@kinds
def test_more_than_there_is_is_filled_up(kind: str, tmp_path: Path) -> None:
    index = made(kind, tmp_path / "file", spread_ids(3), units(3))
    scores, found = index.search(units(2, seed=1), 5)
    assert (found[:, 3:] == -1).all()
    assert (scores[:, 3:] == -np.inf).all()
    assert sorted(found[0, :3].tolist()) == [7, 10, 13]


@kinds
def test_an_empty_index_finds_nothing_and_no_query_is_no_answer(kind: str, tmp_path: Path) -> None:
    index = made(kind, tmp_path / "empty", spread_ids(0), units(0))
    assert (len(index), index.dim, index.kind, index.ids().tolist()) == (0, DIM, kind, [])
    assert (index.search(units(2), 3)[1] == -1).all()
    assert made(kind, tmp_path / "full", spread_ids(9), units(9)).search(units(0), 3)[1].shape == (0, 3)


@kinds
def test_an_index_tells_its_size_dimension_and_ids(kind: str, tmp_path: Path) -> None:
    index = made(kind, tmp_path / "file", spread_ids(100), units(100))
    assert (len(index), index.dim, index.kind) == (100, DIM, kind)
    assert index.ids().tolist() == spread_ids(100).tolist()


@kinds
def test_equal_scores_come_by_rising_id_also_where_k_cuts_them(kind: str, tmp_path: Path) -> None:
    vectors = units(2000, seed=3)
    vectors[500:560] = vectors[0]
    index = made(kind, tmp_path / "file", np.arange(2000), vectors)
    same = [0, *range(500, 560)]
    for k in (1, 7, 60, 61):
        assert index.search(vectors[:1], k)[1][0].tolist() == same[:k]
        assert index.search(np.repeat(vectors[:1], 50, axis=0), k)[1][49].tolist() == same[:k]


@kinds
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_index_of_equal_vectors_returns_the_first_ones(kind: str, value: float, tmp_path: Path) -> None:
    vectors = np.full((1200, DIM), value, dtype=np.float32)
    index = made(kind, tmp_path / "file", spread_ids(1200), vectors)
    assert index.search(units(3), 20)[1].tolist() == [spread_ids(20).tolist()] * 3


@kinds
@pytest.mark.parametrize(
    ("ids", "vectors", "sentence"),
    [
        ([6, 6], units(2), "Ids have to rise when an index is written as a stream."),
        ([-1, 2], units(2), "Ids start at 0; -1 is less."),
        ([5], units(1), "Ids have to rise when an index is written as a stream."),
        ([8, 7], units(2), "Ids have to rise when an index is written as a stream."),
        ([6, 7], units(1), "1 vectors need as many integer ids, and not int64 of shape (2,)."),
        ([6.5], units(1), "1 vectors need as many integer ids, and not float64 of shape (1,)."),
        ([6], units(1)[:, :5], "The index holds vectors of shape (n, 24), and not of shape (1, 5)."),
        ([6], units(1)[0], "The index holds vectors of shape (n, 24), and not of shape (24,)."),
        (
            [6, 7],
            np.stack([units(1)[0], np.full(DIM, np.nan)]),
            "Row 1 of the vectors has an entry that is not finite.",
        ),
    ],
)
def test_what_cannot_be_added_is_refused_whole_and_the_writing_goes_on(
    kind: str, ids: list[int], vectors: Array, sentence: str, tmp_path: Path
) -> None:
    right = units(4, seed=5)
    with index_writer(kind, tmp_path / "file", DIM) as writer:
        writer.add(np.array([3, 5]), right[:2])
        with pytest.raises(ValueError) as caught:
            writer.add(np.array(ids), vectors)
        assert str(caught.value) == sentence
        writer.add(np.array([6, 9]), right[2:])
    assert load_index(kind, tmp_path / "file").search(right, 1)[1].ravel().tolist() == [3, 5, 6, 9]


@kinds
def test_numbers_too_large_for_float16_are_refused_where_they_would_be_rounded_to_it(kind: str, tmp_path: Path) -> None:
    vectors = units(1) * np.float32(1e6)
    with index_writer(kind, tmp_path / "file", DIM) as writer:
        if KINDS[kind].half:
            with pytest.raises(ValueError, match="too large for float16"):
                writer.add(np.array([1]), vectors)
        else:
            writer.add(np.array([1]), vectors)
    assert len(load_index(kind, tmp_path / "file")) == (0 if KINDS[kind].half else 1)


@kinds
@pytest.mark.parametrize("k", [0, -1, 1.0, True, "3"])
def test_k_is_a_whole_number_of_at_least_one(kind: str, k: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="k is how many to find, a whole number of at least 1"):
        made(kind, tmp_path / "file", spread_ids(5), units(5)).search(units(1), k)


@kinds
@pytest.mark.parametrize("effort", [0, -0.1, 1.01, float("nan"), True, "all"])
def test_effort_is_a_share(kind: str, effort: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="effort is the share of the index to look at, above 0 and up to 1"):
        made(kind, tmp_path / "file", spread_ids(5), units(5)).search(units(1), 1, effort=effort)


@kinds
def test_a_query_of_another_length_or_not_finite_is_refused(kind: str, tmp_path: Path) -> None:
    index = made(kind, tmp_path / "file", spread_ids(5), units(5))
    with pytest.raises(ValueError, match=r"vectors of shape \(n, 24\), and not of shape \(1, 5\)"):
        index.search(units(1)[:, :5], 1)
    with pytest.raises(ValueError, match="Row 1 of the vectors has an entry that is not finite"):
        index.search(np.array([[1] * DIM, [np.inf] * DIM], dtype=np.float32), 1)


@kinds
def test_a_file_does_not_depend_on_the_batches_that_it_came_in(kind: str, tmp_path: Path) -> None:
    ids, vectors = spread_ids(700), units(700)
    one = made(kind, tmp_path / "one", ids, vectors, batch=700)
    other = made(kind, tmp_path / "other", ids, vectors, batch=13)
    for pair in zip(sorted(tmp_path.glob("one*")), sorted(tmp_path.glob("other*")), strict=True):
        if kind != "exact":  # a zip file holds the time it was made
            assert pair[0].read_bytes() == pair[1].read_bytes()
    assert_equal(one.search(units(20, 1), 5), other.search(units(20, 1), 5))


@pytest.mark.parametrize(("kind", "factory"), [("flat", "IDMap,Flat"), ("flat-fp16", "IDMap,SQfp16")])
@pytest.mark.parametrize("count", [0, 1, 200])
def test_a_streamed_flat_file_is_byte_for_byte_what_faiss_writes(
    kind: str, factory: str, count: int, tmp_path: Path
) -> None:
    faiss = pytest.importorskip("faiss")
    index = faiss.index_factory(DIM, factory, faiss.METRIC_INNER_PRODUCT)
    index.add_with_ids(units(count), spread_ids(count))
    made(kind, tmp_path / "file", spread_ids(count), units(count))
    assert (tmp_path / "file").read_bytes() == faiss.serialize_index(index).tobytes()


@pytest.mark.parametrize(("kind", "factory"), [("flat", "IDMap2,Flat"), ("flat-fp16", "IDMap2,SQfp16")])
def test_files_of_the_first_version_are_read(kind: str, factory: str, tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    index = faiss.index_factory(DIM, factory, faiss.METRIC_INNER_PRODUCT)
    index.add_with_ids(units(50), spread_ids(50))
    faiss.write_index(index, str(tmp_path / "file"))
    assert load_index(kind, tmp_path / "file").search(units(50), 1)[1].ravel().tolist() == spread_ids(50).tolist()


@kinds
def test_another_count_than_announced_is_an_error(kind: str, tmp_path: Path) -> None:
    def short() -> None:
        with index_writer(kind, tmp_path / "file", DIM, 5) as writer:
            writer.add(np.arange(4), units(4))

    with pytest.raises(ValueError, match="5 vectors were announced and 4 came"):
        short()


def test_there_is_no_other_kind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="There is no kind of index 'tree'; there are exact, flat, flat-fp16"):
        load_index("tree", tmp_path / "file")
    with pytest.raises(ValueError, match="There is no kind of index 'tree'"):
        index_writer("tree", tmp_path / "file", DIM).__enter__()


def test_without_faiss_the_error_has_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingFaissError, match=r"Run: pip install 'mbat\[cpu\]'"):
        index_writer("flat", tmp_path / "file", 4).__enter__()
    with pytest.raises(MissingFaissError):
        load_index("flat", tmp_path / "file")
    assert len(made("exact", tmp_path / "file", spread_ids(3), units(3))) == 3


def test_an_index_in_memory_is_refused_ids_that_do_not_rise() -> None:
    with pytest.raises(ValueError, match="have to rise"):
        exact_index(np.array([2, 1]), units(2))


@kinds
def test_a_stream_that_breaks_off_leaves_no_file_that_loads(kind: str, tmp_path: Path) -> None:
    def broken_off() -> None:
        with index_writer(kind, tmp_path / "file", DIM) as writer:
            writer.add(np.arange(4), units(4))
            raise KeyError

    with pytest.raises(KeyError):
        broken_off()
    with pytest.raises(IndexFileError):
        load_index(kind, tmp_path / "file")
