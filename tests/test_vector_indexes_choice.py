"""Which kind is chosen, what it is said to take, and how recall is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mbat_indexes import KINDS, choose_kind, estimate, exact_index, recall, segment_files
from tests.vector_oracle import made, spread_ids, units

GB = 1 << 30


@pytest.mark.parametrize(
    ("count", "dim", "memory", "kind"),
    [
        (0, 1024, GB, "flat"),
        (100_000, 1024, GB, "flat"),
        (100_000, 1024, GB // 2, "flat-fp16"),
        (100_000, 1024, GB // 4, "sq8"),
        (100_000, 1024, GB // 100, "sq8"),
        (100_001, 1024, GB, "ivf"),
        (400_000, 256, GB, "flat"),
        (1_000_000, 1024, 16 * GB, "ivf"),
        (1_000_000, 1024, 6 * GB, "ivf-fp16"),
        (1_000_000, 1024, 2 * GB, "ivf-rabitq"),
        (100_000_000, 1024, 2 * GB, "ivf-rabitq"),
    ],
)
def test_the_choice_depends_on_count_dimension_and_memory(count: int, dim: int, memory: int, kind: str) -> None:
    choice = choose_kind(count, dim, memory)
    assert (choice.kind, choice.memory_bytes, choice.disk_bytes) == (kind, *estimate(kind, count, dim))


def test_where_a_gpu_is_required_only_kinds_that_it_searches_are_chosen() -> None:
    chosen = [
        choose_kind(count, 1024, memory, on_gpu=True).kind for count in (60_000, 10**6) for memory in (GB, GB // 9)
    ]
    assert chosen == ["flat", "flat-fp16", "ivf-fp16", "ivf-fp16"]


def test_the_reason_says_what_decided() -> None:
    assert choose_kind(9_000, 1024, GB).reason == (
        "It is quick to compare all of 9,000 vectors with a query; "
        "as flat they take 37.0 MB, less than half of the memory."
    )
    assert choose_kind(10**8, 1024, GB).reason == (
        "It is too much to compare all of 100,000,000 vectors with a query; "
        "as ivf-rabitq they take 16.2 GB, which is least, and yet more than half of the memory."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_estimates_are_those_of_the_files_and_of_what_is_made_when_they_are_loaded(
    kind: str, tmp_path: Path
) -> None:
    index = made(kind, tmp_path / "file", spread_ids(3000), units(3000, dim=256))
    tables = 0 if kind == "exact" else index.ids().nbytes
    if kind in ("ivf", "ivf-fp16"):
        tables += 8 * index.finder.index.direct_map.array.size()  # type: ignore[attr-defined]
    first, *copy = [file.stat().st_size for file in segment_files(kind, tmp_path / "file")]
    memory, disk = estimate(kind, 3000, 256)
    assert memory == pytest.approx(first + tables, rel=0.01)
    assert disk == pytest.approx(first + sum(copy), rel=0.01)
    assert memory - disk + sum(copy) == pytest.approx(tables, abs=200)


def test_recall_is_the_share_that_is_found() -> None:
    vectors = np.eye(4, dtype=np.float32)
    whole, part = exact_index(np.arange(4), vectors), exact_index(np.arange(3), vectors[:3])
    assert recall(whole, whole, vectors, 1) == 1
    assert recall(part, whole, vectors, 1) == 0.75
    assert recall(part, whole, vectors[3:], 1) == 0
    assert recall(exact_index(np.array([8]), vectors[:1]), whole, vectors, 1) == 0


def test_of_vectors_equally_near_any_is_right() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    whole = exact_index(np.arange(3), vectors)
    assert recall(exact_index(np.array([1]), vectors[:1]), whole, vectors[:1], 1) == 1
    assert recall(exact_index(np.array([1, 2]), vectors[1:]), whole, vectors[:1], 2) == 0.5


def test_recall_of_less_than_k_and_of_nothing() -> None:
    vectors = np.eye(2, dtype=np.float32)
    whole, nothing = exact_index(np.arange(2), vectors), exact_index(np.arange(0), vectors[:0])
    assert recall(whole, whole, vectors, 10) == 1
    assert recall(nothing, whole, vectors, 10) == 0
    assert recall(nothing, nothing, vectors, 10) == 1
