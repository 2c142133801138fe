"""How long the tap waits before it tries again, in a run within this process."""

from __future__ import annotations

import io
import logging
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import backoff
import pytest

from tap_truto_ats.api import limits
from tap_truto_ats.api.limits import RateLimiter
from tap_truto_ats.sync import retries
from tap_truto_ats.tap import TapTrutoAts

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tap_truto_ats.api.limits import Refusal
    from tests.harness import Tap

PATH = "/unified/ats/interviews"
LEAST = 0.1
"""Seconds of the first backoff, which is at random no longer."""

PAST = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.fixture(autouse=True)
def _longest(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Each retry waits for as long as the backoff may be."""
    monkeypatch.setattr(retries, "FIRST_WAIT", LEAST)
    monkeypatch.setattr(backoff, "full_jitter", lambda bound: bound)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=io.BytesIO()))
    caplog.set_level(logging.INFO, logger="tap_truto_ats.sync.scheduler")


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, LEAST),
        ({"Retry-After": "0"}, LEAST),
        ({"Retry-After": "0.05"}, LEAST),
        ({"Retry-After": "-5"}, LEAST),
        ({"Retry-After": PAST}, LEAST),
        ({"Retry-After": PAST, "Date": PAST}, LEAST),
        ({"Retry-After": PAST, "Date": None}, LEAST),
        ({"ratelimit-reset": "0"}, LEAST),
        ({"ratelimit-reset": "1445412480"}, LEAST),
        ({"Retry-After": "0.3"}, 0.3),
        ({"ratelimit-reset": "0.3"}, 0.3),
    ],
)
def test_a_wish_never_makes_the_wait_shorter_than_the_backoff(
    sandbox: Sandbox,
    tap: Tap,
    ids: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    status: int,
    headers: dict[str, str],
    seconds: float,
) -> None:
    sandbox.fault(path=PATH, status=status, headers=headers)
    config = tap.config(integrated_account_ids=[ids["pinpoint"]])
    TapTrutoAts(config=config, catalog=tap.catalog("interviews")).sync_all()
    (line,) = (one for one in caplog.messages if "Trying again" in one)
    assert f"Trying again in {seconds:.1f} s (retry 1 of 2)" in line


def test_each_wait_is_twice_as_long(
    sandbox: Sandbox,
    tap: Tap,
    ids: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "LAST_WAIT", 0.3)
    sandbox.fault(path=PATH, status=502, times=4)
    config = tap.config(integrated_account_ids=[ids["pinpoint"]], max_retries=5)
    TapTrutoAts(config=config, catalog=tap.catalog("interviews")).sync_all()
    waits = [one.split("Trying again in ")[1] for one in caplog.messages if "Trying again" in one]
    assert waits == [
        "0.1 s (retry 1 of 5).",
        "0.2 s (retry 2 of 5).",
        "0.3 s (retry 3 of 5).",
        "0.3 s (retry 4 of 5).",
    ]


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0.05"}], ids=["no wish", "a wish"])
def test_while_the_tokens_limit_holds_nobody_asks_again_and_again(
    sandbox: Sandbox, tap: Tap, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    """Also when what holds some account back alone has run out meanwhile."""
    monkeypatch.setattr(limits, "TOKEN_LIMIT", 4)
    monkeypatch.setattr(limits, "PERIOD", 0.2)
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.05)
    made = sandbox.reset(accounts=[{"provider": "pinpoint"}] * 9, rate_limits=False, interviews=2)
    for one in made[:2]:
        sandbox.fault(
            path=PATH, integrated_account_id=one["id"], status=429, headers=headers, times=2
        )
    asked = []
    admit = RateLimiter.admit

    def counted(limiter: RateLimiter, account_id: str | None) -> Refusal | None:
        asked.append(account_id)
        return admit(limiter, account_id)

    monkeypatch.setattr(RateLimiter, "admit", counted)
    TapTrutoAts(config=tap.config(), catalog=tap.catalog("interviews")).sync_all()
    made_at_all = len(sandbox.requests())
    assert made_at_all == 1 + 9 + 2 * 2
    assert len(asked) - made_at_all <= 2 * made_at_all
