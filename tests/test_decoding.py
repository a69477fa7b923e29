"""Reading values and numbers back out of vectors."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbat import Encoder, Field, Number, ParameterError, PathError
from mbat.decoding import _numbers, _place, point_around
from mbat.paths import parse_path
from mbat.scales import Scale, scale_of
from mbat.sketches import ordered_integers
from tests.benchmarks.decoding import DIMS, FIELDS, PAGE, STRICT, measured, theory
from tests.fidelity import FAMILIES
from tests.json_strategies import interpreted, leaves

PATHS_OF_NUMBERS = ("a.lat", "a.lon", "b[].lat", "lat", "e.coordinates[]", "c.lat", "d.lat", "e.type")
NAMES = [f"{a} {b}" for a in ("Ann", "Bob", "Cy", "Di") for b in ("Lee", "Roy", "Young", "Park", "Moss")]


def people(count: int) -> list[dict[str, Any]]:
    rng = random.Random(0)
    return [
        {
            "name": rng.choice(NAMES),
            "age": rng.gauss(40, 10),
            "pay": rng.lognormvariate(7, 1),
            "boss": rng.choice(NAMES),
        }
        for _ in range(count)
    ]


PEOPLE = people(300)
FITTED = Encoder().fit(PEOPLE)


@pytest.mark.parametrize("binding", FAMILIES)
def test_with_strict_binding_a_candidate_scores_the_cosine_of_its_vector_and_what_is_unbound(binding: str) -> None:
    encoder = Encoder(dim=256, softness=0, binding=binding)
    vector = encoder.encode_one({"a": {"b": "x", "c": [1, 2]}, "d": True})
    candidates: list[Any] = ["x", "y", 1, True, None, {"b": "x"}, [1, 2]]
    for path in ("a.b", "a.c", "d", "$"):
        held = encoder.unbind(vector, path)
        expected = [float(row @ held) for row in encoder.encode(candidates)]
        found = encoder.decode(vector, path, candidates)
        assert [score for _, score in found] == pytest.approx(sorted(expected, reverse=True), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(leaves, st.sampled_from(["a", "a.b", "$", "a[]", "a[].b", "a[][]"]), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_document_of_one_value_holds_that_value_whatever_the_softness(value: Any, path: str, softness: float) -> None:
    encoder = Encoder(dim=256, softness=softness)
    document = {
        "a": value,
        "a.b": {"a": {"b": value}},
        "$": value,
        "a[]": {"a": [value]},
        "a[].b": {"a": [{"b": value}]},
    }
    documents = {**document, "a": {"a": value}, "a[][]": {"a": [[value]]}}
    with interpreted():
        ((found, score),) = encoder.decode(encoder.encode_one(documents[path]), path, [value])
    assert found is value
    assert score > 0.5


def test_a_value_that_alone_is_there_scores_more_than_what_is_unbound_of_it() -> None:
    for softness in (0.25, 0.5, 1.0):
        encoder = Encoder(softness=softness)
        vector = encoder.encode_one({"a": {"b": "Ann Lee"}})
        unbound = float(encoder.unbind(vector, "a.b") @ encoder.encode_one("Ann Lee"))
        assert encoder.decode(vector, "a.b", ["Ann Lee"])[0][1] > unbound + 0.01


@pytest.mark.parametrize("softness", [0.0, 0.5])
@pytest.mark.parametrize("element", range(8))
def test_an_element_is_found_at_any_of_the_first_eight_positions(softness: float, element: int) -> None:
    encoder = Encoder(softness=softness)
    tags = ["red", "green", "blue", "black", "white", "grey", "pink", "brown"]
    vector = encoder.encode_one({"tags": tags[: element + 1]})
    ranked = encoder.decode(vector, "tags[]", [*NAMES, tags[element]])
    assert ranked[0][0] == tags[element]
    offers = encoder.encode_one({"offers": [{"tag": tag} for tag in tags[: element + 1]]})
    assert encoder.decode(offers, "offers[].tag", [*NAMES, tags[element]])[0][0] == tags[element]


def test_the_name_is_not_taken_for_that_of_the_boss() -> None:
    vectors = FITTED.encode(PEOPLE[:50])
    for path in ("name", "boss"):
        best = [FITTED.decode(vector, path, NAMES)[0][0] for vector in vectors]
        assert best == [person[path] for person in PEOPLE[:50]]


def test_decoding_changes_no_vector_of_the_encoder() -> None:
    encoder = Encoder(dim=64).fit(PEOPLE)
    before = encoder.encode(PEOPLE[:5]), encoder.fingerprint
    encoder.decode(before[0][0], "name", NAMES)
    encoder.decode_number(before[0][0], "age")
    assert (encoder.encode(PEOPLE[:5]) == before[0]).all()
    assert encoder.fingerprint == before[1]


@pytest.mark.parametrize(("path", "width"), [("age", 12.0), ("pay", 2000.0)])
def test_a_number_is_within_its_error_bar_nineteen_times_in_twenty(path: str, width: float) -> None:
    numbers = [FITTED.decode_number(vector, path) for vector in FITTED.encode(PEOPLE[:100])]
    within = [number.low <= person[path] <= number.high for number, person in zip(numbers, PEOPLE, strict=False)]
    assert sum(within) >= 95
    assert all(number.low <= number.value <= number.high for number in numbers)
    assert np.median([number.high - number.low for number in numbers]) < width
    errors = [abs(number.value - person[path]) for number, person in zip(numbers, PEOPLE, strict=False)]
    assert np.median(errors) < width / 10


def test_the_error_bar_holds_what_fits_almost_as_well_by_its_formula() -> None:
    vector = FITTED.encode_one(PEOPLE[0])
    number = FITTED.decode_number(vector, "age")
    ages = np.linspace(0, 80, 2001).tolist()
    fits = dict(FITTED.decode(vector, "age", ages))
    assert number.cosine == pytest.approx(max(fits.values()), abs=1e-4)
    within = [age for age, fit in fits.items() if fit > 0 and fit**2 >= number.cosine**2 - 9 / FITTED.dim]
    assert (number.low, number.high) == pytest.approx((min(within), max(within)), abs=0.1)


def test_a_vector_without_the_number_has_an_error_bar_over_most_of_the_range() -> None:
    number = FITTED.decode_number(FITTED.encode_one({"name": "Ann Lee"}), "age")
    assert abs(number.cosine) < 5 * FITTED.dim**-0.5
    assert number.high - number.low > 30


def test_the_only_number_that_was_fitted_is_read_back() -> None:
    for value in (5, 0, -1e300, 1e-12):
        encoder = Encoder().fit([{"n": value}] * 3)
        found = encoder.decode_number(encoder.encode_one({"n": value}), "n")
        assert isinstance(found, Number)
        assert found.value == pytest.approx(value, rel=0.05, abs=0.05)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_places_on_a_scale_and_numbers_are_inverses(values: list[float]) -> None:
    distinct, counts = np.unique(ordered_integers(np.array(values)), return_counts=True)
    fitted = scale_of((0, distinct, counts.astype(np.int64)))
    for scale in (fitted, Scale(0.5, 3.0, 0.25, logs=True)):
        size = max(map(abs, values)) + 2.0
        found = _numbers(scale, np.array([_place(scale, x) for x in values]))
        assert found == pytest.approx(values, rel=1e-6, abs=1e-6 * size)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("name", r"^No numbers at name were fitted, so there is no scale to read one from\.$"),
        ("nothing.here", r"No numbers at nothing\.here were fitted"),
        ("code", r"Numbers at code are symbols, alike only if equal\. Rank candidates for one with decode\."),
        ("age", r"The field age has weight 0: a vector holds nothing of it\."),
    ],
)
def test_what_is_no_number_to_be_read_is_told_in_a_sentence(path: str, message: str) -> None:
    documents = [{"name": "Ann", "code": 7, "age": 3}, {"name": "Bob", "code": 8, "age": 4}]
    encoder = Encoder(dim=64, fields={"code": Field(numbers="symbol"), "age": Field(weight=0)}).fit(documents)
    with pytest.raises(ParameterError, match=message):
        encoder.decode_number(encoder.encode_one(documents[0]), path)


@pytest.mark.parametrize("size", [1e300, 1e-300, 5e-324, 1.7e308])
def test_cosines_do_not_depend_on_the_length_of_a_vector(size: float) -> None:
    encoder = Encoder(dim=64)
    ones = [1.0, -1.0] * 32
    expected = encoder.decode(np.array(ones), "name", ["a", "b"])
    found = encoder.decode(size * np.array(ones), "name", ["a", "b"])
    assert [value for value, _ in found] == [value for value, _ in expected]
    assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in expected])
    assert expected[0][1] != 0.0
    assert [cosine for _, cosine in encoder.decode(np.zeros(64), "name", ["a", "b"])] == [0.0, 0.0]


def test_coordinates_are_told_from_numbers_of_their_own() -> None:
    place = {"lat": 60.2, "lon": 24.9}
    geojson = {"type": "Point", "coordinates": [24.9, 60.2]}
    document = {"a": place, "b": [place], "c": {"lat": 60.2}, "d": {"lat": 99.0, "lon": 1.0}, "e": geojson, **place}
    encoder = Encoder(dim=64)
    found = {path: point_around(encoder, [{}, document], parse_path(path)) for path in PATHS_OF_NUMBERS}
    assert found == {
        "a.lat": ("a",),
        "a.lon": ("a",),
        "b[].lat": ("b", None),
        "lat": (),
        "e.coordinates[]": ("e",),
        **dict.fromkeys(("c.lat", "d.lat", "e.type")),
    }
    symbols = Encoder(dim=64, fields={"a": Field(numbers="symbol")})
    assert point_around(symbols, [document], ("a", "lat")) is None
    assert point_around(encoder, [], ("a", "lat")) is None


def test_a_field_of_weight_0_is_not_decoded_and_bad_paths_and_vectors_are_refused() -> None:
    encoder = Encoder(dim=64, fields={"age": Field(weight=0)})
    with pytest.raises(ParameterError, match=r"The field age\.years has weight 0"):
        encoder.decode(np.ones(64), "age.years", [1])
    for refused in (encoder.decode_number, lambda vector, path: encoder.decode(vector, path, [1])):
        with pytest.raises(PathError, match="not well formed"):
            refused(np.ones(64), "a..b")
        with pytest.raises(ParameterError, match="of 64 numbers"):
            refused(np.ones(63), "a")
    with pytest.raises(ParameterError, match="No numbers at a were fitted"):
        encoder.decode_number(np.ones(64), "a")


@pytest.mark.parametrize(
    ("dim", "fields", "least", "most"), [(512, 15, 0.98, 1.0), (512, 30, 0.76, 0.84), (1024, 30, 0.985, 1.0)]
)
def test_the_theory_of_the_page_on_decoding_is_that_of_the_fidelity_tests(
    dim: int, fields: int, least: float, most: float
) -> None:
    assert least <= theory(dim, fields) <= most
    assert least - 0.04 <= measured(STRICT, dim, fields).accuracy <= min(most + 0.04, 1.0)


def test_the_table_of_the_page_on_decoding_has_the_theory_that_is_calculated() -> None:
    for dim in DIMS:
        for fields in FIELDS:
            assert f"| {dim} | {fields} | {theory(dim, fields):.2f} |" in PAGE.read_text(encoding="utf-8")
