"""Providers' clocks: behind, ahead, local without saying so, or set back and forth."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.warehouse import Warehouse

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Tap

PATH = "/unified/ats/interviews"
HOUR = 3600
CLOCKS = {
    "right": (0, False),
    "20 minutes behind": (-1200, False),
    "20 minutes ahead": (1200, False),
    "local, 5 hours behind": (-5 * HOUR, True),
    "local, 9 hours ahead": (9 * HOUR, True),
    "local and 20 minutes behind": (-5 * HOUR - 1200, True),
}
"""By how many seconds the clock is ahead, and whether times do not tell their zone."""

PROVIDERS = ("greenhouse", "pinpoint")
"""One that gives what changed when it is asked, one that gives everything. Their times are written
to the microsecond and to the second."""


class Provider:
    """An account with interviews, and a clock of its own."""

    def __init__(self, sandbox: Sandbox, provider: str, clock: float, *, zoneless: bool) -> None:
        accounts = [{"provider": provider, "clock": clock, "zoneless": zoneless}]
        (account,) = sandbox.reset(accounts=accounts, interviews=6, rate_limits=False)
        self.sandbox = sandbox
        self.account: str = account["id"]
        self.clock = clock
        self.keys = [row["id"] for row in sandbox.interviews(self.account)]
        """As they are listed."""
        if provider == "pinpoint":
            self.keys.reverse()

    def at(self, seconds: float) -> str:
        """What its clock shows so many seconds from now."""
        moment = datetime.now(timezone.utc) + timedelta(seconds=self.clock + seconds)
        return moment.isoformat()

    def change(self, place: int, seconds: float = 0, **fields: Any) -> None:
        """Change a row that many seconds from now, by its clock."""
        fields = {"location": f"Room {seconds}", "updated_at": self.at(seconds), **fields}
        self.sandbox.change(self.account, self.keys[place], **fields)

    def changes(self, place: int) -> dict[str, Any]:
        """An act: a row changes at that moment, by its clock."""
        act = {"change": "interviews", "account": self.account, "key": self.keys[place]}
        return {**act, "fields": {"location": "Elsewhere"}}

    def set_clock(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self.clock += seconds
        self.sandbox.account(self.account, clock=self.clock)


@pytest.fixture(params=PROVIDERS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=CLOCKS)
def provider(request: pytest.FixtureRequest, sandbox: Sandbox, kind: str) -> Provider:
    clock, zoneless = CLOCKS[request.param]
    return Provider(sandbox, kind, clock, zoneless=zoneless)


@pytest.fixture
def house(tap: Tap, sandbox: Sandbox) -> Warehouse:
    settings = {"lookback_seconds": 0, "page_size": 2}
    return Warehouse(tap, sandbox, "interviews", settings=settings)


def test_what_changes_after_a_run_comes(provider: Provider, house: Warehouse) -> None:
    for place in range(4):
        provider.change(place)
        house.settle()


def test_what_changes_while_it_is_read_comes(provider: Provider, house: Warehouse) -> None:
    """A row on a page that was read before, and one on the next page, which is newer."""
    provider.sandbox.fault(path=PATH, skip=1, acts=[provider.changes(0)])
    provider.sandbox.fault(path=PATH, skip=2, acts=[provider.changes(4)])
    house.sync()
    house.settle()


@pytest.mark.parametrize("ahead", [timedelta(days=1)], ids=str)
def test_a_row_dated_in_the_future_hides_no_other(
    provider: Provider, house: Warehouse, ahead: timedelta
) -> None:
    provider.change(0, ahead.total_seconds())
    house.settle()
    for place in range(1, 4):
        provider.change(place)
        provider.sandbox.fault(path=PATH, skip=1, acts=[provider.changes(4)])
        house.sync()
        house.settle()
    bookmark = house.bookmark(provider.account)
    assert bookmark
    assert bookmark <= datetime.now(timezone.utc).isoformat()


@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=["back", "forward"])
@pytest.mark.parametrize("hours", [-5, 9])
class TestSummerTime:
    """Local times without a zone, which jump by an hour."""

    @pytest.fixture
    def provider(self, sandbox: Sandbox, kind: str, hours: int) -> Provider:
        return Provider(sandbox, kind, hours * HOUR, zoneless=True)

    def test_between_two_runs(self, provider: Provider, house: Warehouse, jump: int) -> None:
        provider.change(0)
        house.settle()
        provider.set_clock(jump)
        for place in range(1, 4):
            provider.change(place)
            house.settle()

    def test_within_a_run(self, provider: Provider, house: Warehouse, jump: int) -> None:
        act = {"account": provider.account, "fields": {"clock": provider.clock + jump}}
        provider.clock += jump
        provider.sandbox.fault(path=PATH, skip=1, acts=[act, provider.changes(0)])
        provider.sandbox.fault(path=PATH, skip=2, acts=[provider.changes(4)])
        house.sync()
        house.settle()
        provider.change(2)
        house.settle()

    def test_where_most_rows_are_not_dated(
        self, provider: Provider, house: Warehouse, jump: int
    ) -> None:
        for place in (0, 1, 3, 4, 5):
            provider.change(place, updated_at=None)
        provider.change(2)
        house.settle()
        provider.set_clock(jump)
        provider.change(2, 1)
        house.settle()


@pytest.mark.parametrize(
    ("clock", "zoneless"), [(0, False), (-1200, False), (-5 * HOUR, True)], ids=str
)
def test_the_bookmark_is_near_the_newest_row(
    sandbox: Sandbox,
    house: Warehouse,
    kind: str,
    clock: float,
    zoneless: bool,  # noqa: FBT001
) -> None:
    """It lags behind by no more than the time that the reading took, and an hour of summer time."""
    provider = Provider(sandbox, kind, clock, zoneless=zoneless)
    provider.change(0, -60)
    begun = datetime.now(timezone.utc)
    house.settle()
    took = datetime.now(timezone.utc) - begun + timedelta(seconds=2)
    bookmark = datetime.fromisoformat(house.bookmark(provider.account) or "")
    newest = max(row["updated_at"] for row in sandbox.interviews(provider.account))
    lag = datetime.fromisoformat(newest) - bookmark
    assert timedelta(0) <= lag <= took + timedelta(hours=zoneless)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00"])
def test_dates_of_the_year_1_end_no_run(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str], moment: str
) -> None:
    """What some providers give for no date."""
    dated = [{"id": str(number), "updated_at": moment} for number in range(3)]
    fault = {"path": PATH, "integrated_account_id": ids["pinpoint"], "times": None}
    sandbox.fault(kind="rows", rows=dated, **fault)
    first = tap()
    assert {row["integrated_account_id"] for row in first.records()} == set(ids.values())
    for run in (first, tap(state=first.state)):
        assert (run.code, run.errors) == (0, [])
        assert "Traceback" not in run.stderr


@pytest.mark.parametrize("date", ["Sat, 01 Jan 2061 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wrong_date_of_one_answer_does_not_hide_that_rows_moved(
    sandbox: Sandbox, house: Warehouse, date: str
) -> None:
    provider = Provider(sandbox, "greenhouse", 0, zoneless=False)
    sandbox.account(provider.account, paging="offset", order="oldest change first")
    house.settle()
    for place in range(6):
        provider.change(place, updated_at=f"2026-07-0{place + 1}")
    sandbox.fault(path="/integrated-account", kind="headers", headers={"Date": date})
    sandbox.fault(path=PATH, skip=1, acts=[provider.changes(0)])
    house.sync()
    house.settle()
