"""The account syncs of a stream: what the state says before each of them, and after it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tap_truto_ats.model.instants import earlier
from tap_truto_ats.sync.account_sync import AccountSync, Mode
from tap_truto_ats.sync.evidence import PASSING, Doubt, Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from tap_truto_ats.settings.schema import Settings
    from tap_truto_ats.sync.account import Account
    from tap_truto_ats.sync.bookmarks import Bookmarks
    from tap_truto_ats.sync.scope import Scope

logger = logging.getLogger(__name__)


@dataclass
class AccountSyncs:
    """Begins and ends the account syncs of one stream."""

    stream: str
    bookmarks: Bookmarks
    settings: Settings
    now: Callable[[], datetime]
    """Returns the time by Truto's clock."""
    deletes: bool
    """Whether the target is to delete what does not come."""
    is_incremental: bool = False
    """Whether only what changed is emitted, where that can be told."""
    scope: Scope = field(default_factory=dict)
    """What decides which rows and columns come."""
    due: dict[str, str] = field(default_factory=dict)
    """By account that has to be read whole: the reason, in words."""

    def begin(self, account: Account) -> AccountSync:
        """Begin an account's sync, later than all that the state knows of the account."""
        return AccountSync(
            stream=self.stream,
            account=account,
            evidence=Evidence(self.now, is_exact=self.deletes),
            read_at=self.bookmarks.read_at(account.id),
            deletes=self.deletes,
        )

    def find_due(self, accounts: Iterable[Account]) -> Iterator[str]:
        """Find the accounts that have to be read whole, and yield the reason for each.

        Those that did not offer the stream when they were due have been told of then.
        """
        days = self.settings.full_read_every_days
        for account in accounts:
            if not account.is_active:
                continue
            if self.bookmarks.is_postponed(account.id):
                self.due[account.id] = "it was not offered when it was due"
            elif reason := self.bookmarks.due(account.id, self.scope, days):
                self.due[account.id] = reason
                yield reason

    def begin_reading(self, account: Account) -> AccountSync:
        """Begin an account's sync where the last one ended."""
        bookmarks, lookback = self.bookmarks, self.settings.lookback_seconds
        sync = self.begin(account)
        sync.is_first = not bookmarks.has_been_read(account.id)
        sync.whole_because = self.due.get(account.id)
        sync.ids_known = bookmarks.ids_known(account.id)
        sync.scope, sync.progress_known = self.scope, bookmarks.progress(account.id)
        if bookmarks.is_narrowed(account.id, self.scope):
            sync.evidence.doubts[Doubt.NARROWED] += 1
        if not self.is_incremental:
            return sync
        known_until = bookmarks.parents_known_until(account.id)
        if self.settings.changed_parents_only and known_until and not sync.whole_because:
            sync.parents_since = earlier(known_until, lookback)
        if bookmark := bookmarks.get(account.id):
            sync.bookmark = bookmark
            sync.rows_known = bookmarks.rows_known(account.id)
            if not sync.whole_because:
                sync.changed_since = earlier(bookmark, lookback)
                # Truto may leave out rows that are not dated when it is asked for changes.
                sync.asks_for_changes = not bookmarks.has_undated_rows(account.id)
        return sync

    def note_progress(self, sync: AccountSync) -> None:
        """Note in the state how far a fan-out is; the rows that it handed out are out."""
        # Rows of this run alone have its version.
        if sync.progress and not sync.deletes:
            progress = sync.progress.state(sync.rows)
            self.bookmarks.note_progress(sync.account.id, progress)
            if progress:
                self.bookmarks.note_time(sync.account.id, sync.tick())

    def end(self, sync: AccountSync) -> None:
        """Note in the state how far an account was read; all its rows are out."""
        self.note_progress(sync)
        if sync.status == "succeeded":
            self._advance(sync)
        elif sync.mode is Mode.NOT_OFFERED and sync.whole_because:
            # Otherwise, it would be due in each run.
            self.bookmarks.postpone(sync.account.id)
        sync.new_bookmark = self.bookmarks.get(sync.account.id)

    def _advance(self, sync: AccountSync) -> None:
        evidence, account, bookmarks = sync.evidence, sync.account, self.bookmarks
        bookmarks.note_progress(account.id, None)
        if sync.rows or sync.is_whole:
            bookmarks.note_time(account.id, sync.tick())
        blocks = evidence.blocking_bookmark(self.stream)
        if blocks and self.is_incremental:
            logger.warning(
                "Account %s: %s. Its bookmark stays, so that the next run reads them again.",
                account,
                " and ".join(blocks),
            )
        if not blocks:
            known_until = sync.progress.known_until if sync.progress else None
            bookmarks.note_parents(account.id, known_until)
        if self.is_incremental and not blocks:
            until, has_undated = evidence.read_until(), evidence.undated > 0
            bookmarks.advance(account.id, until, sync.checksum_until, has_undated=has_undated)
        # Rows without an id, say, are there in every run: they would make it due for ever.
        is_over = sync.whole_because and not (evidence.doubts.keys() & PASSING)
        ids = 0 if sync.is_resumed else sync.ids_checksum
        if sync.is_whole and (sync.is_complete or is_over or (sync.is_first and not blocks)):
            began = sync.started_at if sync.is_resumed else None
            bookmarks.note_whole_read(account.id, self.scope, ids, began)
        elif not (sync.is_first or sync.whole_because):
            bookmarks.note_scope(account.id, self.scope)
            if sync.is_whole and not blocks:
                bookmarks.note_ids(account.id, ids)
