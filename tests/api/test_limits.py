"""Truto's two rate limits, the quota of the provider, and the waits that headers ask for."""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from random import Random
from typing import TYPE_CHECKING

import pytest

from tap_truto_ats.api.limits import (
    LONGEST_WAIT,
    PERIOD,
    RateLimiter,
    Refusal,
    expected_seconds,
    parse_date,
    reset_seconds,
    retry_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

TRUTO_PERIOD = 10.0
"""Seconds of Truto's windows: 500 requests a token, 50 an account."""


class Clock:
    """The time, which passes only when the test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    return RateLimiter(clock)


def let_through(limiter: RateLimiter, clock: Clock, account: str | None) -> float:
    """Make a request as soon as the limits allow, and tell when that was."""
    while refusal := limiter.admit(account):
        assert refusal.until > clock.now
        assert refusal.since == clock.now
        clock.now = refusal.until
    return clock.now


def times(limiter: RateLimiter, clock: Clock, accounts: Iterable[str | None]) -> list[float]:
    """Make a request for each account and tell when each was let through."""
    return [let_through(limiter, clock, account) for account in accounts]


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

    @pytest.mark.parametrize("runs", [2, 3, 64, 500])
    def test_parallel_runs_share_the_limit_of_the_token_alone(
        self, clock: Clock, runs: int
    ) -> None:
        limiters = [RateLimiter(clock, parallel_runs=runs) for _ in range(runs)]
        at_once = [one for one in limiters for _ in range(500) if not one.admit(None)]
        assert len(at_once) == 500 // runs * runs
        alone = RateLimiter(clock, parallel_runs=runs)
        at_once = [alone for _ in range(500) if not alone.admit("a")]
        assert len(at_once) == min(50, 500 // runs)

    @pytest.mark.parametrize("seed", range(8))
    @pytest.mark.parametrize("accounts", [1, 3, 40])
    def test_no_schedule_passes_a_limit(self, seed: int, accounts: int) -> None:
        rng, clock = Random(seed), Clock()  # noqa: S311
        limiter = RateLimiter(clock)
        token: list[float] = []
        by_account: defaultdict[str | None, list[float]] = defaultdict(list)
        for _ in range(1500):
            clock.now += rng.choice((0, 0, 0, 0, 0.001, 0.05, rng.random()))
            clock.now += rng.choice((0,) * 400 + (9, 30))
            name = rng.randrange(-1, accounts)
            account = None if name < 0 else f"a{name}"
            let_through(limiter, clock, account)
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

    @pytest.mark.parametrize(("accounts", "allowed"), [(1, 50), (12, 500)])
    def test_threads_share_the_windows(
        self, limiter: RateLimiter, accounts: int, allowed: int
    ) -> None:
        refused: list[Refusal] = []

        def read(account: str) -> None:
            refused.extend(filter(None, (limiter.admit(account) for _ in range(100))))

        threads = [threading.Thread(target=read, args=(f"a{n % accounts}",)) for n in range(24)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        assert limiter.admitted == 2400 - len(refused) == allowed

    @pytest.mark.parametrize("requests", [0, 25, 50, 1000])
    def test_a_long_reading_is_foretold(self, requests: int) -> None:
        assert expected_seconds(requests) == pytest.approx(requests / 50 * PERIOD)


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
    "an epoch": (
        {
            "ratelimit-remaining": "0",
            "ratelimit-reset": "1769851807",
            "Date": "Sat, 31 Jan 2026 09:30:00 GMT",
        },
        7,
    ),
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
        let_through(limiter, clock, "a")
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

    def test_headers_of_a_request_for_no_account_hold_back_nobody(
        self, limiter: RateLimiter, clock: Clock
    ) -> None:
        limiter.heed(None, {"ratelimit-remaining": "0", "ratelimit-reset": "7"})
        assert times(limiter, clock, [None, "a"]) == [1000.0, 1000.0]


DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
"""When the answers below were sent; this machine's clock shows another time."""
EPOCH = 1_767_225_600
"""The same in seconds since 1970."""

# Headers beside `Date` → seconds to wait before another try.
RETRY: dict[str, tuple[dict[str, str], float | None]] = {
    "none": ({}, None),
    "empty": ({"Retry-After": ""}, None),
    "seconds": ({"Retry-After": "10"}, 10),
    "at once": ({"Retry-After": "0"}, 0),
    "blanks": ({"Retry-After": " 7 "}, 7),
    "a fraction": ({"Retry-After": "1.5"}, 1.5),
    "clamped": ({"Retry-After": "3600"}, 300),
    "absurd": ({"Retry-After": "9" * 400}, 300),
    "negative": ({"Retry-After": "-5"}, None),
    "not a number": ({"Retry-After": "nan"}, None),
    "garbage": ({"Retry-After": "soon"}, None),
    "a date": ({"Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT"}, 30),
    "a date in another zone": ({"Retry-After": "Thu, 01 Jan 2026 01:00:30 +0100"}, 30),
    "a date without zone": ({"Retry-After": "Thu, 01 Jan 2026 00:00:30"}, 30),
    "a date of RFC 850": ({"Retry-After": "Thursday, 01-Jan-26 00:00:30 GMT"}, 30),
    "the date of the answer": ({"Retry-After": DATE}, 0),
    "a past date": ({"Retry-After": "Wed, 31 Dec 2025 00:00:00 GMT"}, 0),
    "a far date": ({"Retry-After": "Fri, 01 Jan 2027 00:00:00 GMT"}, 300),
    "a reset alone": ({"ratelimit-reset": "7"}, 7),
    "a reset of a policy": ({"ratelimit-reset": "7;w=10"}, 7),
    "a reset as an epoch": ({"ratelimit-reset": str(EPOCH + 20)}, 20),
    "a reset as a past epoch": ({"ratelimit-reset": str(EPOCH - 20)}, 0),
    "a reset as a far epoch": ({"ratelimit-reset": str(EPOCH + 10**6)}, 300),
    "a reset in milliseconds": ({"ratelimit-reset": str(EPOCH * 1000)}, 300),
    "a reset that is garbage": ({"ratelimit-reset": "soon"}, None),
    "both: Retry-After counts": ({"Retry-After": "3", "ratelimit-reset": "7"}, 3),
    "both: one is garbage": ({"Retry-After": "soon", "ratelimit-reset": "7"}, 7),
}


@pytest.mark.parametrize(("headers", "seconds"), RETRY.values(), ids=RETRY)
def test_an_answer_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_seconds({"Date": DATE, **headers}) == seconds


def test_no_wait_is_longer_than_five_minutes() -> None:
    assert LONGEST_WAIT == 300


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_without_a_date_of_the_answer_this_machines_clock_has_to_do(date: str | None) -> None:
    now = datetime.now(timezone.utc)
    headers = {} if date is None else {"Date": date}
    wish = f"{now + timedelta(seconds=100):%a, %d %b %Y %H:%M:%S} GMT"
    for seconds in (
        retry_seconds({**headers, "Retry-After": wish}),
        reset_seconds({**headers, "ratelimit-reset": str(now.timestamp() + 100)}),
    ):
        assert seconds == pytest.approx(100, abs=30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DATE, datetime(2026, 1, 1, tzinfo=timezone.utc)),
        ("Thu, 01 Jan 2026 01:00:00 +0100", datetime(2026, 1, 1, tzinfo=timezone.utc)),
        ("Thu, 01 Jan 2026 00:00:00 -0000", datetime(2026, 1, 1, tzinfo=timezone.utc)),
        (None, None),
        ("", None),
        ("soon", None),
        ("10", None),
        ("1.5", None),
        ("2026-01-01T00:00:30Z", None),
        ("Thu, 32 Jan 2026 00:00:00 GMT", None),
        ("Thu, 01 Jan 99999 00:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -0100", None),
        ("Thu, 01 Jan 2026 00:00:00 +" + "9" * 30, None),
    ],
)
def test_the_date_of_a_header(text: str | None, expected: datetime | None) -> None:
    assert parse_date(text) == expected
