"""How much of a leaf its key binds, and how much shows under any key."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mbat import Encoder

Array = NDArray[np.float64]


def parts(encoder: Encoder, document: Any) -> tuple[Array, Array]:
    """Return the bound and the free weights of the symbols of a document with one leaf; words come first."""
    ((start, stop, symbols),) = encoder._symbols(encoder._ready().prepare([document]))
    used = symbols.ends[: stop - start].max()
    return symbols.bound[:used].copy(), symbols.free[:used].copy()


def softness_of(document: Any, encoder: Encoder | None = None) -> Array:
    bound, free = parts(encoder or Encoder(dim=16), document)
    ratio: Array = free / bound
    return ratio


def words(count: int) -> str:
    return " ".join(chr(97 + i // 26) + chr(97 + i % 26) for i in range(count))


@pytest.mark.parametrize("value", ["one", words(9), 2.5, -7, True, None, {}, []])
@pytest.mark.parametrize("softness", [0.1, 0.5, 3.0])
def test_the_two_parts_of_a_symbol_have_the_norm_of_the_whole_under_a_key_and_in_an_array(
    value: Any, softness: float
) -> None:
    for document in ({"k": value}, ["a", value][1:], value):
        bound, free = parts(Encoder(dim=16, softness=softness), document)
        whole, nothing = parts(Encoder(dim=16, softness=0.0), document)
        np.testing.assert_allclose(np.hypot(bound, free), whole + nothing, rtol=1e-12)
        assert not (whole * nothing).any()


@pytest.mark.parametrize(("count", "root"), [(1, 1.0), (2, math.sqrt(2)), (9, 3.0), (64, 8.0), (65, 8.0), (200, 8.0)])
def test_a_text_is_freer_the_more_words_it_has_up_to_64_and_its_3_grams_half_as_free_again(
    count: int, root: float
) -> None:
    softness = softness_of({"k": words(count)})
    np.testing.assert_allclose(softness[:count], 0.5 * 0.9 * root)
    np.testing.assert_allclose(softness[count:], 1.5 * 0.5 * 0.9 * root)


def test_words_that_come_again_do_not_make_a_text_freer() -> None:
    np.testing.assert_allclose(softness_of({"k": "to be or not to be"})[:4], 0.5 * 0.9 * 2)


def test_a_rare_word_is_freer_than_a_common_one() -> None:
    encoder = Encoder(dim=16).fit([{"k": f"all n{i} {'some' if i < 10 else ''}"} for i in range(100)])
    rarities = [0.0, math.log(101 / 11) / math.log(101 / 2), 1.0]
    softness = softness_of({"k": "all some n5"}, encoder)[:3]
    np.testing.assert_allclose(softness, [0.5 * 0.9 * 3**0.5 * (0.5 + rarity) for rarity in rarities], rtol=2e-3)


def test_a_word_that_no_fitted_document_has_weighs_three_tenths_of_the_rarest() -> None:
    encoder = Encoder(dim=16, strings="words").fit([{"k": f"n{i}"} for i in range(100)])
    bound, free = parts(encoder, {"k": "n5 unseen"})
    seen, unseen = np.hypot(bound, free)
    assert unseen / seen == pytest.approx(0.3 * (1 + math.log(101)) / (1 + math.log(101 / 2)), rel=1e-3)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"k": 3}, 0.125),
        ({"k": True}, 0.5),
        ({"k": None}, 0.5),
        (["word"], math.sqrt(3)),
        ([True], math.sqrt(3)),
        ([3], 0.0),
        ([[3]], 0.0),
    ],
)
def test_other_leaves_have_a_softness_by_kind_and_place(document: Any, expected: float) -> None:
    np.testing.assert_allclose(softness_of(document), expected)


@pytest.mark.parametrize("document", ["a text of words", 3, False])
def test_a_document_that_is_a_leaf_is_free_of_keys(document: Any) -> None:
    bound, free = parts(Encoder(dim=16), document)
    assert not bound.any()
    assert free.all()


@pytest.mark.parametrize("document", [{"k": words(9)}, {"k": 3}, {"k": True}, [words(9)], [3], [True]])
def test_strict_binding_leaves_nothing_free(document: Any) -> None:
    bound, free = parts(Encoder(dim=16, softness=0.0), document)
    assert bound.all()
    assert not free.any()


def test_a_renamed_key_costs_a_long_text_less_than_a_code_and_a_code_less_than_a_number() -> None:
    encoder = Encoder(dim=4096)

    def kept(value: Any) -> float:
        under, renamed = encoder.encode([{"key": value}, {"other": value}])
        return float(under @ renamed)

    text, code, number = kept("a long text of more than a few words about nothing"), kept("X7-B"), kept(1941)
    assert text > 0.6 > 0.4 > code > 0.1 > number > 0.0
