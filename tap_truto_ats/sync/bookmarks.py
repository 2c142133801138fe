"""How far each account has been read: the only place where a stream's state changes."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from tap_truto_ats.model.instants import LONG_AGO, format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

PARTITION_KEY = "integrated_account_id"
KEY, VALUE = "replication_key", "replication_key_value"
WHOLE_READ_AT = "whole_read_at"
CHECKSUM = "rows_checksum"
UNDATED = "undated_rows"
MISSING_SINCE = "missing_since"


@cache
def _context(account_id: str) -> dict[str, str]:
    """Return what names an account, one for all streams: there may be thousands of each."""
    return {PARTITION_KEY: account_id}


class Bookmarks:
    """The bookmarks of one stream's accounts, in the SDK's standard form of partitions.

    `{"partitions": [{"context": {"integrated_account_id": …}, "replication_key": "updated_at",
    "replication_key_value": "2026-01-31T09:30:00.000000+00:00"}]}`

    A partition may also hold:

    - `whole_read_at`: the start of the last run that read the account whole, if its rows carry no
      replication key or the stream is read whole in every run
    - `rows_checksum`: that of the rows that the last run saw
    - `undated_rows`: true if some rows do not tell when they last changed, so that the account
      cannot be asked for changes alone
    - `missing_since`: the start of the first run that did not find the account
    """

    def __init__(
        self, stream_state: dict[str, Any], replication_key: str | None, run_start: datetime
    ) -> None:
        """Take the stream's part of the state, which is changed in place.

        Of two partitions of one account, the one with the earlier bookmark counts.

        Args:
            stream_state: `bookmarks.<stream>` of the state.
            replication_key: The field whose date-times are kept.
            run_start: What is kept as the time of a whole read.
        """
        self._stream_state = stream_state
        self._replication_key = replication_key
        self.run_start = run_start
        self._by_account: dict[str, dict[str, Any]] = {}
        given = stream_state.get("partitions") or ()
        self.unread = sum(map(self._is_unread, given)) + (not stream_state.keys() <= {"partitions"})
        """How many bookmarks are of no account, or are no date-time of the replication key."""
        for partition in sorted(given, key=lambda one: self._moment(one) or LONG_AGO):
            account_id = _account_id(partition)
            if account_id is not None:  # Otherwise, it is not of this tap's making.
                self._by_account.setdefault(account_id, partition)
        kept = [one for one in given if self._by_account.get(_account_id(one) or "", one) is one]
        if len(kept) < len(given):
            stream_state["partitions"] = kept

    def get(self, account_id: str) -> datetime | None:
        """Return up to which change the account was read; None without a readable bookmark."""
        return self._moment(self._by_account.get(account_id, {}))

    def in_future(self) -> dict[str, datetime]:
        """Return by account the bookmarks that no clock can have set: they are off by a day."""
        limit = self.run_start + timedelta(days=1)
        moments = ((account_id, self.get(account_id)) for account_id in self._by_account)
        return {account_id: moment for account_id, moment in moments if moment and moment > limit}

    def rows_known(self, account_id: str) -> int | None:
        """Return the checksum of the rows that the account's last run saw; None if unknown."""
        checksum: int | None = self._by_account.get(account_id, {}).get(CHECKSUM)
        return checksum

    def has_undated_rows(self, account_id: str) -> bool:
        """Return whether some of the account's rows do not tell when they last changed."""
        return self._by_account.get(account_id, {}).get(UNDATED) is True

    def whole_read_at(self, account_id: str) -> datetime | None:
        """Return the start of the last run that read the account whole; None if there was none."""
        return parse_instant(self._by_account.get(account_id, {}).get(WHOLE_READ_AT))

    def note_rows(self, account_id: str) -> None:
        """Remember that rows of the account are out."""
        self._partition(account_id)

    def note_whole_read(self, account_id: str) -> None:
        """Remember that this run has read the account whole; its rows must all be out."""
        self._partition(account_id)[WHOLE_READ_AT] = format_instant(self.run_start)

    def advance(
        self,
        account_id: str,
        read_until: datetime | None,
        checksum: Callable[[datetime | None], int],
        *,
        has_undated: bool,
    ) -> bool:
        """Move the bookmark of an account that was read to its end and whose rows are all out.

        Args:
            account_id: The account.
            read_until: Up to which change all rows are out; None if that is not known.
            checksum: Returns that of the rows that came and were made up to a bookmark.
            has_undated: Whether some rows did not tell when they last changed.

        Returns:
            Whether the state changed; a bookmark never moves back.
        """
        before = self.get(account_id)
        if before is None and read_until is None:
            return False
        partition = self._partition(account_id)
        then = dict(partition)
        if read_until is not None and (before is None or read_until > before):
            partition[KEY] = self._replication_key
            partition[VALUE] = format_instant(read_until)
        known = checksum(self._moment(partition))
        for name, value in ((CHECKSUM, known), (UNDATED, has_undated)):
            partition.pop(name, None)
            if value:
                partition[name] = value
        return partition != then

    def newly_missing(self, found: Collection[str]) -> set[str]:
        """Return the accounts that the state knows, and that this run is the first not to find."""
        now = format_instant(self.run_start)
        for account_id in self._by_account.keys() & {*found}:
            self._by_account[account_id].pop(MISSING_SINCE, None)
        missing = {
            account_id: partition
            for account_id, partition in self._by_account.items()
            if account_id not in found
        }
        return {
            account_id
            for account_id, partition in missing.items()
            if partition.setdefault(MISSING_SINCE, now) == now
        }

    def _is_unread(self, partition: dict[str, Any]) -> bool:
        is_read = self._moment(partition) and _account_id(partition)
        return partition.get(VALUE) is not None and not is_read

    def _moment(self, partition: dict[str, Any]) -> datetime | None:
        if partition.get(KEY) != self._replication_key:
            return None
        return parse_instant(partition.get(VALUE))

    def _partition(self, account_id: str) -> dict[str, Any]:
        if account_id not in self._by_account:
            partition: dict[str, Any] = {"context": _context(account_id)}
            self._by_account[account_id] = partition
            self._stream_state.setdefault("partitions", []).append(partition)
        return self._by_account[account_id]


def _account_id(partition: dict[str, Any]) -> str | None:
    account_id = (partition.get("context") or {}).get(PARTITION_KEY)
    return None if account_id is None else str(account_id)
