"""What the operator sees of a run: its progress, and at its end what became of each account."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nlargest
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from tap_truto_ats.sync.account_sync import Mode
from tap_truto_ats.tables import NAMES, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from tap_truto_ats.api.limits import RateLimiter
    from tap_truto_ats.model.shard import Shard

logger = logging.getLogger(__name__)

LOG_SECONDS = 30.0
"""The time between two lines on progress in a log."""

SCREEN_SECONDS = 0.5
"""The time between two updates of the progress line on a terminal."""

SLOWEST = 5
"""How many of the slowest accounts are named."""

OUTCOMES = ("read", "skipped", "failed")
"""What may become of an account: the last of these that holds for one of its streams."""

NUMBERS = ("records", "requests", "retries", "waited_seconds")
"""The columns of `account_syncs` that are summed up."""

WAITS = {
    "account": "for the account's limit",
    "token": "for the token's limit",
    "failing": "to try again",
}
"""By the reason: what accounts wait for."""


@dataclass(slots=True)
class AccountOutcome:
    """What is kept of an account, whatever the number of its streams."""

    provider: str | None = None
    outcome: str = "read"
    times: tuple[str, ...] = ()
    """When the first account sync that made requests began, and when the last one ended."""

    @property
    def seconds(self) -> float:
        """The time from the one to the other."""
        began, ended = map(datetime.fromisoformat, self.times)
        return round((ended - began).total_seconds(), 1)


@dataclass
class Report:
    """What became of the accounts of a run, as text and as data."""

    unfinished: Callable[[], Collection[str | None]]
    """Returns the accounts that have not been read to their end."""
    waiting: Callable[[], Counter[str]]
    """Returns how many accounts wait, by the reason."""
    limiter: RateLimiter
    shard: Shard | None = None
    """The shard that the accounts are of; None if the run reads all."""
    started_at: float = field(default_factory=time.monotonic)
    accounts: int = 0
    rows: int = 0
    has_begun: bool = False
    _accounts: dict[str, AccountOutcome] = field(default_factory=dict)
    _streams: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _providers: defaultdict[str | None, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    _failures: list[Mapping[str, Any]] = field(default_factory=list)
    """The account syncs that failed."""
    _skipped: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By account that was skipped: its names, and why."""

    def begin(self, accounts: int) -> None:
        """Take note that so many accounts are about to be read."""
        self.has_begun, self.accounts = True, accounts

    def add(self, record: Mapping[str, Any]) -> None:
        """Add an account sync that has ended, as `account_syncs` records it."""
        outcome, account_id = _outcome(record), record["integrated_account_id"]
        account = self._accounts.setdefault(account_id, AccountOutcome())
        account.provider = record["integration_name"] or account.provider
        if record["requests"]:
            times = (*account.times, record["started_at"], record["ended_at"])
            account.times = (min(times), max(times))
        sums = {name: record[name] for name in NUMBERS}
        self._streams[record["stream"]].update({outcome: 1, **sums})
        self._providers[record["integration_name"]].update(sums)
        if outcome in OUTCOMES:
            account.outcome = max(account.outcome, outcome, key=OUTCOMES.index)
        if outcome == "failed":
            self._failures.append(record)
        elif outcome == "skipped":
            entry = {name: record[name] for name in NAMES}
            self._skipped.setdefault(account_id, {**entry, "reason": record["mode"]})

    def progress(self) -> str:
        """Say in a line how far the run is."""
        done = max(self.accounts - len(self.unfinished()), 0)
        speed = self.rows / max(self._seconds, 1e-3)
        waiting = [f"{count} {WAITS[reason]}" for reason, count in self.waiting().items()]
        return (
            f"{f'{self.shard}: ' if self.shard else ''}{done} of {self.accounts} accounts done,"
            f" {self.rows:,} rows ({speed:,.0f} a second), {self.limiter.admitted:,} requests"
            + (f"; waiting: {', '.join(waiting)}" if waiting else "")
        )

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self.started_at

    def data(self) -> dict[str, Any]:
        """Return what became of the accounts: numbers, all failures, and sums."""
        outcomes = {id_: account.outcome for id_, account in self._accounts.items()}
        for id_ in filter(None, self.unfinished()):
            if outcomes.get(id_, "read") == "read":
                outcomes[id_] = "unfinished"
        providers = deepcopy(self._providers)
        for id_, account in self._accounts.items():
            providers[account.provider][outcomes[id_]] += 1
        numbers = Counter(outcomes.values())
        seconds = round(self._seconds, 1)
        # What an earlier run began is none of this one's time.
        times = {id_: min(one.seconds, seconds) for id_, one in self._accounts.items() if one.times}
        return {
            "shard": self.shard and str(self.shard),
            **{name: numbers[name] for name in ("read", "failed", "skipped", "unfinished")},
            "records": sum(sums["records"] for sums in self._streams.values()),
            "requests": self.limiter.admitted,
            "seconds": seconds,
            "failures": self._failures,
            "skipped_accounts": list(self._skipped.values()),
            "streams": _totals("stream", self._streams),
            "providers": _totals("integration_name", providers),
            "slowest": [
                {
                    "integrated_account_id": id_,
                    "integration_name": self._accounts[id_].provider,
                    "seconds": times[id_],
                }
                for id_ in nlargest(SLOWEST, times, key=times.__getitem__)
            ],
            "not_offered": {
                stream: sums["not_offered"]
                for stream, sums in sorted(self._streams.items())
                if sums["not_offered"]
            },
        }

    def log(self) -> None:
        """Log what became of the accounts, as tables and as one line of JSON."""
        if self.has_begun or self._accounts:
            data = self.data()
            logger.info("%s", "\n".join(lines(data)))
            logger.info("REPORT: %s", json.dumps(data), extra={"report": data})


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


def _outcome(record: Mapping[str, Any]) -> str:
    if record["status"] == "skipped" and record["mode"] == Mode.NOT_OFFERED.words:
        return "not_offered"
    return "read" if record["status"] == "succeeded" else str(record["status"])


def _totals(column: str, sums: Mapping[Any, Counter[str]]) -> list[dict[str, Any]]:
    """Return a row for each stream or provider: failures first, then by requests."""
    rows = [
        {
            column: name,
            **{outcome: one[outcome] for outcome in ("read", "failed", "skipped")},
            **{number: round(one[number], 1) for number in NUMBERS},
        }
        for name, one in sums.items()
    ]
    return sorted(rows, key=lambda row: (-row["failed"], -row["requests"], str(row[column])))
