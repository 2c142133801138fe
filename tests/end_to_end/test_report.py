"""What the operator sees: the test of each account, progress, and the report at the end."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pty
import struct
import subprocess
import termios
from collections import Counter
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats import report
from tap_truto_ats.api.client import TrutoClient
from tap_truto_ats.api.limits import RateLimiter
from tap_truto_ats.report import Report, watching
from tap_truto_ats.tap import TapTrutoAts
from tests.harness import Run, Tap, full_table, rows, table

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.control import Sandbox
    from tap_truto_ats.api.envelope import Page
    from tap_truto_ats.api.request import Request, Usage

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
        self, tap: Tap, ids: dict[str, str], provider: str, words: str
    ) -> None:
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
        assert "; interviews: inactive, since" in line
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


class TestReport:
    """The end of a run."""

    def test_each_account_has_an_entry(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        first = tap(page_size=3)
        sandbox.add(ids["greenhouse"], updated_at="2026-06-01T00:00:00Z")
        sandbox.fault(path=PATH, integrated_account_id=ids["greenhouse"], status=500)
        run = tap(page_size=3, state=first.state)
        assert run.report[ids["greenhouse"]] == {
            "account": ids["greenhouse"],
            "stream": "interviews",
            "provider": "greenhouse",
            "mode": "incremental",
            "pages": 1,
            "rows": 2,
            "retries": 1,
            "waited_seconds": 0.0,
            "bookmark_before": first.bookmarks[ids["greenhouse"]],
            "bookmark_after": "2026-06-01T00:00:00.000000+00:00",
            "error": None,
        }
        assert run.report[ids["fountain"]] == {
            "account": ids["fountain"],
            "stream": "interviews",
            "provider": "fountain",
            "mode": "whole, per candidate",
            "pages": 1 + 3 + sum(n > 3 for n in self.by_candidate(sandbox, ids).values()),
            "rows": 8,
            "retries": 0,
            "waited_seconds": 0.0,
            "bookmark_before": None,
            "bookmark_after": None,
            "error": None,
        }

    @staticmethod
    def by_candidate(sandbox: Sandbox, ids: dict[str, str]) -> Counter[str]:
        return Counter(row["candidate"]["id"] for row in sandbox.interviews(ids["fountain"]))

    def test_failures_come_first_and_the_rest_is_summed(self, tap: Tap, sandbox: Sandbox) -> None:
        accounts = [{"provider": "greenhouse", "interviews": 3}] * 30
        created = [one["id"] for one in sandbox.reset(accounts=accounts, rate_limits=False)]
        sandbox.fault(path=PATH, integrated_account_id=created[7], status=403)
        run = tap()
        entries = list(run.report.values())
        assert len(entries) == 21
        assert entries[0]["account"] == created[7]
        assert "forbids" in entries[0]["error"]
        assert [entry["rows"] for entry in entries] == [0, *[3] * 19, 30]
        assert entries[20] == {
            **dict.fromkeys(entries[0]),
            "account": "10 others",
            "pages": 10,
            "rows": 30,
            "retries": 0,
            "waited_seconds": 0.0,
        }

    def test_the_table_holds_the_same(self, tap: Tap, ids: dict[str, str]) -> None:
        run = tap()
        lines = run.stderr.splitlines()
        begin = next(n for n, line in enumerate(lines) if "5 of 5 accounts done" in line)
        heads, *found = lines[begin + 1 : begin + 7]
        assert heads.split() == [
            *(
                "account",
                "stream",
                "provider",
                "mode",
                "pages",
                "rows",
                "retries",
                "waited",
                "seconds",
            ),
            *("bookmark", "before", "bookmark", "after", "error"),
        ]
        assert {line.split()[0] for line in found} == set(ids.values())
        greenhouse = next(line for line in found if "greenhouse" in line)
        assert run.bookmarks[ids["greenhouse"]][:19] in greenhouse
        assert greenhouse.split()[3:7] == ["incremental", "1", "8", "0"]

    def test_waiting_for_a_limit_is_told(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        account = ids["ashby"]
        wait = {"status": 429, "headers": {"Retry-After": "1"}}
        sandbox.fault(path=PATH, integrated_account_id=account, **wait)
        entry = tap(integrated_account_ids=[account]).report[account]
        assert (entry["retries"], entry["waited_seconds"]) == (1, 1.0)

    def test_a_full_table_says_why_it_is_whole(self, tap: Tap, ids: dict[str, str]) -> None:
        run = tap(catalog=full_table(tap.catalog()))
        assert run.report[ids["greenhouse"]]["mode"] == "whole"

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
        (entries,) = (line["extra"]["report"] for line in lines if "report" in line["extra"])
        assert len(entries) == 5

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
        shown = Report(lambda: 3, lambda: waiting, RateLimiter())
        shown.begin(4)
        with watching(shown):
            assert logged.wait(PATIENCE)
        assert shown.progress() == (
            "1 of 4 accounts done, 0 rows (0 a second), 0 requests;"
            " waiting: 2 for the limit of the account, 1 to try again"
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
        assert "5 of 5 accounts done" in seen
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
        assert run.report[ids["ashby"]]["error"]
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
