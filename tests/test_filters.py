from __future__ import annotations

import copy
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbat.errors import FilterError, MbatError
from mbat.filter_complaints import NAMES
from mbat.filter_grammar import GRAMMAR
from mbat.filter_tree import KEYWORDS, And, Comparison, Condition, Exists, Not, Or, Value, path_text, value_text
from mbat.filters import Filter, parse_filter
from mbat.paths import Steps
from tests.json_strategies import documents, keys, leaves, texts

NAUGHTY = Path(__file__).parent.parent.parent / "shared/data/naughty-strings/documents.jsonl"


# An evaluator to compare with: it gathers all values at a path, and compares what JSON and mathematics know.


def values_at(document: Any, path: Steps) -> list[Any]:
    if not path:
        return [document]
    first, *rest = path
    if first is None:
        return [value for element in document for value in values_at(element, (*rest,))] if is_a("[", document) else []
    return values_at(document[first], (*rest,)) if is_a("{", document) and first in document else []


def is_a(sign: str, value: Any) -> bool:
    return kind(value) == sign


def kind(value: Any) -> str:
    """Return the sign that JSON of such a type begins with, 0 for numbers, t for booleans."""
    return re.sub("[-0-9]", "0", json.dumps(value)[0]).replace("f", "t")


def order(value: Any) -> Any:
    return Fraction(value) if is_a("0", value) else [ord(character) for character in value]


def same(a: Any, b: Any) -> bool:
    return kind(a) == kind(b) and (order(a) == order(b) if kind(a) in '0"' else json.dumps(a) == json.dumps(b))


def like(text: str, pattern: str, flags: re.RegexFlag = re.NOFLAG) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(like(text[start:], pattern[1:], flags) for start in range(len(text) + 1))
    escaped = pattern[0] == "\\"
    sign, rest = pattern[escaped], pattern[1 + escaped :]
    fits = text != "" and ((sign == "_" and not escaped) or re.fullmatch(re.escape(sign), text[0], flags) is not None)
    return fits and like(text[1:], rest, flags)


def stands(value: Any, operator: str, operands: tuple[Any, ...]) -> bool:
    first, last = operands[0], operands[-1]
    if operator == "in":
        return any(same(value, operand) for operand in operands)
    if operator == "contains":
        members = values_at(value, (None,))
        return any(same(member, first) for member in members) or (
            is_a('"', value) and is_a('"', first) and first in value
        )
    if kind(value) != kind(first):
        return False
    match operator:
        case "=":
            return same(value, first)
        case "like":
            return like(value, first)
        case "ilike":
            return like(value, first, re.IGNORECASE)
        case "starts with":
            return bool(value[: len(first)] == first)
        case "between":
            return bool(order(first) <= order(value) and order(value) <= order(last))
    below, above = order(value) < order(first), order(value) > order(first)
    return {"<": below, "<=": not above, ">": above, ">=": not below}[operator]


def expected(condition: Condition, document: Any) -> bool:
    match condition:
        case Comparison(path, operator, operands, negated):
            return any(stands(value, operator, operands) != negated for value in values_at(document, path))
        case Exists(path):
            return values_at(document, path) != []
        case Not(term):
            return not expected(term, document)
        case And(terms):
            return {expected(term, document) for term in terms} == {True}
        case Or(terms):
            return True in {expected(term, document) for term in terms}


# Arbitrary documents with conditions that have to do with them, and arbitrary spellings of these.


def within(document: Any, path: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    yield path, document
    if isinstance(document, dict):
        for key, value in document.items():
            yield from within(value, (*path, key))
    elif isinstance(document, list):
        for value in document:
            yield from within(value, (*path, None))


def can_be_written(value: Any) -> bool:
    return not isinstance(value, dict | list) and (not isinstance(value, int) or -(2**63) <= value < 2**64)


OPERATORS = ("=", "<", "<=", ">", ">=", "between", "in", "like", "ilike", "starts with", "contains")
awkward_keys = (
    keys | st.sampled_from(sorted(KEYWORDS)) | st.sampled_from(("ıs", "iſ", "IN", "1", "-1e5", "a=b", "it's"))
)
patterns = st.lists(st.sampled_from(("%", "_", "a", "A", "\\%", "\\_", "\\\\", "\n", "é", "the", ".")), max_size=6)


@st.composite
def comparisons(draw: st.DrawFn, paths: st.SearchStrategy[Steps], operands: st.SearchStrategy[Value]) -> Condition:
    operator = draw(st.sampled_from(OPERATORS))
    text_or_number = operands.filter(lambda value: type(value) in (str, int, float))
    text = operands.filter(lambda value: type(value) is str)
    given: tuple[Value, ...]
    if operator == "in":
        given = tuple(draw(st.lists(operands, min_size=1, max_size=3)))
    elif operator == "between":
        low = draw(text_or_number)
        given = (low, draw(operands.filter(lambda value: kind(value) == kind(low))))
    elif operator.endswith("like"):
        given = ("".join(draw(patterns)),)
    else:
        given = (draw(text if operator == "starts with" else operands if operator in "=contains" else text_or_number),)
    negated = draw(st.booleans()) and operator not in ("<", "<=", ">", ">=")
    return Comparison(draw(paths), operator, given, negated)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Condition]:
    document = draw(documents)
    places = list(within(document))
    arbitrary_paths = st.lists(st.none() | awkward_keys, max_size=3).map(tuple)
    paths = st.sampled_from([path for path, _ in places]) | arbitrary_paths
    operands = (leaves | texts | st.sampled_from([value for _, value in places] + ["", 0])).filter(can_be_written)
    leaf = comparisons(paths, operands) | paths.map(Exists)
    several = lambda terms: st.lists(terms, min_size=2, max_size=3).map(tuple)  # noqa: E731
    tree = st.recursive(
        leaf, lambda terms: terms.map(Not) | several(terms).map(And) | several(terms).map(Or), max_leaves=5
    )
    return document, draw(tree)


@st.composite
def spellings(draw: st.DrawFn, condition: Condition) -> str:
    """Write a condition with free choice of spelling, spaces, case and superfluous parentheses."""

    def one(*choices: str) -> str:
        return draw(st.sampled_from(choices))

    def word(text: str) -> str:
        return one(text, text.upper(), text.title()).replace(" ", one(" ", "\n", "  "))

    def written(node: Condition) -> str:
        match node:
            case Comparison(path, "=", (None,), negated):
                relation = one("!= null", "<>NULL", "is not null") if negated else one("= null", "==null", "is null")
                text = f"{path_text(path)} {word(relation)}"
            case Comparison(path, "in", operands, negated):
                members = one(",", " , ").join(map(value_text, operands))
                text = f"{path_text(path)} {word('not in' if negated else 'in')}{one('', ' ')}({members})"
            case Comparison(path, operator, operands, negated):
                relation = one("!=", "<>") if negated and operator == "=" else ("not " if negated else "") + operator
                relation = one("=", "==") if relation == "=" else relation
                gap = one("", " ") if relation[0] in "=<>!" else " "
                both = f" {word('and')} ".join(map(value_text, operands))
                text = f"{path_text(path)}{gap}{word(relation)}{gap}{both}"
            case Exists(path):
                forms = f"{path_text(path)} {word('exists')}", f"{path_text(path)} {word('is not missing')}"
                text = one(*forms, f"{word('exists')} {path_text(path)}")
            case Not(Exists(path)):
                text = f"{path_text(path)} {word(one('is missing', 'not exists'))}"
            case Not(term):
                text = f"{word('not')} ({written(term)})"
            case And(terms):
                text = f" {word('and')} ".join(f"({written(term)})" for term in terms)
            case Or(terms):
                text = f" {word('or')} ".join(f"({written(term)})" for term in terms)
        return one(text, f"({text})", f"\t( {text} )")

    return written(condition)


@given(cases())
def test_a_filter_matches_what_its_meaning_says(case: tuple[Any, Condition]) -> None:
    document, condition = case
    assert Filter(condition).matches(document) is expected(condition, document)


@given(cases())
def test_a_written_filter_reads_back_as_the_same_filter(case: tuple[Any, Condition]) -> None:
    document, condition = case
    written = Filter(condition)
    read = parse_filter(str(written))
    assert read == written
    assert hash(read) == hash(written)
    assert str(read) == str(written)
    assert read.matches(document) is expected(condition, document)


@given(st.data(), cases())
def test_all_spellings_of_a_condition_are_one_filter(data: st.DataObject, case: tuple[Any, Condition]) -> None:
    _, condition = case
    assert parse_filter(data.draw(spellings(condition))) == Filter(condition)


fragments = st.sampled_from(
    [*sorted(KEYWORDS), "starts with", "a", "b[].c", "a[0]", "a..b", '"x"', "'x'", "'", '"', "1", "-2.5", "1e999"]
    + ["=", "==", "!=", "<>", "<", ">=", "!", "(", ")", ",", "&&"]
)
signs = st.text("ab.[]\"'\\= <>!(),1-%", max_size=12)


@given(st.text(max_size=12) | signs | st.lists(fragments, max_size=10).map(" ".join))
def test_any_text_is_a_filter_or_a_filter_error(text: str) -> None:
    try:
        read = parse_filter(text)
    except FilterError:
        return
    assert parse_filter(str(read)) == read


# What is not told by the page on filters, whose tables are tried in test_documentation.py.


@pytest.mark.parametrize(
    ("text", "document", "holds"),
    [
        ("a = 9007199254740993", {"a": 9007199254740993}, True),
        ("a = 9007199254740993", {"a": 9007199254740992}, False),
        ("a > 9007199254740992.0", {"a": 9007199254740993}, True),
        ("a = 9007199254740992.0", {"a": 9007199254740993}, False),
        ("a in (9007199254740993)", {"a": 9007199254740992.0}, False),
        ("a = 123456789012345678901234567890", {"a": 1.2345678901234568e29}, True),
        ("a = 0", {"a": -0.0}, True),
        ("a = -1.5e3", {"a": -1500}, True),
        ("a = true", {"a": True}, True),
        ("a = true", {"a": 1}, False),
        ("a = 1", {"a": True}, False),
        ("a = 0", {"a": False}, False),
        ("a != 1", {"a": True}, True),
        ("a < 1", {"a": False}, False),
        ("a between 0 and 1", {"a": True}, False),
        ("a in (1, 0)", {"a": True}, False),
        ("a in (true)", {"a": 1}, False),
        ("a in (true)", {"a": True}, True),
        ("a in (1)", {"a": [1]}, False),
        ("a in (1)", {"a": {}}, False),
        ("a contains true", {"a": [1]}, False),
        ("a contains null", {"a": [None]}, True),
        ("a contains null", {"a": None}, False),
        ("a contains ''", {"a": ""}, True),
        ("a contains ''", {"a": []}, False),
        ("a = ''", {"a": ""}, True),
        ("a = 'it''s'", {"a": "it's"}, True),
        ("a = '\\n'", {"a": "\\n"}, True),
        ("a < '\U0001f600'", {"a": "\uffff"}, True),
        ("a < 'a'", {"a": "Z"}, True),
        ("a like '%'", {"a": ""}, True),
        ("a like '_'", {"a": "\n"}, True),
        ("a like '_'", {"a": ""}, False),
        ("a like ''", {"a": ""}, True),
        ("a like 'a%b%c'", {"a": "a-b-b-c-c"}, True),
        ("a like 'a%b%c'", {"a": "a-c-b"}, False),
        ("a like '%ab'", {"a": "aab\n"}, False),
        ("a like 'a.c'", {"a": "abc"}, False),
        (r"a like 'a\_c'", {"a": "abc"}, False),
        (r"a like 'a\\%'", {"a": "a\\b"}, True),
        ("a ilike 'ÉCOLE%'", {"a": "école 1"}, True),
        ("a[][] = 1", {"a": [[0], [1]]}, True),
        ("a[] contains 1", {"a": [[0], [1]]}, True),
        ("a[] = 1", {"a": {"[]": 1}}, False),
        ('a."[]" = 1', {"a": {"[]": 1}}, True),
        ('"" = 1', {"": 1}, True),
        ('"$" = 1', {"$": 1}, True),
        ("$ contains 1", [1], True),
        ("$ exists", None, True),
        ("starts = 1", {"starts": 1}, True),
        ("order.in = 1", {"order": {"in": 1}}, True),
        ("not-a = 1", {"not-a": 1}, True),
        ("a.b = 1", {"a": "b"}, False),
        ("not not a = 1", {"a": 1}, True),
        ("a between 1 and 3 and b = 1", {"a": 2, "b": 2}, False),
    ],
)
def test_a_filter_holds_of_a_document_or_not(text: str, document: Any, holds: bool) -> None:
    assert parse_filter(text).matches(document) is holds


VALUE = "Allowed there: text in single quotes, a number, true, false, null."
OPERATOR = (
    "Allowed there: =, !=, <, <=, >, >=, in, like, ilike, starts with, contains, between, is null, is missing, "
    "exists, not."
)
CONDITION = "Allowed there: a path, exists, not, an opening parenthesis."
PATH = (
    "Write keys with dots between them, [] for the elements of an array, and quote a key that holds a dot, a bracket "
    'or a space: a."b.c"[].d'
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The filter is empty. Write a condition, as price < 10."),
        (" \n", "The filter is empty. Write a condition, as price < 10."),
        ("price", f"The filter is not well formed at its end. {OPERATOR}"),
        ("price ~ 10", f"The filter is not well formed at '~ 10'. {OPERATOR}"),
        ("price < ", "The filter is not well formed at its end. Allowed there: text in single quotes, a number."),
        ("price < null", "The filter is not well formed at 'null'. Allowed there: text in single quotes, a number."),
        ("price = ", f"The filter is not well formed at its end. {VALUE}"),
        ("name = Bob", f"The filter is not well formed at 'Bob'. {VALUE} Text is written in single quotes: 'Bob'."),
        (
            'name = "Bob"',
            f"""The filter is not well formed at '"Bob"'. {VALUE} Double quotes are for keys; text is written 'Bob'.""",
        ),
        (
            'name in ("it\'s")',
            f"""The filter is not well formed at '"it\\'s")'. {VALUE} Double quotes are for keys; """
            "text is written 'it''s'.",
        ),
        ("a = .5", f"The filter is not well formed at '.5'. {VALUE} Numbers are written as in JSON: 0.5, -1, 1e6."),
        ("a = Inf", f"The filter is not well formed at 'Inf'. {VALUE} Text is written in single quotes: 'Inf'."),
        ("a = 1e400", "The number 1e400 is beyond the range of a 64-bit float."),
        (
            "name = 'Bob and b = 1",
            """The filter is not well formed at "'Bob and b = 1": the quote is not closed. """
            "A quote within text is written twice: 'it''s'.",
        ),
        (
            "a = 'b''c",
            """The filter is not well formed at "'b''c": the quote is not closed. """
            "A quote within text is written twice: 'it''s'.",
        ),
        ('a."b = 1', "The filter is not well formed at '\"b = 1': the double quote is not closed."),
        ("!a", "The filter is not well formed at '!a': there is no ! alone. Write != or not."),
        ("a..b = 1", f"The path 'a..b' is not well formed at '..b'. {PATH}"),
        (
            "a[0].b = 1",
            f"The path 'a[0].b' is not well formed at '[0].b'. {PATH}. A filter cannot ask for one position of an "
            "array; a[] is any of its elements.",
        ),
        (
            "10 > price",
            f"The filter is not well formed at '10 > price'. {CONDITION} A comparison begins with its path, as "
            "price < 10; a key that looks like a number is quoted.",
        ),
        (
            "a = 1 and like = 2",
            f"The filter is not well formed at 'like = 2'. {CONDITION} A key that is also a word of the filter "
            'language is quoted: "like".',
        ),
        ("(a = 1", "The filter is not well formed at its end. Allowed there: a closing parenthesis."),
        ("a = 1)", "The filter is not well formed at ')'. Allowed there: the end of the filter."),
        ("a = 1 b = 2", "The filter is not well formed at 'b = 2'. Allowed there: and, or, the end of the filter."),
        ("a in (1 2)", "The filter is not well formed at '2)'. Allowed there: a comma, a closing parenthesis."),
        ("a in ()", f"The filter is not well formed at ')'. {VALUE}"),
        ("a like 5", "The filter is not well formed at '5'. Allowed there: text in single quotes."),
        (
            "a ilike 'x\\'",
            "The pattern 'x\\' ends in a backslash that nothing follows. A backslash takes the sign after it as it is; "
            "write two for one.",
        ),
        ("a between 1 and 'b'", "No value is between 1 and 'b': one is a number, the other is text."),
        ("a is 3", "The filter is not well formed at '3'. Allowed there: not, missing, null."),
        (
            "a = " + "b" * 99,
            f"The filter is not well formed at '{'b' * 40}…'. {VALUE} Text is written in single quotes: '{'b' * 39}….",
        ),
        ("not " * 101 + "a = 1", "The filter is nested deeper than 100 levels."),
        ("a" + ".a" * 250 + " = 1", f"The path {'a.' * 20!r}... has 251 steps; documents have at most 250 levels."),
    ],
)
def test_a_text_that_is_no_filter_is_refused_with_where_and_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert str(caught.value) == message


def test_what_is_no_text_is_no_filter() -> None:
    with pytest.raises(FilterError, match=r"^A filter is a text, as 'price < 10'; \{'price': 10\} is not\.$"):
        parse_filter({"price": 10})  # type: ignore[arg-type]


def test_a_filter_error_is_one_of_mbat_and_a_value_error() -> None:
    assert issubclass(FilterError, MbatError)
    assert issubclass(FilterError, ValueError)


def test_messages_have_a_name_for_every_terminal() -> None:
    terminals = set(re.findall(r"^([A-Z_]+)(?:\.1)?: ", GRAMMAR, re.MULTILINE))
    assert set(NAMES) == terminals - {"END"} | {"$END"}


def test_the_words_that_are_no_paths_are_those_of_the_grammar() -> None:
    assert set(re.findall(r'"(\w+)"i', GRAMMAR)) == KEYWORDS


@pytest.mark.parametrize("text", ["(" * 50_000 + "a = 1" + " or b = 2)" * 50_000, "not " * 50_000 + "a = 1"])
def test_nesting_beyond_reason_ends_in_a_sentence(text: str) -> None:
    with pytest.raises(FilterError, match=r"^The filter is nested deeper than 100 levels\.$"):
        parse_filter(text)


def test_parentheses_that_are_never_closed_end_in_a_sentence() -> None:
    with pytest.raises(FilterError, match="at its end"):
        parse_filter("(" * 50_000 + "a = 1")


def test_a_filter_of_100_levels_on_a_path_of_250_steps_is_evaluated() -> None:
    path = ".".join(["a"] * 250)
    document: Any = 1
    for _ in range(250):
        document = {"a": document}
    deep = parse_filter("(b = 1 or not " * 50 + f"{path} = 1" + ")" * 50)
    assert deep.matches(document) is True
    assert parse_filter(str(deep)) == deep


def test_a_filter_may_be_long() -> None:
    members = parse_filter(f"a in ({', '.join(map(str, range(20_000)))})")
    assert members.matches({"a": 19_999})
    assert not members.matches({"a": 20_000})
    terms = parse_filter(" or ".join(f"a = {number}" for number in range(5_000)))
    assert terms.matches({"a": 4_999})
    assert not terms.matches({"a": 5_000})


def test_a_pattern_that_makes_others_try_for_ever_is_decided_at_once() -> None:
    assert not parse_filter(f"a like '{'%a' * 50}%b'").matches({"a": "a" * 5_000})


def test_filters_are_equal_by_meaning_spelt_out_and_true_is_not_1() -> None:
    assert parse_filter("a=1 AND (b<>2)") == parse_filter("(a = 1 and b != 2)")
    assert parse_filter("(a = 1 and b = 2) or (c = 3 or d = 4)") == parse_filter("a = 1 and b = 2 or c = 3 or d = 4")
    assert parse_filter("a = 1 and (b = 2 or c = 3)") != parse_filter("a = 1 and b = 2 or c = 3")
    assert parse_filter("a = 1") != parse_filter("a = true")
    assert parse_filter("a in (0)") != parse_filter("a in (false)")
    assert parse_filter("a = 1") != "a = 1"


def test_a_filter_is_written_in_one_canonical_way() -> None:
    text = "NOT a.\"b\" IS NULL aNd (x>=1e2 OR \"in\" not  in('it''s',NULL)) and missing.y is missing"
    written = "not (a.b = null) and (x >= 100.0 or \"in\" not in ('it''s', null)) and not (missing.y exists)"
    assert str(parse_filter(text)) == written
    assert repr(parse_filter("a=1")) == "parse_filter('a = 1')"


@given(cases())
def test_a_filter_can_be_pickled_and_copied(case: tuple[Any, Condition]) -> None:
    document, condition = case
    one = Filter(condition)
    for other in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        assert other == one
        assert other.matches(document) is one.matches(document)


def test_a_filter_tells_the_paths_that_it_looks_at() -> None:
    read = parse_filter("a = 1 or not (b[].c exists and a < 3) or $ contains 'x'")
    assert read.paths() == {("a",), ("b", None, "c"), ()}


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the strings are not part of this repository")
def test_every_hostile_key_and_string_can_be_asked_for() -> None:
    asked = 0
    for line in NAUGHTY.read_bytes().splitlines():
        document = orjson.loads(line)
        for path, value in within(document):
            where = path_text(path)
            assert parse_filter(f"{where} exists").matches(document)
            if not isinstance(value, dict | list):
                found = parse_filter(f"{where} = {value_text(value)}")
                assert found.matches(document)
                assert found.paths() == {path}
                assert not parse_filter(f"{where} = {value_text(f'{value}.')}").matches(document)
                asked += 1
    assert asked > 1000


def test_the_parser_is_not_imported_before_there_is_something_to_parse() -> None:
    program = "import sys, mbat.filters; print('lark' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


@pytest.mark.parametrize(("path", "meant"), [("$.a", "a"), ("$[].a", "[].a"), ('$."b c"', '"b c"')])
def test_a_path_from_the_root_is_told_to_begin_with_its_first_key(path: str, meant: str) -> None:
    with pytest.raises(FilterError, match=re.escape(f"Paths begin with their first key: {meant}. A key that is $")):
        parse_filter(f"{path} = 1")
    assert parse_filter('"$".a = 1').matches({"$": {"a": 1}})
