"""Date-times: read in every spelling that has one meaning only, and written in one form."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timedelta, timezone

from dateutil import parser

if sys.version_info >= (3, 11):
    fromisoformat = datetime.fromisoformat
else:  # Python 3.10 itself reads only what `isoformat` writes.
    from backports.datetime_fromisoformat import datetime_fromisoformat as fromisoformat

LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MIDNIGHT = EPOCH.replace(tzinfo=None)
"""Whose time a date alone gets."""
EPOCHS = {1: range(10**8, 10**10)} | {n: range(n * 10**9, n * 10**10) for n in (1_000, 1_000_000)}
"""Numbers that are read as seconds (from 1973 to 2286), milliseconds or microseconds (from 2001)
since 1970. Those of 12 digits may be `202601310930`, or the seconds of the year 9999."""
LONGEST = 100
"""The most characters that a date-time has; JavaScript writes 70 with the zone's name."""

_ISO = re.compile(r"\d{4}-?(?:\d\d-?\d\d|W\d\d(?:-?\d)?)(?:[\s_].+)?", re.ASCII)
"""A date without time, or with one behind a blank. Python itself takes any character between them,
so also a digit of `1711121800930.5`, or the sign of a zone: `2026-01-31+01:00`."""

_ZONED_DATE = re.compile(r"(?<=\d{4}-\d\d-\d\d)(?=(?:Z|[+-]\d\d:\d\d)$)", re.ASCII)
"""Where a date with a zone, as XML Schema has it, lacks the time."""

_EPOCH = re.compile(r"(?:/Date\()?(\d{9,16}(?:\.\d+)?)(?:[+-]\d{4})?(?:\)/)?", re.ASCII)
"""Digits, or the form in which .NET writes JSON."""

_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[\s,]+)?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_YEAR = r"[1-9]\d{3}"
_APART = r"[\s,./-]+"
_TIME = r"(?:\d{1,2}(?::\d\d){1,2}(?:[.,]\d+)?(?:\s*[ap]m)?|\d{1,2}\s*[ap]m)"
_CLEAR = re.compile(
    rf"(?:{_WEEKDAY}(?:"
    rf"{_DAY}{_APART}{_MONTH}{_APART}{_YEAR}|{_MONTH}{_APART}{_DAY}{_APART}{_YEAR}"
    rf"|{_YEAR}{_APART}{_MONTH}{_APART}{_DAY})|{_YEAR}([-/.])\d{{1,2}}\1\d{{1,2}})"
    rf"(?:[\sT,]+(?:at\s+)?{_TIME}(?:\s*(?:[a-z]{{1,5}}|[+-]\d{{1,2}}(?::?\d\d)?))?)?"
    rf"|{_WEEKDAY}{_MONTH}\s+{_DAY}\s+{_TIME}(?:\s+[a-z]{{1,5}})?\s+{_YEAR}",
    re.IGNORECASE | re.ASCII,
)
"""Dates with the month's name or the year in front, and times behind them or, as Unix writes them,
before the year. `03/04/2026` may be of March or April."""

_ASIDE = re.compile(
    r"([+-]\d\d:?\d\d|Z|UTC|GMT)\s*(?:\[.*\]|\(.*\))$|(?<=[+-]\d{4}) [A-Z]{3,5}$"
    r"|\b(?:UTC|GMT)(?=[+-]\d)",
    re.IGNORECASE,
)
"""A zone's name behind its offset (`+02:00[Europe/Berlin]`, as Java writes it, or `+0200 CEST`, as
Go does) or before it. Without an offset, it is not enough to know the instant."""

_HOURS = {"UTC": 0, "UT": 0, "GMT": 0, "Z": 0}
_HOURS |= {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
"""By name of a zone that has one meaning: its hours from UTC (RFC 2822, section 4.3)."""

_ZONE = re.compile(
    rf"\d[T ]\d.*(?:\b(?:{'|'.join(_HOURS)})|\dZ|[+-]\d\d(?::?\d\d)?)(?: \d{{4}})?\s*$",
    re.IGNORECASE,
)

_NO_OFFSET = ("+00:00", "+0000")
_USUAL = {"--T::Z", "--T::."}
"""Every third character, from the 5th on, of `2026-01-31T09:30:00Z`, with or without a fraction."""

_TAILS = {20: ".000000+00:00", 24: "000+00:00", 27: "+00:00"}
"""By length: what replaces the `Z` of such a text, so that it has the form of `format_instant`."""


def parse_iso(value: object) -> datetime | None:
    """Read an ISO 8601 date-time as an aware one in UTC; None for anything else.

    A date-time without zone means UTC; a date alone means its midnight. Digits beyond the
    microsecond are cut off.
    """
    if not isinstance(value, str):
        return None
    try:
        if "T" in value or _ISO.fullmatch(value):
            moment: datetime = fromisoformat(value)
            return moment if moment.tzinfo is timezone.utc else _in_utc(moment)
    except ValueError:
        pass
    tidied = _ZONED_DATE.sub("T00:00", value.strip().upper())
    return parse_iso(tidied) if tidied != value else None


def parse_instant(value: object) -> datetime | None:
    """Read what a provider gives as an aware date-time in UTC; None if its meaning is not certain.

    Truto hands on what the provider's mapping wrote: ISO 8601 by convention, which nothing enforces
    (its skills repository, unified-api-customization). Read besides are seconds, milliseconds and
    microseconds since 1970, RFC 2822, and dates that name the month or begin with the year.
    """
    if isinstance(value, str):
        return parse_iso(value) or _parse_other(value)
    return _from_epoch(value) if type(value) in {int, float} else None  # type: ignore[arg-type]


def _parse_other(text: str) -> datetime | None:
    text = text.strip()
    if len(text) > LONGEST:
        return None
    if number := _EPOCH.fullmatch(text):
        return _from_epoch(float(number[1]))
    text = _ASIDE.sub(r"\1", " ".join(text.upper().split()))
    if not _CLEAR.fullmatch(text):
        return None
    try:
        return _in_utc(parser.parse(text, default=MIDNIGHT, tzinfos=_zone))
    except (ValueError, OverflowError):
        return None


def _zone(name: str | None, seconds: int | None) -> timezone | None:
    """Return a zone by its offset or its name, for `dateutil`, which would guess at others."""
    if name is None:
        return None if seconds is None else timezone(timedelta(seconds=seconds))
    hours = _HOURS.get(name)
    # An offset behind another name is read as POSIX has it, with the sign turned round.
    if hours is None or seconds not in {None, hours * 3_600}:
        raise ValueError(name)
    return timezone(timedelta(hours=hours))


def _from_epoch(number: float) -> datetime | None:
    for unit, numbers in EPOCHS.items():
        if numbers.start <= number < numbers.stop:
            return EPOCH + timedelta(seconds=number / unit)
    return None


def _in_utc(moment: datetime) -> datetime | None:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=timezone.utc)
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        return None


def has_zone(text: str) -> bool:
    """Return whether a date-time tells its zone; without, it may be a local time."""
    return _EPOCH.fullmatch(text) is not None or _ZONE.search(_ASIDE.sub(r"\1", text)) is not None


def format_instant(instant: datetime) -> str:
    """Write an aware date-time in UTC with microseconds: `2026-01-31T09:30:00.000000+00:00`."""
    if instant.tzinfo is not timezone.utc:
        instant = instant.astimezone(timezone.utc)
    return instant.isoformat(timespec="microseconds")


def normalise_instant(value: object) -> str | None:
    """Write what `parse_instant` reads in the form of `format_instant`.

    Formatting costs ten times as much as parsing. Nearly all date-times end in `Z` or `+00:00`, and
    those get the form by replacing their end.
    """
    if isinstance(value, str):
        tail = _TAILS.get(len(value))
        if tail and value[-1] == "Z" and value[4:20:3] in _USUAL:
            try:
                fromisoformat(value)
            except ValueError:
                return None
            return value[:-1] + tail
        if value.endswith(_NO_OFFSET) and (
            text := normalise_instant(value.partition("+")[0] + "Z")
        ):
            return text
    instant = parse_instant(value)
    return instant.isoformat("T", "microseconds") if instant else None


def earlier(instant: datetime, seconds: int) -> datetime | None:
    """Go back by some seconds; None where that is before the year 1."""
    try:
        return instant - timedelta(seconds=seconds)
    except OverflowError:
        return None
