"""The evidence of a list, be it of rows, of parents or of accounts: has all of it come?"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING

from tap_truto_ats.api.errors import AccountError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

CLOCK_TOLERANCE = timedelta(days=1)
"""No provider's clock is off by more: local times without a zone differ from UTC by 14 hours."""

SUMMER_TIME = timedelta(hours=1)
"""By how much local times jump when daylight saving begins or ends."""

MOST_STALE_PAGES = 100
"""After so many pages in a row with rows that had all come before, the pages have no end."""

MOST_EMPTY_PAGES = 10_000
"""Empty pages in a row: a provider that scans for a filter may give many."""

MARKS = 10_000
"""How many rows' marks are kept together."""


class Doubt(Enum):
    """Why a list may not be complete: which rows may be missing, and the words for it.

    `hides_changes` blocks the bookmark: a row that changed before it may not have come.
    `hides_rows` blocks deletions: a row that exists may not have come.
    """

    FAILED = True, True, "{} was not read to its end"
    MOVED = True, True, "rows of {} moved between pages while they were read"
    GONE = True, True, "parents of {} were gone when their turn came"
    NOT_IN_FULL = True, False, "rows of {} were not found by their ids, and came as listed"
    NO_LIST = True, True, "null or nothing came in place of {}"
    ONCE = False, True, "rows of {} were read once only, so that some may have slipped by"
    NARROWED = False, True, "rows of {} that came earlier are older than `start_date`"
    NOT_OFFERED = False, True, "{} was not found, which its provider may list"
    INACTIVE = False, True, "its status is not active"
    WITHOUT_ID = False, True, "rows of {} came without an id"
    PARENTS_WITHOUT_ID = True, True, "parents of {} came without an id"

    def __init__(self, hides_changes: bool, hides_rows: bool, words: str) -> None:  # noqa: FBT001
        """Name the columns of the table."""
        self.hides_changes = hides_changes
        self.hides_rows = hides_rows
        self.words = words


PASSING = frozenset({Doubt.FAILED, Doubt.MOVED, Doubt.NO_LIST})
"""What another reading may well settle."""


@dataclass(slots=True)
class Evidence:
    """What has come of a list, or of several that count as one: a list for each parent.

    It alone answers whether every row that changed has come (the bookmark may move), and whether
    every row that exists has (rows that did not come may be deleted).
    """

    now: Callable[[], datetime]
    """Returns the time by Truto's clock."""
    is_exact: bool = False
    """Whether every row that exists is wanted, for which each row's mark is remembered."""
    began: datetime | None = None
    """When the first request was made, by Truto's clock."""
    began_at: float = 0.0
    """The same, by the clock of the process."""
    newest: datetime | None = None
    """The latest change of a row, those that are dated in the future aside."""
    is_local: bool = False
    """Whether some time of a change came without a zone, so that it may jump by an hour."""
    marks: set[int] | None = None
    """Those of the rows of all lists, where rows may move from one to another; None if they cannot,
    so that each list is looked at alone."""
    reads: int = 0
    """How often all lists have been read before."""
    is_paged: bool = False
    """Whether a list has several pages, so that rows may slip by."""
    undated: int = 0
    """Rows that do not tell when they last changed."""
    doubts: Counter[Doubt] = field(default_factory=Counter)

    def begin(self) -> datetime:
        """Take note of a first request, and return when the earliest was made."""
        if self.began is None:
            self.began, self.began_at = self.now(), time.monotonic()
        return self.began

    def resume(self, began: datetime) -> None:
        """Take note that an earlier run made the first request."""
        seconds = max((self.now() - began).total_seconds(), 0.0)
        self.began, self.began_at = began, time.monotonic() - seconds

    def add(self, other: Evidence) -> None:
        """Add the evidence of the list of parents by which rows are asked for."""
        if other.began is not None and (self.began is None or other.began_at < self.began_at):
            self.began, self.began_at = other.began, other.began_at
        self.doubts.update(other.doubts)

    def blocking_bookmark(self, name: str) -> list[str]:
        """Return, in words, why a row that changed may not have come; empty if all have."""
        return [one.words.format(name) for one, n in self.doubts.items() if n and one.hides_changes]

    def blocking_deletions(self, name: str) -> list[str]:
        """Return, in words, why a row that exists may not have come; empty if all have."""
        return [one.words.format(name) for one, n in self.doubts.items() if n and one.hides_rows]

    def read_until(self, newest: datetime | None = None) -> datetime | None:
        """Return up to which change all rows have come, by the provider's own clock.

        What changed while the list was read may have been missed, and is newer than the newest row
        less the time that this took, whatever the provider's clock shows. Rows that are older than
        any clock may be off need no such care. Where rows tell of changes by other dates, too, the
        newest of all is given.
        """
        newest = newest or self.newest
        if newest is None or self.began is None:
            return None
        # Truto tells the time in whole seconds; the clock of the process may have been stopped.
        now = self.now()
        took = max(now - self.began, timedelta(seconds=time.monotonic() - self.began_at))
        took += SUMMER_TIME * self.is_local
        latest = min(self.began, now) - CLOCK_TOLERANCE
        return newest if newest <= latest else max(newest - took, latest)


class Tally:
    """The rows of one list as they come, from its first page to its end."""

    def __init__(self, evidence: Evidence, marks: set[int], *, is_first: bool = True) -> None:
        """Begin a list, or read it again: then, only rows whose marks are new are to be handled."""
        self.evidence = evidence
        self.is_first = is_first
        self.pages = self.found = self.rows = 0
        self.sum = self.new = self.order = 0
        """Sums of the marks of all rows and of the new ones, and a mark of all pages' order."""
        self._marks = marks
        # Eight bytes a row: among a million rows, shorter hashes collide by chance. In one array,
        # they would be copied each time that it grows.
        self._older = [array("q")]
        self._recent: dict[int, datetime] = {}
        self.recent_from = evidence.begin() - CLOCK_TOLERANCE
        """From when on a change may have been made while the list is read, by any clock."""
        self._moved = self._overlaps = False
        self._last_page: set[int] = set()
        self._this_page: set[int] = set()
        self._page = self._before = self._stale = self._empty = 0
        self._known_pages: set[int] = set()
        self.begin_page()

    def begin_page(self) -> None:
        """Look at the clock before the rows of a page, or of a part of one, are seen."""
        self._now = self.evidence.now()
        # An answer may have put right what time it is.
        self.recent_from = min(self.recent_from, self._now - CLOCK_TOLERANCE)
        if len(self._older[-1]) > MARKS:
            self._older.append(array("q"))

    def see(self, key: object, changed: datetime | None) -> bool:
        """Take note of a row and of its last change; return whether it is to be handled."""
        evidence, mark = self.evidence, hash(key)
        self.rows += 1
        self._page += mark
        if changed is None:
            evidence.undated += 1
        else:
            if (evidence.newest is None or changed > evidence.newest) and changed <= self._now:
                evidence.newest = changed
            if changed > self.recent_from:
                self._moved |= self._recent.setdefault(mark, changed) != changed
            elif not evidence.is_exact:
                self._older[-1].append(mark)
        if not evidence.is_exact:
            self._overlaps |= mark in self._last_page
            self._this_page.add(mark)
            return True
        is_new = mark not in self._marks
        self._marks.add(mark)
        if is_new:
            self.found += 1
            self.new += mark
        return is_new or self.is_first

    def end_page(self) -> None:
        """Take note that a page has been seen whole; pages that do not end are an error."""
        self.pages += 1
        self.evidence.is_paged |= self.pages > 1
        has_ids, self._before = self.rows > self._before, self.rows
        if has_ids:
            self._stale = self._stale + 1 if self._page in self._known_pages else 0
            self._known_pages.add(self._page)
            self._last_page, self._this_page = self._this_page, set()
        self.sum += self._page
        self.order = hash((self.order, self._page))
        self._empty = 0 if has_ids else self._empty + 1
        if self._stale >= MOST_STALE_PAGES or self._empty >= MOST_EMPTY_PAGES:
            cause = f"Its pages have no end: of {self.pages}, the last ones held nothing new"
            raise AccountError(cause, "Report the account to Truto's support")
        self._page = 0

    def end(self) -> None:
        """Take note that the list has come to its end.

        Where pages are counted by rows (an offset), a row that changes meanwhile may move to the
        end of the list, and come twice with differing content. The rows behind it move up, and one
        of them slips over the boundary of a page that has been read already. If it moves to the
        front, it comes with the next run only, and the last rows of a page come again on the next.
        """
        if self.evidence.is_exact:
            return
        if self._overlaps:
            self.evidence.doubts[Doubt.ONCE] += 1
        if self._moved or any(mark in self._recent for mark in chain(*self._older)):
            self.evidence.doubts[Doubt.MOVED] += 1
