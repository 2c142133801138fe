"""The rows of an account: how they are asked for, and which of them are handed out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.model.instants import earlier, format_instant
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.settings.schema import Settings
from tap_truto_ats.sync.account import Account
from tap_truto_ats.sync.account_sync import AccountSync
from tap_truto_ats.sync.bookmarks import Bookmarks
from tap_truto_ats.sync.evidence import Doubt
from tap_truto_ats.sync.query import Query
from tap_truto_ats.sync.refusals import Refusals
from tap_truto_ats.sync.rows import ABSENT, AccountRows
from tests.sync.clocks import BEGAN, Clocks
from tests.sync.steps import refusal, take

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tap_truto_ats.api.request import Request
    from tests.sync.steps import Answer, Taken

LOOKBACK = 120
DAY = timedelta(days=1)


def row(name: str, changed: datetime | None, created: datetime | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"id": name}
    if changed:
        made["updated_at"] = format_instant(changed)
    if created or changed:
        made["created_at"] = format_instant(created or changed or BEGAN)
    return made


@dataclass
class Runs:
    """Runs one after another, which hand on a bookmark as a stream does."""

    clocks: Clocks
    resource: str = "users"
    provider: str | None = "greenhouse"
    is_exact: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)

    def rows(self, sync: AccountSync) -> AccountRows:
        settings = Settings.from_config({"api_token": "no-such-token", **self.settings})
        resource = RESOURCES[self.resource]
        return AccountRows(resource, Query(resource, settings, ()), sync, None)

    def begin(self) -> AccountSync:
        evidence = self.clocks.evidence(is_exact=self.is_exact)
        sync = AccountSync(self.resource, Account("a1", self.provider), evidence)
        marks = Bookmarks(self.state, "updated_at", BEGAN)
        if not self.is_exact and (bookmark := marks.get("a1")):
            sync.bookmark, sync.changed_since = bookmark, earlier(bookmark, LOOKBACK)
            sync.rows_known = marks.rows_known("a1")
            sync.asks_for_changes = not marks.has_undated_rows("a1")
        return sync

    def run(self, answers: Callable[[Request], Answer]) -> tuple[Taken, AccountSync]:
        sync = self.begin()
        taken = take(self.rows(sync).read(), answers)
        evidence = sync.evidence
        if not taken.error and not evidence.blocking_bookmark(""):
            until, undated = evidence.read_until(), evidence.undated > 0
            marks = Bookmarks(self.state, "updated_at", BEGAN)
            marks.advance("a1", until, sync.checksum_until, has_undated=undated)
        return taken, sync


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


@pytest.fixture
def runs(clocks: Clocks) -> Runs:
    return Runs(clocks)


def everything(*rows: Any) -> Callable[[Request], Answer]:
    """Answer with all rows whatever is asked for: the provider knows no filter."""
    return lambda _: Page(list(rows))


def ids(taken: Taken) -> list[Any]:
    return [one["id"] for one in taken.rows]


OLD = [row(f"o{n}", BEGAN - n * DAY) for n in range(9, 2, -1)]


def of_ids(*keys: object) -> Callable[[Request], Answer]:
    return everything(*({"id": key, "updated_at": format_instant(BEGAN - DAY)} for key in keys))


class TestHeldBack:
    """Rows that an earlier run emitted are held back; those that it cannot have emitted are not."""

    @pytest.mark.parametrize(
        "newest",
        [
            row("n", BEGAN - 3 * DAY),
            row("n", BEGAN - timedelta(minutes=1)),
            row("n", BEGAN - timedelta(minutes=1), BEGAN - 9 * DAY),
            row("n", BEGAN + 999 * DAY),
            row("n", None, BEGAN - timedelta(minutes=1)),
        ],
        ids=["made long ago", "made just now", "changed just now", "in the future", "undated"],
    )
    def test_an_unchanged_list_is_read_once_and_held_back(
        self, runs: Runs, newest: dict[str, Any]
    ) -> None:
        taken, _ = runs.run(everything(*OLD, newest))
        assert len(ids(taken)) == len(OLD) + 1
        for _ in range(3):
            runs.clocks.go_on(DAY)
            taken, sync = runs.run(everything(*OLD, newest))
            assert len(taken.requested) == 1
            assert set(ids(taken)) <= {"o3", "n"}
            assert sync.held_back >= len(OLD) - 1

    def test_what_was_made_or_changed_since_is_no_reason_to_read_again(self, runs: Runs) -> None:
        rows = list(OLD)
        runs.run(everything(*rows))
        for number in range(4):
            runs.clocks.go_on(DAY)
            now = runs.clocks.truto - timedelta(minutes=1)
            rows = [*rows[1:], row(rows[0]["id"], now, BEGAN - 9 * DAY), row(f"n{number}", now)]
            taken, _ = runs.run(everything(*rows))
            assert len(taken.requested) == 1
            assert {rows[-1]["id"], rows[-2]["id"]} <= set(ids(taken))

    @pytest.mark.parametrize("age", [timedelta(hours=1), 3 * DAY, 300 * DAY])
    def test_a_row_that_appears_with_an_old_change_is_handed_out(
        self, runs: Runs, age: timedelta
    ) -> None:
        """It was restored, or the token may see it since."""
        now = row("now", BEGAN - timedelta(minutes=1))
        runs.run(everything(*OLD, now))
        runs.clocks.go_on(DAY)
        restored = row("restored", BEGAN - age)
        taken, _ = runs.run(everything(*OLD, restored, now))
        assert "restored" in ids(taken)
        assert len(taken.requested) == 2
        runs.clocks.go_on(DAY)
        taken, _ = runs.run(everything(*OLD, restored, now))
        assert len(taken.requested) == 1
        assert "restored" not in ids(taken)

    def test_a_row_that_does_not_tell_when_it_changed_is_always_handed_out(
        self, runs: Runs
    ) -> None:
        undated = row("undated", None, BEGAN - 300 * DAY)
        for rows in (OLD, [*OLD, undated], [*OLD, undated]):
            taken, _ = runs.run(everything(*rows))
        assert "undated" in ids(taken)
        assert len(taken.requested) == 1

    @pytest.mark.parametrize(("provider", "handed_out"), [("greenhouse", True), ("ceipal", False)])
    def test_the_servers_word_counts_where_its_filter_is_documented(
        self, clocks: Clocks, provider: str, handed_out: object
    ) -> None:
        """The row itself tells an older change."""
        runs = Runs(clocks, "interviews", provider)
        runs.run(everything(row("newest", BEGAN - DAY)))
        taken, _ = runs.run(lambda _: Page([]))
        taken, _ = runs.run(everything(row("old", BEGAN - 30 * DAY)))
        assert ("old" in ids(taken)) is handed_out

    @pytest.mark.parametrize(("asks", "handed_out"), [(True, False), (False, True)])
    def test_of_a_state_without_a_checksum_it_counts_what_was_asked(
        self,
        clocks: Clocks,
        asks: bool,  # noqa: FBT001
        handed_out: object,
    ) -> None:
        runs = Runs(clocks, "interviews", "pinpoint")
        runs.run(everything(*OLD))
        sync = runs.begin()
        sync.rows_known, sync.asks_for_changes = None, asks
        taken = take(runs.rows(sync).read(), everything(*OLD))
        assert ("o9" in ids(taken)) is handed_out


class TestAsking:
    """The tap's own filters are dropped where they are refused."""

    @staticmethod
    def refusing(status: int) -> Callable[[Request], Answer]:
        def answer(request: Request) -> Answer:
            if "updated_at" in request.params:
                return refusal(status)
            return Page([row("a", BEGAN - DAY)])

        return answer

    @pytest.mark.parametrize("status", [400, 422])
    def test_it_asks_once_more_without_them_and_reads_whole(
        self, clocks: Clocks, status: int
    ) -> None:
        runs = Runs(clocks, "interviews", "greenhouse")
        runs.run(self.refusing(status))
        sync = runs.begin()
        rows = runs.rows(sync)
        taken = take(rows.read(), self.refusing(status))
        assert taken.error is None
        assert len(taken.requested) == 2
        assert ids(taken) == ["a"]
        assert rows.are_filters_refused
        assert not sync.asks_for_changes

    @pytest.mark.parametrize("status", [401, 403, 404, 502, None])
    def test_other_errors_are_errors(self, clocks: Clocks, status: int | None) -> None:
        runs = Runs(clocks, "interviews", "greenhouse")
        runs.run(self.refusing(400))
        taken, _ = runs.run(lambda _: refusal(status))
        assert taken.error is not None
        assert taken.error.status == status
        assert len(taken.requested) == 1

    def test_what_is_refused_without_them_is_an_error(self, clocks: Clocks) -> None:
        runs = Runs(clocks, "interviews", "greenhouse")
        taken, _ = runs.run(lambda _: refusal(422))
        assert len(taken.requested) == 1
        assert taken.error is not None
        runs.run(self.refusing(400))
        taken, _ = runs.run(lambda _: refusal(422))
        assert len(taken.requested) == 2
        assert taken.error is not None

    @pytest.mark.parametrize("status", [400, 422])
    def test_a_cursor_that_expires_is_no_refusal_of_the_filters(
        self, clocks: Clocks, status: int
    ) -> None:
        def answer(request: Request) -> Answer:
            if "next_cursor" in request.params:
                return refusal(status)
            return Page([row("a", BEGAN - DAY)], "2")

        runs = Runs(clocks, "interviews", "greenhouse")
        runs.run(everything(row("a", BEGAN - DAY)))
        taken, sync = runs.run(answer)
        assert len(taken.requested) == 4
        assert taken.error is not None
        assert "cursor" in taken.error.cause
        assert sync.asks_for_changes

    def test_a_filter_of_the_settings_is_not_the_taps_own(self, clocks: Clocks) -> None:
        filters = {"interviews": {"updated_at": {"gte": "2020-01-01"}}}
        runs = Runs(clocks, "interviews", "pinpoint", settings={"filters": filters})
        taken, _ = runs.run(self.refusing(400))
        assert taken.error is not None
        assert len(taken.requested) == 1

    def test_a_parameter_that_is_missing_is_no_reason_to_ask_without_filters(
        self, clocks: Clocks
    ) -> None:
        runs = Runs(clocks, "interviews", "greenhouse")
        runs.run(everything(row("a", BEGAN - DAY)))
        error = refusal(400)
        error.missing_parameters = ("candidate_id",)
        taken, _ = runs.run(lambda _: error)
        assert (len(taken.requested), taken.error) == (1, error)


class TestRows:
    """What becomes of each row."""

    @pytest.mark.parametrize(
        "odd", [{}, {"id": None}, {"id": ""}, {"id": [1]}, {"id": {}}, [], "text", None], ids=repr
    )
    def test_one_without_an_id_is_left_out_and_noted(self, runs: Runs, odd: Any) -> None:
        taken, sync = runs.run(everything(*OLD[:1], odd, *OLD[1:]))
        assert ids(taken) == [one["id"] for one in OLD]
        assert sync.evidence.doubts == {Doubt.WITHOUT_ID: 1}

    def test_an_id_may_be_a_number(self, runs: Runs) -> None:
        taken, sync = runs.run(of_ids(0, 7, 1.5))
        assert ids(taken) == [0, 7, 1.5]
        assert sync.evidence.doubts == {}

    def test_local_times_are_noted(self, runs: Runs) -> None:
        for zone, is_local in (("", True), ("Z", False), ("-05:00", False)):
            given = {"id": "a", "updated_at": f"2026-05-01T00:00:00{zone}"}
            assert runs.run(everything(given))[1].evidence.is_local is is_local

    def test_where_every_row_is_wanted_all_are_handed_out(self, clocks: Clocks) -> None:
        runs = Runs(clocks, is_exact=True)
        for _ in range(2):
            assert len(runs.run(everything(*OLD))[0].rows) == len(OLD)


class TestSingles:
    """Rows that are asked for by their ids, since the list gives only some of their fields."""

    @staticmethod
    def read(runs: Runs, answers: Callable[[Request], Answer]) -> tuple[Taken, AccountError | None]:
        rows = runs.rows(runs.begin())
        rows.singles = Refusals("rows of users")
        taken = take(rows.read(), answers)
        assert taken.error is None
        try:
            rows.end()
        except AccountError as error:
            return taken, error
        return taken, None

    @staticmethod
    def answering(rows: int, **errors: AccountError) -> Callable[[Request], Answer]:
        """Answer with rows, each with a name by itself, but for some errors by id."""

        def answer(request: Request) -> Answer:
            if not request.single:
                return Page([{"id": f"u{n}", "listed": n} for n in range(rows)])
            key = request.path.rsplit("/", 1)[1]
            if error := errors.get(key, errors.get("all")):
                return error
            return Page([{"id": "otherwise", "name": key}])

        return answer

    def test_fields_are_added_and_the_id_stays(self, runs: Runs) -> None:
        taken, error = self.read(runs, self.answering(2))
        assert taken.rows == [{"id": f"u{n}", "listed": n, "name": f"u{n}"} for n in range(2)]
        assert error is None

    def test_an_id_is_quoted_in_the_path(self, runs: Runs) -> None:
        taken, _ = self.read(runs, everything({"id": "a/b?c"}))
        assert taken.requested[1] == "/unified/ats/users/a%2Fb%3Fc"

    def test_a_refused_one_is_handed_out_as_listed(self, runs: Runs) -> None:
        taken, error = self.read(runs, self.answering(10, u4=refusal(403, "Forbidden")))
        assert len(taken.rows) == 10
        assert {"id": "u4", "listed": 4} in taken.rows
        assert error is not None
        assert error.cause == "Forbidden: 1 of 10 rows of users"

    def test_where_the_first_few_do_not_exist_no_others_are_asked_for(self, runs: Runs) -> None:
        rows = runs.rows(runs.begin())
        rows.singles = Refusals("rows of users")
        taken = take(rows.read(), self.answering(30, all=refusal(404)))
        rows.end()
        assert len(taken.requested) == 1 + 5
        assert [one["listed"] for one in taken.rows] == list(range(30))
        assert rows.notes == [ABSENT]

    def test_after_many_refusals_in_a_row_no_others_are_asked_for(self, runs: Runs) -> None:
        taken, error = self.read(runs, self.answering(30, all=refusal(403)))
        assert len(taken.requested) == 1 + 20
        assert len(taken.rows) == 30
        assert error is not None
