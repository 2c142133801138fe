"""Truto's rate limits, which every request is counted against before it is made."""

from __future__ import annotations

import time
from collections import defaultdict, deque
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


def expected_seconds(requests: int) -> float:
    """Return how many seconds this many requests for one account take at its limit."""
    return requests / ACCOUNT_LIMIT * PERIOD


class Window:
    """At most `limit` requests in any `PERIOD` seconds."""

    def __init__(self, limit: int) -> None:
        """Start with no request made."""
        self._made: deque[float] = deque(maxlen=limit)
        self._not_before = 0.0

    def free_at(self, now: float) -> float:
        """Return when the next request may be made."""
        full = len(self._made) == self._made.maxlen
        return max(now, self._not_before, self._made[0] + PERIOD if full else now)

    def record(self, at: float) -> None:
        """Count a request that is made at this time."""
        self._made.append(at)

    def close_until(self, at: float) -> None:
        """Allow no request before this time."""
        self._not_before = max(self._not_before, at)


class Refusal(NamedTuple):
    """The limit that does not allow a request yet."""

    limit: str
    """Whose limit it is: `account` or `token`."""
    since: float
    until: float
    """When the limit allows the next request."""

    @property
    def is_for_all(self) -> bool:
        """Whether the limit holds for all accounts."""
        return self.limit == "token"


class RateLimiter:
    """Keeps Truto's two limits, and a provider's own quota where its headers show it.

    Thread-safe.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the clock and the sleep of the process, or a test's."""
        self.admitted = 0
        """Requests so far."""
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._token = Window(TOKEN_LIMIT)
        self._accounts: defaultdict[str | None, Window] = defaultdict(lambda: Window(ACCOUNT_LIMIT))

    def admit(self, account_id: str | None) -> Refusal | None:
        """Count a request that is about to be made, or return the limit that does not allow it yet.

        Args:
            account_id: The account whose limit counts the request; None where none does.
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

    def wait(self, account_id: str | None) -> None:
        """Wait until the limits allow a request, and count it."""
        while refusal := self.admit(account_id):
            self._sleep(refusal.until - refusal.since)

    def heed(self, account_id: str | None, headers: Mapping[str, str]) -> None:
        """Allow an account no request while its provider says that its quota is used up.

        The headers `ratelimit-remaining` and `ratelimit-reset` (in seconds) describe the provider's
        quota; they are there only if the provider shows it (Truto's page on rate limits).
        """
        remaining = _leading_number(headers.get("ratelimit-remaining"))
        reset = _leading_number(headers.get("ratelimit-reset"))
        if account_id is None or remaining is None or reset is None or remaining > 0:
            return
        with self._lock:
            until = self._clock() + min(reset, LONGEST_WAIT)
            self._accounts[account_id].close_until(until)


def _leading_number(text: str | None) -> float | None:
    """Read `0`, `12.5` or the number of `110;w=10`."""
    try:
        number = float((text or "").split(";")[0])
    except ValueError:
        return None
    return number if number >= 0 else None
