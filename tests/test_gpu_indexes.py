"""Searching on GPUs.

Without one, what finds candidates there is held to the answers of the processor, with FAISS indexes in its place that
round, and refuse what a GPU refuses. With one, each kind is held to the oracle on it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbat_indexes import KINDS, DeviceError, cuda, index_writer, load_index
from mbat_indexes.candidates import CandidateIndex
from mbat_indexes.devices import Device
from mbat_indexes.faiss_building import BuiltSink
from mbat_indexes.faiss_gpu import GpuFinder, _probe, check_on_gpu, on_gpu
from mbat_indexes.faiss_placing import (
    MOST,
    Placed,
    Plan,
    _cloned,
    _room,
    _together,
    half_rounding,
    needed_bytes,
    placer,
    planned,
)
from mbat_indexes.stored import rounding
from tests.test_devices import HAS_GPU, with_gpu_wheel, without_gpu
from tests.vector_oracle import DIM, Array, Ids, as_stored, assert_equal, brute_force, made, spread_ids, units

GPU_KINDS = [name for name, kind in KINDS.items() if kind.gpu]
OTHER_KINDS = [name for name, kind in KINDS.items() if not kind.gpu]
COUNT = 3000

on_a_gpu = pytest.mark.skipif(not HAS_GPU, reason="no GPU is there")
REQUIRED = Device((0,), required=True)


class Selecting:
    """A FAISS index that finds no more candidates, and looks at no more lists, than a GPU can select."""

    def __init__(self, index: Any) -> None:
        self.index = index
        self.asked: list[int] = []

    def search(self, queries: Array, count: int) -> tuple[Array, Ids]:
        if max(count, getattr(self.index, "nprobe", 0)) > MOST:
            raise RuntimeError("Error in faiss::gpu\nGPU index only supports min/max-K selection up to 2048")
        self.asked.append(count)
        found: tuple[Array, Ids] = self.index.search(queries, count)
        return found


def placed(vectors: Array, factory: str) -> tuple[Placed, Selecting]:
    """Return vectors as they might lie on a GPU."""
    index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    index.add(vectors)
    half = half_rounding(vectors.shape[1]) if "fp16" in factory else 0.0
    selecting = Selecting(index)
    return Placed(selecting, rounding(vectors.shape[1]) + half, 2 if half else 1), selecting


def flat_pair(path: Path, vectors: Array, factory: str = "SQfp16") -> tuple[CandidateIndex, CandidateIndex, Selecting]:
    """Return an index searched by the processor, the same as if on a GPU, and what is asked there."""
    index: Any = made("flat", path, spread_ids(len(vectors)), vectors)
    there, selecting = placed(vectors, factory)
    return (
        index,
        CandidateIndex("flat", index.ids(), index.dim, GpuFinder(index.finder, lambda: there, 0, True)),
        selecting,
    )


@pytest.mark.parametrize("factory", ["Flat", "SQfp16"])
@pytest.mark.parametrize("k", [1, 10, 300, 1500])
def test_what_is_found_through_rounded_scores_is_what_the_processor_finds(k: int, factory: str, tmp_path: Path) -> None:
    here, there, selecting = flat_pair(tmp_path / "file", units(COUNT), factory)
    queries = units(30, seed=1)
    assert_equal(there.search(queries, k), here.search(queries, k))
    assert selecting.asked or k == 1500  # of half of them there is nothing to choose


def test_vectors_that_float16_cannot_tell_apart_are_ranked_by_their_scores(tmp_path: Path) -> None:
    vectors, random = units(COUNT), np.random.default_rng(5)
    vectors[100:160] = vectors[100] + 1e-6 * random.standard_normal((60, DIM)).astype(np.float32)
    vectors[500:520] = vectors[500]
    here, there, selecting = flat_pair(tmp_path / "file", vectors)
    queries = np.concatenate([vectors[100:101], vectors[500:501], units(5, seed=2)])
    for k in (1, 10, 60):
        assert_equal(there.search(queries, k), here.search(queries, k))
    assert max(selecting.asked) > 2 * 64  # candidates went on to where scores are clearly less


@pytest.mark.parametrize("share", [0.01, 0.4, 0.9])
def test_what_may_not_be_found_is_not_and_costs_no_results(share: float, tmp_path: Path) -> None:
    here, there, _ = flat_pair(tmp_path / "file", units(COUNT))
    ids, queries = here.ids(), units(20, seed=3)
    some = np.sort(np.random.default_rng(4).choice(ids, int(share * COUNT), replace=False))
    for names in ({"allowed": some}, {"excluded": some}):
        assert_equal(there.search(queries, 10, **names), here.search(queries, 10, **names))


def test_more_candidates_than_a_gpu_can_select_are_found_by_the_processor(tmp_path: Path) -> None:
    vectors = units(4 * MOST + 400)
    here, there, selecting = flat_pair(tmp_path / "file", vectors, "Flat")
    queries = units(3, seed=1)
    for k in (MOST - 4, MOST, MOST + 50):
        assert_equal(there.search(queries, k), here.search(queries, k))
    assert selecting.asked == [MOST]


def test_vectors_are_brought_once_and_by_the_first_search(tmp_path: Path) -> None:
    index: Any = made("flat", tmp_path / "file", spread_ids(COUNT), units(COUNT))
    times = []

    def bring() -> Placed:
        times.append(1)
        return placed(units(COUNT), "Flat")[0]

    there = CandidateIndex("flat", index.ids(), DIM, GpuFinder(index.finder, bring, 0, True))
    assert (len(there), times) == (COUNT, [])
    threads = [Thread(target=there.search, args=(units(3), 5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert times == [1]


@pytest.mark.parametrize("kind", GPU_KINDS)
def test_where_there_is_no_room_all_is_as_without_a_gpu(kind: str, tmp_path: Path) -> None:
    here: Any = made(kind, tmp_path / "file", spread_ids(COUNT), units(COUNT))
    finder = GpuFinder(here.finder, lambda: None, 1, False)
    assert (finder.selects, finder.candidates, finder.rounding) == (
        *(here.finder.selects, here.finder.candidates, here.finder.rounding),
    )
    there, queries = CandidateIndex(kind, here.ids(), DIM, finder), units(20, seed=1)
    assert_equal(
        there.search(queries, 10, excluded=here.ids()[::3]), here.search(queries, 10, excluded=here.ids()[::3])
    )


def test_lists_are_looked_at_by_effort_and_too_many_of_them_by_the_processor(tmp_path: Path) -> None:
    here: Any = made("ivf", tmp_path / "file", spread_ids(COUNT), units(COUNT))
    vectors = here.finder.rows(slice(0, COUNT))
    on_device = faiss.index_factory(DIM, f"IVF{here.finder.index.nlist},Flat", faiss.METRIC_INNER_PRODUCT)
    on_device.quantizer.add(here.finder.index.quantizer.reconstruct_n(0, here.finder.index.nlist))
    on_device.is_trained = True
    on_device.add(vectors)
    lists = here.finder.index.nlist
    finder = GpuFinder(here.finder, lambda: Placed(on_device, rounding(DIM), 1), lists, True)
    there, queries = CandidateIndex("ivf", here.ids(), DIM, finder), units(20, seed=1)
    assert_equal(there.search(queries, 10, effort=0.2), here.search(queries, 10, effort=0.2))
    assert on_device.nprobe == int(np.ceil(0.2 * lists))
    none = Placed(None, rounding(DIM), 1)  # which cannot be searched
    many = GpuFinder(here.finder, lambda: none, 2 * lists * MOST, True)
    answer = CandidateIndex("ivf", here.ids(), DIM, many).search(queries, 10, effort=0.2)
    assert_equal(answer, here.search(queries, 10, effort=0.2))


class Full:
    """An index on a GPU that has no room to work in."""

    asked = 0

    def search(self, queries: Array, count: int) -> None:
        self.asked += 1
        raise RuntimeError(
            "Error in f() at g.cpp:1: Error: 'err == cudaSuccess' failed: alloc fail (out of memory [2])\n"
        )


def test_what_goes_wrong_on_a_gpu_that_is_required_is_an_error_of_the_device_and_no_damage(tmp_path: Path) -> None:
    index: Any = made("flat", tmp_path / "file", spread_ids(COUNT), units(COUNT))
    finder = GpuFinder(index.finder, lambda: Placed(Full(), rounding(DIM), 1), 0, True)
    with pytest.raises(DeviceError, match=r"^FAISS cannot search on the GPU: alloc fail \(out of memory \[2\]\)$"):
        CandidateIndex("flat", index.ids(), DIM, finder).search(units(2), 3)


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_where_a_gpu_that_is_not_required_fails_the_processor_goes_on_alone(kind: str, tmp_path: Path) -> None:
    index: Any = made(kind, tmp_path / "file", spread_ids(COUNT), units(COUNT))
    full = Full()
    finder = GpuFinder(index.finder, lambda: Placed(full, half_rounding(DIM), 2), 0, False)
    there, queries = CandidateIndex(kind, index.ids(), DIM, finder), units(5, seed=1)
    for _ in range(2):
        assert_equal(there.search(queries, 10, effort=0.9), index.search(queries, 10, effort=0.9))
        assert_equal(
            there.search(queries, 10, excluded=index.ids()[::3]), index.search(queries, 10, excluded=index.ids()[::3])
        )
    assert (full.asked, finder.placed) == (1, None)


@pytest.mark.parametrize("make", [faiss.IndexShards, faiss.IndexReplicas], ids=["shards", "replicas"])
def test_on_several_gpus_each_part_looks_at_as_many_lists(make: Callable[..., Any]) -> None:
    whole = make(DIM)
    parts = [faiss.index_factory(DIM, "IVF8,Flat", faiss.METRIC_INNER_PRODUCT) for _ in range(3)]
    for part in parts:
        whole.addIndex(part)
    _probe(whole, 5)
    assert [part.nprobe for part in parts] == [5, 5, 5]


def test_copies_on_several_gpus_part_the_queries_and_are_kept() -> None:
    vectors, queries = units(50), units(7, seed=1)
    copies = [faiss.IndexFlatIP(DIM) for _ in range(3)]
    for copy in copies:
        copy.add(vectors)
    expected = copies[0].search(queries, 5)
    together = _together(copies)
    del copies, copy
    assert together.count() == 3
    assert_equal(together.search(queries, 5), expected)
    alone = faiss.IndexFlatIP(DIM)
    assert _together([alone]) is alone


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([16, 1024, 65536]), st.floats(0.0, 8.0))
def test_products_of_vectors_rounded_to_float16_lie_within_the_bound(seed: int, dim: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    a, b = random.standard_normal((2, dim)) * np.exp(spread * random.standard_normal((2, dim)))
    a, b = (one / np.linalg.norm(one) for one in (a, b))
    halves = [one.astype(np.float16).astype(np.float64) for one in (a, b)]
    assert abs(halves[0] @ halves[1] - a @ b) <= half_rounding(dim)


GIGABYTE = 10**9
MILLION = 1_000_000


@pytest.mark.parametrize(
    ("kind", "count", "gpus", "free", "plan"),
    [
        ("flat", MILLION, 1, 5 * GIGABYTE, Plan(half=False, shards=False)),
        ("flat", MILLION, 1, 4 * GIGABYTE, Plan(half=True, shards=False)),
        ("flat", MILLION, 1, 2 * GIGABYTE, None),
        ("flat", MILLION, 2, 5 * GIGABYTE, Plan(half=False, shards=False)),
        ("flat", MILLION, 2, 3 * GIGABYTE, Plan(half=True, shards=False)),
        ("flat", MILLION, 4, 2 * GIGABYTE, Plan(half=False, shards=True)),
        ("flat", MILLION, 2, 2 * GIGABYTE, Plan(half=True, shards=True)),
        ("flat", MILLION, 2, 1 * GIGABYTE, None),
        ("flat-fp16", MILLION, 1, 5 * GIGABYTE, Plan(half=False, shards=False)),
        ("flat-fp16", MILLION, 8, 3 * GIGABYTE, None),
        ("ivf", MILLION, 1, 5 * GIGABYTE, Plan(half=False, shards=False)),
        ("ivf", MILLION, 1, 4 * GIGABYTE, None),
        ("ivf", MILLION, 2, 4 * GIGABYTE, Plan(half=False, shards=True)),
        ("ivf-fp16", MILLION, 1, 3 * GIGABYTE, Plan(half=False, shards=False)),
    ],
)
def test_the_plan_keeps_float32_and_whole_copies_where_they_fit(
    kind: str, count: int, gpus: int, free: int, plan: Plan | None
) -> None:
    assert planned(KINDS[kind], 1024, count, gpus, free) == plan


def test_what_vectors_need_is_their_numbers_and_in_lists_their_places_and_centres() -> None:
    assert needed_bytes(KINDS["flat"], 1024, MILLION, False) == (4096 + 8) * MILLION
    assert needed_bytes(KINDS["flat"], 1024, MILLION, True) == (2048 + 8) * MILLION
    assert needed_bytes(KINDS["flat-fp16"], 1024, MILLION, False) == 2 * (2048 + 8) * MILLION
    assert needed_bytes(KINDS["ivf"], 1024, MILLION, False) == (4096 + 8) * MILLION + 4000 * (4096 + 16 * 4096)
    assert needed_bytes(KINDS["ivf-fp16"], 1024, MILLION, False) == (2048 + 8) * MILLION + 4000 * (4096 + 16 * 2048)
    assert needed_bytes(KINDS["ivf-pq"], 512, MILLION, False) == (64 + 8) * MILLION + (4000 + 256) * 2048
    assert needed_bytes(KINDS["ivf"], 1024, MILLION, False, 3) == (4096 + 8) * MILLION + 3 * 4000 * (4096 + 16 * 4096)


def test_what_all_vectors_take_together_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "gpu", lambda number: cuda.Gpu(number, "a card", 80 * GIGABYTE, 80 * GIGABYTE))
    assert _room(Device((0, 1))) == 80 * GIGABYTE - 1536 * 2**20
    bounded = Device((0, 1), memory_bytes=20 * GIGABYTE)
    one, other = Placed(None, 0.0, 1, {0: 3 * GIGABYTE, 1: GIGABYTE}), Placed(None, 0.0, 1, {1: 4 * GIGABYTE})
    assert _room(bounded) == 15 * GIGABYTE
    del other
    assert _room(bounded) == 17 * GIGABYTE
    assert _room(Device((1,), memory_bytes=GIGABYTE)) == 0
    del one
    assert _room(bounded) == 20 * GIGABYTE


def test_few_vectors_stay_where_they_are_unless_a_gpu_is_required(tmp_path: Path) -> None:
    index: Any = made("flat", tmp_path / "file", spread_ids(20), units(20))
    assert on_gpu(index, KINDS["flat"], Device((0,))) is index
    assert isinstance(on_gpu(index, KINDS["flat"], REQUIRED).finder, GpuFinder)


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_kind_that_faiss_does_not_search_on_a_gpu_is_refused_where_a_gpu_is_required(
    kind: str, tmp_path: Path
) -> None:
    index = made(kind, tmp_path / "file", spread_ids(20), units(20))
    assert type(load_index(kind, tmp_path / "file", Device((0,)))) is type(index)
    sentence = (
        f"^FAISS does not search the kind {kind} on a GPU. Use the CPU, or make the index one of flat, flat-fp16, ivf, "
        "ivf-fp16, ivf-pq.$"
    )
    with pytest.raises(DeviceError, match=sentence):
        load_index(kind, tmp_path / "file", REQUIRED)
    with pytest.raises(DeviceError, match=sentence), index_writer(kind, tmp_path / "other", DIM, device=REQUIRED):
        pass
    assert sorted(tmp_path.iterdir()) == sorted({tmp_path / "file", *tmp_path.glob("file.*")})


def test_product_quantization_is_searched_on_a_gpu_with_certain_numbers_of_parts_alone() -> None:
    assert [check_on_gpu(KINDS["ivf-pq"], dim, Device((0,))) for dim in (64, 256, 512, 768, 1024, 104)] == [
        *(True, True, True, True, False, False)
    ]
    with pytest.raises(DeviceError, match="the kind ivf-pq with 128 parts of a vector on a GPU"):
        check_on_gpu(KINDS["ivf-pq"], 1024, REQUIRED)


@pytest.mark.parametrize("kind", ["ivf", "ivf-fp16", "ivf-pq", "ivf-rabitq"])
def test_lists_found_by_a_copy_of_the_centres_elsewhere_make_the_same_files(kind: str, tmp_path: Path) -> None:
    copies = []

    def elsewhere(index: Any, work: Callable[[Any], Any]) -> Any:
        copies.append(faiss.clone_index(index))
        return work(copies[-1])

    ids, vectors = spread_ids(COUNT), units(COUNT)
    made(kind, tmp_path / "here", ids, vectors)
    sink = BuiltSink(tmp_path / "there", DIM, KINDS[kind], elsewhere)
    sink.write(vectors)
    sink.finish(ids)
    sink.close()
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    assert [(copy.ntotal > 1, copy.thisown) for copy in copies] == [(True, True)] * 2  # they are freed, too


@without_gpu
@with_gpu_wheel
def test_without_a_device_faiss_says_so_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = faiss.IndexFlatIP(DIM)
    with pytest.raises(DeviceError, match=r"^The memory of the GPU cannot be told: CUDA: "):
        placer(REQUIRED)(flat, lambda index: index)
    assert placer(Device((0,)))(flat, lambda index: index) is flat
    index = load_index("flat", made_path(tmp_path), REQUIRED)
    with pytest.raises(DeviceError, match=r"^The memory of the GPU cannot be told: CUDA: "):
        index.search(units(2), 3)
    monkeypatch.setattr("mbat_indexes.faiss_gpu._WORTHWHILE_BYTES", 0)
    optional = load_index("flat", tmp_path / "file", Device((0,)))
    assert_equal(optional.search(units(2), 3), load_index("flat", tmp_path / "file").search(units(2), 3))


@without_gpu
@with_gpu_wheel
@pytest.mark.parametrize("kind", GPU_KINDS)
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("shards", [False, True])
@pytest.mark.parametrize("gpus", [(0,), (0, 1)])
def test_without_a_device_faiss_comes_as_far_as_to_miss_it(
    gpus: tuple[int, ...], shards: bool, half: bool, kind: str, tmp_path: Path
) -> None:
    index: Any = made(kind, tmp_path / "file", spread_ids(300), units(300))
    if kind == "flat" or not (half or (shards and kind == "flat-fp16")):  # else there is no such plan
        with pytest.raises(DeviceError, match=r"^FAISS cannot bring the vectors to the GPU: Invalid GPU device 0$"):
            _cloned(index.finder.index, Plan(half, shards), Device(gpus, True))


def made_path(folder: Path) -> Path:
    made("flat", folder / "file", spread_ids(COUNT), units(COUNT))
    return folder / "file"


@on_a_gpu
@pytest.mark.parametrize("k", [1, 10, 300, 2500])
@pytest.mark.parametrize("kind", GPU_KINDS)
def test_on_a_gpu_a_search_with_all_effort_finds_what_the_oracle_finds(kind: str, k: int, tmp_path: Path) -> None:
    ids, vectors, queries = spread_ids(COUNT), units(COUNT), units(40, seed=1)
    with index_writer(kind, tmp_path / "file", DIM, COUNT, REQUIRED) as writer:
        writer.add(ids, vectors)
    expected = brute_force(ids, as_stored(kind, vectors), queries, k)
    assert_equal(load_index(kind, tmp_path / "file", REQUIRED).search(queries, k, effort=1.0), expected)
    assert_equal(load_index(kind, tmp_path / "file").search(queries, k, effort=1.0), expected)


@on_a_gpu
@pytest.mark.parametrize("kind", GPU_KINDS)
def test_on_a_gpu_filters_and_tombstones_are_those_of_the_processor(kind: str, tmp_path: Path) -> None:
    here: Any = made(kind, tmp_path / "file", spread_ids(COUNT), units(COUNT))
    there = on_gpu(here, KINDS[kind], REQUIRED)
    some = here.ids()[::3]
    for names in ({}, {"allowed": some}, {"excluded": some}, {"allowed": some[:40]}):
        found, expected = (index.search(units(20, seed=3), 10, effort=1.0, **names) for index in (there, here))
        assert_equal(found, expected)


@on_a_gpu
@pytest.mark.parametrize("kind", ["ivf", "ivf-fp16"])
def test_on_a_gpu_all_lists_together_hold_what_the_oracle_finds(kind: str, tmp_path: Path) -> None:
    here: Any = made(kind, tmp_path / "file", spread_ids(COUNT), units(COUNT))
    there, queries = on_gpu(here, KINDS[kind], REQUIRED), units(20, seed=3)
    some, nearly_all = here.ids()[::3], 0.999  # of all effort the lists are not asked
    for names, share in (({}, 1), ({"allowed": some}, 1 / 3), ({"excluded": some}, 2 / 3)):
        found = there.search(queries, 10, effort=nearly_all * share, **names)
        assert_equal(found, here.search(queries, 10, effort=1.0, **names))


@on_a_gpu
@pytest.mark.parametrize("effort", [None, 0.3])
@pytest.mark.parametrize("kind", [kind for kind in GPU_KINDS if kind.startswith("ivf")])
def test_on_a_gpu_some_lists_give_scores_of_the_oracle_and_as_many_neighbours(
    kind: str, effort: float | None, tmp_path: Path
) -> None:
    here: Any = made(kind, tmp_path / "file", spread_ids(COUNT), units(COUNT))
    there, queries = on_gpu(here, KINDS[kind], REQUIRED), units(40, seed=3)
    scores, ids = there.search(queries, 10, effort=effort)
    expected = here.search(queries, COUNT, effort=1.0)
    for row in range(len(queries)):
        places = [int(np.flatnonzero(expected[1][row] == one)[0]) for one in ids[row]]
        assert scores[row].tolist() == expected[0][row, places].tolist()
    true = expected[1][:, :10, None]
    shares = [
        (true == found[:, None, :]).sum() / true.size for found in (ids, here.search(queries, 10, effort=effort)[1])
    ]
    assert shares[0] >= shares[1] - 0.05
