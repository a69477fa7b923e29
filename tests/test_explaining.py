"""Explanations: parts by path that sum to the score, and say where it comes from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbat import DocumentError, Encoder, Explanation, ParameterError, PathError
from mbat.explaining import ALL_ELSE, Account, explanation
from mbat.picking import only, paths_in, tree_of, values_at
from mbat.terminal import width_of
from tests.json_strategies import documents, places

SHARED = Path(__file__).parent.parent.parent / "shared/data"
SETS = sorted(SHARED.glob("*/documents*.jsonl")) if SHARED.exists() else []

ANN = {"name": "Ann Lee", "born": 1950, "address": {"city": "Oslo", "street": "Long Road"}}
BOB = {"name": "Bob Roy", "born": 1950, "address": {"city": "Oslo"}, "title": "Ann Lee"}


def total(why: Explanation) -> float:
    return math.fsum(part.contribution for part in why.parts)


def parts(why: Explanation) -> dict[tuple[str, str | None], float]:
    return {(part.path, part.other_path): part.contribution for part in why.parts}


def shuffled(value: Any) -> Any:
    """Return a document with the keys of its objects the other way round."""
    if isinstance(value, dict):
        return {key: shuffled(child) for key, child in reversed(value.items())}
    return [shuffled(child) for child in value] if isinstance(value, list) else value


@settings(max_examples=150, deadline=None)
@given(documents, documents, st.sampled_from((0.0, 0.5)))
def test_parts_sum_to_the_score(first: Any, second: Any, softness: float) -> None:
    encoder = Encoder(dim=64, softness=softness)
    why = encoder.explain(first, second)
    score = float(encoder.encode_one(first) @ encoder.encode_one(second))
    assert why.score == pytest.approx(score, abs=1e-5)
    assert total(why) == pytest.approx(score, abs=1e-5)
    assert total(why.grouped()) == pytest.approx(score, abs=1e-5)
    assert math.fsum(part.possible for part in why.parts) == pytest.approx(1.0, abs=1e-5)


@settings(deadline=None)
@given(documents | places, st.booleans(), st.sampled_from((0.0, 0.5)))
def test_a_document_explains_itself_wholly(document: Any, fitted: bool, softness: float) -> None:
    encoder = Encoder(dim=64, softness=softness)
    if fitted:
        encoder.fit([document] * 3)
    why = encoder.explain(document, document)
    assert why.score == pytest.approx(1.0, abs=1e-5)
    assert why.agreement == pytest.approx(1.0, abs=1e-5)
    assert all(part.other_path is not None for part in why.parts)


@settings(deadline=None)
@given(documents, documents)
def test_the_order_of_keys_does_not_matter(first: Any, second: Any) -> None:
    encoder = Encoder(dim=64)
    expected, found = (parts(encoder.explain(*pair)) for pair in ((first, second), (shuffled(first), shuffled(second))))
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.skipif(not SETS, reason="the shared data are not here")
@pytest.mark.parametrize("path", SETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_parts_sum_to_the_score_on_real_documents(path: Path) -> None:
    with path.open("rb") as file:
        real = [orjson.loads(line) for line, _ in zip(file, range(60), strict=False)]
    encoder = Encoder().fit(real)
    vectors = encoder.encode(real)
    accounts = [encoder.account(document) for document in real]
    for i in range(len(real) - 1):
        why = explanation(accounts[i], accounts[i + 1], None)
        assert total(why) == pytest.approx(float(vectors[i] @ vectors[i + 1]), abs=1e-5)


def test_a_value_that_matches_under_another_key_is_told_with_both_keys() -> None:
    cross = next(part for part in Encoder().explain(ANN, BOB).parts if part.other_path == "title")
    assert (cross.path, cross.value, cross.other_value, cross.possible) == ("name", "Ann Lee", "Ann Lee", 0.0)
    assert cross.contribution > 0.05


def test_a_field_that_the_other_document_lacks_adds_nothing_and_shows_what_it_might() -> None:
    why = Encoder().explain(ANN, BOB)
    street = next(part for part in why.parts if part.path == "address.street" and part.other_path is None)
    assert (street.contribution, street.value, street.other_value) == (0.0, "Long Road", None)
    assert street.possible > 0.05


def test_parts_come_in_the_order_of_what_they_add_and_all_else_comes_last() -> None:
    found = Encoder().explain(ANN, BOB).parts
    assert found[-1].path == found[-1].other_path == ALL_ELSE
    assert list(found[:-1]) == sorted(found[:-1], key=lambda part: -part.contribution)


def test_agreement_looks_at_the_fields_of_the_first_document_alone() -> None:
    encoder = Encoder()
    document = {**ANN, "hobby": "chess", "notes": ["a", "b"]}
    assert encoder.explain({"name": "Ann Lee"}, document).agreement == pytest.approx(1.0, abs=1e-6)
    assert encoder.explain({"address": {"city": "Oslo"}}, document).agreement == pytest.approx(1.0, abs=1e-6)
    assert encoder.explain({"name": "Bob Roy"}, document).agreement < 0.5
    assert encoder.explain({"name": "Ann Lee"}, document).score < 0.8


def test_fields_are_taken_together_below_one_path() -> None:
    why = Encoder().explain(ANN, BOB)
    together = next(part for part in why.grouped(1).parts if part.path == "address")
    apart = [part for part in why.parts if (part.other_path or part.path).startswith("address")]
    assert together.contribution == pytest.approx(sum(part.contribution for part in apart), abs=1e-12)
    assert together.possible == pytest.approx(sum(part.possible for part in apart), abs=1e-12)
    assert (together.value, together.other_value) == (ANN["address"], BOB["address"])
    assert why.grouped(5) == why


@pytest.mark.parametrize("depth", [0, -1, 1.0, True, None])
def test_a_depth_that_is_none_is_refused(depth: Any) -> None:
    with pytest.raises(ParameterError, match="depth is how many keys of a path stay, 1 or more"):
        Encoder(dim=16).explain(1, 1).grouped(depth)


def test_what_is_no_document_is_refused_with_its_place() -> None:
    with pytest.raises(DocumentError, match=r"^At \$\.a\[1\]: "):
        Encoder(dim=16).explain({"a": 1}, {"a": [1, {2}]})


TABLE = """\
score 0.633, agreement in the fields asked for 0.637
born             0.409 ███████████▏ = 1950
address.city     0.168 ████▋        = Oslo
name <-> title   0.090 ██▌          = Ann Lee
name             0.024 ▋░░░░░░      Ann Lee | Bob Roy
address          0.016 ▌            {"city":"Oslo","street":"… | {"city":"Oslo"}
address.street   0.000 ░░░░         Long Road | missing
all else        -0.075 --
"""


def test_an_explanation_prints_as_a_table_of_bars() -> None:
    assert str(Encoder().explain(ANN, BOB)) == TABLE.rstrip()


@settings(max_examples=50, deadline=None)
@given(documents, documents, st.integers(40, 200))
def test_a_table_has_no_line_that_is_too_wide_or_steers_the_terminal(first: Any, second: Any, width: int) -> None:
    from mbat.explanation_table import explanation_table

    for line in explanation_table(Encoder(dim=16).explain(first, second), width).split("\n"):
        assert line.isprintable()
        assert width_of(line) <= max(width, 54)  # what the first line says


@settings(deadline=None)
@given(documents)
def test_values_are_found_at_every_path_of_a_document(document: Any) -> None:
    for steps in paths_in(document):
        assert values_at(document, steps)
    assert values_at(document, ("no such key at all",)) == []
    assert only(document, tree_of(paths_in(document))) == document


@settings(deadline=None)
@given(documents, documents)
def test_what_is_kept_of_a_document_stands_at_paths_that_are_wanted(document: Any, wanted: Any) -> None:
    tree = tree_of(paths_in(wanted))
    kept = only(document, tree)
    ends = {
        steps for steps in paths_in(wanted) if not any(longer[:-1] == steps for longer in paths_in(wanted) if longer)
    }
    for steps in paths_in(kept):
        assert steps in paths_in(wanted) or any(steps[: len(end)] == end for end in ends)


def test_an_account_of_several_documents_gives_the_values_of_all() -> None:
    account = Account([("a",)], Encoder(dim=16).account({"a": 1}).rows, [{"a": 1}, {"b": 2}, {"a": None}])
    assert account.value(("a",)) == [1, None]


def test_a_path_that_is_not_well_formed_is_refused_by_unbind() -> None:
    with pytest.raises(PathError):
        Encoder(dim=16).unbind(Encoder(dim=16).encode_one(1), "a..b")


def test_agreement_holds_where_a_field_adds_nothing_but_changes_another() -> None:
    """Where all documents have a point its longitude adds nothing by itself, and yet makes the point."""
    points = [{"name": f"place {i}", "lat": float(i), "lon": 2.0 * i} for i in range(50)]
    encoder = Encoder().fit(points)
    assert encoder.explain({"lat": 13.0, "lon": 26.0}, points[13]).agreement == pytest.approx(1.0, abs=1e-6)
    assert encoder.explain({"lat": 13.0, "lon": 46.0}, points[13]).agreement < 0.9


@pytest.mark.parametrize(
    ("first", "second"), [(1, True), ([1, 0], [True, False]), ([[1], [2]], [[1, 2]]), ({"y": 0}, {"y": False})]
)
def test_what_python_takes_for_equal_is_not_shown_as_equal(first: Any, second: Any) -> None:
    assert not any("= " in line for line in str(Encoder().explain({"x": first}, {"x": second})).splitlines())
    assert any("= " in line for line in str(Encoder().explain({"x": first}, {"x": first})).splitlines())


def test_wide_characters_are_counted_as_wide() -> None:
    first, second = {"title": "東京都渋谷区の長い題名" * 5}, {"title": "東京都新宿区の長い題名" * 5, "name": "東京"}
    assert max(map(width_of, str(Encoder().explain(first, second)).splitlines())) <= 80


def test_values_below_arrays_keep_the_form_of_these() -> None:
    (part,) = (part for part in Encoder().explain([[1], [2, 3]], [[1]]).parts if part.path == "[][]")
    assert (part.value, part.other_value) == ([[1], [2, 3]], [[1]])


@pytest.mark.parametrize(
    ("first", "second", "path", "values"),
    [
        (
            {"lat": 1.0, "lon": 2.0},
            {"lat": 1.0, "lon": 9.0},
            "lat",
            ({"lat": 1.0, "lon": 2.0}, {"lat": 1.0, "lon": 9.0}),
        ),
        (
            {"at": [{"latitude": 1.0, "longitude": 2.0}, {"latitude": 3.0, "longitude": 4.0}]},
            {"at": [{"latitude": 1.0, "longitude": 2.0}]},
            "at[].latitude",
            ({"latitude": [1.0, 3.0], "longitude": [2.0, 4.0]}, {"latitude": [1.0], "longitude": [2.0]}),
        ),
        (
            {"type": "Point", "coordinates": [2.0, 1.0]},
            {"type": "Point", "coordinates": [9.0, 1.0]},
            "coordinates[]",
            ([2.0, 1.0], [9.0, 1.0]),
        ),
        ({"lat": 100.0, "lon": 2.0}, {"lat": 1.0}, "lat", (100.0, 1.0)),
    ],
)
def test_a_point_is_told_by_both_of_its_coordinates(
    first: Any, second: Any, path: str, values: tuple[Any, Any]
) -> None:
    part = next(part for part in Encoder().explain(first, second).parts if part.path == part.other_path == path)
    assert (part.value, part.other_value) == values
