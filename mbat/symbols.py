"""Leaves as weighted symbols: what a value shares with values like it, before any binding.

A symbol is a 63-bit hash, from which `mbat.atoms` reads a random sparse vector. A text is the bag of its
words and character 3-grams, a number a few neighbouring anchors at several scales, a constant one
symbol. Everything here depends on the leaf and the statistics of its path alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbat.atoms import BLOCKS, FIELD_BITS
from mbat.columns import KIND_BITS, Columns, Kind
from mbat.hashing import MASK, domain, extend, mix
from mbat.kernels import Kernel, nth

SCALES: Final = 4
"""At how many scales a number is coded."""

SCALE_WIDTHS: Final = (8.0, 2.0, 0.4, 0.08)
"""Distance between neighbouring anchors at each scale, in standard deviations of the path."""

ANCHORS: Final = 3
"""How many anchors share a number at each scale."""

EXACT_ATOMS: Final = 16
"""How many atoms make up a value that is one symbol; one atom alone has too few entries to be told from others."""

_KIND_MASK: Final = (1 << KIND_BITS) - 1
_STRING, _NUMBER = int(Kind.STRING), int(Kind.NUMBER)
_SLOT_SHIFT: Final = 32
_SLOT_MASK: Final = (1 << _SLOT_SHIFT) - 1

_SPACE, _MARK, _LETTER, _IDEOGRAPH = 0, 1, 2, 3
_PAD: Final = 32

_LN_2: Final = 0.6931471805599453
_FARTHEST: Final = 1e9

LARGEST: Final = 1e300
"""Size at which numbers are cut off, after scaling: far enough from what a float64 holds to calculate with."""

_WORD_TAG, _GRAM_TAG, _EXACT_TEXT_TAG, _EXACT_NUMBER_TAG, _SCALE_TAG = 0, 1, 2, 3, 4
_CONSTANT_TAG: Final = _SCALE_TAG + SCALES - int(Kind.FALSE)
_CONSTANT_NAMES: Final = ("false", "true", "null", "empty object", "empty array")
_EXACT_WEIGHT: Final = 2.0
_SCALE_GAINS: Final = (1.5, 1.05, 0.75, 0.525)
_WORD_GAIN, _GRAM_GAIN, _EXACT_GAIN, _SCALE_GAIN = 0, 1, 2, 3

_SCALE_PART: Final = (1 << (FIELD_BITS - 1)) // SCALES
_GOLDEN_STEP: Final = 2531  # _SCALE_PART over the golden ratio, odd

_EXACT_SHARE: Final = 0.25

_MOST_OF_NO_BAG: Final = max(ANCHORS * SCALES, EXACT_ATOMS)
"""The most symbols that a leaf other than a bag of words takes."""


class Leaves(NamedTuple):
    """The columns that the leaves of a batch are read from; see `mbat.columns.Columns`."""

    items: NDArray[np.int64]
    text: NDArray[np.uint32]
    text_ends: NDArray[np.int64]
    numbers: NDArray[np.float64]


class LeafWeights(NamedTuple):
    """How leaves are coded under one encoder.

    Attributes
    ----------
    tags : int64 array
        The hash domain of each type of symbol.
    idf : float64 array, its length a power of two
        Weight of a symbol by the low bits of its code.
    gains : float64 array
        Weight of a word, a 3-gram, an exact string, a number at each scale, a constant.
    """

    tags: NDArray[np.int64]
    idf: NDArray[np.float64]
    gains: NDArray[np.float64]
    scale_widths: NDArray[np.float64]


class NumberScales(NamedTuple):
    """The scale of the numbers of each path: ``z = (warp(x * unit) - centre) * rate``.

    ``logs`` tells for each path whether warp is a signed logarithm or leaves x as it is.
    """

    unit: NDArray[np.float64]
    centre: NDArray[np.float64]
    rate: NDArray[np.float64]
    logs: NDArray[np.int8]


class SymbolBuffer(NamedTuple):
    """Where the symbols of a run of items are written.

    Attributes
    ----------
    codes, weights : int64 and float64 arrays of the same length
        The symbols, leaf after leaf.
    ends : int64 array
        Where the symbols of each item end; an object or array has none.
    slots : int64 array, its length a power of two
        Scratch: the hash table in which a string's symbols are counted.
    """

    codes: NDArray[np.int64]
    weights: NDArray[np.float64]
    ends: NDArray[np.int64]
    slots: NDArray[np.int64]


def letter_class(point: int) -> int:
    """Classify a code point: space, mark, letter or digit, or a sign that is a word by itself.

    The classes are fixed ranges and not the tables of a Unicode version, so that every machine agrees.
    """
    if point < 128:
        if 97 <= point <= 122 or 48 <= point <= 57 or 65 <= point <= 90:
            return _LETTER
        return _SPACE if point <= 32 or point == 127 else _MARK
    if point < 0x2000:
        if point <= 0xA0:
            return _SPACE
        if point < 0xC0:
            return _LETTER if point in (0xAA, 0xB2, 0xB3, 0xB5, 0xB9, 0xBA) else _MARK
        if 0x0E00 <= point < 0x0E80:
            return _IDEOGRAPH  # Thai is written without spaces
        return _MARK if point in (0xD7, 0xF7) else _LETTER
    if point < 0x2070:
        return _SPACE if point <= 0x200B or point in (0x2028, 0x2029, 0x202F, 0x205F) else _MARK
    if point < 0x3000:
        return _LETTER
    if point < 0x3040:
        return _SPACE if point == 0x3000 else _MARK
    if point < 0x3100 or 0x3400 <= point < 0xA000 or 0xF900 <= point < 0xFB00 or 0x20000 <= point < 0x40000:
        return _IDEOGRAPH
    if 0xFF00 <= point < 0xFF66:
        return _MARK if point <= 0xFF0F or 0xFF1A <= point <= 0xFF20 or point >= 0xFF5B else _LETTER
    return _LETTER


def rough_log2(x: float) -> float:
    """Return log2(x) with straight lines between the powers of two: exact arithmetic, alike on every machine."""
    fraction, exponent = math.frexp(x)
    return exponent - 2 + 2 * fraction


def _count(code: int, first: int, used: int, stamp: int, mask: int, buffer: SymbolBuffer) -> int:
    """Add one occurrence of a symbol to the string's bag; return how many symbols there are, or -1 if no room."""
    slot = (code >> 20) & mask
    held = buffer.slots[nth(slot)]
    while held >> _SLOT_SHIFT == stamp:
        index = held & _SLOT_MASK
        if buffer.codes[nth(index)] == code:
            buffer.weights[nth(index)] += 1.0
            return used
        slot = (slot + 1) & mask
        held = buffer.slots[nth(slot)]
    if used == len(buffer.codes) or 2 * (used - first) > mask:
        return -1
    buffer.slots[nth(slot)] = (stamp << _SLOT_SHIFT) | used
    buffer.codes[nth(used)] = code
    buffer.weights[nth(used)] = 1.0
    return used + 1


def _words(text: Any, start: int, end: int, used: int, stamp: int, mask: int, tag: int, buffer: SymbolBuffer) -> int:
    first = used
    state = tag
    for i in range(start, end + 1):
        group = letter_class(text[nth(i)]) if i < end else _SPACE
        if group != _LETTER and state != tag:
            used = _count(mix(state), first, used, stamp, mask, buffer)
            state = tag
        if used < 0:
            return used
        if group == _LETTER:
            state = extend(state, text[nth(i)])
        elif group == _IDEOGRAPH:
            used = _count(mix(extend(tag, text[nth(i)])), first, used, stamp, mask, buffer)
            if used < 0:
                return used
    return used


def _grams(text: Any, start: int, end: int, used: int, first: int, stamp: int, mask: int, tag: int, buffer: Any) -> int:
    """Count the 3-grams of each run without spaces, one space before and after it."""
    before, here = _PAD, _PAD
    for i in range(start, end + 1):
        point = text[nth(i)] if i < end else _PAD
        after = point if letter_class(point) != _SPACE else _PAD
        if here != _PAD:
            code = mix((before + (here << 21) + (after << 42)) ^ tag)
            used = _count(code, first, used, stamp, mask, buffer)
            if used < 0:
                return used
        before, here = here, after
    return used


def _bag(start: int, end: int, used: int, stamp: int, leaves: Leaves, how: LeafWeights, buffer: SymbolBuffer) -> int:
    """Write the words and 3-grams of a string; return where they end, or -1 if they do not fit."""
    mask = 64
    while mask < 4 * (end - start):
        mask *= 2
    mask = min(mask, len(buffer.slots)) - 1
    words = _words(leaves.text, start, end, used, stamp, mask, how.tags[_WORD_TAG], buffer)
    last = words
    if words >= 0 and how.gains[_GRAM_GAIN] > 0.0:
        last = _grams(leaves.text, start, end, words, used, stamp, mask, how.tags[_GRAM_TAG], buffer)
    if last > used:
        _weigh_bag(used, words, last, how, buffer)
    return last


def _weigh_bag(first: int, words: int, last: int, how: LeafWeights, buffer: SymbolBuffer) -> None:
    """Turn counts into weights: (1 + ln count) idf, and a norm that grows as the root of the bag's."""
    total = 0.0
    for i in range(first, last):
        gain = how.gains[_WORD_GAIN] if i < words else how.gains[_GRAM_GAIN]
        count = buffer.weights[nth(i)]
        if count > 1.0:
            gain *= 1.0 + _LN_2 * rough_log2(count)
        weight = gain * how.idf[nth(buffer.codes[nth(i)] & (len(how.idf) - 1))]
        buffer.weights[nth(i)] = weight
        total += weight * weight
    scale = 1.0 / math.sqrt(math.sqrt(total))
    for i in range(first, last):
        buffer.weights[nth(i)] *= scale


def _put(code: int, weight: float, used: int, buffer: SymbolBuffer) -> int:
    buffer.codes[used] = code
    buffer.weights[used] = weight
    return used + 1


def _put_exact(code: int, used: int, how: LeafWeights, buffer: SymbolBuffer) -> int:
    """Write the atoms of a value that is one symbol."""
    weight = how.gains[_EXACT_GAIN] * _EXACT_SHARE
    for atom in range(EXACT_ATOMS):
        used = _put(mix(extend(code, atom + 1)), weight, used, buffer)
    return used


def _exact_text(start: int, end: int, leaves: Leaves, how: LeafWeights) -> int:
    state = how.tags[_EXACT_TEXT_TAG]
    for i in range(start, end):
        state = extend(state, leaves.text[i])
    return mix(state)


def _exact_number(x: float, how: LeafWeights) -> int:
    fraction, exponent = math.frexp(x)
    mantissa = int(fraction * 9007199254740992.0)
    return mix(extend(extend(how.tags[_EXACT_NUMBER_TAG], mantissa & MASK), exponent & MASK))


def _scaled_number(x: float, path: int, scales: NumberScales) -> Any:
    """Return a number in standard deviations from the centre of its path."""
    x = min(max(x * scales.unit[path], -LARGEST), LARGEST)
    if scales.logs[path] != 0:
        size = rough_log2(1.0 + abs(x))
        x = size if x >= 0.0 else -size
    z = (x - scales.centre[path]) * scales.rate[path]
    return min(max(z, -_FARTHEST), _FARTHEST)


def _anchor(tag: int, scale: int, number: int) -> int:
    """Return the symbol of an anchor: a hash in signs, and with positions kept apart from those of its neighbours.

    Each scale has a part of every block of the atoms to itself, and there an anchor stands a golden section of
    the part, going round, from the one before. So the likeness of two numbers falls with their distance and is
    not blurred by entries that happen to coincide.
    """
    signs = mix(extend(tag, number & MASK))
    code = 0
    for block in range(BLOCKS):
        start = tag >> (FIELD_BITS * block)
        position = scale * _SCALE_PART + ((start + number * _GOLDEN_STEP) & (_SCALE_PART - 1))
        code |= ((position << 1) | ((signs >> block) & 1)) << (FIELD_BITS * block)
    return code


def _anchors(z: float, used: int, how: LeafWeights, buffer: SymbolBuffer) -> int:
    """Write the three anchors around a number at each scale, weighted by a quadratic B-spline."""
    for scale in range(len(how.scale_widths)):
        place = z / how.scale_widths[scale]
        nearest = math.floor(place + 0.5)
        offset = place - nearest
        below, above = 0.5 * (0.5 - offset) * (0.5 - offset), 0.5 * (0.5 + offset) * (0.5 + offset)
        middle = 0.75 - offset * offset
        gain = how.gains[_SCALE_GAIN + scale] / math.sqrt(below * below + middle * middle + above * above)
        tag = how.tags[_SCALE_TAG + scale]
        used = _put(_anchor(tag, scale, nearest - 1), gain * below, used, buffer)
        used = _put(_anchor(tag, scale, nearest), gain * middle, used, buffer)
        used = _put(_anchor(tag, scale, nearest + 1), gain * above, used, buffer)
    return used


def _symbolize(
    start: int, cursor: Any, leaves: Leaves, how: LeafWeights, scales: NumberScales, buffer: SymbolBuffer
) -> int:
    """Write the symbols of the items from `start` on, until the buffer is full; return the next item.

    The cursor holds the next string, the next number, the next stamp, and the symbols written.
    """
    used = 0
    for item in range(start, min(len(leaves.items), start + len(buffer.ends))):
        kind = leaves.items[item] & _KIND_MASK
        first = used
        if used + _MOST_OF_NO_BAG > len(buffer.codes):
            return item
        if kind == _STRING:
            begin = leaves.text_ends[cursor[0] - 1] + 1 if cursor[0] > 0 else 0
            end = leaves.text_ends[cursor[0]]
            if how.gains[_WORD_GAIN] > 0.0:
                cursor[2] += 1
                used = _bag(begin, end, used, cursor[2], leaves, how, buffer)
                if used < 0:
                    return item
            if used == first:
                used = _put_exact(_exact_text(begin, end, leaves, how), used, how, buffer)
            cursor[0] += 1
        elif kind == _NUMBER:
            x = leaves.numbers[cursor[1]]
            if how.gains[_SCALE_GAIN] > 0.0:
                used = _anchors(_scaled_number(x, leaves.items[item] >> KIND_BITS, scales), used, how, buffer)
            else:
                used = _put_exact(_exact_number(x, how), used, how, buffer)
            cursor[1] += 1
        elif kind > _NUMBER:
            used = _put_exact(how.tags[_CONSTANT_TAG + kind], used, how, buffer)
        buffer.ends[item - start] = used
        cursor[3] = used
    return min(len(leaves.items), start + len(buffer.ends))


symbolize = Kernel(
    _symbolize,
    *(mix, extend, letter_class, rough_log2, _count, _words, _grams, _bag, _weigh_bag),
    *(_put, _put_exact, _exact_text, _exact_number, _scaled_number, _anchor, _anchors),
)
"""The compiled form of the above; its first argument is the work, in code points and items."""


def leaf_weights(seed: int, strings: str, numbers: str, idf: NDArray[np.float64]) -> LeafWeights:
    """Return the constants of leaf coding for the parameters of an encoder."""
    names = ["word", "3-gram", "text", "number", *(f"scale {i}" for i in range(SCALES)), *_CONSTANT_NAMES]
    word, gram = {"text": (1.0, 0.5), "words": (1.0, 0.0), "symbol": (0.0, 0.0)}[strings]
    scale_gains = _SCALE_GAINS if numbers == "scaled" else (0.0,) * SCALES
    return LeafWeights(
        tags=np.array([domain(seed, name) for name in names], dtype=np.int64),
        idf=idf,
        gains=np.array([word, gram, _EXACT_WEIGHT, *scale_gains], dtype=np.float64),
        scale_widths=np.array(SCALE_WIDTHS, dtype=np.float64),
    )


def symbol_buffer(columns: Columns, size: int = 1 << 16) -> SymbolBuffer:
    """Return room for the symbols of a run of items of the batch."""
    size = min(size, max(64, 2 * len(columns.text) + _MOST_OF_NO_BAG * len(columns.items)))
    slots = 1 << (2 * size - 1).bit_length()
    return SymbolBuffer(
        codes=np.empty(size, dtype=np.int64),
        weights=np.empty(size, dtype=np.float64),
        ends=np.empty(max(1, min(size, len(columns.items))), dtype=np.int64),
        slots=np.zeros(slots, dtype=np.int64),
    )


def symbol_runs(columns: Columns, how: LeafWeights, scales: NumberScales) -> Iterator[tuple[int, int, SymbolBuffer]]:
    """Yield the symbols of a batch, a run of items at a time: where the run starts and ends, and its symbols.

    The buffer is used again for the next run: whoever wants to keep its content copies it.
    """
    leaves = Leaves(columns.items, columns.text, columns.text_ends, columns.numbers)
    cursor = np.zeros(4, dtype=np.int64)
    buffer = symbol_buffer(columns)
    work = len(columns.text) + len(columns.items)
    start = 0
    while start < len(columns.items):
        stop = symbolize(work, start, cursor, leaves, how, scales, buffer)
        if stop > start:
            yield start, stop, buffer
            start = stop
        else:  # one string has more symbols than the whole buffer holds
            buffer = symbol_buffer(columns, 2 * len(buffer.codes))
            cursor[2] = 0
