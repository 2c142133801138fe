"""Tasks: which request follows which page, as generators that do no I/O.

A task yields a request and is sent its page. It may also fork into branches, or wait for another
task. The scheduler makes the requests of all tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, Union

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.api.errors import AccountError, unexpected
from tap_truto_ats.api.request import Request, Usage

T = TypeVar("T")
R = TypeVar("R")


class Rows(NamedTuple):
    """Rows to hand out: those of a page, or others."""

    rows: list[Any]


@dataclass(frozen=True)
class Fork:
    """Steps that may be taken at the same time; the task goes on when all have ended."""

    branches: Iterable[Steps[Any]]


Step: TypeAlias = Union[Request, Rows, Fork, "Task[Any]"]
"""A request, rows to hand out, or what the task waits for: branches of its own, or another task.

A task that several others wait for runs once."""

Steps: TypeAlias = Generator[Step, Page | None, R]
"""Steps one after another.

Where a request was yielded, its page is sent in. The `AccountError` is thrown in where a page could
not be had, or where an awaited task ended with it. Steps that need what failed end with it, too."""


@dataclass(eq=False, slots=True)
class Task(Generic[T]):
    """Steps, and how far they have been taken."""

    subject: T
    """The caller's own object that the task is for, an account sync for example."""
    steps: Steps[Any]
    """What is to be done."""
    account_id: str | None = None
    """The account in whose queue the task has its turn; None for no account."""
    usage: Usage = field(default_factory=Usage)
    """Where the task's cost is counted."""
    is_branch: bool = False
    is_forking: bool = False
    """Whether it waits for branches of its own."""
    has_begun: bool = False
    has_ended: bool = False
    request: Request | None = None
    """The request that the task waits for, or that is to be made next."""
    failed: Counter[Hashable] = field(default_factory=Counter)
    """The tries of the request that have failed, by kind of error and status."""
    to_await: Iterator[Task[Any]] | None = None
    """Tasks to wait for that the scheduler has not taken yet; None when it has taken all."""
    awaited: int = 0
    """How many of the tasks that it waits for have not ended."""
    failure: AccountError | None = None
    """The first error with which one of them ended."""
    dependents: list[Task[Any]] = field(default_factory=list)
    """The tasks that wait for this one."""
    result: Any = None
    """What the steps returned."""
    error: AccountError | None = None
    """The error with which the steps ended."""

    def advance(self, answer: Page | AccountError | None = None) -> list[Any]:
        """Take the answer to the last step (None where it asked for none), and the next step.

        Return rows to hand out.
        """
        self.has_begun = True
        before, self.request, self.to_await, self.failure = self.request, None, None, None
        rows: list[Any] = []
        try:
            step = _next(self.steps, answer)
            while isinstance(step, Rows):
                rows += step.rows
                step = _next(self.steps)
        except StopIteration as end:
            self.has_ended, self.result = True, end.value
        except AccountError as error:
            # A traceback would keep what the steps had at hand: a page, say.
            self.has_ended, self.error = True, error.with_traceback(None)
            self.error.__context__ = None
        except Exception as error:  # noqa: BLE001 - one account's oddity ends that account
            self.has_ended, self.error = True, unexpected(error)
        else:
            self.is_forking = isinstance(step, Fork)
            if isinstance(step, Request):
                self.request = step
                if step is not before:
                    self.failed = Counter()
            else:
                self.to_await = iter([step]) if isinstance(step, Task) else self._branches(step)
        return rows

    def _branches(self, fork: Fork) -> Iterator[Task[T]]:
        for steps in fork.branches:
            yield Task(self.subject, steps, self.account_id, is_branch=True)


def answer_to(request: Request) -> Steps[Page]:
    """Make a request, and return its page."""
    page = yield request
    assert page is not None  # noqa: S101 - an answer to a request is a page
    return page


def until_rows(steps: Steps[Any]) -> Steps[bool]:
    """Take steps up to the first that hands out rows, and end there.

    Branches are taken one after another, and none after the one that came to rows. Return whether
    there was such a step.
    """
    answer: Page | AccountError | None = None
    while True:
        try:
            step = _next(steps, answer)
        except StopIteration:
            return False
        answer = None
        try:
            if isinstance(step, Rows):
                yield step
                return True
            if isinstance(step, Fork):
                for branch in step.branches:
                    if (yield from until_rows(branch)):
                        return True
            else:
                answer = yield step
        except AccountError as error:
            answer = error


def _next(steps: Steps[Any], answer: Page | AccountError | None = None) -> Step:
    if not isinstance(answer, AccountError):
        return steps.send(answer)
    try:
        return steps.throw(answer)
    finally:
        # Several tasks may take the same error, which would keep what each had at hand.
        answer.__traceback__ = None
