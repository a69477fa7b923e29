from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbat.errors import DocumentError, PathError
from mbat.hashing import domain, hash_text
from mbat.paths import MAX_DEPTH, PathTable, Steps, format_path, parse_path

any_text = st.text(st.characters(), max_size=6)
awkward = st.sampled_from(
    ("", "$", "[]", ".", '"', "\\", "a.b", "a b", 'x"y', "\n", "\x1c", "\x85", "\u2028", "é", "\ud800.")
)
steps = st.lists(st.none() | any_text | awkward, max_size=6).map(tuple)


@given(steps)
def test_a_written_path_reads_back_as_the_same_steps(steps: Steps) -> None:
    assert parse_path(format_path(steps)) == steps


@given(steps, steps)
def test_different_steps_are_written_differently(one: Steps, other: Steps) -> None:
    assert (format_path(one) == format_path(other)) == (one == other)


@given(any_text | st.text('ab.[]"\\$ \n', max_size=8))
def test_any_text_is_a_path_or_a_path_error(text: str) -> None:
    try:
        steps = parse_path(text)
    except PathError:
        return
    assert parse_path(format_path(steps)) == steps


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ((), "$"),
        (("a",), "a"),
        (("$",), '"$"'),
        (("",), '""'),
        ((None,), "[]"),
        (("[]",), '"[]"'),
        (("a", "b", None, "c"), "a.b[].c"),
        ((None, None, "a"), "[][].a"),
        (("a.b", 'say "hi"', "back\\slash"), r'"a.b"."say \"hi\"".back\slash'),
        (("two words", "\n", "日本"), '"two words"."\\n".日本'),
    ],
)
def test_paths_are_written_with_dots_brackets_and_quotes(steps: Steps, path: str) -> None:
    assert format_path(steps) == path
    assert parse_path(path) == steps


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("a..b", "..b"),
        ("a.", "."),
        (".a", ".a"),
        ("a[0]", "[0]"),
        ("a.[]", ".[]"),
        ('"a', '"a'),
        ('a"b"', '"b"'),
        ("a b", " b"),
        ("[]a", "a"),
        ("]", "]"),
    ],
)
def test_a_malformed_path_is_refused_with_what_is_wrong_and_how_to_write_it(path: str, rest: str) -> None:
    message = (
        f"The path {path!r} is not well formed at {rest!r}. Write keys with dots between them, [] for the elements "
        'of an array, and quote a key that holds a dot, a bracket or a space: a."b.c"[].d'
    )
    with pytest.raises(PathError, match=f"^{re.escape(message)}$"):
        parse_path(path)


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(PathError, match=r"^The path is empty\. Write \$ for the whole document\.$"):
        parse_path("")


@pytest.mark.parametrize("path", [r'"\x"', '"a\nb"', r'a."\u12"'])
def test_a_quoted_key_that_is_no_json_string_is_a_path_error(path: str) -> None:
    with pytest.raises(PathError, match="not well formed"):
        parse_path(path)


def test_a_table_numbers_paths_from_the_root_in_the_order_they_are_met() -> None:
    table = PathTable(0)
    a = table.child(0, "a")
    element = table.child(a, None)
    other_a = table.child(element, "a")
    assert (a, element, other_a, table.child(0, "a"), len(table)) == (1, 2, 3, 1, 4)
    assert [table.steps(number) for number in range(4)] == [(), ("a",), ("a", None), ("a", None, "a")]
    assert table.depths.tolist() == [0, 1, 2, 3]
    assert table.elements.tolist() == [0, 0, 1, 0]
    assert table.key_slots.tolist() == [-1, 0, -1, 0]


def test_a_key_has_one_hash_wherever_it_stands_and_a_path_its_own() -> None:
    table = PathTable(7)
    numbers = [table.child(0, "x"), table.child(0, "y")]
    numbers += [table.child(numbers[0], "y"), table.child(numbers[1], "x")]
    x, y, xy, yx = numbers
    assert table.key_hashes[x] == table.key_hashes[yx] == hash_text("x", domain(7, "key"))
    assert table.key_hashes[y] == table.key_hashes[xy] == hash_text("y", domain(7, "key"))
    assert len({table.path_hashes[number] for number in (0, *numbers)}) == 5


def test_path_hashes_do_not_depend_on_the_order_in_which_paths_are_met() -> None:
    one, other = PathTable(0), PathTable(0)
    ab = one.child(one.child(0, "a"), "b")
    other.child(0, "z")
    other_ab = other.child(other.child(0, "a"), "b")
    assert ab != other_ab
    assert one.path_hashes[ab] == other.path_hashes[other_ab]


def test_a_table_refuses_paths_deeper_than_250_steps() -> None:
    table = PathTable(0)
    number = 0
    for _ in range(MAX_DEPTH):
        number = table.child(number, "a")
    assert table.depths[number] == 250
    with pytest.raises(DocumentError) as caught:
        table.child(number, "a")
    assert caught.value.reason == "the document is nested deeper than 250 levels"
