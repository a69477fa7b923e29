"""Patterns of paths: how they are written, and which paths they stand for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbat import PathError
from mbat.paths import format_path, parse_path
from mbat.patterns import Pattern, Wild, format_pattern, is_wild, matches, parse_pattern

few_keys = st.sampled_from(("a", "b", "*", "**", "[]", "a.b", ""))
steps = st.lists(st.none() | few_keys, max_size=5).map(tuple)
patterns = (
    st.lists(st.none() | few_keys | st.sampled_from(Wild), max_size=5)
    .map(tuple)
    .filter(lambda pattern: not pattern or pattern[-1] is not Wild.STEPS)
)


@given(patterns)
def test_a_pattern_is_read_as_it_was_written(pattern: Pattern) -> None:
    assert parse_pattern(format_pattern(pattern)) == pattern


@given(steps)
def test_a_pattern_without_wild_steps_is_a_path(steps: Any) -> None:
    assert not is_wild(steps)
    assert parse_path(format_pattern(steps)) == steps
    assert matches(steps, steps)


@given(patterns, steps)
def test_a_pattern_stands_for_the_paths_that_a_regular_expression_says(pattern: Pattern, steps: Any) -> None:
    """Each step is a letter: elements 0, keys others; so ``*`` is "not 0", and ``**`` anything."""
    letters: dict[str | None, str] = {None: "0"}
    for step in (*pattern, *steps):
        if not isinstance(step, Wild):
            letters.setdefault(step, chr(ord("A") + len(letters)))
    wild = {Wild.KEY: "[^0]", Wild.STEPS: ".*"}
    expression = "".join(wild[step] if isinstance(step, Wild) else letters[step] for step in pattern)
    assert matches(pattern, steps) == bool(re.fullmatch(expression, "".join(letters[step] for step in steps)))


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("*.id", (Wild.KEY, "id")),
        ("**.id", (Wild.STEPS, "id")),
        ('"*".id', ("*", "id")),
        ("a.**[].b", ("a", Wild.STEPS, None, "b")),
        ("a*", ("a*",)),
        ("$", ()),
    ],
)
def test_stars_are_wild_where_they_are_a_step_and_not_quoted(text: str, pattern: Pattern) -> None:
    assert parse_pattern(text) == pattern


@pytest.mark.parametrize("text", ["a.**", "**"])
def test_a_pattern_that_ends_with_any_steps_is_refused(text: str) -> None:
    with pytest.raises(PathError, match=r"ends with \*\*\. A rule holds of all below its path: leave it out\.$"):
        parse_pattern(text)


@pytest.mark.parametrize("text", ["", "a..b", "*.", "a.[]", None, 3])
def test_what_is_no_path_is_no_pattern(text: Any) -> None:
    with pytest.raises(PathError):
        parse_pattern(text)


def test_a_path_is_written_as_before_where_it_holds_a_star() -> None:
    assert format_path(["*", "id"]) == "*.id"
    assert parse_path("*.id") == ("*", "id")
