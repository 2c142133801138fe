"""A report as text: lines and tables."""

from __future__ import annotations

from datetime import timedelta
from textwrap import shorten
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

NAMES = ("integrated_account_id", "integration_name", "tenant_id")
"""The columns that name an account."""

SHOWN = 8
"""How many lines a table of sums has."""

SHOWN_OF_ERROR = 80
"""How many characters of an error are shown: the log has each error in full."""


def lines(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a report, given as data."""
    words = ("read", "failed", "skipped", *(["unfinished"] if data["unfinished"] else []))
    whose = f" of {data['shard']}" if data["shard"] else ""
    yield (
        f"Accounts{whose}: {', '.join(f'{data[word]:,} {word}' for word in words)}."
        f" {data['records']:,} records, {data['requests']:,} requests,"
        f" {timedelta(seconds=round(data['seconds']))} (h:mm:ss)."
    )
    yield from _table(_by_error(data["failures"]))
    yield from _table(data["skipped_accounts"])
    for name in ("streams", "providers"):
        yield from _table(_shortened(data[name]))
    slowest = [
        f"{one['integrated_account_id']} ({one['integration_name'] or 'provider unknown'})"
        f" {one['seconds']:,} s"
        for one in data["slowest"]
    ]
    if slowest:
        yield f"Slowest accounts: {', '.join(slowest)}."
    if data["not_offered"]:
        found = (f"{stream} ({n:,} accounts)" for stream, n in data["not_offered"].items())
        yield f"Not offered by the provider: {', '.join(found)}."


def _by_error(failures: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each account and error, which may be that of several streams."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for one in failures:
        row = {name: one[name] for name in NAMES}
        row = rows.setdefault((one["integrated_account_id"], one["error"]), {**row, "failed": []})
        row["failed"].append(one["stream"])
        row["error"] = shorten(one["error"], SHOWN_OF_ERROR, placeholder=" …")
    return [{**row, "failed": ", ".join(row["failed"])} for row in rows.values()]


def _shortened(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first rows, and the sum of the others in one if there are too many."""
    if len(rows) <= SHOWN:
        return list(rows)
    first, others = rows[: SHOWN - 1], rows[SHOWN - 1 :]
    column, *numbers = rows[0]
    sums = {name: round(sum(row[name] for row in others), 1) for name in numbers}
    return [*first, {column: f"{len(others)} others", **sums}]


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lay rows out in columns, numbers to the right."""
    lines = [[_cell(value) for value in row.values()] for row in rows]
    lines[:0] = [[name.replace("_", " ") for name in row] for row in rows[:1]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, rows[0].values(), widths, strict=True)
        yield "  ".join(
            cell.rjust(width) if isinstance(value, (int, float)) else cell.ljust(width)
            for cell, value, width in cells
        ).rstrip()


def _cell(value: object) -> str:
    if isinstance(value, (int, float)):
        return f"{value:,}"
    return "" if value is None else str(value)
