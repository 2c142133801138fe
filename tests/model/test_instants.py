"""Date-times: read in every spelling of one meaning, and written in one form."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tap_truto_ats.model.instants import (
    earlier,
    format_instant,
    has_zone,
    normalise_instant,
    parse_instant,
)

INSTANTS: dict[str, tuple[object, str]] = {
    "as written by the tap": ("2026-01-31T09:30:00.000000+00:00", "2026-01-31T09:30:00.000000"),
    "Z": ("2026-01-31T09:30:00Z", "2026-01-31T09:30:00.000000"),
    "lower case": ("2026-01-31t09:30:00z", "2026-01-31T09:30:00.000000"),
    "no zone": ("2026-01-31T09:30:00", "2026-01-31T09:30:00.000000"),
    "blank instead of T": ("2026-01-31 09:30:00", "2026-01-31T09:30:00.000000"),
    "blank and Z": ("2026-01-31 09:30:00Z", "2026-01-31T09:30:00.000000"),
    "blanks around": (" 2026-01-31T09:30:00Z\n", "2026-01-31T09:30:00.000000"),
    "no seconds": ("2026-01-31T09:30Z", "2026-01-31T09:30:00.000000"),
    "no seconds, offset": ("2026-01-31T09:30+02:00", "2026-01-31T07:30:00.000000"),
    "hours only": ("2026-01-31T09", "2026-01-31T09:00:00.000000"),
    "date only": ("2026-01-31", "2026-01-31T00:00:00.000000"),
    "basic form": ("20260131T093000Z", "2026-01-31T09:30:00.000000"),
    "east": ("2026-01-31T09:30:00+01:00", "2026-01-31T08:30:00.000000"),
    "west, over midnight": ("2026-01-31T21:30:00-05:00", "2026-02-01T02:30:00.000000"),
    "half an hour": ("2026-01-31T09:30:00+05:30", "2026-01-31T04:00:00.000000"),
    "minus nothing": ("2026-01-31T09:30:00-00:00", "2026-01-31T09:30:00.000000"),
    "offset without colon": ("2026-01-31T09:30:00+0100", "2026-01-31T08:30:00.000000"),
    "no offset": ("2026-01-31T09:30:00.5+0000", "2026-01-31T09:30:00.500000"),
    "no offset, milliseconds": ("2026-01-31T09:30:00.123+00:00", "2026-01-31T09:30:00.123000"),
    "no offset behind a name": ("2026-01-31T09:30:00 UTC+0000", "2026-01-31T09:30:00.000000"),
    "offset of hours": ("2026-01-31T09:30:00-03", "2026-01-31T12:30:00.000000"),
    "blank before the offset": ("2026-01-31 09:30:00 +0100", "2026-01-31T08:30:00.000000"),
    "tenths": ("2026-01-31T09:30:00.5Z", "2026-01-31T09:30:00.500000"),
    "milliseconds": ("2026-01-31T09:30:00.123Z", "2026-01-31T09:30:00.123000"),
    "microseconds": ("2026-01-31T09:30:00.123456Z", "2026-01-31T09:30:00.123456"),
    "nanoseconds are cut off": ("2026-01-31T09:30:00.123456999Z", "2026-01-31T09:30:00.123456"),
    "seven digits": ("2026-01-31T09:30:00.9999999Z", "2026-01-31T09:30:00.999999"),
    "comma": ("2026-01-31T09:30:00,25Z", "2026-01-31T09:30:00.250000"),
    "leap day": ("2028-02-29T00:00:00Z", "2028-02-29T00:00:00.000000"),
    "first year": ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000"),
    "last year": ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999"),
    "week": ("2026-W05-6", "2026-01-31T00:00:00.000000"),
    "UTC": ("2026-01-31 09:30:00 UTC", "2026-01-31T09:30:00.000000"),
    "GMT": ("2026-01-31 09:30:00 GMT", "2026-01-31T09:30:00.000000"),
    "UTC and an offset": ("2026-01-31 09:30:00 UTC+01:00", "2026-01-31T08:30:00.000000"),
    "GMT and hours": ("2026-01-31T09:30:00 GMT-3", "2026-01-31T12:30:00.000000"),
    "American zone": ("2026-01-31 09:30:00 EST", "2026-01-31T14:30:00.000000"),
    "Java": ("2026-01-31T09:30:00+01:00[Europe/Berlin]", "2026-01-31T08:30:00.000000"),
    "Go": ("2026-01-31 09:30:00.5 +0000 UTC", "2026-01-31T09:30:00.500000"),
    "Go, elsewhere": ("2026-01-31 09:30:00 +0100 CET", "2026-01-31T08:30:00.000000"),
    ".NET": ("/Date(1769851800000)/", "2026-01-31T09:30:00.000000"),
    ".NET with an offset": ("/Date(1769851800000+0100)/", "2026-01-31T09:30:00.000000"),
    "JavaScript": (
        "Sat Jan 31 2026 10:30:00 GMT+0100 (Central European Standard Time)",
        "2026-01-31T09:30:00.000000",
    ),
    "Unix": ("Sat Jan 31 09:30:00 UTC 2026", "2026-01-31T09:30:00.000000"),
    "C": ("Sat Jan 31 09:30:00 2026", "2026-01-31T09:30:00.000000"),
    "HTTP": ("Sat, 31 Jan 2026 09:30:00 GMT", "2026-01-31T09:30:00.000000"),
    "mail": ("Sat, 31 Jan 2026 10:30:00 +0100", "2026-01-31T09:30:00.000000"),
    "mail with a comment": ("31 Jan 2026 10:30:00 +0100 (CET)", "2026-01-31T09:30:00.000000"),
    "month's name": ("Jan 31, 2026", "2026-01-31T00:00:00.000000"),
    "whole names": ("Saturday, January 31st, 2026", "2026-01-31T00:00:00.000000"),
    "day in front": ("31-Jan-2026", "2026-01-31T00:00:00.000000"),
    "afternoon": ("Jan 31, 2026 at 9:30 PM", "2026-01-31T21:30:00.000000"),
    "midnight": ("2026-01-31 12:30:00 AM", "2026-01-31T00:30:00.000000"),
    "slashes": ("2026/01/31 09:30", "2026-01-31T09:30:00.000000"),
    "points": ("2026.01.31", "2026-01-31T00:00:00.000000"),
    "no zeros": ("2026-1-31 9:30:00", "2026-01-31T09:30:00.000000"),
    "two blanks": ("2026-01-31  09:30:00", "2026-01-31T09:30:00.000000"),
    "epoch seconds": (1_769_851_800, "2026-01-31T09:30:00.000000"),
    "epoch milliseconds": (1_769_851_800_000, "2026-01-31T09:30:00.000000"),
    "epoch microseconds": (1_769_851_800_000_001, "2026-01-31T09:30:00.000001"),
    "epoch seconds as text": ("1769851800", "2026-01-31T09:30:00.000000"),
    "epoch milliseconds as text": (" 1769851800123 ", "2026-01-31T09:30:00.123000"),
    "fraction": (1_769_851_800.5, "2026-01-31T09:30:00.500000"),
    "fraction as text": ("1769851800.5", "2026-01-31T09:30:00.500000"),
    "digits that look like a date and a time": ("1711121800930.5", "2024-03-22T15:36:40.930500"),
    "date with a zone": ("2026-01-31+01:00", "2026-01-30T23:00:00.000000"),
    "date with a zone in the west": ("2026-01-31-05:00", "2026-01-31T05:00:00.000000"),
    "date in UTC": ("2026-01-31Z", "2026-01-31T00:00:00.000000"),
    "underscore": ("2026-01-31_09:30:00", "2026-01-31T09:30:00.000000"),
    "zone in lower case": ("jan 31 2026 9:30 am utc", "2026-01-31T09:30:00.000000"),
    "blanks of other kinds": ("31\u00a0Jan 2026 9:30\u202fAM", "2026-01-31T09:30:00.000000"),
}

NO_INSTANTS: dict[str, Any] = {
    "null": None,
    "empty": "",
    "blank": "  ",
    "word": "tomorrow",
    "zero date": "0000-00-00 00:00:00",
    "no such day": "2026-02-30T00:00:00Z",
    "no such month": "2026-13-01",
    "no such hour": "2026-01-31T25:00:00Z",
    "no such offset": "2026-01-31T09:30:00+25:00",
    "named zone": "2026-01-31T09:30:00 CET",
    "American": "01/31/2026",
    "year": "2026",
    "year and month": "2026-01",
    "time": "09:30:00",
    "before the first year in UTC": "0001-01-01T00:00:00+01:00",
    "after the last year in UTC": "9999-12-31T23:59:59-01:00",
    "year of five digits": "12026-01-31T09:30:00Z",
    "more after it": "2026-01-31T09:30:00Z, rescheduled",
    "other digits": "\u0662\u0660\u0662\u0666-01-31",
    "other digits in front of a month": "\u0663\u0661 Jan 2026",
    "midnight at the end of a day": "2026-01-31T24:00:00Z",
    "midnight at the end of the last day": "9999-12-31T24:00:00Z",
    "leap second": "2026-06-30T23:59:60Z",
    "European": "31.01.2026",
    "American or European": "03/04/2026",
    "year of two digits": "31-Jan-26",
    "early year of four digits": "12 Jul 0001",
    "month and year": "Jan 2026",
    "day and month": "31 Jan",
    "day of no month": "31 Feb 2026",
    "two days": "10 12 Jan 2026",
    "a number more": "31 Jan 2026 2018",
    "no such hour behind a month": "Jan 31 2026 25:00",
    "another language": "31. Januar 2026",
    "words around": "on Jan 31 2026, or later",
    "month last": "2026-31-01",
    "zone of two meanings": "2026-01-31 09:30:00 IST",
    "zone and another offset": "2026-01-31 09:30:00 CET+0100",
    "American zone and an offset": "2026-01-31 09:30:00 EST-0500",
    "UTC and an offset behind it, as letters": "2026-01-31 09:30:00 Z+01:00",
    "zone without an offset": "2026-01-31T09:30:00[Europe/Berlin]",
    "zone in brackets": "2026-01-31 09:30:00 (IST)",
    "zone's long name": "Sat Jan 31 2026 10:30:00 (Central European Standard Time)",
    "no blank before the time": "2026-01-31109:30:00",
    "a sign before the time": "20260131-0500",
    "12 digits": "202601310930",
    "14 digits": "20260131093000",
    "12 digits as a number": 202601310930,
    "the seconds of the year 9999": 253_402_300_799,
    "epoch nanoseconds": 1_769_851_800_000_000_000,
    "zero": 0,
    "days": 20_484,
    "negative": -1_769_851_800,
    "too large for a float": 10**400,
    "large": 1e308,
    "long": "Jan 31 2026" + " " * 100_000 + "(" * 100_000,
    "true": True,
    "list": ["2026-01-31T09:30:00Z"],
    "object": {"date": "2026-01-31"},
}


@pytest.mark.parametrize(("given", "utc"), INSTANTS.values(), ids=INSTANTS)
def test_every_spelling_of_an_instant_is_read(given: object, utc: str) -> None:
    instant = parse_instant(given)
    assert instant is not None
    assert instant.utcoffset() == timedelta(0)
    assert format_instant(instant) == f"{utc}+00:00"
    assert normalise_instant(given) == f"{utc}+00:00"


@pytest.mark.parametrize("given", NO_INSTANTS.values(), ids=NO_INSTANTS)
def test_what_is_no_instant_or_may_be_several_is_none(given: object) -> None:
    assert parse_instant(given) is None
    assert normalise_instant(given) is None


def test_an_instant_is_written_in_utc_whatever_its_zone() -> None:
    moment = datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
    assert format_instant(moment) == "2026-01-31T13:00:00.000000+00:00"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "2026-01-31T00:00:00.000000+00:00"),
        (120, "2026-01-30T23:58:00.000000+00:00"),
        (10**11, None),
        (10**18, None),
    ],
)
def test_going_back_ends_before_all_time(seconds: int, expected: str | None) -> None:
    before = earlier(datetime(2026, 1, 31, tzinfo=timezone.utc), seconds)
    assert (format_instant(before) if before else None) == expected


def test_the_basic_form_is_read_by_every_python() -> None:
    """`datetime.fromisoformat` reads it since 3.11 only."""
    instant = parse_instant("20260131T093000.5Z")
    assert instant == datetime(2026, 1, 31, 9, 30, 0, 500_000, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T09:30:00Z", True),
        ("2026-01-31t09:30:00z", True),
        ("2026-01-31T09:30:00+01:00", True),
        ("2026-01-31T09:30:00-0330", True),
        ("2026-01-31 09:30 +01", True),
        ("2026-01-31T09:30:00.25Z ", True),
        ("20260131T093000Z", True),
        ("2026-01-31 09:30:00 UTC", True),
        ("Sat, 31 Jan 2026 09:30:00 GMT", True),
        ("Sat Jan 31 09:30:00 UTC 2026", True),
        ("2026-01-31T09:30:00+01:00[Europe/Berlin]", True),
        ("1769851800000", True),
        ("Sat Jan 31 09:30:00 2026", False),
        ("Jan 31, 2026 9:30 PM", False),
        ("2026-01-31T09:30:00", False),
        ("2026-01-31 09:30:00.123456", False),
        ("2026-01-31T09:30", False),
        ("20260131T093000", False),
        ("2026-01-31", False),
        ("", False),
        ("soon", False),
    ],
)
def test_a_date_time_without_a_zone_may_be_a_local_time(text: str, expected: object) -> None:
    assert has_zone(text) is expected
