"""A fitted encoder skips keys that no fitted document has at their place: binding by them could match nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from mbat import Encoder
from tests.json_strategies import batches

FILMS = [
    {"title": "Ivanhoe", "people": {"director": "Thorpe"}, "year": 1952},
    {"title": "Home Fries", "people": {"director": "Parisot"}, "year": 1998},
    {"title": "Hermanos", "people": {"director": "Rosas"}, "tags": ["drama", "old"]},
]


def fitted(**parameters: Any) -> Encoder:
    return Encoder(dim=256, **parameters).fit(FILMS)


@pytest.mark.parametrize(
    ("document", "same"),
    [
        ({"writer": "Enrique de Rosas"}, "Enrique de Rosas"),
        ({"film": {"title": "Ivanhoe"}}, {"title": "Ivanhoe"}),
        ({"a": {"b": {"people": {"director": "Thorpe"}}}}, {"people": {"director": "Thorpe"}}),
        ({"people": {"name": {"director": "Thorpe"}}}, {"people": {"director": "Thorpe"}}),
        ({"data": {"tags": ["old", "new"]}}, {"tags": ["old", "new"]}),
    ],
)
def test_an_unknown_key_is_skipped_wherever_it_stands(document: Any, same: Any) -> None:
    encoder = fitted()
    np.testing.assert_allclose(encoder.encode_one(document), encoder.encode_one(same), atol=1e-6)


def test_a_key_known_at_another_place_is_unknown_here() -> None:
    encoder = fitted()
    moved, bare = encoder.encode([{"director": "Thorpe"}, "Thorpe"])
    np.testing.assert_allclose(moved, bare, atol=1e-6)


@pytest.mark.parametrize("document", [{"title": "Thorpe"}, {"people": {"director": "Ivanhoe"}}, {"tags": ["Ivanhoe"]}])
def test_known_keys_still_bind(document: Any) -> None:
    encoder = fitted()
    bound, bare = encoder.encode([document, next(iter(document.values()))])
    assert bound @ bare < 0.9


def test_without_a_fit_every_key_binds() -> None:
    bound, bare = Encoder(dim=256).encode([{"writer": "Rosas"}, "Rosas"])
    assert bound @ bare < 0.9


def test_strict_binding_skips_no_key() -> None:
    bound, bare = fitted(softness=0.0).encode([{"writer": "Rosas"}, "Rosas"])
    assert abs(bound @ bare) < 5 / 16


def test_a_value_under_a_renamed_key_finds_its_document() -> None:
    encoder = Encoder(dim=4096).fit(FILMS)
    scores = encoder.encode(FILMS) @ encoder.encode_one({"starring": "Nobody Else", "writer": "Parisot"})
    assert int(scores.argmax()) == 1


@settings(max_examples=30, deadline=None)
@given(batches)
def test_the_fitted_documents_themselves_have_no_unknown_key(documents: list[Any]) -> None:
    encoder = Encoder(dim=32).fit(documents)
    places = encoder._ready().prepare(documents).places
    assert (places.place[places.depth > 0] != 0).all()


@pytest.mark.parametrize(
    ("document", "path"),
    [({"writer": "Rosas"}, "writer"), ({"film": {"title": "Rosas"}}, "film.title"), ({"title": "Rosas"}, "title")],
)
def test_a_value_is_read_back_under_skipped_keys_too(document: Any, path: str) -> None:
    encoder = Encoder(dim=2048).fit(FILMS)
    assert encoder.decode(encoder.encode_one(document), path, ["Thorpe", "Parisot", "Rosas"])[0][0] == "Rosas"
