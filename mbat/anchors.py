"""Anchors: numbers, instants and points of the globe as weights on fixed places beside them.

At each of several scales the anchors stand in a row, or for the globe in a cubic grid around it, and a value has the
weights of a quadratic B-spline on the three nearest, or three in each direction. So likeness falls smoothly with
distance, and is zero from three anchors' distance on.
"""

from __future__ import annotations

import math
from typing import Any, Final

from mbat.atoms import BLOCKS, FIELD_BITS
from mbat.hashing import extend, extend_signed, mix
from mbat.leaves import SCALES

GLOBE_WIDTHS: Final = (4000.0, 500.0, 60.0, 8.0, 1.5)
"""Distance between neighbouring anchors at each scale, in kilometres."""

GLOBE_SYMBOLS: Final = 27 * len(GLOBE_WIDTHS)
"""How many symbols a point takes."""

_RADIUS: Final = 6371.0

_SCALE_PART: Final = (1 << (FIELD_BITS - 1)) // SCALES
_GOLDEN_STEP: Final = 2531  # _SCALE_PART over the golden ratio, odd


def put(code: int, weight: float, bound: float, free: float, used: int, buffer: Any) -> int:
    """Write a symbol, its weight divided into a bound and a free share; return where the next one goes."""
    buffer.codes[used] = code
    buffer.bound[used] = weight * bound
    buffer.free[used] = weight * free
    return used + 1


def spline(offset: float, step: int) -> float:
    """Return the weight of the anchor a step from the nearest one: a quadratic B-spline."""
    if step == 0:
        return 0.75 - offset * offset
    half = 0.5 + step * offset
    return 0.5 * half * half


def _norm(offset: float) -> float:
    below, middle, above = spline(offset, -1), spline(offset, 0), spline(offset, 1)
    return math.sqrt(below * below + middle * middle + above * above)


def _on_line(tag: int, scale: int, number: int) -> int:
    """Return the symbol of an anchor: a hash in signs, and with positions kept apart from those of its neighbours.

    Each scale has a part of every block of the atoms to itself, and there an anchor stands a golden section of
    the part, going round, from the one before. So the likeness of two numbers falls with their distance and is
    not blurred by entries that happen to coincide.
    """
    signs = mix(extend_signed(tag, number))
    code = 0
    for block in range(BLOCKS):
        start = tag >> (FIELD_BITS * block)
        position = scale * _SCALE_PART + ((start + number * _GOLDEN_STEP) & (_SCALE_PART - 1))
        code |= ((position << 1) | ((signs >> block) & 1)) << (FIELD_BITS * block)
    return code


def put_on_line(at: float, scale: int, tag: int, gain: float, bound: float, free: float, used: int, buffer: Any) -> int:
    """Write the anchors around a place on a line, whose anchors stand at the whole numbers."""
    nearest = math.floor(at + 0.5)
    offset = at - nearest
    gain /= _norm(offset)
    used = put(_on_line(tag, scale, nearest - 1), gain * spline(offset, -1), bound, free, used, buffer)
    used = put(_on_line(tag, scale, nearest), gain * spline(offset, 0), bound, free, used, buffer)
    return put(_on_line(tag, scale, nearest + 1), gain * spline(offset, 1), bound, free, used, buffer)


def sine(degrees: float) -> float:
    """Return the sine of an angle, by sums and products alone: alike on every machine, to 1e-15."""
    turned = math.floor(degrees / 90.0 + 0.5)
    x = (degrees - 90.0 * turned) * 0.017453292519943295
    y = x * x
    quarter = turned & 3
    if quarter & 1:
        value = 1.0 - y / 2.0 * _series(y, 12.0, 30.0, 56.0, _series(y, 90.0, 132.0, 182.0, 1.0))
    else:
        value = x * (1.0 - y / 6.0 * _series(y, 20.0, 42.0, 72.0, _series(y, 110.0, 156.0, 210.0, 1.0)))
    return -value if quarter & 2 else value


def _series(y: float, first: float, second: float, third: float, rest: float) -> float:
    return 1.0 - y / first * (1.0 - y / second * (1.0 - y / third * rest))


def put_on_globe(
    latitude: float, longitude: float, tag: int, gain: float, bound: float, free: float, used: int, buffer: Any
) -> int:
    """Write the anchors around a point of the globe, given in degrees."""
    flat = sine(latitude + 90.0)
    x, y, z = flat * sine(longitude + 90.0), flat * sine(longitude), sine(latitude)
    for scale in range(len(GLOBE_WIDTHS)):
        rate = _RADIUS / GLOBE_WIDTHS[scale]
        used = _put_in_space(x * rate, y * rate, z * rate, extend(tag, scale), gain, bound, free, used, buffer)
    return used


def _put_in_space(
    x: float, y: float, z: float, tag: int, gain: float, bound: float, free: float, used: int, buffer: Any
) -> int:
    """Write the anchors around a place in space, whose anchors stand where all three coordinates are whole."""
    at_x, at_y, at_z = math.floor(x + 0.5), math.floor(y + 0.5), math.floor(z + 0.5)
    gain /= _norm(x - at_x) * _norm(y - at_y) * _norm(z - at_z)
    for i in range(-1, 2):
        plane = extend_signed(tag, at_x + i)
        for j in range(-1, 2):
            line = extend_signed(plane, at_y + j)
            weight = gain * spline(x - at_x, i) * spline(y - at_y, j)
            for k in range(-1, 2):
                code = mix(extend_signed(line, at_z + k))
                used = put(code, weight * spline(z - at_z, k), bound, free, used, buffer)
    return used


ANCHORS: Final = (put, spline, _norm, _on_line, put_on_line, sine, _series, put_on_globe, _put_in_space)
"""What a kernel that calls `put`, `put_on_line` or `put_on_globe` has to name as its helpers."""
