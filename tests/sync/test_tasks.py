"""Tasks: which request follows which page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.api.errors import AccountError, BrokenBodyError
from tap_truto_ats.api.request import ArrivingPage, Request
from tap_truto_ats.sync.tasks import Fork, Rows, Task, hand_out, pages, until_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_truto_ats.sync.tasks import Steps

    Answer = Page | AccountError

FIRST = Request("/rows", {"account": "a1"}, "a1")


def gone(status: int | None = 404) -> AccountError:
    return AccountError("cause", "cure", status=status)


def nothing(_: list[Any]) -> None:
    """Hand out no rows."""


def key(request: Request) -> str:
    """Name a request in short: its path and its cursor."""
    parts = [request.path, request.params.get("next_cursor")]
    return " ".join(str(part) for part in parts if part is not None)


def take(steps: Steps[Any], answers: Mapping[str, Answer]) -> tuple[list[str], AccountError | None]:
    """Take all steps; return what was requested, and the error with which they ended."""
    task = Task("a1", steps)
    requested: list[str] = []
    task.advance()
    while task.request is not None:
        requested.append(key(task.request))
        assert len(requested) < 50, "the task does not end"
        task.advance(answers[requested[-1]])
    assert task.has_ended
    return requested, task.error


class TestPages:
    """From a first page to the end of its cursor."""

    @pytest.mark.parametrize(
        ("answers", "requested"),
        [
            ({"/rows": Page([1])}, ["/rows"]),
            ({"/rows": Page([])}, ["/rows"]),
            ({"/rows": Page([1], "b"), "/rows b": Page([2])}, ["/rows", "/rows b"]),
            (
                {"/rows": Page([], "b"), "/rows b": Page([], "c"), "/rows c": Page([1])},
                ["/rows", "/rows b", "/rows c"],
            ),
            (
                {"/rows": Page([1], "b"), "/rows b": Page([], "c"), "/rows c": Page([])},
                ["/rows", "/rows b", "/rows c"],
            ),
        ],
        ids=["one page", "no rows", "two pages", "empty pages first", "empty pages last"],
    )
    def test_they_go_on_to_the_end_of_the_cursor(
        self, answers: dict[str, Answer], requested: list[str]
    ) -> None:
        assert take(pages(FIRST), answers) == (requested, None)

    @pytest.mark.parametrize(
        ("follows", "requested"),
        [
            ({"": "a", "a": "a"}, ["/rows", "/rows a"]),
            ({"": "a", "a": "b", "b": "a"}, ["/rows", "/rows a", "/rows b"]),
            (
                {"": "a", "a": "b", "b": "c", "c": "d", "d": "b"},
                ["/rows", "/rows a", "/rows b", "/rows c", "/rows d"],
            ),
        ],
        ids=["A A", "A B A", "A B C D B"],
    )
    @pytest.mark.parametrize("rows", [[], [{"id": 1}]], ids=["empty", "with rows"])
    def test_a_cursor_that_comes_back_is_an_error(
        self, follows: dict[str, str], requested: list[str], rows: list[Any]
    ) -> None:
        answers = {
            f"/rows {cursor}".strip(): Page(rows, following)
            for cursor, following in follows.items()
        }
        asked, error = take(pages(FIRST), answers)
        assert asked == requested
        assert "circle" in str(error)
        assert error is not None
        assert error.status is None

    def test_the_same_cursor_in_another_task_is_no_error(self) -> None:
        answers = {"/rows": Page([1], "b"), "/rows b": Page([2])}
        for _ in range(2):
            assert take(pages(FIRST), answers)[1] is None

    def test_all_parameters_are_sent_with_every_page(self) -> None:
        steps = pages(FIRST, nothing)
        assert next(steps) == FIRST
        second = steps.send(Page([1], "https://a.example/?x=1&y=%2F"))
        assert isinstance(second, Request)
        assert second.params == {"account": "a1", "next_cursor": "https://a.example/?x=1&y=%2F"}
        assert (second.path, second.account_id) == ("/rows", "a1")

    @pytest.mark.parametrize("error", [gone(), BrokenBodyError("x")], ids=["404", "broken"])
    def test_an_error_ends_the_task(self, error: AccountError) -> None:
        answers: dict[str, Answer] = {"/rows": Page([1], "b"), "/rows b": error}
        assert take(pages(FIRST), answers) == (["/rows", "/rows b"], error)

    def test_the_parts_of_an_arriving_page_are_asked_for_until_it_is_read(self) -> None:
        first = Request("/rows", arriving=ArrivingPage())
        steps = pages(first, nothing)
        assert next(steps) is first
        assert steps.send(Page([1], unread=True)) is first
        assert steps.send(Page([2], unread=True)) is first
        second = steps.send(Page([], "b"))
        assert isinstance(second, Request)
        assert key(second) == "/rows b"
        assert second.arriving is not first.arriving

    def test_only_the_first_page_if_asked(self) -> None:
        answers = {"/rows": Page([1], "b")}
        assert take(pages(FIRST, only_first=True), answers) == (["/rows"], None)

    def test_steps_of_a_page_come_before_the_next_page(self) -> None:
        answers = {"/rows": Page([1, 2], "b"), "/rows b": Page([]), "/of 1": Page([])}

        def see(rows: list[Any]) -> Steps[None]:
            for row in rows[:1]:
                yield Request(f"/of {row}")

        assert take(pages(FIRST, see), answers) == (["/rows", "/of 1", "/rows b"], None)


class TestPagesUnlessGone:
    """Pages of what may have been deleted since it was listed."""

    def test_what_is_gone_has_no_pages(self) -> None:
        error, found = gone(), list[AccountError]()
        assert take(pages(FIRST, gone=found), {"/rows": error}) == (["/rows"], None)
        assert found == [error]

    def test_what_is_there_has_all_its_pages(self) -> None:
        answers = {"/rows": Page([1], "b"), "/rows b": Page([2])}
        found: list[AccountError] = []
        assert take(pages(FIRST, gone=found), answers) == (["/rows", "/rows b"], None)
        assert found == []

    def test_what_is_gone_at_a_later_page_is_an_error(self) -> None:
        answers: dict[str, Answer] = {"/rows": Page([1], "b"), "/rows b": gone()}
        assert take(pages(FIRST, gone=[]), answers)[1] is answers["/rows b"]

    @pytest.mark.parametrize("status", [400, 401, 403, 405, 422, 502, 503, None])
    def test_any_other_error_is_one(self, status: int | None) -> None:
        error = gone(status)
        assert take(pages(FIRST, gone=[]), {"/rows": error}) == (["/rows"], error)


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
            ({"/about": gone(403), "/rows": Page([1], "b")}, ["/about", "/rows"]),
        ],
        ids=["rows", "an empty page", "an error that the steps take"],
    )
    def test_it_ends_at_the_first_page(
        self, answers: dict[str, Answer], requested: list[str]
    ) -> None:
        assert take(until_rows(self.steps()), answers) == (requested, None)

    @pytest.mark.parametrize(
        "answers",
        [{"/about": gone()}, {"/about": Page([{}]), "/rows": gone()}],
        ids=["before the rows", "at the rows"],
    )
    def test_an_error_comes_out(self, answers: dict[str, Answer]) -> None:
        asked, error = take(until_rows(self.steps()), answers)
        assert error is answers[asked[-1]]

    def test_steps_that_end_early_end_it(self) -> None:
        assert take(until_rows(pages(Request("/x"), nothing)), {"/x": Page([1])}) == (["/x"], None)

    def test_branches_are_taken_one_by_one_up_to_the_first_rows(self) -> None:
        def steps() -> Steps[None]:
            paths = ("/x", "/gone", "/rows", "/more")
            yield Fork(
                pages(Request(path), nothing if path == "/x" else hand_out, gone=[])
                for path in paths
            )
            yield Request("/after")

        answers: dict[str, Answer] = {"/x": Page([1]), "/gone": gone(), "/rows": Page([2], "b")}
        assert take(until_rows(steps()), answers) == (["/x", "/gone", "/rows"], None)

    def test_an_error_of_a_branch_is_thrown_in(self) -> None:
        def steps() -> Steps[None]:
            try:
                yield Fork([pages(FIRST)])
            except AccountError:
                yield Request("/instead")

        answers: dict[str, Answer] = {"/rows": gone(403), "/instead": Page([])}
        assert take(until_rows(steps()), answers) == (["/rows", "/instead"], None)

    def test_rows_of_its_own_end_it(self) -> None:
        def steps() -> Steps[None]:
            yield Rows([1])
            yield FIRST

        assert take(until_rows(steps()), {}) == ([], None)

    def test_no_steps(self) -> None:
        def none() -> Steps[None]:
            yield from ()

        assert take(until_rows(none()), {}) == ([], None)
