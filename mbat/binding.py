"""Binding: a random orthogonal matrix for every key and every position in an array.

A family of matrices is a `Binding`. Matrices are named by integers (the hash of a key), so that the
matrix of a key depends on the seed and the key alone.

Positions: element i of an array, counted from 1, is bound by ``M_ARRAY M_SEQ^i``. Powers of one matrix
commute with each other; M_ARRAY, once a level, keeps nested arrays apart.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mbat.hashing import domain, extend, hash_text, mix
from mbat.kernels import Kernel

Vectors = NDArray[np.float64]

POSITIONS: Final = 128
"""How many positions have a matrix ready made; later ones are composed as they are met."""

KEYS: Final = 16384
"""How many keys have a matrix ready made; others are made each time they are met."""


class Binding(Protocol):
    """A family of orthogonal matrices."""

    dim: int

    def apply(self, key_hash: int, vectors: Vectors) -> Vectors:
        """Multiply the matrix of a key with vectors of shape (..., dim)."""

    def apply_transpose(self, key_hash: int, vectors: Vectors) -> Vectors:
        """Multiply the transpose, which is the inverse, with vectors of shape (..., dim)."""


def array_hash(seed: int) -> int:
    """Name the matrix M_ARRAY."""
    return hash_text("element", domain(seed, "array"))


def sequence_hash(seed: int) -> int:
    """Name the matrix M_SEQ."""
    return hash_text("sequence", domain(seed, "array"))


class SignedPermutation:
    """Matrices with one entry of ±1 in each row and column.

    Entry i of a vector goes to position ``p >> 1``, with a minus sign if ``p & 1``, where p is entry i
    of the array that stands for the matrix.

    Parameters
    ----------
    dim : int
        Length of the vectors.

    Examples
    --------
    >>> binding = SignedPermutation(8)
    >>> v = np.arange(8.0)
    >>> bound = binding.apply(12345, v)
    >>> bool((binding.apply_transpose(12345, bound) == v).all())
    True
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def permutation(self, key_hash: int) -> NDArray[np.int32]:
        """Return the int32 array of shape (dim,) that stands for the matrix of a key."""
        permutation = np.empty(self.dim, dtype=np.int32)
        make_permutation(self.dim, key_hash, permutation, 0, self.dim)
        return permutation

    def apply(self, key_hash: int, vectors: Vectors) -> Vectors:
        """Multiply the matrix of a key with vectors of shape (..., dim)."""
        permutation = self.permutation(key_hash)
        bound = np.empty_like(vectors)
        bound[..., permutation >> 1] = vectors * (1 - 2 * (permutation & 1))
        return bound

    def apply_transpose(self, key_hash: int, vectors: Vectors) -> Vectors:
        """Multiply the transpose, which is the inverse, with vectors of shape (..., dim)."""
        permutation = self.permutation(key_hash)
        return vectors[..., permutation >> 1] * (1 - 2 * (permutation & 1))


class Haar:
    """Matrices drawn uniformly from all orthogonal matrices: the reference, 8 dim^2 bytes a key.

    The QR decomposition of a Gaussian matrix, the columns of Q multiplied by the signs of R's diagonal
    (Mezzadri 2007, arXiv math-ph/0609050). The entries come from the hash by the Box-Muller formula; the
    last bits of a matrix may depend on the machine's linear algebra library.

    Parameters
    ----------
    dim : int
        Length of the vectors.
    cache_bytes : int
        Memory for matrices that are kept.
    """

    def __init__(self, dim: int, cache_bytes: int = 1 << 30) -> None:
        self.dim = dim
        self._room = max(1, cache_bytes // (8 * dim * dim))
        self._matrices: OrderedDict[int, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def matrix(self, key_hash: int) -> Vectors:
        """Return the matrix of a key, float64 of shape (dim, dim)."""
        with self._lock:
            matrix = self._matrices.pop(key_hash, None)
            if matrix is None:
                matrix = self._made(key_hash)
                while len(self._matrices) >= self._room:
                    self._matrices.popitem(last=False)
            self._matrices[key_hash] = matrix
            return matrix

    def _made(self, key_hash: int) -> Vectors:
        from scipy.linalg import qr

        q, r = qr(gaussian_matrix(key_hash, self.dim), overwrite_a=True, check_finite=False)
        made: Vectors = q * np.sign(np.diag(r))
        return made

    def apply(self, key_hash: int, vectors: Vectors) -> Vectors:
        """Multiply the matrix of a key with vectors of shape (..., dim)."""
        return vectors @ self.matrix(key_hash).T

    def apply_transpose(self, key_hash: int, vectors: Vectors) -> Vectors:
        """Multiply the transpose, which is the inverse, with vectors of shape (..., dim)."""
        return vectors @ self.matrix(key_hash)


FAMILIES: Final[dict[str, type[SignedPermutation] | type[Haar]]] = {
    "signed-permutation": SignedPermutation,
    "haar": Haar,
}
"""The families of matrices that an encoder can use, by name."""


def gaussian_matrix(key_hash: int, dim: int) -> Vectors:
    """Return a (dim, dim) matrix of independent standard normal entries, a function of the hash."""
    n = dim * dim
    x = np.arange(2 * n, dtype=np.uint64) * np.uint64(_STEP) + np.uint64(key_hash)
    for shift, multiplier in _ROUNDS:
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(multiplier)
    uniform = ((x >> np.uint64(12)).astype(np.float64) + 0.5) / (1 << 52)
    normal: Vectors = np.sqrt(-2 * np.log(uniform[:n])) * np.cos(2 * np.pi * uniform[n:])
    return normal.reshape(dim, dim)


_STEP: Final = 0x1E3779B97F4A7C15
_ROUNDS: Final = ((32, 0x3C79AC492BA7B653), (29, 0x1C69B3F74AC4AE35), (32, 0x3C79AC492BA7B653))


def fill_permutation(key_hash: int, target: NDArray[np.int32], start: int, dim: int) -> int:
    """Write the signed permutation of a hash to ``target[start:start + dim]`` (Fisher-Yates)."""
    for i in range(dim):
        target[start + i] = i
    state = key_hash
    for i in range(dim - 1, -1, -1):
        state = extend(state, i)
        bits = mix(state)
        j = ((bits >> 31) * (i + 1)) >> 32
        chosen = target[start + j]
        target[start + j] = target[start + i]
        target[start + i] = chosen * 2 + (bits & 1)
    return 0


make_permutation = Kernel(fill_permutation, mix, extend)


class Permutations:
    """The signed permutations of the keys of a path table and of the positions in arrays.

    Parameters
    ----------
    dim, seed : int
        Those of the encoder.
    """

    def __init__(self, dim: int, seed: int) -> None:
        self._dim = dim
        self._filled = 0
        self._keys = np.empty(16 * dim, dtype=np.int32)
        self.sequence = np.empty(dim, dtype=np.int32)
        make_permutation(dim, sequence_hash(seed), self.sequence, 0, dim)
        self._array_hash = array_hash(seed)
        self._positions: NDArray[np.int32] | None = None

    @property
    def positions(self) -> NDArray[np.int32]:
        """The permutations of the positions, as `mbat.bundling.Places.positions`."""
        if self._positions is None:
            table = np.empty((POSITIONS + 1, self._dim), dtype=np.int32)
            make_permutation(self._dim, self._array_hash, table[0], 0, self._dim)
            for i in range(POSITIONS):
                table[i + 1] = table[i][self.sequence >> 1] ^ (self.sequence & 1)
            self._positions = table.reshape(-1)
        return self._positions

    def keys(self, slots: NDArray[np.int64], hashes: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the permutations by slot, those of new slots made now."""
        wanted = min(int(slots.max(initial=-1)) + 1, KEYS)
        if wanted > self._filled:
            if wanted * self._dim > len(self._keys):
                grown = np.empty(min(2 * wanted, KEYS) * self._dim, dtype=np.int32)
                grown[: self._filled * self._dim] = self._keys[: self._filled * self._dim]
                self._keys = grown
            new = np.flatnonzero((slots >= self._filled) & (slots < wanted))
            for path in new[np.unique(slots[new], return_index=True)[1]]:
                make_permutation(self._dim, int(hashes[path]), self._keys, int(slots[path]) * self._dim, self._dim)
            self._filled = wanted
        return self._keys
