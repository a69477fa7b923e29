"""Instants in texts: what is a date, with or without a time of day, and when it is.

Read are ISO 8601 (``2020-01-31``, ``2020/1/31``, ``2020-01-31T12:00:00.5+02:00``) and the forms with an English month
(``Jan 31 2020``, ``31-Jan-20``, ``January 31, 2020``, ``Fri, 31 Jan 2020 12:00:00 GMT``). Months and days of the week
are named whole or abbreviated as usual; nothing else may stand in the text but spaces and ``, - . /`` between them.
``01/02/2020`` may be two dates and is none.
"""

from __future__ import annotations

import math
from typing import Any, Final

from mbat.kernels import nth

NO_INSTANT: Final = math.inf
"""For a text that is no date."""

TIME_WIDTHS: Final = (3000.0, 250.0, 20.0, 1.0)
"""Distance between neighbouring anchors at each scale, in days."""

DATE_FIELDS: Final = 5
"""Size of the scratch that `instant` needs."""

_YEAR, _MONTH, _DAY, _SECONDS, _TIMED = range(DATE_FIELDS)

_LONGEST_DAY: Final = 86401.0  # one that ends with a leap second
_FARTHEST_ZONE: Final = 14
_SHORTEST: Final = 8
_LONGEST: Final = 40


_LETTER_BITS: Final = 5
_LONGEST_WORD: Final = 9


def _packed(word: str) -> int:
    """Return a word of at most 9 small letters as one number."""
    packed = 0
    for letter in word:
        packed = packed << _LETTER_BITS | ord(letter) - 96
    return packed


def _all_packed(words: str) -> tuple[int, ...]:
    return tuple(map(_packed, words.split()))


_MONTHS: Final = _all_packed("january february march april may june july august september october november december")
_SHORT_MONTHS: Final = _all_packed("jan feb mar apr may jun jul aug sep oct nov dec")
_SEPT: Final = _packed("sept")
_IDLE_WORDS: Final = _all_packed(
    "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed weds thu thur thurs fri sat sun gmt utc"
)
_Z, _T = ord("z"), ord("t")


def digit(text: Any, at: int, end: int) -> int:
    """Return the digit at a place of a text, or -1."""
    if at >= end:
        return -1
    value = int(text[nth(at)]) - 48
    return value if 0 <= value <= 9 else -1


def digits_end(text: Any, at: int, end: int) -> int:
    """Return where the digits that start at a place end."""
    while digit(text, at, end) >= 0:
        at += 1
    return at


def whole(text: Any, start: int, end: int) -> int:
    """Return the number that some digits, at most 18, write."""
    value = 0
    for at in range(start, end):
        value = 10 * value + int(text[nth(at)]) - 48
    return value


def _letter(text: Any, at: int, end: int) -> bool:
    return at < end and 97 <= text[nth(at)] <= 122


def _word(text: Any, at: int, stop: int) -> int:
    """Return a word of small letters as one number, 0 if it is longer than any that is known."""
    packed = 0
    if stop - at <= _LONGEST_WORD:
        for place in range(at, stop):
            packed = packed << _LETTER_BITS | int(text[nth(place)]) - 96
    return packed


def _month(word: int) -> int:
    """Return the month that a word names, 0 if none."""
    for month in range(12):
        if word == _MONTHS[month] or word == _SHORT_MONTHS[month]:
            return month + 1
    return 9 if word == _SEPT else 0


def _is_weekday_or_zone(word: int) -> bool:
    known = False
    for idle in _IDLE_WORDS:
        known = known or word == idle
    return known


def _is_sixtieth(text: Any, at: int, end: int) -> bool:
    """Return whether just two digits stand at a place, of a number below 60."""
    return digits_end(text, at, end) == at + 2 and digit(text, at, end) <= 5


def _clock_end(text: Any, at: int, end: int) -> int:
    """Return where a time of day such as ``12:30:05.25`` ends, or the start if there is none."""
    start = at
    stop = digits_end(text, at, end)
    if not 1 <= stop - at <= 2 or stop >= end or text[nth(stop)] != 58 or not _is_sixtieth(text, stop + 1, end):
        return start
    at = stop + 3
    if at < end and text[nth(at)] == 58 and digits_end(text, at + 1, end) == at + 3:
        if whole(text, at + 1, at + 3) > 60:  # 60 is a leap second
            return start
        at += 3
        if at + 1 < end and (text[nth(at)] == 46 or text[nth(at)] == 44):
            at = digits_end(text, at + 1, end)
    return at


def _clock(text: Any, at: int, end: int) -> float:
    """Return the seconds since midnight of a time of day that stands at a place."""
    stop = digits_end(text, at, end)
    seconds = 3600.0 * whole(text, at, stop) + 60.0 * whole(text, stop + 1, stop + 3)
    at = stop + 3
    if at < end and text[nth(at)] == 58:
        seconds += whole(text, at + 1, at + 3)
        part = 0.1
        at += 4 if at + 3 < end and text[nth(at + 3)] in (44, 46) else end
        while digit(text, at, end) >= 0:
            seconds += part * digit(text, at, end)
            part *= 0.1
            at += 1
    return seconds


def _zone_end(text: Any, at: int, end: int) -> int:
    """Return where an offset such as ``+02:00`` or ``-0800`` ends, or the start if there is none."""
    if at >= end or (text[nth(at)] != 43 and text[nth(at)] != 45):
        return at
    stop = digits_end(text, at + 1, end)
    if (stop != at + 3 and stop != at + 5) or whole(text, at + 1, at + 3) > _FARTHEST_ZONE:
        return at
    if stop == at + 5:
        return stop if _is_sixtieth(text, at + 3, end) else at
    if stop < end and text[nth(stop)] == 58:
        return stop + 3 if _is_sixtieth(text, stop + 1, end) else at
    return stop


def _zone(text: Any, at: int, stop: int) -> float:
    """Return the seconds east of Greenwich of an offset."""
    hours = whole(text, at + 1, at + 3)
    minutes = whole(text, stop - 2, stop) if stop > at + 3 else 0
    seconds = 3600.0 * hours + 60.0 * minutes
    return -seconds if text[nth(at)] == 45 else seconds


def _days(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 in the Gregorian calendar."""
    shifted = year - 1 if month <= 2 else year
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def _read_word(text: Any, at: int, end: int, date: Any) -> int:
    """Take in a month, a weekday, a zone or the T before a time; return where it ends, or -1 if it is none of them."""
    stop = at
    while _letter(text, stop, end):
        stop += 1
    if stop - at >= 3:
        word = _word(text, at, stop)
        month = _month(word)
        if month > 0 and date[_MONTH] == 0.0:
            date[_MONTH] = month
            return stop
        return stop if _is_weekday_or_zone(word) else -1
    timed = date[_TIMED] != 0.0
    if stop - at == 1 and date[_DAY] != 0.0:
        if text[nth(at)] == _T and not timed and digit(text, stop, end) >= 0:
            return stop
        if text[nth(at)] == _Z and timed:
            return stop
    return -1


def _read_clock(text: Any, at: int, end: int, date: Any) -> int:
    """Take in a time of day and its offset from Greenwich; return where they end, or -1 if there is no such time."""
    date[_SECONDS], date[_TIMED] = _clock(text, at, end), 1.0
    if date[_SECONDS] >= _LONGEST_DAY:
        return -1
    stop = _clock_end(text, at, end)
    at = stop + 1 if stop < end and text[nth(stop)] == 32 else stop
    stop = _zone_end(text, at, end)
    if stop > at:
        date[_SECONDS] -= _zone(text, at, stop)
    return stop


def _read_number(text: Any, at: int, end: int, date: Any) -> int:
    """Take in a year, a month or a day; return where it ends, or -1 if it can be none of them."""
    stop = digits_end(text, at, end)
    length = stop - at
    no_year, no_month, no_day = date[_YEAR] == 0.0, date[_MONTH] == 0.0, date[_DAY] == 0.0
    if length == 4 and no_year and (no_day or not no_month):
        date[_YEAR] = whole(text, at, stop)
    elif length <= 2 and no_month and no_day and not no_year:
        date[_MONTH] = whole(text, at, stop)
    elif length <= 2 and no_day:
        date[_DAY] = whole(text, at, stop)
    elif length == 2 and no_year and not no_month:
        year = whole(text, at, stop)
        date[_YEAR] = year + (2000 if year < 70 else 1900)
    else:
        return -1
    return stop


def instant(text: Any, start: int, end: int, date: Any) -> float:
    """Return the days from 1970-01-01 to the date that a text is, or NO_INSTANT if it is none; `date` is scratch."""
    if not _SHORTEST <= end - start <= _LONGEST or digits_end(text, start, end) == end:
        return NO_INSTANT
    for field in range(DATE_FIELDS):
        date[field] = 0.0
    at = start
    while 0 <= at < end:
        point = text[nth(at)]
        if _letter(text, at, end):
            at = _read_word(text, at, end, date)
        elif digit(text, at, end) >= 0:
            if date[_TIMED] == 0.0 and _clock_end(text, at, end) > at:
                at = _read_clock(text, at, end, date)
            else:
                at = _read_number(text, at, end, date)
        else:
            at = at + 1 if point == 32 or 44 <= point <= 47 else -1
    year, month, day = int(date[_YEAR]), int(date[_MONTH]), int(date[_DAY])
    if at < 0 or year == 0 or not 1 <= month <= 12 or day < 1:
        return NO_INSTANT
    days, next_month = _days(year, month, day), _days(year + month // 12, month % 12 + 1, 1)
    return days + float(date[_SECONDS]) / 86400.0 if days < next_month else NO_INSTANT


INSTANTS: Final = (
    *(digit, digits_end, whole, _letter, _word, _month, _is_weekday_or_zone, _is_sixtieth),
    *(_clock_end, _clock, _zone_end, _zone, _days),
    *(_read_word, _read_clock, _read_number, instant),
)
"""What a kernel that calls `instant` has to name as its helpers."""
