"""Numbers in short texts: ``7.6 x 4.8 inches``, ``EQ50``, ``$1,299.00``, ``40.47; -80.05``."""

from __future__ import annotations

from typing import Any, Final

from mbat.instants import digit, digits_end, whole
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


def quantities(text: Any, start: int, end: int, found: Any) -> int:
    """Write the numbers of a text to the start of `found`, and return how many.

    There are none in texts of more than 64 letters, 4 numbers or 4 words; none where a number is an identifier: of
    more than 9 digits, with a zero before others, or with more than one point, as versions have.
    """
    if end - start > _LONGEST:
        return 0
    count, words, at = 0, 0, start
    while at < end:
        if digit(text, at, end) < 0:
            if _alphabetic(text[nth(at)]) and (at == start or not _alphabetic(text[nth(at - 1)])):
                words += 1
            at += 1
            continue
        first = at
        stop = digits_end(text, at, end)
        value = float(whole(text, at, stop)) if stop - at <= _MOST_DIGITS else -1.0
        at = stop
        while at < end and text[nth(at)] == 44 and stop - first <= 3 and digits_end(text, at + 1, end) == at + 4:
            value = 1000.0 * value + whole(text, at + 1, at + 4)
            at += 4
        if at < end and text[nth(at)] == 46 and digit(text, at + 1, end) >= 0:
            stop = digits_end(text, at + 1, end)
            if stop - at - 1 > _MOST_DIGITS or (
                stop < end and text[nth(stop)] == 46 and digit(text, stop + 1, end) >= 0
            ):
                return 0
            scale = 1.0
            for _ in range(stop - at - 1):
                scale *= 10.0
            value += whole(text, at + 1, stop) / scale
            at = stop
        elif text[nth(first)] == 48 and at - first > 1:
            return 0
        if value < 0.0 or count == MOST_QUANTITIES or at - first > 2 * _MOST_DIGITS:
            return 0
        found[count] = -value if _negative(text, start, first) else value
        count += 1
    return count if words <= _MOST_WORDS else 0


QUANTITIES: Final = (_alphabetic, _negative, quantities)
"""What a kernel that calls `quantities` has to name as its helpers, besides those of `mbat.instants`."""
