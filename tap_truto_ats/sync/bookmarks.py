"""How far each account has been read: the only place where a stream's state changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_truto_ats.model.instants import format_instant, parse_instant

if TYPE_CHECKING:
    from datetime import datetime

PARTITION_KEY = "integrated_account_id"
WHOLE_READ_AT = "whole_read_at"


class Bookmarks:
    """The bookmarks of one stream's accounts, in the SDK's standard form of partitions.

    `{"partitions": [{"context": {"integrated_account_id": …}, "replication_key": "updated_at",
    "replication_key_value": "2026-01-31T09:30:00.000000+00:00"}]}`

    An account whose rows carry no replication key has `"whole_read_at": "…"` instead: the start of
    the last run that read it whole.
    """

    def __init__(
        self, stream_state: dict[str, Any], replication_key: str | None, run_start: datetime
    ) -> None:
        """Take the stream's part of the state, which is changed in place.

        Args:
            stream_state: `bookmarks.<stream>` of the state.
            replication_key: The field whose date-times are kept.
            run_start: No bookmark moves past it, since a row that changes while the run reads may
                have been read before.
        """
        self._stream_state = stream_state
        self._by_account: dict[str | None, dict[str, Any]] = {
            (partition.get("context") or {}).get(PARTITION_KEY): partition
            for partition in stream_state.get("partitions") or ()
        }
        self._replication_key = replication_key
        self.run_start = run_start

    def get(self, account_id: str) -> datetime | None:
        """Return up to which change the account was read; None without a readable bookmark."""
        partition = self._by_account.get(account_id, {})
        if partition.get("replication_key") != self._replication_key:
            return None
        return parse_instant(partition.get("replication_key_value"))

    def whole_read_at(self, account_id: str) -> datetime | None:
        """Return the start of the last run that read the account whole; None if there was none."""
        return parse_instant(self._by_account.get(account_id, {}).get(WHOLE_READ_AT))

    def note_whole_read(self, account_id: str) -> None:
        """Remember that this run has read the account whole; its rows must all be out."""
        self._partition(account_id)[WHOLE_READ_AT] = format_instant(self.run_start)

    def advance(self, account_id: str, newest: datetime | None) -> bool:
        """Move the bookmark of an account that was read to its end and whose rows are all out.

        Args:
            account_id: The account.
            newest: The latest change among its rows; None if no row tells its own.

        Returns:
            Whether the bookmark moved; it never moves back.
        """
        before = self.get(account_id)
        if newest is None:
            return False
        after = min(newest, self.run_start)
        if before is not None and after <= before:
            return False
        partition = self._partition(account_id)
        partition["replication_key"] = self._replication_key
        partition["replication_key_value"] = format_instant(after)
        return True

    def _partition(self, account_id: str) -> dict[str, Any]:
        if account_id not in self._by_account:
            partition = {"context": {PARTITION_KEY: account_id}}
            self._by_account[account_id] = partition
            self._stream_state.setdefault("partitions", []).append(partition)
        return self._by_account[account_id]
