"""How leaves are coded: the places they stand at, their weights, and the buffer their symbols go to."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.fields import NUMBERS, STRINGS
from mbat.hashing import domain
from mbat.instants import DATE_FIELDS
from mbat.quantities import MOST_QUANTITIES

SCALES: Final = 4
"""At how many scales a number is coded."""

SCALE_WIDTHS: Final = (8.0, 2.0, 0.4, 0.08)
"""Distance between neighbouring anchors at each scale, in standard deviations of the path."""

EXACT_ATOMS: Final = 16
"""How many atoms make up a value that is one symbol; one atom alone has too few entries to be told from others."""

NUMBER_SYMBOLS: Final = 3 * SCALES
"""How many symbols a number takes, or an instant."""

UNBOUND, KEY, ELEMENT, LEFT_OUT = 0, 1, 2, 3
"""Where a value stands: under no key (it is the document, or its key is skipped), under a key, in an array; or nowhere,
as if it were missing."""

AS_TEXT, AS_WORDS, AS_SYMBOL = (STRINGS.index(name) for name in ("text", "words", "symbol"))
SCALED, EXACT = (NUMBERS.index(name) for name in ("scaled", "symbol"))

CONSTANTS: Final = ("false", "true", "null", "empty object", "empty array")
"""The leaves of one value each, in the order of their kinds."""

WORD_TAG, GRAM_TAG, EXACT_TEXT_TAG, EXACT_NUMBER_TAG, POINT_TAG, EMBEDDING_TAG, SCALE_TAG = range(7)
TIME_TAG: Final = SCALE_TAG + SCALES
CONSTANT_TAG: Final = TIME_TAG + SCALES
WORD_GAIN, GRAM_GAIN, EXACT_GAIN, POINT_GAIN, TIME_GAIN, QUANTITY_GAIN, SCALE_GAIN = range(7)

_GRAM_WEIGHT: Final = 0.7
_EXACT_WEIGHT: Final = 2.5
_POINT_WEIGHT: Final = 1.9
_TIME_WEIGHT: Final = 1.0
_QUANTITY_WEIGHT: Final = 0.3
_SCALE_GAINS: Final = (1.8, 1.26, 0.9, 0.63)

_TEXT_SOFTNESS: Final = 0.9
_MOST_WORDS: Final = 64
_GRAM_SOFTNESS: Final = 1.5
_RARITY_TILT: Final = 0.5
_NUMBER_SOFTNESS: Final = 0.25

_KNOWN: Final = 1 << 12

POSITION_SOFTNESS: Final = 2 * 3**0.5
"""How much softer a position in an array is than a key: at softness 0.5 a quarter of a string's energy is bound."""


class Leaves(NamedTuple):
    """What the leaves of a batch are read from.

    See `mbat.columns.Columns`, `mbat.coordinates.Points` and `mbat.embedding.Embeddings`.
    """

    items: NDArray[np.int64]
    text: NDArray[np.uint32]
    text_ends: NDArray[np.int64]
    numbers: NDArray[np.float64]
    number_bits: NDArray[np.int64]
    point_items: NDArray[np.int64]
    point_degrees: NDArray[np.float64]
    embedded_strings: NDArray[np.int64]
    embeddings: NDArray[np.float64]


class TextSoftness(NamedTuple):
    """How soft a text is bound: the free part of a symbol over its bound part.

    Under a key it is ``per_word sqrt(words)`` of its distinct words, at most ``per_word most``, so that free text
    shows under any key and a code hardly; times ``gram`` for a 3-gram; times ``1 - tilt`` for a symbol that all
    documents have, rising to ``1 + tilt`` for one that a single document has: ``(idf - 1) rarest`` tells which. In an
    array it is ``element``.
    """

    per_word: float
    most: float
    gram: float
    tilt: float
    rarest: float
    element: float


class LeafWeights(NamedTuple):
    """How leaves are coded under one encoder.

    Attributes
    ----------
    tags : int64 array
        The hash domain of each type of symbol.
    idf : float64 array, its length a power of two
        Weight of a symbol by the low bits of its code.
    gains : float64 array
        Weight of a word, a 3-gram, a value that is one symbol, a point at each scale; of an instant and of a number in
        a text, relative to a number; of a number at each scale.
    scale_widths : float64 array
        Distance between neighbouring anchors at each scale, in standard deviations of the path.
    softness : TextSoftness
    shares : float64 array of shape (12,)
        The bound and the free share of leaves that are no text: by place, constants before numbers.
    """

    tags: NDArray[np.int64]
    idf: NDArray[np.float64]
    gains: NDArray[np.float64]
    scale_widths: NDArray[np.float64]
    softness: TextSoftness
    shares: NDArray[np.float64]


class LeafPlaces(NamedTuple):
    """What the coding of a leaf needs of each path.

    ``place`` is UNBOUND, KEY, ELEMENT or LEFT_OUT. ``weight`` is a factor of all symbols; ``strings`` is AS_TEXT,
    AS_WORDS or AS_SYMBOL, ``numbers`` SCALED or EXACT. Numbers are brought to the scale
    ``z = (warp(x * unit) - centre) * rate`` of their path; ``logs`` tells whether warp is a signed logarithm or leaves
    x as it is.
    """

    place: NDArray[np.int8]
    weight: NDArray[np.float64]
    strings: NDArray[np.int8]
    numbers: NDArray[np.int8]
    unit: NDArray[np.float64]
    centre: NDArray[np.float64]
    rate: NDArray[np.float64]
    logs: NDArray[np.int8]


class SymbolBuffer(NamedTuple):
    """Where the symbols of a run of items are written.

    Attributes
    ----------
    codes : int64 array
        The symbols, leaf after leaf.
    bound, free : float64 arrays of the same length
        Their weights in the part of the leaf that its key or position binds, and in the part that shows as it is.
    starts, ends : int64 arrays
        Where the symbols of each item are; an object or array has none, and equal leaves of one path share theirs.
    known : int64 array, its length a power of two
        Scratch: the hash table in which leaves are looked up that may have been met before in the run.
    slots : int64 array, its length a power of two
        Scratch: the hash table in which a string's symbols are counted.
    numbers : float64 array
        Scratch: the numbers or the date in a string.
    """

    codes: NDArray[np.int64]
    bound: NDArray[np.float64]
    free: NDArray[np.float64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    known: NDArray[np.int64]
    slots: NDArray[np.int64]
    numbers: NDArray[np.float64]


def shares_of(softness: float) -> tuple[float, float]:
    """Return the bound and the free share under a softness, whose squares sum to 1."""
    bound = (1.0 + softness**2) ** -0.5
    return bound, softness * bound


def leaf_weights(seed: int, softness: float, idf: NDArray[np.float64]) -> LeafWeights:
    """Return the constants of leaf coding for the parameters of an encoder."""
    scales = [f"{kind} {i}" for kind in ("scale", "time") for i in range(SCALES)]
    names = ["word", "3-gram", "text", "number", "point", "embedding", *scales, *CONSTANTS]
    kinds = _POINT_WEIGHT, _TIME_WEIGHT, _QUANTITY_WEIGHT
    constant, number = shares_of(softness), shares_of(_NUMBER_SOFTNESS * softness)
    element = shares_of(POSITION_SOFTNESS * softness)
    fitted = len(idf) > 1
    return LeafWeights(
        tags=np.array([domain(seed, name) for name in names], dtype=np.int64),
        idf=idf.astype(np.float32),
        gains=np.array([1.0, _GRAM_WEIGHT, _EXACT_WEIGHT, *kinds, *_SCALE_GAINS]),
        scale_widths=np.array(SCALE_WIDTHS, dtype=np.float64),
        softness=TextSoftness(
            per_word=_TEXT_SOFTNESS * softness,
            most=math.sqrt(_MOST_WORDS),
            gram=_GRAM_SOFTNESS,
            tilt=_RARITY_TILT if fitted else 0.0,
            rarest=1.0 / max(float(idf.max()) - 1.0, 1.0),
            element=POSITION_SOFTNESS * softness,
        ),
        shares=np.array([0.0, 1.0, 0.0, 1.0, *constant, *number, *element, 1.0, 0.0]),
    )


def symbol_count(buffer: SymbolBuffer, items: int) -> int:
    """Return how many symbols the first items of a run have, those that are shared counted each time."""
    return int((buffer.ends[:items] - buffer.starts[:items]).sum())


def symbol_buffer(size: int) -> SymbolBuffer:
    """Return room for a number of symbols."""
    return SymbolBuffer(
        codes=np.empty(size, dtype=np.int64),
        bound=np.empty(size, dtype=np.float64),
        free=np.empty(size, dtype=np.float64),
        starts=np.empty(size, dtype=np.int64),
        ends=np.empty(size, dtype=np.int64),
        known=np.zeros(_KNOWN, dtype=np.int64),
        slots=np.zeros(1 << (2 * size - 1).bit_length(), dtype=np.int64),
        numbers=np.zeros(max(MOST_QUANTITIES, DATE_FIELDS)),
    )
