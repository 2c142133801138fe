"""One account's sync of one stream: how it is read, what has come, what it cost, how it ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from tap_truto_ats.api.request import Usage
from tap_truto_ats.sync.evidence import Doubt, Evidence

if TYPE_CHECKING:
    from datetime import datetime

    from tap_truto_ats.api.errors import AccountError
    from tap_truto_ats.sync.accounts import Account
    from tap_truto_ats.sync.tasks import Task

SyncTask: TypeAlias = "Task[AccountSync | None]"
"""The task that reads a stream of an account; other tasks have no account sync."""


class Mode(Enum):
    """How an account is read, and why so, in the words of the report and of `--test`."""

    CHANGES = "incremental", "its rows carry the time of their last change"
    WHOLE = "whole", "its rows do not carry the time of their last change"
    UNKNOWN = "whole", "it is not documented what its rows carry"
    CHOSEN = "whole", "the catalog or the response format asks for it"
    WINDOW = "schedule window", "it was read whole not long ago"
    NOT_OFFERED = "not offered", "its provider does not list the resource"
    INACTIVE = "inactive", "its status is not active"

    def __init__(self, words: str, reason: str) -> None:
        """Name the two parts of a mode."""
        self.words = words
        self.reason = reason


@dataclass(slots=True, eq=False)
class AccountSync:
    """One account's sync of one stream in a run."""

    stream: str
    """The stream's name."""
    account: Account
    evidence: Evidence
    """What tells whether all rows have come."""
    bookmark: datetime | None = None
    """The bookmark before the run; with None, the account is read whole."""
    changed_since: datetime | None = None
    """The bookmark less the lookback: older changes were emitted by an earlier run."""
    rows_known: int | None = None
    """The checksum of the rows that the last run saw; None if none is known."""
    asks: bool = True
    """Whether Truto is asked for changes, where the provider can be."""
    lists_all: bool = False
    """Whether it asks for all rows there are, so that they may serve as parents, too."""
    mode: Mode | None = None
    """None until enough is known of the account."""
    parent: str | None = None
    """The kind of parent by which rows are requested, such as `candidate`."""
    usage: Usage = field(default_factory=Usage)
    has_pages: bool = False
    """Whether some page came."""
    rows: int = 0
    """Rows emitted so far."""
    checksum: int = 0
    """That of the dated rows that came, but for those made lately."""
    made_lately: list[tuple[datetime, int]] = field(default_factory=list)
    """When these were made, and the mark of each: the bookmark may move to before that."""
    checksum_of_known: int = 0
    """That of those that should have come in the last run: they were made before its bookmark."""
    held_back: int = 0
    """Rows that were not emitted, since an earlier run did that."""
    new_bookmark: datetime | None = None
    """The bookmark once the sync has ended."""
    has_ended: bool = False
    error: AccountError | None = None
    unfit: Counter[str] = field(default_factory=Counter)
    """By field: how many values their column could not hold."""

    def end(self, error: AccountError | None) -> None:
        """Take note that no further row comes."""
        self.has_ended, self.error = True, error
        if error:
            self.evidence.doubts[Doubt.FAILED] += 1
        if self.mode is Mode.INACTIVE:
            self.evidence.doubts[Doubt.INACTIVE] += 1

    def checksum_until(self, bookmark: datetime | None) -> int:
        """Return the checksum of the rows that came, and that were made up to the bookmark."""
        lately = (mark for made, mark in self.made_lately if bookmark and made <= bookmark)
        return self.checksum + sum(lately)

    @property
    def asked_since(self) -> datetime | None:
        """From when on Truto is asked for changes, where the provider can be; None for all."""
        return self.changed_since if self.asks else None

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
