from __future__ import annotations

import itertools
import math
import warnings
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbat import Encoder
from mbat.hashing import domain, extend, mix
from mbat.paths import PathTable
from mbat.scales import UNFITTED, Scale, scale_of
from mbat.sketches import SKETCH_BINS, Sketch, coarsened, ordered_floats, ordered_integers
from mbat.statistics import PATH_TABLE_SIZE, SKETCHED_PATHS, TABLE_SIZE, Statistics
from tests.json_strategies import batches

finite = st.floats(allow_nan=False, allow_infinity=False)


def fit(documents: list[Any]) -> Statistics:
    return Encoder(dim=16).fit(documents).statistics


def arrays(statistics: Statistics) -> dict[str, tuple[str, bytes]]:
    return {name: (str(array.dtype), array.tobytes()) for name, array in statistics.arrays().items()}


def sketch(values: Any) -> Sketch:
    distinct, counts = np.unique(ordered_integers(np.array(values, dtype=np.float64)), return_counts=True)
    return coarsened(0, distinct, counts.astype(np.int64))


def plain(s: Sketch) -> tuple[int, list[int], list[int]]:
    return s[0], s[1].tolist(), s[2].tolist()


@settings(max_examples=25, deadline=None)
@given(batches, batches, batches)
def test_parts_fitted_apart_and_merged_in_any_order_equal_one_fit(a: list[Any], b: list[Any], c: list[Any]) -> None:
    whole = fit([*a, *b, *c])
    parts = [fit(part) for part in (a, b, c)]
    for order in itertools.permutations(parts):
        merged = reduce(Statistics.merge, order)
        assert merged == whole
        assert arrays(merged) == arrays(whole)
    assert parts[0].merge(parts[1].merge(parts[2])) == whole


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((1e-3, 1.0, 50.0, 700.0)), st.integers(1, 6000))
def test_sketches_that_had_to_become_coarser_merge_to_one_fit_too(seed: int, spread: float, cut: int) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.choice((-1.0, 1.0), 6000) * np.exp(spread * rng.uniform(-1, 1, 6000))).tolist()
    whole = fit([values])
    merged = fit([values[cut:]]).merge(fit([values[:cut]]))
    assert whole.arrays()["sketch_dropped"].tolist() > [0]
    assert int(whole.arrays()["sketch_counts"].sum()) == 6000
    first, second = merged.arrays(), whole.arrays()
    for name in ("sketch_paths", "sketch_dropped", "sketch_ends", "sketch_integers", "sketch_counts"):
        assert first[name].tolist() == second[name].tolist()


def test_hundreds_of_paths_of_numbers_hardly_share_a_sketch() -> None:
    statistics = fit([{f"field {i}": i for i in range(300)}])
    assert len(statistics.sketches) >= 298


def test_merging_leaves_both_parts_as_they_were() -> None:
    a, b = fit([{"a": 1}]), fit([{"a": 2, "b": "x"}])
    before = arrays(a), arrays(b)
    a.merge(b)
    assert (arrays(a), arrays(b)) == before


def test_statistics_differ_if_a_count_a_number_or_a_document_differs() -> None:
    base = fit([{"a": 1}, {"a": 2}])
    assert base == fit([{"a": 2}, {"a": 1}])
    assert base != fit([{"a": 1}, {"a": 3}])
    assert base != fit([{"a": 1}, {"a": 2}, {"a": 2}])
    assert base != fit([{"a": 1}, {"b": 2}])
    assert base != "statistics"


def test_each_document_counts_a_symbol_and_a_path_once() -> None:
    statistics = fit([{"a": "x"}, {"a": "x x"}, {"a": "y", "b": ["x", "x"]}, "z"])
    table = PathTable(0)
    a, b = table.child(0, "a"), table.child(0, "b")
    words = {letter: mix(extend(domain(0, "word"), ord(letter))) for letter in "xyzq"}
    assert statistics.documents == 4
    assert [int(statistics.frequencies[words[x] % TABLE_SIZE]) for x in "xyzq"] == [3, 1, 1, 0]
    assert [int(statistics.paths[table.path_hashes[path] % PATH_TABLE_SIZE]) for path in (0, a, b)] == [4, 3, 1]


def test_documents_of_different_batches_are_counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [{"a": "x", "n": i % 5} for i in range(23)]
    whole = fit(documents)
    for size in (1, 2, 7, 22):
        monkeypatch.setattr("mbat.encoder.BATCH", size)
        assert fit(documents) == whole
    assert int(whole.frequencies.max()) == int(whole.paths.max()) == 23


def test_the_numbers_of_each_path_are_counted() -> None:
    statistics = fit([{"a": 1, "b": 5}, {"a": 1}, {"a": -0.0}, {"a": 0, "c": "7"}])
    table = PathTable(0)
    a, b = (table.path_hashes[table.child(0, key)] % SKETCHED_PATHS for key in "ab")
    assert statistics.sketches.keys() == {a, b}
    assert plain(statistics.sketches[a]) == (0, ordered_integers(np.array([0.0, 1.0])).tolist(), [2, 2])
    assert plain(statistics.sketches[b]) == (0, ordered_integers(np.array([5.0])).tolist(), [1])


@given(st.lists(finite))
def test_ordered_integers_are_undone(values: list[float]) -> None:
    numbers = np.array(values, dtype=np.float64)
    assert ordered_floats(ordered_integers(numbers)).tobytes() == (numbers + 0.0).tobytes()


@given(finite, finite)
def test_ordered_integers_keep_the_order(a: float, b: float) -> None:
    first, second = ordered_integers(np.array([a, b])).tolist()
    assert (first < second, first == second) == (a < b, a == b)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((30, 1024, 1025, 4000)), st.integers(1, 63))
def test_a_coarse_sketch_does_not_depend_on_the_order_of_its_parts(seed: int, size: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    values = ordered_floats(rng.integers(0, 1 << bits, size, dtype=np.uint64) + np.uint64(1 << 63 if bits < 62 else 1))
    values = np.where(np.isfinite(values), values, 1.0)
    parts = [Statistics(sketches={0: sketch(part)}) for part in np.array_split(values, 5)]
    whole = plain(sketch(values))
    for order in (parts, parts[::-1], [parts[i] for i in rng.permutation(5)]):
        assert plain(reduce(Statistics.merge, order).sketches[0]) == whole


@given(st.integers(0, 2**32), st.sampled_from((1, 1024, 1025, 5000)))
def test_a_sketch_drops_as_few_bits_as_leave_1024_values(seed: int, size: int) -> None:
    values = np.random.default_rng(seed).normal(size=size)
    dropped, integers, counts = sketch(values)
    all_integers = ordered_integers(values)
    assert integers.tolist() == np.unique(all_integers >> np.uint64(dropped)).tolist()
    assert counts.sum() == size
    assert len(integers) <= SKETCH_BINS == 1024
    assert dropped == 0 or len(np.unique(all_integers >> np.uint64(dropped - 1))) > SKETCH_BINS


def test_idf_falls_with_the_document_frequency_and_is_rounded_to_1024ths() -> None:
    weights = Statistics(documents=30, frequencies=np.array([0, 1, 30])).idf()
    once, never = 1 + math.log(31 / 2), 0.3 * (1 + math.log(31))
    assert weights.tolist() == [round(never * 1024) / 1024, round(once * 1024) / 1024, 1.0]


def test_a_symbol_of_no_document_weighs_no_less_than_one_of_all() -> None:
    assert Statistics(documents=2, frequencies=np.array([0, 2])).idf().tolist() == [1.0, 1.0]


def test_without_documents_every_symbol_weighs_one() -> None:
    assert Statistics().idf().tolist() == [1.0]


def test_the_scale_of_numbers_is_their_own_standard_deviation() -> None:
    assert scale_of(sketch([0, 10, 0, 10])) == Scale(unit=0.1, centre=0.5, rate=2.0, logs=False)
    assert scale_of(sketch([-4, 4])) == Scale(unit=0.25, centre=0.0, rate=1.0, logs=False)


@pytest.mark.parametrize("value", [5.0, -5.0, 1e300, 1e-300, 1700000000.0])
def test_the_scale_of_a_constant_leaves_it_at_its_centre(value: float) -> None:
    expected = Scale(unit=1.0 / abs(value), centre=math.copysign(1.0, value), rate=1.0, logs=False)
    assert scale_of(sketch([value] * 7)) == expected


def test_numbers_that_are_all_zero_have_the_scale_of_no_fit() -> None:
    assert scale_of(sketch([0.0, -0.0])) == UNFITTED == Scale(1.0, 0.0, 1.0, logs=True)


def test_skewed_numbers_are_scaled_after_a_logarithm_from_their_median_size() -> None:
    log_of_1025 = 10 + 1 / 1024
    mean = (99 + log_of_1025) / 100
    spread = math.sqrt((99 * (1 - mean) ** 2 + (log_of_1025 - mean) ** 2) / 100)
    scale = scale_of(sketch([1] * 99 + [1024]))
    assert (scale.unit, scale.logs) == (1.0, True)
    assert scale.centre == pytest.approx(mean, rel=1e-6)
    assert scale.rate == pytest.approx(1 / spread, rel=1e-6)
    assert scale_of(sketch([48] * 99 + [1024 * 48])).unit == 1 / 32


def test_the_median_size_leaves_zeros_out() -> None:
    assert scale_of(sketch([0] * 500 + [8] * 99 + [8e6])).unit == 1 / 8


@pytest.mark.parametrize(("base", "step"), [(1.7e9, 10.0), (1.0, 1e-3), (-250.0, 1e-5), (1e-200, 1e-203)])
def test_numbers_close_together_are_two_standard_deviations_apart(base: float, step: float) -> None:
    scale = scale_of(sketch([base, base + step] * 5))
    assert not scale.logs
    apart = ((base + step) * scale.unit - base * scale.unit) * scale.rate
    assert apart == pytest.approx(2.0, rel=1e-3)


def test_a_spread_of_rounding_errors_is_a_constant() -> None:
    scale = scale_of(sketch([1.0, math.nextafter(1.0, 2.0)]))
    assert (scale.rate, scale.logs) == (1.0, False)


def test_times_in_nanoseconds_within_a_second_are_not_all_alike() -> None:
    start = 1_700_000_000_000_000_000
    documents = [{"t": start + i * 1_000_000} for i in range(1000)]
    first, near, far = Encoder(dim=4096).fit(documents).encode([documents[0], documents[9], documents[999]])
    assert first @ near > first @ far + 0.3


EXTREMES = [
    pytest.param([5e-324, 0.0], id="the least float beside zero"),
    pytest.param([5e-324] * 3, id="the least float alone"),
    pytest.param([5e-324] * 30 + [1.0], id="skewed to the least float"),
    pytest.param([1e-10] * 30 + [1e308], id="skewed over the whole range"),
    pytest.param([1.7e308, -1.7e308, 3.0], id="the greatest floats"),
    pytest.param([2.0**-1060] * 40 + [2.0**-1030], id="skewed subnormal"),
]


@pytest.mark.parametrize("values", EXTREMES)
def test_the_scale_of_extreme_numbers_is_finite(values: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scale = scale_of(sketch(values))
    assert all(map(math.isfinite, (scale.unit, scale.centre, scale.rate)))


@pytest.mark.parametrize("values", EXTREMES)
def test_documents_with_extreme_numbers_are_encoded_after_a_fit(values: list[float]) -> None:
    documents = [{"a": value} for value in values]
    rows = Encoder(dim=32).fit(documents).encode(documents)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(batches)
def test_statistics_become_arrays_and_back(documents: list[Any]) -> None:
    statistics = fit(documents)
    back = Statistics.from_arrays(statistics.arrays())
    assert back == statistics
    assert arrays(back) == arrays(statistics)


def test_the_arrays_have_names_and_types_that_a_file_can_rest_on() -> None:
    described = {name: str(array.dtype) for name, array in Statistics().arrays().items()}
    assert described == {
        "documents": "int64",
        "frequencies": "int64",
        "paths": "int64",
        "sketch_paths": "int64",
        "sketch_dropped": "int64",
        "sketch_ends": "int64",
        "sketch_integers": "uint64",
        "sketch_counts": "int64",
    }
