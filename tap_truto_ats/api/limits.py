"""Truto's rate limits, which every request is counted against, and what headers say of waits."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TOKEN_LIMIT = 500
ACCOUNT_LIMIT = 50
"""Requests in 10 seconds, per API token and per integrated account (Truto's error model page)."""

PERIOD = 10.5
"""Seconds: Truto's 10, and half a second by which a connection's handshake may delay a request."""

LONGEST_WAIT = 300.0
"""Seconds: the longest wait that a server's answer can ask for."""

OLDEST_EPOCH = 10**9
"""From this number on, `ratelimit-reset` is a moment in seconds since 1970, not a time to wait."""


def expected_seconds(requests: int) -> float:
    """Return how many seconds this many requests for one account take at its limit."""
    return requests / ACCOUNT_LIMIT * PERIOD


class Window:
    """At most `limit` requests in any `PERIOD` seconds."""

    __slots__ = ("_limit", "_made", "_not_before")

    def __init__(self, limit: int) -> None:
        """Start with no request made."""
        self._limit = limit
        self._made: list[float] = []  # There are thousands of windows; a deque is never small.
        self._not_before = 0.0

    def free_at(self, now: float) -> float:
        """Return when the next request may be made."""
        while self._made and self._made[0] + PERIOD <= now:
            del self._made[0]
        full = len(self._made) >= self._limit
        return max(now, self._not_before, self._made[0] + PERIOD if full else now)

    def record(self, at: float) -> None:
        """Count a request that is made at this time."""
        self._made.append(at)

    def close_until(self, at: float) -> None:
        """Allow no request before this time."""
        self._not_before = max(self._not_before, at)


class Refusal(NamedTuple):
    """What does not allow a request yet."""

    reason: str
    """The limit of the `account` or of the `token`, or that a request is `failing`."""
    since: float
    until: float
    """When the next request may be made."""

    @property
    def is_for_all(self) -> bool:
        """Whether it holds for all accounts."""
        return self.reason == "token"


class RateLimiter:
    """Keeps Truto's two limits, and a provider's own quota where its headers show it.

    Thread-safe.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, parallel_runs: int = 1
    ) -> None:
        """Take the clock of the process, or a test's, and how many runs share the token's limit."""
        self.admitted = 0
        """Requests so far."""
        self._clock = clock
        self._lock = Lock()
        self._token = Window(TOKEN_LIMIT // parallel_runs)
        self._accounts: defaultdict[str | None, Window] = defaultdict(lambda: Window(ACCOUNT_LIMIT))

    def admit(self, account_id: str | None) -> Refusal | None:
        """Count a request that is about to be made, or return the limit that does not allow it yet.

        Without an account, only the token's limit counts it.
        """
        with self._lock:
            now = self._clock()
            windows = {"token": self._token}
            if account_id is not None:
                windows["account"] = self._accounts[account_id]
            for limit, window in windows.items():
                if (until := window.free_at(now)) > now:
                    return Refusal(limit, now, until)
            for window in windows.values():
                window.record(now)
            self.admitted += 1
        return None

    def heed(self, account_id: str | None, headers: Mapping[str, str]) -> None:
        """Allow an account no request while its provider says that its quota is used up.

        The headers `ratelimit-remaining` and `ratelimit-reset` describe the provider's quota; they
        are there only if the provider shows it (Truto's page on rate limits).
        """
        remaining, reset = _number(headers.get("ratelimit-remaining")), reset_seconds(headers)
        if account_id is None or remaining is None or reset is None or remaining > 0:
            return
        with self._lock:
            self._accounts[account_id].close_until(self._clock() + reset)


def retry_seconds(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds an answer asks to wait, 300 at the most; None if it does not.

    `Retry-After` counts, or else `ratelimit-reset`. A date is compared with the answer's own, so
    that it does not matter what this machine's clock shows.
    """
    wish = headers.get("Retry-After")
    seconds = _number(wish)
    if seconds is None and (moment := parse_date(wish)):
        seconds = max((moment - _sent_at(headers)).total_seconds(), 0.0)
    return reset_seconds(headers) if seconds is None else min(seconds, LONGEST_WAIT)


def reset_seconds(headers: Mapping[str, str]) -> float | None:
    """Return in how many seconds the provider's quota is full again, 300 at the most."""
    reset = _number(headers.get("ratelimit-reset"))
    if reset is not None and reset >= OLDEST_EPOCH:
        reset = max(reset - _sent_at(headers).timestamp(), 0.0)
    return None if reset is None else min(reset, LONGEST_WAIT)


def parse_date(text: str | None) -> datetime | None:
    """Read the date of an HTTP header; None for what is none."""
    try:
        moment = parsedate_to_datetime(text or "")
        return moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def _sent_at(headers: Mapping[str, str]) -> datetime:
    return parse_date(headers.get("Date")) or datetime.now(timezone.utc)


def _number(text: str | None) -> float | None:
    """Read `0`, `12.5` or the number of `110;w=10`."""
    try:
        number = float((text or "").split(";")[0])
    except ValueError:
        return None
    return number if number >= 0 and not math.isnan(number) else None
