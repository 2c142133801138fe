"""Ways through pages: what is requested after what, without any I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from tap_truto_ats.client import Request, Usage
from tap_truto_ats.envelope import Page
from tap_truto_ats.errors import AccountError, unexpected
from tap_truto_ats.instants import parse_instant
from tap_truto_ats.limits import expected_seconds
from tap_truto_ats.records import dig

if TYPE_CHECKING:
    from tap_truto_ats.resources import Requirement

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)

Steps: TypeAlias = Generator[Request, Page, R]
"""Requests, one after another: each page is sent in where its request was yielded, or an
`AccountError` is thrown in there when the page could not be had."""


class Walk(Generic[T]):
    """The way of one subject (the caller's own, an account for example) through its pages."""

    def __init__(self, subject: T, steps: Steps[Any], usage: Usage | None = None) -> None:
        """Request nothing yet; what is requested counts in `usage`."""
        self.subject = subject
        self.usage = usage or Usage()
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
    see: Callable[[list[Any]], None] | None = None,
    page: Page | None = None,
) -> Steps[None]:
    """Ask for a page and for all that follow it, to the end of the cursor.

    An empty page with a cursor is not the end: integrations may be set up to give one
    (`allow_empty_page_cursor` in Truto's pagination config).

    Args:
        request: The first page.
        see: What is shown the rows of each page.
        page: The first page, if it was asked for already.

    Raises:
        AccountError: A cursor came back a second time, so that the walk would never end.
    """
    seen: set[int] = set()  # of hashes, since a cursor may be a long URL
    while True:
        if page is None:
            page = yield request
        if see:
            see(page.rows)
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
) -> Steps[int]:
    """Ask for the pages of a request once for each value that a required parameter can have.

    Parents are all listed first, so that those that changed last have their turn first. A value
    that is gone when its turn comes (HTTP 404: deleted since it was listed) is passed over.

    Args:
        request: The first page, the required parameter lacking.
        requirement: The parameter, and the field of the parents that holds its values.
        parents: The first page of the parents.

    Returns:
        How many parents had no value, so that nothing could be asked for them.

    Raises:
        AccountError: A page could not be had, or every value was gone.
    """
    values = _Values(requirement)
    yield from pages(parents, values.see)
    if len(values.changed) > 1:
        logger.info(
            "Account %s: %d %s, a request each or more: at the account's limit %s (h:mm:ss).",
            request.account_id,
            len(values.changed),
            requirement.resource,
            timedelta(seconds=round(expected_seconds(len(values.changed)))),
        )
    gone: list[AccountError] = []
    for value in sorted(values.changed, key=values.changed.__getitem__, reverse=True):
        first = request.having({requirement.parameter: value})
        try:
            page = yield first
        except AccountError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            gone.append(error)
        else:
            yield from pages(first, page=page)
    if gone and len(gone) == len(values.changed):
        raise gone[0]
    if gone or values.lacking:
        logger.warning(
            "Account %s: of %s, %d were gone when their turn came and %d had no `%s`.",
            request.account_id,
            requirement.resource,
            len(gone),
            values.lacking,
            requirement.field,
        )
    return values.lacking


class _Values:
    """The values of a required parameter, and when the parent that holds each last changed."""

    def __init__(self, requirement: Requirement) -> None:
        self._requirement = requirement
        self.changed: dict[str, datetime] = {}
        self.lacking = 0

    def see(self, rows: list[Any]) -> None:
        """Take a page of parents."""
        for row in rows:
            value = dig(row, self._requirement.field)
            moments = (parse_instant(dig(row, name)) for name in self._requirement.changed)
            if value:
                self.changed[str(value)] = max(filter(None, moments), default=LONG_AGO)
            else:
                self.lacking += 1


def until_rows(steps: Steps[Any]) -> Steps[None]:
    """Take steps up to the first page whose rows are wanted, and end there.

    Of every list that has to be read before, one page is enough.

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
        if isinstance(answer, Page):
            if walk.request.rows:
                return
            answer = answer._replace(next_cursor=None)
        walk.advance(answer)
    if walk.error:
        raise walk.error
