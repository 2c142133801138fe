"""What the operator sees: the test of each account, progress, and the report at the end."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pty
import re
import struct
import subprocess
import termios
from collections import Counter
from contextlib import suppress
from itertools import cycle, product
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.providers import PROVIDERS
from sandbox.tables import rows
from tap_truto_ats import report
from tap_truto_ats.api.client import TrutoClient
from tap_truto_ats.api.limits import RateLimiter
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.model.shard import Shard
from tap_truto_ats.report import Report, watching
from tap_truto_ats.tap import TapTrutoAts
from tests.end_to_end.hasty import hasty, stopped
from tests.harness import Run, Tap, table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sandbox.control import Sandbox
    from tap_truto_ats.api.envelope import Page
    from tap_truto_ats.api.request import Request, Usage
    from tests.harness import Record

PATH = "/unified/ats/interviews"
PATIENCE = 20
"""Seconds after which a test fails instead of waiting for ever."""

NO_CHANGES = "its rows do not carry the time of their last change"
CHANGES = "its rows carry the time of their last change"


class TestLook:
    """`--test`: a line for each account."""

    @pytest.mark.parametrize(
        ("provider", "words"),
        [
            ("ashby", f"whole, since {NO_CHANGES}"),
            ("ceipal", f"incremental, since {CHANGES}"),
            ("fountain", f"whole, per candidate, since {NO_CHANGES}"),
            ("greenhouse", f"incremental, since {CHANGES}"),
            ("pinpoint", f"incremental, since {CHANGES}"),
        ],
    )
    def test_it_tells_how_an_account_is_read_and_why(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], provider: str, words: str
    ) -> None:
        # So many that the candidate that is asked for has some.
        sandbox.reset(interviews=80, candidates=3, rate_limits=False)
        run = tap("--test")
        assert (run.code, run.stdout) == (0, "")
        line = self.line(run, ids[provider])
        assert f"Account {ids[provider]} ({provider}): active; " in line
        assert f"; interviews: {words}, rows fetched: 1; " in line

    @staticmethod
    def line(run: Run, account: str) -> str:
        (found,) = (line for line in run.log if f"Account {account}" in line)
        return found

    def test_one_row_is_fetched_however_many_there_are(self, tap: Tap, sandbox: Sandbox) -> None:
        tap("--test")
        for one in sandbox.requests(PATH) + sandbox.requests("/unified/ats/candidates"):
            assert ["limit", "1"] in one["params"]
        assert len(sandbox.requests(PATH)) == 5
        # All five list them, and Fountain's interviews are asked for by them.
        assert len(sandbox.requests("/unified/ats/candidates")) == 5 + 1

    def test_an_account_that_does_not_offer_interviews_is_no_failure(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        sandbox.account(ids["ashby"], resources=["jobs"])
        run = tap("--test")
        assert run.code == 0
        assert "; interviews: not offered, since" in self.line(run, ids["ashby"])
        answered = [
            one["status"]
            for one in sandbox.requests(PATH)
            if ["integrated_account_id", ids["ashby"]] in one["params"]
        ]
        assert answered == [404]

    def test_an_account_that_is_not_active_is_no_failure_unless_named(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        sandbox.account(ids["ashby"], status="needs_reauth")
        run = tap("--test")
        assert run.code == 0
        line = self.line(run, ids["ashby"])
        assert "(ashby): needs_reauth; " in line
        assert "; interviews: not active, since" in line
        assert tap("--test", integrated_account_ids=[ids["ashby"]]).code == 1

    @pytest.mark.parametrize("status", [401, 403, 404, 422, 503])
    def test_what_fails_is_named_and_all_others_are_looked_at(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], status: int
    ) -> None:
        account = ids["fountain"]
        fault = {"status": status, "remote": status == 401, "times": None}
        sandbox.fault(path="/unified", integrated_account_id=account, **fault)
        run = tap("--test")
        assert run.code == 1
        assert all(account in line for line in run.errors)
        assert [run.logged(one) for one in ids.values() if one != account] == [1] * 4

    def test_what_fails_of_an_account_does_not_hide_the_rest(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        sandbox.fault(path=PATH, integrated_account_id=ids["ashby"], status=403)
        run = tap("--test")
        assert [line.count("(interviews)") for line in run.errors] == [1]
        assert run.logged(f"Account {ids['ashby']} (ashby): active; ") == 1

    def test_no_catalog_is_asked_for(self, tap: Tap) -> None:
        assert tap("--test", max_concurrency=1).code == 0


STREAMS = ("account_syncs", "candidates", "integrated_accounts", "interviews", "users")

OF_THE_RUN = {"run_started_at", "shard_count", "shard_index", "tap_version"}
"""Columns of `account_syncs` that are the same in each row of a run."""

SUMS = ("records", "requests", "retries", "waited_seconds")


def added_up(syncs: Iterable[Record]) -> dict[str, float]:
    found = list(syncs)
    return {name: sum(one[name] for one in found) for name in SUMS}


class TestReport:
    """The end of a run."""

    def test_it_adds_up_the_rows_of_account_syncs(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        catalog = tap.catalog(*STREAMS)
        known = json.dumps(tap(catalog=catalog).state).replace(ids["pinpoint"], "gone")
        sandbox.account(ids["greenhouse"], status="needs_reauth")
        sandbox.fault(path=PATH, integrated_account_id=ids["ashby"], status=403)
        sandbox.fault(path=PATH, integrated_account_id=ids["fountain"], status=500)
        sandbox.clear_requests()
        run = tap(catalog=catalog, state=json.loads(known))
        report, syncs = run.report, run.syncs.values()
        assert report["failures"] == [
            {name: one[name] for name in one.keys() - OF_THE_RUN}
            for one in syncs
            if one["status"] == "failed"
        ]
        assert {tuple(one.values()) for one in report["skipped_accounts"]} == {
            ("gone", None, None, "not listed"),
            (ids["greenhouse"], "greenhouse", "customer-0004", "not active"),
        }
        assert report["streams"][0]["stream"] == "interviews"
        # That an account is no longer listed is what the listing says of it.
        read = {"interviews": 3, "candidates": 4, "users": 3, "integrated_accounts": 6}
        assert {one["stream"]: one for one in report["streams"]} == {
            name: {
                "stream": name,
                "read": count,
                "failed": int(name == "interviews"),
                "skipped": 0 if name == "integrated_accounts" else 2,
                **added_up(one for one in syncs if one["stream"] == name),
            }
            for name, count in read.items()
        }
        assert report["providers"][0]["integration_name"] == "ashby"
        assert {one["integration_name"]: one for one in report["providers"]} == {
            name: {
                "integration_name": name,
                "read": int(name in {"ceipal", "fountain", "pinpoint"}),
                "failed": int(name == "ashby"),
                "skipped": int(name in {None, "greenhouse"}),
                **added_up(one for one in syncs if one["integration_name"] == name),
            }
            for name in (*ids, None)
        }
        assert report["not_offered"] == {"users": 1}
        assert report["records"] == sum(len(run.records(name)) for name in read)
        assert report["requests"] == len(sandbox.requests())
        assert {one["integrated_account_id"] for one in report["slowest"]} == {
            ids[name] for name in ("ashby", "ceipal", "fountain", "pinpoint")
        }

    def test_all_that_failed_and_all_that_were_skipped_are_named(
        self, tap: Tap, sandbox: Sandbox
    ) -> None:
        accounts = [{"provider": "greenhouse", "interviews": 1}] * 60
        created = [one["id"] for one in sandbox.reset(accounts=accounts, rate_limits=False)]
        failing, inactive = created[:25], created[25:50]
        for one in failing:
            sandbox.fault(path="/unified", integrated_account_id=one, status=403, times=None)
        for one in inactive:
            sandbox.account(one, status="needs_reauth")
        run = tap(catalog=tap.catalog("interviews", "users"))
        assert run.text[0].startswith("Accounts: 10 read, 25 failed, 25 skipped. ")
        error = "The provider forbids it (HTTP 403). The customer must grant access and reconnect."
        entries = [re.split(r"  +", line) for line in run.text]
        assert {entry[0] for entry in entries if entry[4:] == [error]} == set(failing)
        assert {entry[0] for entry in entries if entry[3:] == ["not active"]} == set(inactive)
        failures = [(one["integrated_account_id"], one["stream"]) for one in run.report["failures"]]
        assert sorted(failures) == sorted(product(failing, ("interviews", "users")))
        skipped = [one["integrated_account_id"] for one in run.report["skipped_accounts"]]
        assert sorted(skipped) == sorted(inactive)
        assert len(run.errors) == 25
        assert run.logged("Skipped accounts that are not active") == 1

    def test_a_long_error_ends_in_the_table_with_a_whole_word_and_in_the_data_with_its_cure(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        scopes = [f"{stream}:read" for stream in sorted(RESOURCES)]
        forbidden = {"forbidden_error": {"value": {"missing_scopes": scopes}}}
        fault = {"status": 403, "remote": True, "insight": forbidden}
        sandbox.fault(path=PATH, integrated_account_id=ids["ashby"], **fault, times=None)
        run = tap()
        (line,) = (one for one in run.text if one.startswith(ids["ashby"]))
        assert line.endswith(" activities:read, applications:read, attachments:read, …")
        (failure,) = run.report["failures"]
        assert failure["error"].endswith(
            "users:read). The customer must grant access and reconnect."
        )

    def test_an_account_that_the_token_is_not_shown_has_a_row_that_claims_nothing(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        account = ids["greenhouse"]
        sandbox.fault(path=f"/integrated-account/{account}", status=403, times=None)
        run = tap(catalog=tap.catalog(*STREAMS), integrated_account_ids=[account])
        assert run.syncs.keys() == {(account, one) for one in STREAMS if one != "account_syncs"}
        one = run.syncs[account, "integrated_accounts"]
        assert (one["records"], one["is_complete"]) == (0, False)

    @pytest.mark.parametrize("what", ["nothing odd", "refused filters", "values that do not fit"])
    def test_an_hourly_run_over_many_accounts_is_short(self, sandbox: Sandbox, what: str) -> None:
        accounts = [{"provider": name} for name, _ in zip(cycle(PROVIDERS), range(200))]
        little = {"interviews": 1, "candidates": 1, "jobs": 1}
        created = sandbox.reset(accounts=accounts, rate_limits=False, **little)
        if what == "refused filters":
            for one in created:
                sandbox.account(one["id"], refuses=["created_at", "updated_at"])
        elif what == "values that do not fit":
            rows = [{"id": "1", "start_at": "soon", "end_at": "late"}]
            sandbox.fault(path="/unified/ats/interviews", kind="rows", rows=rows, times=None)
        tap = hasty(sandbox, **{"tap_truto_ats.singer.writer:STATE_SECONDS": 5.0})
        defaults = [name for name, one in RESOURCES.items() if one.is_default]
        streams = ("account_syncs", "integrated_accounts", "departments", *defaults)
        assert len(streams) == 2 + 7
        catalog = tap.catalog(*streams)
        first = tap(catalog=catalog)
        run = tap(catalog=catalog, state=first.state)
        assert (run.code, run.report["read"]) == (0, 200)
        logged = re.split(r"^(?=\d{4}-\d\d-\d\d )", run.stderr, flags=re.MULTILINE)
        # The SDK warns at length of Pythons whose end is near.
        assert sum(one.count("\n") for one in logged if "| INFO " in one) < 40
        assert len(run.report["providers"]) == len(PROVIDERS)
        assert sum("others" in line for line in run.text) == 1
        counts = r"applications \(\d+ accounts\), candidates \(\d+ accounts\), departments \("
        assert re.match(f"Not offered by the provider: {counts}", run.text[-1])

    def test_accounts_that_a_signal_left_unread_are_counted(
        self, tap: Tap, sandbox: Sandbox
    ) -> None:
        accounts = [{"provider": "pinpoint"}, {"provider": "greenhouse"}]
        created = sandbox.reset(accounts=accounts, interviews=8, rate_limits=False)
        done, slow = (one["id"] for one in created)
        sandbox.fault(path=PATH, integrated_account_id=slow, status=429, times=None)
        run = stopped(
            tap,
            lambda written: any(done in line for line in written.splitlines() if "STATE" in line),
            {"tap_truto_ats.singer.writer:STATE_SECONDS": 0.0},
            catalog=tap.catalog("interviews"),
            max_retries=10,
        )
        assert run.code == 143
        assert run.text[0].startswith("Accounts: 1 read, 0 failed, 0 skipped, 1 unfinished. ")

    def test_filters_that_providers_do_not_take_are_told_in_one_line(self, tap: Tap) -> None:
        run = tap(filters={"interviews": {"job_interview_stage_id": "1"}})
        (line,) = (line for line in run.log if "take no" in line)
        assert "The providers of 4 accounts take no job_interview_stage_id: rows of" in line

    @pytest.mark.parametrize(("seconds", "count"), [(0.002, 1), (0.004, 0)])
    def test_what_takes_long_is_told(
        self, sandbox: Sandbox, ids: dict[str, str], seconds: float, count: int
    ) -> None:
        # Three requests, of which this account may have ten thousand in ten seconds.
        run = hasty(sandbox, **{"tap_truto_ats.sync.fan_out:LONG_SECONDS": seconds})()
        line = f"Account {ids['fountain']}: 3 of 3 candidates, a request each or more"
        assert run.logged(line) == count

    @pytest.mark.parametrize(
        ("level", "handlers", "are_shown"),
        [("INFO", [], False), ("DEBUG", [], True), ("INFO", ["stderr"], True)],
        ids=["usual", "debug", "a handler of their own"],
    )
    def test_the_sdks_metrics_come_to_those_who_want_them(
        self,
        tap: Tap,
        tmp_path: Path,
        level: str,
        handlers: list[str],
        are_shown: bool,  # noqa: FBT001
    ) -> None:
        logs = tmp_path / "logs.json"
        stderr = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
        metrics = {"singer_sdk.metrics": {"handlers": handlers, "propagate": not handlers}}
        config = {"version": 1, "handlers": {"stderr": stderr}, "loggers": metrics}
        logs.write_text(json.dumps({**config, "disable_existing_loggers": False}))
        run = tap(env={"LOGLEVEL": level, "SINGER_SDK_LOG_CONFIG": str(logs)})
        assert ("METRIC" in run.stderr) is are_shown

    def test_waiting_for_a_limit_is_told(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        account = ids["ashby"]
        wait = {"status": 429, "headers": {"Retry-After": "1"}}
        sandbox.fault(path=PATH, integrated_account_id=account, **wait)
        (entry,) = tap(integrated_account_ids=[account]).report["providers"]
        assert (entry["retries"], entry["waited_seconds"]) == (1, 1.0)

    def test_structured_logs_hold_it_as_data(self, tap: Tap, tmp_path: Path) -> None:
        logs = tmp_path / "logs.json"
        formatter = {"()": "singer_sdk.logging.StructuredFormatter"}
        handler = {"class": "logging.StreamHandler", "formatter": "json"}
        logs.write_text(
            json.dumps(
                {
                    "version": 1,
                    "disable_existing_loggers": False,
                    "formatters": {"json": formatter},
                    "handlers": {"stderr": {**handler, "stream": "ext://sys.stderr"}},
                    "root": {"level": "INFO", "handlers": ["stderr"]},
                }
            )
        )
        run = tap(env={"SINGER_SDK_LOG_CONFIG": str(logs)})
        lines = [json.loads(line) for line in run.stderr.splitlines()]
        (report,) = (line["extra"]["report"] for line in lines if "report" in line["extra"])
        assert report["read"] == 5

    def test_a_run_that_ends_at_once_has_none(self, tap: Tap) -> None:
        run = tap(api_token="no-such-token")
        assert "REPORT" not in run.stderr


class TestProgress:
    """A run that takes its time."""

    def test_in_a_log_a_line_comes_now_and_then(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        logged = Event()
        waiting = Counter({"account": 2, "failing": 1})
        monkeypatch.setattr(report, "LOG_SECONDS", 1e-3)
        monkeypatch.setattr(report.logger, "info", lambda *_, **__: logged.set())
        shown = Report(lambda: list("abc"), lambda: waiting, RateLimiter(), Shard(2, 64))
        shown.begin(4)
        with watching(shown):
            assert logged.wait(PATIENCE)
        assert shown.progress() == (
            "shard 2 of 64: 1 of 4 accounts done, 0 rows (0 a second), 0 requests;"
            " waiting: 2 for the account's limit, 1 to try again"
        )
        assert caplog.records == []

    def test_on_a_terminal_one_line_stays_below_the_log(
        self, tap: Tap, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        sandbox.fault(path=PATH, kind="delay", seconds=1.2)
        config = tap.config(max_concurrency=1)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        with os.fdopen(ours, "rb", buffering=0) as screen:
            done = subprocess.Popen(
                tap.command(tmp_path, config=config, catalog=tap.catalog()),
                stdout=subprocess.PIPE,
                stderr=theirs,
            )
            os.close(theirs)
            assert done.stdout
            stdout = done.stdout.read()
            done.stdout.close()
            assert done.wait(PATIENCE) == 0
            seen = _everything(screen.fileno())
        assert "\r0 of 5 accounts done, 0 rows (0 a second), 2 requests" in seen
        assert "Accounts: 5 read, 0 failed, 0 skipped." in seen
        assert "| INFO     | tap-truto-ats" in seen
        messages = [json.loads(line) for line in stdout.splitlines()]
        assert {one["type"] for one in messages} == {"SCHEMA", "RECORD", "STATE"}


def _everything(terminal: int) -> str:
    """Read what was written to a terminal whose other side is closed."""
    seen = b""
    with suppress(OSError):
        while True:
            seen += os.read(terminal, 65_536)
    return seen.decode()


class TestFailOnAccountError:
    """Whether an account that could not be read makes the run a failure."""

    @pytest.mark.parametrize(("fails", "code"), [(None, 1), (True, 1), (False, 0)])
    def test_failed_accounts_are_reported_either_way(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], fails: object, code: int
    ) -> None:
        sandbox.fault(path=PATH, integrated_account_id=ids["ashby"], status=403)
        run = tap(fail_on_account_error=fails)
        assert run.code == code
        assert len(run.errors) == 1
        (failure,) = run.report["failures"]
        assert failure["integrated_account_id"] == ids["ashby"]
        assert table(run) == rows(
            row for row in sandbox.interviews() if row["integrated_account_id"] != ids["ashby"]
        )

    def test_a_refused_token_is_not_excused(self, tap: Tap) -> None:
        assert tap(fail_on_account_error=False, api_token="no-such-token").code == 1

    def test_accounts_that_cannot_be_listed_are_not_excused(
        self, tap: Tap, sandbox: Sandbox
    ) -> None:
        sandbox.fault(path="/integrated-account", status=403)
        assert tap(fail_on_account_error=False).code == 1

    def test_a_fault_of_the_tap_is_not_excused(
        self,
        tap: Tap,
        ids: dict[str, str],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        fetch = TrutoClient.fetch

        def broken(self: TrutoClient, request: Request, usage: Usage) -> Page:
            if request.account_id == ids["ashby"]:
                raise ZeroDivisionError
            return fetch(self, request, usage)

        monkeypatch.setattr(TrutoClient, "fetch", broken)
        caplog.set_level(logging.CRITICAL, "tap-truto-ats")
        tap_ = TapTrutoAts(config=tap.config(fail_on_account_error=False), catalog=tap.catalog())
        with pytest.raises(SystemExit) as ended:
            tap_.carry_out(tap_.sync_all)
        assert ended.value.code == 1
        assert [one.error.is_fault for one in tap_.run.accounts.failures.values()] == [True]


def test_testing_does_not_excuse_anything_else(tap: Tap, sandbox: Sandbox) -> None:
    sandbox.fault(path=PATH, status=403)
    settings: dict[str, Any] = {"fail_on_account_error": False}
    assert tap("--test", **settings).code == 1
