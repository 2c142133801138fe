"""What the sandbox promises to those who test against it."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
import requests

from sandbox.control import Sandbox
from sandbox.limits import Limits
from sandbox.server import serve
from sandbox.world import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, Any]

INTERVIEWS = "/unified/ats/interviews"
PROVIDERS = ("ashby", "ceipal", "fountain", "greenhouse", "pinpoint")
# The columns are the providers in the order above.
FIELDS = {
    "id": "x x x x x",
    "application": "x x - x x",
    "candidate": "- x x - -",
    "created_at": "x x - x x",
    "end_at": "x - x x x",
    "interviewers": "x x x x -",
    "job_interview_stage": "x x x - x",
    "location": "x x x x -",
    "organizer": "- x - x -",
    "remote_data": "x x x x x",
    "start_at": "x - - x x",
    "status": "x - x x x",
    "updated_at": "- x - x x",
}
FILTERS = {
    "application_id": "x - - x -",
    "created_at": "x x - x x",
    "job_interview_stage_id": "x - - - -",
    "candidate_id": "- - x - -",
    "updated": "- - - x -",
    "start_at": "x - - x x",
    "end_at": "x - x x x",
}
SPELLINGS = {
    "ashby": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "ceipal": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "fountain": r"\d{4}-\d\d-\d\dT\d\d:\d\dZ",
    "greenhouse": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+0000",
    "pinpoint": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+01:00",
}
CANONICAL = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00"
DATES = ("created_at", "updated_at", "start_at", "end_at")


@dataclass(frozen=True)
class Truto:
    """A plain client of the served Truto, and the sandbox behind it."""

    sandbox: Sandbox
    session: requests.Session
    ids: dict[str, str]

    def get(self, path: str, token: str | None = None, **params: Any) -> requests.Response:
        return self.session.get(
            self.sandbox.url + path,
            params=params,
            headers={"Authorization": f"Bearer {token or self.sandbox.token}"},
            timeout=10,
        )

    def interviews(self, provider: str, **params: Any) -> requests.Response:
        needed = {"candidate_id": self.candidate()} if provider == "fountain" else {}
        account = self.ids[provider]
        return self.get(INTERVIEWS, **(needed | {"integrated_account_id": account} | params))

    def rows(self, provider: str, **params: Any) -> list[Row]:
        answer = self.interviews(provider, **params)
        answer.raise_for_status()
        rows: list[Row] = answer.json()["result"]
        return rows

    def walk(self, provider: str, **params: Any) -> list[list[Row]]:
        pages: list[list[Row]] = []
        cursor = None
        while cursor or not pages:
            body = self.interviews(provider, **params, next_cursor=cursor).json()
            pages.append(body["result"])
            cursor = body["next_cursor"]
        return pages

    def truth(self, provider: str) -> list[Row]:
        rows = self.sandbox.interviews(self.ids[provider])
        if provider == "fountain":
            rows = [row for row in rows if row["candidate"]["id"] == self.candidate()]
        return rows

    def candidate(self) -> str:
        candidate: str = self.sandbox.interviews(self.ids["fountain"])[0]["candidate"]["id"]
        return candidate


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serve(Options(interviews=24, candidates=3, rate_limits=False)) as running:
        yield running


@pytest.fixture
def truto(sandbox: Sandbox) -> Iterator[Truto]:
    accounts = sandbox.reset()
    with requests.Session() as session:
        yield Truto(sandbox, session, {one["integration"]["name"]: one["id"] for one in accounts})


def marked(table: dict[str, str], provider: str) -> set[str]:
    column = PROVIDERS.index(provider)
    return {name for name, marks in table.items() if marks.split()[column] == "x"}


def instant(text: str) -> datetime:
    text = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text.replace("Z", "+00:00"))
    text = re.sub(r"\.(\d+)", lambda found: "." + found[1].ljust(6, "0"), text)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else datetime.fromisoformat(f"{text}+00:00")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_rows_hold_what_the_provider_fills_and_the_truth_says_the_same(
    truto: Truto, provider: str
) -> None:
    shown = {str(row["id"]): row for row in truto.rows(provider)}
    assert shown.keys() == {row["id"] for row in truto.truth(provider)}
    for truth in truto.truth(provider):
        row = shown[truth["id"]]
        custom = truth["custom_fields"] or {}
        assert set(row) == marked(FIELDS, provider) | set(custom)
        assert custom == {name: row[name] for name in custom}
        assert set(truth) == {*FIELDS, "custom_fields", "integrated_account_id"}
        assert all(truth[name] is None for name in FIELDS if name not in row)
        for name in (name for name in DATES if row.get(name)):
            assert re.fullmatch(SPELLINGS[provider], row[name])
            assert instant(truth[name]) == instant(row[name])
            assert re.fullmatch(CANONICAL, truth[name])
            assert row[name] < "2026-07"


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_filter_is_honoured_by_just_the_providers_of_the_page(
    truto: Truto, provider: str, name: str
) -> None:
    if name not in marked(FILTERS, provider):
        everything = truto.rows(provider)
        assert truto.rows(provider, **{name: "2025-06-01T00:00:00Z"}) == everything
        assert truto.rows(provider, **{f"{name}[gte]": "2099-01-01T00:00:00Z"}) == everything
        return
    field = {"updated": "updated_at"}.get(name, name.removesuffix("_id"))
    rows = [row for row in truto.truth(provider) if row[field]]
    wanted = rows[len(rows) // 2][field]
    value = wanted["id"] if isinstance(wanted, dict) else wanted
    expected = {row["id"] for row in rows if row[field] == wanted}
    assert {str(row["id"]) for row in truto.rows(provider, **{name: value})} == expected


@pytest.mark.parametrize(
    ("sign", "kept"),
    [("gt", range(13, 24)), ("gte", range(12, 24)), ("lt", range(12)), ("lte", range(13))],
)
@pytest.mark.parametrize("provider", ["ashby", "ceipal", "greenhouse", "pinpoint"])
def test_date_filters_compare_instants(truto: Truto, provider: str, sign: str, kept: range) -> None:
    truth = truto.truth(provider)
    found = truto.rows(provider, **{f"created_at[{sign}]": truth[12]["created_at"]})
    assert {str(row["id"]) for row in found} == {truth[n]["id"] for n in kept}


def test_date_filters_are_anded_and_others_ignored(truto: Truto) -> None:
    times = sorted(row["updated_at"] for row in truto.truth("greenhouse"))
    found = truto.rows("greenhouse", **{"updated[gte]": times[3], "updated[lt]": times[7]})
    assert sorted(instant(row["updated_at"]) for row in found) == [*map(instant, times[3:7])]
    ignored = {"updated_at[gte]": times[9], "updated[after]": times[9], "remote_query[a][b]": "c"}
    assert len(truto.rows("greenhouse", **ignored)) == 24
    assert truto.interviews("greenhouse", **{"updated[gt]": "yesterday"}).status_code == 400


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_walk_gives_every_row_once(truto: Truto, provider: str) -> None:
    pages = truto.walk(provider, limit=3)
    ids = [str(row["id"]) for page in pages for row in page]
    assert len(ids) == len(set(ids))
    assert set(ids) == {row["id"] for row in truto.truth(provider)}
    assert [len(page) for page in pages[:-1]] == [3] * (len(pages) - 1)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_cursor_is_taken_only_when_encoded_once(truto: Truto, provider: str) -> None:
    answer = truto.interviews(provider, limit=1)
    cursor = answer.json()["next_cursor"]
    parts = urlsplit(answer.url)
    bare = "".join(letter if letter < "\x7f" else quote(letter) for letter in cursor)
    statuses = []
    for text in (quote(cursor, safe=""), quote(quote(cursor, safe=""), safe=""), bare):
        connection = http.client.HTTPConnection(str(parts.netloc))
        target = f"{parts.path}?{parts.query}&next_cursor={text}"
        connection.request("GET", target, headers={"Authorization": "Bearer sandbox-token"})
        statuses.append(connection.getresponse().status)
        connection.close()
    assert statuses == [200, 400, 400]


@pytest.mark.parametrize(("provider", "repeated"), [("greenhouse", 0), ("pinpoint", 1)])
def test_a_row_added_during_a_walk_shifts_only_offsets(
    truto: Truto, provider: str, repeated: int
) -> None:
    first = truto.interviews(provider, limit=20).json()
    truto.sandbox.add(truto.ids[provider])
    rest = truto.rows(provider, limit=20, next_cursor=first["next_cursor"])
    ids = [row["id"] for row in first["result"] + rest]
    assert len(ids) == 25
    assert len(ids) - len(set(ids)) == repeated


@pytest.mark.parametrize("response_format", ["unified", "normalized", "raw", "stream"])
def test_formats(truto: Truto, response_format: str) -> None:
    unified = truto.interviews("greenhouse", limit=5)
    answer = truto.interviews("greenhouse", limit=5, truto_response_format=response_format)
    expected = unified.json()
    if response_format == "raw":
        expected["result"] = [row["remote_data"] for row in expected["result"]]
    assert answer.json() == expected
    assert set(expected) == {
        "result",
        "next_cursor",
        "prev_cursor",
        "result_count",
        "is_partial_response",
    }
    assert ("content-length" in answer.headers) == (response_format != "stream")


@pytest.mark.parametrize("response_format", ["unified", "stream"])
def test_truto_parameters(truto: Truto, response_format: str) -> None:
    shape = {"truto_response_format": response_format}
    rows = truto.rows("ashby")
    everything = truto.interviews("ashby", limit=1, truto_ignore_limit="true", **shape).json()
    assert everything["result"] == rows
    assert everything["next_cursor"] is None
    assert "remote_data" not in truto.rows("ashby", truto_ignore_remote_data="true", **shape)[0]
    excluded = {"truto_exclude_fields[]": ["application", "remote_data"]}
    assert set(rows[0]) - set(truto.rows("ashby", **excluded, **shape)[0]) == {
        "application",
        "remote_data",
    }
    keyed = truto.interviews("ashby", truto_key_by="id", **shape).json()["result"]
    assert keyed == {row["id"]: row for row in rows}
    assert truto.interviews("ashby", truto_response_format="xml").status_code == 400
    assert truto.interviews("ashby", limit=0).status_code == 400


@pytest.mark.parametrize(
    ("changes", "params", "status", "remote"),
    [
        ({}, {"token": "another"}, 401, False),
        ({}, {"integrated_account_id": None}, 400, False),
        ({}, {"integrated_account_id": "nobody"}, 404, False),
        ({"status": "needs_reauth"}, {}, 401, True),
        ({"is_blocked": True, "status": "needs_reauth"}, {}, 503, False),
        ({"resources": ["candidates"]}, {}, 404, False),
    ],
)
def test_refusals(truto: Truto, changes: Row, params: Row, status: int, *, remote: bool) -> None:
    truto.sandbox.account(truto.ids["ashby"], **changes)
    answer = truto.interviews("ashby", **params)
    body = answer.json()
    assert (answer.status_code, body["statusCode"]) == (status, status)
    assert body["error"]
    assert body["message"]
    assert body.get("truto_is_remote_error", False) == remote


def test_fountain_names_the_parameter_it_misses(truto: Truto) -> None:
    answer = truto.interviews("fountain", candidate_id=None)
    insight = answer.json()["truto_error_insight"]["missing_required_query_parameters"]
    assert (answer.status_code, insight["value"]) == (400, ["candidate_id"])
    account = truto.ids["fountain"]
    candidates = truto.get("/unified/ats/candidates", integrated_account_id=account).json()
    found = [
        row["id"]
        for candidate in candidates["result"]
        for row in truto.rows("fountain", candidate_id=candidate["id"])
    ]
    assert sorted(found) == sorted(row["id"] for row in truto.sandbox.interviews(account))


def test_accounts_are_listed_filtered_and_described(truto: Truto) -> None:
    accounts = truto.sandbox.reset(
        accounts=[
            {"provider": "ashby", "id": "a", "tenant_id": "t1"},
            {"provider": "ceipal", "id": "b", "tenant_id": "t1", "status": "needs_reauth"},
            {"provider": "pinpoint", "id": "c", "category": "hris", "is_blocked": True},
        ],
    )
    assert [one["id"] for one in accounts] == ["a", "b", "c"]
    first = truto.get("/integrated-account", limit=2).json()
    second = truto.get("/integrated-account", limit=2, next_cursor=first["next_cursor"]).json()
    assert [one["id"] for one in first["result"] + second["result"]] == ["a", "b", "c"]
    assert (set(second), second["next_cursor"]) == ({"result", "next_cursor", "limit"}, None)
    chosen = truto.get("/integrated-account", tenant_id="t1", status="active").json()["result"]
    assert chosen == [truto.get("/integrated-account/a").json()]
    path = "/integrated-account/c/capabilities"
    described = truto.get(path, type="unified", resource="interviews").json()
    assert [(one["model"], one["resource"]) for one in described["unified"]] == [
        ("ats", "interviews"),
    ]
    assert described["account"]["is_blocked"]
    assert described["integration"]["name"] == "pinpoint"
    assert truto.get("/integrated-account/d").status_code == 404
    assert truto.get("/ping").status_code == 200
    assert truto.get("/ping", token="x").status_code == 401


@pytest.mark.parametrize(
    ("path", "account", "limit"),
    [(INTERVIEWS, "a", 50), (INTERVIEWS, None, 500), ("/integrated-account", "a", 500)],
)
def test_the_limits_are_sliding_windows(path: str, account: str | None, limit: int) -> None:
    limits = Limits()
    admitted = [limits.admit(path, "token", account, n / 128) for n in range(limit + 5)]
    assert admitted == [True] * limit + [False] * 5
    assert [limits.admit(path, "token", account, at) for at in (9.99, 10, 10, 10 + 1 / 128)] == [
        False,
        True,
        False,
        True,
    ]
    assert limits.admit(path, "another token", "b", 10.5)


def test_beyond_the_limit_is_429_until_reset(truto: Truto) -> None:
    truto.sandbox.reset(rate_limits=True)
    answers = [truto.interviews("ashby", limit=1) for _ in range(51)]
    assert [answer.status_code for answer in answers] == [200] * 50 + [429]
    assert answers[-1].headers["Retry-After"] == "10"
    assert truto.interviews("ceipal").status_code == 200
    truto.sandbox.reset()
    assert truto.interviews("ashby").status_code == 200


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ({"kind": "html"}, 200, "<html>"),
        ({"kind": "garbage"}, 200, '{"result": [{"id": "1"}, oops'),
        ({"kind": "null_result"}, 200, '{"result":null,'),
        ({"kind": "body_override", "body": {"a": []}}, 200, '{"a": []}'),
        ({"kind": "rows", "rows": [{"id": None}]}, 200, '{"result":[{"id":null}],"next_cursor":"'),
        ({"kind": "keyed"}, 200, '{"result":{"4000000001":{"id":4000000001,'),
        ({"kind": "headers", "headers": {"X-Test": "1"}}, 200, '{"result":[{"id":4000000001,'),
        ({"kind": "delay", "seconds": 0.01}, 200, '{"result":[{"id":4000000001,'),
        ({"status": 500}, 500, '{"statusCode":500,"error":"Internal Server Error",'),
        ({"status": 520}, 520, '{"statusCode":520,"error":"Unknown",'),
        ({"status": 502, "body": "Bad gateway"}, 502, "Bad gateway"),
        ({"status": 403, "insight": {"forbidden_error": {}}}, 403, ""),
        ({"status": 429, "headers": {"Retry-After": "7"}, "remote": True}, 429, ""),
    ],
)
def test_a_fault_strikes_once(truto: Truto, fault: Row, status: int, text: str) -> None:
    truto.sandbox.fault(path=INTERVIEWS, **fault)
    answer = truto.interviews("greenhouse", limit=2)
    assert (answer.status_code, answer.text[: len(text)]) == (status, text)
    assert fault.get("headers", {}).items() <= answer.headers.items()
    if status in {403, 429}:
        body = answer.json()
        assert body.get("truto_error_insight") == fault.get("insight")
        assert ("truto_is_remote_error" in body) == ("raw_response" in body) == (status == 429)
    assert len(truto.rows("greenhouse")) == 24


def test_a_body_may_be_of_any_bytes(truto: Truto) -> None:
    body = bytes(range(256)).decode("latin-1")
    truto.sandbox.fault(path=INTERVIEWS, kind="body_override", body=body, encoding="latin-1")
    assert truto.interviews("greenhouse").content == bytes(range(256))


@pytest.mark.parametrize("response_format", ["unified", "stream"])
@pytest.mark.parametrize("kind", ["reset", "truncated"])
def test_a_connection_breaks(truto: Truto, kind: str, response_format: str) -> None:
    truto.sandbox.fault(kind=kind)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        truto.interviews("greenhouse", truto_response_format=response_format)
    assert len(truto.rows("greenhouse")) == 24
    statuses = [one["status"] for one in truto.sandbox.requests()]
    assert statuses == [None if kind == "reset" else 200, 200]


@pytest.mark.parametrize("provider", ["ashby", "pinpoint"])
def test_empty_pages_come_between_others(truto: Truto, provider: str) -> None:
    whole = truto.walk(provider, limit=10)
    truto.sandbox.fault(path=INTERVIEWS, kind="empty", skip=1, times=2)
    assert truto.walk(provider, limit=10) == [whole[0], [], [], *whole[1:]]


def test_a_loop_hands_out_a_cursor_again(truto: Truto) -> None:
    truto.sandbox.fault(kind="loop", skip=1)
    first = truto.interviews("pinpoint", limit=10).json()
    second = truto.interviews("pinpoint", limit=10, next_cursor=first["next_cursor"]).json()
    assert second["next_cursor"] == first["next_cursor"]


def test_a_big_page_is_streamed(truto: Truto) -> None:
    truto.sandbox.fault(kind="big", rows=1001)
    answer = truto.interviews("ashby")
    body = answer.json()
    assert len({row["id"] for row in body["result"]}) == body["result_count"] == 1001
    assert "content-length" not in answer.headers


def test_a_fault_meets_only_the_requests_meant(truto: Truto) -> None:
    ashby, ceipal = truto.ids["ashby"], truto.ids["ceipal"]
    truto.sandbox.fault(integrated_account_id=ashby, params={"limit": 7}, times=None, status=504)
    truto.sandbox.fault(path="/integrated-account/", integrated_account_id=ceipal, status=403)
    assert truto.interviews("ashby", limit=8).status_code == 200
    assert [truto.interviews("ashby", limit=7).status_code for _ in range(3)] == [504] * 3
    assert truto.interviews("ceipal", limit=7).status_code == 200
    assert truto.get(f"/integrated-account/{ashby}/capabilities").status_code == 200
    assert truto.get(f"/integrated-account/{ceipal}/capabilities").status_code == 403
    truto.sandbox.clear_faults()
    assert truto.interviews("ashby", limit=7).status_code == 200


@pytest.mark.parametrize(
    "spec", [{}, {"kind": "odd"}, {"kind": "html", "status": 500}, {"status": 500, "tims": 2}]
)
def test_a_fault_that_makes_no_sense_is_refused(truto: Truto, spec: Row) -> None:
    with pytest.raises(ValueError, match="/sandbox/faults"):
        truto.sandbox.fault(**spec)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_interviews_are_added_changed_cancelled_and_deleted(truto: Truto, provider: str) -> None:
    box, account = truto.sandbox, truto.ids[provider]
    before = box.interviews(account)
    key = before[0]["id"]
    added = box.add(account, custom_fields={"x": [1]}, organizer={"id": "77"})
    moved = box.change(account, key, end_at="2026-07-01T12:30:00+02:00", updated_at="2026-07-01")
    if "end_at" in marked(FIELDS, provider):
        assert moved["end_at"] == "2026-07-01T10:30:00.000000+00:00"
    if "updated_at" in marked(FIELDS, provider):
        assert added["updated_at"] == added["created_at"] > before[-1]["updated_at"]
        assert moved["updated_at"] == "2026-07-01T00:00:00.000000+00:00"
        assert box.change(account, key)["updated_at"] > "2026-07-02"
    cancelled = box.cancel(account, key)
    assert cancelled["status"] in {"cancelled", None}
    box.delete(account, before[1]["id"])
    assert box.interviews(account) == [cancelled, *before[2:], added]
    with pytest.raises(ValueError, match="not there"):
        box.delete(account, before[1]["id"])
    with pytest.raises(ValueError, match="no such field: colour"):
        box.add(account, colour="red")


def test_the_world_is_the_same_for_a_seed(truto: Truto) -> None:
    first = truto.sandbox.interviews()
    truto.sandbox.cancel(truto.ids["ashby"], truto.truth("ashby")[0]["id"])
    truto.sandbox.reset()
    assert truto.sandbox.interviews() == first
    truto.sandbox.reset(seed=2)
    assert truto.sandbox.interviews() != first


def test_ids_repeat_in_accounts_of_a_provider(truto: Truto) -> None:
    first, second = truto.sandbox.reset(accounts=[{"provider": "greenhouse"}] * 2)
    ours = truto.sandbox.interviews(first["id"])
    theirs = truto.sandbox.interviews(second["id"])
    assert [row["id"] for row in ours] == [row["id"] for row in theirs]
    assert [row["status"] for row in ours] != [row["status"] for row in theirs]


def test_requests_are_on_record(truto: Truto) -> None:
    truto.get("/ping", a=["b c", "d"])
    truto.sandbox.accounts()
    truto.interviews("ashby", token="wrong")
    ping, refused = truto.sandbox.requests()
    assert (ping["path"], ping["query"], ping["status"]) == ("/ping", "a=b+c&a=d", 200)
    assert ping["params"] == [["a", "b c"], ["a", "d"]]
    assert refused["status"] == 401
    assert refused["at"] >= ping["at"]
    assert truto.sandbox.requests("/ping") == [ping]
    truto.sandbox.clear_requests()
    assert truto.sandbox.requests() == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_told_to_end(ending: signal.Signals) -> None:
    command = [sys.executable, "-W", "error", "-m", "sandbox", "--port", "0", "--token", "t"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        found = re.search(r"http://\S+(?=,)", running.stdout.readline())
        assert found
        assert len(Sandbox(found[0], "t").accounts()) == 5
        running.send_signal(ending)
        _, errors = running.communicate(timeout=10)
    assert (running.returncode, errors) == (0, "")
