"""Whose turn it is: in which order accounts and their lists are asked, whatever others do."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats.model.resources import RESOURCES
from tests.end_to_end.hasty import hasty, stopped
from tests.harness import spread

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Tap

BASE = "/unified/ats/"
PROVIDERS = sorted({name for resource in RESOURCES.values() for name in resource.offers})
STREAMS = ("jobs", "users", "departments", "offices")

CDN = "<html>503</html>"
CLOCK = datetime(2020, 2, 29, 23, 59, 30, tzinfo=timezone.utc)
"""What the clock of a server shows that is years off."""


def at(seconds: float) -> str:
    return format_datetime(CLOCK + timedelta(seconds=seconds), usegmt=True)


def accounts(sandbox: Sandbox, broken: int, healthy: int, **options: Any) -> tuple[list[str], ...]:
    """A world whose first accounts are to be broken, and the ids of both kinds."""
    count = broken + healthy
    options = {"interviews": 2, "candidates": 2, "jobs": 2, "rate_limits": False} | options
    made = sandbox.reset(accounts=[{"provider": "greenhouse"}] * count, **options)
    ids = [one["id"] for one in made]
    return ids[:broken], ids[broken:]


def asked(sandbox: Sandbox, path: str = BASE) -> list[str]:
    """The accounts in the order of the unified calls for them."""
    made = [one for one in sandbox.requests() if one["path"].startswith(path)]
    return [dict(one["params"])["integrated_account_id"] for one in made]


def are_asked(sandbox: Sandbox, ids: list[str], streams: int) -> bool:
    """Say whether all streams of these accounts were asked for and answered."""
    answered = Counter(
        dict(one["params"])["integrated_account_id"]
        for one in sandbox.requests()
        if one["path"].startswith(BASE) and one["status"] == 200
    )
    return all(answered[one] >= streams for one in ids)


ILLS: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "502": {"status": 502},
    "504 of the provider": {"status": 504, "remote": True},
    "408": {"status": 408},
    "429": {"status": 429, "headers": {"Retry-After": "0"}},
    "429 of the provider": {"status": 429, "remote": True},
    "blocked": {"status": 503},
    "a CDN's 503": {"status": 503, "body": CDN},
    "a CDN's 401": {"status": 401, "body": CDN},
    "broken off": {"kind": "truncated"},
    "an error that breaks off": {"kind": "truncated", "status": 401},
    "reset": {"kind": "reset"},
    "no JSON": {"kind": "garbage"},
    "HTML": {"kind": "html"},
    "null": {"kind": "null_result"},
    "nothing": {"status": 204},
}


@pytest.mark.parametrize(("ill", "named"), spread(ILLS.values(), [False, True]))
def test_all_healthy_accounts_are_asked_before_a_second_try_of_the_broken(
    sandbox: Sandbox, tap: Tap, ill: dict[str, Any], *, named: bool
) -> None:
    broken, healthy = accounts(sandbox, 5, 5)
    for one in broken:
        sandbox.fault(path=BASE, integrated_account_id=one, times=None, **ill)
    run = tap(
        catalog=tap.catalog("jobs", "users"),
        integrated_account_ids=broken + healthy if named else None,
        max_concurrency=1,
        fail_on_account_error=False,
    )
    assert run.code == 0
    order = asked(sandbox)
    assert Counter(order[:10]) == dict.fromkeys(broken + healthy, 1)
    assert {row["integrated_account_id"] for row in run.records("jobs")} == set(healthy)
    assert {row["integrated_account_id"] for row in run.records("users")} == set(healthy)


WISHES: dict[str, dict[str, str]] = {
    "seconds": {"Retry-After": "60"},
    "a decimal": {"Retry-After": "60.0"},
    "a date": {"Retry-After": at(60), "Date": at(0)},
    "the quota's seconds": {"ratelimit-reset": "60"},
    "the quota's seconds and its window": {"ratelimit-reset": "60;w=10"},
    "the quota's moment": {
        "ratelimit-reset": str(int(CLOCK.timestamp()) + 60),
        "Date": at(0),
    },
    "Retry-After goes first": {"Retry-After": "60", "ratelimit-reset": "1"},
}


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES)
@pytest.mark.parametrize("status", [429, 502])
def test_an_account_that_has_to_wait_is_not_asked_and_holds_no_one_up(
    sandbox: Sandbox, tap: Tap, status: int, wish: dict[str, str]
) -> None:
    broken, healthy = accounts(sandbox, 4, 4)
    for one in broken:
        sandbox.fault(path=BASE, integrated_account_id=one, times=None, status=status, headers=wish)
    run = stopped(
        tap,
        lambda _: are_asked(sandbox, healthy, len(STREAMS)),
        catalog=tap.catalog(*STREAMS),
        max_concurrency=2,
    )
    made = Counter(asked(sandbox))
    assert {one: made[one] for one in broken} == dict.fromkeys(broken, 1)
    assert run.logged("Trying again in 60.0 s (retry 1 of 2)") == len(broken)


WITH_QUOTA = {
    "seconds": {"ratelimit-remaining": "0", "ratelimit-reset": "60"},
    "its window": {"ratelimit-remaining": "0;w=10", "ratelimit-reset": "60"},
    "a moment": WISHES["the quota's moment"] | {"ratelimit-remaining": "0"},
}


@pytest.mark.parametrize("quota", WITH_QUOTA.values(), ids=WITH_QUOTA)
def test_a_used_up_quota_closes_its_account_alone(
    sandbox: Sandbox, tap: Tap, quota: dict[str, str]
) -> None:
    used_up, healthy = accounts(sandbox, 3, 3)
    for one in used_up:
        sandbox.fault(path=BASE, integrated_account_id=one, kind="headers", headers=quota)
    stopped(
        tap,
        lambda _: are_asked(sandbox, healthy, len(STREAMS)) and are_asked(sandbox, used_up, 1),
        catalog=tap.catalog(*STREAMS),
        max_concurrency=2,
    )
    made = Counter(asked(sandbox))
    assert {one: made[one] for one in used_up} == dict.fromkeys(used_up, 1)


WHERE = {
    "a list": ("jobs", {"path": BASE + "jobs"}),
    "a later page": ("candidates", {"path": BASE + "candidates", "later_pages": True}),
    "a list by parent": ("job_form_fields", {"path": BASE + "job_form_fields", "skip": 1}),
    "capabilities": ("jobs", {"path": "/integrated-account/"}),
}


@pytest.mark.parametrize(("stream", "place"), WHERE.values(), ids=WHERE)
def test_a_wish_to_wait_counts_for_all_requests_of_its_account(
    sandbox: Sandbox, tap: Tap, stream: str, place: dict[str, Any]
) -> None:
    (waiting,), healthy = accounts(sandbox, 1, 1, candidates=9, jobs=9)
    wish = {"Retry-After": "60"}
    sandbox.fault(integrated_account_id=waiting, status=429, headers=wish, times=None, **place)
    streams = list(dict.fromkeys([stream, "jobs", "users", "departments", "candidates"]))
    stopped(
        tap,
        lambda _: are_asked(sandbox, healthy, len(streams)) and bool(refusals(sandbox)),
        catalog=tap.catalog(*streams),
        integrated_account_ids=[waiting, *healthy],
        max_concurrency=1,
        page_size=3,
    )
    theirs = [
        one["status"]
        for one in sandbox.requests()
        if waiting in one["path"] or ["integrated_account_id", waiting] in one["params"]
    ]
    assert theirs.count(429) == 1
    assert theirs[-1] == 429


def refusals(sandbox: Sandbox) -> list[Any]:
    return [one for one in sandbox.requests() if one["status"] == 429]


def test_hanging_accounts_leave_the_other_slots_to_the_healthy(sandbox: Sandbox) -> None:
    streams = STREAMS[:2]
    broken, healthy = accounts(sandbox, 3, 5)
    for one in broken:
        sandbox.fault(path=BASE, integrated_account_id=one, times=None, kind="delay", seconds=60)
    tap = hasty(sandbox, **{"tap_truto_ats.api.client:LONGEST_TIMEOUT": 0.3})
    run = tap(
        catalog=tap.catalog(*streams), max_concurrency=4, max_retries=1, fail_on_account_error=False
    )
    assert run.code == 0
    for stream in streams:
        found = {row["integrated_account_id"] for row in run.records(stream)}
        assert found == set(healthy)
    order = asked(sandbox)
    assert set(order[: len(broken) + len(healthy)]) == {*broken, *healthy}
    # After the first stream has used up its two tries, the other one has one.
    made = Counter(order)
    assert {one: made[one] for one in broken} == dict.fromkeys(broken, 2 + len(streams) - 1)


def test_a_slow_account_leaves_places_to_those_that_come_back_after_a_wait(
    sandbox: Sandbox, tap: Tap
) -> None:
    concurrency = 10
    made = sandbox.reset(
        accounts=[{"provider": "fountain", "candidates": count} for count in (40, 9, 9)],
        interviews=2,
        rate_limits=False,
    )
    slow, *healthy = [one["id"] for one in made]
    interviews = BASE + "interviews"
    sandbox.fault(path=interviews, integrated_account_id=slow, kind="delay", seconds=60, times=None)
    wish = {"status": 429, "headers": {"Retry-After": "1"}}
    for one in healthy:
        sandbox.fault(path=BASE + "candidates", integrated_account_id=one, **wish)
    stopped(
        tap,
        lambda _: are_asked(sandbox, healthy, 1 + 9) and slow in asked(sandbox, interviews),
        catalog=tap.catalog("interviews"),
        max_concurrency=concurrency,
    )
    order = asked(sandbox, interviews)
    last = max(number for number, account in enumerate(order) if account != slow)
    assert order[:last].count(slow) <= concurrency // 2  # One of the others may have been done.


def test_accounts_are_read_breadth_first(sandbox: Sandbox, tap: Tap) -> None:
    _, ids = accounts(sandbox, 0, 6, candidates=6)
    tap(catalog=tap.catalog("candidates", *STREAMS), max_concurrency=1, page_size=2)
    order = asked(sandbox)
    for number in range(0, len(order), len(ids)):
        assert Counter(order[number : number + len(ids)]) == dict.fromkeys(ids, 1)
    assert len(order) >= len(ids) * (3 + len(STREAMS))


def test_a_large_account_does_not_keep_the_others_waiting(sandbox: Sandbox, tap: Tap) -> None:
    """Accounts with many requests each go on by turns with those that need a few."""
    small = [{"provider": "fountain", "candidates": 2}] * 3
    large = [{"provider": "fountain", "candidates": 40}] * 3
    ids = [
        one["id"]
        for one in sandbox.reset(accounts=[*large, *small], interviews=2, rate_limits=False)
    ]
    tap(catalog=tap.catalog("interviews"), max_concurrency=2, page_size=100)
    order = asked(sandbox)
    last = max(n for n, one in enumerate(order) if one in ids[3:])
    assert last <= 6 * (1 + 2) + 2
    assert len(order) == 6 + 3 * 40 + 3 * 2


@pytest.mark.parametrize("provider", PROVIDERS)
def test_lists_come_before_what_is_asked_for_by_parents(
    sandbox: Sandbox, tap: Tap, provider: str
) -> None:
    sandbox.reset(
        accounts=[{"provider": provider}], interviews=4, candidates=5, jobs=3, rate_limits=False
    )
    offers = {name: one.offers.get(provider) for name, one in RESOURCES.items()}
    plain = {name for name, offer in offers.items() if offer and not offer.requires}
    by_parents = {name for name, offer in offers.items() if offer and offer.requires}
    # Those that are asked for by parents are selected first.
    catalog = tap.catalog(*RESOURCES)
    run = tap(catalog=catalog, max_concurrency=1, page_size=2, include_eeocs=True)
    assert run.code == 0
    order = [
        one["path"].removeprefix(BASE) for one in sandbox.requests() if one["path"].startswith(BASE)
    ]
    first = next((n for n, name in enumerate(order) if name in by_parents), len(order))
    assert set(order[first:]) <= by_parents
    assert set(order[:first]) >= plain
