from __future__ import annotations

import enum
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from mbat.columns import Columns, Kind, Walker
from mbat.complaints import check_document
from mbat.errors import DocumentError
from mbat.paths import PathTable
from tests.json_strategies import batches


def walk(*documents: Any) -> Columns:
    return Walker(PathTable(0)).columns(documents)


def tape(columns: Columns) -> list[tuple[int, Kind]]:
    return [(item >> 4, Kind(item & 15)) for item in columns.items.tolist()]


def strings(columns: Columns) -> list[str]:
    ends = columns.text_ends.tolist()
    text = columns.text.tobytes().decode("utf-32-le", "surrogatepass")
    return [text[start:end] for start, end in zip([0, *(end + 1 for end in ends)], ends, strict=False)]


def contents(columns: Columns) -> tuple[list[tuple[int, Kind]], list[int], list[str], list[float]]:
    return tape(columns), columns.ends.tolist(), strings(columns), columns.numbers.tolist()


def test_a_document_is_a_tape_of_paths_and_kinds_with_strings_and_numbers_beside_it() -> None:
    columns = walk({"a": "Xy", "b": [1, "q", {"c": None}], "d": {}, "e": [], "f": True, "g": {"a": False}})
    assert tape(columns) == [
        (0, Kind.OBJECT),
        (1, Kind.STRING),
        (2, Kind.ARRAY),
        (3, Kind.NUMBER),
        (3, Kind.STRING),
        (3, Kind.OBJECT),
        (4, Kind.NULL),
        (5, Kind.EMPTY_OBJECT),
        (6, Kind.EMPTY_ARRAY),
        (7, Kind.TRUE),
        (8, Kind.OBJECT),
        (9, Kind.FALSE),
    ]
    assert columns.items.dtype == np.int64
    assert columns.items[1] == 1 << 4 | 2
    assert columns.ends.tolist() == [12]
    assert columns.text.dtype == np.uint32
    assert columns.text[:4].tolist() == [ord("x"), ord("y"), ord("\n"), ord("q")]
    assert columns.text_ends.tolist() == [2, 4]
    assert columns.numbers.tolist() == [1.0]
    assert columns.numbers.dtype == np.float64
    assert [columns.paths.steps(path) for path in range(10)] == [
        (), ("a",), ("b",), ("b", None), ("b", None, "c"), ("d",), ("e",), ("f",), ("g",), ("g", "a"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("root", "kind", "texts", "numbers"),
    [
        ("Ab", Kind.STRING, ["ab"], []),
        ("", Kind.STRING, [""], []),
        (3, Kind.NUMBER, [], [3.0]),
        (-0.5, Kind.NUMBER, [], [-0.5]),
        (False, Kind.FALSE, [], []),
        (True, Kind.TRUE, [], []),
        (None, Kind.NULL, [], []),
        ({}, Kind.EMPTY_OBJECT, [], []),
        ([], Kind.EMPTY_ARRAY, [], []),
        ((), Kind.EMPTY_ARRAY, [], []),
    ],
)
def test_a_root_that_is_a_leaf_is_one_item(root: Any, kind: Kind, texts: list[str], numbers: list[float]) -> None:
    assert contents(walk(root)) == ([(0, kind)], [1], texts, numbers)


def test_zero_is_not_false_and_one_is_not_true() -> None:
    assert [kind for _, kind in tape(walk([0, False, 1, True, 0.0]))[1:]] == [
        Kind.NUMBER, Kind.FALSE, Kind.NUMBER, Kind.TRUE, Kind.NUMBER,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("array", "kinds"),
    [
        (["a", "b"], [Kind.STRING, Kind.STRING]),
        ([1, 2], [Kind.NUMBER, Kind.NUMBER]),
        ([1.5, 2.5], [Kind.NUMBER, Kind.NUMBER]),
        ([1, 2.5], [Kind.NUMBER, Kind.NUMBER]),
        ([1, "a"], [Kind.NUMBER, Kind.STRING]),
        ([True, 1], [Kind.TRUE, Kind.NUMBER]),
        ([[], {}], [Kind.EMPTY_ARRAY, Kind.EMPTY_OBJECT]),
    ],
)
def test_elements_of_an_array_share_one_path(array: list[Any], kinds: list[Kind]) -> None:
    assert tape(walk(array)) == [(0, Kind.ARRAY), *((1, kind) for kind in kinds)]


def test_documents_of_a_batch_share_paths_and_end_where_the_next_starts() -> None:
    columns = walk({"a": 1}, "x", {"b": 2, "a": "y"}, [])
    assert contents(columns) == (
        [
            *((0, Kind.OBJECT), (1, Kind.NUMBER)),
            (0, Kind.STRING),
            *((0, Kind.OBJECT), (2, Kind.NUMBER), (1, Kind.STRING)),
            (0, Kind.EMPTY_ARRAY),
        ],
        [2, 3, 6, 7],
        ["x", "y"],
        [1.0, 2.0],
    )
    assert len(columns) == 4


def test_no_documents_are_empty_columns() -> None:
    columns = walk()
    assert contents(columns) == ([], [], [], [])
    assert len(columns) == 0


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["İi", "B"], ["i̇i", "b"]),
        (["ΟΔΟΣ", "Σ", "ΣΑ"], ["οδος", "σ", "σα"]),
        (["ΟΔΟΣ", "Σ", "İ"], ["οδος", "σ", "i̇"]),
        (["a\nB", "", "\n"], ["a\nb", "", "\n"]),
        (["\ud800X", "😀"], ["\ud800x", "😀"]),
    ],
)
def test_each_string_is_lower_cased_by_itself(written: list[str], read: list[str]) -> None:
    assert strings(walk(*written)) == read


@given(batches)
def test_a_document_is_read_alike_alone_and_in_a_batch(documents: list[Any]) -> None:
    table = PathTable(0)
    walker = Walker(table)
    together = contents(walker.columns(documents))
    apart = [contents(walker.columns([document])) for document in documents]
    assert together[0] == [item for part in apart for item in part[0]]
    assert together[1] == np.cumsum([part[1] for part in apart]).tolist()
    assert together[2] == [text for part in apart for text in part[2]]
    assert together[3] == [number for part in apart for number in part[3]]


Point = namedtuple("Point", ["x", "y"])


class Fruit(str, enum.Enum):  # noqa: UP042
    APPLE = "Apple"


class Colour(enum.IntEnum):
    RED = 7


class Name(str):
    __slots__ = ()


class Record(dict[str, Any]):
    pass


class Row(list[Any]):
    pass


@pytest.mark.parametrize(
    ("unusual", "plain"),
    [
        ((1, "a"), [1, "a"]),
        (Point(1, 2), [1, 2]),
        (Row([1, "a"]), [1, "a"]),
        (OrderedDict(a=1), {"a": 1}),
        (Record(a=[1]), {"a": [1]}),
        (Record(), {}),
        (Row(), []),
        (Name("Bob"), "Bob"),
        (Fruit.APPLE, "Apple"),
        (Colour.RED, 7),
        (np.float64(2.5), 2.5),
        ({Name("a"): 1}, {"a": 1}),
    ],
)
@pytest.mark.parametrize("place", [lambda value: value, lambda value: {"k": value}, lambda value: [value, None]])
def test_subclasses_are_read_as_json_writes_them(unusual: Any, plain: Any, place: Callable[[Any], Any]) -> None:
    assert contents(walk(place(unusual))) == contents(walk(place(plain)))


NOT_A_NUMBER = "is not a JSON number; leave the field out or write null"
TOO_LARGE = "the number is beyond the range of a 64-bit float; write it as a string"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), f"nan {NOT_A_NUMBER}"),
        (float("inf"), f"inf {NOT_A_NUMBER}"),
        (float("-inf"), f"-inf {NOT_A_NUMBER}"),
        (np.float64("nan"), f"nan {NOT_A_NUMBER}"),
        (10**400, TOO_LARGE),
        (-(10**400), TOO_LARGE),
        ({1}, "{1} of type set is not a JSON value"),
        (b"ab", "b'ab' of type bytes is not a JSON value"),
        (Decimal("1.5"), "Decimal('1.5') of type Decimal is not a JSON value"),
        (np.int64(3), "np.int64(3) of type int64 is not a JSON value"),
        (1j, "1j of type complex is not a JSON value"),
        (b"x" * 100, "b'" + "x" * 58 + " of type bytes is not a JSON value"),
    ],
)
@pytest.mark.parametrize(
    ("place", "path"),
    [
        (lambda value: value, "$"),
        (lambda value: {"a": 1, "b.c": value}, '$."b.c"'),
        (lambda value: ["x", value], "$[1]"),
        (lambda value: [value], "$[0]"),
        (lambda value: [1, 2.0, value], "$[2]"),
        (lambda value: {"a": ({"b": [[], [0, value]]},)}, "$.a[0].b[1][1]"),
    ],
)
def test_a_value_that_is_not_json_is_refused_with_its_place(
    value: Any, reason: str, place: Callable[[Any], Any], path: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        walk({"fine": 1}, place(value), {"never": "seen"})
    error = caught.value
    assert (error.reason, error.path, error.position) == (reason, path, 1)
    assert str(error) == f"At document 1, {path}: {reason}."


@pytest.mark.parametrize("key", [1, 1.5, True, b"a", (), None])
@pytest.mark.parametrize("value", ["x", 1, None, True, [], [1], {}, {"a": 1}])
def test_a_key_that_is_not_a_string_is_refused_whatever_it_holds(key: Any, value: Any) -> None:
    with pytest.raises(DocumentError) as caught:
        walk({"a": {"fine": 1, key: value}})
    error = caught.value
    assert (error.reason, error.path, error.position) == (f"the key {key!r} is not a string", "$.a", 0)


def test_the_first_of_several_bad_values_is_named() -> None:
    with pytest.raises(DocumentError) as caught:
        walk({"a": 1}, {"a": [1, float("inf")], "b": {2}}, float("nan"))
    assert (caught.value.path, caught.value.position) == ("$.a[1]", 1)


def test_a_walker_works_on_after_a_document_that_it_refused() -> None:
    walker = Walker(PathTable(0))
    with pytest.raises(DocumentError):
        walker.columns([{"a": "left over", "b": 1, "c": b""}])
    assert contents(walker.columns([{"a": "x"}])) == ([(0, Kind.OBJECT), (1, Kind.STRING)], [2], ["x"], [])


def nested(levels: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


WRAPPERS = pytest.mark.parametrize(
    ("wrap", "step"),
    [
        pytest.param(lambda value: {"a": value}, ".a", id="objects"),
        pytest.param(lambda value: [value], "[0]", id="arrays"),
        pytest.param(lambda value: (value,), "[0]", id="tuples"),
        pytest.param(lambda value: Record(a=value), ".a", id="subclasses of dict"),
    ],
)


@WRAPPERS
def test_250_levels_of_nesting_are_read(wrap: Callable[[Any], Any], step: str) -> None:
    columns = walk(nested(250, wrap))
    kind = Kind.OBJECT if step == ".a" else Kind.ARRAY
    assert tape(columns) == [*((level, kind) for level in range(250)), (250, Kind.NUMBER)]


@WRAPPERS
def test_251_levels_of_nesting_are_refused(wrap: Callable[[Any], Any], step: str) -> None:
    with pytest.raises(DocumentError) as caught:
        walk(1, nested(251, wrap))
    error = caught.value
    assert error.reason == "the document is nested deeper than 250 levels"
    assert (error.path, error.position) == ("$" + step * 251, 1)


def test_a_list_that_holds_itself_is_refused_as_too_deep() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(DocumentError) as caught:
        walk(circle)
    assert caught.value.reason == "the document is nested deeper than 250 levels"


def test_a_bad_value_after_many_good_ones_is_named_for_what_it_is() -> None:
    with pytest.raises(DocumentError) as caught:
        walk([0.5] * 600 + [float("nan")])
    error = caught.value
    assert (error.reason, error.path, error.position) == (f"nan {NOT_A_NUMBER}", "$[600]", 0)


def test_a_long_flat_document_passes_the_check() -> None:
    check_document([0.5] * 2000)
    check_document({str(i): i for i in range(2000)})


def test_the_check_of_one_document_names_path_and_reason_without_a_position() -> None:
    with pytest.raises(DocumentError) as caught:
        check_document({"a": [{"b": 1, "c": b""}]})
    error = caught.value
    assert (error.reason, error.path, error.position) == ("b'' of type bytes is not a JSON value", "$.a[0].c", None)
    assert str(error) == "At $.a[0].c: b'' of type bytes is not a JSON value."
