"""Ways through pages: what is requested after what, without any I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from tap_truto_ats.client import Request
from tap_truto_ats.envelope import Page
from tap_truto_ats.errors import AccountError, unexpected

if TYPE_CHECKING:
    from tap_truto_ats.resources import Requirement

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

Steps: TypeAlias = Generator[Request, Page, R]
"""Requests, one after another: each page is sent in where its request was yielded, or an
`AccountError` is thrown in there when the page could not be had."""


class Walk(Generic[T]):
    """The way of one subject (the caller's own, an account for example) through its pages."""

    def __init__(self, subject: T, steps: Steps[None]) -> None:
        """Request nothing yet."""
        self.subject = subject
        self.request: Request | None = None
        self.error: AccountError | None = None
        self._steps = steps

    @property
    def ended(self) -> bool:
        """Whether nothing is outstanding: all was read, or `error` tells why not."""
        return self.request is None

    def advance(self, answer: Page | AccountError | None = None) -> None:
        """Take an answer (None at the start) and work out the request that follows."""
        self.request = None
        try:
            if isinstance(answer, AccountError):
                self.request = self._steps.throw(answer)
            elif answer is None:
                self.request = next(self._steps)
            else:
                self.request = self._steps.send(answer)
        except StopIteration:
            pass
        except AccountError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - one account's oddity ends that account
            self.error = unexpected(error)


def pages(
    request: Request,
    for_each: Callable[[list[Any]], Steps[None]] | None = None,
    page: Page | None = None,
) -> Steps[None]:
    """Ask for a page and for all that follow it, to the end of the cursor.

    An empty page with a cursor is not the end: integrations may be set up to give one
    (`allow_empty_page_cursor` in Truto's pagination config).

    Args:
        request: The first page.
        for_each: Steps to take for the rows of each page before the next one is asked for.
        page: The first page, if it was asked for already.

    Raises:
        AccountError: A cursor came back a second time, so that the walk would never end.
    """
    seen: set[int] = set()  # of hashes, since a cursor may be a long URL
    while True:
        if page is None:
            page = yield request
        if for_each:
            yield from for_each(page.rows)
        if page.unread:
            page = None
            continue
        if page.next_cursor is None:
            return
        if hash(page.next_cursor) in seen:
            cause = f"The pages of {request.path} run in a circle: a cursor came back"
            raise AccountError(cause, "Report the account to Truto's support")
        seen.add(hash(page.next_cursor))
        request, page = request.after(page.next_cursor), None


def pages_for_each_value(
    request: Request, requirement: Requirement, parents: Request
) -> Steps[None]:
    """Ask for the pages of a request once for each value that a required parameter can have.

    A value that is gone when its turn comes (HTTP 404: deleted since it was listed) is passed over.

    Args:
        request: The first page, the required parameter lacking.
        requirement: The parameter, and the field of the parents that holds its values.
        parents: The first page of the parents.

    Raises:
        AccountError: A page could not be had, or every value was gone.
    """
    asked = gone = unusable = 0
    first_error: AccountError | None = None

    def for_each(rows: list[Any]) -> Steps[None]:
        nonlocal asked, gone, unusable, first_error
        values = [row.get(requirement.field) if isinstance(row, dict) else None for row in rows]
        unusable += sum(not value for value in values)
        for value in dict.fromkeys(str(value) for value in values if value):
            asked += 1
            first = request.having({requirement.parameter: value})
            try:
                page = yield first
            except AccountError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
                gone += 1
                first_error = first_error or error
            else:
                yield from pages(first, page=page)

    yield from pages(parents, for_each)
    if first_error and gone == asked:
        raise first_error
    if gone or unusable:
        logger.warning(
            "Account %s: of %s, %d were gone when their turn came and %d had no `%s`.",
            request.account_id,
            requirement.resource,
            gone,
            unusable,
            requirement.field,
        )


def until_rows(steps: Steps[None]) -> Steps[None]:
    """Take steps up to the first page whose rows are wanted, and end there.

    Raises:
        AccountError: The steps ended with it.
    """
    walk = Walk(None, steps)
    walk.advance()
    while walk.request:
        try:
            answer: Page | AccountError = yield walk.request
        except AccountError as error:
            answer = error
        if walk.request.rows and not isinstance(answer, AccountError):
            return
        walk.advance(answer)
    if walk.error:
        raise walk.error
