"""What runs leave in the warehouse, and how they follow one another."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.tables import rows
from tap_truto_ats.model.instants import parse_instant
from tests.harness import Run, deselect, table

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.control import Sandbox
    from tests.harness import Tap

PATH = "/unified/ats/interviews"
WITH_CHANGES = ("ceipal", "greenhouse", "pinpoint")
WITHOUT_CHANGES = ("ashby", "fountain")


def state_of(bookmarks: dict[str, str]) -> dict[str, Any]:
    partitions = [
        {
            "context": {"integrated_account_id": account},
            "replication_key": "updated_at",
            "replication_key_value": value,
        }
        for account, value in bookmarks.items()
    ]
    return {"bookmarks": {"interviews": {"partitions": partitions}}}


def newest(sandbox: Sandbox, account: str) -> str:
    times: list[str] = [row["updated_at"] for row in sandbox.interviews(account)]
    return max(at for at in times if at)


def emitted(run: Run, account: str) -> set[str]:
    return {row["id"] for row in run.records() if row["integrated_account_id"] == account}


class TestFullReads:
    def test_a_read_equals_the_source(self, tap: Tap, sandbox: Sandbox) -> None:
        run = tap()
        assert run.code == 0
        assert table(run) == rows(sandbox.interviews())
        assert len(run.records()) == len(table(run))

    def test_two_reads_are_equal(self, tap: Tap) -> None:
        assert table(tap()) == table(tap())

    @pytest.mark.parametrize("page_size", [1, 3, 1000])
    @pytest.mark.parametrize("max_concurrency", [1, 2, 100])
    def test_pages_and_concurrency_change_nothing(
        self, tap: Tap, sandbox: Sandbox, page_size: int, max_concurrency: int
    ) -> None:
        run = tap(page_size=page_size, max_concurrency=max_concurrency)
        assert table(run) == rows(sandbox.interviews())

    def test_raw_data_comes_when_asked_for(self, tap: Tap, sandbox: Sandbox) -> None:
        run = tap(include_remote_data=True)
        truth = {(row["integrated_account_id"], row["id"]): row for row in sandbox.interviews()}
        got = {(row["integrated_account_id"], row["id"]): row for row in run.records()}
        assert got == truth

    def test_every_column_is_in_every_record(self, tap: Tap) -> None:
        run = tap()
        columns = run.of("SCHEMA")[0]["schema"]["properties"].keys()
        assert all(record.keys() == columns for record in run.records())

    def test_accounts_come_with_tenant_and_provider(self, tap: Tap, sandbox: Sandbox) -> None:
        sandbox.account(sandbox.accounts()[0]["id"], status="needs_reauth", last_error={"code": 7})
        got = {row["id"]: row for row in tap().records("integrated_accounts")}
        for account in sandbox.accounts():
            row = got.pop(account["id"])
            assert row["integration_name"] == account["integration"]["name"]
            assert row["tenant_id"] == account["tenant_id"]
            assert row["status"] == account["status"]
            assert row["is_sandbox"] is account["is_sandbox"]
            for name in ("created_at", "updated_at"):
                assert parse_instant(row[name]) == parse_instant(account[name])
                assert row[name].endswith("+00:00")
            error = account["last_error"]
            assert row["last_error"] == (error and json.dumps(error, separators=(",", ":")))
        assert got == {}

    def test_an_accounts_odd_values_become_null_with_a_warning_each(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        account = ids["ashby"]
        odd = {"id": account, "created_at": "soon", "is_sandbox": "maybe", "updated_at": None}
        path = f"/integrated-account/{account}"
        sandbox.fault(path=path, kind="body_override", body=odd)
        run = tap(integrated_account_ids=[account])
        (row,) = run.records("integrated_accounts")
        assert (row["created_at"], row["is_sandbox"]) == (None, None)
        for name in ("created_at", "is_sandbox"):
            assert run.logged(f"1 values of integrated_accounts.{name} did not fit") == 1

    def test_an_account_named_twice_is_read_once(self, tap: Tap, ids: dict[str, str]) -> None:
        run = tap(integrated_account_ids=[ids["ashby"], ids["ashby"]])
        assert len(run.records()) == len(table(run)) == 8
        assert len(run.records("integrated_accounts")) == 1

    def test_found_accounts_are_of_the_tenants(self, tap: Tap, sandbox: Sandbox) -> None:
        sandbox.reset(
            interviews=2,
            accounts=[
                {"provider": "ashby", "tenant_id": "one"},
                {"provider": "ashby", "tenant_id": "two"},
                {"provider": "pinpoint", "tenant_id": "three"},
                {"provider": "hubspot", "tenant_id": "one"},
            ],
        )
        accounts = [one["id"] for one in sandbox.accounts()]
        run = tap(tenant_ids=["one", "three"], page_size=1)
        assert {row["id"] for row in run.records("integrated_accounts")} == {
            accounts[0],
            accounts[2],
        }
        assert {key[0] for key in table(run)} == {accounts[0], accounts[2]}
        asked = [dict(one["params"]) for one in sandbox.requests("/integrated-account")]
        assert {one["tenant_id"] for one in asked} == {"one", "three"}

    def test_discovered_accounts_cost_no_further_request(self, tap: Tap, sandbox: Sandbox) -> None:
        accounts = [{"provider": "ashby"}] * 60
        sandbox.reset(accounts=accounts, interviews=1, rate_limits=False)
        run = tap()
        assert len(table(run)) == 60
        assert len(sandbox.requests("/integrated-account")) == 1
        assert len(sandbox.requests(PATH)) == 60
        assert len(sandbox.requests()) == 1 + 60

    @pytest.mark.parametrize(
        ("streams", "look"),
        [
            (["interviews", "jobs"], "/capabilities?type=unified"),
            (["integrated_accounts", "interviews", "jobs"], "?"),
        ],
    )
    def test_named_accounts_cost_a_look_at_each(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], streams: list[str], look: str
    ) -> None:
        account = ids["ashby"]
        tap(catalog=tap.catalog(*streams), integrated_account_ids=[account])
        asked = [f"{one['path']}?{one['query']}" for one in sandbox.requests()]
        assert asked[0] == f"/integrated-account/{account}{look}"
        assert [one.split("?")[0] for one in asked[1:]] == [PATH, "/unified/ats/jobs"]


class TestIncrementalReads:
    def test_the_second_run_sends_the_lookback_only(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        first = tap()
        assert first.bookmarks == {ids[name]: newest(sandbox, ids[name]) for name in WITH_CHANGES}
        second = tap(state=first.state, lookback_seconds=3600)
        for name in WITH_CHANGES:
            edge = datetime.fromisoformat(first.bookmarks[ids[name]]) - timedelta(hours=1)
            truth = {
                row["id"]
                for row in sandbox.interviews(ids[name])
                if datetime.fromisoformat(row["updated_at"]) >= edge
            }
            assert emitted(second, ids[name]) == truth
            assert len(truth) < 8
        for name in WITHOUT_CHANGES:
            assert len(emitted(second, ids[name])) == 8
        assert second.bookmarks == first.bookmarks
        assert second.messages[-1]["type"] == "STATE"

    def test_changes_arrive(self, tap: Tap, sandbox: Sandbox) -> None:
        first = tap()
        for account in (one["id"] for one in sandbox.accounts()):
            keys = [row["id"] for row in sandbox.interviews(account)]
            sandbox.add(account, status="scheduled")
            sandbox.cancel(account, keys[0])
            sandbox.change(account, keys[3], end_at="2026-07-01T10:00:00.000000+00:00")
        second = tap(state=first.state)
        assert table(first) != rows(sandbox.interviews())
        assert table(first, second) == rows(sandbox.interviews())

    def test_what_was_read_is_asked_for_again_from_the_bookmark_on(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        at = "2026-03-01T10:00:00+02:00"
        tap(state=state_of(dict.fromkeys(ids.values(), at)), lookback_seconds=60)
        edge = "2026-03-01T07:59:00.000000+00:00"
        sent = {
            dict(one["params"])["integrated_account_id"]: {
                tuple(pair) for pair in one["params"] if pair[0].startswith("updated")
            }
            for one in sandbox.requests(PATH)
        }
        asked = {("updated_at[gte]", edge)}
        assert sent == {
            ids["ashby"]: set(),
            ids["fountain"]: set(),
            ids["ceipal"]: asked,
            ids["pinpoint"]: asked,
            ids["greenhouse"]: asked | {("updated[gte]", edge)},
        }

    @pytest.mark.parametrize(
        "spelling",
        [
            "2026-03-01T10:00:00Z",
            "2026-03-01 10:00:00",
            "2026-03-01T12:00:00+02:00",
            "2026-03-01T10:00:00.000000+00:00",
            "20260301T100000Z",
        ],
    )
    def test_a_bookmark_of_any_spelling_is_read_as_an_instant(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], spelling: str
    ) -> None:
        account = ids["pinpoint"]
        keys = [row["id"] for row in sandbox.interviews(account)]
        times = ["2026-03-01T09:59:59Z", "2026-03-01T10:00:00Z", "2026-03-01T09:30:00-01:00"]
        for key, at in zip(keys, times, strict=False):
            sandbox.change(account, key, updated_at=at)
        for key in keys[3:]:
            sandbox.delete(account, key)
        run = tap(
            integrated_account_ids=[account],
            state=state_of({account: spelling}),
            lookback_seconds=0,
        )
        assert emitted(run, account) == set(keys[1:3])
        assert run.bookmarks == {account: "2026-03-01T10:30:00.000000+00:00"}

    def test_a_bookmark_in_the_future_yields_no_rows_and_no_error(
        self, tap: Tap, ids: dict[str, str]
    ) -> None:
        future = state_of({ids["pinpoint"]: "2999-01-01T00:00:00Z"})
        run = tap(integrated_account_ids=[ids["pinpoint"]], state=future)
        assert (run.code, run.records()) == (0, [])
        assert run.bookmarks == {ids["pinpoint"]: "2999-01-01T00:00:00Z"}

    def test_rows_dated_in_the_future_do_not_move_the_bookmark(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        account = ids["greenhouse"]
        row = sandbox.interviews(account)[0]
        before = newest(sandbox, account)
        sandbox.change(account, row["id"], updated_at="2999-01-01T00:00:00Z")
        run = tap(integrated_account_ids=[account])
        assert run.bookmarks == {account: before}
        assert len(emitted(run, account)) == 8

    def test_a_bookmark_never_moves_back(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        account = ids["ceipal"]
        bookmark = newest(sandbox, account)
        run = tap(
            integrated_account_ids=[account],
            state=state_of({account: bookmark}),
            lookback_seconds=10**9,
        )
        assert len(emitted(run, account)) == 8
        assert run.bookmarks == {account: bookmark}

    def test_other_accounts_keep_their_bookmarks(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        others = {"gone-account": "2026-01-01T00:00:00Z", ids["ceipal"]: "2026-01-02T00:00:00Z"}
        run = tap(integrated_account_ids=[ids["pinpoint"]], state=state_of(others))
        moved = {ids["pinpoint"]: newest(sandbox, ids["pinpoint"])}
        assert run.bookmarks == others | moved

    def test_full_table_replication_reads_whole_and_leaves_the_bookmark(
        self, tap: Tap, ids: dict[str, str]
    ) -> None:
        catalog = tap.catalog()
        for entry in catalog["streams"]:
            entry["replication_method"] = "FULL_TABLE"
        state = state_of({ids["pinpoint"]: "2026-03-01T00:00:00Z"})
        run = tap(integrated_account_ids=[ids["pinpoint"]], state=state, catalog=catalog)
        assert len(emitted(run, ids["pinpoint"])) == 8
        assert run.bookmarks == {ids["pinpoint"]: "2026-03-01T00:00:00Z"}


class TestStartDate:
    EDGE = "2026-01-01T00:00:00+00:00"

    def expected(self, sandbox: Sandbox) -> set[tuple[str, str]]:
        return {
            (row["integrated_account_id"], row["id"])
            for row in sandbox.interviews()
            if (row["updated_at"] or row["created_at"] or "9999") >= self.EDGE
        }

    def test_older_rows_are_not_emitted(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        run = tap(start_date=self.EDGE)
        assert set(table(run)) == self.expected(sandbox)
        assert len(emitted(run, ids["fountain"])) == 8
        assert 0 < len(emitted(run, ids["ashby"])) < 8

    def test_later_than_a_bookmark_it_takes_its_place(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        account = ids["pinpoint"]
        state = state_of({account: "2020-01-01T00:00:00Z"})
        run = tap(integrated_account_ids=[account], state=state, start_date=self.EDGE)
        assert set(table(run)) == {key for key in self.expected(sandbox) if key[0] == account}

    def test_earlier_than_a_bookmark_it_changes_nothing(self, tap: Tap) -> None:
        state = tap().state
        assert table(tap(state=state, start_date="2000-01-01")) == table(tap(state=state))

    def test_deselecting_what_it_goes_by_changes_nothing(self, tap: Tap, sandbox: Sandbox) -> None:
        catalog = deselect(tap.catalog(), "created_at")
        run = tap(start_date=self.EDGE, catalog=catalog)
        assert set(table(run)) == self.expected(sandbox)
        assert all("created_at" not in record for record in run.records())


class TestFailures:
    def test_one_failing_account_of_three_costs_only_itself(
        self, tap: Tap, sandbox: Sandbox
    ) -> None:
        accounts = [{"provider": name} for name in ("greenhouse", "pinpoint", "ceipal")]
        good, bad, last = (
            one["id"] for one in sandbox.reset(accounts=accounts, interviews=9, rate_limits=False)
        )
        sandbox.fault(path=PATH, integrated_account_id=bad, skip=1, status=403, times=None)
        first = tap(page_size=3)
        assert first.code == 1
        assert len(emitted(first, bad)) == 3
        assert first.bookmarks.keys() == {good, last}
        sandbox.clear_faults()
        second = tap(state=first.state)
        assert second.code == 0
        assert len(emitted(second, bad)) == 9
        assert len(emitted(second, good)) == 1
        assert table(first, second) == rows(sandbox.interviews())

    def test_a_run_can_be_resumed_from_each_of_its_states(self, tap: Tap, sandbox: Sandbox) -> None:
        first = tap(page_size=3, max_concurrency=2)
        assert len(first.states) >= len(WITH_CHANGES)
        for number, message in enumerate(first.messages):
            if message["type"] != "STATE":
                continue
            before = Run(0, "\n".join(map(json.dumps, first.messages[: number + 1])), "")
            rest = tap(state=message["value"])
            assert table(before, rest) == rows(sandbox.interviews())

    def test_a_state_holds_no_account_whose_rows_are_not_out(
        self, tap: Tap, sandbox: Sandbox
    ) -> None:
        truth = rows(sandbox.interviews())
        out: set[tuple[str, str]] = set()
        for message in tap(page_size=2).messages:
            if message["type"] == "RECORD" and message["stream"] == "interviews":
                record = message["record"]
                out.add((record["integrated_account_id"], record["id"]))
            elif message["type"] == "STATE":
                state = message["value"]["bookmarks"].get("interviews", {})
                for partition in state.get("partitions", ()):
                    account = partition["context"]["integrated_account_id"]
                    assert {key for key in truth if key[0] == account} <= out

    def test_killed_in_the_middle_it_converges(
        self, tap: Tap, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        slow = {"path": PATH, "kind": "delay", "seconds": 60, "times": None}
        for account in (one["id"] for one in sandbox.accounts()[2:]):
            sandbox.fault(integrated_account_id=account, skip=1, **slow)
        command = tap.command(tmp_path, config=tap.config(page_size=3), catalog=tap.catalog())
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "STATE" in line:
                    break
            process.send_signal(signal.SIGKILL)
            lines += [line for line in process.stdout if line.endswith("\n")]
        killed = Run(process.returncode, "".join(lines), "")
        assert killed.code == -signal.SIGKILL
        sandbox.clear_faults()
        rest = tap(state=killed.state)
        assert table(killed) != table(killed, rest) == rows(sandbox.interviews())

    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_the_run_with_the_state_reached(
        self, tap: Tap, sandbox: Sandbox, tmp_path: Path, signum: signal.Signals
    ) -> None:
        accounts = [{"provider": "pinpoint"}, {"provider": "greenhouse"}]
        done, slow = (
            one["id"] for one in sandbox.reset(accounts=accounts, interviews=8, rate_limits=False)
        )
        sandbox.fault(path=PATH, integrated_account_id=slow, status=429, times=None)
        command = tap.command(tmp_path, config=tap.config(), catalog=tap.catalog())
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "STATE" in line and done in line.partition('"interviews":')[2]:
                    break
            asked = time.monotonic()
            process.send_signal(signum)
            rest, log = process.communicate(timeout=30)
            assert time.monotonic() - asked < 10
        run = Run(process.returncode, "".join(lines) + rest, log)
        assert run.code == 128 + signum
        assert run.bookmarks.keys() == {done}
        assert "Traceback" not in log


class TestOrder:
    def test_pages_are_handled_in_the_order_in_which_they_arrive(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        slow = ids["ashby"]
        sandbox.fault(path=PATH, integrated_account_id=slow, kind="delay", seconds=1.0)
        accounts = [row["integrated_account_id"] for row in tap(page_size=2).records()]
        assert accounts[-8:] == [slow] * 8

    def test_no_more_requests_than_allowed_are_under_way_at_once(
        self, tap: Tap, sandbox: Sandbox
    ) -> None:
        sandbox.reset(accounts=[{"provider": "ashby"}] * 6, interviews=4, rate_limits=False)
        sandbox.fault(path=PATH, kind="delay", seconds=0.1, times=None)
        run = tap(page_size=2, max_concurrency=2)
        assert table(run) == rows(sandbox.interviews())
        begun = [one["at"] for one in sandbox.requests(PATH)]
        assert len(begun) == 12
        # No answer comes earlier than a tenth of a second after its request.
        assert all(third - first > 0.09 for first, third in zip(begun, begun[2:], strict=False))


class TestFountain:
    """Interviews that a provider lists per candidate only."""

    @pytest.fixture
    def account(self, sandbox: Sandbox) -> str:
        accounts = [{"provider": "fountain"}]
        created: str = sandbox.reset(
            accounts=accounts, interviews=12, candidates=5, rate_limits=False
        )[0]["id"]
        return created

    def test_each_candidate_is_asked_for(self, tap: Tap, sandbox: Sandbox, account: str) -> None:
        run = tap(page_size=2)
        assert table(run) == rows(sandbox.interviews(account))
        asked = [dict(one["params"]).get("candidate_id") for one in sandbox.requests(PATH)]
        assert None not in asked
        assert len(set(asked)) == 5
        assert len(sandbox.requests("/unified/ats/candidates")) == 3

    @pytest.mark.usefixtures("account")
    def test_no_schema_and_no_state_for_a_candidate(self, tap: Tap) -> None:
        run = tap()
        assert len(run.of("SCHEMA")) == 1
        assert len(run.states) <= 4

    def test_a_candidate_in_the_filters_is_asked_for_directly(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        row = sandbox.interviews(account)[0]
        candidate = row["candidate"]["id"]
        run = tap(filters={"interviews": {"candidate_id": candidate}})
        assert sandbox.requests("/unified/ats/candidates") == []
        assert len(sandbox.requests(PATH)) == 1
        assert table(run) == rows(
            row for row in sandbox.interviews(account) if row["candidate"]["id"] == candidate
        )

    def test_a_candidate_that_is_gone_is_passed_over(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        gone = sandbox.interviews(account)[0]["candidate"]["id"]
        sandbox.fault(path=PATH, params={"candidate_id": gone}, status=404, times=None)
        run = tap()
        assert run.code == 0
        assert run.logged("1 were gone") == 1
        assert table(run) == rows(
            row for row in sandbox.interviews(account) if row["candidate"]["id"] != gone
        )

    def test_candidates_that_cannot_be_listed_fail_the_account(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        sandbox.fault(path="/unified/ats/candidates", status=403)
        run = tap()
        assert run.code == 1
        assert len(run.errors) == 1
        assert account in run.errors[0]


class TestBadRows:
    def test_rows_without_an_id_are_counted_and_not_emitted(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        account = ids["pinpoint"]
        bad: list[Any] = [{"status": "draft"}, {"id": None}, {"id": ""}, {"id": {}}, None, 7]
        good = [{"id": 1, "updated_at": "2026-01-01"}, {"id": 0}, {"id": "x"}]
        sandbox.fault(path=PATH, integrated_account_id=account, kind="rows", rows=bad + good)
        run = tap(integrated_account_ids=[account])
        assert run.code == 0
        assert emitted(run, account) == {"1", "0", "x"}
        assert (
            run.logged("6 rows of interviews without an id, or with one too long, were not emitted")
            == 1
        )
        assert run.bookmarks == {account: "2026-01-01T00:00:00.000000+00:00"}

    def test_times_that_cannot_be_read_become_null_with_one_line_each(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        account = ids["pinpoint"]
        bad = [{"id": n, "start_at": "soon", "end_at": 12} for n in range(3)]
        sandbox.fault(path=PATH, integrated_account_id=account, kind="rows", rows=bad)
        run = tap(integrated_account_ids=[account])
        assert [(row["start_at"], row["end_at"]) for row in run.records()] == [(None, None)] * 3
        kept = [row["custom_fields"] for row in run.records()]
        assert kept == [{"start_at": "soon", "end_at": 12}] * 3
        for name in ("start_at", "end_at"):
            assert run.logged(f"3 values of interviews.{name} did not fit") == 1
        assert "soon" not in run.stderr


class TestFormats:
    @pytest.mark.parametrize("name", ["normalized", "stream"])
    def test_normalized_and_stream_give_the_same_rows(
        self, tap: Tap, sandbox: Sandbox, name: str
    ) -> None:
        run = tap(response_format=name, page_size=3)
        assert table(run) == rows(sandbox.interviews())
        assert run.bookmarks == tap().bookmarks

    def test_raw_gives_the_providers_rows(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        state = state_of({ids["pinpoint"]: "2026-03-01T00:00:00Z"})
        run = tap(response_format="raw", page_size=3, state=state)
        truth = {
            (row["integrated_account_id"], row["id"]): row["remote_data"]
            for row in sandbox.interviews()
        }
        got = {(row["integrated_account_id"], row["id"]): row for row in run.records()}
        assert {key: row["remote_data"] for key, row in got.items()} == truth
        assert all(row["status"] is None for row in got.values())
        assert run.bookmarks == {ids["pinpoint"]: "2026-03-01T00:00:00Z"}

    @pytest.mark.parametrize("kind", ["truncated", "garbage", "null_result", "reset"])
    def test_a_stream_that_breaks_is_asked_for_again(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], kind: str
    ) -> None:
        sandbox.fault(path=PATH, integrated_account_id=ids["pinpoint"], kind=kind)
        run = tap(response_format="stream")
        assert run.code == 0
        found = table(run)
        if kind == "garbage":  # A row comes before it, and is out already.
            del found[ids["pinpoint"], "1"]
        assert found == rows(sandbox.interviews())

    def test_a_stream_is_read_while_it_arrives(self, tap: Tap, sandbox: Sandbox) -> None:
        """Rows from before a break are out already, and come again with the next try."""
        sandbox.reset(accounts=[{"provider": "ashby"}], interviews=1000, rate_limits=False)
        sandbox.fault(path=PATH, kind="truncated")
        run = tap(response_format="stream", page_size=1000)
        assert run.code == 0
        assert len(run.records()) > len(table(run)) == 1000

    def test_a_stream_that_always_breaks_ends_the_account(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        account = ids["pinpoint"]
        fault = {"kind": "truncated", "times": None}
        sandbox.fault(path=PATH, integrated_account_id=account, **fault)
        run = tap(response_format="stream", max_retries=1)
        assert run.code == 1
        assert account not in run.bookmarks
        assert (
            sum(
                ["integrated_account_id", account] in one["params"]
                for one in sandbox.requests(PATH)
            )
            == 2
        )

    def test_rows_keyed_by_a_field_are_rows(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        for name in ("unified", "stream"):
            sandbox.fault(path=PATH, integrated_account_id=ids["ashby"], kind="keyed")
            run = tap(response_format=name)
            assert table(run) == rows(sandbox.interviews())
