"""Lists: all pages of one, to the end of its cursor, and again where rows may have slipped by."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.api.errors import AccountError, NoListError
from tap_truto_ats.sync.evidence import Doubt, Evidence, Tally
from tap_truto_ats.sync.tasks import Steps, answer_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_truto_ats.api.request import Request

Take: TypeAlias = "Callable[[list[Any], Tally], Steps[None] | None]"
"""Takes the rows of a page; may return steps to be taken before the next page."""

MOST_READS = 5
"""How often a list is read, if each time it brings rows that the time before it did not."""

EXPIRED = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.GONE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""Statuses by which a page that follows another is refused when its cursor has expired."""


class ExpiredError(AccountError):
    """A cursor is no longer accepted; without a status, which would speak of the whole list."""


def read_list(
    request: Request,
    evidence: Evidence,
    take: Take,
    *,
    wants_all: Callable[[], bool] = bool,
    only_first: bool = False,
) -> Steps[None]:
    """Request a list from its first page to the end of its cursor.

    Where a cursor stands for a number of rows, a row that is deleted or that moves while the list
    is read lets another slip over the boundary of a page. Evidence that is exact shows rows that
    came twice. If some did, or if `wants_all` says that no row may be hidden by a deletion, which
    nothing shows, a list of several pages is read again, until each known row comes once or the
    same pages come as the time before. If a cursor expires, the list is begun once more.

    Raises:
        AccountError: A page could not be read, or the pages have no end.
    """
    marks = set() if evidence.marks is None else evidence.marks
    may_restart, reads, known, order = True, 0, 0, 0
    while reads < MOST_READS:
        is_again = reads + evidence.reads > 0
        tally = Tally(evidence, marks, is_first=not is_again)
        try:
            yield from _pages(request, tally, take, only_first=only_first)
        except ExpiredError:
            if not may_restart:
                raise
            may_restart = False
            continue
        tally.end()
        reads += 1
        may_lack = tally.pages > 1 and (wants_all() or tally.found < tally.rows)
        known += tally.new
        # Where each known row came once, those that are new beside them were made meanwhile.
        is_other = tally.sum != known and tally.order != order if reads > 1 else tally.found
        order = tally.order
        if only_first or not evidence.is_exact or not (is_other if is_again else may_lack):
            return
    evidence.doubts[Doubt.MOVED] += 1


def _pages(request: Request, tally: Tally, take: Take, *, only_first: bool) -> Steps[None]:
    """Request a page and all that follow it.

    An empty page with a cursor is not the end: integrations may be set up to give one
    (`allow_empty_page_cursor` in Truto's pagination config). With the very cursor that it was asked
    for, it is.
    """
    seen: set[int] = set()  # Hashes, since a cursor may be a long URL.
    cursor, rows = None, 0
    while True:
        try:
            page = yield from answer_to(request)
        except NoListError:
            tally.evidence.doubts[Doubt.NO_LIST] += 1
            page = Page([])
        except AccountError as error:
            if cursor is None or error.status not in EXPIRED:
                raise
            cause = f"A cursor of {request.path} was no longer accepted (HTTP {error.status})"
            raise ExpiredError(cause, "Try again later") from None
        rows += len(page.rows)
        tally.begin_page()
        if steps := take(page.rows, tally):
            yield from steps
        given, unread = page.next_cursor, page.unread
        del page  # Its rows would be kept until the next page arrives.
        if unread:
            continue
        tally.end_page()
        if given is None or only_first or (given == cursor and not rows):
            return
        if hash(given) in seen:
            cause = f"The pages of {request.path} run in a circle: a cursor came back"
            raise AccountError(cause, "Report the account to Truto's support")
        seen.add(hash(given))
        cursor, rows = given, 0
        request = request.after(cursor)
