"""Reading less of accounts whose rows do not tell when they changed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.tables import rows
from tests.harness import Tap, full_table, table

if TYPE_CHECKING:
    from sandbox.control import Sandbox

PATH = "/unified/ats/interviews"
PROVIDERS = {"ashby": "start_at", "fountain": "end_at"}
NOW = datetime.now(timezone.utc)


def ago(**given: float) -> str:
    return (NOW - timedelta(**given)).isoformat()


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def account(sandbox: Sandbox, provider: str) -> str:
    """An account with interviews of four years and of next week."""
    created: str = sandbox.reset(
        accounts=[{"provider": provider}], interviews=6, candidates=2, rate_limits=False
    )[0]["id"]
    for row, days in zip(sandbox.interviews(created), (900, 400, 20, 6, 1, -7), strict=True):
        sandbox.change(created, row["id"], start_at=ago(days=days), end_at=ago(days=days - 0.1))
    return created


def asked(sandbox: Sandbox, provider: str) -> set[str | None]:
    """From when on the schedule was asked for, in all requests since they were cleared."""
    name = f"{PROVIDERS[provider]}[gte]"
    found = {dict(one["params"]).get(name) for one in sandbox.requests(PATH)}
    sandbox.clear_requests()
    return found


def read_at(state: dict[str, Any]) -> str:
    (partition,) = state["bookmarks"]["interviews"]["partitions"]
    found: str = partition["whole_read_at"]
    return found


def aged(state: dict[str, Any], account: str, whole_read_at: object) -> dict[str, Any]:
    partition = {"context": {"integrated_account_id": account}, "whole_read_at": whole_read_at}
    return {"bookmarks": {"interviews": {"partitions": [partition]}}} if state else state


def test_without_the_setting_every_run_reads_whole(
    tap: Tap, sandbox: Sandbox, account: str, provider: str
) -> None:
    first = tap()
    second = tap(state=first.state)
    assert table(second) == rows(sandbox.interviews(account))
    assert asked(sandbox, provider) == {None}
    assert read_at(second.state) > read_at(first.state)


def test_a_run_after_a_whole_read_asks_for_the_window_only(
    tap: Tap, sandbox: Sandbox, account: str, provider: str
) -> None:
    first = tap(schedule_window_days=10)
    assert table(first) == rows(sandbox.interviews(account))
    assert asked(sandbox, provider) == {None}
    rescheduled = sandbox.interviews(account)[0]["id"]
    sandbox.change(account, rescheduled, start_at=ago(days=-1), end_at=ago(days=-1.1))
    catalog = tap.catalog("account_syncs", "interviews")
    second = tap(state=first.state, catalog=catalog, schedule_window_days=10)
    assert [datetime.fromisoformat(str(one)).date() for one in asked(sandbox, provider)] == [
        (datetime.now(timezone.utc) - timedelta(days=10)).date()
    ]
    truth = [row for row in sandbox.interviews(account) if row["end_at"] > ago(days=10)]
    assert len(truth) == 4
    assert table(second) == rows(truth)
    assert read_at(second.state) == read_at(first.state)
    assert second.syncs[account, "interviews"]["mode"] == "schedule window"


@pytest.mark.parametrize(
    ("whole_read_at", "is_whole"),
    [
        (ago(days=7), True),
        (ago(days=400), True),
        (ago(days=-0.9), False),
        (ago(days=-2), True),
        ("yesterday", True),
        (None, True),
        (5, True),
    ],
    ids=[
        "a week ago",
        "long ago",
        "by a clock that is ahead",
        "in the future",
        "unreadable",
        "null",
        "a number",
    ],
)
def test_a_whole_read_is_due_after_some_days(
    tap: Tap, sandbox: Sandbox, account: str, provider: str, whole_read_at: str, *, is_whole: bool
) -> None:
    state = aged({"a": "state"}, account, whole_read_at)
    run = tap(state=state, schedule_window_days=10)
    assert (asked(sandbox, provider) == {None}) is is_whole
    assert (table(run) == rows(sandbox.interviews(account))) is is_whole
    assert read_at(run.state) == (read_at(run.state) if is_whole else whole_read_at)


@pytest.mark.parametrize(("days", "is_whole"), [(1, True), (3_000, False), (0, False)])
def test_the_days_between_whole_reads_can_be_set(
    tap: Tap, sandbox: Sandbox, account: str, provider: str, days: int, *, is_whole: bool
) -> None:
    state = aged({"a": "state"}, account, ago(days=1.5))
    tap(state=state, schedule_window_days=0, full_read_every_days=days)
    assert (asked(sandbox, provider) == {None}) is is_whole


@pytest.mark.parametrize("fault", [{"status": 403, "skip": 1}, {"kind": "loop", "times": None}])
def test_a_read_that_failed_was_not_whole(
    tap: Tap, sandbox: Sandbox, account: str, fault: dict[str, Any]
) -> None:
    sandbox.fault(path=PATH, integrated_account_id=account, **fault)
    run = tap(schedule_window_days=10, page_size=2)
    assert run.code == 1
    assert "whole_read_at" not in str(run.states)


@pytest.mark.usefixtures("account")
def test_a_row_that_cannot_be_emitted_does_not_have_all_read_in_every_run(
    tap: Tap, sandbox: Sandbox, provider: str
) -> None:
    sandbox.fault(path=PATH, kind="rows", rows=[{"status": "scheduled"}], times=None)
    first = tap(schedule_window_days=10)
    sandbox.clear_requests()
    tap(state=first.state, schedule_window_days=10)
    assert None not in asked(sandbox, provider)


def test_a_filter_of_the_settings_stays(
    tap: Tap, sandbox: Sandbox, account: str, provider: str
) -> None:
    name = PROVIDERS[provider]
    given = {"interviews": {name: {"lte": ago(days=5)}}}
    state = aged({"a": "state"}, account, ago(days=1))
    run = tap(state=state, schedule_window_days=10, filters=given)
    assert {dict(one["params"])[f"{name}[lte]"] for one in sandbox.requests(PATH)} == {ago(days=5)}
    assert len(table(run)) == 1


def test_a_full_table_reads_whole(tap: Tap, sandbox: Sandbox, account: str, provider: str) -> None:
    state = aged({"a": "state"}, account, ago(days=1))
    run = tap(state=state, catalog=full_table(tap.catalog()), schedule_window_days=10)
    assert asked(sandbox, provider) == {None}
    assert table(run) == rows(sandbox.interviews(account))
    assert read_at(run.state) > ago(days=1)


def test_accounts_with_the_replication_key_go_on_by_it(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    first = tap(schedule_window_days=0)
    sandbox.clear_requests()
    tap(state=first.state, schedule_window_days=0)
    for name in ("ceipal", "greenhouse", "pinpoint"):
        (params,) = (
            dict(one["params"])
            for one in sandbox.requests(PATH)
            if ["integrated_account_id", ids[name]] in one["params"]
        )
        assert "updated_at[gte]" in params
        assert not {"start_at[gte]", "end_at[gte]"} & params.keys()
