"""Dates in texts: which texts are dates, when they are, and that closeness in time is likeness."""

from __future__ import annotations

import datetime as dt
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbat import Encoder
from mbat.instants import DATE_FIELDS, NO_INSTANT, instant

EPOCH: Final = dt.datetime(1970, 1, 1)
MONTHS: Final = tuple(f"{dt.date(2000, month, 1):%B}" for month in range(1, 13))


def read(text: str) -> dt.datetime | None:
    """Return the date that a text is read as, to the microsecond."""
    points = [ord(letter) for letter in text.lower()]
    days = instant(points, 0, len(points), [0.0] * DATE_FIELDS)
    return None if days == NO_INSTANT else EPOCH + dt.timedelta(microseconds=round(days * 86400e6))


@given(st.datetimes(dt.datetime(1000, 1, 1)))
def test_iso_dates_and_times_are_read_to_the_millisecond(when: dt.datetime) -> None:
    when = when.replace(microsecond=when.microsecond // 1000 * 1000)
    for text in (when.isoformat(), when.isoformat(" ") + "Z", when.isoformat(timespec="milliseconds") + "+00:00"):
        read_as = read(text)
        assert read_as is not None
        assert abs(read_as - when) < dt.timedelta(milliseconds=1)


@given(st.dates(dt.date(1970, 1, 1), dt.date(2069, 12, 31)))
def test_dates_in_every_form_are_the_same_day(day: dt.date) -> None:
    month = MONTHS[day.month - 1]
    forms = [
        f"{day.year}-{day.month:02}-{day.day:02}",
        f"{day.year}/{day.month}/{day.day}" + (" 00:00" if day.month < 10 and day.day < 10 else ""),
        f"{month[:3]} {day.day} {day.year}",
        f"{month} {day.day} , {day.year}",
        f"{day.day:02}-{month[:3]}-{day.year % 100:02}",
        f"{day:%a}, {day.day} {month[:3]} {day.year} 00:00:00 GMT",
        f"{day:%a} {month[:3]} {day.day:02} 00:00:00 +0000 {day.year}",
    ]
    assert {str(read(form)) for form in forms} == {f"{day} 00:00:00"}


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2020-01-31T12:00:00+02:00", "10:00"),
        ("2020-01-31T12:00:00+0200", "10:00"),
        ("2020-01-31 12:00 -08", "20:00"),
        ("2020-01-31T12:00:00.000-0330", "15:30"),
    ],
)
def test_an_offset_from_greenwich_is_taken_off(text: str, hour: str) -> None:
    assert str(read(text)) == f"2020-01-31 {hour}:00"


@pytest.mark.parametrize("month", range(1, 13))
def test_months_and_days_of_the_week_are_read_whole_or_abbreviated(month: int) -> None:
    day = dt.date(2020, month, 5)
    months = {f"{day:%B}", f"{day:%b}", *(["Sept"] if month == 9 else [])}
    weekdays = {f"{day:%A}", f"{day:%a}", "Tues", "Weds", "Thur", "Thurs"}
    assert {str(read(f"{weekday}, 5 {name}. 2020")) for weekday in weekdays for name in months} == {f"{day} 00:00:00"}
    for name in months - {"May"}:
        assert read(f"5 {name}x 2020") is None
        assert read(f"5 {name[:-1]}q 2020") is None


@pytest.mark.parametrize(("text", "day"), [("2020-02-29", "2020-02-29"), ("2019-12-31 23:59:60", "2020-01-01")])
def test_leap_days_and_leap_seconds_are_read(text: str, day: str) -> None:
    assert str(read(text)) == f"{day} 00:00:00"


@pytest.mark.parametrize(
    "text",
    [
        *("", "2020", "2020-01", "20200131", "01/02/2020", "2020-13-01", "2020-01-32", "2020-00-10", "1.2.3.4"),
        *("May 2020", "Marathon 12 2020", "version 2020-01-31", "2020-01-31 or later", "1234-567-890"),
        *("2020-01-31T", "2020-01-31-01", "12:30:00", "2020-01-31 12:30 13:30", "+46 8 12 34 56"),
        *(
            "Wedding 3 May 2019",
            "Money 2020-01-31",
            "junk 12 2020",
            "octopus 12, 2020",
            "12 sep. wedn 2020",
            "3 mayo 2019",
        ),
        *("2020-01-31 12:75", "2020-01-31 12:30:61", "2020-01-31 12:30:75", "2020-01-31 24:01", "2020-01-31 1:2"),
        *("2020-01-31 12:00 +9999", "2020-01-31 12:00+15:00", "2020-01-31 12:00-0860", "2020-01-31 12:00-08:60"),
        *("2021-02-29", "31 Apr 2020", "2020-01-31 25:00", "2020-01-31T99:99"),
    ],
)
def test_what_is_no_date_or_might_be_two_is_none(text: str) -> None:
    assert read(text) is None


def test_the_nearer_in_time_the_more_alike_whatever_the_form() -> None:
    encoder = Encoder(dim=4096)
    later = ["2020-01-31", "1 Feb 2020", "2020-02-20", "2020-08-15T12:00Z", "2023-05-05", "1950-11-11"]
    vectors = encoder.encode([{"date": text} for text in later])
    scores = vectors @ encoder.encode_one({"date": "Jan 31, 2020"})
    assert (np.diff(scores) < 0).all()
    assert scores[0] > 0.75
    assert abs(scores[-1]) < 0.2


def test_dates_that_are_symbols_are_alike_only_if_equal() -> None:
    a, b = Encoder(dim=4096, strings="symbol").encode([{"date": "2020-01-31"}, {"date": "2020-02-01"}])
    assert abs(a @ b) < 5 / 64
