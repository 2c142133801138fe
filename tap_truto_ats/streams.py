"""The streams of the unified ATS API: one for every declared resource."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL
from typing_extensions import Self, override

from tap_truto_ats.api.errors import RunError
from tap_truto_ats.model.instants import format_instant
from tap_truto_ats.model.records import CUSTOM_FIELDS, REMOTE_DATA
from tap_truto_ats.settings.features import mapping_of
from tap_truto_ats.sync.account_sync import Mode
from tap_truto_ats.sync.bookmarks import PARTITION_KEY
from tap_truto_ats.sync.evidence import Doubt
from tap_truto_ats.sync.parents import ParentLists
from tap_truto_ats.sync.plans import Plan
from tap_truto_ats.sync.query import Query
from tap_truto_ats.sync.scope import scope_of
from tap_truto_ats.sync.tasks import Steps, Task, until_rows
from tap_truto_ats.truto_stream import TrutoStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Record
    from singer_sdk.singerlib import Catalog

    from tap_truto_ats.model.declaration import Resource
    from tap_truto_ats.run import Run
    from tap_truto_ats.sync.account import Account
    from tap_truto_ats.sync.account_sync import AccountSync, SyncTask
    from tap_truto_ats.sync.account_syncs import AccountSyncs


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
            stream.warn_of_bookmarks()
        self._note_unlisted(streams)
        try:
            for read in self.run.read(self.tasks(streams)):
                if read is None:
                    yield self, []
                elif (sync := read[0]).has_ended:
                    by_name[sync.stream].close(sync)
                else:
                    stream = by_name[sync.stream]
                    yield stream, stream.records(*read)
                if self.run.notes.are_due(self.run.client.limiter.admitted):
                    self._note_progress(by_name)
        except (RunError, SystemExit):
            self._note_progress(by_name)
            raise
        for stream in streams:
            stream.compare_accounts()
            stream.plan.tell()
            stream.tell_of_misfits()

    @override
    def missing(self) -> str | None:
        total = len(self.run.accounts.all())
        if self._complete == total:
            return super().missing()
        reasons = ", ".join(self._reasons) or "their syncs did not end"
        return f"{total - self._complete} of {total} accounts were not read whole ({reasons})"

    def _note_unlisted(self, streams: Sequence[Self]) -> None:
        """Take note of the accounts that the state knows and that Truto no longer lists."""
        unlisted = []
        for stream in streams:
            for account in stream.unlisted():
                sync = stream.syncs.begin_reading(account)
                sync.mode = Mode.NOT_LISTED
                stream.syncs.end(sync)
                self.run.note(sync)
                unlisted.append(account.id)
        self.run.tell_of_unlisted(unlisted)

    def tasks(self, streams: Sequence[Self]) -> dict[str | None, Iterator[SyncTask]]:
        """Plan the syncs of each account, which `run.read` carries out one after another."""
        by_name = {stream.name: stream for stream in streams if stream.has_consent}
        due: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for stream in streams:
            for reason in stream.syncs.find_due(self.run.accounts.all()):
                due[reason][stream.name] += 1
        for reason, numbers in due.items():
            self.logger.info(
                "Read whole, since %s: %s.",
                reason,
                ", ".join(f"{name} ({n} accounts)" for name, n in sorted(numbers.items())),
            )
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
        self._extracted_at = sync.tick()
        return records

    def close(self, sync: AccountSync) -> None:
        """Move the bookmark of an account sync whose rows are all out, or report its error."""
        account, evidence = sync.account, sync.evidence
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
        self.syncs.end(sync)
        self.run.note(sync)
        self.write_state()
        if reasons := evidence.blocking_deletions(self.name):
            self._reasons[" and ".join(reasons)] = None
            return
        self._complete += 1
        if sync.mode is Mode.NOT_OFFERED:
            self._not_offered.add(account.id)

    def _note_progress(self, streams: Mapping[str, Self]) -> None:
        """Note in the state how far all fan-outs are; the rows that came are out."""
        for sync in self.run.under_way:
            streams[sync.stream].syncs.note_progress(sync)
        self.write_state()

    def _tasks_of(self, account: Account, streams: Mapping[str, Self]) -> Iterator[SyncTask]:
        """Yield an account's tasks; one that lists parents may be needed before its turn."""
        run, deletes = self.run, self.run.settings.emit_activate_version_messages
        lists = ParentLists(
            account,
            run.client.now,
            run.page_settings.page_size,
            wants_all=deletes or any(account.id in one.syncs.due for one in streams.values()),
            only_first=run.is_test,
            selected=[stream.resource for stream in streams.values()],
            make=lambda name: streams[name].task(account, lists) if name in streams else None,
        )
        yield from filter(None, map(lists.task, streams))

    def task(self, account: Account, lists: ParentLists) -> SyncTask:
        """Begin the sync of an account, and return the task that reads it."""
        sync = self.syncs.begin_reading(account)
        sync.lists_all = not self.run.is_test and self._query.lists_all(account, sync.asked_since)
        self.run.under_way.add(sync)
        steps = self._test(sync, lists) if self.run.is_test else self.plan.steps(sync, lists)
        return Task(sync, steps, account.id, sync.usage)

    def _test(self, sync: AccountSync, lists: ParentLists) -> Steps[None]:
        if sync.account.is_active:
            yield from lists.describe()
        yield from until_rows(self.plan.steps(sync, lists))

    @cached_property
    def plan(self) -> Plan:
        """How its resource is read."""
        bookmarks = self._bookmarks if self._is_incremental else None
        return Plan(self.resource, self._query, bookmarks, self.run.settings)

    @cached_property
    def _query(self) -> Query:
        columns = self.effective_schema.get("properties", {}).keys() & self.schema["properties"]
        selected = {name for name in columns if self.mask["properties", name]}
        deselected = self._fields - selected - {PARTITION_KEY, "id", CUSTOM_FIELDS}
        return Query(self.resource, self.run.page_settings, deselected)

    def warn_of_bookmarks(self) -> None:
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

    @cached_property
    @override
    def syncs(self) -> AccountSyncs:
        columns = (breadcrumb for breadcrumb, is_selected in self.mask.items() if is_selected)
        mapping = mapping_of(self.name, self.config)
        scope = scope_of(self.name, self.run.settings, columns, mapping)
        return replace(super().syncs, is_incremental=self._is_incremental, scope=scope)
