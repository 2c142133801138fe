"""Each answer of the error table: what is tried again, what ends an account, what ends the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import rows, table

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
    "result: null": {"kind": "null_result"},
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


@pytest.mark.parametrize("path", ["/integrated-account", PATH], ids=["at once", "later"])
def test_a_refused_token_ends_the_run(tap: Tap, sandbox: Sandbox, path: str) -> None:
    sandbox.reset(accounts_per_provider=4, interviews=3, rate_limits=False)
    sandbox.fault(path=path, status=401, times=None)
    run = tap(max_concurrency=3)
    assert run.code == 1
    assert run.errors == [
        "Truto refused the token (HTTP 401). Set `api_token` to a valid API token."
    ]
    assert "Traceback" not in run.stderr
    refused = [one for one in sandbox.requests() if one["status"] == 401]
    assert 1 <= len(refused) <= 3


def test_a_wrong_token_ends_the_run(tap: Tap, sandbox: Sandbox) -> None:
    run = tap(api_token="no-such-token")
    assert run.code == 1
    assert len(run.errors) == 1
    assert "no-such-token" not in run.stderr
    assert len(sandbox.requests()) == 1


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        ("0", "Trying again in 0.0 s"),
        ("Thu, 01 Jan 2026 00:00:00 GMT", "Trying again in 0.0 s"),
        ("soon", "Trying again in"),  # after a random time
    ],
)
def test_retry_after_is_read_in_every_form(
    tap: Tap, sandbox: Sandbox, wait: str, words: str
) -> None:
    sandbox.fault(path=PATH, status=429, headers={"Retry-After": wait})
    run = tap()
    assert run.code == 0
    assert table(run) == rows(sandbox.interviews())
    assert run.logged(words) == 1


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
    def test_a_named_account_that_is_not_served_is_an_error(
        self,
        tap: Tap,
        sandbox: Sandbox,
        account: str,
        changes: dict[str, Any],
        words: list[str],
    ) -> None:
        sandbox.account(account, **changes)
        every = [one["id"] for one in sandbox.accounts()]
        run = tap(integrated_account_ids=every)
        assert run.code == 1
        assert len(run.errors) == 1
        assert all(word in run.errors[0] for word in [account, *words])
        assert table(run) == healthy(sandbox, account)
        assert tries(sandbox, account) == 0

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

    def test_an_account_without_the_resource_is_skipped_with_one_line(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        sandbox.account(account, resources=["candidates"])
        run = tap()
        assert (run.code, run.errors) == (0, [])
        assert run.logged(account) == 1
        assert run.logged("does not offer interviews") == 1
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
        run = tap(integrated_account_ids=[one["id"] for one in sandbox.accounts()])
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
