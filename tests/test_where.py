"""Searching with a filter: if k documents match, k are found, the best of them, whatever the kind and the filter."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mbat
from mbat import Encoder, Index, filtering
from mbat.filters import parse_filter
from mbat_indexes import KINDS

ENCODER = Encoder(dim=32)
COUNT = 3000
DOCUMENTS = [{"n": i, "name": f"thing {i % 50}", "tags": [f"t{i % 7}"]} for i in range(COUNT)]
QUERIES: list[Any] = [{"name": "thing 7"}, {"tags": ["t3"]}, {"n": 1500}]


@pytest.fixture(scope="module", params=KINDS)
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Index:
    path = tmp_path_factory.mktemp("where") / "a.mbat"
    index = Index.create(path, DOCUMENTS[:2900], map(str, range(2900)), ENCODER, request.param)
    index.add(DOCUMENTS[2900:], map(str, range(2900, COUNT)))
    index.delete(["5", "2950"])
    return index


@cache
def live() -> tuple[list[Any], NDArray[np.float32]]:
    """Return the documents that are left, and their scores with each query."""
    documents = [one for one in DOCUMENTS if one["n"] not in (5, 2950)]
    return documents, ENCODER.encode(documents) @ ENCODER.encode(QUERIES).T


@pytest.mark.parametrize(
    ("where", "matching"),
    [
        ("n = 1234", 1),
        ("n = 5", 0),
        ("n = 2950 or n = 2951", 1),
        ("n >= 2998 or n < 2", 4),
        ("n < 30", 29),
        ("tags contains 't3' and n < 1000", 143),
        ("name = 'thing 7'", 60),
        ("n < 1500", 1499),
        ("not (n = 7)", COUNT - 3),
        ("n >= 0", COUNT - 2),
        ("exists gone", 0),
    ],
)
@pytest.mark.parametrize("k", [1, 10, 100])
def test_if_k_documents_match_the_best_k_are_found(where: str, matching: int, k: int, index: Index) -> None:
    documents, scores = live()
    matches = parse_filter(where).matches
    matched = np.array([matches(one) for one in documents])
    assert np.count_nonzero(matched) == matching
    for query, hits in enumerate(index.search_batch(QUERIES, k, where)):
        assert len({hit.id for hit in hits}) == len(hits) == min(k, matching)
        assert all(matches(hit.document) for hit in hits)
        found = [hit.score for hit in hits]
        assert found == sorted(found, reverse=True)
        if KINDS[index.content.kind].effort is None:
            best = np.sort(scores[matched, query])[::-1][:k]
            np.testing.assert_allclose(found, best, atol=2e-3)
        assert index.search(QUERIES[query], k, where) == hits


def test_one_document_in_many_is_found(tmp_path: Path) -> None:
    count = 100_000
    with Index.create(tmp_path / "a.mbat", ({"n": i} for i in range(count)), encoder=Encoder(dim=16)) as index:
        assert [hit.id for hit in index.search({"n": 5}, 10, "n = 77777")] == ["77777"]
        assert len(index.search({"n": 5}, 10, "n >= 0")) == 10
        assert len(index.search({"n": 5}, 10, "n < 10")) == 10


def test_a_filter_is_looked_up_once_as_long_as_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = []
    scan = filtering._matching_rows
    monkeypatch.setattr(filtering, "_matching_rows", lambda view, where: scans.append(str(where)) or scan(view, where))
    with Index.create(tmp_path / "a.mbat", DOCUMENTS, encoder=ENCODER) as index:
        for _ in range(3):
            assert [hit.id for hit in index.search({}, 10, "n = 1234")] == ["1234"]
        index.search({}, 10, "n   =  1234")
        assert scans == ["n = 1234"]
        index.upsert([{"n": 1234, "new": True}], ["7"])
        assert {hit.id for hit in index.search({}, 10, "n = 1234")} == {"7", "1234"}
        assert scans == ["n = 1234"] * 2
        index.search({}, 10, "n >= 0")
        assert len(scans) == 2


def test_a_filter_that_is_not_well_formed_is_refused(index: Index) -> None:
    with pytest.raises(mbat.FilterError):
        index.search({}, 10, "n <")


@pytest.mark.parametrize("effort", [0, -1, 1.5, True, "all", float("nan")])
def test_effort_is_a_share(effort: Any, index: Index) -> None:
    with pytest.raises(mbat.ParameterError, match="effort is the share of the index to look at, above 0 and up to 1"):
        index.search({}, 10, effort=effort)
    assert len(index.search({}, 10, effort=0.5)) == 10
    assert len(index.search({}, 10, "n < 20", effort=1)) == 10
