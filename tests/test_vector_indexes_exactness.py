"""Exact where numbers are many, long, skewed or damaged, in memory that does not grow with the queries."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mbat_indexes import KINDS, IndexFileError, exact_index, stored
from mbat_indexes.stored import StoredIndex, dots, rounding
from tests.vector_oracle import Array, as_stored, assert_equal, brute_force, made, spread_ids, units


def skewed(count: int, dim: int, *large: int) -> Array:
    """Return vectors of small numbers and, at one of some places, a large one, after which a sum loses the small."""
    vectors = 0.01 + 3e-3 * np.random.default_rng(1).standard_normal((count, dim))
    vectors[np.arange(count), np.resize(large, count)] = 100
    return vectors.astype(np.float32)


@pytest.mark.parametrize("kind", ["exact", "flat"])
def test_long_skewed_vectors_are_ranked_by_their_scores(kind: str, tmp_path: Path) -> None:
    vectors = skewed(400, 16384, 0, -1)
    queries = vectors[:40].copy()
    queries[:, [0, -1]] = 100
    index = made(kind, tmp_path / "file", np.arange(400), vectors)
    exact = np.stack([dots("cd,d->c", vectors, query) for query in queries])
    best = np.stack([np.lexsort((np.arange(400), -scores))[:5] for scores in exact])
    assert_equal(index.search(queries, 5), (np.take_along_axis(exact, best, 1), best))


@pytest.mark.parametrize("dim", [2, 16, 1024, 16384])
def test_sums_in_any_order_lie_within_the_bound(dim: int) -> None:
    for vectors in (skewed(2, dim, 0), np.ones((2, dim), np.float32) / 3, units(2, dim=dim)):
        products = vectors[0] * vectors[1]
        sums = [np.add.accumulate(order)[-1] for order in (products, products[::-1], np.sort(products))]
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1).prod()
        assert max(sums) - min(sums) <= rounding(dim) * norms


@pytest.mark.parametrize("dim", [24, 8192, 8193, 65536])
def test_an_inner_product_is_the_same_whatever_else_is_multiplied(dim: int) -> None:
    vectors, query = units(30, dim=dim), units(1, seed=1, dim=dim)[0]
    together = dots("cd,d->c", vectors, query)
    assert [dots("cd,d->c", vectors[[one]], query)[0] for one in range(30)] == together.tolist()
    assert dots("qcd,qd->qc", vectors[None], query[None]).tolist() == [together.tolist()]
    assert dots("bd,bd->b", vectors, np.tile(query, (30, 1))).tolist() == together.tolist()
    np.testing.assert_allclose(together, vectors.astype(np.float64) @ query, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_found_does_not_depend_on_how_much_is_taken_in_hand_at_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = units(700)
    index = made(kind, tmp_path / "file", spread_ids(700), vectors)
    monkeypatch.setattr(stored, "BLOCK_NUMBERS", 1000)
    for allowed in (None, spread_ids(700)[::2]):
        expected = brute_force(spread_ids(700), as_stored(kind, vectors), units(60, seed=1), 9, allowed)
        assert_equal(index.search(units(60, seed=1), 9, effort=1.0, allowed=allowed), expected)
        ours, ids = index.search(units(60, seed=1), 9, allowed=allowed)
        assert (ours <= expected[0]).all()
        assert (ids >= 0).all()


def test_many_queries_take_no_more_memory_than_few() -> None:
    index, queries = exact_index(np.arange(20_000), units(20_000)), units(3000, seed=1)
    tracemalloc.start()
    index.search(queries, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * stored.BLOCK_NUMBERS  # the products of all would take 28 bytes for each of these


def test_of_many_candidates_few_vectors_are_taken_in_hand_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = units(4000)
    index = made("flat-fp16", tmp_path / "file", spread_ids(4000), vectors)
    monkeypatch.setattr(stored, "BLOCK_NUMBERS", 2400)
    taken: list[int] = []
    rows = index._rows  # type: ignore[attr-defined]

    def watched(positions: stored.Positions | slice) -> Array:
        taken.append(rows(positions).size)
        return rows(positions)

    index._rows = watched  # type: ignore[attr-defined]
    found = index.search(units(2, seed=1), 900)
    assert_equal(found, brute_force(spread_ids(4000), as_stored("flat-fp16", vectors), units(2, seed=1), 900))
    assert max(taken) == 2400


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 90])
def test_a_damaged_vector_in_any_block_is_an_error(bad: float, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = units(100)
    vectors[place] = [bad, -bad] * 12
    monkeypatch.setattr(stored, "BLOCK_NUMBERS", 240)
    index = StoredIndex("exact", spread_ids(100), 24, vectors.__getitem__)
    with np.errstate(all="ignore"), pytest.raises(IndexFileError, match="The index holds a vector that is not finite"):
        index.search(np.ones((1, 24), np.float32), 5)


def test_vectors_whose_products_would_not_be_finite_are_refused() -> None:
    longest = np.full((1, 4), 9.2e18, dtype=np.float32)
    index = exact_index(np.array([3]), longest)
    assert index.search(-longest, 1)[0][0, 0] == pytest.approx(-4 * 9.2e18**2)
    with pytest.raises(ValueError, match="Row 1 of the vectors is too long for float32"):
        exact_index(np.arange(2), np.array([[1, 1], [3e38, -3e38]], dtype=np.float32))
    with pytest.raises(ValueError, match="Row 0 of the vectors is too long for float32"):
        index.search(2 * longest[:, [0, 1, 2, 3]], 1)
