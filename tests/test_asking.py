"""Questions to an index: weights, documents to be like and unlike, and why each was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from mbat import DocumentError, Encoder, Index, ParameterError

COUNTRIES = {
    document["name"]: document
    for document in map(
        orjson.loads, (Path(__file__).parent.parent / "examples/countries.jsonl").read_bytes().splitlines()
    )
}


@pytest.fixture(scope="module", params=["flat", "ivf", "exact"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Index:
    path = tmp_path_factory.mktemp("asking") / "countries.mbat"
    return Index.create(path, COUNTRIES.values(), ids=COUNTRIES, kind=request.param)


def best(vector: Any, index: Index, but: tuple[str, ...] = ()) -> list[tuple[str, float]]:
    """Rank all countries by comparing each with a vector."""
    scores = index.encoder.encode(COUNTRIES.values()) @ np.asarray(vector, dtype=np.float32)
    ranked = sorted(zip(COUNTRIES, scores.tolist(), strict=True), key=lambda pair: -pair[1])
    return [(name, score) for name, score in ranked if name not in but]


def assert_found(hits: list[Any], expected: list[tuple[str, float]]) -> None:
    assert [hit.id for hit in hits] == [name for name, _ in expected]
    assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected], abs=1e-5)


def test_documents_like_one_are_those_its_vector_finds_but_not_itself(index: Index) -> None:
    hits = index.search(like=["Finland"], k=5, effort=1.0)
    assert_found(hits, best(index.encoder.encode_one(COUNTRIES["Finland"]), index, ("Finland",))[:5])


def test_a_query_is_the_sum_of_what_is_asked_for_less_what_is_not(index: Index) -> None:
    given = {"languages": ["French"]}
    hits = index.search(given, 7, like=["Finland", "Kenya"], unlike=["Norway"], effort=1.0)
    documents = [given, *(COUNTRIES[name] for name in ("Finland", "Kenya", "Norway"))]
    total = np.array([1, 1, 1, -1]) @ index.encoder.encode(documents)
    assert_found(hits, best(total / np.linalg.norm(total), index, ("Finland", "Kenya", "Norway"))[:7])


def test_of_k_documents_that_match_a_filter_k_are_found_beside_those_passed_over(index: Index) -> None:
    hits = index.search(k=300, like=["Finland"], where="continent = 'Europe'")
    europe = {name for name, document in COUNTRIES.items() if document["continent"] == "Europe"}
    assert {hit.id for hit in hits} == europe - {"Finland"}


def test_weights_and_ignored_fields_are_those_of_the_encoder_that_weighs(index: Index) -> None:
    query = {"name": "Chad", "region": "Northern Europe", "landlocked": True}
    hits = index.search(query, 5, weights={"region": 3, "name": -1}, ignore=["landlocked"], effort=1.0)
    weighed = index.encoder.weigh({"region": 3, "name": -1}, ["landlocked"])
    assert_found(hits, best(weighed.encode_one(query), index)[:5])
    batch = index.search_batch([query, query], 5, weights={"region": 3, "name": -1}, ignore=["landlocked"], effort=1.0)
    assert batch == [hits, hits]
    assert index.search(query, 5, effort=1.0) != hits


def test_each_hit_says_why_if_it_is_asked_to(index: Index) -> None:
    query = {"capital": {"name": "Oslo"}, "languages": ["Norwegian"], "region": "Africa"}
    asked = {"weights": {"languages": 2}, "ignore": ["region"], "explain": True}
    for hit in index.search(query, 3, **asked):
        assert hit.explanation is not None
        assert hit.parts == hit.explanation.parts
        assert sum(part.contribution for part in hit.parts) == pytest.approx(hit.score, abs=1e-5)
        assert not any(part.path == "region" for part in hit.parts)
    assert [hits[0].parts for hits in index.search_batch([query], 1, **asked)] == [
        index.search(query, 1, **asked)[0].parts
    ]
    assert index.search(query, 1)[0].parts == ()


def test_the_explanation_of_a_question_of_several_documents_is_of_their_sum(index: Index) -> None:
    (hit,) = index.search({"name": "Norway"}, 1, like=["Finland", "Sweden"], unlike=["Chad"], explain=True)
    assert sum(part.contribution for part in hit.parts) == pytest.approx(hit.score, abs=1e-5)
    name = next(part for part in hit.parts if part.path == part.other_path == "name")
    assert name.value == ["Norway", "Finland", "Sweden", "Chad"]


def test_weights_that_are_changed_after_a_search_hold_in_the_next_one(index: Index) -> None:
    query, weights = {"name": "Chad", "region": "Northern Europe"}, {"region": 3.0}
    first = index.search(query, 5, weights=weights)
    weights["region"] = 0.01
    assert index.search(query, 5, weights=weights) == index.search(query, 5, weights={"region": 0.01}) != first


def test_what_is_asked_not_to_be_so_does_not_count_for_agreement(index: Index) -> None:
    query, against = {"name": "Norway", "region": "Northern Europe"}, {"region": -1.0}
    hits = index.search(query, 193, weights=against, explain=True, effort=1.0)
    why = next(hit.explanation for hit in hits if hit.id == "Norway")
    assert why is not None
    assert why.agreement == pytest.approx(1.0, abs=1e-6)
    region = next(part for part in why.parts if part.path == part.other_path == "region")
    assert region.possible < region.contribution < 0
    unlike = index.search(unlike=["Norway"], k=1, explain=True)[0].explanation
    assert unlike is not None
    assert unlike.agreement is None
    assert "agreement" not in str(unlike)


def test_what_a_weighed_field_might_add_is_what_it_adds_where_the_document_is_the_query(index: Index) -> None:
    weights = {"name": 3.0, "region": -0.5, "languages": 0.2}
    hits = index.search(COUNTRIES["Chad"], 193, weights=weights, explain=True)
    why = next(hit.explanation for hit in hits if hit.id == "Chad")
    assert why is not None
    own = [part for part in why.parts if part.path == part.other_path]
    assert sum(part.possible for part in why.parts) == pytest.approx(why.score, abs=1e-5)
    assert next(part for part in own if part.path == "region").possible < 0


def test_agreement_is_1_where_all_that_is_asked_for_agrees(index: Index) -> None:
    query = {"region": "Northern Europe", "languages": COUNTRIES["Finland"]["languages"], "drives_on": "right"}
    weights = {"region": 3, "drives_on": 0.5}
    for given in ({}, {"weights": weights}):
        hit = next(hit for hit in index.search(query, 193, explain=True, **given) if hit.id == "Finland")
        assert hit.explanation is not None
        assert hit.explanation.agreement == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Give a document to search for, or ids of documents to be like or unlike."),
        ({"like": "Chad"}, r"ids is a list of ids; for one give \['Chad'\]\."),
        ({"like": [3]}, "An id is a string; 3 is not."),
        ({"unlike": ["Atlantis"]}, "There is no document with the id 'Atlantis' to be like or unlike."),
        ({"like": ["Chad"], "unlike": ["Chad"]}, "Nothing is asked: all fields are ignored, or what is liked"),
        ({"document": {"name": "Chad"}, "ignore": ["name"]}, "Nothing is asked: all fields are ignored"),
        ({"document": {"name": "Chad"}, "ignore": "name"}, r"ignore is a list of paths, as \['name'\]\."),
        ({"document": 1, "weights": {"a": 1e9}}, "The field 'a': weight is 0 or a number"),
    ],
)
def test_a_question_that_asks_nothing_is_refused(index: Index, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        index.search(**arguments)


def test_null_is_a_document_to_search_for(index: Index) -> None:
    assert len(index.search(None, 3)) == 3


def test_a_document_that_is_none_is_told_with_its_place(index: Index) -> None:
    with pytest.raises(DocumentError, match=r"^At \$\.a: "):
        index.search({"a": {1}})
    with pytest.raises(DocumentError, match=r"^At document 1, \$\.a: "):
        index.search_batch([1, {"a": {1}}])


def test_one_document_is_no_batch(index: Index) -> None:
    with pytest.raises(ParameterError):
        index.search_batch({"name": "Chad"})  # type: ignore[arg-type]
    assert index.search_batch([]) == []


def test_an_encoder_with_another_text_embedder_or_family_explains_as_well(tmp_path: Path) -> None:
    encoder = Encoder(dim=64, binding="haar", text=lambda texts: [[len(text), 1.0] for text in texts])
    with Index.create(tmp_path / "a.mbat", list(COUNTRIES.values())[:20], encoder=encoder) as index:
        for hit in index.search({"name": "Republic of Chad"}, 3, explain=True, weights={"name": 2}):
            assert sum(part.contribution for part in hit.parts) == pytest.approx(hit.score, abs=1e-5)
