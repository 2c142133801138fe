"""HTTP to Truto: what a request looks like on the wire, how often it is made, what it costs."""

from __future__ import annotations

import logging
import random
import socket
import time
import tracemalloc
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tap_truto_ats.api import client as client_module
from tap_truto_ats.api.client import TrutoClient, _waits, encode_params, parse_retry_after
from tap_truto_ats.api.errors import AccountError, BrokenBodyError, RunError, TransientError
from tap_truto_ats.api.limits import RateLimiter
from tap_truto_ats.api.request import ArrivingPage, Request
from tap_truto_ats.settings.schema import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandbox.control import Sandbox
    from tap_truto_ats.api.envelope import Page

PATH = "/unified/ats/interviews"
AT_ONCE = {"headers": {"Retry-After": "0"}}

PARAMS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "nothing": ({}, []),
    "text": ({"a": "b"}, [("a", "b")]),
    "empty text": ({"a": ""}, [("a", "")]),
    "numbers": ({"a": 1, "b": 0, "c": 1.5}, [("a", "1"), ("b", "0"), ("c", "1.5")]),
    "booleans": ({"a": True, "b": False}, [("a", "true"), ("b", "false")]),
    "an object": ({"a": {"gte": "x", "lt": "y"}}, [("a[gte]", "x"), ("a[lt]", "y")]),
    "objects in objects": ({"a": {"b": {"c": {"d": 1}}}}, [("a[b][c][d]", "1")]),
    "a list": ({"a": ["x", "y"]}, [("a[]", "x"), ("a[]", "y")]),
    "a list of booleans": ({"a": [True]}, [("a[]", "true")]),
    "a list in an object": ({"a": {"b": [1, 2]}}, [("a[b][]", "1"), ("a[b][]", "2")]),
    "objects in a list": ({"a": [{"b": 1}, {"b": 2}]}, [("a[][b]", "1"), ("a[][b]", "2")]),
    "nothing within": ({"a": {}, "b": []}, []),
    "no encoding yet": ({"a": "ä /?&=+%25"}, [("a", "ä /?&=+%25")]),
}


@pytest.mark.parametrize(("params", "pairs"), PARAMS.values(), ids=PARAMS)
def test_parameters_are_written_as_truto_reads_them(
    params: dict[str, Any], pairs: list[tuple[str, str]]
) -> None:
    assert list(encode_params(params)) == pairs


RETRY_AFTER: dict[str, tuple[str | None, float | None]] = {
    "absent": (None, None),
    "empty": ("", None),
    "seconds": ("10", 10),
    "none": ("0", 0),
    "blanks": (" 7 ", 7),
    "clamped": ("3600", 300),
    "absurd": ("9" * 400, 300),
    "date": ("Thu, 01 Jan 2026 00:00:30 GMT", 30),
    "date in another zone": ("Thu, 01 Jan 2026 01:00:30 +0100", 30),
    "date without zone": ("Thu, 01 Jan 2026 00:00:30", 30),
    "date of RFC 850": ("Thursday, 01-Jan-26 00:00:30 GMT", 30),
    "past date": ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
    "far date": ("Fri, 01 Jan 2027 00:00:00 GMT", 300),
    "garbage": ("soon", None),
    "negative": ("-5", None),
    "fraction": ("1.5", None),
    "no such date": ("Thu, 32 Jan 2026 00:00:00 GMT", None),
    "year of five digits": ("Thu, 01 Jan 99999 00:00:00 GMT", None),
    "absurd zone": ("Thu, 01 Jan 2026 00:00:00 +" + "9" * 30, None),
    "ISO date": ("2026-01-01T00:00:30Z", None),
}


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, datetime(2026, 1, 1, tzinfo=timezone.utc)) == seconds


class TestWaits:
    """Seconds before each retry."""

    def test_they_are_random_below_bounds_that_double_up_to_a_minute(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(random, "uniform", lambda low, high: (low, high))
        waits = _waits()
        next(waits)
        bounds: list[Any] = [waits.send(TransientError("c", "c")) for _ in range(10)]
        highs = [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
        assert bounds == [(0, high) for high in highs]

    def test_what_the_server_asks_for_is_obeyed(self) -> None:
        waits = _waits()
        next(waits)
        error = TransientError("c", "c")
        for seconds in (300.0, 0.0):
            error.retry_after = seconds
            assert waits.send(error) == seconds


def fetched(one: TrutoClient, request: Request) -> Page:
    """Fetch as the loop does, which has each request counted beforehand."""
    assert one.admit(request) is None
    return one.fetch(request)


class CountingLimiter(RateLimiter):
    """Lets everything through and remembers it."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: list[str | None] = []
        self.heeded: list[tuple[str | None, Mapping[str, str]]] = []

    def admit(self, account_id: str | None) -> None:
        self.counted.append(account_id)

    def heed(self, account_id: str | None, headers: Mapping[str, str]) -> None:
        self.heeded.append((account_id, headers))


@pytest.fixture
def limiter() -> CountingLimiter:
    return CountingLimiter()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits before retries, which nobody waits for."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


@pytest.fixture
def account(sandbox: Sandbox) -> str:
    created: str = sandbox.reset(
        accounts=[{"provider": "greenhouse"}], interviews=8, rate_limits=False
    )[0]["id"]
    return created


@pytest.fixture
def request_(account: str) -> Request:
    return Request(PATH, {"integrated_account_id": account, "limit": 5}, account)


def client(sandbox: Sandbox, limiter: RateLimiter | None = None, **settings: Any) -> TrutoClient:
    base = {"api_url": sandbox.url, "api_token": sandbox.token, "max_retries": 2}
    return TrutoClient(Settings.from_config(base | settings), limiter)


class Cost(NamedTuple):
    """What reading one page took: bytes, and rows that were held at the same time."""

    most_rows_of_a_part: int
    size: int
    memory: int


def everything(reader: TrutoClient, request: Request) -> list[Any]:
    """Read one page that arrives in parts."""
    rows: list[Any] = []
    while True:
        page = fetched(reader, request)
        rows += page.rows
        if not page.unread:
            return rows


class TestRequests:
    """One GET of one page."""

    def test_a_page_is_read(self, sandbox: Sandbox, request_: Request) -> None:
        page = client(sandbox).fetch(request_)
        assert len(page.rows) == 5
        assert page.next_cursor
        assert not page.unread

    def test_one_object_is_read_as_a_page_of_one_row(self, sandbox: Sandbox, account: str) -> None:
        page = client(sandbox).fetch(Request(f"/integrated-account/{account}", single=True))
        assert [row["id"] for row in page.rows] == [account]
        assert page.next_cursor is None

    def test_the_next_page_sends_all_parameters_again(
        self, sandbox: Sandbox, request_: Request
    ) -> None:
        reader = client(sandbox)
        first = reader.fetch(request_)
        second = reader.fetch(request_.after(first.next_cursor or ""))
        assert len({row["id"] for row in [*first.rows, *second.rows]}) == 8
        sent = [dict(one["params"]) for one in sandbox.requests(PATH)]
        assert sent[1] == {**sent[0], "next_cursor": first.next_cursor}

    def test_parameters_are_percent_encoded_exactly_once(
        self, sandbox: Sandbox, request_: Request
    ) -> None:
        value = "https://a.example/?q=a+b%20c%2F&x[]=ä;é#1"
        client(sandbox).fetch(request_.having({"remote_query": {"k": [value]}}))
        seen = sandbox.requests(PATH)[0]
        assert ["remote_query[k][]", value] in seen["params"]
        assert "remote_query%5Bk%5D%5B%5D=https%3A%2F%2Fa.example%2F%3Fq%3Da" in seen["query"]
        assert "a%2Bb%2520c%252F%26x%5B%5D%3D%C3%A4%3B%C3%A9%231" in seen["query"]

    def test_a_slash_at_the_end_of_the_address_changes_nothing(
        self, sandbox: Sandbox, request_: Request
    ) -> None:
        client(sandbox, api_url=f"{sandbox.url}/").fetch(request_)
        assert [one["path"] for one in sandbox.requests()] == [PATH]

    def test_the_token_wins_over_a_netrc_entry(
        self,
        sandbox: Sandbox,
        request_: Request,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login somebody password else\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        assert client(sandbox).fetch(request_).rows

    def test_urllib3_logs_no_address(
        self, sandbox: Sandbox, request_: Request, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        sandbox.fault(path=PATH, status=502, **AT_ONCE)
        client(sandbox).fetch(request_)
        assert "Trying again" in caplog.text
        assert "limit=5" not in caplog.text
        assert sandbox.token not in caplog.text


class TestDerivedRequests:
    """Requests made from others, which stay as they were."""

    def test_having_adds_and_replaces(self) -> None:
        first = Request(PATH, {"a": 1, "b": 2}, "acc-1")
        assert first.having({"b": 3, "c": 4}) == Request(PATH, {"a": 1, "b": 3, "c": 4}, "acc-1")
        assert first.params == {"a": 1, "b": 2}

    def test_after_replaces_the_cursor_only(self) -> None:
        first = Request(PATH, {"a": 1}, "acc-1")
        assert first.after("c2").after("c3") == Request(
            PATH, {"a": 1, "next_cursor": "c3"}, "acc-1"
        )

    def test_each_page_of_a_stream_arrives_by_itself(self) -> None:
        first = Request(PATH, arriving=ArrivingPage())
        second = first.after("c2")
        assert second.arriving is not None
        assert second.arriving is not first.arriving
        assert Request(PATH).after("c2").arriving is None

    @pytest.mark.parametrize(
        ("path", "counted"),
        [
            (PATH, "acc-1"),
            ("/unified/ats/candidates", "acc-1"),
            ("/integrated-account/acc-1/capabilities", None),
            ("/integrated-account", None),
        ],
    )
    def test_unified_calls_count_for_their_account(self, path: str, counted: str | None) -> None:
        assert Request(path, {}, "acc-1").limited_account == counted


@pytest.mark.usefixtures("slept")
class TestRetries:
    """Which answers are tried again, how often, and that the limits see each try."""

    def test_the_limiter_sees_each_try_and_each_answer(
        self, sandbox: Sandbox, request_: Request, account: str, limiter: CountingLimiter
    ) -> None:
        headers = {"Retry-After": "0", "ratelimit-remaining": "0", "ratelimit-reset": "3"}
        sandbox.fault(path=PATH, status=429, headers=headers)
        sandbox.fault(path=PATH, status=502, times=2)
        fetched(client(sandbox, limiter, max_retries=3), request_)
        assert limiter.counted == [account] * 4
        assert [one[0] for one in limiter.heeded] == [account] * 4
        assert limiter.heeded[0][1]["ratelimit-reset"] == "3"

    def test_a_broken_connection_is_a_try_too(
        self, sandbox: Sandbox, request_: Request, account: str, limiter: CountingLimiter
    ) -> None:
        sandbox.fault(path=PATH, kind="reset")
        sandbox.fault(path=PATH, kind="truncated")
        fetched(client(sandbox, limiter), request_)
        assert limiter.counted == [account] * 3

    def test_a_request_for_no_account_counts_for_the_token(
        self, sandbox: Sandbox, account: str, limiter: CountingLimiter
    ) -> None:
        path = f"/integrated-account/{account}/capabilities"
        fetched(client(sandbox, limiter), Request(path, {}, account, single=True))
        assert limiter.counted == [None]

    @pytest.mark.parametrize("retries", [0, 1, 4])
    def test_as_many_as_set(self, sandbox: Sandbox, request_: Request, retries: int) -> None:
        sandbox.fault(path=PATH, status=502, times=None)
        with pytest.raises(TransientError):
            client(sandbox, max_retries=retries).fetch(request_)
        assert len(sandbox.requests(PATH)) == retries + 1

    @pytest.mark.parametrize(
        ("statuses", "tries"),
        [([503] * 9, 3), ([503, 502, 503, 502, 503, 200], 5), ([503, 503, 200], 3)],
        ids=["blocked", "blocked, with others between", "blocked for a while"],
    )
    def test_a_blocked_account_is_tried_three_times(
        self, sandbox: Sandbox, request_: Request, statuses: list[int], tries: int
    ) -> None:
        for status in statuses:
            if status != 200:
                sandbox.fault(path=PATH, status=status, **AT_ONCE)
        reader = client(sandbox, max_retries=8)
        if statuses.count(503) >= 3:
            with pytest.raises(TransientError, match="blocked") as caught:
                reader.fetch(request_)
            assert caught.value.status == 503
        else:
            assert reader.fetch(request_).rows
        assert len(sandbox.requests(PATH)) == tries

    @pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 418, 422])
    def test_refusals_are_not_tried_again(
        self, sandbox: Sandbox, request_: Request, status: int
    ) -> None:
        sandbox.fault(path=PATH, status=status, times=None)
        with pytest.raises(AccountError) as caught:
            client(sandbox).fetch(request_)
        assert not isinstance(caught.value, TransientError)
        assert caught.value.status == status
        assert len(sandbox.requests(PATH)) == 1

    def test_a_refused_token_ends_the_run(self, sandbox: Sandbox, request_: Request) -> None:
        with pytest.raises(RunError, match="api_token"):
            client(sandbox, api_token="no-such-token").fetch(request_)
        assert len(sandbox.requests()) == 1

    def test_the_wait_is_the_servers_where_it_tells_one(
        self, sandbox: Sandbox, request_: Request, slept: list[float]
    ) -> None:
        sandbox.fault(path=PATH, status=429, headers={"Retry-After": "17"})
        sandbox.fault(path=PATH, status=429, headers={"Retry-After": "3600"})
        sandbox.fault(path=PATH, status=502)
        client(sandbox, max_retries=3).fetch(request_)
        assert slept[:2] == [17, 300]
        assert 0 <= slept[2] <= 2

    def test_a_failure_of_the_network_is_told_without_the_address(self, account: str) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            settings = Settings.from_config(
                {
                    "api_url": f"http://127.0.0.1:{port}",
                    "api_token": "no-such-token",
                    "max_retries": 1,
                }
            )
            with pytest.raises(TransientError, match="could not be reached") as caught:
                TrutoClient(settings).fetch(Request(PATH, {"q": "never.in.a.log"}, account))
        chain: BaseException | None = caught.value
        while chain is not None:
            assert "never.in.a.log" not in str(chain)
            assert str(port) not in str(chain)
            chain = chain.__cause__ or chain.__context__


@pytest.mark.usefixtures("slept")
class TestArrivingPages:
    """Pages that are handed out in parts while they arrive."""

    @pytest.fixture
    def arriving(self, request_: Request) -> Request:
        return Request(
            PATH,
            {**request_.params, "truto_response_format": "stream"},
            request_.account_id,
            arriving=ArrivingPage(),
        )

    def test_the_parts_are_the_page(self, sandbox: Sandbox, arriving: Request) -> None:
        rows = everything(client(sandbox), arriving)
        assert len(rows) == 5
        assert len(sandbox.requests(PATH)) == 1

    def test_a_page_four_times_as_large_needs_no_more_memory(
        self, sandbox: Sandbox, arriving: Request
    ) -> None:
        reader = client(sandbox)
        everything(reader, arriving)
        small, large = (self.cost(sandbox, reader, arriving, rows) for rows in (1_000, 4_000))
        assert large.most_rows_of_a_part == small.most_rows_of_a_part
        assert large.most_rows_of_a_part < 1_000
        assert large.memory - small.memory < (large.size - small.size) / 4

    @staticmethod
    def cost(sandbox: Sandbox, reader: TrutoClient, arriving: Request, count: int) -> Cost:
        """Read a page of so many rows, keeping none."""
        sandbox.fault(path=PATH, kind="big", rows=count)
        seen = most = size = 0
        again = arriving.having({})
        tracemalloc.start()
        try:
            while True:
                page = reader.fetch(again)
                seen += len(page.rows)
                most = max(most, len(page.rows))
                size += sum(len(str(row)) for row in page.rows)
                if not page.unread:
                    break
            memory = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert seen == count
        return Cost(most, size, memory)

    def test_a_page_that_breaks_is_asked_for_again_from_its_start(
        self, sandbox: Sandbox, arriving: Request, account: str, limiter: CountingLimiter
    ) -> None:
        sandbox.fault(path=PATH, kind="truncated")
        rows = everything(client(sandbox, limiter), arriving)
        assert {row["id"] for row in rows[-5:]} == {row["id"] for row in rows}
        assert limiter.counted == [account] * 2

    @pytest.mark.parametrize("kind", ["truncated", "garbage", "html", "null_result"])
    def test_a_page_that_always_breaks_ends_the_account(
        self, sandbox: Sandbox, arriving: Request, kind: str
    ) -> None:
        sandbox.fault(path=PATH, kind=kind, times=None)
        with pytest.raises(TransientError):
            everything(client(sandbox, max_retries=2), arriving)
        assert len(sandbox.requests(PATH)) == 3

    def test_refusals_are_refusals(self, sandbox: Sandbox, arriving: Request) -> None:
        sandbox.fault(path=PATH, status=404)
        with pytest.raises(AccountError) as caught:
            client(sandbox).fetch(arriving)
        assert caught.value.status == 404

    def test_an_error_is_tried_again(self, sandbox: Sandbox, arriving: Request) -> None:
        sandbox.fault(path=PATH, status=502, **AT_ONCE)
        assert len(everything(client(sandbox), arriving)) == 5


def test_a_broken_body_says_so(sandbox: Sandbox, request_: Request) -> None:
    sandbox.fault(path=PATH, kind="html", times=None)
    with pytest.raises(BrokenBodyError):
        client(sandbox, max_retries=0).fetch(request_)


def test_the_first_wait_is_short_and_the_last_a_minute() -> None:
    assert (client_module.FIRST_WAIT, client_module.LAST_WAIT) == (0.5, 60)
