r"""Strings as code points: in Unicode form NFKC and lower-cased, with "\n" after each."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def normal_form(text: str) -> str:
    """Return a text in Unicode form NFKC, lower-cased."""
    return unicodedata.normalize("NFKC", text).lower()


def joined(strings: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    r"""Return the code points of all strings in normal form, with "\n" between them, and where each ends."""
    text = "\n".join(strings)
    if text.isascii():  # only then do lengths stay, and may the whole be lower-cased at once
        text = text.lower()
    else:
        strings = [one.lower() if one.isascii() else normal_form(one) for one in strings]
        text = "\n".join(strings)
    return code_points(text), ends(np.fromiter(map(len, strings), dtype=np.int64, count=len(strings)))


def code_points(text: str) -> NDArray[np.uint32]:
    """Return the code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def ends(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where strings end that stand one after the other, each with a separator after it."""
    return np.cumsum(lengths + 1) - 1
