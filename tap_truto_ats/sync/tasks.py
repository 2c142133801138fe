"""Ways through pages: what is requested after what, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, Union

from tap_truto_ats.api.client import Request, Usage
from tap_truto_ats.api.envelope import Page
from tap_truto_ats.api.errors import AccountError, unexpected

T = TypeVar("T")
R = TypeVar("R")


class Rows(NamedTuple):
    """Rows to hand out that are no page of an answer."""

    rows: list[Any]


@dataclass(frozen=True)
class Fork:
    """Ways that may be gone at the same time; the walk goes on when all have ended."""

    ways: Iterable[Steps[Any]]


Step: TypeAlias = Union[Request, Rows, Fork, "Walk[Any]"]
"""A request, rows to hand out, or what the walk waits for: branches, or a walk of its own right.

A walk that several others wait for is walked once."""

Steps: TypeAlias = Generator[Step, Page | None, R]
"""Steps one after another. Where a request was yielded, its page is sent in; where a page could not
be had, or a walk that was waited for ended with an error, the `AccountError` is thrown in."""

See: TypeAlias = Callable[[list[Any]], "Steps[None] | None"]
"""Is shown the rows of a page; it may have steps of its own to be taken before the next page."""


class Walk(Generic[T]):
    """The way of one subject (the caller's own, an account for example) through its pages."""

    def __init__(
        self,
        subject: T,
        steps: Steps[Any],
        account_id: str | None = None,
        usage: Usage | None = None,
    ) -> None:
        """Request nothing yet.

        Args:
            subject: What the caller knows the walk by.
            steps: The way.
            account_id: The account among whose requests those of the walk have their turn.
            usage: Where to count what the walk costs.
        """
        self.subject = subject
        self.account_id = account_id
        self.usage = usage or Usage()
        self.is_branch = False
        self.has_begun = False
        self.ended = False
        """Whether nothing is outstanding: all was read, or `error` tells why not."""
        self.request: Request | None = None
        self.branches: Iterator[Walk[Any]] | None = None
        """Walks to wait for that have not begun yet; None if there are none."""
        self.outstanding = 0
        """Walks to wait for that have begun and not ended."""
        self.failure: AccountError | None = None
        """What one of those ended with."""
        self.followers: list[Walk[Any]] = []
        """Walks that wait for this one."""
        self.error: AccountError | None = None
        self._steps = steps

    def branch(self, steps: Steps[Any]) -> Walk[T]:
        """Make a walk of the same subject, which this one will wait for."""
        branch = Walk(self.subject, steps, self.account_id)
        branch.is_branch = True
        return branch

    def advance(self, answer: Page | AccountError | None = None) -> list[Any]:
        """Take an answer (None where none was asked for) and work out what follows.

        Returns:
            Rows to hand out.
        """
        self.has_begun = True
        self.request = self.branches = self.failure = None
        rows: list[Any] = []
        try:
            step = self._next(answer)
            while isinstance(step, Rows):
                rows += step.rows
                step = self._next(None)
        except StopIteration:
            self.ended = True
        except AccountError as error:
            self.ended, self.error = True, error
        except Exception as error:  # noqa: BLE001 - one account's oddity ends that account
            self.ended, self.error = True, unexpected(error)
        else:
            if isinstance(step, Request):
                self.request = step
            else:
                self.branches = iter([step]) if isinstance(step, Walk) else self._fork(step)
        return rows

    def _next(self, answer: Page | AccountError | None) -> Step:
        if isinstance(answer, AccountError):
            return self._steps.throw(answer)
        return self._steps.send(answer)

    def _fork(self, fork: Fork) -> Iterator[Walk[T]]:
        return (self.branch(steps) for steps in fork.ways)


def pages(
    request: Request,
    see: See | None = None,
    page: Page | None = None,
    *,
    only_first: bool = False,
) -> Steps[None]:
    """Ask for a page and for all that follow it, to the end of the cursor.

    An empty page with a cursor is not the end: integrations may be set up to give one
    (`allow_empty_page_cursor` in Truto's pagination config).

    Args:
        request: The first page.
        see: What is shown the rows of each page.
        page: The first page, if it was asked for already.
        only_first: Ask for no page that follows.

    Raises:
        AccountError: A cursor came back a second time, so that the walk would never end.
    """
    seen: set[int] = set()  # of hashes, since a cursor may be a long URL
    while True:
        if page is None:
            page = yield request
        assert page is not None  # noqa: S101 - an answer to a request is a page
        if see and (steps := see(page.rows)):
            yield from steps
        if page.unread:
            page = None
            continue
        if page.next_cursor is None or only_first:
            return
        if hash(page.next_cursor) in seen:
            cause = f"The pages of {request.path} run in a circle: a cursor came back"
            raise AccountError(cause, "Report the account to Truto's support")
        seen.add(hash(page.next_cursor))
        request, page = request.after(page.next_cursor), None


def pages_unless_gone(
    request: Request,
    gone: list[AccountError],
    see: See | None = None,
    *,
    only_first: bool = False,
) -> Steps[None]:
    """Ask for pages as `pages` does, of what may have been deleted since it was listed.

    Args:
        request: The first page. If it answers 404, there are none.
        gone: Where the 404 is put down.
        see: As for `pages`.
        only_first: As for `pages`.
    """
    try:
        page = yield request
    except AccountError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        gone.append(error)
    else:
        yield from pages(request, see, page, only_first=only_first)


def until_rows(steps: Steps[Any]) -> Steps[bool]:
    """Take steps up to the first page whose rows are wanted, and end there.

    Of branches, one at a time is taken, and none after the one that came to rows.

    Returns:
        Whether there was such a page.

    Raises:
        AccountError: The steps ended with it.
    """
    answer: Page | AccountError | None = None
    while True:
        try:
            step = steps.throw(answer) if isinstance(answer, AccountError) else steps.send(answer)
        except StopIteration:
            return False
        answer = None
        try:
            if isinstance(step, Rows):
                yield step
                return True
            if isinstance(step, Fork):
                for way in step.ways:
                    if (yield from until_rows(way)):
                        return True
            else:
                answer = yield step
        except AccountError as error:
            answer = error
        if isinstance(step, Request) and step.rows and isinstance(answer, Page):
            return True
