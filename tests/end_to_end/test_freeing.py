"""What has ended is freed: no error keeps a page, and no account that is done keeps its tasks.

This is counted in a run within this process, and not measured.
"""

from __future__ import annotations

import gc
import io
import sys
import threading
import time
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

from tap_truto_ats.api.client import TrutoClient
from tap_truto_ats.sync import evidence, retries
from tap_truto_ats.sync.account_sync import AccountSync
from tap_truto_ats.sync.tasks import Task
from tap_truto_ats.tap import TapTrutoAts
from tests.end_to_end.hasty import PATIENCE
from tests.harness import spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.control import Sandbox
    from tap_truto_ats.api.envelope import Page
    from tap_truto_ats.api.request import Request, Usage
    from tests.harness import Tap

BASE = "/unified/ats/"
STREAMS = ("candidates", "jobs", "users", "interviews", "job_form_fields", "activities")


class Body(bytearray):
    """A body that can be watched."""


class Rows(list[Any]):
    """The rows of a page that can be watched."""


class Watch:
    """Which of the bodies and of the pages that have come are there still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bodies: list[ref[Body]] = []
        self.pages: list[ref[Rows]] = []
        self.before: Callable[[Request], object] = str
        read, fetch = TrutoClient._read, TrutoClient.fetch

        def watched_read(client: TrutoClient, response: Any) -> bytes:
            body = Body(read(client, response))
            self.bodies.append(ref(body))
            return body  # type: ignore[return-value]

        def watched_fetch(client: TrutoClient, request: Request, usage: Usage) -> Page:
            self.before(request)
            page = fetch(client, request, usage)
            rows = Rows(page.rows)
            self.pages.append(ref(rows))
            return page._replace(rows=rows)

        monkeypatch.setattr(TrutoClient, "_read", watched_read)
        monkeypatch.setattr(TrutoClient, "fetch", watched_fetch)
        monkeypatch.setattr(retries, "FIRST_WAIT", 0.001)
        monkeypatch.setattr(evidence, "MOST_STALE_PAGES", 5)
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=io.BytesIO()))

    @property
    def bodies_left(self) -> int:
        return sum(one() is not None for one in list(self.bodies))

    @property
    def pages_left(self) -> int:
        return sum(one() is not None for one in list(self.pages))


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Watch a run during which nothing is freed that is part of a cycle."""
    gc.collect()
    gc.disable()
    yield Watch(monkeypatch)
    gc.enable()


def made(sandbox: Sandbox, count: int, *, rows: int = 6) -> list[str]:
    accounts = [{"provider": "greenhouse"}] * count
    options = {"interviews": rows, "candidates": rows, "jobs": 3, "rate_limits": False}
    return [one["id"] for one in sandbox.reset(accounts=accounts, **options)]


def run(tap: Tap, **settings: Any) -> TapTrutoAts:
    """Run the tap; what is returned has all that the run has not freed."""
    streams = settings.pop("streams", STREAMS)
    config = tap.config(page_size=2, max_retries=1, **settings)
    one = TapTrutoAts(config=config, catalog=tap.catalog(*streams))
    one.sync_all()
    return one


ILLS: dict[str, dict[str, Any]] = {
    "500": {"status": 500, "body": "x" * 100_000},
    "403": {"status": 403, "remote": True},
    "401": {"status": 401, "remote": True},
    "blocked": {"status": 503},
    "no JSON": {"kind": "garbage"},
    "HTML": {"kind": "html"},
    "broken off": {"kind": "truncated"},
    "null": {"kind": "null_result"},
    "no rows": {"kind": "body_override", "body": {"result": "x" * 100_000}},
    "no cursor": {"kind": "body_override", "body": {"result": [{"id": 1}], "next_cursor": {}}},
    "a circle": {"kind": "loop"},
    "no end": {"kind": "endless"},
    "rows without an id": {"kind": "rows", "rows": [{"no": "id"}]},
}


@pytest.mark.parametrize(("ill", "later_pages"), spread(ILLS.values(), [False, True]))
def test_no_error_keeps_a_page_or_a_body(
    sandbox: Sandbox, tap: Tap, watch: Watch, ill: dict[str, Any], *, later_pages: bool
) -> None:
    ids = made(sandbox, 3)
    for one in ids:
        fault = {"integrated_account_id": one, "later_pages": later_pages, "times": None, **ill}
        sandbox.fault(path=BASE, **fault)
    over = run(tap, streams=STREAMS)
    assert over.run.report.accounts == 3
    assert len(sandbox.requests()) >= 1 + 3
    assert (watch.bodies_left, watch.pages_left) == (0, 0)
    errors = [one.error for one in over.run.accounts.failures.values()]
    for error in (*errors, *over.run.scheduler.refused.values()):
        assert error.__traceback__ is None
        assert error.__context__ is None
        assert error.__cause__ is None


def test_no_fault_of_the_taps_own_keeps_a_page(
    sandbox: Sandbox, tap: Tap, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(sandbox, 3)

    def fails(*_: object) -> None:
        message = "unforeseen"
        raise ValueError(message)

    monkeypatch.setattr("tap_truto_ats.sync.rows.usable_key", fails)
    over = run(tap)
    failures = list(over.run.accounts.failures.values())
    assert failures
    assert all(one.error.is_fault for one in failures)
    assert (watch.bodies_left, watch.pages_left) == (0, 0)


@pytest.mark.parametrize("max_concurrency", [1, 3])
def test_no_more_pages_are_kept_than_requests_may_be_under_way(
    sandbox: Sandbox, tap: Tap, watch: Watch, max_concurrency: int
) -> None:
    made(sandbox, 8, rows=12)
    most = [0]

    def look(_: Request) -> None:
        most[0] = max(most[0], watch.pages_left)

    watch.before = look
    run(tap, max_concurrency=max_concurrency)
    assert len(watch.pages) > 100
    # One more is being written.
    assert most[0] <= max_concurrency + 1
    assert watch.pages_left == 0


def alive() -> list[Any]:
    """All syncs and tasks that there are."""
    return [one for one in gc.get_objects() if type(one) in {AccountSync, Task}]


@pytest.mark.parametrize("named", [False, True], ids=["found", "named"])
@pytest.mark.parametrize("ill", [None, {"status": 403}, {"status": 401, "remote": True}])
def test_what_is_left_while_the_last_account_is_read(
    sandbox: Sandbox, tap: Tap, watch: Watch, ill: dict[str, Any] | None, *, named: bool
) -> None:
    """Counted when one account of many goes on: of the others, nothing is left."""
    *others, last = made(sandbox, 30, rows=2)
    for other in others if ill else ():
        sandbox.fault(path=BASE, integrated_account_id=other, times=None, **ill or {})
    streams = ("candidates", "jobs", "users", "interviews")
    found: Counter[type] = Counter()
    has_come_to_little: list[bool] = []
    lock = threading.Lock()
    one = TapTrutoAts(
        config=tap.config(integrated_account_ids=[*others, last] if named else None),
        catalog=tap.catalog(*streams),
    )

    def is_little() -> bool:
        found.clear()
        found.update(map(type, alive()))
        found.subtract(map(type, others_before))
        # Each named account has a task that described it.
        most_tasks = len(streams) + 2 + (len(others) + 1 if named else 0)
        return found[AccountSync] <= len(streams) and found[Task] <= most_tasks

    def count(request: Request) -> None:
        if request.limited_account == last and lock.acquire(blocking=False):
            deadline = time.monotonic() + PATIENCE
            while len(one.run.scheduler.unfinished()) > 1 or not is_little():
                if time.monotonic() > deadline:
                    return
                time.sleep(0.02)
            has_come_to_little.append(True)

    watch.before = count
    others_before = alive()
    one.sync_all()
    assert has_come_to_little, found
    assert found[AccountSync]
    assert found[Task]
