"""How far each account has been read: the only place where a stream's state changes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tap_truto_ats.model.instants import LONG_AGO, format_instant, parse_instant
from tap_truto_ats.sync.scope import is_narrower, merged, widened

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tap_truto_ats.sync.scope import Scope

PARTITION_KEY = "integrated_account_id"
KEY, VALUE = "replication_key", "replication_key_value"
WHOLE_READ_AT = "whole_read_at"
KNOWN_SINCE = "known_since"
READ_AT = "read_at"
SCOPE = "scope"
CHECKSUM = "rows_checksum"
IDS = "ids_checksum"
FAN_OUT = "fan_out"
PARENTS = "parents_known_until"
UNDATED = "undated_rows"
MISSING_SINCE = "missing_since"
POSTPONED = "whole_read_postponed"

LAST = datetime.max.replace(tzinfo=timezone.utc) - timedelta(days=1)
"""The latest time that a later one can follow."""

MOST_DAYS = 100_000
"""The longest period; a longer one would overflow a date."""

MOST_AHEAD = timedelta(days=1)
"""By how much a time in the state may be ahead: no machine's clock is off by more."""


@cache
def _context(account_id: str) -> dict[str, str]:
    """Return what names an account, one for all streams: there may be thousands of each."""
    return {PARTITION_KEY: account_id}


class Bookmarks:
    """The bookmarks of one stream's accounts, in the SDK's standard form of partitions.

    `{"partitions": [{"context": {"integrated_account_id": …}, "replication_key": "updated_at",
    "replication_key_value": "2026-01-31T09:30:00.000000+00:00"}]}`

    What else a partition may hold stands in the table of docs/state.md.
    """

    def __init__(
        self, stream_state: dict[str, Any], replication_key: str | None, run_start: datetime
    ) -> None:
        """Take `bookmarks.<stream>` of the state, which is changed in place.

        Of two partitions of one account, the one with the earlier bookmark counts.
        """
        self._stream_state = stream_state
        self._replication_key = replication_key
        self.run_start = run_start
        self._by_account: dict[str, dict[str, Any]] = {}
        given = stream_state.get("partitions") or ()
        self.unread = sum(map(self._is_unread, given)) + (not stream_state.keys() <= {"partitions"})
        """How many bookmarks are of no account, or are no date-time of the replication key."""
        for partition in sorted(given, key=lambda one: self._moment(one) or LONG_AGO):
            account_id = account_id_of(partition)
            if account_id is not None:
                self._by_account.setdefault(account_id, partition)
        kept = [one for one in given if self._by_account.get(account_id_of(one) or "", one) is one]
        if len(kept) < len(given):
            stream_state["partitions"] = kept

    def get(self, account_id: str) -> datetime | None:
        """Return up to which change the account was read; None without a readable bookmark."""
        return self._moment(self._by_account.get(account_id, {}))

    def in_future(self) -> dict[str, datetime]:
        """Return by account the bookmarks that no clock can have set: they are off by a day."""
        limit = self.run_start + MOST_AHEAD
        moments = ((account_id, self.get(account_id)) for account_id in self._by_account)
        return {account_id: moment for account_id, moment in moments if moment and moment > limit}

    def rows_known(self, account_id: str) -> int | None:
        """Return the checksum of the rows that the account's last run saw; None if unknown."""
        checksum: int | None = self._known(account_id, CHECKSUM)
        return checksum

    def has_undated_rows(self, account_id: str) -> bool:
        """Return whether some of the account's rows do not tell when they last changed."""
        return self._known(account_id, UNDATED) is True

    def whole_read_at(self, account_id: str) -> datetime | None:
        """Return the start of the last run that read the account whole; None if there was none."""
        return parse_instant(self._known(account_id, WHOLE_READ_AT))

    def has_been_read(self, account_id: str) -> bool:
        """Return whether an earlier run has read the account to its end."""
        return bool(self.get(account_id) or self.whole_read_at(account_id))

    def ids_known(self, account_id: str) -> int | None:
        """Return the checksum of the ids that the last whole read saw; None if unknown."""
        checksum: int | None = self._known(account_id, IDS)
        return checksum

    def due(self, account_id: str, scope: Scope, days: int | None) -> str | None:
        """Return in words why an account that was read before has to be read whole; None if not.

        Accounts come due spread over the days, each at its own time of the period, by its id.
        Without days, only a change of the scope counts.
        """
        if not self.has_been_read(account_id):
            return None
        partition = self._by_account[account_id]
        if changes := widened(self._scope(account_id, scope), scope):
            return f"{' and '.join(changes)} changed"
        if not days:
            return None
        if not (since := self.whole_read_at(account_id)):
            # The state of an earlier release: to begin now would read all accounts at once.
            now = format_instant(self.run_start)
            since = parse_instant(partition.setdefault(KNOWN_SINCE, now)) or LONG_AGO
        period = timedelta(days=min(days, MOST_DAYS))
        share = crc32(account_id.encode()) / 2**32
        began = self.run_start - (self.run_start - LONG_AGO - period * share) % period
        is_read = began <= since <= self.run_start + MOST_AHEAD
        return None if is_read else f"{days} days have passed"

    def is_postponed(self, account_id: str) -> bool:
        """Return whether the account is to be read whole as soon as it offers the stream again."""
        return self._known(account_id, POSTPONED) is True

    def postpone(self, account_id: str) -> None:
        """Remember that the account did not offer the stream when it was to be read whole."""
        self._note(account_id, POSTPONED, value=True)

    def is_narrowed(self, account_id: str, scope: Scope) -> bool:
        """Return whether rows that came in earlier runs are older than `start_date` now."""
        return is_narrower(self._scope(account_id, scope), scope)

    def parents_known_until(self, account_id: str) -> datetime | None:
        """Return up to which change the parents of the last complete read were known."""
        return parse_instant(self._known(account_id, PARENTS))

    def progress(self, account_id: str) -> dict[str, Any]:
        """Return how far a fan-out came that could not be ended; empty if there was none."""
        given = self._known(account_id, FAN_OUT)
        return given if isinstance(given, dict) else {}

    def note_progress(self, account_id: str, progress: dict[str, Any] | None) -> None:
        """Remember how far a fan-out is; None forgets it."""
        self._note(account_id, FAN_OUT, progress)

    def note_parents(self, account_id: str, known_until: datetime | None) -> None:
        """Remember up to which change the parents are known that a complete read has asked for."""
        self._note(account_id, PARENTS, known_until and format_instant(known_until))

    def _note(self, account_id: str, name: str, value: object) -> None:
        self._by_account.get(account_id, {}).pop(name, None)
        if value:
            self._partition(account_id)[name] = value

    def read_at(self, account_id: str) -> datetime | None:
        """Return the latest time that a record of the account carried, by the state."""
        latest = parse_instant(self._known(account_id, READ_AT))
        return latest and min(latest, LAST)

    def note_time(self, account_id: str, latest: datetime) -> None:
        """Remember the latest time that a record of the account carries."""
        self._partition(account_id)[READ_AT] = format_instant(latest)

    def note_whole_read(
        self, account_id: str, scope: Scope, ids: int, began: datetime | None = None
    ) -> None:
        """Remember that the account was read whole; its rows must all be out.

        The checksum of their ids is 0 if it is not known. A read that an earlier run began counts
        from then on.
        """
        partition = self._partition(account_id)
        for name in (KNOWN_SINCE, POSTPONED):
            partition.pop(name, None)
        partition[WHOLE_READ_AT] = format_instant(began or self.run_start)
        self.note_scope(account_id, scope)
        self.note_ids(account_id, ids)

    def note_ids(self, account_id: str, ids: int) -> None:
        """Remember the checksum of the ids that came; 0 if it is not known."""
        self._note(account_id, IDS, ids)

    def note_scope(self, account_id: str, scope: Scope) -> None:
        """Remember what decided which rows and columns came."""
        self._note(account_id, SCOPE, merged(self._scope(account_id, scope), scope))

    def advance(
        self,
        account_id: str,
        read_until: datetime | None,
        checksum: Callable[[datetime | None], int],
        *,
        has_undated: bool,
    ) -> None:
        """Move an account's bookmark to the change up to which all rows are out, but never back.

        Remember besides the checksum of the rows that were made up to it (`checksum` returns it),
        and whether some rows do not tell when they last changed.
        """
        before = self.get(account_id)
        if before is None and read_until is None:
            return
        partition = self._partition(account_id)
        if read_until is not None and (before is None or read_until > before):
            partition[KEY] = self._replication_key
            partition[VALUE] = format_instant(read_until)
        self._note(account_id, CHECKSUM, checksum(self._moment(partition)))
        self._note(account_id, UNDATED, has_undated)

    def note_found(self, found: Collection[str]) -> None:
        """Remember which accounts were found, so that they may be missing anew."""
        for account_id in self._by_account.keys() & {*found}:
            self._by_account[account_id].pop(MISSING_SINCE, None)

    def missing(self, found: Collection[str]) -> dict[str, bool]:
        """Remember since when each account that the state knows is not found.

        Return by account whether this run is the first not to find it.
        """
        now = format_instant(self.run_start)
        return {
            account_id: partition.setdefault(MISSING_SINCE, now) == now
            for account_id, partition in self._by_account.items()
            if account_id not in found
        }

    def _known(self, account_id: str, name: str) -> Any:  # noqa: ANN401
        """Return what the state has of an account under a name; None if nothing."""
        return self._by_account.get(account_id, {}).get(name)

    def _scope(self, account_id: str, scope: Scope) -> Scope:
        """Return the scope of the rows that came so far; where it is not known, the given one."""
        known = self._known(account_id, SCOPE)
        return known if isinstance(known, dict) else scope

    def _is_unread(self, partition: dict[str, Any]) -> bool:
        is_read = self._moment(partition) and account_id_of(partition)
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


def account_id_of(partition: dict[str, Any]) -> str | None:
    """Return whose bookmark a partition of a state is; None if it is not of this tap's making."""
    account_id = (partition.get("context") or {}).get(PARTITION_KEY)
    return None if account_id is None else str(account_id)
