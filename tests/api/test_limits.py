"""Truto's two rate limits, and the quota of the provider, on a clock that the test turns."""

from __future__ import annotations

import threading
from collections import defaultdict
from random import Random
from typing import TYPE_CHECKING

import pytest

from tap_truto_ats.api.limits import LONGEST_WAIT, PERIOD, RateLimiter, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

TRUTO_PERIOD = 10.0
"""Seconds of Truto's windows: 500 requests a token, 50 an account."""


class Clock:
    """The time, which passes only while somebody sleeps."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    return RateLimiter(clock, clock.sleep)


def times(limiter: RateLimiter, clock: Clock, accounts: Iterable[str | None]) -> list[float]:
    """Make a request for each account and tell when each was let through."""
    made = []
    for account in accounts:
        limiter.wait(account)
        made.append(clock.now)
    return made


def most_in_any(period: float, made: list[float]) -> int:
    """Tell the largest number of requests in any stretch of time of this length."""
    made = sorted(made)
    return max((sum(at <= other < at + period for other in made) for at in made), default=0)


class TestWindows:
    """Neither limit is passed, and nobody waits longer than it demands."""

    def test_an_account_makes_fifty_requests_at_once(
        self, limiter: RateLimiter, clock: Clock
    ) -> None:
        assert times(limiter, clock, ["a"] * 50) == [1000.0] * 50

    def test_the_next_one_waits_until_the_first_is_out_of_the_window(
        self, limiter: RateLimiter, clock: Clock
    ) -> None:
        assert times(limiter, clock, ["a"] * 101)[50:] == [1000.0 + PERIOD] * 50 + [
            1000.0 + 2 * PERIOD
        ]

    def test_the_window_slides(self, limiter: RateLimiter, clock: Clock) -> None:
        times(limiter, clock, ["a"] * 30)
        clock.now += 4
        times(limiter, clock, ["a"] * 20)
        made = times(limiter, clock, ["a"] * 50)
        assert made == [1000.0 + PERIOD] * 30 + [1004.0 + PERIOD] * 20

    def test_the_period_is_no_shorter_and_hardly_longer_than_trutos(self) -> None:
        assert TRUTO_PERIOD <= PERIOD <= TRUTO_PERIOD + 1

    def test_accounts_do_not_wait_for_each_other(self, limiter: RateLimiter, clock: Clock) -> None:
        accounts = [f"a{n}" for n in range(10) for _ in range(50)]
        assert times(limiter, clock, accounts) == [1000.0] * 500

    def test_all_accounts_share_the_token(self, limiter: RateLimiter, clock: Clock) -> None:
        made = times(limiter, clock, [f"a{n}" for n in range(501)])
        assert made == [1000.0] * 500 + [1000.0 + PERIOD]

    def test_requests_for_no_account_count_for_the_token_only(
        self, limiter: RateLimiter, clock: Clock
    ) -> None:
        assert times(limiter, clock, [None] * 500) == [1000.0] * 500
        assert times(limiter, clock, ["a"]) == [1000.0 + PERIOD]

    @pytest.mark.parametrize("seed", range(8))
    @pytest.mark.parametrize("accounts", [1, 3, 40])
    def test_no_schedule_passes_a_limit(self, seed: int, accounts: int) -> None:
        rng, clock = Random(seed), Clock()  # noqa: S311
        limiter = RateLimiter(clock, clock.sleep)
        token: list[float] = []
        by_account: defaultdict[str | None, list[float]] = defaultdict(list)
        for _ in range(1500):
            clock.now += rng.choice((0, 0, 0, 0, 0.001, 0.05, rng.random()))
            clock.now += rng.choice((0,) * 400 + (9, 30))
            name = rng.randrange(-1, accounts)
            account = None if name < 0 else f"a{name}"
            limiter.wait(account)
            token.append(clock.now)
            by_account[account].append(clock.now)
        by_account.pop(None, None)
        assert most_in_any(TRUTO_PERIOD, token) <= 500
        assert max(most_in_any(TRUTO_PERIOD, made) for made in by_account.values()) <= 50

    @pytest.mark.parametrize("accounts", [["a"], ["a", "b"], [f"a{n}" for n in range(12)]])
    def test_a_crowd_is_let_through_as_fast_as_allowed(
        self, limiter: RateLimiter, clock: Clock, accounts: list[str]
    ) -> None:
        per_period = min(500, 50 * len(accounts))
        made = times(limiter, clock, accounts * (1200 // len(accounts)))
        periods = (len(made) - 1) // per_period
        assert made[-1] == pytest.approx(1000.0 + periods * PERIOD)

    def test_a_request_that_is_refused_is_not_counted(
        self, limiter: RateLimiter, clock: Clock
    ) -> None:
        for _ in range(50):
            assert limiter.admit("a") is None
        for _ in range(3):
            assert limiter.admit("a") == Refusal("account", 1000.0, 1000.0 + PERIOD)
        assert limiter.admitted == 50
        for account in range(450):
            assert limiter.admit(f"b{account}") is None
        refusal = limiter.admit("c")
        assert refusal == Refusal("token", 1000.0, 1000.0 + PERIOD)
        assert [refusal.is_for_all, Refusal("account", 0, 1).is_for_all] == [True, False]
        clock.now += PERIOD
        assert limiter.admit("a") is None

    @pytest.mark.parametrize("accounts", [1, 12])
    def test_threads_share_the_windows(self, accounts: int) -> None:
        """Many threads a limit: neither passes."""
        clock = SharedClock(threads=24)
        limiter = RateLimiter(clock, clock.sleep)
        let_through: list[tuple[float, str]] = []

        def read(account: str) -> None:
            for _ in range(50):
                limiter.wait(account)
                let_through.append((clock(), account))
            clock.leave()

        threads = [
            threading.Thread(target=read, args=(f"a{n % accounts}",)) for n in range(clock.threads)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(let_through) == 1200
        assert most_in_any(TRUTO_PERIOD, [at for at, _ in let_through]) <= 500
        for account in {account for _, account in let_through}:
            made = [at for at, one in let_through if one == account]
            assert most_in_any(TRUTO_PERIOD, made) <= 50


class SharedClock:
    """A time that passes for all threads at once, when each of them sleeps."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._now = 1000.0
        self._asleep: list[float] = []
        self._changed = threading.Condition()

    def __call__(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        with self._changed:
            until = self._now + seconds
            self._asleep.append(until)
            self._pass()
            while self._now < until:
                self._changed.wait()
            self._asleep.remove(until)

    def leave(self) -> None:
        """Be one thread less."""
        with self._changed:
            self.threads -= 1
            self._pass()

    def _pass(self) -> None:
        if self._asleep and sum(until > self._now for until in self._asleep) == self.threads:
            self._now = min(until for until in self._asleep if until > self._now)
            self._changed.notify_all()


# Headers → seconds that the account waits.
HEADERS: dict[str, tuple[dict[str, str], float]] = {
    "used up": ({"ratelimit-remaining": "0", "ratelimit-reset": "7"}, 7),
    "used up, fractions": ({"ratelimit-remaining": "0", "ratelimit-reset": "1.5"}, 1.5),
    "used up, policies": (
        {
            "ratelimit-limit": "110;w=10",
            "ratelimit-remaining": "0;w=10",
            "ratelimit-reset": "8;w=10",
        },
        8,
    ),
    "blanks": ({"ratelimit-remaining": " 0 ", "ratelimit-reset": " 7 ; w=10"}, 7),
    "clamped": ({"ratelimit-remaining": "0", "ratelimit-reset": "3600"}, 300),
    "an epoch is clamped": ({"ratelimit-remaining": "0", "ratelimit-reset": "1769851800"}, 300),
    "for ever is clamped": ({"ratelimit-remaining": "0", "ratelimit-reset": "inf"}, 300),
    "reset at once": ({"ratelimit-remaining": "0", "ratelimit-reset": "0"}, 0),
    "some left": ({"ratelimit-remaining": "1", "ratelimit-reset": "7"}, 0),
    "plenty left": ({"ratelimit-remaining": "110;w=10", "ratelimit-reset": "7"}, 0),
    "no reset": ({"ratelimit-remaining": "0"}, 0),
    "no remaining": ({"ratelimit-reset": "7"}, 0),
    "none": ({}, 0),
    "negative reset": ({"ratelimit-remaining": "0", "ratelimit-reset": "-7"}, 0),
    "negative remaining": ({"ratelimit-remaining": "-1", "ratelimit-reset": "7"}, 0),
    "not a number": ({"ratelimit-remaining": "nan", "ratelimit-reset": "nan"}, 0),
    "reset is no number": ({"ratelimit-remaining": "0", "ratelimit-reset": "soon"}, 0),
    "a date": (
        {"ratelimit-remaining": "0", "ratelimit-reset": "Sat, 31 Jan 2026 09:30:00 GMT"},
        0,
    ),
    "empty": ({"ratelimit-remaining": "", "ratelimit-reset": ""}, 0),
    "semicolons": ({"ratelimit-remaining": ";;", "ratelimit-reset": ";"}, 0),
}


class TestHeaders:
    """The provider's own quota, where its headers tell it."""

    @pytest.mark.parametrize(("headers", "seconds"), HEADERS.values(), ids=HEADERS)
    def test_the_account_waits_as_long_as_told(
        self, limiter: RateLimiter, clock: Clock, headers: dict[str, str], seconds: float
    ) -> None:
        limiter.wait("a")
        limiter.heed("a", headers)
        assert times(limiter, clock, ["a", "a"]) == [1000.0 + seconds] * 2

    def test_other_accounts_and_the_token_go_on(self, limiter: RateLimiter, clock: Clock) -> None:
        limiter.heed("a", {"ratelimit-remaining": "0", "ratelimit-reset": "7"})
        assert times(limiter, clock, ["b", None]) == [1000.0, 1000.0]

    def test_a_later_and_shorter_wish_does_not_shorten_the_first(
        self, limiter: RateLimiter, clock: Clock
    ) -> None:
        limiter.heed("a", {"ratelimit-remaining": "0", "ratelimit-reset": "60"})
        limiter.heed("a", {"ratelimit-remaining": "0", "ratelimit-reset": "1"})
        assert times(limiter, clock, ["a"]) == [1060.0]

    def test_a_wait_that_is_over_is_forgotten(self, limiter: RateLimiter, clock: Clock) -> None:
        limiter.heed("a", {"ratelimit-remaining": "0", "ratelimit-reset": "7"})
        clock.now += 8
        assert times(limiter, clock, ["a"]) == [1008.0]
        assert clock.slept == []

    def test_headers_of_a_request_for_no_account_hold_back_nobody(
        self, limiter: RateLimiter, clock: Clock
    ) -> None:
        limiter.heed(None, {"ratelimit-remaining": "0", "ratelimit-reset": "7"})
        assert times(limiter, clock, [None, "a"]) == [1000.0, 1000.0]

    def test_the_longest_wait_is_five_minutes(self) -> None:
        assert LONGEST_WAIT == 300
