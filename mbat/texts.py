"""Texts as weighted symbols: the words and character 3-grams of a string."""

from __future__ import annotations

import math
from typing import Any, Final

from mbat.hashing import extend, mix
from mbat.kernels import nth, rough_log2
from mbat.leaves import (
    GRAM_GAIN,
    GRAM_TAG,
    KEY,
    UNBOUND,
    WORD_GAIN,
    WORD_TAG,
    LeafWeights,
    Leaves,
    SymbolBuffer,
    TextSoftness,
)

_SLOT_SHIFT: Final = 32
_SLOT_MASK: Final = (1 << _SLOT_SHIFT) - 1

_SPACE, _MARK, _LETTER, _IDEOGRAPH = 0, 1, 2, 3
_PAD: Final = 32

_TEXT_SIZE: Final = 1.5

_LN_2: Final = 0.6931471805599453


def letter_class(point: int) -> int:
    """Classify a code point: space, mark, letter or digit, or a sign that is a word by itself.

    The classes are fixed ranges and not the tables of a Unicode version, so that every machine agrees. What form NFKC
    leaves none of, such as superscripts and full-width letters, has none of its own.
    """
    if point < 128:
        if 97 <= point <= 122 or 48 <= point <= 57 or 65 <= point <= 90:
            return _LETTER
        return _SPACE if point <= 32 or point == 127 else _MARK
    if point < 0x2000:
        if point <= 0xA0:
            return _SPACE
        if point < 0xC0:
            return _MARK
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
    return _LETTER


def _count(code: int, first: int, used: int, stamp: int, mask: int, buffer: SymbolBuffer) -> int:
    """Add one occurrence of a symbol to the string's bag; return how many symbols there are, or -1 if no room."""
    slot = (code >> 20) & mask
    held = buffer.slots[nth(slot)]
    while held >> _SLOT_SHIFT == stamp:
        index = held & _SLOT_MASK
        if buffer.codes[nth(index)] == code:
            buffer.bound[nth(index)] += 1.0
            return used
        slot = (slot + 1) & mask
        held = buffer.slots[nth(slot)]
    if used == len(buffer.codes) or 2 * (used - first) > mask:
        return -1
    buffer.slots[nth(slot)] = (stamp << _SLOT_SHIFT) | used
    buffer.codes[nth(used)] = code
    buffer.bound[nth(used)] = 1.0
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


def bag(
    start: int, end: int, place: int, grams: bool, used: int, stamp: int, leaves: Leaves, how: LeafWeights, buffer: Any
) -> int:
    """Write the words of a string, and 3-grams if wanted; return where they end, or -1 if they do not fit."""
    mask = 64
    while mask < 4 * (end - start):
        mask *= 2
    mask = min(mask, len(buffer.slots)) - 1
    words = _words(leaves.text, start, end, used, stamp, mask, how.tags[WORD_TAG], buffer)
    last = words
    if words >= 0 and grams:
        last = _grams(leaves.text, start, end, words, used, stamp, mask, how.tags[GRAM_TAG], buffer)
    if last > used:
        _weigh_bag(used, words, last, place, how, buffer)
    return last


def _weigh_bag(first: int, words: int, last: int, place: int, how: LeafWeights, buffer: SymbolBuffer) -> None:
    """Turn counts into weights: (1 + ln count) idf, and the bag's norm into 1.5 times its power 3/8."""
    total = 0.0
    for i in range(first, last):
        gain = how.gains[WORD_GAIN] if i < words else how.gains[GRAM_GAIN]
        count = buffer.bound[nth(i)]
        if count > 1.0:
            gain *= 1.0 + _LN_2 * rough_log2(count)
        idf = how.idf[nth(buffer.codes[nth(i)] & (len(how.idf) - 1))]
        buffer.bound[nth(i)] = gain * idf
        buffer.free[nth(i)] = (idf - 1.0) * how.softness.rarest
        total += gain * idf * gain * idf
    root = math.sqrt(math.sqrt(total))
    scale = _TEXT_SIZE / (root * math.sqrt(math.sqrt(root)))
    _share_bag(first, words, last, place, scale, how.softness, buffer)


def _share_bag(
    first: int, words: int, last: int, place: int, scale: float, softness: TextSoftness, buffer: SymbolBuffer
) -> None:
    """Divide weights, times a scale, between bound and free; until then `free` holds how rare each symbol is."""
    if place == UNBOUND:
        for i in range(first, last):
            buffer.free[nth(i)] = scale * buffer.bound[nth(i)]
            buffer.bound[nth(i)] = 0.0
        return
    soft, gram, tilt = softness.element, 1.0, 0.0
    if place == KEY:
        soft = softness.per_word * min(math.sqrt(words - first), softness.most)
        gram, tilt = softness.gram, softness.tilt
    for i in range(first, last):
        one = soft * (1.0 - tilt + 2.0 * tilt * buffer.free[nth(i)])
        if i >= words:
            one *= gram
        weight = scale * buffer.bound[nth(i)] / math.sqrt(1.0 + one * one)
        buffer.bound[nth(i)] = weight
        buffer.free[nth(i)] = one * weight


BAG: Final = (letter_class, _count, _words, _grams, bag, _weigh_bag, _share_bag)
"""What a kernel that calls `bag` has to name as its helpers."""
