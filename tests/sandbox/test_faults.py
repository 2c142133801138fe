"""What can be ordered to go wrong, and to happen, at a request of choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.sandbox.client import account_of, ask, ids

if TYPE_CHECKING:
    from sandbox.control import Sandbox

Row = dict[str, Any]

CANDIDATES = "/unified/ats/candidates"
LONG_AGO = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.fixture
def account(sandbox: Sandbox) -> str:
    """An account whose five candidates come two a page, the newest first."""
    return account_of(sandbox, "jobscore")


@pytest.fixture
def keys(sandbox: Sandbox, account: str) -> list[str]:
    """The ids of the account's candidates, in the order of its pages."""
    return [row["id"] for row in sandbox.rows("candidates", account)][::-1]


def candidates(sandbox: Sandbox, account: str, cursor: str | None = None) -> requests.Response:
    query = {"integrated_account_id": account, "limit": 2, "next_cursor": cursor}
    return ask(sandbox, CANDIDATES, **query)


class TestActs:
    @pytest.mark.parametrize(
        ("act", "expected"),
        [
            ({"add": "candidates", "fields": {"id": "new"}}, "0 1 1 2 3 4"),
            ({"change": "candidates", "key": 4, "fields": {"name": "New"}}, "0 1 2 3 4"),
            ({"delete": "candidates", "key": 0}, "0 1 3 4"),
        ],
        ids=["add", "change", "delete"],
    )
    def test_things_change_while_they_are_listed(
        self, sandbox: Sandbox, account: str, keys: list[str], act: Row, expected: str
    ) -> None:
        act = {"account": account, **act} | ({"key": keys[act["key"]]} if "key" in act else {})
        sandbox.fault(path=CANDIDATES, skip=1, acts=[act])
        assert ids(sandbox, account) == [keys[int(place)] for place in expected.split()]
        rows = {row["id"]: row["name"] for row in sandbox.rows("candidates", account)}
        assert ("new" in rows) == ("add" in act)
        assert (rows[keys[4]] == "New") == ("change" in act)
        assert {one["status"] for one in sandbox.requests(CANDIDATES)} == {200}

    def test_what_changes_moves_to_the_end_of_the_list(
        self, sandbox: Sandbox, account: str
    ) -> None:
        sandbox.account(account, order="oldest change first")
        before = ids(sandbox, account)
        act = {"change": "candidates", "account": account, "key": before[0], "fields": {}}
        sandbox.fault(path=CANDIDATES, skip=1, acts=[act])
        assert ids(sandbox, account) == [*before[:2], *before[3:], before[0]]

    def test_an_account_leaves_the_list_and_comes_back(
        self, sandbox: Sandbox, account: str
    ) -> None:
        for skip, listed in ((0, False), (1, True)):
            act = {"account": account, "fields": {"is_listed": listed}}
            sandbox.fault(path="/integrated-account", skip=skip, acts=[act])
        found = [ask(sandbox, "/integrated-account").json()["result"] for _ in range(3)]
        assert [len(one) for one in found] == [0, 1, 1]

    def test_an_account_is_upset_at_a_request(self, sandbox: Sandbox, account: str) -> None:
        act = {"account": account, "fields": {"status": "needs_reauth"}}
        sandbox.fault(path=CANDIDATES, skip=1, acts=[act])
        assert [candidates(sandbox, account).status_code for _ in range(3)] == [200, 401, 401]

    def test_acts_happen_in_their_order_as_often_as_the_fault_strikes(
        self, sandbox: Sandbox, account: str
    ) -> None:
        add = {"add": "candidates", "account": account}
        sandbox.fault(path=CANDIDATES, times=3, acts=[add, add])
        for _ in range(4):
            candidates(sandbox, account)
        assert len(sandbox.rows("candidates", account)) == 11

    def test_acts_alone_leave_the_answer_to_other_faults(
        self, sandbox: Sandbox, account: str
    ) -> None:
        add = {"add": "candidates", "account": account}
        sandbox.fault(path=CANDIDATES, acts=[add])
        sandbox.fault(path=CANDIDATES, times=2, status=500, acts=[add])
        assert [candidates(sandbox, account).status_code for _ in range(3)] == [500, 500, 200]
        assert len(sandbox.rows("candidates", account)) == 8

    def test_an_act_that_is_not_possible_is_told(self, sandbox: Sandbox, account: str) -> None:
        act = {"delete": "candidates", "account": account, "key": "nobody"}
        sandbox.fault(path=CANDIDATES, acts=[act])
        answer = candidates(sandbox, account)
        assert answer.status_code == 500
        assert answer.json()["message"] == "an act is not possible: 'nobody'"

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            ({"account": "nobody", "add": "jobs"}, "no such account: nobody"),
            ({"add": "candidates"}, "account"),
            ({"add": "odds"}, "no such resource: odds"),
            ({"add": "jobs", "delete": "jobs", "key": "1"}, "either adds or changes or deletes"),
            ({"change": "jobs"}, "has a key"),
            ({"add": "jobs", "key": "1"}, "has a key"),
            ({"key": "1"}, "has a key"),
            ({"delete": "jobs", "key": "1", "fields": {"name": "a"}}, "has no fields"),
            ({"change": "jobs", "key": "1", "fields": {"colour": 1}}, "no such field: colour"),
            ({"fields": {"colour": 1}}, "no such property: colour"),
            ({"verb": "add"}, "verb"),
        ],
    )
    def test_an_act_that_makes_no_sense_is_refused(
        self, sandbox: Sandbox, account: str, spec: Row, said: str
    ) -> None:
        if spec != {"add": "candidates"}:
            spec = {"account": account, **spec}
        with pytest.raises(ValueError, match=said):
            sandbox.fault(acts=[spec])


class TestAnswers:
    def test_no_content(self, sandbox: Sandbox, account: str) -> None:
        sandbox.fault(path=CANDIDATES, status=204)
        answer = candidates(sandbox, account)
        assert (answer.status_code, answer.content) == (204, b"")
        assert not {"content-type", "content-length"} & answer.headers.keys()
        assert candidates(sandbox, account).status_code == 200

    @pytest.mark.parametrize("status", [200, 403, 502])
    def test_a_page_of_something_else(self, sandbox: Sandbox, account: str, status: int) -> None:
        html = {"Content-Type": "text/html"}
        sandbox.fault(path=CANDIDATES, status=status, body="<p>ü", headers=html)
        answer = candidates(sandbox, account)
        assert (answer.status_code, answer.content) == (status, "<p>ü".encode())
        assert answer.headers["Content-Type"] == "text/html"

    def test_an_error_breaks_off(self, sandbox: Sandbox, account: str) -> None:
        error = {"status": 401, "remote": True}
        sandbox.fault(path=CANDIDATES, **error)
        whole = candidates(sandbox, account).content
        sandbox.fault(path=CANDIDATES, **error, kind="truncated")
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        answer = requests.get(sandbox.url + CANDIDATES, headers=headers, stream=True, timeout=10)
        assert answer.status_code == 401
        assert answer.headers["Content-Length"] == str(len(whole))
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            _ = answer.content

    @pytest.mark.parametrize("remote", [False, True])
    def test_a_message_of_choice(self, sandbox: Sandbox, account: str, *, remote: bool) -> None:
        said = "Leaka Nevershown is no candidate"
        sandbox.fault(path=CANDIDATES, status=422, message=said, remote=remote)
        body = candidates(sandbox, account).json()
        assert (body["statusCode"], body["message"]) == (422, said)
        assert ("raw_response" in body) == remote

    @pytest.mark.parametrize(
        "fault", [{"kind": "headers"}, {"kind": "empty"}, {"status": 429}, {"status": 204}]
    )
    def test_the_date_is_one_of_choice_or_none(
        self, sandbox: Sandbox, account: str, fault: Row
    ) -> None:
        for date in (LONG_AGO, None):
            sandbox.fault(path=CANDIDATES, headers={"date": date}, **fault)
            answer = candidates(sandbox, account)
            assert answer.raw.headers.getlist("Date") == ([date] if date else [])
        dates = candidates(sandbox, account).raw.headers.getlist("Date")
        assert len(dates) == 1
        assert dates[0].endswith(" GMT")

    @pytest.mark.parametrize(
        "spec",
        [
            {"message": "a"},
            {"message": "a", "kind": "html"},
            {"message": "a", "status": 400, "body": "b"},
            {"status": 500, "kind": "delay", "seconds": 1},
            {"acts": [], "headers": {"Date": LONG_AGO}},
        ],
    )
    def test_a_fault_that_makes_no_sense_is_refused(self, sandbox: Sandbox, spec: Row) -> None:
        with pytest.raises(ValueError, match="/sandbox/faults"):
            sandbox.fault(**spec)

    def test_acts_do_not_delay(self, sandbox: Sandbox, account: str) -> None:
        add = {"add": "candidates", "account": account}
        with pytest.raises(ValueError, match="is a kind"):
            sandbox.fault(acts=[add], seconds=1)
        sandbox.fault(acts=[add], kind="delay", seconds=0.01)
        candidates(sandbox, account)
        assert len(sandbox.rows("candidates", account)) == 6


class TestPages:
    @pytest.mark.parametrize(
        ("kind", "rows", "cursors"),
        [("stuck", 0, 1), ("loop", 2, 1), ("empty", 0, 6), ("endless", 2, 6)],
    )
    @pytest.mark.parametrize("provider", ["jobscore", "lever"])
    def test_a_list_has_no_end(
        self, sandbox: Sandbox, provider: str, kind: str, rows: int, cursors: int
    ) -> None:
        account = account_of(sandbox, provider)
        first = candidates(sandbox, account).json()
        second = candidates(sandbox, account, first["next_cursor"]).json()["result"]
        sandbox.fault(path=CANDIDATES, later_pages=True, times=None, kind=kind)
        asked, pages = [candidates(sandbox, account).json()["next_cursor"]], []
        for _ in range(5):
            page = candidates(sandbox, account, asked[-1]).json()
            pages.append(page["result"])
            asked.append(page["next_cursor"])
        assert pages == [second[:rows]] * 5
        assert asked[0] == first["next_cursor"]
        assert len(set(asked)) == cursors
        sandbox.clear_faults()
        assert candidates(sandbox, account, asked[-1]).json()["result"] == second

    def test_a_cursor_expires_and_the_list_begins_anew(
        self, sandbox: Sandbox, account: str, keys: list[str]
    ) -> None:
        sandbox.fault(path=CANDIDATES, later_pages=True, skip=1, status=410, remote=True)
        cursor, statuses = None, []
        for _ in range(3):
            answer = candidates(sandbox, account, cursor)
            statuses.append(answer.status_code)
            cursor = answer.json().get("next_cursor")
        assert statuses == [200, 200, 410]
        assert candidates(sandbox, account, "").status_code == 200
        assert ids(sandbox, account) == keys
