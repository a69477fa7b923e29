"""Accounts: what each path adds to a vector, exact to the last term."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbat import Encoder, Field
from mbat.binding import POSITIONS
from tests.json_strategies import compiled, documents, fields, interpreted, ruled_batches

LONG = [
    pytest.param({"a": ["x", "y", "z"] * 50}, id="strings"),
    pytest.param({"a": [[i, i + 1] for i in range(POSITIONS + 12)]}, id="arrays of numbers"),
    pytest.param([{"k": [i] * (POSITIONS + 2), "j": "x"} for i in range(POSITIONS + 2)], id="long in objects in long"),
    pytest.param([*["x"] * 130, [*["y"] * 135, {"z": 1}], *["w"] * 5, []], id="mixed"),
]


def assert_account_equals_the_reference(encoder: Encoder, document: Any) -> None:
    """The reference bundles the document once for each path, with all others silent."""
    batch = encoder._prepared_alone(document)
    np.testing.assert_allclose(encoder._account_of(batch), encoder._account_densely(batch), rtol=0, atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(documents, st.sampled_from((16, 100, 1024)), st.sampled_from((0.0, 0.5, 3.0)))
def test_an_account_equals_a_bundle_of_each_path_alone(document: Any, dim: int, softness: float) -> None:
    with compiled():
        assert_account_equals_the_reference(Encoder(dim=dim, softness=softness), document)


@pytest.mark.parametrize("document", LONG)
def test_an_account_of_long_arrays_equals_a_bundle_of_each_path_alone(document: Any) -> None:
    with compiled():
        assert_account_equals_the_reference(Encoder(dim=24), document)


@settings(max_examples=30, deadline=None)
@given(ruled_batches.filter(bool), fields)
def test_accounts_know_of_rules_of_points_and_of_keys_that_are_skipped(batch: list[Any], rules: dict[str, Any]) -> None:
    encoder = Encoder(dim=64, fields=rules).fit(batch[1:])
    with compiled():
        assert_account_equals_the_reference(encoder, batch[0])


@settings(max_examples=30, deadline=None)
@given(documents)
def test_an_account_is_the_same_compiled_and_interpreted(document: Any) -> None:
    encoder = Encoder(dim=16)
    with compiled():
        expected = encoder.account(document)
    with interpreted():
        found = encoder.account(document)
    assert found.rows.tobytes() == expected.rows.tobytes()


@pytest.mark.parametrize("binding", ["signed-permutation", "haar"])
@settings(max_examples=40, deadline=None)
@given(document=documents)
def test_the_rows_of_an_account_sum_to_the_vector(binding: str, document: Any) -> None:
    encoder = Encoder(dim=32, binding=binding)
    total = encoder.account(document).rows.sum(axis=0)
    np.testing.assert_allclose(total, encoder.encode_one(document), rtol=0, atol=1e-6)


def test_an_account_names_paths_and_leaves_out_what_says_nothing() -> None:
    encoder = Encoder(dim=64, fields={"id": Field(weight=0)})
    account = encoder.account({"id": 7, "seller": {"name": "Ann", "tags": ["x", "y"]}})
    seller = [("seller",), ("seller", "name"), ("seller", "tags"), ("seller", "tags", None)]
    assert account.paths == seller
    assert [account.value(steps) for steps in seller[1:]] == ["Ann", ["x", "y"], ["x", "y"]]


def test_an_account_of_a_document_of_which_all_is_left_out_is_empty() -> None:
    account = Encoder(dim=64, fields={"id": Field(weight=0)}).account({"id": 7})
    assert (account.paths, account.rows.shape) == ([], (0, 64))
