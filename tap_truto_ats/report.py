"""What the operator sees of a run: its progress, and at its end what each account sync did."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from tap_truto_ats.model.instants import format_instant

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Sequence

    from tap_truto_ats.api.limits import RateLimiter
    from tap_truto_ats.sync.account_sync import AccountSync

logger = logging.getLogger(__name__)

LOG_SECONDS = 30.0
"""The time between two lines on progress in a log."""

SCREEN_SECONDS = 0.5
"""The time between two updates of the progress line on a terminal."""

SHOWN = 20
"""How many account syncs have a line of their own in the table."""

LENGTHS = {"bookmark_before": 19, "bookmark_after": 19, "error": 80}
"""How many characters the table shows: seconds are enough, and the log has each error in full."""

NUMBERS = ("pages", "rows", "retries", "waited_seconds")


@dataclass
class Report:
    """All account syncs of a run, as text and as data."""

    waiting: Callable[[], Counter[str]]
    """Returns how many accounts wait for a limit, by the limit's name."""
    limiter: RateLimiter
    account_syncs: list[AccountSync] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)

    def progress(self) -> str:
        """Say in a line how far the run is."""
        accounts = {one.account.id for one in self.account_syncs}
        unfinished = {one.account.id for one in self.account_syncs if not one.has_ended}
        rows = sum(one.rows for one in self.account_syncs)
        speed = rows / max(time.monotonic() - self.started_at, 1e-3)
        waiting = [f"{count} for the limit of the {name}" for name, count in self.waiting().items()]
        return (
            f"{len(accounts) - len(unfinished)} of {len(accounts)} accounts done,"
            f" {rows:,} rows ({speed:,.0f} a second), {self.limiter.admitted:,} requests"
            + (f"; waiting: {', '.join(waiting)}" if waiting else "")
        )

    def entries(self) -> list[dict[str, Any]]:
        """Return the account syncs that matter most, failures first, and the sum of the others."""
        ranked = sorted(
            self.account_syncs,
            key=lambda one: (not one.error, -one.usage.requests, one.account.id),
        )
        entries = [_entry(one) for one in ranked]
        if others := entries[SHOWN:]:
            sums = {name: round(sum(entry[name] for entry in others), 1) for name in NUMBERS}
            rest = {**dict.fromkeys(others[0]), "account": f"{len(others)} others", **sums}
            entries[SHOWN:] = [rest]
        return entries

    def log(self) -> None:
        """Log a table of the entries, and the same as one line of JSON."""
        if not self.account_syncs:
            return
        entries = self.entries()
        logger.info("%s\n%s", self.progress(), _table(entries))
        logger.info("REPORT: %s", json.dumps(entries), extra={"report": entries})


@contextmanager
def watching(report: Report) -> Iterator[None]:
    """Show progress, in one line of a terminal or else in the log; at the end, log it all."""
    try:
        if sys.stderr.isatty():
            with _screen() as show, _repeating(lambda: show(report.progress()), SCREEN_SECONDS):
                yield
        else:
            with _repeating(lambda: logger.info("%s", report.progress()), LOG_SECONDS):
                yield
    finally:
        report.log()


@contextmanager
def _screen() -> Iterator[Callable[[str], None]]:
    """Keep one line of the terminal below what is logged."""
    # Costs 40 ms to import, which a run without a terminal need not pay.
    from tqdm import tqdm  # noqa: PLC0415
    from tqdm.contrib.logging import logging_redirect_tqdm  # noqa: PLC0415

    with logging_redirect_tqdm(), tqdm(bar_format="{desc}", leave=False) as line:
        yield line.set_description_str


@contextmanager
def _repeating(show: Callable[[], None], seconds: float) -> Iterator[None]:
    ended = Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            show()

    thread = Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _entry(one: AccountSync) -> dict[str, Any]:
    return {
        "account": one.account.id,
        "stream": one.stream,
        "provider": one.account.provider,
        "mode": one.way,
        "pages": one.usage.pages,
        "rows": one.rows,
        "retries": one.usage.retries,
        "waited_seconds": round(one.usage.waited_seconds, 1),
        "bookmark_before": one.bookmark and format_instant(one.bookmark),
        "bookmark_after": one.new_bookmark and format_instant(one.new_bookmark),
        "error": one.error and str(one.error),
    }


def _table(entries: Sequence[dict[str, Any]]) -> str:
    """Lay entries out in columns, numbers to the right."""
    lines = [
        [name.replace("_", " ") for name in entries[0]],
        *([_cell(name, value) for name, value in entry.items()] for entry in entries),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if name in NUMBERS else cell.ljust(width)
            for name, cell, width in zip(entries[0], line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(name: str, value: Any) -> str:  # noqa: ANN401
    if value is None:
        return ""
    if name in NUMBERS:
        return f"{value:,}"
    return str(value)[: LENGTHS.get(name)]
