"""The places where singer-sdk loses data or time, each by the behaviour that it would break."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.helpers import _state

from sandbox.tables import rows
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.singer import writer
from tap_truto_ats.tap import TapTrutoAts
from tests.harness import Run, started, table

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tap_truto_ats.api.limits import Refusal
    from tests.harness import Tap

PATH = "/unified/ats/interviews"


class CountingStdout(io.TextIOWrapper):
    """A stdout that counts the flushes of its buffer."""

    def __init__(self) -> None:
        self.flushes = 0
        outer = self

        class Buffer(io.BytesIO):
            def flush(self) -> None:
                outer.flushes += 1

        self.written = Buffer()
        super().__init__(self.written, encoding="utf-8")


def page(*ids: str, cursor: str | None) -> dict[str, Any]:
    rows = [{"id": key} for key in ids]
    return {"kind": "body_override", "body": {"result": rows, "next_cursor": cursor}}


def test_01_an_empty_page_is_not_the_end(tap: Tap, sandbox: Sandbox) -> None:
    for skip in (0, 1, 4):
        sandbox.fault(path=PATH, skip=skip, times=3, kind="empty")
    run = tap(page_size=3)
    assert len(sandbox.requests(PATH)) > 9
    assert table(run) == rows(sandbox.interviews())


def test_02_a_circle_of_cursors_ends_the_account(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    for key, cursor in (("1", "A"), ("2", "B"), ("3", "A")):
        sandbox.fault(path=PATH, **page(key, cursor=cursor))
    run = tap(integrated_account_ids=[ids["pinpoint"]])
    assert run.code == 1
    assert "circle" in run.errors[0]
    assert [row["id"] for row in run.records()] == ["1", "2", "3"]
    assert len(sandbox.requests(PATH)) == 3
    assert run.bookmarks == {}


def test_03_a_wish_to_wait_is_obeyed(tap: Tap, sandbox: Sandbox, ids: dict[str, str]) -> None:
    sandbox.fault(path=PATH, status=429, headers={"Retry-After": "1"})
    run = tap(integrated_account_ids=[ids["pinpoint"]])
    assert run.logged("Trying again in 1.0 s (retry 1 of 2)") == 1
    first, second = (one["at"] for one in sandbox.requests(PATH))
    assert second - first >= 1


def test_04_a_blocked_account_is_tried_three_times(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    sandbox.fault(path=PATH, status=503, times=None, headers={"Retry-After": "0"})
    run = tap(integrated_account_ids=[ids["pinpoint"]], max_retries=8)
    assert len(sandbox.requests(PATH)) == 3
    assert "blocked" in run.errors[0]


def test_05_a_body_never_reaches_an_error(tap: Tap, sandbox: Sandbox) -> None:
    sandbox.fault(path=PATH, status=400, times=None, body="Leaka Nevershown wrote this")
    run = tap()
    assert run.code == 1
    assert "Nevershown" not in run.stderr


def test_06_the_limiter_sees_every_try(tap: Tap, sandbox: Sandbox, ids: dict[str, str]) -> None:
    sandbox.fault(path=PATH, status=500, times=2, headers={"Retry-After": "0"})
    account = ids["pinpoint"]
    one = TapTrutoAts(config=tap.config(integrated_account_ids=[account]), catalog=tap.catalog())
    admitted: list[str | None] = []
    limiter = one.run.client.limiter
    admit = limiter.admit

    def counted(account_id: str | None) -> Refusal | None:
        admitted.append(account_id)
        return admit(account_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limiter, "admit", counted)
        patch.setattr(sys, "stdout", CountingStdout())
        one.sync_all()
    assert admitted.count(account) == len(sandbox.requests(PATH)) == 3
    assert len(admitted) == len(sandbox.requests())


@pytest.mark.parametrize(
    ("seconds", "held"), [(0.0, [1, 2, 3]), (3600.0, [1, 3])], ids=["due at once", "due in an hour"]
)
def test_07_a_state_follows_an_account_unless_one_was_sent_a_moment_ago(
    tap: Tap,
    ids: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    held: list[int],
) -> None:
    accounts = [ids["greenhouse"], ids["pinpoint"], ids["ceipal"]]
    stdout = CountingStdout()
    monkeypatch.setattr(writer, "STATE_SECONDS", seconds)
    monkeypatch.setattr(sys, "stdout", stdout)
    settings = {"integrated_account_ids": accounts, "max_concurrency": 1}
    TapTrutoAts(config=tap.config(**settings), catalog=tap.catalog()).sync_all()
    run = Run(0, stdout.written.getvalue().decode(), "")
    interviews = [state["bookmarks"].get("interviews", {}) for state in run.states]
    found = [len(one["partitions"]) for one in interviews if "partitions" in one]
    assert found == held


def test_08_no_account_is_taken_as_read_up_to_a_row_dated_in_the_future(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    for name in ("greenhouse", "pinpoint"):
        key = sandbox.interviews(ids[name])[0]["id"]
        sandbox.change(ids[name], key, updated_at="2999-01-01T00:00:00Z")
    bookmarks = tap().bookmarks
    assert all(bookmarks[ids[name]] < "2999" for name in ("greenhouse", "pinpoint"))


def test_08_a_row_that_changes_while_the_run_reads_does_not_move_the_bookmark_past_its_start(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    account = ids["pinpoint"]
    soon = datetime.now(timezone.utc) + timedelta(seconds=1.5)
    key = sandbox.interviews(account)[0]["id"]
    sandbox.change(account, key, updated_at=soon.isoformat())
    sandbox.fault(path=PATH, integrated_account_id=account, kind="delay", seconds=2.5)
    run = tap(integrated_account_ids=[account])
    assert len(run.records()) == 8
    assert datetime.fromisoformat(run.bookmarks[account]) < soon


def test_09_a_half_read_account_keeps_its_bookmark(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    sandbox.fault(path=PATH, integrated_account_id=ids["pinpoint"], skip=2, status=403)
    run = tap(page_size=3)
    assert len([row for row in run.records() if row["id"]]) == 5 * 8 - 2
    assert ids["pinpoint"] not in run.bookmarks


def test_10_missing_and_odd_replication_keys(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    odd = [
        {"id": "1", "updated_at": "2026-03-01T00:30:00+01:00"},
        {"id": "2", "updated_at": "2026-03-01T00:00:00.5Z"},
        {"id": "3", "updated_at": "2026-03-01 00:00:00.25"},
        {"id": "4", "updated_at": None},
        {"id": "5"},
    ]
    sandbox.fault(path=PATH, kind="rows", rows=odd)
    run = tap(integrated_account_ids=[ids["greenhouse"]])
    assert run.code == 0
    assert len(run.records()) == 5
    assert run.bookmarks == {ids["greenhouse"]: "2026-03-01T00:00:00.500000+00:00"}
    assert not run.logged("null")


def test_10_no_line_is_logged_for_a_row(tap: Tap, sandbox: Sandbox) -> None:
    lines = []
    for interviews in (1, 80):
        sandbox.reset(interviews=interviews, candidates=1, rate_limits=False)
        lines.append(len(tap().stderr.splitlines()))
    assert lines[0] == lines[1]


def test_11_state_is_not_searched_for_each_row(
    tap: Tap, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []
    search = _state._find_in_partitions_list

    def counted(*args: Any) -> Any:
        searches.append(args)
        return search(*args)

    monkeypatch.setattr(_state, "_find_in_partitions_list", counted)
    monkeypatch.setattr(sys, "stdout", CountingStdout())
    TapTrutoAts(config=tap.config(), catalog=tap.catalog()).sync_all()
    assert len(sandbox.interviews()) > len(searches)


def test_12_the_partition_key_is_a_declared_column(tap: Tap) -> None:
    run = tap()
    schema = run.of("SCHEMA")[0]
    assert schema["key_properties"] == ["integrated_account_id", "id"]
    assert "integrated_account_id" in schema["schema"]["properties"]
    assert all(record["integrated_account_id"] for record in run.records())


def test_13_properties_that_the_schema_does_not_know_are_kept(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    row = {"id": 1, "x_region": "EMEA", "score": {"value": 3}, "remote_data": {}}
    sandbox.fault(path=PATH, kind="rows", rows=[row])
    run = tap(integrated_account_ids=[ids["greenhouse"]])
    assert run.records()[0]["custom_fields"] == {"x_region": "EMEA", "score": {"value": 3}}


def test_14_no_version_is_activated_unasked(tap: Tap) -> None:
    assert {message["type"] for message in tap().messages} == {"SCHEMA", "RECORD", "STATE"}


def test_15_a_parent_costs_no_schema_and_no_state(tap: Tap, sandbox: Sandbox) -> None:
    sandbox.reset(accounts=[{"provider": "fountain"}], candidates=20, rate_limits=False)
    run = tap()
    assert len(sandbox.requests(PATH)) == 20
    assert len([one for one in run.messages if one["type"] == "SCHEMA"]) == 2
    assert len(run.states) <= 4


def test_16_a_failure_in_one_stream_does_not_stop_the_next(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    bad, good = ids["pinpoint"], ids["greenhouse"]
    sandbox.fault(path=f"/integrated-account/{bad}", status=400)
    run = tap(integrated_account_ids=[bad, good])
    assert run.code == 1
    assert len(run.errors) == 1
    assert bad in run.errors[0]
    assert table(run) == rows(sandbox.interviews(good))
    assert run.bookmarks.keys() == {good}


def test_17_a_test_looks_at_each_account(tap: Tap, sandbox: Sandbox, ids: dict[str, str]) -> None:
    run = tap("--test")
    assert (run.code, run.messages) == (0, [])
    assert [run.logged(account) for account in ids.values()] == [1] * 5
    asked = [dict(one["params"])["integrated_account_id"] for one in sandbox.requests(PATH)]
    assert sorted(asked) == sorted(ids.values())
    sandbox.account(ids["pinpoint"], is_blocked=True)
    sandbox.fault(path=PATH, integrated_account_id=ids["ashby"], status=403)
    run = tap("--test")
    assert run.code == 1
    assert len(run.errors) == 2
    # What else Ashby's account has was found.
    assert {name: run.logged(account) for name, account in ids.items()} == {
        **dict.fromkeys(ids, 1),
        "ashby": 2,
    }


def test_18_stdout_is_flushed_for_each_page(
    tap: Tap, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.reset(accounts=[{"provider": "ashby"}], interviews=500, rate_limits=False)
    stdout = CountingStdout()
    monkeypatch.setattr(sys, "stdout", stdout)
    TapTrutoAts(config=tap.config(), catalog=tap.catalog()).sync_all()
    assert len(sandbox.requests(PATH)) == 5
    assert stdout.flushes < 20


def test_19_numbers_come_through_unchanged(tap: Tap, sandbox: Sandbox, ids: dict[str, str]) -> None:
    numbers = {"big": 2**80, "fraction": 0.1, "exponent": 1e-30, "whole": 3.0}
    sandbox.fault(path=PATH, kind="rows", rows=[{"id": 10**20, "remote_data": numbers}])
    run = tap(integrated_account_ids=[ids["greenhouse"]], include_remote_data=True)
    assert run.records()[0]["remote_data"] == numbers
    assert run.records()[0]["id"] == "100000000000000000000"


def test_20_nothing_deprecated_is_used(tap: Tap) -> None:
    deprecations = "error::DeprecationWarning,error::PendingDeprecationWarning"
    run = replace(tap, run=started)(env={"PYTHONWARNINGS": deprecations})
    assert run.code == 0
    assert "DeprecationWarning" not in run.stderr


def test_21_one_package_provides_backoff() -> None:
    files = distribution("python-backoff").files or []
    assert "backoff/__init__.py" in map(str, files)
    with pytest.raises(PackageNotFoundError):
        distribution("backoff")


def test_22_discovery_needs_no_settings(tap: Tap) -> None:
    catalog = tap.discover(api_token=None, api_url=None, max_retries=None)
    names = {one["tap_stream_id"] for one in catalog["streams"]}
    assert names == {"account_syncs", "integrated_accounts", *RESOURCES}


def test_23_keys_are_unique_and_never_null(tap: Tap) -> None:
    run = tap(page_size=3)
    keys = [(row["integrated_account_id"], row["id"]) for row in run.records()]
    assert len(set(keys)) == len(keys) == 40
    assert all(all(key) for key in keys)
