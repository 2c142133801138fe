"""Truto's rate limits, kept before each request."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TOKEN_LIMIT = 500
ACCOUNT_LIMIT = 50
"""Requests in 10 seconds, per API token and per integrated account (Truto's error model page)."""

PERIOD = 10.5
"""Seconds: Truto's 10, and half a second for what a first request loses to its handshake."""

LONGEST_WAIT = 300.0
"""Seconds: the most that a server's wish to wait is obeyed."""


def expected_seconds(requests: int) -> float:
    """Tell how long this many requests for one account take at its limit."""
    return requests / ACCOUNT_LIMIT * PERIOD


class Window:
    """At most `limit` requests in any `PERIOD` seconds."""

    def __init__(self, limit: int) -> None:
        """Start with no request made."""
        self._made: deque[float] = deque(maxlen=limit)
        self._not_before = 0.0

    def free_at(self, now: float) -> float:
        """Tell when the next request may be made."""
        full = len(self._made) == self._made.maxlen
        return max(now, self._not_before, self._made[0] + PERIOD if full else now)

    def record(self, at: float) -> None:
        """Count a request that is made at this time."""
        self._made.append(at)

    def close_until(self, at: float) -> None:
        """Allow no request before this time."""
        self._not_before = max(self._not_before, at)


class RateLimiter:
    """Both of Truto's windows, and the provider's own quota where its headers tell it.

    Thread-safe. One account is read by one thread at a time, so that its window cannot fill up
    between the look at it and the request.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the clock and the sleep of the process, or a test's."""
        self.waiting: Counter[str] = Counter()
        """How many threads wait at this moment, by the limit's name: `account` or `token`."""
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._token = Window(TOKEN_LIMIT)
        self._accounts: defaultdict[str | None, Window] = defaultdict(lambda: Window(ACCOUNT_LIMIT))

    def wait(self, account_id: str | None) -> None:
        """Return when the next request may be made; None is a request for no one account."""
        if account_id is not None:
            with self._lock:
                free_at = self._accounts[account_id].free_at(self._clock())
            self._sleep_until(free_at, "account")
        with self._lock:
            at = self._token.free_at(self._clock())
            self._token.record(at)
            if account_id is not None:
                self._accounts[account_id].record(at)
        self._sleep_until(at, "token")

    def heed(self, account_id: str | None, headers: Mapping[str, str]) -> None:
        """Hold the account back when the provider says that its quota is used up.

        `ratelimit-remaining` and `ratelimit-reset` (seconds to go) describe the provider's quota;
        they are present only when the provider shows it (Truto's page on rate limits).
        """
        remaining = _leading_number(headers.get("ratelimit-remaining"))
        reset = _leading_number(headers.get("ratelimit-reset"))
        if account_id is None or remaining is None or reset is None or remaining > 0:
            return
        with self._lock:
            until = self._clock() + min(reset, LONGEST_WAIT)
            self._accounts[account_id].close_until(until)

    def _sleep_until(self, at: float, limit: str) -> None:
        seconds = at - self._clock()
        if seconds <= 0:
            return
        with self._lock:
            self.waiting[limit] += 1
        self._sleep(seconds)
        with self._lock:
            self.waiting[limit] -= 1


def _leading_number(text: str | None) -> float | None:
    """Read `0`, `12.5` or the number of `110;w=10`."""
    try:
        number = float((text or "").split(";")[0])
    except ValueError:
        return None
    return number if number >= 0 else None
