from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mbat import Encoder, kernels
from mbat.binding import make_permutation
from mbat.hashing import MASK, extend, mix, times
from mbat.kernels import Kernel
from tests.json_strategies import STRANGE_TEXTS, batches, compiled, interpreted

FITTED_ON = [
    {"a": "the cat sat", "b": [1, 2, 300], "c": {"a": 5, "b": None}},
    {"a": "the dog", "b": [1e9, -4.5], "c": {"a": 6, "b": True}},
    {"a": list(STRANGE_TEXTS), "c": {"a": 7}},
    ["東京", 3, False, {}],
]
PARAMETERS: tuple[dict[str, Any], ...] = (
    {},
    {"softness": 0.0},
    {"strings": "words"},
    {"strings": "symbol", "numbers": "symbol"},
    {"dim": 33, "seed": 5},
)

hashes = st.integers(0, MASK)


@cache
def encoder(fitted: bool, which: int) -> Encoder:
    made = Encoder(**{"dim": 32, **PARAMETERS[which]})
    return made.fit(FITTED_ON) if fitted else made


def symbols(which: Encoder, documents: list[Any]) -> list[tuple[int | bytes, ...]]:
    """Return all that the symbolizing kernel writes, run after run."""
    batch = which._ready().prepare(documents)
    runs = []
    for start, stop, buffer in which._symbols(batch):
        used = int(buffer.ends[: stop - start].max())
        ends = np.stack([buffer.starts, buffer.ends])[:, : stop - start]
        arrays = buffer.codes[:used], buffer.bound[:used], buffer.free[:used], ends
        runs.append((start, stop, *(array.tobytes() for array in arrays)))
    return runs


@pytest.mark.parametrize("which", range(len(PARAMETERS)))
@pytest.mark.parametrize("fitted", [False, True])
@settings(max_examples=30, deadline=None)
@given(batches)
def test_compiled_and_interpreted_kernels_make_the_same_vectors_to_the_last_bit(
    fitted: bool, which: int, documents: list[Any]
) -> None:
    with compiled():
        fast = encoder(fitted, which).encode(documents)
    with interpreted():
        slow = encoder(fitted, which).encode(documents)
    assert fast.shape == slow.shape == (len(documents), encoder(fitted, which).dim)
    assert fast.tobytes() == slow.tobytes()


@pytest.mark.parametrize("which", range(len(PARAMETERS)))
@pytest.mark.parametrize("fitted", [False, True])
@settings(max_examples=30, deadline=None)
@given(batches)
def test_compiled_and_interpreted_symbolizing_agree_to_the_last_bit(
    fitted: bool, which: int, documents: list[Any]
) -> None:
    with compiled():
        fast = symbols(encoder(fitted, which), documents)
    with interpreted():
        slow = symbols(encoder(fitted, which), documents)
    assert fast == slow


@settings(max_examples=20, deadline=None)
@given(batches)
def test_compiled_and_interpreted_counting_agree(documents: list[Any]) -> None:
    with compiled():
        fast = Encoder(dim=16).fit(documents).statistics
    with interpreted():
        slow = Encoder(dim=16).fit(documents).statistics
    assert fast == slow
    assert fast.documents == len(documents)
    assert fast.frequencies.any() == bool(documents)


@settings(deadline=None)
@given(hashes, st.integers(1, 70))
def test_compiled_and_interpreted_permutations_agree_and_are_permutations(key_hash: int, dim: int) -> None:
    fast, slow = np.full(dim + 3, -7, np.int32), np.full(dim + 3, -7, np.int32)
    make_permutation.compiled(key_hash, fast, 2, dim)
    make_permutation.interpret(key_hash, slow, 2, dim)
    assert fast.tolist() == slow.tolist()
    assert sorted(fast[2:-1] >> 1) == list(range(dim))
    assert (fast[0], fast[1], fast[-1]) == (-7, -7, -7)


def test_a_string_longer_than_the_symbol_buffer_is_coded_alike_and_as_if_alone() -> None:
    long = "".join(chr(0x4E00 + i % 9000) + "b" * (i % 3) for i in range(12000))
    documents = [{"a": ["short", 1, True]}, {"a": long, "b": "after"}, "short"]
    which = encoder(True, 0)
    with compiled():
        fast, alone = which.encode(documents), [which.encode_one(document) for document in documents]
    with interpreted():
        slow = which.encode(documents)
    assert fast.tobytes() == slow.tobytes() == np.stack(alone).tobytes()


def test_arrays_longer_than_the_ready_positions_are_bundled_alike() -> None:
    documents = [["x", 1] * 140, [[i, "y"] for i in range(135)], {"a": [[list(range(131))] * 2] * 3}]
    which = encoder(False, 4)
    with compiled():
        fast = which.encode(documents)
    with interpreted():
        slow = which.encode(documents)
    assert fast.tobytes() == slow.tobytes()


def _scramble(first: int, second: int, out: Any) -> int:
    out[0] = times(first, second)
    out[1] = mix(first)
    out[2] = extend(first, second)
    return len(out)


scramble = Kernel(_scramble, mix, extend)


@settings(deadline=None)
@given(hashes, hashes)
def test_the_hash_is_the_same_compiled_and_interpreted_and_stays_within_63_bits(first: int, second: int) -> None:
    fast, slow = np.zeros(3, np.int64), np.zeros(3, np.int64)
    assert scramble.compiled(first, second, fast) == scramble.interpret(first, second, slow) == 3
    assert fast.tolist() == slow.tolist() == [first * second & MASK, mix(first), extend(first, second)]
    assert min(fast.tolist()) >= 0


def _increase(out: Any) -> int:
    out[0] += 1
    return int(out[0])


@pytest.fixture
def increase(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    monkeypatch.setattr(Kernel, "_interpreted_seconds", 0.0)
    return Kernel(_increase)


def test_a_small_call_is_interpreted_and_a_large_one_compiled(
    increase: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "INTERPRETED_WORK", 10)
    out: NDArray[np.int64] = np.zeros(1, np.int64)
    assert increase(10, out) == 1
    assert increase._compiled is None
    assert increase(11, out) == 2
    assert increase._compiled is not None
    assert increase(1, out) == 3
    assert out.tolist() == [3]


def test_small_calls_are_compiled_too_once_they_have_taken_long_enough(
    increase: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kernel, "_interpreted_seconds", kernels.INTERPRETED_SECONDS)
    assert increase(1, np.zeros(1, np.int64)) == 1
    assert increase._compiled is not None


@pytest.mark.parametrize("fitted", [False, True])
def test_vectors_do_not_depend_on_how_much_work_is_interpreted(fitted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = []
    for work in (-1, 1 << 60):
        monkeypatch.setattr(kernels, "INTERPRETED_WORK", work)
        monkeypatch.setattr(kernels, "INTERPRETED_SECONDS", float("inf"))
        for kernel in (value for module in _kernel_modules() for value in vars(module).values()):
            if isinstance(kernel, Kernel):
                monkeypatch.setattr(kernel, "_compiled", None)
        vectors.append(encoder(fitted, 0).encode(FITTED_ON).tobytes())
    assert vectors[0] == vectors[1]


def _kernel_modules() -> tuple[Any, ...]:
    from mbat import binding, bundling, statistics, symbols

    return binding, bundling, statistics, symbols


def test_threads_that_need_a_kernel_at_once_compile_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    njit = numba.njit

    def slow_njit(**options: Any) -> Callable[[Any], Any]:
        time.sleep(0.05)
        made: Callable[[Any], Any] = njit(**options)  # which makes another object each time
        return made

    monkeypatch.setattr(numba, "njit", slow_njit)
    kernel = Kernel(lambda x: x)
    with ThreadPoolExecutor(8) as pool:
        forms = list(pool.map(lambda _: kernel.compiled, range(8)))
    assert all(form is forms[0] for form in forms)


@pytest.mark.parametrize("letters", [480, 510, 600, 5000])
def test_a_text_of_different_signs_that_fills_its_buffer_is_coded(letters: int) -> None:
    text = "".join(chr(0x4E00 + i) for i in range(letters))
    for form in (compiled, interpreted) if letters < 1000 else (compiled,):
        with form():
            assert np.isfinite(Encoder(dim=32).encode_one({"k": text})).all()
