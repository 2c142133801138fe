"""Tasks: which request follows which page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.api.request import Request
from tap_truto_ats.sync.retries import seconds_to_wait
from tap_truto_ats.sync.tasks import Fork, Rows, Task, answer_to, until_rows
from tests.sync.steps import failure, pages, refusal, take

if TYPE_CHECKING:
    from tap_truto_ats.sync.tasks import Steps
    from tests.sync.steps import Answer

FIRST = Request("/rows", {"account": "a1"}, "a1")


def ask(request: Request) -> Steps[None]:
    """Request a page whose rows nobody wants."""
    yield from answer_to(request)


class TestTask:
    """What a task does with its steps."""

    def test_rows_of_its_own_are_told_with_the_step_that_follows(self) -> None:
        def steps() -> Steps[None]:
            yield Rows([1])
            yield Rows([2, 3])
            yield FIRST
            yield Rows([4])

        task = Task("a", steps())
        assert task.advance() == [1, 2, 3]
        assert task.request is FIRST
        assert task.advance(Page([])) == [4]
        assert task.has_ended

    def test_branches_are_tasks_of_the_same_subject(self) -> None:
        def steps() -> Steps[None]:
            yield Fork(pages(FIRST) for _ in range(2))

        task = Task("a", steps(), "a1")
        task.advance()
        assert task.to_await
        for branch in task.to_await:
            assert (branch.subject, branch.account_id, branch.is_branch) == ("a", "a1", True)
            assert branch.usage is not task.usage

    def test_a_fault_of_the_steps_ends_it(self) -> None:
        def steps() -> Steps[None]:
            yield FIRST
            raise ZeroDivisionError

        task = Task("a", steps())
        task.advance()
        task.advance(Page([]))
        assert task.has_ended
        assert task.error
        assert task.error.is_fault

    def test_what_it_returns_is_kept(self) -> None:
        def steps() -> Steps[int]:
            page = yield from answer_to(FIRST)
            return len(page.rows)

        task = Task("a", steps())
        task.advance()
        task.advance(Page([1, 2]))
        assert (task.result, task.error) == (2, None)

    def test_an_error_that_ends_it_keeps_nothing_that_the_steps_had_at_hand(self) -> None:
        error = refusal(403)
        task = Task("a", pages(FIRST))
        task.advance()
        task.advance(error)
        assert task.error is error
        assert error.__traceback__ is None
        assert error.__context__ is None

    def test_the_tries_of_a_request_are_its_own(self) -> None:
        task = Task("a", pages(FIRST))
        task.advance()
        seconds_to_wait(task.failed, failure(), most=9)
        failed = task.failed
        task.advance(Page([1], "b"))
        assert task.failed is not failed
        assert not task.failed

    def test_the_parts_of_an_arriving_page_share_their_tries(self) -> None:
        task = Task("a", pages(FIRST))
        task.advance()
        seconds_to_wait(task.failed, failure(), most=9)
        task.advance(Page([1], unread=True))
        assert task.request is FIRST
        assert task.failed.total() == 1

    def test_it_tells_whether_it_waits_for_branches_of_its_own(self) -> None:
        def steps() -> Steps[None]:
            yield FIRST
            yield Fork([])
            yield Task("b", pages(FIRST))

        task = Task("a", steps())
        found = []
        for answer in (None, Page([]), None):
            task.advance(answer)
            found.append(task.is_forking)
        assert found == [False, True, False]


class TestUntilRows:
    """A test of an account: up to its first page of rows."""

    @staticmethod
    def steps() -> Steps[None]:
        """Ask for something that may be forbidden, then for pages."""
        try:
            yield Request("/about", single=True)
        except AccountError as error:
            if error.status != 403:
                raise
        yield from pages(FIRST)

    @pytest.mark.parametrize(
        ("answers", "requested"),
        [
            ({"/about": Page([{}]), "/rows": Page([1], "b")}, ["/about", "/rows"]),
            ({"/about": Page([{}]), "/rows": Page([], "b")}, ["/about", "/rows"]),
            ({"/about": refusal(403), "/rows": Page([1], "b")}, ["/about", "/rows"]),
        ],
        ids=["rows", "an empty page", "an error that the steps take"],
    )
    def test_it_ends_at_the_first_page(
        self, answers: dict[str, Answer], requested: list[str]
    ) -> None:
        taken = take(until_rows(self.steps()), answers)
        assert (taken.requested, taken.error) == (requested, None)

    @pytest.mark.parametrize(
        "answers",
        [{"/about": refusal()}, {"/about": Page([{}]), "/rows": refusal()}],
        ids=["before the rows", "at the rows"],
    )
    def test_an_error_comes_out(self, answers: dict[str, Answer]) -> None:
        taken = take(until_rows(self.steps()), answers)
        assert taken.error is answers[taken.requested[-1]]

    def test_steps_that_end_early_end_it(self) -> None:
        taken = take(until_rows(ask(Request("/x"))), {"/x": Page([1])})
        assert taken == (["/x"], [], False, None)

    def test_branches_are_taken_one_by_one_up_to_the_first_rows(self) -> None:
        def unless_gone(path: str) -> Steps[None]:
            try:
                yield from ask(Request(path)) if path == "/x" else pages(Request(path))
            except AccountError:
                return

        def steps() -> Steps[None]:
            yield Fork(map(unless_gone, ("/x", "/gone", "/rows", "/more")))
            yield Request("/after")

        answers: dict[str, Answer] = {
            "/x": Page([1]),
            "/gone": refusal(),
            "/rows": Page([2], "b"),
        }
        taken = take(until_rows(steps()), answers)
        assert taken == (["/x", "/gone", "/rows"], [2], True, None)

    def test_an_error_of_a_branch_is_thrown_in(self) -> None:
        def steps() -> Steps[None]:
            try:
                yield Fork([pages(FIRST)])
            except AccountError:
                yield Request("/instead")

        answers: dict[str, Answer] = {"/rows": refusal(403), "/instead": Page([])}
        assert take(until_rows(steps()), answers) == (["/rows", "/instead"], [], False, None)

    def test_rows_of_its_own_end_it(self) -> None:
        def steps() -> Steps[None]:
            yield Rows([1])
            yield FIRST

        assert take(until_rows(steps()), {}) == ([], [1], True, None)

    def test_no_steps(self) -> None:
        def none() -> Steps[None]:
            yield from ()

        assert take(until_rows(none()), {}) == ([], [], False, None)
