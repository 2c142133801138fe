"""Date-times: read in every form of ISO 8601 that Python knows, and written in one form."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timedelta, timezone

if sys.version_info >= (3, 11):
    fromisoformat = datetime.fromisoformat
else:  # Python 3.10 itself reads only what `isoformat` writes.
    from backports.datetime_fromisoformat import datetime_fromisoformat as fromisoformat

LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)

_ZONE = re.compile(r"\d[T ]\d.*(?:Z|[+-]\d\d(?::?\d\d)?)\s*$", re.IGNORECASE)

_USUAL = {"--T::Z", "--T::."}
"""Every third character, from the 5th on, of `2026-01-31T09:30:00Z`, with or without a fraction."""

_TAILS = {20: ".000000+00:00", 24: "000+00:00", 27: "+00:00"}
"""By length: what replaces the `Z` of such a text, so that it has the form of `format_instant`."""


def parse_instant(value: object) -> datetime | None:
    """Read an ISO 8601 date-time as an instant in UTC.

    A date-time without zone means UTC; a date alone means its midnight. Digits beyond the
    microsecond are cut off. Truto hands on what the provider's mapping wrote: ISO 8601 by
    convention, which nothing enforces (its skills repository, unified-api-customization).

    Returns:
        An aware date-time in UTC, or None for what is no ISO 8601 date-time.
    """
    if not isinstance(value, str):
        return None
    try:
        moment: datetime = fromisoformat(value)
    except ValueError:
        tidied = value.strip().upper()
        return parse_instant(tidied) if tidied != value else None
    if moment.tzinfo is timezone.utc:
        return moment
    if moment.tzinfo is None:
        return moment.replace(tzinfo=timezone.utc)
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        return None


def has_zone(text: str) -> bool:
    """Return whether a date-time ends in `Z` or an offset; without, it may be a local time."""
    return _ZONE.search(text) is not None


def format_instant(instant: datetime) -> str:
    """Write an aware date-time in UTC with microseconds: `2026-01-31T09:30:00.000000+00:00`."""
    if instant.tzinfo is not timezone.utc:
        instant = instant.astimezone(timezone.utc)
    return instant.isoformat(timespec="microseconds")


def normalise_instant(value: object) -> str | None:
    """Write what `parse_instant` reads in the form of `format_instant`.

    Formatting costs ten times as much as parsing. Nearly all date-times end in `Z`, and those get
    the form by replacing their end.
    """
    if not isinstance(value, str):
        return None
    tail = _TAILS.get(len(value))
    if tail and value[-1] == "Z" and value[4:20:3] in _USUAL:
        try:
            fromisoformat(value)
        except ValueError:
            return None
        return value[:-1] + tail
    instant = parse_instant(value)
    return format_instant(instant) if instant else None


def earlier(instant: datetime, seconds: int) -> datetime | None:
    """Go back by some seconds; None where that is before the year 1."""
    try:
        return instant - timedelta(seconds=seconds)
    except OverflowError:
        return None
