"""Leaves as weighted symbols: what a value shares with values like it, before any binding.

A symbol is a 63-bit hash, from which `mbat.atoms` reads a random sparse vector. A text is the bag of its
words and character 3-grams, a number a few neighbouring anchors at several scales, a constant one
symbol. Everything here depends on the leaf, the place where it stands and the statistics alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from mbat.anchors import ANCHORS, GLOBE_SYMBOLS, put, put_on_globe, put_on_line
from mbat.columns import KIND_BITS, Columns, Kind
from mbat.coordinates import Points
from mbat.embedding import Embeddings
from mbat.hashing import extend, extend_signed, mix
from mbat.instants import INSTANTS, NO_INSTANT, TIME_WIDTHS, instant
from mbat.kernels import Kernel, nth, rough_log2
from mbat.leaves import (
    AS_SYMBOL,
    AS_TEXT,
    CONSTANT_TAG,
    EMBEDDING_TAG,
    EXACT_ATOMS,
    EXACT_GAIN,
    EXACT_NUMBER_TAG,
    EXACT_TEXT_TAG,
    LEFT_OUT,
    NUMBER_SYMBOLS,
    POINT_GAIN,
    POINT_TAG,
    QUANTITY_GAIN,
    SCALE_GAIN,
    SCALE_TAG,
    SCALED,
    TIME_GAIN,
    TIME_TAG,
    LeafPlaces,
    LeafWeights,
    Leaves,
    SymbolBuffer,
    symbol_buffer,
)
from mbat.quantities import MOST_QUANTITIES, QUANTITIES, quantities
from mbat.repeats import REPEATS, met_before, text_start
from mbat.texts import BAG, bag

_KIND_MASK: Final = (1 << KIND_BITS) - 1
_STRING, _NUMBER = int(Kind.STRING), int(Kind.NUMBER)
_FIRST_CONSTANT: Final = int(Kind.FALSE)

_FARTHEST: Final = 1e9

LARGEST: Final = 1e300
"""Size at which numbers are cut off, after scaling: far enough from what a float64 holds to calculate with."""

_EXACT_SHARE: Final = EXACT_ATOMS**-0.5

_DATE_TEXT_SHARE: Final = 0.5
_EMBEDDING_SHARE: Final = 0.5**0.5

_LEAST_ROOM: Final = 1 << 9  # more than any leaf takes that is no long text
_MOST_ROOM: Final = 1 << 16

_OTHERS, _NUMBERS = 0, 1


def _put_exact(code: int, place: int, group: int, used: int, how: LeafWeights, buffer: SymbolBuffer) -> int:
    """Write the atoms of a value that is one symbol."""
    weight = how.gains[EXACT_GAIN] * _EXACT_SHARE
    bound, free = how.shares[4 * place + 2 * group], how.shares[4 * place + 2 * group + 1]
    for atom in range(EXACT_ATOMS):
        used = put(mix(extend(code, atom + 1)), weight, bound, free, used, buffer)
    return used


def _exact_text(start: int, end: int, leaves: Leaves, how: LeafWeights) -> int:
    state = how.tags[EXACT_TEXT_TAG]
    for i in range(start, end):
        state = extend(state, leaves.text[i])
    return mix(state)


def _exact_number(x: float, how: LeafWeights) -> int:
    fraction, exponent = math.frexp(x)
    mantissa = int(fraction * 9007199254740992.0)
    return mix(extend_signed(extend_signed(how.tags[EXACT_NUMBER_TAG], mantissa), exponent))


def _scaled_number(x: float, path: int, places: LeafPlaces) -> Any:
    """Return a number in standard deviations from the centre of its path."""
    x = min(max(x * places.unit[path], -LARGEST), LARGEST)
    if places.logs[path] != 0:
        size = rough_log2(1.0 + abs(x))
        x = size if x >= 0.0 else -size
    z = (x - places.centre[path]) * places.rate[path]
    return min(max(z, -_FARTHEST), _FARTHEST)


def _number(z: float, share: float, place: int, used: int, how: LeafWeights, buffer: SymbolBuffer) -> int:
    """Write the anchors around a number at each scale."""
    bound, free = how.shares[4 * place + 2 * _NUMBERS], how.shares[4 * place + 2 * _NUMBERS + 1]
    for scale in range(len(how.scale_widths)):
        gain = share * how.gains[SCALE_GAIN + scale]
        tag = how.tags[SCALE_TAG + scale]
        used = put_on_line(z / how.scale_widths[scale], scale, tag, gain, bound, free, used, buffer)
    return used


def _time(days: float, place: int, used: int, how: LeafWeights, buffer: SymbolBuffer) -> int:
    """Write the anchors around an instant at each scale."""
    bound, free = how.shares[4 * place + 2 * _NUMBERS], how.shares[4 * place + 2 * _NUMBERS + 1]
    for scale in range(len(TIME_WIDTHS)):
        gain, tag = how.gains[TIME_GAIN] * how.gains[SCALE_GAIN + scale], how.tags[TIME_TAG + scale]
        used = put_on_line(days / TIME_WIDTHS[scale], scale, tag, gain, bound, free, used, buffer)
    return used


def _point(cursor: Any, place: int, used: int, leaves: Leaves, how: LeafWeights, buffer: SymbolBuffer) -> int:
    """Write the anchors around a point at its latitude, nothing at its longitude."""
    latitude, longitude = leaves.point_degrees[2 * cursor[3]], leaves.point_degrees[2 * cursor[3] + 1]
    if latitude != latitude:
        return used
    bound, free = how.shares[4 * place + 2 * _NUMBERS], how.shares[4 * place + 2 * _NUMBERS + 1]
    return put_on_globe(latitude, longitude, how.tags[POINT_TAG], how.gains[POINT_GAIN], bound, free, used, buffer)


def _text(
    begin: int, end: int, path: int, cursor: Any, used: int, leaves: Leaves, how: LeafWeights, places: Any, buffer: Any
) -> int:
    """Write the symbols of a text: its words, and when it is or what it measures; return -1 if they do not fit."""
    place = places.place[path]
    first = used
    grams = places.strings[path] == AS_TEXT
    used = bag(begin, end, place, grams, used, cursor[2], leaves, how, buffer)
    if used <= first or not grams or places.numbers[path] != SCALED:
        return used
    if used + NUMBER_SYMBOLS * MOST_QUANTITIES > len(buffer.codes):
        return -1
    days = instant(leaves.text, begin, end, buffer.numbers) if how.gains[TIME_GAIN] > 0.0 else NO_INSTANT
    if days != NO_INSTANT:
        for i in range(first, used):
            buffer.bound[nth(i)] *= _DATE_TEXT_SHARE
            buffer.free[nth(i)] *= _DATE_TEXT_SHARE
        return _time(days, place, used, how, buffer)
    if how.gains[QUANTITY_GAIN] == 0.0:
        return used
    count = quantities(leaves.text, begin, end, buffer.numbers)
    for i in range(count):
        share = how.gains[QUANTITY_GAIN] / math.sqrt(count)
        used = _number(_scaled_number(buffer.numbers[i], path, places), share, place, used, how, buffer)
    return used


def _embed(first: int, used: int, cursor: Any, leaves: Leaves, how: LeafWeights, buffer: SymbolBuffer) -> int:
    """Write the embedding of a text, with half of the energy of its symbols, divided as they are; -1 if no room."""
    width = len(leaves.embeddings) // len(leaves.embedded_strings)
    if used + width > len(buffer.codes):
        return -1
    bound = free = 0.0
    for i in range(first, used):
        bound += buffer.bound[nth(i)] * buffer.bound[nth(i)]
        free += buffer.free[nth(i)] * buffer.free[nth(i)]
    _weigh(first, used, _EMBEDDING_SHARE, buffer)
    bound, free = _EMBEDDING_SHARE * math.sqrt(bound), _EMBEDDING_SHARE * math.sqrt(free)
    at = cursor[4] * width
    for i in range(width):
        code = mix(extend(how.tags[EMBEDDING_TAG], i + 1))
        used = put(code, leaves.embeddings[nth(at + i)], bound, free, used, buffer)
    return used


def _weigh(first: int, last: int, weight: float, buffer: SymbolBuffer) -> None:
    """Multiply the weights of symbols."""
    for i in range(first, last):
        buffer.bound[nth(i)] *= weight
        buffer.free[nth(i)] *= weight


def _is_embedded(cursor: Any, leaves: Leaves) -> Any:
    """Return whether the next string has an embedding."""
    return cursor[4] < len(leaves.embedded_strings) and leaves.embedded_strings[cursor[4]] == cursor[0]


def _leaf(
    kind: int, path: int, item: int, cursor: Any, used: int, leaves: Leaves, how: LeafWeights, places: Any, buffer: Any
) -> int:
    """Write the symbols of a leaf; return -1 if they do not fit."""
    place = places.place[path]
    if kind == _STRING:
        begin, end = text_start(cursor[0], leaves), leaves.text_ends[cursor[0]]
        first = used
        if places.strings[path] != AS_SYMBOL:
            cursor[2] += 1
            used = _text(begin, end, path, cursor, used, leaves, how, places, buffer)
            if _is_embedded(cursor, leaves) and used > first:
                used = _embed(first, used, cursor, leaves, how, buffer)
        if used == first:
            used = _put_exact(_exact_text(begin, end, leaves, how), place, _OTHERS, used, how, buffer)
    elif kind == _NUMBER:
        x = leaves.numbers[cursor[1]]
        if _is_point(item, cursor, leaves):
            used = _point(cursor, place, used, leaves, how, buffer)
        elif places.numbers[path] == SCALED:
            used = _number(_scaled_number(x, path, places), 1.0, place, used, how, buffer)
        else:
            used = _put_exact(_exact_number(x, how), place, _NUMBERS, used, how, buffer)
    else:
        used = _put_exact(how.tags[CONSTANT_TAG + kind - _FIRST_CONSTANT], place, _OTHERS, used, how, buffer)
    return used


def _is_point(item: int, cursor: Any, leaves: Leaves) -> Any:
    """Return whether an item is a coordinate of a point."""
    return cursor[3] < len(leaves.point_items) and leaves.point_items[cursor[3]] == item


def _symbolize(
    start: int, cursor: Any, leaves: Leaves, how: LeafWeights, places: LeafPlaces, buffer: SymbolBuffer
) -> int:
    """Write the symbols of the items from `start` on, until the buffer is full; return the next item.

    The cursor holds the next string, number, stamp, coordinate and embedding.
    """
    used = 0
    alike = len(leaves.embedded_strings) == 0  # strings that differ in case alone have different embeddings
    for item in range(start, min(len(leaves.items), start + len(buffer.ends))):
        kind = leaves.items[item] & _KIND_MASK
        path = leaves.items[item] >> KIND_BITS
        first, met = used, -1
        if used + GLOBE_SYMBOLS > len(buffer.codes):
            return item
        if kind >= _STRING and places.place[path] != LEFT_OUT:
            if alike and not (kind == _NUMBER and _is_point(item, cursor, leaves)):
                met = met_before(kind, item, start, cursor, leaves, buffer)
            if met < 0:
                used = _leaf(kind, path, item, cursor, used, leaves, how, places, buffer)
                if used < 0:
                    return item
                if places.weight[path] != 1.0:
                    _weigh(first, used, places.weight[path], buffer)
        if kind == _STRING:
            cursor[4] += _is_embedded(cursor, leaves)
            cursor[0] += 1
        elif kind == _NUMBER:
            cursor[3] += _is_point(item, cursor, leaves)
            cursor[1] += 1
        buffer.starts[item - start] = first if met < 0 else buffer.starts[met - start]
        buffer.ends[item - start] = used if met < 0 else buffer.ends[met - start]
    return min(len(leaves.items), start + len(buffer.ends))


symbolize = Kernel(
    _symbolize,
    *(mix, extend, extend_signed, rough_log2, *BAG),
    *(*ANCHORS, *INSTANTS, *QUANTITIES),
    *(
        _put_exact,
        _exact_text,
        _exact_number,
        _scaled_number,
        _number,
        _time,
        _point,
        _text,
        _embed,
        _weigh,
        _is_embedded,
        _is_point,
        _leaf,
    ),
    *REPEATS,
)
"""The compiled form of the above; its first argument is the work, in code points and items."""


def symbol_runs(
    columns: Columns, how: LeafWeights, places: LeafPlaces, points: Points, embeddings: Embeddings
) -> Iterator[tuple[int, int, SymbolBuffer]]:
    """Yield the symbols of a batch, a run of items at a time: where the run starts and ends, and its symbols.

    The buffer is used again for the next run: whoever wants to keep its content copies it.
    """
    texts = columns.text, columns.text_ends
    leaves = Leaves(columns.items, *texts, columns.numbers, columns.numbers.view(np.int64), *points, *embeddings)
    cursor = np.zeros(5, dtype=np.int64)
    work = len(columns.text) + len(columns.items)
    buffer = symbol_buffer(min(_MOST_ROOM, _LEAST_ROOM + 2 * len(columns.text) + NUMBER_SYMBOLS * len(columns.items)))
    start = 0
    while start < len(columns.items):
        buffer.known.fill(0)
        stop = symbolize(work, start, cursor, leaves, how, places, buffer)
        if stop > start:
            yield start, stop, buffer
            start = stop
        else:  # one string has more symbols than the whole buffer holds
            buffer = symbol_buffer(2 * len(buffer.codes))
            cursor[2] = 0
