"""Which vectors may be found: `allowed` and `excluded`, for every kind and at every selectivity."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbat_indexes import KINDS, VectorIndex, exact_index
from tests.vector_oracle import Array, Ids, as_stored, assert_equal, brute_force, made, spread_ids, units

kinds = pytest.mark.parametrize("kind", KINDS)
COUNT = 2000
FOLDER = TemporaryDirectory()


@cache
def vectors_with_repeats() -> Array:
    vectors = units(COUNT)
    vectors[100:160], vectors[300:310] = vectors[5], 0
    return vectors


@cache
def index_of(kind: str) -> VectorIndex:
    return made(kind, Path(FOLDER.name) / kind, spread_ids(COUNT), vectors_with_repeats())


@cache
def oracle_of(kind: str) -> VectorIndex:
    return exact_index(spread_ids(COUNT), as_stored(kind, vectors_with_repeats()))


def queries() -> Array:
    return np.concatenate([units(20, seed=1), vectors_with_repeats()[[5, 300, 700]]])


def some_ids(share: float, seed: int) -> Ids:
    """Return a share of the ids, sorted, with others among them that the index lacks."""
    random = np.random.default_rng(seed)
    chosen = random.choice(spread_ids(COUNT), max(1, round(share * COUNT)), replace=False)
    return np.union1d(chosen, random.integers(10 * COUNT, size=3) // 3 * 3)


def check(kind: str, k: int, allowed: Ids | None, excluded: Ids | None) -> None:
    """Hold a search to the oracle: with all effort bit for bit, else in what may be found, scores and order."""
    exact = brute_force(
        spread_ids(COUNT), as_stored(kind, vectors_with_repeats()), queries(), k, allowed=allowed, excluded=excluded
    )
    assert_equal(index_of(kind).search(queries(), k, allowed=allowed, excluded=excluded, effort=1.0), exact)
    for effort in (None, 0.001):
        scores, found = index_of(kind).search(queries(), k, allowed=allowed, excluded=excluded, effort=effort)
        assert ((found == -1) == (exact[1] == -1)).all()
        assert (scores <= exact[0]).all()
        everything = dict(zip(*index_and_scores(kind), strict=True))
        for row in range(len(found)):
            real = found[row][found[row] >= 0]
            assert len(set(real.tolist())) == len(real)
            assert allowed is None or np.isin(real, allowed).all()
            assert excluded is None or not np.isin(real, excluded).any()
            assert scores[row, : len(real)].tolist() == [everything[one][row] for one in real.tolist()]
            assert (np.lexsort((real, -scores[row, : len(real)])) == np.arange(len(real))).all()
        if KINDS[kind].effort is None:
            assert_equal((scores, found), exact)


@cache
def index_and_scores(kind: str) -> tuple[list[int], list[list[float]]]:
    stored = as_stored(kind, vectors_with_repeats())
    return spread_ids(COUNT).tolist(), np.einsum("nd,qd->nq", stored, queries()).tolist()


@kinds
@pytest.mark.parametrize("k", [1, 10, 700])
@pytest.mark.parametrize("share", [0, 0.002, 0.05, 0.3, 0.9, 1])
def test_only_allowed_ids_are_found_and_k_of_them_where_there_are_k(kind: str, share: float, k: int) -> None:
    check(kind, k, some_ids(share, seed=k), None)


@kinds
@pytest.mark.parametrize("k", [1, 10, 700])
@pytest.mark.parametrize("share", [0, 0.002, 0.05, 0.5, 0.95, 0.999, 1])
def test_excluded_ids_are_never_found_and_cost_no_results(kind: str, share: float, k: int) -> None:
    check(kind, k, None, some_ids(share, seed=k))


@kinds
def test_what_is_nearest_may_be_excluded_and_k_others_are_found(kind: str) -> None:
    best = oracle_of(kind).search(queries(), 300)[1]
    for row in (0, 20):
        check(kind, 10, None, np.sort(best[row]))


@kinds
def test_what_is_farthest_may_alone_be_allowed(kind: str) -> None:
    best = oracle_of(kind).search(queries(), COUNT)[1]
    for allowed in (50, 1000):
        check(kind, 10, np.sort(best[0, -allowed:]), None)


@kinds
def test_of_allowed_ids_those_excluded_are_not_found(kind: str) -> None:
    allowed, excluded = some_ids(0.5, seed=1), some_ids(0.5, seed=2)
    check(kind, 10, allowed, excluded)
    check(kind, 10, allowed, allowed)


@kinds
def test_no_ids_allowed_is_nothing_found_and_none_excluded_is_all(kind: str) -> None:
    nothing = np.zeros(0, dtype=np.int64)
    index = index_of(kind)
    assert (index.search(queries(), 3, allowed=nothing)[1] == -1).all()
    assert_equal(index.search(queries(), 3, excluded=nothing), index.search(queries(), 3))
    assert (index.search(queries(), 3, allowed=np.array([1, 2, 3, 10**12]))[1] == -1).all()


@kinds
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_ids_may_be_allowed_and_excluded(kind: str, data: st.DataObject) -> None:
    some = st.none() | st.tuples(st.floats(0, 1), st.integers(0, 1000)).map(lambda pair: some_ids(*pair))
    check(kind, data.draw(st.integers(1, 50)), data.draw(some), data.draw(some))


@kinds
@pytest.mark.parametrize("name", ["allowed", "excluded"])
@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        ([10, 7], "The ids in {} have to be sorted."),
        ([[7]], "{} has to be one row of integer ids, and not int64 of shape (1, 1)."),
        ([7.0], "{} has to be one row of integer ids, and not float64 of shape (1,)."),
    ],
)
def test_ids_that_are_not_sorted_integers_are_refused(kind: str, name: str, ids: list[int], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        index_of(kind).search(queries(), 3, **{name: np.array(ids)})
    assert str(caught.value) == sentence.format(name)
