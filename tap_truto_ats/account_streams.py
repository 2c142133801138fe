"""The streams about accounts: which there are, and what each run did with each of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from typing_extensions import Self, override

from tap_truto_ats.model.instants import format_instant
from tap_truto_ats.model.records import dig
from tap_truto_ats.model.resources import ACCOUNTS
from tap_truto_ats.sync.account import account_of
from tap_truto_ats.sync.account_sync import Mode
from tap_truto_ats.sync.bookmarks import PARTITION_KEY
from tap_truto_ats.sync.evidence import Doubt
from tap_truto_ats.truto_stream import TrutoStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Record

    from tap_truto_ats.run import Run
    from tap_truto_ats.sync.accounts import Failure


class IntegratedAccountsStream(TrutoStream):
    """The accounts in the run's scope, whatever their status."""

    name = ACCOUNTS
    key_columns = primary_keys = ("id",)

    @override
    def get_pages(self, streams: Sequence[Self]) -> Iterator[tuple[Self, list[Record]]]:
        accounts, syncs = self.run.accounts, []
        for row in accounts.read():
            sync = self.syncs.begin(account_of(row))
            name, unfit = dig(row, "integration", "name"), Counter[str]()
            self._extracted_at = sync.tick()
            yield self, [self._normalise({**row, "integration_name": name}, unfit)]
            self._tell_of_values(sync.account.id, unfit)
            sync.rows = 1
            syncs.append(sync)
        unlisted = self.unlisted()
        self.run.tell_of_unlisted(one.id for one in unlisted)
        syncs += map(self.syncs.begin, unlisted)
        for sync in syncs:
            sync.mode, sync.evidence = Mode.CHOSEN, accounts.evidence
        for account in accounts.hidden:
            sync = self.syncs.begin(account)
            sync.mode = Mode.CHOSEN
            sync.evidence.doubts[Doubt.NOT_OFFERED] += 1
            syncs.append(sync)
        for failure in self._failures:
            sync = self.syncs.begin(failure.account)
            sync.end(failure.error)
            syncs.append(sync)
        for sync in syncs:
            if sync.rows or sync.is_complete:
                self._bookmarks.note_time(sync.account.id, sync.tick())
            self.run.note(sync)
        self.compare_accounts()
        self.tell_of_misfits()

    @property
    def _failures(self) -> list[Failure]:
        """The accounts that could not be looked up."""
        failures = self.run.accounts.failures.values()
        return [failure for failure in failures if self.name in failure.streams]

    @override
    def missing(self) -> str | None:
        if self._failures:
            return "accounts could not be looked up"
        return super().missing()


class AccountSyncsStream(TrutoStream):
    """What each run did: a row for each account and stream.

    The rows come while the other streams are read, each before the STATE that it belongs to.
    """

    name = "account_syncs"
    key_columns = primary_keys = (PARTITION_KEY, "stream", "run_started_at")
    version = None
    """None, since the rows of earlier runs stay."""

    def __init__(self, tap: Tap, run: Run) -> None:
        """Take what the streams of a run share."""
        super().__init__(tap, run)
        self._held: list[dict[str, Any]] = []
        """The rows of account syncs that ended since the last STATE."""

    @override
    def get_pages(self, streams: Sequence[Self]) -> Iterator[tuple[Self, list[Record]]]:
        if self.selected:  # A test of the SDK's reads all streams.
            self.run.on_end = self._held.append
            self._writer.before_state = self._write_held
        yield self, []

    def _write_held(self) -> None:
        run = {
            "run_started_at": format_instant(self.run.start),
            "shard_index": self.run.settings.shard_index,
            "shard_count": self.run.settings.shard_count,
            "tap_version": self.tap.plugin_version,
        }
        self._extracted_at = self.run.client.now()
        self.write([self._normalise({**row, **run}, Counter()) for row in self._held])
        self._held.clear()
