"""Rules for single fields: weights, fields that are left out, and how strings and numbers are taken."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from mbat import Encoder, Field, ParameterError
from mbat.binding import FAMILIES
from mbat.configuration import configured_encoder
from mbat_cli.main import cli
from tests.json_strategies import compiled, documents, interpreted, ruled_batches
from tests.json_strategies import fields as any_fields

WORDY = {"name": "Ann Lee", "tags": ["a", "b"], "seller": {"city": "Oslo", "score": 3.5}, "geo": {"lat": 60, "lon": 11}}


def cosine(encoder: Encoder, a: Any, b: Any) -> float:
    first, second = encoder.encode([a, b])
    return float(first @ second)


@settings(deadline=None)
@given(documents)
def test_a_field_of_weight_0_is_as_if_it_were_missing(document: Any) -> None:
    noisy = {"kept": document, "noise": {"x": [1, "two", {"y": None}], "z": document}}
    encoder = Encoder(dim=64, fields={"noise": Field(weight=0)})
    assert np.array_equal(encoder.encode_one(noisy), encoder.encode_one({"kept": document}))


@pytest.mark.parametrize("binding", ["signed-permutation", "haar"])
def test_what_is_left_out_changes_neither_vectors_nor_statistics_of_words(binding: str) -> None:
    bare = [{"a": "one", "in": [{"b": 2}, {"b": 3}]}, {"a": "two", "in": []}]
    noisy: list[Any] = copy.deepcopy(bare)
    noisy[0] |= {"id": "one two three", "in": [{"b": 2, "c": "x"}, {"c": "one", "b": 3}]}
    encoder = Encoder(dim=128, binding=binding, fields={"id": {"weight": 0}, "in[].c": {"weight": 0}})
    fitted = copy.copy(encoder).fit(noisy)
    assert np.array_equal(fitted.statistics.frequencies, copy.copy(encoder).fit(bare).statistics.frequencies)
    np.testing.assert_allclose(fitted.encode(noisy), fitted.encode(bare), atol=1e-6)


@pytest.mark.parametrize("binding", FAMILIES)
@pytest.mark.parametrize("document", [{"id": 7}, {"in": [{"x": 1}]}])
def test_a_document_of_which_all_is_left_out_has_the_vector_zero(binding: str, document: Any) -> None:
    encoder = Encoder(dim=64, softness=0.0, binding=binding, fields={"id": Field(weight=0), "in[].x": {"weight": 0}})
    rows = encoder.encode([document, {"id": 7, "a": 1}])
    assert not rows[0].any()
    assert float(np.linalg.norm(rows[1])) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("binding", ["signed-permutation", "haar"])
def test_a_weight_multiplies_the_part_of_its_field(binding: str) -> None:
    """With v = p + q and weight w, the vector is (w p + q) / |w p + q|, p and q the parts alone but for their norm."""
    rest = {key: value for key, value in WORDY.items() if key != "seller"}
    plain = Encoder(dim=256, binding=binding)
    parts = plain.encode([{"seller": WORDY["seller"]}, rest]).astype(float)
    shares = []
    for weight in (0.5, 1, 2, 8):
        row = Encoder(dim=256, binding=binding, fields={"seller": Field(weight=weight)}).encode_one(WORDY).astype(float)
        (p, q), residual, *_ = np.linalg.lstsq(parts.T, row, rcond=None)
        assert residual < 1e-10
        shares.append(p / q)
    np.testing.assert_allclose(np.array(shares) / shares[1], [0.5, 1, 2, 8], rtol=1e-4)


@pytest.mark.parametrize("binding", FAMILIES)
def test_weights_of_fields_within_each_other_multiply(binding: str) -> None:
    """Strictly bound, as in the test above: the parts of the leaves alone, in units of that of one without a rule."""
    document = {"seller": {"city": "Oslo", "score": 1}, "name": "Ann Lee"}
    plain = Encoder(dim=256, softness=0.0, binding=binding)
    parts = plain.encode([{"seller": {"city": "Oslo"}}, {"seller": {"score": 1}}, {"name": "Ann Lee"}]).astype(float)

    def shares(fields: dict[str, Field]) -> Any:
        encoder = Encoder(dim=256, softness=0.0, binding=binding, fields=fields)
        found, residual, *_ = np.linalg.lstsq(parts.T, encoder.encode_one(document).astype(float), rcond=None)
        assert residual < 1e-10
        return found[:2] / found[2]

    weighted = shares({"seller": Field(weight=2), "seller.city": Field(weight=3)})
    np.testing.assert_allclose(weighted / shares({}), [6, 2], rtol=1e-4)


@pytest.mark.parametrize("binding", FAMILIES)
@pytest.mark.parametrize("weight", [0.001, 1000])
def test_weights_of_many_fields_within_each_other_leave_vectors_of_norm_1(binding: str, weight: float) -> None:
    document: Any = "deep"
    for _ in range(120):
        document = {"a": document}
    fields = {".".join("a" * depth): Field(weight=weight) for depth in range(1, 121)}
    row = Encoder(dim=32, softness=0.0, binding=binding, fields=fields).encode_one(document)
    assert float(np.linalg.norm(row)) == pytest.approx(1.0, abs=1e-6)


def test_strings_of_one_field_can_be_symbols_beside_texts() -> None:
    encoder = Encoder(fields={"sku": Field(strings="symbol")})
    assert (
        cosine(encoder, {"sku": "AB-100"}, {"sku": "AB-101"})
        < 0.4
        < cosine(Encoder(), {"sku": "AB-100"}, {"sku": "AB-101"})
    )
    assert cosine(encoder, {"name": "Ann Lee"}, {"name": "Ann Leo"}) == cosine(
        Encoder(), {"name": "Ann Lee"}, {"name": "Ann Leo"}
    )


def test_a_rule_holds_below_its_path_and_a_deeper_one_overrides_it() -> None:
    encoder = Encoder(fields={"a": Field(numbers="symbol"), "a.b[]": Field(numbers="scaled")})
    plain, symbols = Encoder(), Encoder(numbers="symbol")
    for document in ({"a": 5}, {"a": {"c": [5, 6]}}):
        assert np.array_equal(encoder.encode_one(document), symbols.encode_one(document))
    for document in ({"a": {"b": [5, 6]}}, {"d": 5}):
        assert np.array_equal(encoder.encode_one(document), plain.encode_one(document))


@settings(max_examples=60, deadline=None)
@given(any_fields, ruled_batches)
def test_whatever_the_rules_a_row_depends_on_its_document_alone(fields: dict[str, Field], documents: list[Any]) -> None:
    encoder = Encoder(dim=48, fields=fields)
    documents = [*documents, WORDY]
    rows = encoder.encode(documents)
    fresh = Encoder(dim=48, fields=fields)
    for document, row in zip(documents, rows, strict=True):
        assert row.tobytes() == fresh.encode_one(document).tobytes()


@settings(max_examples=40, deadline=None)
@given(any_fields, ruled_batches.filter(bool))
def test_whatever_the_rules_kernels_and_the_dense_reference_agree(
    fields: dict[str, Field], documents: list[Any]
) -> None:
    encoder = Encoder(dim=48, fields=fields)
    with interpreted():
        slow = encoder.encode(documents)
    with compiled():
        fast = encoder.encode(documents)
        densely = encoder._encode_densely(encoder._ready().prepare(documents))
    assert fast.tobytes() == slow.tobytes()
    np.testing.assert_allclose(fast, densely, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", [Field(weight=0), Field(numbers="symbol")])
def test_a_latitude_with_a_rule_of_its_own_leaves_the_longitude_a_number(rule: Field) -> None:
    encoder = Encoder(fields={"geo.lat": rule})
    near, far = {"geo": {"lat": 60, "lon": 11.01}}, {"geo": {"lat": 60, "lon": 170}}
    assert (
        cosine(encoder, {"geo": {"lat": 60, "lon": 11}}, near)
        > cosine(encoder, {"geo": {"lat": 60, "lon": 11}}, far) + 0.1
    )


@pytest.mark.parametrize("rule", [Field(weight=0), Field(numbers="symbol")])
def test_points_after_a_latitude_with_a_rule_of_its_own_are_found(rule: Field) -> None:
    encoder = Encoder(fields={"geo.lat": rule})
    home = {"home": {"lat": 60, "lon": 11}}
    assert np.array_equal(encoder.encode([{"geo": {"lat": 5, "lon": 6}}, home])[1], Encoder().encode_one(home))


POINT = {"g": {"type": "Point", "coordinates": [11, 60]}}


@pytest.mark.parametrize("rule", [Field(weight=0), Field(numbers="symbol")])
@pytest.mark.parametrize("path", ["g.coordinates", "g.coordinates[]"])
def test_a_rule_of_geojson_coordinates_holds_and_changes_no_other_document_of_the_batch(path: str, rule: Field) -> None:
    encoder, home = Encoder(fields={path: rule}), {"home": {"lat": 60, "lon": 11}}
    first, second, third = encoder.encode([POINT, home, POINT])
    assert np.array_equal(second, Encoder().encode_one(home))
    assert np.array_equal(first, third)
    assert np.array_equal(first, encoder.encode_one(POINT))
    near = {"g": {"type": "Point", "coordinates": [11.01, 60.01]}}
    far = {"g": {"type": "Point", "coordinates": [-70, -20]}}
    assert abs(float(first @ encoder.encode_one(near) - first @ encoder.encode_one(far))) < 0.1
    assert cosine(Encoder(), POINT, near) > cosine(Encoder(), POINT, far) + 0.1


def test_geojson_coordinates_are_a_point_if_their_numbers_are_coded_by_closeness_whatever_their_array_is() -> None:
    scaled = Field(numbers="scaled")
    encoder = Encoder(numbers="symbol", fields={"g.coordinates[]": scaled, "g.type": scaled})
    assert np.array_equal(encoder.encode_one(POINT), Encoder().encode_one(POINT))


def test_rules_are_part_of_equality_fingerprint_and_what_is_saved(tmp_path: Path) -> None:
    encoder = Encoder(fields={"b": Field(strings="words"), '"a"': {"weight": 2}}).fit([WORDY])
    assert encoder.parameters["fields"] == {"a": {"weight": 2.0}, "b": {"strings": "words"}}
    assert Encoder(**encoder.parameters).fit([WORDY]) == encoder
    assert encoder.fingerprint != Encoder().fit([WORDY]).fingerprint
    encoder.save(tmp_path)
    assert Encoder.load(tmp_path) == encoder
    assert "fields={'a': {'weight': 2.0}" in repr(encoder)


def test_rules_that_say_nothing_are_none() -> None:
    bare, fields = Encoder(dim=32), {"a": Field(), "b": Field(weight=1.0), "c": {}}
    said = Encoder(dim=32, softness=0.5, fields=fields)
    assert said == bare
    assert said.fingerprint == bare.fingerprint
    zeros = [Encoder(softness=zero, fields={"a": Field(weight=zero)}).fingerprint for zero in (0.0, -0.0, 0)]
    assert len(set(zeros)) == 1


def test_a_path_may_hold_half_of_a_surrogate_pair(tmp_path: Path) -> None:
    encoder = Encoder(dim=32, fields={"\ud800": Field(weight=2)}).fit([{"\ud800": 1}])
    encoder.save(tmp_path)
    assert Encoder.load(tmp_path) == encoder
    assert encoder.fingerprint != Encoder(dim=32, fields={"\ud801": Field(weight=2)}).fit([{"\ud800": 1}]).fingerprint


def test_fields_that_no_fitted_document_has_are_told() -> None:
    fields = {"seller.city": Field(weight=2), "seller.town": Field(weight=2), "tags[]": Field(weight=2)}
    assert Encoder(fields=fields).fit([WORDY]).unmatched_fields() == ["seller.town"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"a": Field(weight=-1001)},
            "The field 'a': weight is 0 or a number from 0.001 to 1000, or as much below 0; -1001 is not.",
        ),
        (
            {"a": {"weight": float("nan")}},
            "The field 'a': weight is 0 or a number from 0.001 to 1000, or as much below 0; nan is not.",
        ),
        ({"a": {"weight": 1e-200}}, "1e-200 is not."),
        ({"a": {"weight": 1000.5}}, "1000.5 is not."),
        ({"a": {"weight": True}}, "True is not"),
        ({"a": {"strings": "wrds"}}, "The field 'a': strings is one of 'text', 'words', 'symbol'; 'wrds' is not."),
        ({"a": {"wieght": 1}}, "The field 'a': a rule is of weight, strings, numbers"),
        ({"a": 3}, "The field 'a': a rule is of weight"),
        ({"a[": Field()}, r"The path 'a\[' is not well formed"),
        ({"$": Field()}, r"\$ is the whole document"),
        ({"a": Field(), '"a"': Field()}, "has two rules"),
        ({3: Field()}, "3 is no path"),
        (
            {".".join("a" * 251): Field()},
            "fields: The path 'a.a.a.*'... has 251 steps; documents have at most 250 levels",
        ),
        ([("a", Field())], "fields maps paths to rules"),
    ],
)
def test_a_rule_that_is_not_well_formed_is_refused_with_its_path(fields: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message.replace("(", r"\(")):
        Encoder(fields=fields)


CONFIGURATION = """
dim = 64
[fields]
id = { weight = 0 }
"seller.name" = { weight = 3, strings = "words" }
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_configuration_is_the_arguments_of_an_encoder(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "mbat.toml"
    path.write_text(CONFIGURATION, encoding=encoding)
    fields = {"id": Field(weight=0), "seller.name": Field(weight=3, strings="words")}
    assert configured_encoder(path) == Encoder(dim=64, fields=fields)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"dim = ", "is no TOML: Invalid value"),
        (b"\xff", "is no TOML: 'utf-8' codec"),
        (b"x = " + 3000 * b"[", "is nested too deep"),
        (b"dims = 4", "has 'dims'; its entries are dim, seed, softness, binding, strings, numbers, fields."),
        (b"dim = 4", "dim is the length of the vectors, an integer from 16"),
        (b"fields.a.b.weight = 2", "The field 'a': .* Quote a path of several keys: \"seller.name\""),
        (b"fields.a.weight = 'x'", "The field 'a': weight is 0 or a number"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_broken_configuration_is_refused_with_its_name(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "mbat.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ParameterError, match=message) as caught:
        configured_encoder(path)
    assert str(path) in str(caught.value)


def test_the_commands_take_a_configuration_and_tell_of_fields_that_no_document_has(tmp_path: Path) -> None:
    source, config = tmp_path / "docs.jsonl", tmp_path / "mbat.toml"
    source.write_text('{"id": 1, "name": "Ann"}\n{"id": 2, "name": "Bob"}\n')
    config.write_text(CONFIGURATION)
    made = CliRunner().invoke(cli, ["index", str(source), "-o", str(tmp_path / "a.mbat"), "--config", str(config)])
    assert made.exit_code == 0
    assert "Note: no document has the field seller.name of the configuration." in made.stderr
    assert Encoder.load(tmp_path / "a.mbat") == configured_encoder(config).fit(
        [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}]
    )
    vectors = tmp_path / "v.npy"
    encoded = CliRunner().invoke(cli, ["encode", str(source), "-o", str(vectors), "--config", str(config)])
    assert encoded.exit_code == 0
    assert np.load(vectors).shape == (2, 64)
    both = CliRunner().invoke(
        cli, ["encode", str(source), "-o", str(vectors), "--config", str(config), "--encoder", str(tmp_path / "a.mbat")]
    )
    assert both.exit_code == 2
    assert "and not both" in both.stderr


def test_the_configuration_in_the_readme_is_one(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    path = tmp_path / "mbat.toml"
    path.write_text(readme.split("<!-- configuration -->\n```toml\n")[1].split("```")[0])
    assert configured_encoder(path).dim == 512
