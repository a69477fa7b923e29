"""One contract for every kind of vector index, against a brute-force oracle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mbat_indexes import (
    KINDS,
    IndexFileError,
    MissingFaissError,
    VectorIndex,
    index_writer,
    load_index,
    make_index,
)

Array = NDArray[np.float32]
DIM = 24
TOLERANCE = {"exact": 1e-6, "flat": 1e-5, "flat-fp16": 2e-3}

kinds = pytest.mark.parametrize("kind", KINDS)


def units(count: int, seed: int = 0) -> Array:
    vectors = np.random.default_rng(seed).standard_normal((count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def filled(kind: str, count: int = 200) -> tuple[VectorIndex, NDArray[np.int64], Array]:
    index, vectors = make_index(kind, DIM), units(count)
    ids = np.arange(count) * 3 + 7
    for start in range(0, count, 64):
        index.add(ids[start : start + 64], vectors[start : start + 64])
    return index, ids, vectors


@kinds
def test_a_search_finds_what_the_oracle_finds(kind: str) -> None:
    index, ids, vectors = filled(kind)
    queries = units(100, seed=1)
    scores, found = index.search(queries, 10)
    exact = queries @ vectors.T
    assert scores.shape == found.shape == (100, 10)
    assert scores.dtype == np.float32
    assert found.dtype == np.int64
    assert np.abs(scores - -np.sort(-exact, axis=1)[:, :10]).max() <= TOLERANCE[kind]
    assert np.abs(np.take_along_axis(exact, (found - 7) // 3, axis=1) - scores).max() <= TOLERANCE[kind]
    assert set(found.ravel().tolist()) <= set(ids.tolist())


@kinds
def test_more_than_there_is_is_filled_up(kind: str) -> None:
    index, ids, _ = filled(kind, 3)
    scores, found = index.search(units(2, seed=1), 5)
    assert (found[:, 3:] == -1).all()
    assert (scores[:, 3:] == -np.inf).all()
    assert sorted(found[0, :3].tolist()) == ids.tolist()


@kinds
def test_an_empty_index_finds_nothing_and_no_query_is_no_answer(kind: str) -> None:
    index = make_index(kind, DIM)
    assert len(index) == 0
    assert (index.search(units(2), 3)[1] == -1).all()
    assert filled(kind)[0].search(units(0), 3)[1].shape == (0, 3)


@kinds
def test_equal_scores_come_by_rising_id_also_where_k_cuts_them(kind: str) -> None:
    index, vector = make_index(kind, DIM), units(1)
    ids = np.random.default_rng(0).permutation(50)
    index.add(ids, np.repeat(vector, 50, axis=0))
    index.add(np.arange(50, 60), -np.repeat(vector, 10, axis=0))
    for k in (1, 7, 49, 50):
        assert index.search(vector, k)[1][0].tolist() == list(range(k))


@kinds
@pytest.mark.parametrize(
    ("ids", "vectors", "sentence"),
    [
        ([1, 1], units(2), "An id is given twice."),
        ([-1, 2], units(2), "Ids start at 0; -1 is less."),
        ([7], units(1), "The id 7 is in the index already."),
        ([1, 2], units(1), "1 vectors need as many integer ids, and not int64 of shape (2,)."),
        ([0.5], units(1), "1 vectors need as many integer ids, and not float64 of shape (1,)."),
        ([1], units(1)[:, :5], "The index holds vectors of shape (n, 24), and not of shape (1, 5)."),
        ([1], units(1)[0], "The index holds vectors of shape (n, 24), and not of shape (24,)."),
        (
            [1, 2],
            np.stack([units(1)[0], np.full(DIM, np.nan)]),
            "Row 1 of the vectors has an entry that is not finite.",
        ),
    ],
)
def test_what_cannot_be_added_is_refused_whole(kind: str, ids: list[int], vectors: Array, sentence: str) -> None:
    index, _, _ = filled(kind, 5)
    with pytest.raises(ValueError) as caught:
        index.add(np.array(ids), vectors)
    assert str(caught.value) == sentence
    assert len(index) == 5


@kinds
@pytest.mark.parametrize("k", [0, -1, 1.0, True, "3"])
def test_k_is_a_whole_number_of_at_least_one(kind: str, k: int) -> None:
    with pytest.raises(ValueError, match="k is how many to find, a whole number of at least 1"):
        filled(kind, 5)[0].search(units(1), k)


@kinds
def test_a_saved_index_is_the_same_and_still_refuses_known_ids(kind: str, tmp_path: Path) -> None:
    index, _, vectors = filled(kind)
    index.save(tmp_path / "file")
    loaded = load_index(kind, tmp_path / "file")
    assert (len(loaded), loaded.dim, loaded.kind) == (200, DIM, kind)
    for ours, theirs in zip(index.search(vectors[:20], 5), loaded.search(vectors[:20], 5), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="The id 10 is in the index already"):
        loaded.add(np.array([10]), vectors[:1])


@kinds
def test_a_damaged_file_is_an_error_and_never_a_crash(kind: str, tmp_path: Path) -> None:
    filled(kind, 30)[0].save(tmp_path / "file")
    program = (
        "import sys; from pathlib import Path; from mbat_indexes import *\n"
        "path = Path(sys.argv[2]); whole = path.read_bytes()\n"
        "for size in [0, 1, 3, 4, 8, 20, 40, 60, 90, len(whole) // 2, len(whole) - 1]:\n"
        "    path.with_suffix('.cut').write_bytes(whole[:size])\n"
        "    try: load_index(sys.argv[1], path.with_suffix('.cut'))\n"
        "    except IndexFileError: print('refused')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, kind, tmp_path / "file"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["refused"] * 11


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    for kind in KINDS:
        filled(kind, 3)[0].save(tmp_path / kind)
    for kind in KINDS:
        for other in set(KINDS) - {kind}:
            with pytest.raises(IndexFileError):
                load_index(kind, tmp_path / other)
    with pytest.raises(ValueError, match="There is no kind of index 'tree'; there are exact, flat, flat-fp16"):
        make_index("tree", 4)


def test_without_faiss_the_error_has_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingFaissError, match=r"Run: pip install 'mbat\[cpu\]'"):
        make_index("flat", 4)
    assert len(make_index("exact", 4)) == 0


@kinds
@pytest.mark.parametrize("count", [0, 1, 200])
def test_a_streamed_file_is_byte_for_byte_the_file_of_an_index(kind: str, count: int, tmp_path: Path) -> None:
    index, ids, vectors = filled(kind, count)
    index.save(tmp_path / "whole")
    with index_writer(kind, tmp_path / "streamed", DIM) as writer:
        for start in range(0, count, 64):
            writer.add(ids[start : start + 64], vectors[start : start + 64])
        writer.add(ids[:0], vectors[:0])
    loaded = load_index(kind, tmp_path / "streamed")
    if kind != "exact":  # a zip file holds the time it was made
        assert (tmp_path / "streamed").read_bytes() == (tmp_path / "whole").read_bytes()
    assert len(loaded) == count
    assert (loaded.search(units(5, 1), 3)[1] == index.search(units(5, 1), 3)[1]).all()


@kinds
def test_a_stream_refuses_ids_that_do_not_rise_and_goes_on(kind: str, tmp_path: Path) -> None:
    vectors = units(4)
    with index_writer(kind, tmp_path / "file", DIM) as writer:
        writer.add(np.array([3, 5]), vectors[:2])
        for wrong in ([5, 6], [4, 6], [8, 7]):
            with pytest.raises(ValueError, match="have to rise"):
                writer.add(np.array(wrong), vectors[2:])
        writer.add(np.array([6, 9]), vectors[2:])
    assert load_index(kind, tmp_path / "file").search(vectors, 1)[1].ravel().tolist() == [3, 5, 6, 9]


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
