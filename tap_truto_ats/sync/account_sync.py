"""One account's sync of one stream: how it is read, what has come, what it cost, how it ended."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from tap_truto_ats.api.request import Usage
from tap_truto_ats.model.instants import format_instant
from tap_truto_ats.sync.evidence import Doubt, Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tap_truto_ats.api.errors import AccountError
    from tap_truto_ats.sync.account import Account
    from tap_truto_ats.sync.progress import Progress
    from tap_truto_ats.sync.scope import Scope
    from tap_truto_ats.sync.tasks import Task

SyncTask: TypeAlias = "Task[AccountSync | None]"
"""The task that reads a stream of an account; other tasks have no account sync."""


class Mode(Enum):
    """How an account is read, and why so, in the words of the report and of `--test`."""

    CHANGES = "incremental", "its rows carry the time of their last change"
    DUE = "whole", "its next whole read is due"
    WHOLE = "whole", "its rows do not carry the time of their last change"
    UNKNOWN = "whole", "it is not documented what its rows carry"
    CHOSEN = "whole", "the catalog or the response format asks for it"
    WINDOW = "schedule window", "it was read whole not long ago"
    PARENTS = "changed parents", "it was read whole not long ago"
    NOT_OFFERED = "not offered", "its provider does not list the resource"
    INACTIVE = "not active", "its status is not active"
    NOT_LISTED = "not listed", "Truto does not list the account any more"

    def __init__(self, words: str, reason: str) -> None:
        """Name the two parts of a mode."""
        self.words = words
        self.reason = reason

    @property
    def is_whole(self) -> bool:
        """Whether all rows are read."""
        return self.words == "whole"

    @property
    def is_skipped(self) -> bool:
        """Whether nothing is read, so that nothing of the state changes."""
        return self in {Mode.NOT_OFFERED, Mode.INACTIVE, Mode.NOT_LISTED}


@dataclass(slots=True, eq=False)
class AccountSync:
    """One account's sync of one stream in a run."""

    stream: str
    """The stream's name."""
    account: Account
    evidence: Evidence
    """What tells whether all rows have come."""
    deletes: bool = False
    """Whether the target is to delete what does not come."""
    scope: Scope = field(default_factory=dict)
    """What decides which rows and columns come."""
    whole_because: str | None = None
    """Why all rows are to come, though the account was read before."""

    # What the state knows from earlier runs.
    is_first: bool = True
    """Whether no earlier run has read the account to its end."""
    bookmark: datetime | None = None
    """With None, the account is read whole."""
    rows_known: int | None = None
    """The checksum of the rows that the last run saw; None if none is known."""
    ids_known: int | None = None
    """The checksum of the ids that the last whole read saw; None if none is known."""
    progress_known: Mapping[str, Any] = field(default_factory=dict)
    """How far a run came that could not ask for all parents."""

    # What Truto is asked for.
    changed_since: datetime | None = None
    """The bookmark less the lookback: older changes were emitted by an earlier run."""
    parents_since: datetime | None = None
    """Parents that last changed before then are not asked for; None if all are."""
    asks_for_changes: bool = True
    """Whether Truto is asked for changes, where the provider can be."""
    lists_all: bool = False
    """Whether it asks for all rows there are, so that they may serve as parents, too."""
    mode: Mode | None = None
    """None until enough is known of the account."""
    parent: str | None = None
    """The kind of parent by which rows are requested, such as `candidate`."""
    progress: Progress | None = None
    """How far it is, where rows are asked for by their parents."""
    is_resumed: bool = False
    """Whether a part of the rows came in an earlier run."""

    # What has come.
    read_at: datetime | None = None
    """The latest time that the account's records carry; before its own come, by the state."""
    usage: Usage = field(default_factory=Usage)
    has_pages: bool = False
    """Whether some page came."""
    rows: int = 0
    """Rows emitted so far."""
    held_back: int = 0
    """Rows that were not emitted, since an earlier run did that."""
    ids_checksum: int = 0
    """Of the ids that came."""
    rows_checksum: int = 0
    """Of the rows that have a date, but for those made lately."""
    made_lately: list[tuple[datetime, int]] = field(default_factory=list)
    """When these were made, and the mark of each: the bookmark may move to before that."""
    checksum_of_known: int = 0
    """Of the rows made before the bookmark, which the last run should have seen, too."""
    unfit: Counter[str] = field(default_factory=Counter)
    """By field: how many values their column could not hold."""
    new_bookmark: datetime | None = None
    """The bookmark once the sync has ended."""
    has_ended: bool = False
    error: AccountError | None = None

    _began_at: float = field(default_factory=time.monotonic)
    _started_at: datetime | None = None

    @property
    def started_at(self) -> datetime:
        """When it began, by Truto's clock, but later than all that records of earlier runs carry.

        Only an answer tells what Truto's clock shows: it is to be asked for after the first one.
        """
        if self._started_at is None:
            began = self.evidence.now() - timedelta(seconds=time.monotonic() - self._began_at)
            earliest = self.read_at and self.read_at + timedelta(microseconds=1)
            self._started_at = max(began, earliest or began)
        return self._started_at

    def resume(self, began: datetime) -> None:
        """Take note that an earlier run began it, of which a part of the rows are out."""
        self.read_at = max(self.tick(), began)
        self._started_at, self.is_resumed = began, True
        self.evidence.resume(began)

    def tick(self) -> datetime:
        """Return the time that records carry which came now."""
        now = max(self.started_at, self.evidence.now())
        self.read_at = max(self.read_at or now, now)
        return self.read_at

    def wants_all(self) -> bool:
        """Return whether a list of several pages is read again, so that no row slips by.

        Where all rows are read in every run, other ids than the last time are reason enough.
        """
        return self.deletes or bool(self.whole_because or (not self.parent and self.has_other_ids))

    @property
    def has_other_ids(self) -> bool:
        """Whether all rows were asked for as before, and other ids have come than the last time."""
        return self.is_whole and not self.is_first and self.ids_checksum != self.ids_known

    @property
    def asks_for_all(self) -> bool:
        """Whether all rows there are were asked for."""
        is_first = self.mode is Mode.CHANGES and self.changed_since is None
        return is_first or (self.mode is not None and self.mode.is_whole)

    @property
    def is_whole(self) -> bool:
        """Whether all rows were asked for, and none of them was to be held back."""
        return self.asks_for_all and self.changed_since is None

    @property
    def words(self) -> str | None:
        """How it was read, by what came of it; None if it failed before that was known."""
        if self.asks_for_all:
            return Mode.DUE.words if self.is_whole else Mode.CHANGES.words
        return self.mode and self.mode.words

    @property
    def status(self) -> str:
        """How it ended, in a word."""
        if self.error:
            return "failed"
        return "skipped" if self.mode and self.mode.is_skipped else "succeeded"

    @property
    def is_complete(self) -> bool:
        """Whether each row that exists has come, or that changed, where that was asked for."""
        if self.error or self.mode is None or self.mode.is_skipped:
            return False
        evidence = self.evidence
        blocks = evidence.blocking_deletions if self.is_whole else evidence.blocking_bookmark
        return not blocks(self.stream)

    def end(self, error: AccountError | None) -> None:
        """Take note that no further row comes."""
        self.has_ended, self.error = True, error
        if error:
            self.evidence.doubts[Doubt.FAILED] += 1
        if self.mode is Mode.INACTIVE:
            self.evidence.doubts[Doubt.INACTIVE] += 1

    def record(self) -> dict[str, Any]:
        """Return what is recorded of it once it has ended: columns of `account_syncs`."""
        return {
            "integrated_account_id": self.account.id,
            "stream": self.stream,
            "tenant_id": self.account.tenant_id,
            "integration_name": self.account.provider,
            "started_at": format_instant(self.started_at),
            "ended_at": format_instant(self.tick()),
            "mode": self.words,
            "status": self.status,
            "is_complete": self.is_complete,
            "records": self.rows,
            "requests": self.usage.requests,
            "retries": self.usage.retries,
            "waited_seconds": round(self.usage.waited_seconds, 1),
            "bookmark_before": self.bookmark and format_instant(self.bookmark),
            "bookmark_after": self.new_bookmark and format_instant(self.new_bookmark),
            "error": self.error and str(self.error),
            "error_status": self.error and self.error.status,
        }

    def checksum_until(self, bookmark: datetime | None) -> int:
        """Return the checksum of the rows that came, and that were made up to the bookmark."""
        lately = (mark for made, mark in self.made_lately if bookmark and made <= bookmark)
        return self.rows_checksum + sum(lately)

    @property
    def asked_since(self) -> datetime | None:
        """From when on Truto is asked for changes, where the provider can be; None for all."""
        return self.changed_since if self.asks_for_changes else None

    @property
    def description(self) -> str:
        """What `--test` found out about the account's stream, in words."""
        words = (
            self.mode.words if self.mode else "not read",
            self.parent and f"per {self.parent}",
            self.mode and f"since {self.mode.reason}",
            f"rows fetched: {self.rows}",
        )
        return f"{self.stream}: {', '.join(filter(None, words))}"
