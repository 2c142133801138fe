"""What is known of one account's reading while it goes on: its way, its rows, what it cost."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_truto_ats.api.client import Usage

if TYPE_CHECKING:
    from datetime import datetime

    from tap_truto_ats.api.errors import AccountError
    from tap_truto_ats.streams import UnifiedStream
    from tap_truto_ats.sync.accounts import Account

CLOCK_TOLERANCE = timedelta(minutes=2)
"""How far a provider's clock may be off."""

MARKS = {False: ("I", 0xFFFF_FFFF), True: ("Q", 0xFFFF_FFFF_FFFF_FFFF)}
"""How rows are remembered, four or eight bytes each: among a million, some share four by chance."""


class Mode(NamedTuple):
    """How an account is read, and why so."""

    name: str
    reason: str


INCREMENTAL = Mode("incremental", "its rows carry the time of their last change")
WHOLE = Mode("whole", "its rows do not carry the time of their last change")
UNKNOWN = Mode("whole", "it is not documented what its rows carry")
ASKED = Mode("incremental", "it can be asked for what changed, as far as its rows tell")
CHOSEN = Mode("whole", "the catalog or the response format asks for it")
WINDOW = Mode("schedule window", "it was read whole not long ago")
NOT_OFFERED = Mode("not offered", "its provider does not list the resource")
INACTIVE = Mode("inactive", "its status is not active")


@dataclass
class Reading:
    """One account's reading of one stream in a run."""

    stream: UnifiedStream
    account: Account
    bookmark: datetime | None
    """Before the run; None reads the account whole."""
    changed_since: datetime | None
    """What Truto is asked for: the bookmark less the lookback."""
    wanted_since: datetime | None
    """What is emitted: the same, or `start_date` if that is later."""
    run_start: datetime
    mode: Mode | None = None
    """None until the account is known well enough."""
    parent: str | None = None
    """What requests are made for one by one, such as `candidate`."""
    usage: Usage = field(default_factory=Usage)
    pages_of_parents: int = 0
    """Of the pages that it took."""
    rows: int = 0
    """Emitted, so far."""
    newest: datetime | None = None
    new_bookmark: datetime | None = None
    has_ended: bool = False
    error: AccountError | None = None
    rows_moved: bool = False
    """Whether rows moved between pages, so that some may not have come."""
    rows_without_id: int = 0
    rows_without_change: int = 0
    """Rows that do not tell when they last changed."""
    parents_without_value: int = 0
    """Nothing could be asked for them."""
    unreadable: Counter[str] = field(default_factory=Counter)
    is_watched: bool = False
    """Whether what does not come counts as deleted, so that each row that comes twice matters."""
    rows_repeated: bool = False
    """Whether some row came twice: rows moved, or one belongs to several parents."""
    _marks: array[int] = field(init=False, repr=False)
    _marks_of_changes: set[int] = field(default_factory=set, repr=False)

    def __post_init__(self) -> None:
        """Know of no row."""
        kind, self._bits = MARKS[self.is_watched]
        self._marks = array(kind)

    def see(self, key: object, changed: datetime | None) -> None:
        """Take note of a row, and of the time of its last change if it has one."""
        if changed is None:
            self.rows_without_change += 1
            if not self.is_watched:
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
        """Take note that nothing more comes.

        Where pages are counted by rows (an offset), a row that changes during the reading may move
        to the end of the list. What is behind it moves up, over the boundary of a page that has
        been read already, and is never read. What shows it is that the changed row comes twice.

        Or it moves to the beginning, which has been read, and is itself never read: the next run
        reads what changed, but if what does not come counts as deleted, it is lost until then.
        What shows that is that what it moved past comes twice.
        """
        self.has_ended, self.error = True, error
        twice = Counter(mark for mark in self._marks if mark in self._marks_of_changes)
        self.rows_moved = any(count > 1 for count in twice.values())
        self.rows_repeated = self.is_watched and len(set(self._marks)) < len(self._marks)
        del self._marks[:]
        self._marks_of_changes.clear()

    @property
    def way(self) -> str:
        """How the account is read, in words."""
        mode = self.mode.name if self.mode else "not read"
        return f"{mode}, per {self.parent}" if self.parent else mode

    @property
    def description(self) -> str:
        """What was found out about the account, for one that looks at it."""
        reason = f", since {self.mode.reason}" if self.mode else ""
        return f"{self.stream.name}: {self.way}{reason}, rows fetched: {self.rows}"

    @property
    def is_complete(self) -> bool:
        """Whether each row that the account has was read, as far as anyone can tell."""
        moved = self.rows_moved or self.rows_repeated
        unread = self.rows_without_id or self.parents_without_value or moved
        is_read = self.has_ended and self.mode not in {None, INACTIVE}
        return is_read and not unread and not self.error
