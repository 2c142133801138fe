"""The streams: integrated accounts, and every declared resource of the unified ATS API."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL
from typing_extensions import Self, override

from tap_truto_ats.model.instants import earlier, format_instant
from tap_truto_ats.model.records import CUSTOM_FIELDS, REMOTE_DATA, dig
from tap_truto_ats.model.resources import ACCOUNTS
from tap_truto_ats.sync.account_sync import AccountSync, Mode
from tap_truto_ats.sync.bookmarks import PARTITION_KEY
from tap_truto_ats.sync.evidence import Doubt, Evidence
from tap_truto_ats.sync.plans import Plan
from tap_truto_ats.sync.query import Query
from tap_truto_ats.sync.tasks import Steps, Task, until_rows
from tap_truto_ats.truto_stream import TrutoStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Record
    from singer_sdk.singerlib import Catalog

    from tap_truto_ats.model.declaration import Resource
    from tap_truto_ats.run import Run
    from tap_truto_ats.sync.account_sync import SyncTask
    from tap_truto_ats.sync.accounts import Account
    from tap_truto_ats.sync.parents import ParentLists

UNREAD = (Mode.INACTIVE, Mode.NOT_OFFERED)
"""The modes in which nothing is read, so that nothing of the state changes."""


class IntegratedAccountsStream(TrutoStream):
    """The accounts in the run's scope, whatever their status."""

    name = ACCOUNTS
    key_columns = primary_keys = ("id",)

    def __init__(self, tap: Tap, run: Run) -> None:
        """Take what the streams of a run share."""
        super().__init__(tap, run, self.name)

    @override
    def get_pages(self, streams: Sequence[Self]) -> Iterator[tuple[Self, list[Record]]]:
        for row in self.run.accounts.read():
            name = dig(row, "integration", "name")
            unfit: Counter[str] = Counter()
            yield self, [self._normalise({**row, "integration_name": name}, unfit)]
            self._tell_of_values(row["id"], unfit)
            if self.version is not None:
                self._bookmarks.note_whole_read(str(row["id"]))
        self._compare_accounts()

    @override
    def missing(self) -> str | None:
        if self.run.accounts.failures:
            return "accounts could not be looked up"
        return super().missing()


class UnifiedStream(TrutoStream):
    """One resource of the unified ATS API, read from all accounts of the run."""

    key_columns = primary_keys = (PARTITION_KEY, "id")

    def __init__(self, tap: Tap, run: Run, resource: Resource) -> None:
        """Take the resource, whose raw data are a column only where they are wanted."""
        without = () if run.wants_remote_data else (REMOTE_DATA,)
        super().__init__(tap, run, resource.name, without=without)
        self.replication_key = resource.replication_key
        self.selected_by_default = resource.is_default
        self.resource = resource
        self._complete = 0
        """How many accounts were read whole."""
        self._reasons: dict[str, None] = {}
        """Why the others were not."""

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        super().apply_catalog(catalog)
        if self.selected and not self.has_consent:
            self.selected = False
            self.logger.warning(
                "The stream %s is selected, but it is not read unless '%s' is true.",
                self.name,
                self.resource.consent,
            )

    @property
    def has_consent(self) -> bool:
        """Whether it may be read, whatever the catalog or a test of the SDK's selects."""
        consent = self.resource.consent
        return consent is None or self.run.config.get(consent) is True

    @override
    def get_pages(self, streams: Sequence[Self]) -> Iterator[tuple[Self, list[Record]]]:
        by_name = {stream.name: stream for stream in streams}
        start_date = self.run.settings.start_date
        if start_date and start_date > self.run.start:
            self.logger.warning("'start_date' is in the future: no row that has a date comes.")
        for stream in streams:
            stream._warn_of_bookmarks()  # noqa: SLF001 - a stream of the same class
        for read in self.run.read(self.tasks(streams)):
            if read is None:
                yield self, []
                continue
            sync, rows = read
            stream = by_name[sync.stream]
            if sync.has_ended:
                stream.close(sync)
            elif rows:
                yield stream, stream.records(sync, rows)
        for stream in streams:
            stream._compare_accounts()  # noqa: SLF001 - a stream of the same class

    @override
    def missing(self) -> str | None:
        total = len(self.run.accounts.all())
        if self._complete == total:
            return super().missing()
        reasons = ", ".join(self._reasons) or "their syncs did not end"
        return f"{total - self._complete} of {total} accounts were not read whole ({reasons})"

    def tasks(self, streams: Sequence[Self]) -> dict[str | None, Iterator[SyncTask]]:
        """Plan the syncs of each account, which `run.read` carries out one after another."""
        by_name = {stream.name: stream for stream in streams if stream.has_consent}
        return {one.id: self._tasks_of(one, by_name) for one in self.run.accounts.all()}

    def records(self, sync: AccountSync, rows: Sequence[Any]) -> list[Record]:
        """Turn rows into records."""
        normalise, account_id = self._normalise, sync.account.id
        keeps_remote_data, unfit = self.run.wants_remote_data, sync.unfit
        records = []
        for row in rows:
            if not keeps_remote_data:
                row.pop(REMOTE_DATA, None)
            record = normalise(row, unfit)
            record[PARTITION_KEY] = account_id
            records.append(record)
        return records

    def close(self, sync: AccountSync) -> None:
        """Move the bookmark of an account sync whose rows are all out, or report its error."""
        account, evidence = sync.account, sync.evidence
        if sync.mode is Mode.NOT_OFFERED:
            self.logger.info("Account %s does not offer %s: skipped.", account, self.name)
        if without_id := evidence.doubts[Doubt.WITHOUT_ID]:
            self.logger.warning(
                "Account %s: %d rows of %s without an id, or with one too long, were not emitted.",
                account,
                without_id,
                self.name,
            )
        self._tell_of_values(account, sync.unfit, sync.usage.replaced)
        if sync.error:
            self.run.accounts.fail(account, sync.error, self.name)
        elif self._is_incremental and sync.mode not in UNREAD and self._advance(sync):
            self.write_state()
        sync.new_bookmark = self._bookmarks.get(account.id)
        sync.made_lately.clear()  # The report keeps the syncs.
        if self.version is not None and sync.rows:
            self._bookmarks.note_rows(account.id)
        if reasons := evidence.blocking_deletions(self.name):
            self._reasons[" and ".join(reasons)] = None
            return
        self._complete += 1
        if sync.mode is Mode.NOT_OFFERED:
            self._not_offered.add(account.id)
        elif self.version is not None:
            self._bookmarks.note_whole_read(account.id)

    def _tasks_of(self, account: Account, streams: Mapping[str, Self]) -> Iterator[SyncTask]:
        """Yield an account's tasks; one that lists parents may be needed before its turn."""
        lists = self.run.parent_lists(account)
        lists.selected = [stream.resource for stream in streams.values()]
        lists.make = lambda name: streams[name]._task(account, lists) if name in streams else None  # noqa: SLF001
        yield from filter(None, map(lists.task, streams))

    def _task(self, account: Account, lists: ParentLists) -> SyncTask:
        sync = self._account_sync(account)
        steps = self._test(sync, lists) if self.run.is_test else self._plan.steps(sync, lists)
        return Task(sync, steps, account.id, sync.usage)

    def _test(self, sync: AccountSync, lists: ParentLists) -> Steps[None]:
        if sync.account.is_active:
            yield from lists.describe()
        yield from until_rows(self._plan.steps(sync, lists))

    @cached_property
    def _plan(self) -> Plan:
        bookmarks = self._bookmarks if self._is_incremental else None
        return Plan(self.resource, self._query, bookmarks, self.run.settings)

    @cached_property
    def _query(self) -> Query:
        columns = self.effective_schema.get("properties", {}).keys() & self.schema["properties"]
        selected = {name for name in columns if self.mask["properties", name]}
        deselected = self._fields - selected - {PARTITION_KEY, "id", CUSTOM_FIELDS}
        return Query(self.resource, self.run.page_settings, deselected)

    def _warn_of_bookmarks(self) -> None:
        """Warn of bookmarks that do not count, and of those behind which no row comes."""
        if not self._is_incremental:
            return
        if self._bookmarks.unread:
            self.logger.warning(
                "Of the state's bookmarks of %s, %d cannot be read, so that what they are about is"
                " read whole: each must name an account, and be a date-time of %s.",
                self.name,
                self._bookmarks.unread,
                self.replication_key,
            )
        if late := self._bookmarks.in_future():
            account_id, moment = max(late.items(), key=itemgetter(1))
            self.logger.warning(
                "The state has bookmarks of %s in the future, for %d accounts (%s: %s). What"
                " changed before them does not come: take them out of the state.",
                self.name,
                len(late),
                account_id,
                format_instant(moment),
            )

    @cached_property
    def _is_incremental(self) -> bool:
        return self.replication_method == REPLICATION_INCREMENTAL and not self.run.settings.is_raw

    def _account_sync(self, account: Account) -> AccountSync:
        # Making the bookmarks gives each stream that was begun an entry in the state.
        bookmarks = self._bookmarks
        sync = AccountSync(
            stream=self.name,
            account=account,
            evidence=Evidence(self.run.client.now, is_exact=self.version is not None),
        )
        if self._is_incremental and (bookmark := bookmarks.get(account.id)):
            sync.bookmark = bookmark
            sync.changed_since = earlier(bookmark, self.run.settings.lookback_seconds)
            sync.rows_known = bookmarks.rows_known(account.id)
            # Truto may leave out rows that are not dated when it is asked for changes.
            sync.asks = not bookmarks.has_undated_rows(account.id)
        sync.lists_all = not self.run.is_test and self._query.lists_all(account, sync.asked_since)
        return sync

    def _advance(self, sync: AccountSync) -> bool:
        """Move the bookmark of an account that was read to its end; return whether it moved."""
        evidence = sync.evidence
        if blocks := evidence.blocking_bookmark(self.name):
            self.logger.warning(
                "Account %s: %s. Its bookmark stays, so that the next run reads them again.",
                sync.account,
                " and ".join(blocks),
            )
            return False
        has_moved = self._bookmarks.advance(
            sync.account.id,
            evidence.read_until(),
            sync.checksum_until,
            has_undated=evidence.undated > 0,
        )
        if sync.mode is Mode.WHOLE and not evidence.blocking_deletions(self.name):
            self._bookmarks.note_whole_read(sync.account.id)
            has_moved = True
        return has_moved
