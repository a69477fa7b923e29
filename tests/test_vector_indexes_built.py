"""How indexes of lists, codes and graphs are built, and what effort does."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mbat_indexes import KINDS, exact_index, index_writer, load_index, recall, segment_files
from mbat_indexes.faiss_loading import load_built
from tests.vector_oracle import DIM, Array, Ids, as_stored, assert_equal, made, spread_ids, units

faiss = pytest.importorskip("faiss")

BUILT = [name for name, kind in KINDS.items() if kind.copy or kind.effort]
EFFORT = [name for name, kind in KINDS.items() if kind.effort]
COUNT = 4000

built = pytest.mark.parametrize("kind", BUILT)
with_effort = pytest.mark.parametrize("kind", EFFORT)


def scattered(count: int, seed: int = 0, dim: int = 64) -> Array:
    """Return vectors without any structure: the hardest to find."""
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)


@built
@pytest.mark.parametrize("vectors", [units(COUNT, dim=64), scattered(COUNT)], ids=["close together", "scattered"])
def test_nearly_all_of_the_nearest_are_found_by_default(kind: str, vectors: Array, tmp_path: Path) -> None:
    index = made(kind, tmp_path / "file", spread_ids(COUNT), vectors)
    exact = exact_index(spread_ids(COUNT), vectors)
    others = vectors[::16] + 0.1 * scattered(COUNT // 16, seed=1) * np.abs(vectors).mean()
    assert recall(index, exact, others, 10) >= 0.95


@with_effort
def test_less_effort_finds_less_and_all_effort_everything(kind: str, tmp_path: Path) -> None:
    vectors = scattered(COUNT)
    index = made(kind, tmp_path / "file", spread_ids(COUNT), vectors)
    exact = exact_index(spread_ids(COUNT), as_stored(kind, vectors))
    found = [recall(index, exact, vectors[:200], 10, effort=effort) for effort in (0.002, 0.05, 1.0)]
    assert found[0] + 0.02 < found[1] <= found[2] == 1


@with_effort
def test_a_filter_costs_no_recall_since_effort_is_a_share_of_what_it_lets_through(kind: str, tmp_path: Path) -> None:
    vectors, ids = scattered(COUNT), spread_ids(COUNT)
    index = made(kind, tmp_path / "file", ids, vectors)
    exact = exact_index(ids, as_stored(kind, vectors))

    def found(allowed: Ids, effort: float) -> float:
        true = exact.search(vectors[:200], 10, allowed=allowed)[1]
        ours = index.search(vectors[:200], 10, allowed=allowed, effort=effort)[1]
        return float(np.mean([np.isin(row, right).mean() for row, right in zip(ours, true, strict=True)]))

    assert found(ids, 0.02) < 1
    assert found(ids[::10], 0.02) > min(0.99, found(ids, 0.02) + 0.1)
    assert found(ids[::10], 0.1) == 1


@pytest.mark.parametrize("kind", [name for name in EFFORT if KINDS[name].effort == "nprobe"])
def test_lists_are_searched_for_what_may_be_found_alone(kind: str, tmp_path: Path) -> None:
    made(kind, tmp_path / "file", spread_ids(2000), units(2000))
    finder = load_built(tmp_path / "file", KINDS[kind]).finder
    live = np.arange(2000) % 7 == 3
    found = finder.nearest(units(20, seed=2), 50, 1.0, live)[1]
    assert (found >= 0).all()
    assert live[found].all()


@built
def test_the_same_vectors_make_the_same_files(kind: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        made(kind, tmp_path / name, spread_ids(COUNT), units(COUNT))
    for files in zip(segment_files(kind, tmp_path / "one"), segment_files(kind, tmp_path / "two"), strict=True):
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("kind", ["ivf", "ivf-fp16"])
def test_lists_that_are_streamed_are_byte_for_byte_what_faiss_writes(kind: str, tmp_path: Path) -> None:
    made(kind, tmp_path / "file", spread_ids(2000), units(2000))
    read = faiss.read_index(str(tmp_path / "file"))
    inner = faiss.downcast_index(read.index)
    inner.reset()
    whole = faiss.IndexIDMap(inner)
    whole.add_with_ids(as_stored(kind, units(2000)), spread_ids(2000))
    assert faiss.serialize_index(whole).tobytes() == (tmp_path / "file").read_bytes()


@built
@pytest.mark.parametrize("where", ["while vectors come", "at the end"])
def test_a_writing_that_fails_leaves_nothing_that_waited(kind: str, where: str, tmp_path: Path) -> None:
    def failing() -> None:
        with index_writer(kind, tmp_path / "file", DIM, 99) as writer:
            writer.add(np.arange(4), units(4))
            if where == "while vectors come":
                raise ValueError("stop")

    with pytest.raises(ValueError, match="stop" if where == "while vectors come" else "announced"):
        failing()
    assert set(tmp_path.iterdir()) <= set(segment_files(kind, tmp_path / "file"))


@built
def test_building_says_nothing_and_leaves_the_threads_of_faiss_alone(kind: str, tmp_path: Path) -> None:
    program = (
        "import sys, faiss; from pathlib import Path; from tests.vector_oracle import *\n"
        "faiss.omp_set_num_threads(2)\n"
        "for count in (0, 1, 5, 40, 300): made(sys.argv[1], Path(sys.argv[2]), spread_ids(count), units(count))\n"
        "assert faiss.omp_get_max_threads() == 2\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, kind, tmp_path / "file"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("kind", KINDS)
def test_several_threads_may_search_at_once(kind: str, tmp_path: Path) -> None:
    index = made(kind, tmp_path / "file", spread_ids(1500), units(1500))
    queries = units(32, seed=2)
    alone = [index.search(query[None], 5, allowed=spread_ids(1500)[::2]) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        together = pool.map(lambda query: index.search(query[None], 5, allowed=spread_ids(1500)[::2]), queries)
    for ours, theirs in zip(together, alone, strict=True):
        assert_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_a_file_may_be_unlinked_while_it_is_searched(kind: str, tmp_path: Path) -> None:
    index = made(kind, tmp_path / "file", spread_ids(1500), units(1500))
    before = index.search(units(20, seed=2), 5)
    (tmp_path / "file").unlink()
    assert_equal(index.search(units(20, seed=2), 5), before)


def test_one_in_a_hundred_thousand_may_alone_be_allowed(tmp_path: Path) -> None:
    vectors, ids = scattered(100_000, dim=16), np.arange(100_000)
    with index_writer("ivf", tmp_path / "file", 16) as writer:
        writer.add(ids, vectors)
    index = load_index("ivf", tmp_path / "file")
    assert index.search(vectors[:5], 3, allowed=ids[70_000:70_001])[1].tolist() == [[70_000, -1, -1]] * 5
    assert sorted(index.search(vectors[:1], 3, excluded=ids[3:])[1][0].tolist()) == [0, 1, 2]
    assert_equal(
        index.search(vectors[:5], 3, allowed=ids[::1000], effort=1.0),
        exact_index(ids, vectors).search(vectors[:5], 3, allowed=ids[::1000]),
    )
