"""The one judge of whether a list is complete, whatever any clock shows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.sync.evidence import MOST_EMPTY_PAGES, MOST_STALE_PAGES, Doubt, Tally
from tests.sync.clocks import BEGAN, Clocks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_truto_ats.sync.evidence import Evidence

SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=seconds) for seconds in (1, 60, 3600, 86_400))


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def seen(evidence: Evidence, *pages: Iterable[tuple[object, datetime | None]]) -> Tally:
    """Tell a list's evidence of its pages of rows: an id, and when the row changed."""
    tally = Tally(evidence, set())
    for rows in pages:
        tally.begin_page()
        for key, changed in rows:
            tally.see(key, changed)
        tally.end_page()
    tally.end()
    return tally


class TestDoubts:
    """Which doubt blocks the bookmark, and which one deletions."""

    @pytest.mark.parametrize(
        ("doubt", "blocks_bookmark", "reason"),
        [
            (Doubt.FAILED, True, "jobs was not read to its end"),
            (Doubt.MOVED, True, "rows of jobs moved between pages while they were read"),
            (Doubt.GONE, True, "parents of jobs were gone when their turn came"),
            (Doubt.NO_LIST, True, "null or nothing came in place of jobs"),
            (Doubt.NOT_OFFERED, False, "jobs was not found, which its provider may list"),
            (Doubt.INACTIVE, False, "its status is not active"),
            (Doubt.WITHOUT_ID, False, "rows of jobs came without an id"),
        ],
    )
    def test_each_blocks_deletions_and_some_the_bookmark(
        self, clocks: Clocks, doubt: Doubt, blocks_bookmark: object, reason: str
    ) -> None:
        evidence = clocks.evidence()
        evidence.doubts[doubt] += 2
        assert evidence.blocking_deletions("jobs") == [reason]
        assert evidence.blocking_bookmark("jobs") == ([reason] if blocks_bookmark else [])

    def test_all_are_told(self, clocks: Clocks) -> None:
        evidence = clocks.evidence()
        evidence.doubts.update(Doubt)
        assert len(evidence.blocking_deletions("jobs")) == sum(one.hides_rows for one in Doubt)

    def test_without_any_nothing_is_blocked(self, clocks: Clocks) -> None:
        evidence = clocks.evidence()
        evidence.doubts[Doubt.MOVED] += 0
        assert evidence.blocking_bookmark("jobs") == evidence.blocking_deletions("jobs") == []

    def test_what_is_doubted_of_parents_is_doubted_of_their_children(self, clocks: Clocks) -> None:
        parents = clocks.evidence(is_exact=True)
        parents.begin()
        parents.doubts[Doubt.MOVED] += 1
        clocks.go_on(HOUR)
        children = clocks.evidence()
        seen(children, [("a", BEGAN + MINUTE)])
        children.add(parents)
        assert children.doubts[Doubt.MOVED] == 1
        assert children.began == BEGAN
        assert children.read_until() == BEGAN + MINUTE - HOUR

    def test_parents_that_were_read_later_change_no_beginning(self, clocks: Clocks) -> None:
        children, parents = clocks.evidence(), clocks.evidence()
        children.begin()
        clocks.go_on(HOUR)
        for began in (False, True):
            if began:
                parents.begin()
            children.add(parents)
            assert children.began == BEGAN


# Newest row, how long the reading took → up to when all has come, each relative to the beginning.
UNTIL: dict[str, tuple[timedelta, timedelta, timedelta]] = {
    "an old row": (-30 * DAY, MINUTE, -30 * DAY),
    "a row of a day ago": (-DAY, MINUTE, -DAY),
    "a row of today": (-HOUR, MINUTE, -HOUR - MINUTE),
    "a row that changed meanwhile": (SECOND * 30, MINUTE, -SECOND * 30),
    "a long reading": (-HOUR, 3 * HOUR, -4 * HOUR),
    "a reading of days": (-HOUR, 3 * DAY, -DAY),
    "a reading of days, an old row": (-2 * DAY, 3 * DAY, -2 * DAY),
    "no time at all": (-HOUR, timedelta(), -HOUR),
}


class TestReadUntil:
    """Up to which change all has come, by the provider's own clock."""

    @pytest.mark.parametrize(("newest", "took", "until"), UNTIL.values(), ids=UNTIL)
    def test_it_is_the_newest_row_less_the_time_that_the_reading_took(
        self, clocks: Clocks, newest: timedelta, took: timedelta, until: timedelta
    ) -> None:
        evidence = clocks.evidence()
        tally = Tally(evidence, set())
        clocks.go_on(took)
        tally.begin_page()
        tally.see("a", BEGAN + newest)
        tally.see("b", BEGAN - 50 * DAY)
        assert evidence.read_until() == BEGAN + until

    def test_without_a_dated_row_it_is_not_known(self, clocks: Clocks) -> None:
        evidence = clocks.evidence()
        assert evidence.read_until() is None
        seen(evidence, [("a", None), ("b", None)])
        assert evidence.read_until() is None
        assert evidence.undated == 2

    def test_rows_dated_in_the_future_do_not_count(self, clocks: Clocks) -> None:
        evidence = clocks.evidence()
        seen(evidence, [("a", BEGAN - 2 * DAY), ("b", BEGAN + SECOND), ("c", BEGAN + 9999 * DAY)])
        assert evidence.read_until() == BEGAN - 2 * DAY

    def test_if_all_are_it_is_not_known(self, clocks: Clocks) -> None:
        evidence = clocks.evidence()
        seen(evidence, [("a", BEGAN + SECOND)])
        assert evidence.read_until() is None

    @pytest.mark.parametrize(
        ("by_truto", "by_process"), [(HOUR, MINUTE), (MINUTE, HOUR), (-DAY, HOUR)]
    )
    def test_of_two_clocks_the_one_counts_by_which_it_took_longer(
        self, clocks: Clocks, by_truto: timedelta, by_process: timedelta
    ) -> None:
        evidence = clocks.evidence()
        seen(evidence, [("a", BEGAN - MINUTE)])
        clocks.truto += by_truto
        clocks.process += by_process.total_seconds()
        assert evidence.read_until() == BEGAN - MINUTE - HOUR

    def test_local_times_may_jump_by_an_hour(self, clocks: Clocks) -> None:
        evidence = clocks.evidence()
        seen(evidence, [("a", BEGAN - MINUTE)])
        evidence.is_local = True
        assert evidence.read_until() == BEGAN - MINUTE - HOUR

    @pytest.mark.parametrize("jump", [-HOUR, timedelta(), HOUR], ids=str)
    @pytest.mark.parametrize("took", [SECOND, 20 * MINUTE, 5 * HOUR, 2 * DAY], ids=str)
    @pytest.mark.parametrize(
        "ahead",
        [-20 * MINUTE, -SECOND, timedelta(), SECOND, 20 * MINUTE, -5 * HOUR, 9 * HOUR, 14 * HOUR],
        ids=str,
    )
    def test_what_changes_while_it_is_read_is_never_passed(
        self, clocks: Clocks, ahead: timedelta, took: timedelta, jump: timedelta
    ) -> None:
        """The provider's clock is off, and daylight saving begins or ends."""
        evidence = clocks.evidence()
        evidence.is_local = bool(jump)
        tally = Tally(evidence, set())
        for part in range(8):
            tally.begin_page()
            tally.see(part, clocks.truto + ahead + (jump if part > 5 else timedelta()))
            tally.see(-part - 9, BEGAN - (part + 1) * DAY)
            clocks.go_on(took / 8)
        until = evidence.read_until()
        assert until is not None
        missed = [BEGAN + took * n / 100 for n in range(101)]
        assert all(
            until <= at + ahead + (jump if at > BEGAN + took * 0.7 else timedelta())
            for at in missed
        )


# Pages of rows (an id, and the age of its change) → whether rows moved.
NOW = timedelta()
MOVES: dict[str, tuple[list[list[tuple[object, timedelta]]], bool]] = {
    "each once": ([[("a", HOUR), ("b", NOW)], [("c", 9 * DAY)]], False),
    "twice the same": ([[("a", HOUR), ("b", NOW)], [("a", HOUR)]], False),
    "twice the same on one page": ([[("a", NOW), ("a", NOW)]], False),
    "old, and then changed": ([[("a", 9 * DAY), ("b", NOW)], [("a", NOW)]], True),
    "lately, and then changed": ([[("a", HOUR)], [("a", NOW)]], True),
    "changed, and then old": ([[("a", NOW)], [("a", 9 * DAY)]], True),
    "by a clock that is behind": ([[("a", 9 * DAY)], [("a", 20 * MINUTE)]], True),
    "by a clock that is ahead": ([[("a", HOUR)], [("a", -20 * MINUTE)]], True),
    "by local times in the west": ([[("a", 9 * DAY)], [("a", 12 * HOUR)]], True),
    "by local times in the east": ([[("a", HOUR)], [("a", -14 * HOUR)]], True),
    "old, and otherwise old": ([[("a", 9 * DAY)], [("a", 8 * DAY)]], False),
    "another row as old": ([[("a", HOUR)], [("b", HOUR)]], False),
    "numbers": ([[(7, 9 * DAY)], [(7, NOW)]], True),
}


class TestMovedRows:
    """A row that comes twice with differing content has moved, and let another one slip by."""

    @pytest.mark.parametrize(("pages", "moved"), MOVES.values(), ids=MOVES)
    def test_they_are_known_by_their_content(
        self, clocks: Clocks, pages: list[list[tuple[object, timedelta]]], moved: object
    ) -> None:
        evidence = clocks.evidence()
        seen(evidence, *([(key, BEGAN - age) for key, age in rows] for rows in pages))
        assert evidence.doubts[Doubt.MOVED] == bool(moved)

    def test_rows_are_compared_within_one_list(self, clocks: Clocks) -> None:
        """A candidate who applied for two jobs is in the list of each."""
        evidence = clocks.evidence()
        for changed in (BEGAN - 9 * DAY, BEGAN):
            seen(evidence, [("a", changed)])
        assert evidence.doubts == {}

    def test_many_rows_are_not_taken_for_each_other(self, clocks: Clocks) -> None:
        evidence = clocks.evidence()
        old = [(f"c{n}", BEGAN - 9 * DAY) for n in range(200_000)]
        lately = [(f"d{n}", BEGAN) for n in range(20_000)]
        seen(evidence, old, lately)
        assert evidence.doubts == {}

    def test_undated_rows_tell_nothing(self, clocks: Clocks) -> None:
        evidence = clocks.evidence()
        seen(evidence, [("a", None)], [("a", None), ("a", BEGAN)])
        assert not evidence.doubts[Doubt.MOVED]

    @pytest.mark.parametrize(
        ("pages", "doubts"),
        [
            (["ab", "cd"], {}),
            (["ab", "bc"], {Doubt.ONCE: 1}),
            (["ab", "", "bc"], {Doubt.ONCE: 1}),
            (["abb"], {}),
        ],
    )
    def test_pages_that_overlap_tell_of_rows_before_them(
        self, clocks: Clocks, pages: list[str], doubts: dict[Doubt, int]
    ) -> None:
        """New ones, or others that moved to the front and did not come."""
        evidence = clocks.evidence()
        seen(evidence, *([(key, BEGAN - 9 * DAY) for key in page] for page in pages))
        assert evidence.doubts == doubts

    def test_where_every_row_is_wanted_they_lead_to_another_reading_instead(
        self, clocks: Clocks
    ) -> None:
        evidence = clocks.evidence(is_exact=True)
        tally = seen(evidence, [("a", BEGAN - 9 * DAY)], [("a", BEGAN)])
        assert evidence.doubts == {}
        assert (tally.rows, tally.found) == (2, 1)


class TestRowsToHandle:
    """Each row the first time that a list is read; later only those that did not come before."""

    def test_without_exactness_every_row_is(self, clocks: Clocks) -> None:
        tally = Tally(clocks.evidence(), set(), is_first=False)
        assert [tally.see("a", None) for _ in range(3)] == [True] * 3

    def test_with_exactness_another_reading_is_for_new_ones(self, clocks: Clocks) -> None:
        evidence, marks = clocks.evidence(is_exact=True), set[int]()
        first = Tally(evidence, marks)
        assert [first.see(key, None) for key in "aba"] == [True] * 3
        assert (first.rows, first.found) == (3, 2)
        second = Tally(evidence, marks, is_first=False)
        assert [second.see(key, None) for key in "bcac"] == [False, True, False, False]
        assert (second.rows, second.found) == (4, 1)


class TestPagesWithoutEnd:
    """Pages that hold nothing new are borne so long, and are then an error."""

    @pytest.mark.parametrize("rows", [["a"], ["a", "b"], ["b", "a"]], ids=str)
    def test_the_same_rows_again_and_again(self, clocks: Clocks, rows: list[str]) -> None:
        tally = Tally(clocks.evidence(), set())
        for number in range(MOST_STALE_PAGES):
            for key in rows if number % 2 else reversed(rows):
                tally.see(key, None)
            tally.end_page()
        for key in rows:
            tally.see(key, None)
        with pytest.raises(AccountError, match="have no end: of 101"):
            tally.end_page()

    @pytest.mark.parametrize("news", [1, 50, MOST_STALE_PAGES])
    def test_something_new_now_and_then_makes_good_for_it(self, clocks: Clocks, news: int) -> None:
        tally = Tally(clocks.evidence(), set())
        for number in range(4 * MOST_STALE_PAGES):
            tally.see("a", None)
            if number % news == 0:
                tally.see(number, None)
            tally.end_page()
        assert tally.pages == 4 * MOST_STALE_PAGES

    @pytest.mark.parametrize("after", [[], ["a"]], ids=["from the start", "after rows"])
    def test_empty_pages_may_be_many(self, clocks: Clocks, after: list[str]) -> None:
        tally = Tally(clocks.evidence(), set())
        for key in after:
            tally.see(key, None)
            tally.end_page()
        for _ in range(MOST_EMPTY_PAGES - 1):
            tally.end_page()
        with pytest.raises(AccountError, match="have no end"):
            tally.end_page()

    def test_rows_between_empty_pages_begin_the_count_anew(self, clocks: Clocks) -> None:
        tally = Tally(clocks.evidence(), set())
        for number in range(3):
            for _ in range(MOST_EMPTY_PAGES - 1):
                tally.end_page()
            tally.see(number, None)
            tally.end_page()
