"""Properties 8 to 25 of a faithful MBAT: documents, with the strict encoder unless a test says otherwise."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import subprocess
import sys
from typing import Any

import faiss
import numpy as np
import pytest

from mbat import Encoder
from mbat.binding import Binding
from mbat.hashing import domain, hash_text
from mbat.paths import PathTable
from tests.fidelity import FAMILIES, Array, Shifts, cosine, noise, normal, strict

families = pytest.mark.parametrize("family", FAMILIES)
DIM = {"signed-permutation": 1024, "haar": 256}


def pair(family: str, a: Any, b: Any, dim: int = 0, **leaves: str) -> float:
    vectors = strict(family, dim or DIM[family], **leaves).encode([a, b])
    return float(vectors[0] @ vectors[1])


def near_zero(family: str) -> float:
    return 5 * noise(DIM[family])


def controlled(binding: Binding) -> Encoder:
    """Return a strict encoder that binds with a control family."""
    encoder = Encoder(dim=binding.dim, softness=0, binding="haar", strings="symbol", numbers="symbol")
    encoder._binding = binding  # type: ignore[assignment]
    return encoder


def records(count: int, fields: int, choices: int, seed: int = 0) -> list[dict[str, str]]:
    rng = random.Random(seed)
    return [{f"f{i}": f"v{rng.randrange(choices)}" for i in range(fields)} for _ in range(count)]


@families
def test_08_the_order_of_keys_on_a_path_counts(family: str) -> None:
    cosines = [pair(family, {"x": {"y": f"v{i}"}}, {"y": {"x": f"v{i}"}}) for i in range(20)]
    assert np.abs(cosines).max() <= near_zero(family)


def test_08_it_would_not_count_with_keys_that_commute() -> None:
    a, b = controlled(Shifts(1024)).encode([{"x": {"y": "v"}}, {"y": {"x": "v"}}])
    assert a @ b >= 0.999


@families
def test_09_values_that_change_roles_are_unlike(family: str) -> None:
    cosines = [pair(family, {"x": f"a{i}", "y": f"b{i}"}, {"x": f"b{i}", "y": f"a{i}"}) for i in range(20)]
    assert np.abs(cosines).max() <= near_zero(family)


@families
def test_10_nesting_is_visible(family: str) -> None:
    vectors = strict(family, DIM[family]).encode([{"x": {"y": "a"}}, {"x": "a"}, {"y": "a"}, {"x.y": "a"}])
    for a, b in itertools.combinations(vectors, 2):
        assert abs(a @ b) <= near_zero(family)


@families
def test_11_the_order_of_an_array_counts(family: str) -> None:
    slack = near_zero(family)
    assert abs(pair(family, ["a", "b", "c"], ["b", "c", "a"])) <= slack
    assert pair(family, ["a", "b", "c"], ["c", "b", "a"]) == pytest.approx(1 / 3, abs=slack)


@families
def test_11_appending_to_an_array_keeps_it_alike(family: str) -> None:
    assert pair(family, ["a", "b", "c"], ["a", "b", "c", "z"], 1024) == pytest.approx(0.866, abs=0.05)


@families
def test_12_arrays_in_arrays_keep_both_positions(family: str) -> None:
    slack = near_zero(family)
    transposed = pair(family, [["a", "b"], ["c", "d"]], [["a", "c"], ["b", "d"]])
    assert transposed == pytest.approx(0.5, abs=slack)
    assert transposed <= 0.7
    for a, b in (([["a"]], ["z", "a"]), (["a"], "a"), ([["a"]], ["a"])):
        assert abs(pair(family, a, b)) <= slack


def test_12_powers_of_one_matrix_would_confuse_them() -> None:
    roll = Shifts(1024)
    v = {name: normal(1024, seed=i) for i, name in enumerate("abcdz")}

    def bare(value: Any) -> Array:
        if isinstance(value, str):
            return v[value]
        return np.sum([roll.apply(i, bare(one)) for i, one in enumerate(value, start=1)], axis=0)

    assert cosine(bare([["a", "b"], ["c", "d"]]), bare([["a", "c"], ["b", "d"]])) >= 0.999
    assert cosine(bare([["a"]]), bare(["z", "a"])) == pytest.approx(0.70, abs=0.05)


@families
def test_13_types_are_told_apart(family: str) -> None:
    values: list[Any] = [1, "1", True, "true", 0, False, None, "null", "", [], {}]
    vectors = strict(family, DIM[family]).encode(values)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    for a, b in itertools.combinations(vectors, 2):
        assert abs(a @ b) <= near_zero(family)
    assert pair(family, 1, 1.0) == pytest.approx(1, abs=1e-6)
    assert pair(family, {"a": ""}, {}) < 0.5


@pytest.mark.parametrize("numbers", ["scaled", "symbol"])
def test_13_zero_and_one_differ(numbers: str) -> None:
    assert pair("signed-permutation", 0, 1, numbers=numbers) < 0.99


@families
def test_14_the_order_of_keys_and_white_space_do_not_count(family: str) -> None:
    document = {"a": [1, "x", {"b": None}], "c": {"d": True, "e": "text"}, "f": 2.5}
    other = {"f": 2.5, "c": {"e": "text", "d": True}, "a": [1, "x", {"b": None}]}
    spaced = json.loads(json.dumps(document, indent=7))
    a, b, c = strict(family, DIM[family]).encode([document, other, spaced])
    assert np.abs(a - b).max() <= 1e-6
    assert np.abs(a - c).max() <= 1e-6


def test_15_similarity_is_the_fraction_of_equal_fields() -> None:
    a, b = records(5000, 8, 10**9, seed=1), records(5000, 8, 10**9, seed=2)
    rng = random.Random(0)
    for x, y in zip(a, b, strict=True):
        y.update({field: x[field] for field in rng.sample(sorted(x), rng.randrange(9))})
    overlap = np.array([np.mean([x[f] == y[f] for f in x]) for x, y in zip(a, b, strict=True)])
    cosines = cosine(strict().encode(a), strict().encode(b))
    assert np.polyfit(overlap, cosines, 1)[0] == pytest.approx(1, abs=0.03)
    assert np.corrcoef(overlap, cosines)[0, 1] > 0.9


def test_15_the_error_of_that_fraction_is_the_noise_unit() -> None:
    a, b = records(5000, 8, 50, seed=1), records(5000, 8, 50, seed=2)
    overlap = np.array([np.mean([x[f] == y[f] for f in x]) for x, y in zip(a, b, strict=True)])
    encoder = strict()
    error = cosine(encoder.encode(a), encoder.encode(b)) - overlap
    assert error.std() == pytest.approx(noise(1024), rel=0.10)


@pytest.mark.parametrize(
    ("family", "dim", "changed", "expected", "top"),
    [
        ("signed-permutation", 256, 1, 0.875, 1.0),
        ("signed-permutation", 1024, 1, 0.875, 1.0),
        ("signed-permutation", 1024, 2, 0.75, 1.0),
        ("signed-permutation", 1024, 4, 0.50, 0.95),
        ("haar", 256, 1, 0.875, 1.0),
    ],
)
def test_16_a_record_with_changed_fields_finds_its_original(
    family: str, dim: int, changed: int, expected: float, top: float
) -> None:
    base = records(5000, 8, 20)
    rng = random.Random(1)
    queries = []
    for record in base[:300]:
        fields = rng.sample(sorted(record), changed)
        queries.append({**record, **{field: f"other {rng.randrange(20)}" for field in fields}})
    encoder = strict(family, dim)
    scores = encoder.encode(queries) @ encoder.encode(base).T
    assert scores[np.arange(300), np.arange(300)].mean() == pytest.approx(expected, abs=0.01)
    assert (scores.argmax(axis=1) == np.arange(300)).mean() >= top


def test_17_three_fields_of_eight_find_a_record_that_has_them() -> None:
    base = records(5000, 8, 20)
    queries = [{field: record[field] for field in ("f1", "f4", "f6")} for record in base[:300]]
    scores = strict().encode(queries) @ strict().encode(base).T
    assert scores[np.arange(300), np.arange(300)].mean() == pytest.approx((3 / 8) ** 0.5, abs=0.01)
    best = [base[i] for i in scores.argmax(axis=1)]
    agree = [all(found[field] == query[field] for field in query) for found, query in zip(best, queries, strict=True)]
    assert np.mean(agree) >= 0.99


@families
@pytest.mark.parametrize("numbers", ["scaled", "symbol"])
def test_18_a_superhero_a_year_older_is_still_himself(family: str, numbers: str) -> None:
    hero = {
        "name": "Molecule Man",
        "age": 29,
        "secretIdentity": "Dan Jukes",
        "powers": ["Radiation resistance", "Turning tiny", "Radiation blast"],
    }
    other = {
        "name": "Madame Uppercut",
        "age": 39,
        "secretIdentity": "Jane Wilson",
        "powers": ["Million tonne punch", "Damage resistance", "Superhuman reflexes"],
    }
    older = pair(family, hero, {**hero, "age": 30}, numbers=numbers)
    assert older >= 0.70
    assert older - pair(family, hero, other, numbers=numbers) >= 0.5


def test_19_nearer_numbers_are_more_alike() -> None:
    encoder = Encoder(softness=0)
    a, b, c, d = encoder.encode([29, 30, 39, 1_000_000])
    assert a @ b >= 0.9
    assert a @ b > a @ c > a @ d
    assert a @ d <= 0.5


def test_19_similarity_never_rises_with_distance_on_a_fitted_scale() -> None:
    encoder = Encoder(softness=0, dim=4096).fit([{"x": float(x)} for x in range(101)])
    vectors = encoder.encode([{"x": 10 + x / 4} for x in range(320)])
    similarity = vectors @ vectors[0]
    assert similarity[0] == pytest.approx(1, abs=1e-6)
    assert similarity[-1] < 0.9
    assert np.diff(similarity).max() <= 1e-6


@families
def test_20_strings_are_alike_by_the_words_they_share(family: str) -> None:
    slack = near_zero(family)
    assert pair(family, "large red car", "big red car", strings="words") == pytest.approx(2 / 3, abs=slack)
    assert abs(pair(family, "large red car", "small blue bicycle", strings="words")) <= slack
    assert pair(family, "large red car", "car red large", strings="words") == pytest.approx(1, abs=1e-6)


@families
@pytest.mark.parametrize("depth", [1, 10])
def test_21_binding_keeps_the_similarity_of_values(family: str, depth: int) -> None:
    a: Any = "large red car"
    b: Any = "big red cart"
    plain = pair(family, a, b, strings="text")
    assert 0.2 < plain < 0.9
    for i in range(depth):
        a, b = {f"k{i}": a}, {f"k{i}": b}
    assert pair(family, a, b, strings="text") == pytest.approx(plain, abs=1e-5)


def test_22_a_bundle_of_twenty_is_told_from_a_thousand() -> None:
    vectors = strict("signed-permutation", 882).encode([f"symbol {i}" for i in range(1000)])
    whole = 0
    for trial in range(200):
        members = np.random.default_rng(trial).choice(1000, 20, replace=False)
        best = np.argsort(-(vectors @ vectors[members].sum(axis=0)))[:20]
        whole += set(best.tolist()) == set(members.tolist())
    assert whole >= 0.97 * 200


@pytest.mark.parametrize(
    ("dim", "fields", "least", "most"), [(512, 15, 0.98, 1.0), (512, 30, 0.76, 0.84), (1024, 30, 0.985, 1.0)]
)
def test_23_fields_are_read_back_out_of_a_record(dim: int, fields: int, least: float, most: float) -> None:
    encoder = strict("signed-permutation", dim)
    values = [f"v{i}" for i in range(1000)]
    candidates = encoder.encode(values)
    rng = random.Random(0)
    right = []
    for _ in range(60):
        record = {f"f{i}": rng.choice(values) for i in range(fields)}
        vector = encoder.encode_one(record)
        for name, value in record.items():
            right.append(values[int(np.argmax(candidates @ encoder.unbind(vector, name)))] == value)
    assert least <= np.mean(right) <= most


@families
def test_23_fields_of_nested_records_are_read_back(family: str) -> None:
    encoder = strict(family, 1024)
    values = [f"v{i}" for i in range(1000)]
    candidates = encoder.encode(values)
    rng = random.Random(0)
    right = []
    for _ in range(20):
        record = {f"a{i}": {f"b{j}": rng.choice(values) for j in range(4)} for i in range(4)}
        vector = encoder.encode_one(record)
        for i, j in itertools.product(range(4), range(4)):
            held = encoder.unbind(vector, f"a{i}.b{j}")
            right.append(values[int(np.argmax(candidates @ held))] == record[f"a{i}"][f"b{j}"])
    assert np.mean(right) >= 0.99


def test_24_processes_with_different_hash_seeds_agree_to_the_last_bit() -> None:
    program = (
        "import hashlib, mbat; documents = [{'a': ['x', {'b': 1.5}], 'c': None}, 'text', {'é': 'ß'}] * 3;"
        "print(hashlib.sha256(mbat.Encoder().fit(documents).encode(documents).tobytes()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(digests) == 1


def test_24_the_matrix_of_a_key_does_not_depend_on_what_came_before() -> None:
    used = Encoder(softness=0)
    used.encode([{f"key {i}": i} for i in range(500)])
    document = {"late": "value", "key 7": [1, 2]}
    assert (used.encode_one(document) == Encoder(softness=0).encode_one(document)).all()


def test_24_a_hundred_thousand_keys_have_different_matrices() -> None:
    start = domain(0, "key")
    assert len({hash_text(f"key {i}", start) for i in range(100_000)}) == 100_000
    table = PathTable(0)
    assert len({table.key_hashes[table.child(0, f"{i}")] for i in range(1000)}) == 1000
    assert hashlib.sha256(str(hash_text("name", start)).encode()).hexdigest()[:8] == "d0bff22f"


@pytest.mark.parametrize("softness", [0.0, 0.5])
def test_25_any_number_of_leaves_gives_a_unit_vector_of_the_same_length(softness: float) -> None:
    encoder = Encoder(softness=softness)
    documents = [{"a": {f"k{i}": i for i in range(n)}, "b": list(range(n))} for n in (1, 10, 100, 1000, 5000)]
    vectors = encoder.encode(documents)
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, 1024)
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors.astype(np.float64), axis=1) == pytest.approx(1, abs=1e-5)


def test_25_faiss_agrees_with_the_cosine() -> None:
    base = Encoder().encode(records(3000, 8, 30))
    queries = Encoder().encode(records(100, 8, 30, seed=9))
    index = faiss.IndexFlatIP(1024)
    index.add(base)
    scores, _ = index.search(queries, 10)
    exact = -np.sort(-(queries.astype(np.float64) @ base.T.astype(np.float64)), axis=1)[:, :10]
    assert np.abs(scores - exact).max() <= 1e-5
