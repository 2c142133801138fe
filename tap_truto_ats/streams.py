"""The streams: integrated accounts, and every declared resource of the unified ATS API."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from singer_sdk.schema.source import SchemaDirectory
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL
from typing_extensions import Self, override

from tap_truto_ats.model.instants import earlier
from tap_truto_ats.model.records import CUSTOM_FIELDS, Normaliser, dig, usable_key
from tap_truto_ats.singer.stream import PagedStream
from tap_truto_ats.sync.account_sync import AccountSync, Mode
from tap_truto_ats.sync.accounts import STREAM, Account
from tap_truto_ats.sync.bookmarks import PARTITION_KEY, Bookmarks
from tap_truto_ats.sync.plans import Plan
from tap_truto_ats.sync.query import REMOTE_DATA, Query
from tap_truto_ats.sync.tasks import Steps, Task, until_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Record

    from tap_truto_ats.model.declaration import Resource
    from tap_truto_ats.run import Run

SCHEMAS = SchemaDirectory(files("tap_truto_ats.model") / "schemas")


class IntegratedAccountsStream(PagedStream):
    """The accounts in the run's scope, whatever their status."""

    name = STREAM
    key_columns = primary_keys = ("id",)

    def __init__(self, tap: Tap, run: Run) -> None:
        """Load the schema file that is named like the stream."""
        super().__init__(tap, schema=SCHEMAS.get_schema(self.name))
        self.run = run

    @override
    def get_pages(self, streams: Sequence[Self]) -> Iterator[tuple[Self, list[Record]]]:
        normalise = Normaliser(self.effective_schema, self.mask.__getitem__)
        for row in self.run.accounts.read():
            name = dig(row, "integration", "name")
            unreadable: Counter[str] = Counter()
            yield self, [normalise({**row, "integration_name": name}, unreadable)]
            _warn_of_unreadable(self, row["id"], unreadable)

    @override
    def missing(self) -> str | None:
        accounts = self.run.accounts
        if not accounts.all():
            return "no account was found"
        return "accounts could not be looked up" if accounts.failures else None


class UnifiedStream(PagedStream):
    """One resource of the unified ATS API, read from all accounts of the run."""

    key_columns = primary_keys = (PARTITION_KEY, "id")

    def __init__(self, tap: Tap, run: Run, resource: Resource) -> None:
        """Load the schema file that is named like the resource."""
        schema = SCHEMAS.get_schema(resource.name)
        self._fields = frozenset(schema["properties"])
        columns = {
            name: definition
            for name, definition in schema["properties"].items()
            if name != REMOTE_DATA or run.wants_remote_data
        }
        super().__init__(tap, schema={**schema, "properties": columns}, name=resource.name)
        self.replication_key = resource.replication_key
        self.selected_by_default = resource.is_default
        self.run = run
        self.resource = resource
        self._account_syncs: list[AccountSync] = []

    @override
    def get_pages(self, streams: Sequence[Self]) -> Iterator[tuple[Self, list[Record]]]:
        by_name = {stream.name: stream for stream in streams}
        tasks = [task for stream in streams for task in stream.tasks()]
        for sync, rows in self.run.read(tasks):
            stream = by_name[sync.stream]
            if sync.has_ended:
                stream.close(sync)
            elif records := stream.records(sync, rows):
                sync.rows += len(records)
                yield stream, records
        # Some targets hand on a state only when no record follows it.
        self.write_state()

    @override
    def missing(self) -> str | None:
        total = len(self._account_syncs)
        if not total:
            return "no account was found"
        count = sum(not sync.is_complete for sync in self._account_syncs)
        return f"{count} of {total} accounts were not read whole" if count else None

    def tasks(self) -> Iterator[Task[AccountSync | None]]:
        """Plan the sync of each account, which `run.read` carries out."""
        self._account_syncs = [self._account_sync(one) for one in self.run.accounts.all()]
        self.run.report.account_syncs += self._account_syncs
        for sync in self._account_syncs:
            steps = until_rows(self._test(sync)) if self.run.is_test else self._plan.steps(sync)
            yield Task(sync, steps, sync.account.id, sync.usage)

    def records(self, sync: AccountSync, rows: Sequence[Any]) -> list[Record]:
        """Turn a page's rows into the records that are wanted, and note what the rows tell."""
        is_raw, keeps_remote_data = self.run.settings.is_raw, self.run.wants_remote_data
        changed_at, wants, normalise = self._query.changed, self._query.wants, self._normalise
        records = []
        for given in rows:
            key = usable_key(given)
            if key is None:
                sync.rows_without_id += 1
                continue
            row = {"id": key, REMOTE_DATA: given} if is_raw else given
            if not keeps_remote_data:
                row.pop(REMOTE_DATA, None)
            changed = changed_at(row)
            sync.see(key, changed)
            if wants(row, changed, sync.wanted_since):
                record = normalise(row, sync.unreadable)
                record[PARTITION_KEY] = sync.account.id
                records.append(record)
        return records

    def close(self, sync: AccountSync) -> None:
        """Move the bookmark of an account sync whose rows are all out, or report its error."""
        account = sync.account
        if sync.mode is Mode.NOT_OFFERED:
            self.logger.info("Account %s does not offer %s: skipped.", account, self.name)
        if sync.rows_without_id:
            self.logger.warning(
                "Account %s: %d rows of %s without an id were not emitted.",
                account,
                sync.rows_without_id,
                self.name,
            )
        _warn_of_unreadable(self, account, sync.unreadable)
        if sync.error:
            self.run.accounts.fail(account, sync.error, self.name)
        elif self._is_incremental and self._advance(sync):
            self.write_state()
        sync.new_bookmark = self._bookmarks.get(account.id)

    def _test(self, sync: AccountSync) -> Steps[None]:
        if sync.account.is_active:
            sync.account = yield from self.run.accounts.describe(sync.account)
        yield from self._plan.steps(sync)

    @cached_property
    def _plan(self) -> Plan:
        return Plan(
            self.resource,
            self._query,
            self._bookmarks if self._is_incremental else None,
            self.run.settings,
            self.run.accounts,
            self.run.parents,
        )

    @cached_property
    def _bookmarks(self) -> Bookmarks:
        return Bookmarks(self.stream_state, self.resource.replication_key, self.run.start)

    @cached_property
    def _query(self) -> Query:
        columns = self.effective_schema.get("properties", {}).keys() & self.schema["properties"]
        selected = {name for name in columns if self.mask["properties", name]}
        deselected = self._fields - selected - {PARTITION_KEY, "id", CUSTOM_FIELDS}
        return Query(self.resource, self.run.page_settings, deselected)

    @cached_property
    def _normalise(self) -> Normaliser:
        return Normaliser(self.effective_schema, self.mask.__getitem__, self._fields)

    @cached_property
    def _is_incremental(self) -> bool:
        return self.replication_method == REPLICATION_INCREMENTAL and not self.run.settings.is_raw

    def _account_sync(self, account: Account) -> AccountSync:
        bookmark = self._bookmarks.get(account.id) if self._is_incremental else None
        since = earlier(bookmark, self.run.settings.lookback_seconds) if bookmark else None
        return AccountSync(
            stream=self.name,
            account=account,
            bookmark=bookmark,
            changed_since=since,
            wanted_since=max(filter(None, (since, self.run.settings.start_date)), default=None),
            # Making the bookmarks gives each stream that was begun an entry in the state.
            run_start=self._bookmarks.run_start,
            deletes_missing=self.version is not None,
        )

    def _advance(self, sync: AccountSync) -> bool:
        """Move the bookmark of an account that was read to its end; return whether it moved."""
        if sync.rows_moved:
            self.logger.warning(
                "Account %s: rows of %s moved between pages while they were read. Its bookmark"
                " stays, so that the next run reads them again.",
                sync.account,
                self.name,
            )
            return False
        if sync.mode is Mode.ASKED and sync.rows_without_change:
            # Truto may leave out rows without a change time when it is asked for changes.
            return False
        has_moved = self._bookmarks.advance(sync.account.id, sync.newest)
        if sync.mode is Mode.WHOLE and sync.is_complete:
            self._bookmarks.note_whole_read(sync.account.id)
            has_moved = True
        return has_moved


def _warn_of_unreadable(stream: PagedStream, account: object, unreadable: Counter[str]) -> None:
    """Log how many of an account's values became null, field by field."""
    for name, count in unreadable.items():
        stream.logger.warning(
            "Account %s: %d values of %s.%s could not be read and became null.",
            account,
            count,
            stream.name,
            name,
        )
