"""Each answer of the error table: what is tried again, what ends an account, what ends the run."""

from __future__ import annotations

import math
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.tables import rows
from tap_truto_ats.api.errors import AccountError, TransientError, error_for, unexpected
from tests.harness import table

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Tap

PATH = "/unified/ats/interviews"
AT_ONCE = {"headers": {"Retry-After": "0"}}
RETRIES = 2

TRANSIENT: dict[str, dict[str, Any]] = {
    "429": {"status": 429, **AT_ONCE},
    "429 of the provider": {"status": 429, "remote": True, **AT_ONCE},
    "500": {"status": 500, **AT_ONCE},
    "502": {"status": 502, **AT_ONCE},
    "502 without a body": {"status": 502, "body": "", **AT_ONCE},
    "503 of the provider": {"status": 503, "remote": True, **AT_ONCE},
    "504": {"status": 504, **AT_ONCE},
    "408": {"status": 408, **AT_ONCE},
    "another 5xx": {"status": 520, "body": "<html>", **AT_ONCE},
    "timeout": {"kind": "delay", "seconds": 1.3},
    "connection reset": {"kind": "reset"},
    "HTML with 200": {"kind": "html"},
    "broken JSON": {"kind": "garbage"},
    "truncated": {"kind": "truncated"},
    "503 of nobody knows whom": {"status": 503, "body": "<html>", **AT_ONCE},
    "401 of nobody knows whom": {"status": 401, "body": "<html>", **AT_ONCE},
    "no envelope": {"kind": "body_override", "body": {"data": []}},
    "a list": {"kind": "body_override", "body": []},
}

FINAL: dict[str, tuple[dict[str, Any], int, list[str]]] = {
    "503": ({"status": 503, **AT_ONCE}, 3, ["blocked", "support"]),
    "401 of the provider": ({"status": 401, "remote": True}, 1, ["needs_reauth", "reconnect"]),
    "403": (
        {
            "status": 403,
            "remote": True,
            "insight": {
                "forbidden_error": {
                    "description": "scopes",
                    "value": {"missing_scopes": ["interviews:read", "jobs:read"]},
                }
            },
        },
        1,
        ["403", "interviews:read, jobs:read"],
    ),
    "400": (
        {
            "status": 400,
            "insight": {
                "missing_required_query_parameters": {"description": "", "value": ["candidate_id"]}
            },
        },
        1,
        ["400", "missing parameters: candidate_id"],
    ),
    "400 without insight": ({"status": 400}, 1, ["400", "filters"]),
    "422": (
        {
            "status": 422,
            "remote": True,
            "insight": {"missing_required_query_parameters": {"value": ["job_id"]}},
        },
        1,
        ["422", "missing parameters: job_id"],
    ),
    "404": ({"status": 404}, 1, ["404", "not visible to this token"]),
    "405": ({"status": 405}, 1, ["405", "Not offered"]),
    "another 4xx": ({"status": 418}, 1, ["418"]),
    "409": ({"status": 409, "remote": True}, 1, ["409"]),
    "strange insight": ({"status": 400, "insight": {"forbidden_error": [1]}}, 1, ["400"]),
    "a loop of cursors": ({"kind": "loop"}, 2, ["circle"]),
}


@pytest.fixture
def account(sandbox: Sandbox) -> str:
    """The account that is going to fail, one of three."""
    accounts = [{"provider": name} for name in ("ashby", "greenhouse", "pinpoint")]
    created: str = sandbox.reset(accounts=accounts, interviews=8, rate_limits=False)[1]["id"]
    return created


def healthy(sandbox: Sandbox, account: str) -> dict[tuple[str, str], dict[str, Any]]:
    return rows(row for row in sandbox.interviews() if row["integrated_account_id"] != account)


def tries(sandbox: Sandbox, account: str) -> int:
    return sum(
        ["integrated_account_id", account] in one["params"] for one in sandbox.requests(PATH)
    )


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_passing_failures_are_tried_again(
    tap: Tap, sandbox: Sandbox, account: str, fault: dict[str, Any]
) -> None:
    sandbox.fault(path=PATH, integrated_account_id=account, **fault)
    run = tap(request_timeout_seconds=1)
    assert (run.code, run.errors) == (0, [])
    assert table(run) == rows(sandbox.interviews())
    assert tries(sandbox, account) == 2


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_lasting_failures_end_the_account_only(
    tap: Tap, sandbox: Sandbox, account: str, fault: dict[str, Any]
) -> None:
    sandbox.fault(path=PATH, integrated_account_id=account, times=None, **fault)
    run = tap(request_timeout_seconds=1, max_retries=1)
    assert run.code == 1
    assert len(run.errors) == 1
    assert account in run.errors[0]
    assert "greenhouse" in run.errors[0]
    assert table(run) == healthy(sandbox, account)
    assert account not in run.bookmarks
    assert tries(sandbox, account) == 2


@pytest.mark.parametrize(("fault", "tried", "words"), FINAL.values(), ids=FINAL)
def test_refusals_end_the_account_only(
    tap: Tap, sandbox: Sandbox, account: str, fault: dict[str, Any], tried: int, words: list[str]
) -> None:
    sandbox.fault(path=PATH, integrated_account_id=account, times=None, **fault)
    run = tap(max_retries=5)
    assert run.code == 1
    assert len(run.errors) == 1
    assert all(word in run.errors[0] for word in [account, "greenhouse", *words])
    assert "Traceback" not in run.stderr
    assert table(run).items() >= healthy(sandbox, account).items()
    assert account not in run.bookmarks
    assert len(run.bookmarks) == 1
    assert tries(sandbox, account) == tried


@pytest.mark.parametrize(
    ("path", "most"), [("/integrated-account", 1), (PATH, 2)], ids=["at once", "later"]
)
def test_a_refused_token_ends_the_run(tap: Tap, sandbox: Sandbox, path: str, most: int) -> None:
    sandbox.reset(accounts_per_provider=4, interviews=3, rate_limits=False)
    sandbox.fault(path=path, status=401, times=None)
    run = tap(max_concurrency=3)
    assert run.code == 1
    assert run.errors == [
        "Truto refused the token (HTTP 401). Set `api_token` to a valid API token."
    ]
    assert "Traceback" not in run.stderr
    by_account = Counter(
        str(one["params"]) for one in sandbox.requests() if one["status"] == HTTPStatus.UNAUTHORIZED
    )
    assert max(by_account.values()) == most


def test_one_refusal_of_a_token_that_was_accepted_before_passes(tap: Tap, sandbox: Sandbox) -> None:
    sandbox.fault(path=PATH, status=401)
    run = tap()
    assert (run.code, run.errors) == (0, [])
    assert table(run) == rows(sandbox.interviews())


def test_a_wrong_token_ends_the_run(tap: Tap, sandbox: Sandbox) -> None:
    run = tap(api_token="no-such-token")
    assert run.code == 1
    assert len(run.errors) == 1
    assert "no-such-token" not in run.stderr
    assert len(sandbox.requests()) == 1


@pytest.mark.parametrize("wait", ["0", "Thu, 01 Jan 2026 00:00:00 GMT", "soon", "0.1"])
def test_a_wish_to_wait_in_any_form_leads_to_one_more_try(
    tap: Tap, sandbox: Sandbox, wait: str
) -> None:
    sandbox.fault(path=PATH, status=429, headers={"Retry-After": wait})
    run = tap()
    assert run.code == 0
    assert table(run) == rows(sandbox.interviews())
    assert run.logged("Trying again in") == 1


@pytest.mark.parametrize(
    ("fault", "tried"),
    [({"kind": "null_result"}, 3), ({"status": 204}, 3)],
    ids=["result: null", "204"],
)
def test_nothing_in_place_of_rows_is_an_end_that_moves_no_bookmark(
    tap: Tap, sandbox: Sandbox, account: str, fault: dict[str, Any], tried: int
) -> None:
    sandbox.fault(path=PATH, integrated_account_id=account, times=None, **fault)
    run = tap(max_retries=5)
    assert (run.code, run.errors) == (0, [])
    assert table(run) == healthy(sandbox, account)
    assert account not in run.bookmarks
    assert run.logged("null or nothing came in place of interviews") == 1
    assert tries(sandbox, account) == tried


def test_no_token_and_no_personal_data_is_logged_at_any_level(
    tap: Tap, sandbox: Sandbox, account: str
) -> None:
    others = [one["id"] for one in sandbox.accounts() if one["id"] != account]
    message = f"Bearer {sandbox.token} was given"
    sandbox.fault(path=PATH, integrated_account_id=account, status=422, remote=True)
    sandbox.fault(path=PATH, integrated_account_id=others[0], status=400, body={"message": message})
    sandbox.fault(path=PATH, integrated_account_id=others[1], kind="truncated", times=None)
    run = tap(max_retries=1, env={"LOGLEVEL": "DEBUG"})
    assert run.code == 1
    assert len(run.errors) == 3
    private = [
        sandbox.token,
        "never.in.a.log@example.com",
        "Nevershown",
        "did not like this",
        "raw_response",
        "limit=100",
        *(row["location"] for row in sandbox.interviews() if row["location"]),
    ]
    assert [secret for secret in private if secret in run.stderr] == []


class TestAccounts:
    """What can be wrong with an account before any of its rows is asked for."""

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"status": "needs_reauth"}, ["needs_reauth", "reconnect"]),
            ({"status": "validation_error"}, ["validation_error"]),
            ({"is_blocked": True}, ["blocked", "support"]),
        ],
    )
    @pytest.mark.parametrize("beside", [[], ["integrated_accounts"]], ids=["", "looked up"])
    def test_a_named_account_that_is_not_served_is_an_error(
        self,
        tap: Tap,
        sandbox: Sandbox,
        account: str,
        changes: dict[str, Any],
        words: list[str],
        beside: list[str],
    ) -> None:
        sandbox.account(account, **changes)
        every = [one["id"] for one in sandbox.accounts()]
        catalog = tap.catalog("interviews", *beside)
        run = tap(catalog=catalog, integrated_account_ids=every)
        assert run.code == 1
        assert len(run.errors) == 1
        assert all(word in run.errors[0] for word in [account, *words])
        assert table(run) == healthy(sandbox, account)
        # A look-up does not tell that an account is blocked, just as the listing does not.
        assert tries(sandbox, account) == (3 if beside and "is_blocked" in changes else 0)

    def test_found_accounts_that_are_not_active_are_named_in_one_warning(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        sandbox.account(account, status="needs_reauth")
        run = tap()
        assert (run.code, run.errors) == (0, [])
        assert run.logged("not active") == 1
        assert run.logged(account) == 1
        assert table(run) == healthy(sandbox, account)
        assert tries(sandbox, account) == 0

    def test_an_account_without_the_resource_is_counted(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        sandbox.account(account, resources=["candidates"])
        run = tap()
        assert (run.code, run.errors) == (0, [])
        assert run.logged(account) == 0
        assert run.report["not_offered"] == {"interviews": 1}
        assert table(run) == healthy(sandbox, account)

    @pytest.mark.parametrize("status", [403, 404])
    def test_named_accounts_are_read_with_a_token_that_may_not_look_at_accounts(
        self, tap: Tap, sandbox: Sandbox, account: str, status: int
    ) -> None:
        sandbox.fault(path="/integrated-account", status=status, times=None)
        every = [one["id"] for one in sandbox.accounts()]
        run = tap(integrated_account_ids=every)
        assert (run.code, run.errors) == (0, [])
        assert table(run) == rows(sandbox.interviews())
        assert run.records("integrated_accounts") == []
        assert account in run.stderr

    @pytest.mark.parametrize("status", [403, 404])
    def test_without_names_a_token_must_be_able_to_list_accounts(
        self, tap: Tap, sandbox: Sandbox, status: int
    ) -> None:
        sandbox.fault(path="/integrated-account", status=status, times=None)
        run = tap()
        assert run.code == 1
        assert len(run.errors) == 1
        assert "integrated_account_ids" in run.errors[0]
        assert sandbox.requests(PATH) == []

    def test_an_account_whose_capabilities_cannot_be_had_fails_alone(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        path = f"/integrated-account/{account}/capabilities"
        sandbox.fault(path=path, times=None, status=500, **AT_ONCE)
        every = [one["id"] for one in sandbox.accounts()]
        run = tap(catalog=tap.catalog("interviews"), integrated_account_ids=every)
        assert run.code == 1
        assert len(run.errors) == 1
        assert account in run.errors[0]
        assert table(run) == healthy(sandbox, account)

    def test_an_account_that_does_not_exist_is_named(self, tap: Tap, sandbox: Sandbox) -> None:
        known = sandbox.accounts()[0]["id"]
        run = tap(integrated_account_ids=[known, "nosuch/account?"])
        assert run.code == 1
        assert len(run.errors) == 1
        assert "nosuch/account?" in run.errors[0]
        # The sandbox's log holds decoded paths; an unquoted one would have cut the query off.
        paths = [one["path"] for one in sandbox.requests()]
        assert "/integrated-account/nosuch/account?/capabilities" in paths
        assert table(run) == rows(sandbox.interviews(known))


def envelope(status: int, **more: Any) -> dict[str, Any]:
    """Truto's whole envelope of an error, whose message quotes a person."""
    return {"statusCode": status, "error": PRIVATE, "message": PRIVATE, **more}


PRIVATE = "Nevershown, never.in.a.log@example.com: emails[email]=never.in.a.log matches nobody"
REMOTE = {"truto_is_remote_error": True, "raw_response": {"name": PRIVATE}}

REFUSED, FAILING = "The request was refused", "Truto or the provider is failing"
LOGIN, BLOCKED = (
    "The provider refused the account's login",
    "Truto says that the account is blocked",
)
TOKEN = "Truto refused the token"

# Status and body → cause, number of tries that the answer is worth.
MEANINGS: dict[str, tuple[int, object, str, float]] = {
    "400": (400, envelope(400), REFUSED, 1),
    "400 without a body": (400, None, REFUSED, 1),
    "401 of Truto": (401, envelope(401), TOKEN, 1),
    "401 of the provider": (401, envelope(401, **REMOTE), LOGIN, 1),
    "401 that breaks off": (401, None, FAILING, math.inf),
    "401 with a message alone": (401, {"message": PRIVATE}, FAILING, math.inf),
    "401 in words of another status": (401, envelope(403), FAILING, math.inf),
    "401 without an error": (401, {"statusCode": 401, "message": "x"}, FAILING, math.inf),
    "401 of a gateway": (401, {"statusCode": "401", "error": "", "message": ""}, FAILING, math.inf),
    "403": (403, envelope(403), "The provider forbids it", 1),
    "404": (404, envelope(404), "Not offered by the provider", 1),
    "405": (405, envelope(405), "Not offered by the provider", 1),
    "408": (408, envelope(408), FAILING, math.inf),
    "409": (409, envelope(409), REFUSED, 1),
    "418": (418, None, REFUSED, 1),
    "422": (422, envelope(422, **REMOTE), REFUSED, 1),
    "429": (429, envelope(429), "Too many requests", math.inf),
    "429 of the provider": (429, envelope(429, **REMOTE), "Too many requests", math.inf),
    "500": (500, envelope(500), FAILING, math.inf),
    "502 without a body": (502, None, FAILING, math.inf),
    "503 of Truto": (503, envelope(503), BLOCKED, 3),
    "503 of the provider": (503, envelope(503, **REMOTE), FAILING, math.inf),
    "503 of a CDN": (503, None, FAILING, math.inf),
    "503 of another's JSON": (503, {"error": "x", "message": "x"}, FAILING, math.inf),
    "503 that is a list": (503, [envelope(503)], FAILING, math.inf),
    "520": (520, None, FAILING, math.inf),
    "a redirect": (302, None, "The answer was a redirect", 1),
    "another success": (206, None, FAILING, math.inf),
}


class TestMeanings:
    """What an answer means, by its status and by Truto's own words around it."""

    @pytest.mark.parametrize(
        ("status", "body", "cause", "worth"), MEANINGS.values(), ids=MEANINGS.keys()
    )
    def test_an_answer_has_a_cause_and_is_worth_some_tries(
        self, status: int, body: object, cause: str, worth: float
    ) -> None:
        error = error_for(status, body)
        assert error.cause.startswith(cause)
        assert f"(HTTP {status})" in error.cause
        assert error.status == status
        assert (error.tries if isinstance(error, TransientError) else 1) == worth
        assert error.is_of_account is (cause in {LOGIN, BLOCKED})
        assert getattr(error, "is_of_run", False) is (cause == TOKEN)

    @pytest.mark.parametrize(
        ("status", "body", "cause", "worth"), MEANINGS.values(), ids=MEANINGS.keys()
    )
    @pytest.mark.parametrize("was_accepted", [True, False])
    def test_nobodys_words_become_part_of_an_error(
        self, status: int, body: object, cause: str, worth: float, was_accepted: object
    ) -> None:
        del cause, worth
        error = error_for(status, body, was_accepted=was_accepted is True)
        for word in ("never.in.a.log", "Nevershown", "matches nobody"):
            assert word not in repr(error)
        assert str(error) == f"{error.cause}. {error.cure}."

    @pytest.mark.parametrize(("was_accepted", "worth"), [(False, 1), (True, 2)])
    def test_a_token_that_was_accepted_deserves_a_second_try(
        self, was_accepted: object, worth: float
    ) -> None:
        error = error_for(401, envelope(401), was_accepted=was_accepted is True)
        assert isinstance(error, TransientError)
        assert (error.is_of_run, error.tries) == (True, worth)

    @pytest.mark.parametrize(
        ("insight", "details", "missing"),
        [
            (None, [], ()),
            ([], [], ()),
            ({"missing_required_query_parameters": {"value": ["job_id"]}}, ["job_id"], ("job_id",)),
            ({"missing_required_query_parameters": ["jobs[id]"]}, ["jobs[id]"], ("jobs[id]",)),
            (
                {"missing_required_query_parameters": {"value": [PRIVATE, "name", "site_id", 7]}},
                ["name, site_id"],
                ("name", "site_id"),
            ),
            *(
                ({"missing_required_query_parameters": {"value": [word]}}, [], ())
                for word in ("Leaka", "Nevershown.Leaka", "4915112345678", "a@b.example", "leaka")
            ),
            ({"missing_required_query_parameters": {"value": ["x" * 81]}}, [], ()),
            ({"missing_required_query_parameters": {"value": "job_id"}}, [], ()),
            (
                {"forbidden_error": {"value": {"missing_scopes": ["jobs:read", PRIVATE]}}},
                ["missing scopes: jobs:read)"],
                (),
            ),
            (
                {"forbidden_error": {"value": {"missing_scopes": ["candidates/never-shown"]}}},
                [],
                (),
            ),
            ({"forbidden_error": {"value": {"missing_scopes": {"a": 1}}}}, [], ()),
        ],
    )
    def test_names_that_an_answer_gives_are_told_and_nothing_else_is(
        self, insight: object, details: list[str], missing: tuple[str, ...]
    ) -> None:
        error = error_for(400, envelope(400, truto_error_insight=insight))
        assert all(one in error.cause for one in details)
        assert ("missing" in error.cause) is bool(details)
        assert error.missing_parameters == missing
        assert "never.in.a.log" not in str(error)


def test_an_unforeseen_fault_is_told_by_its_place_and_quotes_nothing() -> None:
    try:
        int("never.in.a.log")
    except ValueError as fault:
        error = unexpected(fault)
    assert "The tap met a ValueError in test_errors.py:" in str(error)
    assert "never.in.a.log" not in str(error)
    assert error.is_fault
    assert not AccountError("cause", "cure").is_fault
