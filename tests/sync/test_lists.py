"""Lists: from the first page to the end of the cursor, and again where rows may have slipped by."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.api.errors import NoListError
from tap_truto_ats.api.request import ArrivingPage, Request
from tap_truto_ats.sync.evidence import MOST_EMPTY_PAGES, Doubt, Evidence, Tally
from tap_truto_ats.sync.lists import MOST_READS, read_list
from tap_truto_ats.sync.tasks import Rows
from tests.sync.clocks import BEGAN, Clocks
from tests.sync.steps import failure, in_turn, key, refusal, take

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_truto_ats.sync.tasks import Steps
    from tests.sync.steps import Answer, Taken

FIRST = Request("/rows", {"account": "a1"}, "a1")


@pytest.fixture
def evidence(monkeypatch: pytest.MonkeyPatch) -> Evidence:
    return Clocks(monkeypatch).evidence()


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> Evidence:
    """Evidence for which every row that exists is wanted."""
    return Clocks(monkeypatch).evidence(is_exact=True)


def hand_out(rows: list[Any], tally: Tally) -> Steps[None]:
    """Take rows that are their own ids, and hand out those that are to be handled."""
    yield Rows([row for row in rows if tally.see(row, None)])


def listed(
    evidence: Evidence,
    answers: dict[str, Answer] | Callable[[Request], Answer],
    request: Request = FIRST,
    *,
    wants_all: bool = False,
    only_first: bool = False,
) -> Taken:
    steps = read_list(
        request, evidence, hand_out, wants_all=lambda: wants_all, only_first=only_first
    )
    return take(steps, answers)


def chain(*pages: list[Any]) -> dict[str, Answer]:
    """Answer with pages one after another, whose cursors are their numbers."""
    cursors: list[str | None] = [None, *(str(n) for n in range(2, len(pages) + 1))]
    return {
        f"/rows {cursor or ''}".strip(): Page(rows, following)
        for cursor, rows, following in zip(cursors, pages, [*cursors[1:], None], strict=True)
    }


class TestPages:
    """From a first page to the end of its cursor."""

    @pytest.mark.parametrize(
        "pages",
        [
            [[1]],
            [[]],
            [[1, 2], [3]],
            [[], [], [1]],
            [[1], [], []],
            [[1], [], [2], [], [], [3]],
        ],
        ids=str,
    )
    def test_they_go_on_to_the_end_of_the_cursor(
        self, evidence: Evidence, pages: list[list[Any]]
    ) -> None:
        taken = listed(evidence, chain(*pages))
        assert taken.requested == list(chain(*pages))
        assert taken.rows == [row for page in pages for row in page]
        assert taken.error is None
        assert evidence.doubts == {}

    def test_all_parameters_are_sent_with_every_page(self, evidence: Evidence) -> None:
        cursor = "https://a.example/?x=1&y=%2F"
        steps = read_list(FIRST, evidence, lambda *_: None)
        assert next(steps) == FIRST
        second = steps.send(Page([1], cursor))
        assert isinstance(second, Request)
        assert second.params == {"account": "a1", "next_cursor": cursor}
        assert (second.path, second.account_id) == ("/rows", "a1")

    @pytest.mark.parametrize(
        ("follows", "requested"),
        [
            ({"": "a", "a": "b", "b": "a"}, ["/rows", "/rows a", "/rows b"]),
            (
                {"": "a", "a": "b", "b": "c", "c": "d", "d": "b"},
                ["/rows", "/rows a", "/rows b", "/rows c", "/rows d"],
            ),
        ],
        ids=["A B A", "A B C D B"],
    )
    @pytest.mark.parametrize("rows", [[], [1]], ids=["empty", "with rows"])
    def test_a_cursor_that_comes_back_is_an_error(
        self, evidence: Evidence, follows: dict[str, str], requested: list[str], rows: list[Any]
    ) -> None:
        answers: dict[str, Answer] = {
            f"/rows {cursor}".strip(): Page(rows, following)
            for cursor, following in follows.items()
        }
        taken = listed(evidence, answers)
        assert taken.requested == requested
        assert taken.error is not None
        assert "circle" in str(taken.error)
        assert taken.error.status is None

    def test_its_own_cursor_with_an_empty_page_is_an_end(self, evidence: Evidence) -> None:
        taken = listed(evidence, {"/rows": Page([1], "a"), "/rows a": Page([], "a")})
        assert (taken.requested, taken.rows, taken.error) == (["/rows", "/rows a"], [1], None)
        assert evidence.doubts == {}

    def test_its_own_cursor_with_rows_is_a_circle(self, evidence: Evidence) -> None:
        taken = listed(evidence, {"/rows": Page([1], "a"), "/rows a": Page([2], "a")})
        assert "circle" in str(taken.error)

    def test_the_same_cursor_in_another_list_is_no_error(self, evidence: Evidence) -> None:
        for _ in range(2):
            assert listed(evidence, chain([1], [2])).error is None

    def test_pages_without_end_are_an_error(self, evidence: Evidence) -> None:
        def endless(request: Request) -> Answer:
            return Page([], str(int(request.params.get("next_cursor", 0)) + 1))

        taken = listed(evidence, endless)
        assert len(taken.requested) == MOST_EMPTY_PAGES
        assert "have no end" in str(taken.error)

    def test_only_the_first_page_if_asked(self, exact: Evidence) -> None:
        taken = listed(exact, chain([1, 1], [2]), only_first=True, wants_all=True)
        assert (taken.requested, taken.rows, taken.error) == (["/rows"], [1, 1], None)

    def test_steps_of_a_page_come_before_the_next_page(self, evidence: Evidence) -> None:
        def see(rows: list[Any], _: Tally) -> Steps[None]:
            for row in rows[:1]:
                yield Request(f"/of {row}")

        answers = {**chain([1, 2], [3]), "/of 1": Page([]), "/of 3": Page([])}
        taken = take(read_list(FIRST, evidence, see), answers)
        assert taken.requested == ["/rows", "/of 1", "/rows 2", "/of 3"]

    def test_the_parts_of_an_arriving_page_are_asked_for_until_it_is_read(
        self, evidence: Evidence
    ) -> None:
        first = Request("/rows", arriving=ArrivingPage())
        steps = read_list(first, evidence, lambda *_: None)
        assert next(steps) is first
        assert steps.send(Page([1], unread=True)) is first
        assert steps.send(Page([2], unread=True)) is first
        second = steps.send(Page([], "b"))
        assert isinstance(second, Request)
        assert key(second) == "/rows b"
        assert second.arriving is not first.arriving

    def test_the_rows_of_an_arriving_page_count_together(self, evidence: Evidence) -> None:
        """With its own cursor again, a page that held rows is no end."""
        first = Request("/rows", {"next_cursor": "a"}, arriving=ArrivingPage())
        parts = iter([Page([], "a"), Page([1], unread=True), Page([], "a")])
        taken = listed(evidence, lambda _: next(parts), first)
        assert "circle" in str(taken.error)


class TestErrors:
    """What ends a list, and what does not."""

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 502, None])
    def test_an_error_at_the_first_page_comes_out_as_it_is(
        self, evidence: Evidence, status: int | None
    ) -> None:
        error = refusal(status)
        taken = listed(evidence, {"/rows": error})
        assert (taken.requested, taken.error) == (["/rows"], error)

    @pytest.mark.parametrize("error", [refusal(401), refusal(403), refusal(405), failure(502)])
    def test_an_error_at_a_later_page_comes_out_as_it_is(
        self, evidence: Evidence, error: Answer
    ) -> None:
        taken = listed(evidence, {"/rows": Page([1], "b"), "/rows b": error})
        assert (taken.requested, taken.error) == (["/rows", "/rows b"], error)

    @pytest.mark.parametrize("status", [400, 404, 410, 422])
    def test_a_cursor_that_has_expired_begins_the_list_once_more(
        self, evidence: Evidence, status: int
    ) -> None:
        answers = in_turn(Page([1], "a"), refusal(status), Page([1], "b"), Page([2]))
        taken = listed(evidence, answers)
        assert taken.requested == ["/rows", "/rows a", "/rows", "/rows b"]
        assert taken.error is None
        assert set(taken.rows) == {1, 2}
        assert evidence.doubts == {}

    @pytest.mark.parametrize("status", [400, 404, 410, 422])
    def test_one_that_expires_again_is_an_error_that_names_the_cursor(
        self, evidence: Evidence, status: int
    ) -> None:
        answers = {**chain([1], [2], [3]), "/rows 3": refusal(status, "Check `filters`")}
        taken = listed(evidence, answers)
        assert taken.requested == ["/rows", "/rows 2", "/rows 3"] * 2
        assert taken.error is not None
        assert taken.error.cause == f"A cursor of /rows was no longer accepted (HTTP {status})"
        assert taken.error.status is None
        assert "filters" not in str(taken.error)

    @pytest.mark.parametrize("pages", [[], [[1], [2]]], ids=["at once", "after rows"])
    def test_nothing_in_place_of_rows_is_an_end_that_is_doubted(
        self, evidence: Evidence, pages: list[list[Any]]
    ) -> None:
        answers = chain(*pages, [])
        answers[list(answers)[-1]] = NoListError()
        taken = listed(evidence, answers)
        assert taken.error is None
        assert taken.requested == list(answers)
        assert taken.rows == [row for page in pages for row in page]
        assert evidence.doubts == {Doubt.NO_LIST: 1}


class TestReadingAgain:
    """Where every row is wanted, a list is read again until that brings nothing new."""

    @staticmethod
    def offset(readings: list[list[list[Any]]]) -> Callable[[Request], Answer]:
        """Answer each reading with its own pages, and the last one ever after."""
        begun = -1

        def answer(request: Request) -> Answer:
            nonlocal begun
            number = int(request.params.get("next_cursor", 0))
            begun += not number
            pages = readings[min(begun, len(readings) - 1)]
            more = number + 1 < len(pages)
            return Page(pages[number], str(number + 1) if more else None)

        return answer

    # Readings, whether a deletion must hide no row → how often it is read, and what comes of it.
    READINGS: ClassVar[dict[str, tuple[list[list[list[Any]]], bool, int, list[Any]]]] = {
        "one page": ([[[1, 2]]], True, 1, [1, 2]),
        "one page, a row twice": ([[[1, 1]]], False, 1, [1, 1]),
        "nothing came twice": ([[[1], [2]]], False, 1, [1, 2]),
        "a deletion may have hidden a row": ([[[1], [2]]], True, 2, [1, 2]),
        "it had": ([[[1, 2], [4]], [[1, 3], [4]]], True, 3, [1, 2, 4, 3]),
        "a row came twice": ([[[1, 2], [1]], [[2, 3], [1]]], False, 2, [1, 2, 1, 3]),
        "another was made meanwhile": ([[[1], [2]], [[1], [2, 3]]], True, 2, [1, 2, 3]),
        "twice, and nothing was hidden": ([[[1, 2], [1]]], False, 2, [1, 2, 1]),
    }

    @pytest.mark.parametrize(
        ("readings", "wants_all", "reads", "rows"), READINGS.values(), ids=READINGS
    )
    def test_it_is_read_until_each_row_that_is_known_comes_once(
        self,
        exact: Evidence,
        readings: list[list[list[Any]]],
        wants_all: bool,  # noqa: FBT001
        reads: int,
        rows: list[Any],
    ) -> None:
        taken = listed(exact, self.offset(readings), wants_all=wants_all)
        assert taken.requested.count("/rows") == reads
        assert taken.rows == rows
        assert exact.doubts == {}

    def test_if_each_reading_brings_something_new_rows_are_doubted(self, exact: Evidence) -> None:
        readings = [[[n], [n + 100]] for n in range(MOST_READS + 3)]
        taken = listed(exact, self.offset(readings), wants_all=True)
        assert taken.requested.count("/rows") == MOST_READS
        assert exact.doubts == {Doubt.MOVED: 1}
        assert taken.error is None

    def test_a_cursor_that_expires_begins_a_reading_once_more_only(self, exact: Evidence) -> None:
        restarted = (Page([1], "a"), refusal(400), Page([1], "b"), Page([2]))
        answers = in_turn(*restarted, Page([1], "c"), refusal(400))
        taken = listed(exact, answers, wants_all=True)
        assert "cursor" in str(taken.error)

    def test_otherwise_moved_rows_are_doubted_at_once(self, evidence: Evidence) -> None:
        changes = iter([BEGAN, BEGAN.replace(hour=0)])

        def see(rows: list[Any], tally: Tally) -> None:
            tally.see(rows[0], next(changes))

        taken = take(read_list(FIRST, evidence, see), chain([1], [1]))
        assert taken.requested == ["/rows", "/rows 2"]
        assert evidence.doubts[Doubt.MOVED] == 1

    def test_lists_of_one_evidence_know_their_own_rows_only(self, exact: Evidence) -> None:
        """A candidate of two jobs is in the list of each; neither needs to be read again."""
        for _ in range(2):
            taken = listed(exact, chain([1], [2]))
            assert taken.requested == ["/rows", "/rows 2"]
            assert taken.rows == [1, 2]
        read = partial(listed, exact, chain([1], [1]))
        assert read().requested == ["/rows", "/rows 2"] * 2
