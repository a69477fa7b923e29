"""What the fidelity tests share: families of matrices, the control families, and the strict encoder."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbat import Encoder
from mbat.binding import Haar, SignedPermutation, array_hash, gaussian_matrix, sequence_hash
from mbat.hashing import domain, hash_text

Array = NDArray[np.float64]

FAMILIES = ("signed-permutation", "haar")


def noise(dim: int) -> float:
    """Return the standard deviation of the cosine of unrelated vectors."""
    return 1 / dim**0.5


def key(name: str) -> int:
    return hash_text(name, domain(0, "key"))


@cache
def binding(family: str, dim: int) -> SignedPermutation | Haar:
    return SignedPermutation(dim) if family == "signed-permutation" else Haar(dim)


@cache
def strict(family: str = "signed-permutation", dim: int = 1024, seed: int = 0, **leaves: str) -> Encoder:
    options: dict[str, Any] = {"strings": "symbol", "numbers": "symbol", **leaves}
    encoder = Encoder(dim=dim, seed=seed, softness=0, binding=family, **options)
    if family == "haar":
        encoder._binding = binding(family, dim)  # its matrices are made once for all tests
    return encoder


def cosine(a: Array, b: Array) -> Array:
    return np.asarray((a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1))


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def gaussian(name: str, dim: int) -> Array:
    """Return a matrix of independent entries of variance 1/dim: random, and not orthogonal."""
    return gaussian_matrix(key(name), dim) / dim**0.5


class Signs:
    """Diagonal matrices of random signs: orthogonal, and they commute."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def apply(self, key_hash: int, vectors: Array) -> Array:
        return vectors * np.random.default_rng(key_hash).choice([-1.0, 1.0], self.dim)

    def apply_transpose(self, key_hash: int, vectors: Array) -> Array:
        return self.apply(key_hash, vectors)


class Shifts(Signs):
    """Cyclic shifts: orthogonal, and they commute."""

    def apply(self, key_hash: int, vectors: Array) -> Array:
        return np.roll(vectors, key_hash % self.dim, axis=-1)

    def apply_transpose(self, key_hash: int, vectors: Array) -> Array:
        return np.roll(vectors, -(key_hash % self.dim), axis=-1)


class Blocks(Signs):
    """Haar matrices of one small size along the diagonal: they commute in part."""

    def __init__(self, dim: int, size: int) -> None:
        super().__init__(dim)
        self.size = size

    def apply(self, key_hash: int, vectors: Array) -> Array:
        rng = np.random.default_rng(key_hash)
        q, r = np.linalg.qr(rng.standard_normal((self.dim // self.size, self.size, self.size)))
        q *= np.sign(np.einsum("bii->bi", r))[:, None, :]
        parts = vectors.reshape(*vectors.shape[:-1], -1, self.size)
        return np.einsum("bij,...bj->...bi", q, parts).reshape(vectors.shape)


def commutation(family: Any, dim: int, pairs: int) -> Array:
    """Return cos(M_a M_b v, M_b M_a v) for pairs of keys and random v."""
    v = normal(pairs, dim)
    found = []
    for i in range(pairs):
        a, b = key(f"a{i}"), key(f"b{i}")
        found.append(cosine(family.apply(a, family.apply(b, v[i])), family.apply(b, family.apply(a, v[i]))))
    return np.array(found)


def array_names(seed: int = 0) -> tuple[int, int]:
    return array_hash(seed), sequence_hash(seed)
