"""Numbers in short texts: ``7.6 x 4.8 inches``, ``EQ50``, ``$1,299.00``, ``40.47; -80.05``."""

from __future__ import annotations

from typing import Any, Final

from mbat.instants import digit, digits_end
from mbat.kernels import nth

MOST_QUANTITIES: Final = 4
"""A text of more numbers holds none that are coded."""

_LONGEST: Final = 64
_MOST_WORDS: Final = 4
_MOST_DIGITS: Final = 9


def _alphabetic(point: int) -> bool:
    return point >= 128 or 97 <= point <= 122


def _negative(text: Any, start: int, at: int) -> bool:
    """Return whether the number that starts at a place has a minus sign, and no hyphen."""
    if at == start or text[nth(at - 1)] != 45:
        return False
    return at - 1 == start or text[nth(at - 2)] in (32, 40, 59, 44)


def _number_end(text: Any, at: int, end: int) -> int:
    """Return where the number that starts at a place ends, or -1 if it is an identifier."""
    stop = digits_end(text, at, end)
    if stop - at > _MOST_DIGITS:
        return -1
    while stop - at <= _MOST_DIGITS and _is_group(text, at, stop, end):
        stop += 4
    if stop >= end or text[nth(stop)] != 46 or digit(text, stop + 1, end) < 0:
        return -1 if text[nth(at)] == 48 and stop - at > 1 else stop
    last = digits_end(text, stop + 1, end)
    another_point = last < end and text[nth(last)] == 46 and digit(text, last + 1, end) >= 0
    return -1 if another_point or last - stop > _MOST_DIGITS else last


def _is_group(text: Any, first: int, at: int, end: int) -> bool:
    """Return whether a comma and three digits go on with a number of at most three digits before its first comma."""
    if at >= end or text[nth(at)] != 44 or digits_end(text, at + 1, end) != at + 4:
        return False
    return digits_end(text, first, end) - first <= 3


def _number_value(text: Any, at: int, stop: int) -> float:
    """Return the value of a number that is written between two places."""
    value, scale, fraction = 0.0, 1.0, False
    for place in range(at, stop):
        one = digit(text, place, stop)
        if one >= 0:
            value = 10.0 * value + one
            scale = 10.0 * scale if fraction else scale
        elif text[nth(place)] == 46:
            fraction = True
    return value / scale


def quantities(text: Any, start: int, end: int, found: Any) -> int:
    """Write the numbers of a text to the start of `found`, and return how many.

    There are none in texts of more than 64 letters, 4 numbers or 4 words; none where a number is an identifier: of
    more than 9 digits in a row, with a zero before others, or with more than one point, as versions have.
    """
    if end - start > _LONGEST:
        return 0
    count, words, at = 0, 0, start
    while at < end:
        if digit(text, at, end) < 0:
            words += _alphabetic(text[nth(at)]) and (at == start or not _alphabetic(text[nth(at - 1)]))
            at += 1
            continue
        stop = _number_end(text, at, end)
        if stop < 0 or count == MOST_QUANTITIES:
            return 0
        value = _number_value(text, at, stop)
        found[count] = -value if _negative(text, start, at) else value
        count += 1
        at = stop
    return count if words <= _MOST_WORDS else 0


QUANTITIES: Final = (_alphabetic, _negative, _number_end, _is_group, _number_value, quantities)
"""What a kernel that calls `quantities` has to name as its helpers, besides those of `mbat.instants`."""
