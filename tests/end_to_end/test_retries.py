"""How often what fails is tried, what it costs its account, and what it is called."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.tables import rows
from tap_truto_ats.model.resources import RESOURCES
from tests.end_to_end.hasty import LONGEST_WAIT, MOST_EMPTY_PAGES, hasty
from tests.harness import Run, Tap, full_table, spread, table

if TYPE_CHECKING:
    from sandbox.control import Sandbox

BASE = "/unified/ats/"
PATH = BASE + "interviews"
LISTING = "/integrated-account"

CLOCK = datetime(2020, 2, 29, 23, 59, 30, tzinfo=timezone.utc)
"""What the clock of a server shows that is years off."""

FAILURES: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "502": {"status": 502},
    "504 of the provider": {"status": 504, "remote": True},
    "503 of the provider": {"status": 503, "remote": True},
    "408": {"status": 408},
    "520": {"status": 520},
    "broken off": {"kind": "truncated"},
    "an error that breaks off": {"kind": "truncated", "status": 503},
    "reset": {"kind": "reset"},
    "no JSON": {"kind": "garbage"},
    "HTML": {"kind": "html"},
}

NOT_TRUTOS: dict[str, Any] = {
    "a CDN's page": "<html><body>Just a moment</body></html>",
    "a text": "no healthy upstream",
    "nothing": "",
    "a list": [{"statusCode": 503}],
    "no message": {"statusCode": 503, "error": "Service Unavailable"},
    "no error": {"statusCode": 503, "message": "The account is blocked"},
    "no status": {"error": "Service Unavailable", "message": "The account is blocked"},
    "another status": {"statusCode": 502, "error": "Bad Gateway", "message": "blocked"},
    "a status in words": {"statusCode": "503", "error": "blocked", "message": "blocked"},
}


def at(seconds: float) -> str:
    return format_datetime(CLOCK + timedelta(seconds=seconds), usegmt=True)


def made_for(sandbox: Sandbox, account: str, path: str = "") -> list[dict[str, Any]]:
    """The requests for an account, in their order."""
    return [
        one
        for one in sandbox.requests()
        if one["path"].startswith(path)
        and (account in one["path"] or ["integrated_account_id", account] in one["params"])
    ]


def of_others(sandbox: Sandbox, account: str) -> dict[tuple[str, str], Any]:
    """The interviews of the other accounts."""
    return rows(one for one in sandbox.interviews() if one["integrated_account_id"] != account)


class TestLogins:
    """What is refused for the whole account is found out once."""

    STREAMS = tuple(RESOURCES)

    @pytest.mark.parametrize("named", [False, True], ids=["found", "named"])
    @pytest.mark.parametrize("max_concurrency", [1, 50])
    @pytest.mark.parametrize("provider", ["greenhouse", "fountain", "breezy"])
    def test_a_dead_login_costs_two_requests(
        self,
        sandbox: Sandbox,
        tap: Tap,
        provider: str,
        max_concurrency: int,
        *,
        named: bool,
    ) -> None:
        account = sandbox.reset(accounts=[{"provider": provider}], rate_limits=False)[0]["id"]
        fault = {"status": 401, "remote": True, "times": None}
        sandbox.fault(path=BASE, integrated_account_id=account, **fault)
        run = tap(
            catalog=tap.catalog(*self.STREAMS),
            integrated_account_ids=[account] if named else None,
            max_concurrency=max_concurrency,
        )
        assert run.code == 1
        assert len(made_for(sandbox, account)) <= 2
        assert all("The customer must reconnect the account" in error for error in run.errors)

    @pytest.mark.parametrize("named", [False, True], ids=["found", "named"])
    def test_a_login_that_truto_knows_to_be_dead_costs_one_at_most(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str], *, named: bool
    ) -> None:
        account = ids["greenhouse"]
        sandbox.account(account, status="needs_reauth")
        run = tap(
            catalog=tap.catalog(*self.STREAMS),
            integrated_account_ids=[account] if named else None,
        )
        assert run.code == named
        assert len(made_for(sandbox, account)) == named

    @pytest.mark.parametrize("named", [False, True], ids=["found", "named"])
    @pytest.mark.parametrize("max_concurrency", [1, 50])
    def test_a_blocked_account_costs_three(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str], max_concurrency: int, *, named: bool
    ) -> None:
        account = ids["greenhouse"]
        sandbox.account(account, is_blocked=True)
        run = tap(
            catalog=tap.catalog(*self.STREAMS),
            integrated_account_ids=[account] if named else None,
            max_concurrency=max_concurrency,
            max_retries=8,
        )
        assert run.code == 1
        # Where the account is named, its capabilities tell.
        assert len(made_for(sandbox, account)) == (1 if named else 3)
        assert all("Truto says that the account is blocked" in error for error in run.errors)

    @pytest.mark.parametrize("max_concurrency", [1, 50])
    def test_a_blocked_account_whose_capabilities_are_hidden_costs_three_and_these(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str], max_concurrency: int
    ) -> None:
        account = ids["greenhouse"]
        sandbox.account(account, is_blocked=True)
        sandbox.fault(path=f"{LISTING}/{account}/capabilities", status=403, times=None)
        run = tap(
            catalog=tap.catalog(*self.STREAMS),
            integrated_account_ids=[account],
            max_concurrency=max_concurrency,
            max_retries=8,
        )
        assert all("Truto says that the account is blocked" in error for error in run.errors)
        # They do not tell its provider, so that it is looked up.
        assert len(made_for(sandbox, account)) == 1 + 1 + 3

    def test_a_login_that_dies_on_the_way_ends_what_has_begun(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str]
    ) -> None:
        account = ids["greenhouse"]
        died = {"status": 401, "remote": True, "times": None}
        sandbox.fault(path=BASE, integrated_account_id=account, skip=4, **died)
        run = tap(catalog=tap.catalog(*self.STREAMS), max_concurrency=1, page_size=2)
        assert [one["status"] for one in made_for(sandbox, account, BASE)] == [200] * 4 + [401]
        assert run.code == 1
        assert all(account in error and "must reconnect" in error for error in run.errors)


class TestTries:
    """Each request has its tries, until a stream has used them up."""

    STREAMS = ("jobs", "users", "departments", "offices", "candidates")

    @pytest.mark.parametrize(
        ("failure", "max_retries", "max_concurrency"),
        spread([*FAILURES.values()] * 2, [0, 3], [1, 50, 50]),
    )
    def test_used_up_tries_leave_the_other_streams_one_each(
        self,
        sandbox: Sandbox,
        tap: Tap,
        ids: dict[str, str],
        failure: dict[str, Any],
        max_retries: int,
        max_concurrency: int,
    ) -> None:
        account = ids["greenhouse"]
        sandbox.fault(path=BASE, integrated_account_id=account, times=None, **failure)
        run = tap(
            catalog=tap.catalog(*self.STREAMS),
            max_concurrency=max_concurrency,
            max_retries=max_retries,
        )
        assert run.code == 1
        (error,) = run.errors
        assert all(stream in error for stream in self.STREAMS)
        made = Counter(one["path"] for one in made_for(sandbox, account))
        assert sorted(made.values()) == [1] * (len(self.STREAMS) - 1) + [1 + max_retries]

    @pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
    def test_what_passes_costs_nothing_but_tries(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str], failure: dict[str, Any]
    ) -> None:
        account = ids["greenhouse"]
        for stream in self.STREAMS:
            sandbox.fault(path=BASE + stream, integrated_account_id=account, times=2, **failure)
        run = tap(catalog=tap.catalog(*self.STREAMS), max_retries=2)
        assert (run.code, run.errors) == (0, [])
        assert run.logged("Trying again in") == 2 * len(self.STREAMS)
        for stream in self.STREAMS:
            found = {(row["integrated_account_id"], row["id"]) for row in run.records(stream)}
            truth = sandbox.rows(stream)
            assert found == {(row["integrated_account_id"], row["id"]) for row in truth}

    @pytest.mark.parametrize(
        ("failure", "max_concurrency", "streams"),
        spread(
            FAILURES.values(),
            [1, 50],
            [
                ("activities", "job_form_fields"),
                ("activities", "jobs"),
                ("job_form_fields", "users"),
            ],
        ),
    )
    def test_a_list_of_parents_counts_as_one_of_them(
        self,
        sandbox: Sandbox,
        tap: Tap,
        ids: dict[str, str],
        failure: dict[str, Any],
        max_concurrency: int,
        streams: tuple[str, ...],
    ) -> None:
        account = ids["greenhouse"]
        sandbox.fault(path=BASE, integrated_account_id=account, times=None, **failure)
        run = tap(catalog=tap.catalog(*streams), max_concurrency=max_concurrency, max_retries=3)
        assert run.code == 1
        made = Counter(one["path"] for one in made_for(sandbox, account))
        assert sorted(made.values()) == [1, 1 + 3]

    @pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
    @pytest.mark.parametrize("path", [LISTING, LISTING + "/", BASE + "candidates/"])
    def test_what_passes_elsewhere_costs_nothing_either(
        self, sandbox: Sandbox, tap: Tap, failure: dict[str, Any], path: str
    ) -> None:
        made = sandbox.reset(
            accounts=[{"provider": "bamboohr"}, {"provider": "loxo"}],
            candidates=3,
            rate_limits=False,
        )
        sandbox.fault(path=path, times=2, **failure)
        run = tap(
            catalog=tap.catalog("integrated_accounts", "candidates"),
            integrated_account_ids=[one["id"] for one in made] if path == LISTING + "/" else None,
            hydrate=["candidates"],
        )
        assert (run.code, run.errors) == (0, [])
        assert run.logged("Trying again in") == 2
        assert len(run.records("integrated_accounts")) == 2
        truth = sandbox.rows("candidates", whole=True)
        found = {row["id"]: row["emails"] for row in run.records("candidates")}
        assert found == {row["id"]: row["emails"] for row in truth}

    @pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
    def test_capabilities_that_cannot_be_had_are_asked_for_once(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str], failure: dict[str, Any]
    ) -> None:
        account = ids["greenhouse"]
        sandbox.fault(path=f"{LISTING}/{account}", times=None, **failure)
        run = tap(catalog=tap.catalog(*self.STREAMS), integrated_account_ids=[account])
        assert run.code == 1
        (error,) = run.errors
        assert all(stream in error for stream in self.STREAMS)
        assert len(sandbox.requests()) == 3

    def test_each_page_has_tries_of_its_own(self, sandbox: Sandbox, tap: Tap) -> None:
        sandbox.reset(accounts=[{"provider": "pinpoint"}], interviews=8, rate_limits=False)
        for page in range(4):
            # Each fault counts the requests that the ones before it do not answer.
            sandbox.fault(path=PATH, skip=page, times=2, status=500)
        run = tap(page_size=2, max_retries=2)
        assert run.code == 0
        assert [one["status"] for one in sandbox.requests(PATH)] == [500, 500, 200] * 4
        assert table(run) == rows(sandbox.interviews())

    def test_only_failing_in_one_stream_leaves_the_others_whole(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str]
    ) -> None:
        account = ids["greenhouse"]
        sandbox.fault(path=BASE + "users", integrated_account_id=account, times=None, status=500)
        run = tap(catalog=tap.catalog(*self.STREAMS), max_concurrency=1)
        (error,) = run.errors
        assert "(users)" in error
        for stream in set(self.STREAMS) - {"users"}:
            assert len(run.records(stream)) == len(sandbox.rows(stream))

    def test_too_many_requests_are_not_a_failure_of_the_account(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str]
    ) -> None:
        account = ids["greenhouse"]
        asked = {"path": BASE + "jobs", "integrated_account_id": account}
        sandbox.fault(**asked, times=None, status=429, headers={"Retry-After": "0"})
        users = {"path": BASE + "users", "integrated_account_id": account}
        sandbox.fault(**users, times=2, status=500)
        run = tap(catalog=tap.catalog("jobs", "users"), max_concurrency=1)
        (error,) = run.errors
        assert "(jobs): Too many requests (HTTP 429)" in error
        assert len(run.records("users")) == len(sandbox.rows("users"))


class TestWishes:
    """What `Retry-After` and `ratelimit-reset` are read as, with waits of no more than 0.2 s."""

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "0.1"}, 0.1),
            ({"Retry-After": "0"}, 0),
            ({"Retry-After": "60"}, LONGEST_WAIT),
            ({"Retry-After": "1e999"}, LONGEST_WAIT),
            ({"Retry-After": at(60), "Date": at(0)}, LONGEST_WAIT),
            ({"Retry-After": at(-60), "Date": at(0)}, 0),
            ({"Retry-After": at(60), "Date": None}, 0),
            ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": None}, LONGEST_WAIT),
            ({"ratelimit-reset": "0.1"}, 0.1),
            ({"ratelimit-reset": str(int(CLOCK.timestamp()) + 9), "Date": at(0)}, LONGEST_WAIT),
            ({"ratelimit-reset": str(int(CLOCK.timestamp()) - 9), "Date": at(0)}, 0),
            ({"Retry-After": "0.1", "ratelimit-reset": "60"}, 0.1),
            ({"Retry-After": "soon", "ratelimit-reset": "0.1"}, 0.1),
            ({"Retry-After": "nan", "ratelimit-reset": "nan"}, 0),
            ({}, 0),
        ],
    )
    def test_they_are_read(
        self, sandbox: Sandbox, ids: dict[str, str], headers: dict[str, str], seconds: float
    ) -> None:
        sandbox.fault(path=PATH, status=429, headers=headers)
        run = hasty(sandbox)(integrated_account_ids=[ids["pinpoint"]])
        assert run.code == 0
        assert run.logged(f"Trying again in {seconds:.1f} s (retry 1 of 2)") == 1


class TestTokens:
    """Only Truto's whole envelope may say that a token is refused, and once may be a mistake."""

    @pytest.mark.parametrize("path", [LISTING, BASE], ids=["the listing", "an account"])
    @pytest.mark.parametrize("body", NOT_TRUTOS.values(), ids=NOT_TRUTOS)
    def test_what_is_not_trutos_does_not_end_the_run(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str], path: str, body: Any
    ) -> None:
        if isinstance(body, dict) and body.get("statusCode") == 503:
            body = body | {"statusCode": 401}
        bad = ids["pinpoint"] if path == BASE else None
        sandbox.fault(path=path, integrated_account_id=bad, status=401, body=body, times=2)
        run = tap()
        assert (run.code, run.errors) == (0, [])
        assert table(run) == rows(sandbox.interviews())

    @pytest.mark.parametrize("body", NOT_TRUTOS.values(), ids=NOT_TRUTOS)
    def test_if_it_stays_so_it_costs_the_account(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str], body: Any
    ) -> None:
        account = ids["pinpoint"]
        sandbox.fault(path=BASE, integrated_account_id=account, status=401, body=body, times=None)
        run = tap()
        assert run.code == 1
        (error,) = run.errors
        assert account in error
        assert "token" not in error
        assert table(run) == of_others(sandbox, account)

    def test_an_envelope_that_breaks_off_does_not_end_the_run(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str]
    ) -> None:
        account = ids["pinpoint"]
        broken = {"status": 401, "kind": "truncated", "times": None, "remote": True}
        sandbox.fault(path=BASE, integrated_account_id=account, **broken)
        run = tap()
        (error,) = run.errors
        assert account in error
        assert table(run) == of_others(sandbox, account)

    @pytest.mark.parametrize(
        "path",
        [PATH, "/unified/ats/candidates", LISTING + "/"],
        ids=["rows", "parents", "capabilities"],
    )
    def test_one_after_successes_passes(self, sandbox: Sandbox, tap: Tap, path: str) -> None:
        ids = [one["id"] for one in sandbox.accounts()]
        sandbox.fault(path=path, skip=1, status=401)
        run = tap(integrated_account_ids=ids, max_concurrency=1, max_retries=1, page_size=2)
        assert (run.code, run.errors) == (0, [])
        assert [one["status"] for one in sandbox.requests()].count(401) == 1
        assert table(run) == rows(sandbox.interviews())

    @pytest.mark.parametrize("max_retries", [1, 5])
    @pytest.mark.parametrize("before", [{"status": 502}, {"kind": "reset"}], ids=str)
    def test_one_behind_another_fault_passes(
        self,
        sandbox: Sandbox,
        tap: Tap,
        ids: dict[str, str],
        before: dict[str, Any],
        max_retries: int,
    ) -> None:
        for fault in (before, {"status": 401}):
            sandbox.fault(path=PATH, integrated_account_id=ids["greenhouse"], **fault)
        run = tap(max_retries=max_retries)
        assert (run.code, run.errors) == (0, [])
        assert table(run) == rows(sandbox.interviews())

    def test_two_end_the_run(self, sandbox: Sandbox, tap: Tap) -> None:
        sandbox.fault(path=PATH, skip=1, status=401, times=None)
        run = tap(max_concurrency=1, max_retries=8)
        assert run.code == 1
        (error,) = run.errors
        assert "Truto refused the token" in error
        assert "Set `api_token`" in error
        # Other accounts are asked while the one waits for its second try.
        refused = [one for one in sandbox.requests(PATH) if one["status"] == 401]
        tried = Counter(dict(one["params"])["integrated_account_id"] for one in refused)
        assert max(tried.values()) == 2

    @pytest.mark.parametrize("named", [False, True], ids=["found", "named"])
    def test_a_token_that_never_worked_is_tried_once(
        self, sandbox: Sandbox, tap: Tap, *, named: bool
    ) -> None:
        account = sandbox.accounts()[0]["id"]
        run = tap(
            api_token="another",
            integrated_account_ids=[account] if named else None,
            max_retries=8,
        )
        assert run.code == 1
        (error,) = run.errors
        assert "Truto refused the token" in error
        assert len(sandbox.requests()) == 1


class TestBlocking:
    """Only Truto's whole envelope may say that an account is blocked."""

    @pytest.mark.parametrize("body", NOT_TRUTOS.values(), ids=NOT_TRUTOS)
    def test_what_is_not_trutos_is_a_failure_that_passes(
        self, sandbox: Sandbox, tap: Tap, body: Any
    ) -> None:
        sandbox.reset(accounts=[{"provider": "pinpoint"}] * 20, interviews=2, rate_limits=False)
        sandbox.fault(path=PATH, status=503, body=body, times=40)
        run = tap(max_retries=8)
        assert (run.code, run.errors) == (0, [])
        assert table(run) == rows(sandbox.interviews())

    @pytest.mark.parametrize("remote", [False, True])
    @pytest.mark.parametrize("kind", [None, "truncated"])
    def test_how_often_it_is_tried_and_what_it_is_called(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str], kind: str | None, *, remote: bool
    ) -> None:
        account = ids["pinpoint"]
        fault = {"status": 503, "kind": kind, "remote": remote, "times": None}
        sandbox.fault(path=PATH, integrated_account_id=account, **fault)
        run = tap(max_retries=4)
        is_trutos = not remote and kind is None
        assert len(made_for(sandbox, account)) == (3 if is_trutos else 5)
        (error,) = run.errors
        assert ("blocked" in error) is is_trutos


REFUSALS = [400, 422]

FILTERED = [
    ("interviews", "greenhouse", "updated_at", {}),
    ("interviews", "greenhouse", "updated", {}),
    ("interviews", "pinpoint", "updated_at", {}),
    ("interviews", "ashby", "start_at", {"schedule_window_days": 3}),
    ("interviews", "fountain", "end_at", {"schedule_window_days": 3}),
    ("applications", "jobscore", "updated_at", {}),
    ("candidates", "lever", "updated_at", {}),
    ("departments", "jobscore", "updated_at", {}),
]


class TestFiltersOfTheTaps:
    """A filter that the tap added by itself, and that the provider refuses."""

    @pytest.mark.parametrize("status", REFUSALS)
    @pytest.mark.parametrize(("stream", "provider", "name", "settings"), FILTERED)
    def test_it_is_asked_without_it_and_the_account_read_whole(
        self,
        sandbox: Sandbox,
        tap: Tap,
        stream: str,
        provider: str,
        name: str,
        settings: dict[str, Any],
        status: int,
    ) -> None:
        account = sandbox.reset(
            accounts=[{"provider": provider}], interviews=5, candidates=4, rate_limits=False
        )[0]["id"]
        catalog = tap.catalog(stream)
        first = tap(catalog=catalog, **settings)
        sandbox.account(account, refuses=[name], refuses_with=status)
        sandbox.clear_requests()
        second = tap(catalog=catalog, state=first.state, max_concurrency=1, **settings)
        assert (second.code, second.errors) == (0, [])
        refused = [one for one in sandbox.requests() if one["status"] == status]
        assert len(refused) == 1
        assert second.logged("1 accounts refuse to be asked for a part of") == 1
        assert "`filters`" not in second.stderr
        # What changes from then on comes, too.
        third = tap(catalog=catalog, state=second.state, **settings)
        assert (third.code, third.errors) == (0, [])

    @pytest.mark.parametrize("status", REFUSALS)
    def test_what_changed_comes_though_the_filter_is_refused(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str], status: int
    ) -> None:
        first = tap()
        for name in ("greenhouse", "pinpoint", "ceipal"):
            key = sandbox.interviews(ids[name])[0]["id"]
            sandbox.change(ids[name], key, location="moved")
            sandbox.account(ids[name], refuses=["updated_at"], refuses_with=status)
        second = tap(state=first.state)
        assert second.code == 0
        assert table(first, second) == rows(sandbox.interviews())
        assert second.bookmarks.keys() == first.bookmarks.keys()

    @pytest.mark.parametrize("status", REFUSALS)
    def test_a_filter_of_the_users_is_the_users(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str], status: int
    ) -> None:
        account = ids["greenhouse"]
        sandbox.account(account, refuses=["application_id"], refuses_with=status)
        run = tap(
            integrated_account_ids=[account],
            filters={"interviews": {"application_id": "1"}},
        )
        assert run.code == 1
        (error,) = run.errors
        assert "Check the settings `filters`" in error
        assert len(sandbox.requests(PATH)) == 1

    def test_the_users_part_of_a_filter_is_kept(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str]
    ) -> None:
        account = ids["greenhouse"]
        given = {"start_at": {"gte": "2025-06-01T00:00:00Z"}}
        settings: dict[str, Any] = {
            "integrated_account_ids": [account],
            "filters": {"interviews": given},
        }
        first = tap(**settings)
        sandbox.account(account, refuses=["updated_at"])
        sandbox.clear_requests()
        run = tap(state=first.state, **settings)
        assert run.code == 0
        asked = [dict(one["params"]) for one in sandbox.requests(PATH)]
        assert ["updated_at[gte]" in one for one in asked] == [True, False]
        assert {one["start_at[gte]"] for one in asked} == {given["start_at"]["gte"]}


EXPIRIES = [400, 404, 410, 422]


class TestCursors:
    """A cursor that is no longer accepted."""

    PLACES = (
        ("interviews", "pinpoint", "interviews"),
        ("interviews", "fountain", "candidates"),
        ("candidates", "breezy", "candidates"),
        ("activities", "greenhouse", "activities"),
        ("activities", "breezy", "jobs"),
    )

    @staticmethod
    def account(sandbox: Sandbox, provider: str) -> str:
        accounts = [{"provider": provider}]
        made = sandbox.reset(
            accounts=accounts, interviews=9, candidates=9, jobs=3, rate_limits=False
        )
        account: str = made[0]["id"]
        return account

    @pytest.mark.parametrize(
        ("place", "status", "response_format"),
        spread([*PLACES, *PLACES], EXPIRIES, ["unified", "stream"]),
    )
    def test_the_list_is_begun_once_more(
        self, sandbox: Sandbox, place: tuple[str, str, str], status: int, response_format: str
    ) -> None:
        stream, provider, refused = place
        account = self.account(sandbox, provider)
        fault = {"path": BASE + refused, "status": status, "remote": True, "later_pages": True}
        sandbox.fault(**fault)
        tap = hasty(sandbox)
        run = tap(catalog=tap.catalog(stream), page_size=1, response_format=response_format)
        assert (run.code, run.errors) == (0, [])
        truth = {row["id"] for row in sandbox.rows(stream, account)}
        assert {row["id"] for row in run.records(stream)} == truth
        assert [one["status"] for one in sandbox.requests()].count(status) == 1

    @pytest.mark.parametrize("status", EXPIRIES)
    @pytest.mark.parametrize(("stream", "provider", "refused"), PLACES)
    def test_then_the_error_names_the_cursor(
        self, sandbox: Sandbox, stream: str, provider: str, refused: str, status: int
    ) -> None:
        self.account(sandbox, provider)
        fault = {"path": BASE + refused, "status": status, "remote": True, "later_pages": True}
        sandbox.fault(times=None, **fault)
        tap = hasty(sandbox)
        run = tap(catalog=tap.catalog(stream), page_size=1)
        assert run.code == 1
        (error,) = run.errors
        assert f"A cursor of {BASE}{refused} was no longer accepted (HTTP {status})" in error
        assert "`filters`" not in error
        first_pages = Counter(
            tuple(map(tuple, one["params"]))
            for one in sandbox.requests(BASE + refused)
            if "next_cursor" not in dict(one["params"])
        )
        assert max(first_pages.values()) == 2

    @pytest.mark.parametrize("response_format", ["unified", "normalized", "stream"])
    def test_a_list_that_is_read_again_as_every_row_is_wanted_begins_anew_too(
        self, sandbox: Sandbox, tap: Tap, response_format: str
    ) -> None:
        self.account(sandbox, "pinpoint")
        run = tap(
            catalog=full_table(tap.catalog()),
            page_size=4,
            response_format=response_format,
            emit_activate_version_messages=True,
        )
        assert (run.code, run.errors) == (0, [])
        assert [one["stream"] for one in run.messages if one["type"] == "ACTIVATE_VERSION"] == [
            "integrated_accounts",
            "interviews",
        ]
        assert len(sandbox.requests(PATH)) == 2 * 3
        assert table(run) == rows(sandbox.interviews())
        assert len(run.records()) == 9

    @pytest.mark.parametrize("status", EXPIRIES)
    def test_the_listing_of_accounts_begins_once_more(
        self, sandbox: Sandbox, tap: Tap, status: int
    ) -> None:
        sandbox.fault(path=LISTING, status=status, later_pages=True, skip=1)
        run = tap(page_size=2)
        assert (run.code, run.errors) == (0, [])
        assert {row["id"] for row in run.records("integrated_accounts")} == {
            one["id"] for one in sandbox.accounts()
        }
        assert len(run.records("integrated_accounts")) == 5
        assert table(run) == rows(sandbox.interviews())

    @pytest.mark.parametrize("status", EXPIRIES)
    def test_a_listing_of_accounts_that_goes_on_so_ends_the_run(
        self, sandbox: Sandbox, tap: Tap, status: int
    ) -> None:
        sandbox.fault(path=LISTING, status=status, later_pages=True, times=None)
        run = tap(page_size=2)
        assert run.code == 1
        (error,) = run.errors
        assert f"A cursor of {LISTING} was no longer accepted (HTTP {status})" in error
        assert len(sandbox.requests(LISTING)) == 4

    @pytest.mark.parametrize("status", EXPIRIES)
    def test_a_first_page_that_is_refused_is_another_matter(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str], status: int
    ) -> None:
        sandbox.fault(path=PATH, integrated_account_id=ids["pinpoint"], status=status)
        (error,) = tap().errors
        assert "ursor" not in error


def override(rows: Any, cursor: Any = None) -> dict[str, Any]:
    return {"kind": "body_override", "body": {"result": rows, "next_cursor": cursor}}


NOTHING: dict[str, dict[str, Any]] = {
    "null": {"kind": "null_result"},
    "204": {"status": 204},
    "null and no cursor": {"kind": "body_override", "body": {"result": None}},
    "null, spelt otherwise": {"kind": "body_override", "body": {"results": None}},
}


class TestEnds:
    """Ends of the pages in other words, and pages without end."""

    @pytest.fixture
    def account(self, sandbox: Sandbox) -> str:
        made = sandbox.reset(
            accounts=[{"provider": "pinpoint"}, {"provider": "greenhouse"}],
            interviews=8,
            rate_limits=False,
        )
        account: str = made[0]["id"]
        return account

    @staticmethod
    def assert_the_other_is_read(run: Run, sandbox: Sandbox, account: str) -> None:
        found = {key: row for key, row in table(run).items() if key[0] != account}
        assert found == of_others(sandbox, account)

    @pytest.mark.parametrize("nothing", NOTHING.values(), ids=NOTHING)
    @pytest.mark.parametrize("response_format", ["unified", "stream"])
    @pytest.mark.parametrize("later_pages", [False, True])
    def test_null_or_nothing_that_passes_costs_nothing(
        self,
        sandbox: Sandbox,
        tap: Tap,
        account: str,
        nothing: dict[str, Any],
        response_format: str,
        *,
        later_pages: bool,
    ) -> None:
        where = {"path": PATH, "integrated_account_id": account, "later_pages": later_pages}
        sandbox.fault(times=2, **where, **nothing)
        run = tap(page_size=3, response_format=response_format, max_retries=8)
        assert (run.code, run.errors) == (0, [])
        assert table(run) == rows(sandbox.interviews())
        assert account in run.bookmarks

    @pytest.mark.parametrize("before", ["reset", "truncated", "garbage"])
    @pytest.mark.parametrize("later_pages", [False, True])
    def test_null_behind_other_faults_is_asked_for_again(
        self, sandbox: Sandbox, tap: Tap, account: str, before: str, *, later_pages: bool
    ) -> None:
        where = {"path": PATH, "integrated_account_id": account, "later_pages": later_pages}
        sandbox.fault(times=2, **where, kind=before)
        sandbox.fault(**where, kind="null_result")
        run = tap(page_size=3, max_retries=8)
        assert (run.code, run.errors) == (0, [])
        assert table(run) == rows(sandbox.interviews())
        assert account in run.bookmarks

    @pytest.mark.parametrize("nothing", NOTHING.values(), ids=NOTHING)
    @pytest.mark.parametrize("response_format", ["unified", "stream"])
    @pytest.mark.parametrize("later_pages", [False, True])
    def test_null_or_nothing_that_stays_is_an_end_that_moves_no_bookmark(
        self,
        sandbox: Sandbox,
        tap: Tap,
        account: str,
        nothing: dict[str, Any],
        response_format: str,
        *,
        later_pages: bool,
    ) -> None:
        where = {"path": PATH, "integrated_account_id": account, "later_pages": later_pages}
        sandbox.fault(times=None, **where, **nothing)
        run = tap(page_size=3, response_format=response_format, max_retries=8)
        assert (run.code, run.errors) == (0, [])
        mine = [one for one in run.records() if one["integrated_account_id"] == account]
        assert len(mine) == (3 if later_pages else 0)
        assert len(made_for(sandbox, account, PATH)) == 3 + later_pages
        assert account not in run.bookmarks
        assert run.logged("null or nothing came in place of interviews") == 1
        self.assert_the_other_is_read(run, sandbox, account)

    @pytest.mark.parametrize("nothing", NOTHING.values(), ids=NOTHING)
    def test_null_or_nothing_in_place_of_parents(
        self, sandbox: Sandbox, tap: Tap, nothing: dict[str, Any]
    ) -> None:
        sandbox.reset(accounts=[{"provider": "fountain"}], interviews=3, rate_limits=False)
        sandbox.fault(path=BASE + "candidates", times=None, **nothing)
        run = tap(max_retries=8)
        assert (run.code, run.records()) == (0, [])
        assert "Traceback" not in run.stderr
        assert len(sandbox.requests(BASE + "candidates")) == 3

    @pytest.mark.parametrize("nothing", NOTHING.values(), ids=NOTHING)
    def test_null_or_nothing_in_place_of_accounts(
        self, sandbox: Sandbox, tap: Tap, nothing: dict[str, Any]
    ) -> None:
        sandbox.fault(path=LISTING, times=None, **nothing)
        run = tap(max_retries=8, emit_activate_version_messages=True)
        assert (run.code, run.records("integrated_accounts")) == (0, [])
        assert run.logged("No integrated account was found") == 1
        assert not [one for one in run.messages if one["type"] == "ACTIVATE_VERSION"]

    @pytest.mark.parametrize("response_format", ["unified", "stream"])
    def test_an_empty_page_with_its_own_cursor_is_the_end(
        self, sandbox: Sandbox, tap: Tap, account: str, response_format: str
    ) -> None:
        row = {"id": "1", "updated_at": "2026-01-01T00:00:00Z"}
        where = {"path": PATH, "integrated_account_id": account}
        sandbox.fault(**where, **override([row], "A"))
        sandbox.fault(**where, **override([], "A"), times=None)
        run = tap(response_format=response_format)
        assert (run.code, run.errors) == (0, [])
        assert len(made_for(sandbox, account, PATH)) == 2
        assert run.bookmarks[account] == "2026-01-01T00:00:00.000000+00:00"
        self.assert_the_other_is_read(run, sandbox, account)

    @pytest.mark.parametrize("kind", ["stuck", "loop"])
    def test_a_page_with_rows_and_its_own_cursor_is_a_circle(
        self, sandbox: Sandbox, tap: Tap, account: str, kind: str
    ) -> None:
        where = {"path": PATH, "integrated_account_id": account, "later_pages": True}
        sandbox.fault(**where, kind=kind, times=None)
        run = tap(page_size=2)
        assert run.code == (kind == "loop")
        assert all("circle" in error for error in run.errors)
        assert len(made_for(sandbox, account, PATH)) == 2
        self.assert_the_other_is_read(run, sandbox, account)

    @pytest.mark.parametrize("response_format", ["unified", "stream"])
    def test_rows_without_end_are_an_error_of_the_account(
        self, sandbox: Sandbox, account: str, response_format: str
    ) -> None:
        where = {"path": PATH, "integrated_account_id": account}
        sandbox.fault(**where, kind="endless", later_pages=True, times=None)
        run = hasty(sandbox)(page_size=1, response_format=response_format)
        assert run.code == 1
        (error,) = run.errors
        assert account in error
        assert "Its pages have no end" in error
        assert 100 <= len(made_for(sandbox, account, PATH)) <= 105
        assert account not in run.bookmarks
        self.assert_the_other_is_read(run, sandbox, account)

    def test_rows_that_come_again_for_a_while_are_none(
        self, sandbox: Sandbox, account: str
    ) -> None:
        where = {"path": PATH, "integrated_account_id": account}
        sandbox.fault(**where, kind="endless", later_pages=True, times=95)
        run = hasty(sandbox)(page_size=2)
        assert (run.code, run.errors) == (0, [])
        assert table(run) == rows(sandbox.interviews())

    def test_empty_pages_without_end_are_an_error_of_the_account(
        self, sandbox: Sandbox, account: str
    ) -> None:
        sandbox.fault(path=PATH, integrated_account_id=account, kind="empty", times=None)
        run = hasty(sandbox)()
        assert run.code == 1
        (error,) = run.errors
        assert account in error
        assert "Its pages have no end" in error
        assert len(made_for(sandbox, account, PATH)) == MOST_EMPTY_PAGES
        self.assert_the_other_is_read(run, sandbox, account)

    def test_empty_pages_may_be_many(self, sandbox: Sandbox, account: str) -> None:
        many = MOST_EMPTY_PAGES - 10
        sandbox.fault(path=PATH, integrated_account_id=account, kind="empty", times=many)
        run = hasty(sandbox)()
        assert (run.code, run.errors) == (0, [])
        assert table(run) == rows(sandbox.interviews())

    @pytest.mark.parametrize("kind", ["endless", "empty"])
    def test_parents_without_end_are_an_error_of_the_account(
        self, sandbox: Sandbox, kind: str
    ) -> None:
        account = sandbox.reset(
            accounts=[{"provider": "fountain"}, {"provider": "ashby"}],
            interviews=3,
            candidates=5,
            rate_limits=False,
        )[0]["id"]
        where = {"path": BASE + "candidates", "integrated_account_id": account}
        sandbox.fault(**where, kind=kind, times=None)
        run = hasty(sandbox)(page_size=2)
        (error,) = run.errors
        assert "Its candidates could not be listed: Its pages have no end" in error
        self.assert_the_other_is_read(run, sandbox, account)

    @pytest.mark.parametrize("kind", ["endless", "empty"])
    def test_accounts_without_end_end_the_run(self, sandbox: Sandbox, kind: str) -> None:
        found = [] if kind == "empty" else [sandbox.accounts()[0]]
        for number in range(MOST_EMPTY_PAGES + 20):
            sandbox.fault(path=LISTING, **override(found, f"cursor {number}"))
        run = hasty(sandbox)()
        assert run.code == 1
        (error,) = run.errors
        assert "no end" in error
        assert len(sandbox.requests(LISTING)) == (MOST_EMPTY_PAGES if kind == "empty" else 101)
