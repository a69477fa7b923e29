"""Numbers in short texts: which are read, and that they meet the same numbers elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbat import Encoder
from mbat.quantities import MOST_QUANTITIES, quantities


def read(text: str) -> list[float]:
    points = [ord(letter) for letter in text.lower()]
    found = [0.0] * MOST_QUANTITIES
    return found[: quantities(points, 0, len(points), found)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("7.6 x 4.8 inches", [7.6, 4.8]),
        ("EQ50", [50]),
        ("40.47; -80.05", [40.47, -80.05]),
        ("$1,299.00", [1299]),
        ("1,000,000", [1000000]),
        ("1,2,3", [1, 2, 3]),
        ("50-59", [50, 59]),
        ("-5", [-5]),
        ("a-5", [5]),
        ("12.", [12]),
        ("0.5 %", [0.5]),
        ("0", [0]),
        ("٣ of 4", [4]),
    ],
)
def test_the_numbers_of_a_short_text_are_read(text: str, numbers: list[float]) -> None:
    assert read(text) == numbers


@pytest.mark.parametrize(
    "text", ["", "none", "1.2.3", "192.168.0.1", "007", "1234567890", "1 2 3 4 5", "a b c d 5 words", "5" + " " * 64]
)
def test_identifiers_and_long_texts_hold_none(text: str) -> None:
    assert read(text) == []


@given(st.decimals(-(10**8), 10**8, places=3))
def test_a_decimal_is_read_as_its_value(value: object) -> None:
    assert read(f"{value}") == [pytest.approx(float(str(value)), rel=1e-12)]


def test_a_measure_in_a_text_meets_the_number_and_near_ones_under_the_same_key() -> None:
    encoder = Encoder(dim=4096).fit([{"abv": value / 10} for value in range(30, 120)])
    text, same, near, far = encoder.encode([{"abv": "5.50 %"}, {"abv": 5.5}, {"abv": 5.8}, {"abv": 11.5}])
    assert text @ same > text @ near > text @ far + 0.05
    assert text @ same > 0.15


def test_texts_of_near_measures_are_more_alike_than_of_far_ones() -> None:
    encoder = Encoder(dim=4096)
    size, near, far = encoder.encode([{"size": f"{n} inches"} for n in ("7.6 x 4.8", "7.5 x 4.9", "219 x 310")])
    assert size @ near > size @ far + 0.05
