"""One account's sync of one stream: how it is read, what has come, what it cost, how it ended."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from tap_truto_ats.api.request import Usage

if TYPE_CHECKING:
    from tap_truto_ats.api.errors import AccountError
    from tap_truto_ats.sync.accounts import Account

CLOCK_TOLERANCE = timedelta(minutes=2)
"""How far a provider's clock may be off."""

MARKS = {False: ("I", 0xFFFF_FFFF), True: ("Q", 0xFFFF_FFFF_FFFF_FFFF)}
"""The array type and the mask of the hashes by which rows are remembered.

Four bytes a row save memory, but among a million rows some share a hash by chance. Where each row
that comes twice matters, the hashes have eight bytes.
"""


class Mode(Enum):
    """How an account is read, and why so, in the words of the report and of `--test`."""

    INCREMENTAL = "incremental", "its rows carry the time of their last change"
    WHOLE = "whole", "its rows do not carry the time of their last change"
    UNKNOWN = "whole", "it is not documented what its rows carry"
    ASKED = "incremental", "it can be asked for what changed, as far as its rows tell"
    CHOSEN = "whole", "the catalog or the response format asks for it"
    WINDOW = "schedule window", "it was read whole not long ago"
    NOT_OFFERED = "not offered", "its provider does not list the resource"
    INACTIVE = "inactive", "its status is not active"

    def __init__(self, words: str, reason: str) -> None:
        """Name the two parts of a mode."""
        self.words = words
        self.reason = reason


@dataclass
class AccountSync:
    """One account's sync of one stream in a run."""

    stream: str
    """The stream's name."""
    account: Account
    bookmark: datetime | None
    """The bookmark before the run; with None, the account is read whole."""
    changed_since: datetime | None
    """From when on Truto is asked for changes: the bookmark less the lookback."""
    wanted_since: datetime | None
    """From when on changed rows are emitted: the same, or `start_date` if that is later."""
    run_start: datetime
    mode: Mode | None = None
    """None until enough is known of the account."""
    parent: str | None = None
    """The kind of parent by which rows are requested, such as `candidate`."""
    usage: Usage = field(default_factory=Usage)
    pages_of_parents: int = 0
    """Pages in `usage` that list parents."""
    rows: int = 0
    """Rows emitted so far."""
    newest: datetime | None = None
    """The latest change among the rows that came."""
    new_bookmark: datetime | None = None
    """The bookmark once the sync has ended."""
    has_ended: bool = False
    error: AccountError | None = None
    rows_moved: bool = False
    """Whether rows moved between pages, so that some may not have come."""
    rows_without_id: int = 0
    rows_without_change: int = 0
    """Rows that do not tell when they last changed."""
    parents_without_value: int = 0
    """Parents whose rows lack the value to request their children by."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """By field: how many values could not be read and became null."""
    deletes_missing: bool = False
    """Whether rows that do not come count as deleted, so that each row that comes twice matters."""
    rows_repeated: bool = False
    """Whether some row came twice: rows moved, or a row belongs to several parents."""
    _marks: array[int] = field(init=False, repr=False)
    _marks_of_changes: set[int] = field(default_factory=set, repr=False)

    def __post_init__(self) -> None:
        """Choose the length of the hashes that rows are remembered by."""
        kind, self._bits = MARKS[self.deletes_missing]
        self._marks = array(kind)

    def see(self, key: object, changed: datetime | None) -> None:
        """Take note of a row, and of the time of its last change if it has one."""
        if changed is None:
            self.rows_without_change += 1
            if not self.deletes_missing:
                return
        mark = hash(key) & self._bits
        self._marks.append(mark)
        if changed is None:
            return
        if self.newest is None or changed > self.newest:
            self.newest = changed
        if changed > self.run_start - CLOCK_TOLERANCE:
            self._marks_of_changes.add(mark)

    def end(self, error: AccountError | None) -> None:
        """Take note that no further row comes.

        Where pages are counted by rows (an offset), a row that changes during the sync may move to
        the end of the list. The rows behind it move up, and one of them moves over the boundary of
        a page that has been read already, and never comes. It shows in the changed row, which comes
        twice.

        A changed row may also move to the beginning, which has been read, and then never comes
        itself. The next run reads it, since it changed; but where rows that do not come count as
        deleted, it is lost until then. It shows in the rows that it moved past, which come twice.
        """
        self.has_ended, self.error = True, error
        twice = Counter(mark for mark in self._marks if mark in self._marks_of_changes)
        self.rows_moved = any(count > 1 for count in twice.values())
        self.rows_repeated = self.deletes_missing and len(set(self._marks)) < len(self._marks)
        del self._marks[:]
        self._marks_of_changes.clear()

    @property
    def way(self) -> str:
        """How the account is read, in words."""
        mode = self.mode.words if self.mode else "not read"
        return f"{mode}, per {self.parent}" if self.parent else mode

    @property
    def description(self) -> str:
        """What `--test` found out about the account's stream, in words."""
        reason = f", since {self.mode.reason}" if self.mode else ""
        return f"{self.stream}: {self.way}{reason}, rows fetched: {self.rows}"

    @property
    def is_complete(self) -> bool:
        """Whether every row that was asked for has come, as far as anyone can tell."""
        moved = self.rows_moved or self.rows_repeated
        unread = self.rows_without_id or self.parents_without_value or moved
        is_read = self.has_ended and self.mode not in {None, Mode.INACTIVE}
        return is_read and not unread and not self.error
