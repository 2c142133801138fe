"""Whole reads: when an account's turn comes, what makes one due at once, and who has left."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.tables import rows
from tests.end_to_end.hasty import hasty
from tests.harness import full_table, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.control import Sandbox
    from tests.harness import Run, Tap

PATH = "/unified/ats/interviews"
NOW = datetime.now(timezone.utc)
LONG_AGO = (NOW - timedelta(days=3_000)).isoformat()


def partitions(state: dict[str, Any], stream: str = "interviews") -> dict[str, dict[str, Any]]:
    found = state["bookmarks"].get(stream, {}).get("partitions", ())
    return {one["context"]["integrated_account_id"]: one for one in found}


def aged(state: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The state with other fields for all accounts; None takes one out."""
    changed = deepcopy(state)
    for part in changed["bookmarks"].values():
        for one in part.get("partitions", ()):
            one.update(fields)
            for name in [name for name, value in fields.items() if value is None]:
                del one[name]
    return changed


def syncs(run: Run, stream: str = "interviews") -> dict[str, dict[str, Any]]:
    """By account: what `account_syncs` has of it."""
    return {account: one for (account, name), one in run.syncs.items() if name == stream}


def modes(run: Run) -> Counter[str]:
    return Counter(one["mode"] for one in syncs(run).values())


def read(tap: Tap, state: dict[str, Any] | None = None, *streams: str, **settings: Any) -> Run:
    """Run over interviews, or over other streams."""
    catalog = settings.pop("catalog", None) or tap.catalog(
        "account_syncs", *(streams or ("interviews",))
    )
    run = tap(catalog=catalog, state=state, **settings)
    assert run.code == 0, run.stderr
    return run


@pytest.fixture
def account(sandbox: Sandbox) -> str:
    """One that is asked for changes."""
    accounts = [{"provider": "greenhouse"}]
    created = sandbox.reset(accounts=accounts, interviews=8, candidates=4, rate_limits=False)
    account_id: str = created[0]["id"]
    return account_id


class TestTurns:
    """Accounts come due spread over the days between whole reads."""

    @pytest.mark.parametrize("known", ["whole_read_at", "known_since"])
    def test_each_account_has_its_own_time_of_the_period(
        self, sandbox: Sandbox, known: str
    ) -> None:
        accounts = [{"provider": "greenhouse"}] * 120
        sandbox.reset(accounts=accounts, interviews=1, jobs=1, rate_limits=False)
        tap = hasty(sandbox)
        first = read(tap)
        assert modes(first) == {"whole": 120}
        assert modes(read(tap, first.state)) == {"incremental": 120}
        yesterday = {known: (NOW - timedelta(days=1)).isoformat()}
        run = read(tap, aged(first.state, **{"whole_read_at": None} | yesterday))
        # One in seven, 17 of 120 on the average.
        assert 5 < modes(run)["whole"] < 35
        assert run.logged(
            f"Read whole, since 7 days have passed: interviews ({modes(run)['whole']}"
        )
        assert modes(read(tap, run.state))["whole"] == 0
        assert modes(read(tap, aged(first.state, whole_read_at=LONG_AGO))) == {"whole": 120}

    def test_a_state_of_an_earlier_release_reads_nothing_whole(
        self, tap: Tap, account: str
    ) -> None:
        state = read(tap).state
        state = aged(state, whole_read_at=None, scope=None, ids_checksum=None, read_at=None)
        run = read(tap, state)
        assert modes(run) == {"incremental": 1}
        assert partitions(run.state)[account].keys() >= {"known_since", "scope"}

    def test_it_can_be_switched_off(self, tap: Tap, account: str) -> None:
        state = aged(read(tap).state, whole_read_at=LONG_AGO)
        run = read(tap, state, full_read_every_days=0)
        assert syncs(run)[account]["mode"] == "incremental"

    @pytest.mark.parametrize(
        ("age", "settings", "reason"),
        [
            ({"whole_read_at": LONG_AGO}, {}, "7 days have passed"),
            ({}, {"remote_query": {"interviews": {"a": 1}}}, "remote_query changed"),
        ],
    )
    def test_what_an_account_does_not_offer_is_read_whole_when_it_does_again(
        self,
        tap: Tap,
        sandbox: Sandbox,
        account: str,
        age: dict[str, Any],
        settings: dict[str, Any],
        reason: str,
    ) -> None:
        resources = ["jobs"], ["jobs"], ["interviews", "jobs"], ["interviews", "jobs"]
        expected = "not offered", "not offered", "whole", "incremental"
        state, lines = aged(read(tap).state, **age), []
        for offered, mode in zip(resources, expected, strict=True):
            sandbox.account(account, resources=offered)
            run = read(tap, state, **settings)
            state = run.state
            lines.append(run.logged("Read whole"))
            assert run.syncs[account, "interviews"]["mode"] == mode
            assert run.logged(f"Read whole, since {reason}") == lines[-1]
            if mode == "whole":
                assert table(run) == rows(sandbox.interviews())
        assert lines == [1, 0, 0, 0]

    def test_those_that_are_not_active_are_not_due(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        state = aged(read(tap).state, whole_read_at=LONG_AGO)
        sandbox.account(account, status="needs_reauth")
        assert read(tap, state).logged("Read whole") == 0

    def test_what_changed_without_a_word_comes_with_the_next_one(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        first = read(tap)
        row = sandbox.interviews(account)[0]
        sandbox.change(account, row["id"], location="Elsewhere", updated_at=row["updated_at"])
        second = read(tap, first.state)
        assert table(first, second) != rows(sandbox.interviews())
        third = read(tap, aged(second.state, whole_read_at=LONG_AGO))
        assert table(third) == rows(sandbox.interviews())
        assert syncs(third)[account]["is_complete"]

    def test_a_first_read_is_complete_and_reads_each_page_once(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        run = read(tap, page_size=1)
        assert syncs(run).keys() == set(ids.values())
        assert all(one["is_complete"] for one in syncs(run).values())
        assert table(run) == rows(sandbox.interviews())
        asked = Counter(str(one["query"]) for one in sandbox.requests(PATH))
        assert set(asked.values()) == {1}

    def test_a_list_of_several_pages_is_read_again(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        state = aged(read(tap, page_size=3).state, whole_read_at=LONG_AGO)
        sandbox.clear_requests()
        run = read(tap, state, page_size=3)
        assert len(sandbox.requests(PATH)) == 2 * 3
        assert [one["id"] for one in run.records()] == [
            one["id"] for one in {one["id"]: one for one in run.records()}.values()
        ]
        assert syncs(run)[account]["is_complete"]

    def test_one_that_failed_is_due_again(self, tap: Tap, sandbox: Sandbox, account: str) -> None:
        state = aged(read(tap).state, whole_read_at=LONG_AGO)
        sandbox.fault(path=PATH, status=403)
        catalog = tap.catalog("account_syncs", "interviews")
        failed = tap(catalog=catalog, state=state)
        assert (failed.code, syncs(failed)[account]["is_complete"]) == (1, False)
        assert modes(read(tap, failed.state)) == {"whole": 1}


def without(tap: Tap, column: str) -> dict[str, Any]:
    """The catalog without a column of interviews."""
    catalog = tap.catalog("account_syncs", "interviews")
    (entry,) = (one for one in catalog["streams"] if one["tap_stream_id"] == "interviews")
    crumb = ["properties", column]
    for one in entry["metadata"]:
        if one["breadcrumb"] == crumb:
            one["metadata"]["selected"] = False
    return catalog


WIDER: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "filters": ({"filters": {"interviews": {"created_at": {"gte": "2020-01-01"}}}}, {}, "filters"),
    "another filter": (
        {},
        {"filters": {"interviews": {"created_at": {"gte": "2020-01-01"}}}},
        "filters",
    ),
    "remote query": ({}, {"remote_query": {"interviews": {"a": 1.5}}}, "remote_query"),
    "a map": ({}, {"stream_maps": {"interviews": {"place": "location"}}}, "stream_maps"),
    "a map of all": ({"stream_maps": {"inter*": {"status": None}}}, {}, "stream_maps"),
    "a map's values": (
        {"stream_maps": {"interviews": {"x": "config['x']"}}, "stream_map_config": {"x": "1"}},
        {"stream_maps": {"interviews": {"x": "config['x']"}}, "stream_map_config": {"x": "2"}},
        "stream_maps",
    ),
    "flattening": ({}, {"flattening_enabled": True, "flattening_max_depth": 1}, "flattening"),
    "raw data": ({}, {"include_remote_data": True}, "include_remote_data"),
    "format": ({}, {"response_format": "normalized"}, "response_format"),
    "hydrate": ({}, {"hydrate": ["interviews"]}, "hydrate"),
    "an earlier start": ({"start_date": "2020-01-01"}, {"start_date": "2019-01-01"}, "start_date"),
    "no start": ({"start_date": "2020-01-01"}, {}, "start_date"),
}


class TestScope:
    """What decides which rows and columns come: if it changes, all come again in that run."""

    @pytest.mark.parametrize(("before", "after", "name"), WIDER.values(), ids=WIDER)
    def test_all_is_read_whole_once(
        self,
        tap: Tap,
        account: str,
        before: dict[str, Any],
        after: dict[str, Any],
        name: str,
    ) -> None:
        first = read(tap, **before)
        again = read(tap, first.state, **before)
        assert modes(again) == {"incremental": 1}
        run = read(tap, again.state, **after)
        assert modes(run) == {"whole": 1}
        assert run.logged(f"Read whole, since {name} changed: interviews (1 accounts).") == 1
        assert syncs(run)[account]["records"] == 8
        assert modes(read(tap, run.state, **after)) == {"incremental": 1}

    def test_columns_count_too(self, tap: Tap, account: str) -> None:
        first = read(tap, catalog=without(tap, "location"))
        run = read(tap, first.state)
        assert run.logged("Read whole, since columns changed: interviews (1 accounts).") == 1
        assert syncs(run)[account]["records"] == 8
        assert all("location" in one for one in run.records())

    @pytest.mark.parametrize(
        "after",
        [
            {"page_size": 3},
            {"lookback_seconds": 5},
            {"filters": {"jobs": {"created_at": {"gte": "2020-01-01"}}}},
            {"stream_maps": {"account_syncs": {"tap_version": None}}},
        ],
    )
    def test_nothing_else_does(self, tap: Tap, account: str, after: dict[str, Any]) -> None:
        run = read(tap, read(tap).state, **after)
        assert syncs(run)[account]["mode"] == "incremental"

    def test_a_later_start_hides_no_row_that_came_before(self, tap: Tap, account: str) -> None:
        first = read(tap)
        later = {"start_date": (NOW - timedelta(days=1)).isoformat()}
        second = read(tap, first.state, **later)
        assert modes(second) == {"incremental": 1}
        third = read(tap, aged(second.state, whole_read_at=LONG_AGO), **later)
        assert (modes(third), syncs(third)[account]["is_complete"]) == ({"whole": 1}, False)
        assert modes(read(tap, third.state, **later)) == {"incremental": 1}

    def test_a_start_that_is_moved_back_again_brings_what_it_left_out(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        first = read(tap)
        for row, days in zip(sandbox.interviews(account), (10, 3), strict=False):
            changed = (NOW - timedelta(days=days)).isoformat()
            sandbox.change(account, row["id"], location="Elsewhere", updated_at=changed)
        start = (NOW - timedelta(days=5)).isoformat()
        second = read(tap, first.state, start_date=start)
        assert modes(second) == {"incremental": 1}
        third = read(tap, second.state)
        assert third.logged("Read whole, since start_date changed: interviews (1 accounts).") == 1
        assert table(first, second, third) == rows(sandbox.interviews())

    def test_one_that_failed_is_read_whole_later(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        catalog = tap.catalog("account_syncs", "interviews")
        state = read(tap).state
        sandbox.fault(path=PATH, status=403)
        failed = tap(catalog=catalog, state=state, include_remote_data=True)
        assert failed.code == 1
        run = read(tap, failed.state, include_remote_data=True)
        assert syncs(run)[account]["mode"] == "whole"


class TestDeparted:
    """Accounts that the state knows and that Truto no longer lists."""

    STREAMS = ("integrated_accounts", "interviews", "jobs")

    def test_the_log_has_them_whichever_stream_is_read(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        first = read(tap, None, "integrated_accounts")
        sandbox.account(ids["ashby"], is_listed=False)
        second = read(tap, first.state, "integrated_accounts")
        assert second.logged(
            f"Truto no longer lists 1 accounts that the state knows: {ids['ashby']}."
        )

    def test_they_show_in_the_log_and_in_the_warehouse(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        first = read(tap, None, *self.STREAMS)
        gone = ids["ashby"]
        sandbox.account(gone, is_listed=False)
        second = read(tap, first.state, *self.STREAMS)
        words = f"Truto no longer lists 1 accounts that the state knows: {gone}."
        assert second.logged(words) == 1
        for stream in ("interviews", "jobs"):
            one = second.syncs[gone, stream]
            assert (one["mode"], one["status"], one["is_complete"]) == (
                "not listed",
                "skipped",
                False,
            )
            known = partitions(first.state, stream)[gone].get("replication_key_value")
            assert one["bookmark_before"] == one["bookmark_after"] == known
        one = second.syncs[gone, "integrated_accounts"]
        assert (one["mode"], one["records"], one["is_complete"]) == ("whole", 0, True)
        assert second.report["skipped"] == 1
        sandbox.account(gone, is_listed=True)
        third = read(tap, second.state, *self.STREAMS)
        assert third.syncs[gone, "interviews"]["status"] == "succeeded"
        assert third.logged("no longer lists") == 0

    @pytest.mark.parametrize("part", ["tenant_ids", "integrated_account_ids"])
    def test_those_that_a_run_does_not_cover_have_not_left(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], part: str
    ) -> None:
        first = read(tap, None, *self.STREAMS)
        row = sandbox.accounts()[0]
        settings = {part: [row["tenant_id"] if part == "tenant_ids" else row["id"]]}
        second = read(tap, first.state, *self.STREAMS, **settings)
        assert second.logged("no longer lists") == 0
        assert {account for account, _ in second.syncs} == {row["id"]}
        assert partitions(second.state).keys() == set(ids.values())

    @pytest.mark.parametrize(
        ("page_size", "is_empty"), [(2, False), (100, True)], ids=["several pages", "empty"]
    )
    def test_in_a_list_that_is_not_sure_they_have_to_lack_twice(
        self,
        tap: Tap,
        sandbox: Sandbox,
        ids: dict[str, str],
        page_size: int,
        is_empty: bool,  # noqa: FBT001
    ) -> None:
        first = read(tap, None, *self.STREAMS, page_size=page_size)
        for account in ids.values() if is_empty else [ids["ashby"]]:
            sandbox.account(account, is_listed=False)
        second = read(tap, first.state, *self.STREAMS, page_size=page_size)
        assert second.logged("no longer lists") == 0
        third = read(tap, second.state, *self.STREAMS, page_size=page_size)
        assert third.logged("no longer lists") == 1


@pytest.mark.parametrize(
    ("settings", "is_sent"),
    [
        (lambda _: {}, True),
        (lambda row: {"tenant_ids": [row["tenant_id"]]}, False),
        (lambda row: {"integrated_account_ids": [row["id"]]}, False),
    ],
    ids=["all accounts", "a tenant's", "named ones"],
)
def test_a_part_of_the_accounts_deletes_nothing(
    tap: Tap,
    sandbox: Sandbox,
    settings: Callable[[dict[str, Any]], dict[str, Any]],
    is_sent: bool,  # noqa: FBT001
) -> None:
    catalog = full_table(tap.catalog("interviews"))
    given = settings(sandbox.accounts()[0])
    run = tap(catalog=catalog, emit_activate_version_messages=True, **given)
    assert bool(run.of("ACTIVATE_VERSION")) is is_sent
    assert run.logged("the run covers a part of the accounts") == (not is_sent)


def test_what_an_account_no_longer_offers_holds_deletions_up_once(
    tap: Tap, sandbox: Sandbox, account: str
) -> None:
    inputs: dict[str, Any] = {
        "catalog": full_table(tap.catalog("interviews")),
        "emit_activate_version_messages": True,
    }
    runs = [tap(**inputs)]
    sandbox.account(account, resources=["jobs"])
    for _ in range(2):
        runs.append(tap(state=runs[-1].state, **inputs))
    assert [len(run.of("ACTIVATE_VERSION")) for run in runs] == [1, 0, 1]


def test_an_account_outside_of_a_part_is_missed_no_sooner_than_by_a_run_over_all(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    inputs: dict[str, Any] = {
        "catalog": full_table(tap.catalog("interviews")),
        "emit_activate_version_messages": True,
    }
    runs = [tap(**inputs)]
    runs.append(tap(state=runs[0].state, integrated_account_ids=[ids["ashby"]], **inputs))
    sandbox.account(ids["greenhouse"], is_listed=False)
    for _ in range(2):
        runs.append(tap(state=runs[-1].state, **inputs))
    assert [len(run.of("ACTIVATE_VERSION")) for run in runs] == [1, 0, 0, 1]
