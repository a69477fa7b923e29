"""Outliers against brute force."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbat import Index, ParameterError
from mbat.outliers import find_outliers

Made = Callable[..., Index]

FILE = Path(__file__).parent.parent / "examples/countries.jsonl"
COUNTRIES = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return lambda *arguments, **options: Index.create(tmp_path / "a.mbat", *arguments, overwrite=True, **options)


@pytest.mark.parametrize("neighbours", [1, 5, 500])
def test_outliers_are_those_of_brute_force(neighbours: int, made: Made) -> None:
    documents = [*COUNTRIES, COUNTRIES[3], COUNTRIES[3]]
    with made(documents, kind="exact") as index:
        vectors = index.encoder.encode(documents)
        found = find_outliers(index, k=7, neighbours=neighbours)
    products = vectors @ vectors.T
    np.fill_diagonal(products, -np.inf)
    nearest = -np.sort(-products, axis=1)[:, : min(neighbours, len(documents) - 1)]
    means = nearest.mean(axis=1)
    order = np.argsort(means, kind="stable")[:7]
    assert [outlier.id for outlier in found] == [str(position) for position in order]
    for outlier, position in zip(found, order, strict=True):
        assert outlier.document == documents[position]
        assert outlier.score == pytest.approx(float(means[position]), abs=1e-6)
        assert [score for _, score in outlier.neighbours] == pytest.approx(nearest[position].tolist(), abs=1e-6)
        assert outlier.id not in {one for one, _ in outlier.neighbours}


def test_copies_have_each_other_for_neighbours(made: Made) -> None:
    with made([{"a": "odd one"}, {"a": "odd one"}, {"b": 1}, {"b": 2}, {"c": None}]) as index:
        assert [outlier.id for outlier in find_outliers(index, k=1, neighbours=1)] == ["4"]


def test_fields_are_what_explanations_say_averaged_over_the_neighbours(made: Made) -> None:
    with made(COUNTRIES) as index:
        outlier = find_outliers(index, k=1, neighbours=3)[0]
        near = [index.get(one) for one, _ in outlier.neighbours]
        whys = [index.encoder.explain(outlier.document, other) for other in near]
    lost: dict[str, list[float]] = {}
    for why in whys:
        for part in why.parts:
            if part.other_path in (None, part.path) and part.path != "all else":
                lost.setdefault(part.path, []).append(part.possible - part.contribution)
    expected = {path: sum(values) / len(values) for path, values in lost.items() if sum(values) / len(values) >= 0.0005}
    assert {field.path: pytest.approx(field.lost) for field in outlier.fields} == expected
    assert [field.lost for field in outlier.fields] == sorted(expected.values(), reverse=True)
    name = next(field for field in outlier.fields if field.path == "name")
    assert (name.value, name.others) == (outlier.document["name"], tuple(one["name"] for one in near))


@pytest.mark.parametrize("documents", [[], [{"a": 1}]])
def test_none_or_one_document_is_no_outlier(documents: list[Any], made: Made) -> None:
    with made(documents) as index:
        assert find_outliers(index) == []


def test_deleted_documents_are_neither_outliers_nor_neighbours(made: Made) -> None:
    with made([{"a": "x y"}, {"a": "x z"}, {"a": "x w"}, {"q": 9}]) as index:
        index.delete(["3", "1"])
        found = find_outliers(index, neighbours=9)
    assert {outlier.id for outlier in found} == {"0", "2"}
    assert {one for outlier in found for one, _ in outlier.neighbours} == {"0", "2"}


@pytest.mark.parametrize("kind", ["flat", "flat-fp16", "ivf", "hnsw"])
def test_each_kind_of_index_finds_what_is_plainly_odd(kind: str, made: Made) -> None:
    documents = [{"name": f"Ann {i}", "n": i} for i in range(300)]
    documents[170] = {"title": "something else", "n": "x"}
    with made(documents, kind=kind) as index:
        assert find_outliers(index, k=1)[0].id == "170"


@pytest.mark.parametrize(
    "wrong", [{"k": 0}, {"neighbours": 0}, {"neighbours": True}, {"neighbours": 2.0}, {"effort": 2}]
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, Any], made: Made) -> None:
    with made([1, 2]) as index, pytest.raises(ParameterError):
        find_outliers(index, **wrong)
