"""What the operator sees of a run: its progress, and at its end what each account sync did."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from tap_truto_ats.model.instants import format_instant

if TYPE_CHECKING:
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


WAITS = {
    "account": "for the limit of the account",
    "token": "for the limit of the token",
    "failing": "to try again",
}
"""By the reason: what accounts wait for."""


@dataclass
class Report:
    """The account syncs of a run, as text and as data; those that are not shown are summed up."""

    unfinished: Callable[[], int]
    """Returns how many accounts have not been read to their end."""
    waiting: Callable[[], Counter[str]]
    """Returns how many accounts wait, by the reason."""
    limiter: RateLimiter
    started_at: float = field(default_factory=time.monotonic)
    accounts: int = 0
    rows: int = 0
    has_begun: bool = False
    _syncs: list[AccountSync] = field(default_factory=list)
    """Those that have ended and that matter most."""
    _others: Counter[str] = field(default_factory=Counter)
    """The sums of the other ones, and their number."""

    def begin(self, accounts: int) -> None:
        """Take note that so many accounts are about to be read."""
        self.has_begun, self.accounts = True, accounts

    def add(self, sync: AccountSync) -> None:
        """Add an account sync that has ended."""
        self._syncs.append(sync)
        if len(self._syncs) > 2 * SHOWN:
            self._sum_up()

    def progress(self) -> str:
        """Say in a line how far the run is."""
        done = max(self.accounts - self.unfinished(), 0) if self.has_begun else 0
        speed = self.rows / max(time.monotonic() - self.started_at, 1e-3)
        waiting = [f"{count} {WAITS[reason]}" for reason, count in self.waiting().items()]
        return (
            f"{done} of {self.accounts} accounts done,"
            f" {self.rows:,} rows ({speed:,.0f} a second), {self.limiter.admitted:,} requests"
            + (f"; waiting: {', '.join(waiting)}" if waiting else "")
        )

    def entries(self) -> list[dict[str, Any]]:
        """Return the account syncs that matter most, failures first, and the sum of the others."""
        self._sum_up()
        entries = [_entry(one) for one in self._syncs]
        if count := self._others["syncs"]:
            sums = {name: round(self._others[name], 1) for name in NUMBERS}
            entries.append({**dict.fromkeys(entries[0]), "account": f"{count} others", **sums})
        return entries

    def _sum_up(self) -> None:
        """Keep the account syncs that are to be shown, and only the sums of the others."""
        self._syncs.sort(key=lambda one: (not one.error, -one.usage.requests, one.account.id))
        for one in self._syncs[SHOWN:]:
            entry = _entry(one)
            self._others.update({name: entry[name] for name in NUMBERS})
            self._others["syncs"] += 1
        del self._syncs[SHOWN:]

    def log(self) -> None:
        """Log a table of the entries, and the same as one line of JSON."""
        entries = self.entries()
        if not entries:
            return
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
