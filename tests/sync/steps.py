"""Steps and answers for tests: what tasks ask for, and what they make of it, without any I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.api.errors import AccountError, TransientError
from tap_truto_ats.sync.tasks import Fork, Rows, Task, answer_to

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_truto_ats.api.request import Request
    from tap_truto_ats.sync.tasks import Steps

    Answer = Page | AccountError

MOST_REQUESTS = 20_000
"""A task that makes more of them does not end."""


def refusal(status: int | None = 404, cause: str = "cause") -> AccountError:
    return AccountError(cause, "cure", status=status)


def failure(status: int | None = 502, **about: Any) -> TransientError:
    error = TransientError("Failing", "cure", status=status)
    for name, value in about.items():
        setattr(error, name, value)
    return error


def one_row(request: Request) -> Answer:
    """Answer with a page of one row, the request's path."""
    return Page([request.path])


def in_turn(*answers: Answer) -> Callable[[Request], Answer]:
    """Give answers one after another, and the last one ever after."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def one_row_unless(
    is_wrong: Callable[[Request], bool], error: AccountError
) -> Callable[[Request], Answer]:
    """Answer some requests with an error."""

    def answer(request: Request) -> Answer:
        if is_wrong(request):
            return error
        return one_row(request)

    return answer


def pages(request: Request | None) -> Steps[None]:
    """Request a page and all that follow, and hand out their rows."""
    while request:
        page = yield from answer_to(request)
        yield Rows(page.rows)
        if not page.unread:
            request = request.after(page.next_cursor) if page.next_cursor else None


def key(request: Request) -> str:
    """Name a request in short: its path and its cursor."""
    parts = [request.path, request.params.get("next_cursor")]
    return " ".join(str(part) for part in parts if part is not None)


class Taken(NamedTuple):
    """What became of steps."""

    requested: list[str]
    """The names of the requests."""
    rows: list[Any]
    """Those that were handed out."""
    result: Any
    """What the steps returned."""
    error: AccountError | None


def take(
    steps: Steps[Any],
    answers: Mapping[str, Answer] | Callable[[Request], Answer],
    name: Callable[[Request], str] = key,
) -> Taken:
    """Take all steps one after another, those of branches and of awaited tasks included."""
    requested: list[str] = []
    handed_out: list[Any] = []

    def run(task: Task[Any], begin: list[Any]) -> None:
        handed_out.extend(begin)
        while not task.has_ended:
            if task.request is not None:
                request = task.request
                requested.append(name(request))
                assert len(requested) < MOST_REQUESTS, "the task does not end"
                answer = answers(request) if callable(answers) else answers[name(request)]
                handed_out.extend(task.advance(answer))
                continue
            failure = None
            for awaited in task.to_await or ():
                if not awaited.has_ended:
                    run(awaited, awaited.advance())
                failure = failure or awaited.error
                if failure:
                    break
            handed_out.extend(task.advance(failure))

    task = Task("a1", steps, "a1")
    run(task, task.advance())
    return Taken(requested, handed_out, task.result, task.error)


def in_branches(*steps: Steps[Any]) -> Steps[None]:
    """Take several steps at the same time."""
    yield Fork(steps)
