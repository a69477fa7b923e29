"""Weights at query time: an encoder that weighs fields otherwise, against sums of what its paths add."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mbat import Encoder, Field, ParameterError
from mbat.patterns import matches, parse_pattern
from mbat.picking import paths_in
from tests.json_strategies import documents

SOME = [
    {"id": 7, "seller": {"name": "Ann", "id": "x9"}, "offers": [{"price": 3.5, "id": 1}, {"price": 4, "id": 2}]},
    {"id": 8, "seller": {"name": "Bob"}, "tags": ["red", "new"], "lat": 60.0, "lon": 11.0},
]
PATTERNS = ("id", "seller", "seller.*", "*.id", "**.id", "offers[]", "offers[].price", "**.price", "tags", "a", "lat")

weights = st.dictionaries(
    st.sampled_from(PATTERNS), st.sampled_from((-2.0, -0.5, 0.25, 1.0, 3.0)), min_size=1, max_size=3
)


def weighed_by_hand(encoder: Encoder, document: Any, weights: dict[str, float]) -> NDArray[np.float64]:
    """Multiply what each path adds by the weights of all patterns that stand for it or for one above it."""
    account = encoder.account(document)
    total = np.zeros(encoder.dim)
    for steps, row in zip(account.paths, account.rows, strict=True):
        heads = [steps[:length] for length in range(len(steps) + 1)]
        held = [w for pattern, w in weights.items() for head in heads if matches(parse_pattern(pattern), head)]
        total += float(np.prod(held)) * row
    return total / np.linalg.norm(total)


@settings(max_examples=150, deadline=None)
@given(documents | st.sampled_from(SOME), weights)
def test_a_weighed_vector_is_the_sum_of_its_weighed_parts(document: Any, weights: dict[str, float]) -> None:
    encoder = Encoder(dim=128).fit(SOME)
    expected = weighed_by_hand(encoder, document, weights)
    np.testing.assert_allclose(encoder.weigh(weights).encode_one(document), expected, rtol=0, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(SOME) | documents, min_size=1, max_size=3), weights)
def test_weighing_equals_an_encoder_made_with_these_weights(batch: list[Any], weights: dict[str, float]) -> None:
    """Equal to the last bit, if both know the same."""
    made = Encoder(dim=64, fields={path: Field(weight=weight) for path, weight in weights.items()})
    plain = Encoder(dim=64)
    assert plain.weigh(weights) == made
    assert plain.weigh(weights).encode(batch).tobytes() == made.encode(batch).tobytes()


@settings(deadline=None)
@given(documents)
def test_a_field_that_is_ignored_is_as_if_it_were_missing(document: Any) -> None:
    encoder = Encoder(dim=64).fit([{"kept": document, "noise": [document]}])
    found = encoder.weigh({}, ignore=["noise"]).encode_one({"kept": document, "noise": [document]})
    assert np.array_equal(found, encoder.encode_one({"kept": document}))
    assert np.array_equal(found, encoder.weigh({"noise": 0}).encode_one({"kept": document, "noise": [document]}))


def test_a_point_of_which_a_coordinate_is_ignored_is_a_number() -> None:
    encoder = Encoder(dim=128)
    ignoring = encoder.weigh({}, ["lon"])
    assert np.array_equal(ignoring.encode_one({"lat": 60.0, "lon": 11.0}), encoder.encode_one({"lat": 60.0}))


def test_weights_below_0_ask_for_what_is_not_so() -> None:
    encoder = Encoder()
    against = encoder.weigh({"colour": -1}).encode_one({"kind": "car", "colour": "red"})
    red, blue = encoder.encode([{"kind": "car", "colour": "red"}, {"kind": "car", "colour": "blue"}])
    assert against @ blue > against @ red


def test_weights_multiply_those_that_the_encoder_has() -> None:
    encoder = Encoder(dim=64, fields={"a": Field(weight=2, strings="words"), "b": Field(weight=4)})
    assert encoder.weigh({"a": 3, "b": 0.25, "**.c": 5}).parameters["fields"] == {
        "**.c": {"weight": 5.0},
        "a": {"weight": 6.0, "strings": "words"},
    }


def test_weighing_leaves_the_encoder_as_it_was_and_keeps_what_it_learned() -> None:
    encoder = Encoder(dim=64).fit(SOME)
    before = encoder.fingerprint, encoder.encode(SOME).tobytes()
    weighed = encoder.weigh({"id": 3})
    assert weighed.encode(SOME).tobytes() != before[1]
    assert (encoder.fingerprint, encoder.encode(SOME).tobytes()) == before
    assert weighed.statistics == encoder.statistics
    assert weighed.fingerprint != encoder.fingerprint


def test_of_two_rules_for_a_path_the_more_exact_says_how_its_strings_are_taken() -> None:
    fields = {"**.x": Field(strings="symbol"), "*.x": Field(strings="words"), "a.x": Field(strings="text")}
    encoder = Encoder(dim=64, fields=fields)
    rules = encoder._ready().walker.paths
    encoder.encode_one({"a": {"x": "s", "b": {"x": "s"}}, "c": {"x": "s"}})
    known = {rules.steps(i): encoder._ready()._known[i].rule.strings for i in range(len(rules))}
    assert [known["a", "x"], known["c", "x"], known["a", "b", "x"]] == [0, 1, 2]


@pytest.mark.parametrize(
    ("weights", "ignore", "message"),
    [
        (
            {"a": 0.0001},
            [],
            "The field 'a': weight is 0 or a number from 0.001 to 1000, or as much below 0; 0.0001 is not.",
        ),
        ({"a": "2"}, [], "The field 'a': weight is 0 or a number"),
        ({"a": True}, [], "The field 'a': weight is 0 or a number"),
        ({"a..b": 2}, [], "fields: The path 'a..b' is not well formed"),
        ({"$": 2}, [], r"fields: \$ is the whole document"),
        ({}, ["b.**"], r"fields: The pattern 'b.\*\*' ends with \*\*"),
        ({}, "b", r"ignore is a list of paths, as \['b'\]"),
        ([("a", 2)], [], "weights maps paths to numbers"),
        (
            {"c": 1000},
            [],
            "The field 'c': weight is 0 or a number from 0.001 to 1000, or as much below 0; 2000.0 is not.",
        ),
    ],
)
def test_weights_that_are_not_well_formed_are_refused(weights: Any, ignore: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Encoder(dim=16, fields={"c": Field(weight=2)}).weigh(weights, ignore)


def test_a_path_of_a_document_is_met_by_its_own_pattern() -> None:
    for document in SOME:
        for steps in paths_in(document):
            assert matches(steps, steps)
