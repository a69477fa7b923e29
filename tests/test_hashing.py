"""The hash keeps apart what it must, numbers of either sign above all."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbat import Encoder
from mbat.hashing import MASK, extend, extend_signed, mix


@given(st.integers(0, MASK))
def test_small_numbers_of_either_sign_have_hashes_of_their_own(state: int) -> None:
    assert len({mix(extend_signed(state, number)) for number in range(-300, 300)}) == 600


@given(st.integers(0, MASK))
def test_places_of_a_grid_have_hashes_of_their_own(state: int) -> None:
    places = product(range(-5, 5), repeat=3)
    assert len({extend_signed(extend_signed(extend_signed(state, x), y), z) for x, y, z in places}) == 1000


@given(st.integers(0, MASK), st.integers(0, 1 << 61))
def test_a_number_that_is_not_negative_counts_twice_its_size(state: int, number: int) -> None:
    assert extend_signed(state, number) == extend(state, 2 * number)
    assert extend_signed(state, -number - 1) == extend(state, 2 * number + 1)


def test_powers_of_two_and_their_negatives_are_different_symbols() -> None:
    values = [sign * 2.0**power for sign in (1, -1) for power in range(-20, 20)]
    vectors = Encoder(dim=4096, numbers="symbol", softness=0.0).encode([{"a": value} for value in values])
    likeness = np.abs(vectors @ vectors.T - np.eye(len(values)))
    assert likeness.max() == pytest.approx(0.0, abs=6 / 64)
