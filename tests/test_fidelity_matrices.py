"""Properties 1 to 7 of a faithful MBAT: the matrices. Every family that is offered must show them."""

from __future__ import annotations

import numpy as np
import pytest

from mbat.binding import sequence_hash
from tests.fidelity import FAMILIES, Array, Blocks, Shifts, Signs, binding, commutation, cosine, gaussian, key, noise
from tests.fidelity import normal as random_vectors

families = pytest.mark.parametrize("family", FAMILIES)
DIM = {"signed-permutation": 1024, "haar": 256}


@families
@pytest.mark.parametrize("dim", [256, 512])
def test_01_the_matrix_of_every_key_is_orthogonal(family: str, dim: int) -> None:
    for name in ("name", "", "a.b", "钥匙"):
        m = binding(family, dim).apply(key(name), np.eye(dim)).T
        assert np.abs(m.T @ m - np.eye(dim)).max() <= 1e-12
        single = m.astype(np.float32)
        assert np.abs(single.T @ single - np.eye(dim)).max() <= 1e-5


@pytest.mark.parametrize("dim", [1024, 4096])
def test_01_large_signed_permutations_are_orthogonal(dim: int) -> None:
    m = binding("signed-permutation", dim).apply(key("name"), np.eye(dim))
    assert ((m != 0).sum(axis=0) == 1).all()
    assert ((m != 0).sum(axis=1) == 1).all()
    assert (np.abs(m).sum(axis=0) == 1).all()


@families
def test_02_a_hundred_keys_keep_the_norm(family: str) -> None:
    dim = DIM[family]
    v = random_vectors(dim).astype(np.float32)
    v /= np.linalg.norm(v)
    for i in range(100):
        v = binding(family, dim).apply(key(f"key {i}"), v).astype(np.float32)
    assert abs(np.linalg.norm(v) - 1) <= 1e-5


@families
def test_02_a_thousand_positions_keep_the_norm(family: str) -> None:
    dim = DIM[family]
    v = random_vectors(dim).astype(np.float32)
    v /= np.linalg.norm(v)
    for _ in range(1000):
        v = binding(family, dim).apply(sequence_hash(0), v).astype(np.float32)
    assert abs(np.linalg.norm(v) - 1) <= 1e-5


def test_03_gaussian_matrices_do_not_keep_the_norm() -> None:
    matrices = [gaussian(f"key {i}", 256) for i in range(10)]
    v = random_vectors(2000, 256)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    norms = []
    for trial in range(200):
        u = v[trial]
        order = np.random.default_rng(trial).permutation(10)
        for i in order:
            flips = np.random.default_rng([trial, i]).choice([-1.0, 1.0], (2, 256))
            u = flips[0] * (np.random.default_rng([trial, i, 1]).permutation(matrices[i]) @ (flips[1] * u))
        norms.append(np.linalg.norm(u))
    assert 0.10 <= np.std(norms) <= 0.20


def test_03_matrices_of_ones_blow_the_norm_up() -> None:
    rng = np.random.default_rng(0)
    v = random_vectors(1000)
    v /= np.linalg.norm(v)
    for _ in range(3):
        v = rng.choice([-1.0, 1.0], (1000, 1000)) @ v
    assert np.linalg.norm(v) == pytest.approx(3.16e4, rel=0.15)


@families
def test_04_twenty_keys_keep_every_similarity(family: str) -> None:
    dim = DIM[family]
    u, v = random_vectors(2, 1000, dim).astype(np.float32)
    before = cosine(u, v)
    for i in range(20):
        u, v = (binding(family, dim).apply(key(f"key {i}"), x) for x in (u, v))
    assert np.abs(cosine(u, v) - before).max() <= 1e-5


def test_04_gaussian_matrices_change_similarities() -> None:
    u, v = random_vectors(2, 300, 1000)
    before = cosine(u, v)
    for i in range(5):
        m = gaussian(f"deep {i}", 1000)
        u, v = u @ m.T, v @ m.T
    assert np.std(cosine(u, v) - before) >= 0.05


@families
def test_05_the_transpose_undoes_twenty_keys(family: str) -> None:
    dim = DIM[family]
    v = bound = random_vectors(20, dim)
    for i in range(20):
        bound = binding(family, dim).apply(key(f"key {i}"), bound)
    for i in reversed(range(20)):
        bound = binding(family, dim).apply_transpose(key(f"key {i}"), bound)
    assert cosine(bound, v).min() >= 1 - 1e-6


@pytest.mark.parametrize(("depth", "expected"), [(1, 0.707), (3, 0.50)])
def test_05_the_transpose_of_a_gaussian_matrix_undoes_it_in_part(depth: int, expected: float) -> None:
    v = bound = random_vectors(50, 1000)
    matrices = [gaussian(f"undo {i}", 1000) for i in range(depth)]
    for m in matrices:
        bound = bound @ m.T
    for m in reversed(matrices):
        bound = bound @ m
    assert cosine(bound, v).mean() == pytest.approx(expected, abs=0.02)


def inputs(kind: str, count: int, dim: int) -> Array:
    if kind == "one-hot":
        return np.eye(dim)[np.arange(count) % dim]
    v = random_vectors(count, dim)
    return np.abs(v) if kind == "positive" else v


@families
@pytest.mark.parametrize("kind", ["dense", "positive", "one-hot"])
def test_06_a_bound_vector_is_unlike_its_input_and_other_keys(family: str, kind: str) -> None:
    dim, count = 256, 400
    v = inputs(kind, 1000, dim)
    own, other = [], []
    for i in range(count):
        rows = v[i::count]
        a = binding(family, dim).apply(key(f"key {i}"), rows)
        b = binding(family, dim).apply(key(f"key {(i + 1) % count}"), rows)
        own.append(cosine(a, rows))
        other.append(cosine(a, b))
    for cosines in (np.concatenate(own), np.concatenate(other)):
        if kind == "one-hot":
            assert np.abs(cosines).mean() <= 1.5 * noise(dim)
            continue
        assert np.abs(cosines).max() <= 5 * noise(dim)
        assert abs(cosines.mean()) <= 0.01
        assert cosines.std() == pytest.approx(noise(dim), rel=0.15)


def test_06_a_plain_permutation_leaves_positive_vectors_alike() -> None:
    v = np.abs(random_vectors(200, 1024))
    shuffled = np.random.default_rng(1).permutation(v.T).T
    assert cosine(v, shuffled).mean() == pytest.approx(0.637, abs=0.02)


@families
def test_07_keys_do_not_commute(family: str) -> None:
    dim = DIM[family]
    pairs = 200 if family == "signed-permutation" else 100
    cosines = commutation(binding(family, dim), dim, pairs)
    assert abs(cosines.mean()) <= 0.01
    assert np.abs(cosines).max() <= 5 * noise(dim)


@pytest.mark.parametrize("control", [Signs, Shifts])
def test_07_signs_and_shifts_commute(control: type[Signs]) -> None:
    assert commutation(control(1024), 1024, 20).min() >= 0.999999


@pytest.mark.parametrize("size", [2, 4, 8])
def test_07_small_blocks_commute_in_part(size: int) -> None:
    expected = {2: 1 / 4, 4: 1 / 16, 8: 1 / 64}[size]
    assert commutation(Blocks(1024, size), 1024, 200).mean() == pytest.approx(expected, abs=0.02)
