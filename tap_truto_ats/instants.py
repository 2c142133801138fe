"""Date-times, as instants: read in any spelling of ISO 8601 that Python knows, written in one."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone


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
        # On Python 3.10, singer-sdk has put a backport of 3.11's method in this place.
        moment = datetime.fromisoformat(value.strip().upper())
        if moment.tzinfo is None:
            return moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def format_instant(instant: datetime) -> str:
    """Write an aware date-time in UTC with microseconds: `2026-01-31T09:30:00.000000+00:00`."""
    return instant.astimezone(timezone.utc).isoformat(timespec="microseconds")


def earlier(instant: datetime, seconds: int) -> datetime | None:
    """Go back by some seconds; None is before all time."""
    try:
        return instant - timedelta(seconds=seconds)
    except OverflowError:
        return None
