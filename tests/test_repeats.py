"""Leaves that repeat share their symbols: where that is right, and that it changes no vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from mbat import Encoder, Field
from mbat.leaves import symbol_count
from tests.json_strategies import batches, compiled, interpreted

RULES = {"plain": Field(strings="symbol", numbers="symbol"), "heavy": Field(weight=5)}

SAME_VALUE = [
    pytest.param("2020-01-31", id="a date"),
    pytest.param("some words, 7 x 3 mm", id="a text of numbers"),
    pytest.param("A", id="a letter"),
    pytest.param(7, id="a number"),
    pytest.param(0.0, id="zero"),
    pytest.param(True, id="a constant"),
]


def alone(encoder: Encoder, documents: list[Any]) -> bytes:
    return np.stack([encoder.encode_one(document) for document in documents]).tobytes()


@pytest.mark.parametrize("value", SAME_VALUE)
def test_an_equal_leaf_at_another_path_has_symbols_of_its_own(value: Any) -> None:
    """Numbers of `wide` and `narrow` are on scales of their own, `plain` and `heavy` under rules of theirs."""
    known = [{"wide": i * 1e4, "narrow": i * 1e-3, "plain": i, "heavy": i} for i in range(50)]
    encoder = Encoder(dim=256, fields=RULES).fit(known)
    places = ("wide", "narrow", "plain", "heavy")
    together = [dict.fromkeys(places, value), *({place: value} for place in places), [value], value]
    with compiled():
        assert encoder.encode(together).tobytes() == alone(encoder, together)
    rows = encoder.encode([{place: value} for place in places])
    assert len({row.tobytes() for row in rows}) == len(places)


@settings(max_examples=60, deadline=None)
@given(batches.filter(bool))
def test_a_row_is_the_same_whatever_was_met_before_it(documents: list[Any]) -> None:
    encoder = Encoder(dim=48, fields=RULES)
    with compiled():
        assert encoder.encode(documents * 3).tobytes() == 3 * alone(encoder, documents)


def test_the_longitude_of_a_point_is_no_repeated_number() -> None:
    encoder = Encoder(dim=128)
    documents: list[Any] = [{"lat": 10, "lon": 10}, {"lat": 10}, {"lon": 10}, {"lat": 10, "lon": 10}, {"lat": 10.0}]
    with compiled():
        assert encoder.encode(documents).tobytes() == alone(encoder, documents)


def test_zeros_of_either_sign_are_leaves_apart_and_vectors_alike() -> None:
    encoder = Encoder(dim=64)
    zero, minus = encoder.encode([{"a": 0.0}, {"a": -0.0}])
    assert zero.tobytes() == minus.tobytes()


def test_a_table_without_room_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [{"a": f"word {i % 5}", "b": i % 3, "c": [True, None, f"word {i % 2}"]} for i in range(40)]
    with interpreted():
        expected = Encoder(dim=32).encode(documents)
        monkeypatch.setattr("mbat.leaves._KNOWN", 1)
        assert Encoder(dim=32).encode(documents).tobytes() == expected.tobytes()


def test_the_symbols_of_a_repeated_leaf_are_made_once() -> None:
    encoder = Encoder(dim=32)
    ((_, items, buffer),) = encoder._symbols(encoder._ready().prepare([{"a": "the same text"}] * 50))
    assert symbol_count(buffer, items) == 50 * int(buffer.ends[:items].max())
