from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mbat import Encoder, atoms
from mbat.binding import POSITIONS, Permutations, SignedPermutation, array_hash, sequence_hash
from mbat.hashing import domain, hash_text
from tests.json_strategies import batches, compiled, interpreted

DIMS = (16, 17, 30, 100, 257)
SOFTNESSES = (0.0, 0.1, 0.5, 1.0, 3.0, 100.0)


@cache
def encoder(dim: int, softness: float) -> Encoder:
    return Encoder(dim=dim, seed=3, softness=softness)


def densely(which: Encoder, documents: list[Any]) -> NDArray[np.float32]:
    """Bundle by the reference, with the matrices applied to dense vectors one by one."""
    return which._encode_densely(which._ready().prepare(documents))


@settings(max_examples=150, deadline=None)
@given(batches.filter(bool), st.sampled_from(DIMS), st.sampled_from(SOFTNESSES))
def test_scattered_bundling_equals_the_dense_reference(documents: list[Any], dim: int, softness: float) -> None:
    which = encoder(dim, softness)
    assert isinstance(which._binding, SignedPermutation)
    with compiled():
        np.testing.assert_allclose(which.encode(documents), densely(which, documents), rtol=0, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(batches.filter(bool), st.sampled_from((1024, 1500)), st.sampled_from((0.0, 0.5, 3.0)))
def test_rows_of_few_entries_are_folded_as_the_dense_reference_says(
    documents: list[Any], dim: int, softness: float
) -> None:
    """At such lengths most objects have few entries for their row, and note where these are."""
    which = encoder(dim, softness)
    documents = [*documents, {"a": {"b": {"c": "x", "d": [{"e": "y"}, {"e": "z"}]}}}]
    with compiled():
        np.testing.assert_allclose(which.encode(documents), densely(which, documents), rtol=0, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(batches.filter(bool))
def test_noting_the_entries_of_a_row_changes_no_bit(documents: list[Any]) -> None:
    documents = [*documents, {"a": {"b": {"c": "x", "d": [{"e": "y"}, {"e": "z"}]}}}]
    with interpreted():
        noted = Encoder(dim=128).encode(documents)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mbat.rows._NOTED_PART", 1 << 20)  # no room to note any
            assert Encoder(dim=128).encode(documents).tobytes() == noted.tobytes()


LONG = [
    pytest.param(["x", "y", "z"] * 50, id="strings"),
    pytest.param(list(range(POSITIONS + 1)), id="one number too many"),
    pytest.param([[i, i + 1] for i in range(140)], id="arrays of numbers"),
    pytest.param([["a", i] for i in range(140)], id="mixed arrays"),
    pytest.param([list(range(131)), ["q"] * 132, list(range(133))], id="long in short"),
    pytest.param([{"k": [i] * 130} for i in range(130)], id="long in objects in long"),
    pytest.param([*["x"] * 130, [*["y"] * 135, {"z": 1}], *["w"] * 5, []], id="both levels past the ready ones"),
]


@pytest.mark.parametrize("softness", [0.0, 0.5])
@pytest.mark.parametrize("document", LONG)
def test_arrays_longer_than_the_ready_positions_equal_the_dense_reference(document: Any, softness: float) -> None:
    which = encoder(24, softness)
    documents = [document, {"a": document}]
    with compiled():
        np.testing.assert_allclose(which.encode(documents), densely(which, documents), rtol=0, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(batches.filter(bool), st.integers(0, 2))
def test_keys_beyond_the_ready_ones_give_the_same_vectors_to_the_last_bit(documents: list[Any], ready: int) -> None:
    documents = [*documents, {"a": {"b": [{"c": 1}] * 2, "d": "x"}, "e": {"a": [[2]]}}]
    with interpreted():
        expected = Encoder(dim=20).encode(documents)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mbat.binding.KEY_BYTES", ready * 4 * 20)
            crowded = Encoder(dim=20)
            assert crowded.encode(documents).tobytes() == expected.tobytes()
            assert len(crowded._ready().prepare(documents).places.keys) == ready * 20


def test_keys_beyond_the_ready_ones_stay_right_beside_long_arrays() -> None:
    document = {"a": 1, "b": [{"c": ["x"] * (POSITIONS + 2), "d": "y"}] * (POSITIONS + 2)}
    with interpreted():
        expected = Encoder(dim=16).encode_one(document)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mbat.binding.KEY_BYTES", 4 * 16)
            assert Encoder(dim=16).encode_one(document).tobytes() == expected.tobytes()


def bound(which: Encoder, key: str, vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return which._binding.apply(hash_text(key, domain(which.parameters["seed"], "key")), vector)


def unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)


def test_a_strictly_bound_value_is_its_vector_times_the_matrices_of_its_keys_from_the_inside_out() -> None:
    which = encoder(64, 0.0)
    value = which.encode_one("Rome").astype(np.float64)
    expected = bound(which, "x", bound(which, "y", value))
    np.testing.assert_allclose(which.encode_one({"x": {"y": "Rome"}}), expected, atol=1e-6)
    assert not np.allclose(which.encode_one({"y": {"x": "Rome"}}), expected, atol=0.1)


def leaf(which: Encoder, value: Any) -> NDArray[np.float64]:
    """Return the vector of a leaf as it is before binding, not normalised."""
    ((_, _, symbols),) = which._symbols(which._ready().prepare([value]))
    return atoms.dense(symbols.codes[: symbols.ends[0]], symbols.free[: symbols.ends[0]], which.dim)


def test_an_object_is_the_sum_of_its_bound_values() -> None:
    which = encoder(64, 0.0)
    expected = unit(bound(which, "a", leaf(which, True)) + bound(which, "b", leaf(which, False)))
    np.testing.assert_allclose(which.encode_one({"a": True, "b": False}), expected, atol=1e-6)


def test_an_array_of_numbers_is_bound_by_position_alone_and_divided_by_the_root_of_its_length() -> None:
    which = Encoder(dim=64, seed=3, softness=0.0, numbers="symbol")
    elements = np.zeros(64)
    for position, number in enumerate((1, 2.5, 1), start=1):
        vector = leaf(which, number)
        for _ in range(position):
            vector = which._binding.apply(sequence_hash(3), vector)
        elements += which._binding.apply(array_hash(3), vector)
    expected = unit(bound(which, "n", elements / math.sqrt(3)) + bound(which, "t", leaf(which, True)))
    np.testing.assert_allclose(which.encode_one({"n": [1, 2.5, 1], "t": True}), expected, atol=1e-6)


def test_numbers_in_arrays_are_bound_strictly_even_if_keys_are_soft() -> None:
    which = encoder(64, 0.5)
    inner = which._binding.apply(sequence_hash(3), which.encode_one(2).astype(np.float64))
    expected = which._binding.apply(array_hash(3), inner)
    np.testing.assert_allclose(which.encode_one([2]), expected, atol=1e-6)


@pytest.mark.parametrize(("softness", "plain", "bound_share"), [(0.5, 3 / 4, 1 / 4), (1.0, 12 / 13, 1 / 13)])
def test_an_element_that_is_no_number_is_bound_softly_by_its_position(
    softness: float, plain: float, bound_share: float
) -> None:
    which = encoder(64, softness)
    seed = which.parameters["seed"]
    value = which.encode_one("x").astype(np.float64)
    moved = which._binding.apply(array_hash(seed), which._binding.apply(sequence_hash(seed), value))
    expected = unit(math.sqrt(plain) * value + math.sqrt(bound_share) * moved)
    np.testing.assert_allclose(which.encode_one(["x"]), expected, atol=1e-6)


def test_the_permutation_of_a_position_is_the_sequence_applied_so_often_and_then_the_array() -> None:
    seed, dim = 9, 21
    binding = SignedPermutation(dim)
    positions = Permutations(dim, seed).positions.reshape(POSITIONS + 1, dim)
    vector = np.arange(1.0, dim + 1)
    for position in (0, 1, 2, POSITIONS):
        expected = vector
        for _ in range(position):
            expected = binding.apply(sequence_hash(seed), expected)
        expected = binding.apply(array_hash(seed), expected)
        moved = np.empty(dim)
        moved[positions[position] >> 1] = vector * (1 - 2 * (positions[position] & 1))
        assert moved.tolist() == expected.tolist()


def test_permutations_of_keys_stay_as_they_are_when_more_keys_come() -> None:
    binding = SignedPermutation(18)
    permutations = Permutations(18, 0)
    hashes = np.arange(100, 200, dtype=np.int64)
    for count in (0, 3, 16, 17, 100):
        slots = np.r_[-1, np.arange(count)].astype(np.int64)
        keys = permutations.keys(slots, np.r_[0, hashes[:count]])
        for slot in range(count):
            assert keys[slot * 18 : slot * 18 + 18].tolist() == binding.permutation(int(hashes[slot])).tolist()
