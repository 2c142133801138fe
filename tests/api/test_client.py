"""HTTP to Truto: what a request looks like on the wire, and what its one try leads to."""

from __future__ import annotations

import logging
import socket
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pytest

from tap_truto_ats.api.client import TrutoClient, encode_params
from tap_truto_ats.api.errors import AccountError, BrokenBodyError, NoListError, TransientError
from tap_truto_ats.api.limits import RateLimiter
from tap_truto_ats.api.request import ArrivingPage, Request, Usage
from tap_truto_ats.settings.schema import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandbox.control import Sandbox
    from tap_truto_ats.api.envelope import Page

PATH = "/unified/ats/interviews"

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


def fetched(one: TrutoClient, request: Request) -> Page:
    """Fetch as the loop does, which has each request counted beforehand."""
    assert one.admit(request) is None
    return one.fetch(request, Usage())


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
def account(sandbox: Sandbox) -> str:
    created: str = sandbox.reset(
        accounts=[{"provider": "greenhouse"}], interviews=8, rate_limits=False
    )[0]["id"]
    return created


@pytest.fixture
def request_(account: str) -> Request:
    return Request(PATH, {"integrated_account_id": account, "limit": 5}, account)


def client(sandbox: Sandbox, limiter: RateLimiter | None = None, **settings: Any) -> TrutoClient:
    base = {"api_url": sandbox.url, "api_token": sandbox.token}
    return TrutoClient(Settings.from_config(base | settings), limiter)


class Cost(NamedTuple):
    """What reading one page took: bytes, and rows that were held at the same time."""

    most_rows_of_a_part: int
    size: int
    memory: int


def everything(reader: TrutoClient, request: Request, usage: Usage | None = None) -> list[Any]:
    """Read one page, in parts if it arrives so."""
    rows: list[Any] = []
    usage = usage or Usage()
    while True:
        assert reader.admit(request) is None
        page = reader.fetch(request, usage)
        rows += page.rows
        if not page.unread:
            return rows


class TestRequests:
    """One GET of one page."""

    def test_a_page_is_read(self, sandbox: Sandbox, request_: Request) -> None:
        page = fetched(client(sandbox), request_)
        assert len(page.rows) == 5
        assert page.next_cursor
        assert not page.unread

    def test_one_object_is_read_as_a_page_of_one_row(self, sandbox: Sandbox, account: str) -> None:
        page = fetched(client(sandbox), Request(f"/integrated-account/{account}", single=True))
        assert [row["id"] for row in page.rows] == [account]
        assert page.next_cursor is None

    def test_the_next_page_sends_all_parameters_again(
        self, sandbox: Sandbox, request_: Request
    ) -> None:
        reader = client(sandbox)
        first = fetched(reader, request_)
        second = fetched(reader, request_.after(first.next_cursor or ""))
        assert len({row["id"] for row in [*first.rows, *second.rows]}) == 8
        sent = [dict(one["params"]) for one in sandbox.requests(PATH)]
        assert sent[1] == {**sent[0], "next_cursor": first.next_cursor}

    def test_parameters_are_percent_encoded_exactly_once(
        self, sandbox: Sandbox, request_: Request
    ) -> None:
        value = "https://a.example/?q=a+b%20c%2F&x[]=ä;é#1"
        fetched(client(sandbox), request_.having({"remote_query": {"k": [value]}}))
        seen = sandbox.requests(PATH)[0]
        assert ["remote_query[k][]", value] in seen["params"]
        assert "remote_query%5Bk%5D%5B%5D=https%3A%2F%2Fa.example%2F%3Fq%3Da" in seen["query"]
        assert "a%2Bb%2520c%252F%26x%5B%5D%3D%C3%A4%3B%C3%A9%231" in seen["query"]

    def test_a_slash_at_the_end_of_the_address_changes_nothing(
        self, sandbox: Sandbox, request_: Request
    ) -> None:
        fetched(client(sandbox, api_url=f"{sandbox.url}/"), request_)
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
        assert fetched(client(sandbox), request_).rows

    def test_urllib3_logs_no_address(
        self, sandbox: Sandbox, request_: Request, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        fetched(client(sandbox), request_)
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


class TestTries:
    """One try a fetch: the scheduler has it made again."""

    FAULTS: ClassVar[dict[str, tuple[dict[str, Any], type[AccountError]]]] = {
        "400": ({"status": 400}, AccountError),
        "401": ({"status": 401}, TransientError),
        "404": ({"status": 404}, AccountError),
        "429": ({"status": 429}, TransientError),
        "502": ({"status": 502}, TransientError),
        "a redirect": ({"status": 302, "headers": {"Location": PATH}}, AccountError),
        "no content": ({"status": 204}, NoListError),
        "null in place of rows": ({"kind": "null_result"}, NoListError),
        "HTML": ({"kind": "html"}, BrokenBodyError),
        "broken JSON": ({"kind": "garbage"}, BrokenBodyError),
        "truncated": ({"kind": "truncated"}, TransientError),
        "a broken connection": ({"kind": "reset"}, TransientError),
    }

    @pytest.mark.parametrize(("fault", "kind"), FAULTS.values(), ids=FAULTS)
    @pytest.mark.parametrize("arrives", [False, True], ids=["whole", "arriving"])
    def test_what_goes_wrong_is_an_error_after_one_try(
        self,
        sandbox: Sandbox,
        request_: Request,
        fault: dict[str, Any],
        kind: type[AccountError],
        arrives: object,
    ) -> None:
        sandbox.fault(path=PATH, times=None, **fault)
        reader, usage = client(sandbox), Usage()
        request = replace(request_, arriving=ArrivingPage() if arrives else None)
        with pytest.raises(AccountError) as caught:
            everything(reader, request, usage)
        assert isinstance(caught.value, kind)
        assert isinstance(caught.value, TransientError) is issubclass(kind, TransientError)
        assert (usage.requests, usage.pages) == (1, 0)
        assert len(sandbox.requests(PATH)) == 1
        assert not request.is_arriving

    def test_a_page_that_came_is_counted_and_a_single_row_is_not(
        self, sandbox: Sandbox, request_: Request, account: str
    ) -> None:
        reader, usage = client(sandbox), Usage()
        reader.fetch(request_, usage)
        reader.fetch(Request(f"/integrated-account/{account}", single=True), usage)
        assert (usage.requests, usage.pages, usage.retries) == (2, 1, 0)

    @pytest.mark.parametrize("path", ["/integrated-account/{}/capabilities", PATH])
    def test_the_limiter_sees_each_try_and_each_answer(
        self, sandbox: Sandbox, account: str, limiter: CountingLimiter, path: str
    ) -> None:
        counted = account if path == PATH else None
        path = path.format(account)
        headers = {"ratelimit-remaining": "0", "ratelimit-reset": "3"}
        sandbox.fault(path=path, status=429, headers=headers)
        sandbox.fault(path=path, kind="reset")
        reader = client(sandbox, limiter)
        request = Request(path, {"integrated_account_id": account}, account)
        for _ in range(2):
            with pytest.raises(TransientError):
                fetched(reader, request)
        assert limiter.counted == [counted] * 2
        assert [one[0] for one in limiter.heeded] == [counted]
        assert limiter.heeded[0][1]["ratelimit-reset"] == "3"

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({}, None),
            ({"Retry-After": "17"}, 17),
            ({"Retry-After": "1.5"}, 1.5),
            ({"Retry-After": "3600"}, 300),
            ({"ratelimit-reset": "9"}, 9),
            (
                {
                    "Date": "Thu, 01 Jan 2026 00:00:00 GMT",
                    "Retry-After": "Thu, 01 Jan 2026 00:00:20 GMT",
                },
                20,
            ),
        ],
    )
    @pytest.mark.parametrize("status", [429, 502])
    def test_the_error_tells_what_the_server_asked_to_wait(
        self,
        sandbox: Sandbox,
        request_: Request,
        status: int,
        headers: dict[str, str],
        seconds: float | None,
    ) -> None:
        sandbox.fault(path=PATH, status=status, headers=headers)
        with pytest.raises(TransientError) as caught:
            fetched(client(sandbox), request_)
        assert caught.value.retry_after == seconds

    def test_a_token_is_worth_a_second_try_once_it_was_accepted(
        self, sandbox: Sandbox, request_: Request
    ) -> None:
        sandbox.fault(path=PATH, status=401, times=2)
        reader, tries = client(sandbox), []
        for _ in range(2):
            with pytest.raises(TransientError, match="api_token") as caught:
                fetched(reader, request_)
            assert caught.value.is_of_run
            tries.append(caught.value.tries)
            sandbox.clear_faults()
            fetched(reader, request_)
            sandbox.fault(path=PATH, status=401)
        assert tries == [1, 2]

    def test_a_failure_of_the_network_is_told_without_the_address(self, account: str) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            settings = Settings.from_config(
                {"api_url": f"http://127.0.0.1:{port}", "api_token": "no-such-token"}
            )
            request = Request(PATH, {"q": "never.in.a.log"}, account)
            with pytest.raises(TransientError, match="could not be reached") as caught:
                TrutoClient(settings).fetch(request, Usage())
        chain: BaseException | None = caught.value
        while chain is not None:
            assert "never.in.a.log" not in str(chain)
            assert str(port) not in str(chain)
            chain = chain.__cause__ or chain.__context__


class TestClock:
    """The time by Truto's clock, which its answers tell."""

    @pytest.mark.parametrize("ahead", [timedelta(hours=-5), timedelta(), timedelta(days=400)])
    @pytest.mark.parametrize("status", [200, 404])
    def test_it_is_the_date_of_an_answer(
        self, sandbox: Sandbox, request_: Request, ahead: timedelta, status: int
    ) -> None:
        there = datetime.now(timezone.utc) + ahead
        headers = {"Date": f"{there:%a, %d %b %Y %H:%M:%S} GMT"}
        fault = {"kind": "headers"} if status == 200 else {"status": status}
        sandbox.fault(path=PATH, headers=headers, **fault)
        reader = client(sandbox)
        with suppress(AccountError):
            reader.fetch(request_, Usage())
        assert abs(reader.now() - there) < timedelta(minutes=5)

    @pytest.mark.parametrize("days", [(0, 400), (400, 0), (0, -400), (-400, 0), (400, 800)])
    def test_of_several_it_is_the_earliest(
        self, sandbox: Sandbox, request_: Request, days: tuple[int, ...]
    ) -> None:
        """A proxy's clock may be years ahead."""
        now = datetime.now(timezone.utc)
        reader = client(sandbox)
        for ahead in days:
            headers = {"Date": f"{now + timedelta(ahead):%a, %d %b %Y %H:%M:%S} GMT"}
            sandbox.fault(path=PATH, kind="headers", headers=headers)
            fetched(reader, request_)
        assert abs(reader.now() - now - timedelta(min(days))) < timedelta(minutes=5)

    @pytest.mark.parametrize("date", [None, "soon"])
    def test_without_one_it_is_this_machines(
        self, sandbox: Sandbox, request_: Request, date: str | None
    ) -> None:
        sandbox.fault(path=PATH, kind="headers", headers={"Date": date})
        reader = client(sandbox)
        before = reader.now()
        fetched(reader, request_)
        for moment in (before, reader.now()):
            assert abs(moment - datetime.now(timezone.utc)) < timedelta(minutes=5)


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
                page = fetched(reader, again)
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
        reader = client(sandbox, limiter)
        with pytest.raises(TransientError):
            everything(reader, arriving)
        assert len(everything(reader, arriving)) == 5
        assert limiter.counted == [account] * 2

    def test_its_parts_are_counted_as_one_request_and_one_page(
        self, sandbox: Sandbox, arriving: Request, account: str, limiter: CountingLimiter
    ) -> None:
        sandbox.fault(path=PATH, kind="big", rows=2_000)
        reader, usage, parts = client(sandbox, limiter), Usage(), 1
        while reader.admit(arriving) is None and reader.fetch(arriving, usage).unread:
            assert arriving.is_arriving
            parts += 1
        assert parts > 2
        assert (usage.requests, usage.pages) == (1, 1)
        assert limiter.counted == [account]
