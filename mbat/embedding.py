"""A text embedder of the user's: what it says of the texts of a batch, beside their words.

The numbers of an embedding are weights of as many symbols, so the sum of these is a sparse random projection of it to
the length of the vectors, and it is bound, weighed and added as every other leaf is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mbat.columns import KIND_BITS, KIND_MASK, Columns, Kind
from mbat.errors import ParameterError
from mbat.leaves import AS_TEXT, LEFT_OUT, LeafPlaces
from mbat.refusals import foreign_code

MOST_NUMBERS: Final = 1 << 14
"""The longest embedding there may be."""

_TEXT: Final = re.compile(r"\S\s+\S|[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")

TextFunction = Callable[[list[str]], ArrayLike]
"""Texts in, one row of numbers each out, all of one length."""


class Embeddings(NamedTuple):
    """The texts of a batch that have an embedding.

    Attributes
    ----------
    strings : int64 array, rising
        Which of the batch's strings they are.
    numbers : float64 array of shape (len(strings) * width,)
        Their embeddings, each of norm 1, or 0 if the embedder gave zeros.
    """

    strings: NDArray[np.int64]
    numbers: NDArray[np.float64]


NO_EMBEDDINGS: Final = Embeddings(np.zeros(0, dtype=np.int64), np.zeros(0))


class TextEmbedder:
    """A function that embeds texts, and the length of what it returns.

    Parameters
    ----------
    function : callable
        Takes a list of texts, and returns an array of shape (texts, width). It is called once here, to learn the width.

    Raises
    ------
    ParameterError
        If it returns something else.
    """

    def __init__(self, function: TextFunction) -> None:
        if not callable(function):
            raise ParameterError(f"text is a function from a list of texts to an array; {function!r} is not.")
        self.function = function
        self.width = 0
        self.width = self._rows(["A text of some words."]).shape[1]

    def __eq__(self, other: object) -> bool:
        return self.function == other.function if isinstance(other, TextEmbedder) else NotImplemented

    @property
    def name(self) -> str:
        """What the function is called."""
        return str(getattr(self.function, "__qualname__", type(self.function).__qualname__))

    def embeddings(self, columns: Columns, places: LeafPlaces) -> Embeddings:
        """Embed the texts of a batch: its strings of two or more words where strings are texts, each once."""
        kinds, paths = columns.items & KIND_MASK, columns.items >> KIND_BITS
        paths = paths[kinds == Kind.STRING]
        wanted = np.flatnonzero((places.strings[paths] == AS_TEXT) & (places.place[paths] != LEFT_OUT)).tolist()
        strings = [one for one in wanted if _TEXT.search(columns.strings[one])]
        if not strings:
            return NO_EMBEDDINGS
        texts = [columns.strings[one] for one in strings]
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        rows = _unit_rows(self._rows(list(distinct)))[[distinct[text] for text in texts]]
        return Embeddings(np.array(strings, dtype=np.int64), rows.reshape(-1))

    def _rows(self, texts: Sequence[str]) -> NDArray[np.float64]:
        with foreign_code():
            returned: Any = self.function(list(texts))
        try:
            rows = np.asarray(returned, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"The text embedder {self.name} returned what is no array: {error}.") from None
        width = self.width or (rows.shape[1] if rows.ndim == 2 else 0)
        if rows.shape != (len(texts), width) or not 1 <= width <= MOST_NUMBERS:
            raise ParameterError(
                f"The text embedder {self.name} returned an array of shape {rows.shape} for {len(texts):,} texts; "
                f"it should be of shape ({len(texts)}, {self.width or 'width'}), with a width from 1 to {MOST_NUMBERS}."
            )
        if not np.isfinite(rows).all():
            text = texts[int(np.argmin(np.isfinite(rows).all(axis=1)))]
            raise ParameterError(
                f"The text embedder {self.name} returned a number that is not finite for {text[:40]!r}."
            )
        return rows


def _unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows divided by their norms, by their largest number first: squares may be beyond what a float holds."""
    rows = _divided(rows, np.abs(rows).max(axis=1, keepdims=True))
    return _divided(rows, np.linalg.norm(rows, axis=1, keepdims=True))


def _divided(rows: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.where(sizes > 0.0, sizes, 1.0)
