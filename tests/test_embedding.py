"""A text embedder of the user's: where its numbers come in, and what is said when it is wrong."""

from __future__ import annotations

import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mbat import Encoder, Field, Index, IndexDamagedError, ParameterError
from mbat.configuration import configured_encoder

SYNONYMS = {"automobile": "car", "quick": "fast"}
WIDTH = 48


def embed(texts: list[str]) -> NDArray[np.float64]:
    """Give each text the sum of random rows, one a word, equal for words that mean the same."""
    rows = np.zeros((len(texts), WIDTH))
    for row, text in zip(rows, texts, strict=True):
        for word in text.split():
            seed = zlib.crc32(SYNONYMS.get(word.lower(), word.lower()).encode())
            row += np.random.default_rng(seed).standard_normal(WIDTH)
    return rows


def unlike(texts: list[str]) -> NDArray[np.float64]:
    return -embed(texts)


class Recorded:
    """An embedder that keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, texts: list[str]) -> NDArray[np.float64]:
        self.calls.append(texts)
        return embed(texts)


def cosine(encoder: Encoder, a: Any, b: Any) -> float:
    first, second = encoder.encode([a, b])
    return float(first @ second)


def test_texts_that_mean_the_same_become_alike() -> None:
    a, b, c = {"t": "a quick automobile"}, {"t": "a fast car"}, {"t": "a slow boat"}
    plain, meaning = Encoder(), Encoder(text=embed)
    assert abs(cosine(plain, a, b) - cosine(plain, a, c)) < 0.1
    assert cosine(meaning, a, b) > cosine(meaning, a, c) + 0.2


@pytest.mark.parametrize("binding", ["signed-permutation", "haar"])
def test_the_embedding_is_half_of_the_energy_of_a_text(binding: str) -> None:
    """Words alone and the embedding alone are nearly orthogonal, so the cosines are the root of 1/2."""
    encoder = Encoder(dim=4096 if binding == "signed-permutation" else 512, binding=binding, text=embed)
    opposite = Encoder(dim=encoder.dim, binding=binding, text=unlike)
    document = "seven words and no key at all"
    plus, minus = encoder.encode_one(document), opposite.encode_one(document)
    words = Encoder(dim=encoder.dim, binding=binding).encode_one(document)
    assert float(plus @ words) == pytest.approx(0.5**0.5, abs=0.08)
    assert float((plus + minus) @ words) == pytest.approx(2**0.5, abs=0.01)
    assert float(plus @ minus) == pytest.approx(0.0, abs=0.1)


def test_inner_products_of_embeddings_are_kept() -> None:
    """Of two texts without a common word or 3-gram the cosine is half of that of their embeddings, but for noise."""
    encoder = Encoder(dim=16384, text=embed)
    texts = ["quick automobile", "fast car"]
    first, second = embed(texts)
    expected = float(first @ second) / float(np.linalg.norm(first) * np.linalg.norm(second)) / 2
    assert cosine(encoder, *texts) == pytest.approx(expected, abs=0.04)


def test_it_is_asked_each_text_of_a_batch_once_and_nothing_that_is_no_text() -> None:
    recorded = Recorded()
    encoder = Encoder(text=recorded, fields={"words": Field(strings="words"), "out": Field(weight=0)})
    document = {
        "title": "Two Words",
        "again": ["Two Words", "東京"],
        "code": "AB-123",
        "words": "also two",
        "out": "left out",
        "number": 3,
    }
    recorded.calls.clear()
    encoder.encode([document, document])
    assert recorded.calls == [["Two Words", "東京"]]
    encoder.encode([{"code": "X"}])
    assert len(recorded.calls) == 1


def test_fitting_does_not_ask_it_and_learns_the_same() -> None:
    recorded = Recorded()
    documents = [{"t": f"text number {i}"} for i in range(20)]
    encoder = Encoder(text=recorded)
    recorded.calls.clear()
    assert encoder.fit(documents).statistics == Encoder().fit(documents).statistics
    assert recorded.calls == []


def test_a_row_depends_on_its_document_alone() -> None:
    encoder = Encoder(dim=128, text=embed)
    documents = [{"t": f"text {i % 7}", "n": i, "u": ["some words", str(i)]} for i in range(600)]
    rows = encoder.encode(documents)
    for position in (0, 255, 256, 599):
        assert np.array_equal(rows[position], encoder.encode_one(documents[position]))


def test_texts_longer_than_the_buffer_are_embedded_too() -> None:
    text = " ".join(f"w{i}" for i in range(3000))
    encoder, plain = Encoder(text=embed), Encoder()
    assert float(encoder.encode_one({"t": text}) @ plain.encode_one({"t": text})) == pytest.approx(0.5**0.5, abs=0.1)


def test_an_embedding_of_zeros_adds_nothing() -> None:
    encoder, plain = Encoder(text=lambda texts: np.zeros((len(texts), 3))), Encoder()
    document = {"t": "some words"}
    np.testing.assert_allclose(encoder.encode_one("some words"), plain.encode_one("some words"), atol=1e-7)
    assert np.linalg.norm(encoder.encode_one(document)) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("size", [1e200, 1e-170, 5e-324, 1.7e308])
def test_the_size_of_an_embedding_does_not_matter(size: float) -> None:
    signs = np.array([1.0, -1.0, 1.0])
    document = {"t": "some words"}
    plain = Encoder(text=lambda texts: np.tile(signs, (len(texts), 1))).encode_one(document)
    sized = Encoder(text=lambda texts: np.tile(size * signs, (len(texts), 1))).encode_one(document)
    np.testing.assert_allclose(sized, plain, atol=1e-7)


def test_saving_keeps_all_but_the_function(tmp_path: Path) -> None:
    encoder = Encoder(dim=64, text=embed).fit([{"t": "some words"}])
    encoder.save(tmp_path)
    again = Encoder.load(tmp_path, text=embed)
    assert again == encoder
    assert again.fingerprint == encoder.fingerprint != Encoder(dim=64).fit([{"t": "some words"}]).fingerprint
    assert np.array_equal(again.encode([{"t": "some words"}]), encoder.encode([{"t": "some words"}]))
    assert pickle.loads(pickle.dumps(encoder)) == encoder
    assert encoder != Encoder(dim=64, text=unlike).fit([{"t": "some words"}])
    assert "text=embed" in repr(again)


def test_loading_without_the_function_or_with_one_too_many_says_so(tmp_path: Path) -> None:
    Encoder(text=embed).save(tmp_path / "with")
    Encoder().save(tmp_path / "without")
    with pytest.raises(
        ParameterError, match=r"made with a text embedder, embed, of 48 numbers.*Give the function again"
    ):
        Encoder.load(tmp_path / "with")
    with pytest.raises(ParameterError, match=r"made without a text embedder\. Leave out text"):
        Encoder.load(tmp_path / "without", text=embed)
    with pytest.raises(IndexDamagedError, match="or the text embedder another than it was made with"):
        Encoder.load(tmp_path / "with", text=lambda texts: embed(texts)[:, :5])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("no function", "text is a function from a list of texts to an array; 'no function' is not"),
        (lambda texts: embed(texts)[0], r"returned an array of shape \(48,\) for 1 texts; it should be of shape \(1, "),
        (lambda texts: np.zeros((len(texts), 0)), r"of shape \(1, 0\) for 1 texts"),
        (lambda texts: ["a"] * len(texts), "returned what is no array"),
        (lambda texts: embed(texts) * np.nan, "returned a number that is not finite for 'A text of some words.'"),
    ],
)
def test_an_embedder_that_is_wrong_is_refused_when_the_encoder_is_made(wrong: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Encoder(text=wrong)


def test_an_embedder_that_goes_wrong_later_is_told() -> None:
    def cut(texts: list[str]) -> NDArray[np.float64]:
        return embed(texts)[:1]

    with pytest.raises(ParameterError, match=r"embedder .*cut returned an array of shape \(1, 48\) for 2 texts"):
        Encoder(text=cut).encode(["one text", "another text"])


def test_a_configuration_holds_no_function(tmp_path: Path) -> None:
    path = tmp_path / "mbat.toml"
    path.write_text('text = "embed"')
    with pytest.raises(ParameterError, match="has 'text'; its entries are dim, seed"):
        configured_encoder(path)


def test_an_index_of_such_an_encoder_is_opened_changed_and_rebuilt_with_the_function_alone(tmp_path: Path) -> None:
    place = tmp_path / "cars.mbat"
    with Index.create(
        place, [{"t": "a fast car"}, {"t": "a slow boat"}], encoder=Encoder(dim=256, text=embed)
    ) as index:
        index.add([{"t": "the old train"}])
        index.rebuild(refit=True)
        assert index.verify() == []
        assert [hit.id for hit in index.search({"t": "a quick automobile"}, k=1)] == ["0"]
    with pytest.raises(ParameterError, match="Give the function again, as text="):
        Index.open(place)
    with Index.open(place, text=embed) as index:
        assert index.encoder.embedder is not None
        assert [hit.id for hit in index.search({"t": "a quick automobile"}, k=1)] == ["0"]
