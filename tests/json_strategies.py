"""Arbitrary JSON documents for property tests, and how to run every kernel one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st

from mbat.kernels import Kernel
from mbat.paths import format_path

STRANGE_TEXTS = (
    "",
    " ",
    "\n",
    "a\nb",
    "İstanbul ISPARTA",
    "ΟΔΟΣ Σ",
    "東京タワー 日本",
    "ภาษาไทย",
    "naïve café",
    "the the the cat",
    "A-1/b_2.c",
    "\ud800",
    "\x00",
    "😀 😀",
    "2024-02-29T12:00:00Z",
)

texts = st.text(max_size=12) | st.sampled_from(STRANGE_TEXTS)
numbers = (
    st.integers(-5, 5)
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from((0.0, -0.0, 5e-324, 1.7976931348623157e308))
)
leaves = st.none() | st.booleans() | numbers | texts
keys = st.sampled_from(("a", "b", "c", "", "[]", "a.b")) | st.text(max_size=4)


def _containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.lists(children, max_size=4)
        | st.lists(texts, max_size=4)
        | st.lists(numbers, max_size=4)
        | st.dictionaries(keys, children, max_size=4)
    )


documents = st.recursive(leaves, _containers, max_leaves=12)
"""Any JSON value."""

paths = st.lists(st.none() | keys, max_size=4).map(format_path)
"""The path of any value that such a document may have."""

batches = st.lists(documents, max_size=4)
"""A few documents, perhaps none."""


@contextmanager
def all_kernels(run: Callable[..., int]) -> Iterator[None]:
    with patch.object(Kernel, "__call__", run):
        yield


def interpreted() -> Any:
    """Run every kernel as plain Python, whatever was compiled before."""
    return all_kernels(lambda kernel, _work, *arguments: kernel.interpret(*arguments))


def compiled() -> Any:
    """Run every kernel as machine code, however small its work."""
    return all_kernels(lambda kernel, _work, *arguments: kernel.compiled(*arguments))
