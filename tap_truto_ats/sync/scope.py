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
EARLIEST = "earliest_start_date"
"""In the state, where `start_date` was moved to a later date: by which one rows came; empty for
none."""


def scope_of(
    stream: str,
    settings: Settings,
    columns: Iterable[tuple[str, ...]],
    mapping: Mapping[str, Any],
) -> Scope:
    """Return a checksum by name of what decides which rows and columns of a stream come.

    Among it are the breadcrumbs of its selected columns and the maps of its rows. `start_date`
    stands as it is, and what is not set is left out.
    """
    decisive: dict[str, Any] = {
        "columns": sorted(map(list, columns)),
        "filters": settings.filters.get(stream),
        "hydrate": stream in settings.hydrate,
        "include_remote_data": settings.include_remote_data,
        "remote_query": settings.remote_query.get(stream),
        "response_format": settings.response_format != "unified" and settings.response_format,
        **mapping,
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
        for name in sorted((before.keys() | now.keys()) - {EARLIEST})
        if before.get(name) != now.get(name)
        and not (name == START and _is_later(now.get(START), before.get(START)))
    ]


def is_narrower(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Return whether rows that came before are older than `start_date`."""
    return _is_later(now.get(START), _earliest(before))


def merged(before: Mapping[str, str], now: Mapping[str, str]) -> Scope:
    """Return the scope of this run, and by which `start_date` older rows came before."""
    return {**now, EARLIEST: _earliest(before)} if is_narrower(before, now) else dict(now)


def _earliest(before: Mapping[str, str]) -> str:
    return before.get(EARLIEST, before.get(START)) or ""


def _is_later(start: str | None, other: str | None) -> bool:
    """Return whether a `start_date` leaves out rows that another one does not."""
    moment, earlier = parse_instant(start), parse_instant(other)
    return moment is not None and (earlier is None or moment > earlier)


def _checksum(value: Any) -> str:  # noqa: ANN401
    return f"{crc32(json.dumps(value, sort_keys=True, default=str).encode()):08x}"
