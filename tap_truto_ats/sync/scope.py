"""What decides which rows and columns of a stream come: when that changes, all must come again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tap_truto_ats.model.instants import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

    from tap_truto_ats.settings.schema import Settings

    Scope: TypeAlias = dict[str, str]

START = "start_date"


def scope_of(stream: str, settings: Settings, columns: Iterable[tuple[str, ...]]) -> Scope:
    """Return by name what decides which rows and columns of a stream come, in short.

    Args:
        stream: Its name.
        settings: Those of the run.
        columns: The breadcrumbs of the columns that are selected.

    Returns:
        Of `start_date` the date-time, of all others a checksum; what is not set is left out.
    """
    decisive: dict[str, Any] = {
        "columns": sorted(map(list, columns)),
        "filters": settings.filters.get(stream),
        "hydrate": stream in settings.hydrate,
        "include_remote_data": settings.include_remote_data,
        "remote_query": settings.remote_query.get(stream),
        "response_format": settings.response_format != "unified" and settings.response_format,
    }
    scope = {name: _checksum(value) for name, value in decisive.items() if value}
    if settings.start_date:
        scope[START] = format_instant(settings.start_date)
    return scope


def widened(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names of what changed so that further rows or columns may come.

    A `start_date` that was moved to a later date brings none.
    """
    return [
        name
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and not (name == START and is_narrower(before, now))
    ]


def is_narrower(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Return whether `start_date` was set, or was moved to a later date."""
    start, earlier = parse_instant(now.get(START)), parse_instant(before.get(START))
    return start is not None and (earlier is None or start > earlier)


def merged(before: Mapping[str, str], now: Mapping[str, str]) -> Scope:
    """Return the scope of all rows that came so far: its `start_date` is the earliest."""
    if not is_narrower(before, now):
        return dict(now)
    start = {START: before[START]} if START in before else {}
    return {name: value for name, value in now.items() if name != START} | start


def _checksum(value: Any) -> str:  # noqa: ANN401
    return f"{crc32(json.dumps(value, sort_keys=True).encode()):08x}"
