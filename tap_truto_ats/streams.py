"""The streams: integrated accounts, and every declared resource of the unified ATS API."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import datetime, timezone
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from singer_sdk.schema.source import SchemaDirectory
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL

from tap_truto_ats.model.instants import earlier
from tap_truto_ats.model.records import CUSTOM_FIELDS, Normaliser, dig, usable_key
from tap_truto_ats.singer.stream import PagedStream
from tap_truto_ats.sync import account_sync as readings
from tap_truto_ats.sync.account_sync import Reading
from tap_truto_ats.sync.accounts import STREAM
from tap_truto_ats.sync.bookmarks import PARTITION_KEY, Bookmarks
from tap_truto_ats.sync.plans import Plan
from tap_truto_ats.sync.query import REMOTE_DATA, Query
from tap_truto_ats.sync.tasks import Walk, until_rows

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from singer_sdk.helpers.types import Record

    from tap_truto_ats.api.errors import AccountError
    from tap_truto_ats.model.resources import Resource
    from tap_truto_ats.sync.accounts import Account
    from tap_truto_ats.sync.tasks import Steps
    from tap_truto_ats.tap import TapTrutoAts

SCHEMAS = SchemaDirectory(files("tap_truto_ats.model") / "schemas")


class IntegratedAccountsStream(PagedStream):
    """The accounts in the run's scope, whatever their status."""

    name = STREAM
    key_columns = primary_keys = ("id",)

    def __init__(self, tap: TapTrutoAts) -> None:
        """Take the schema of the stream's name."""
        super().__init__(tap, schema=SCHEMAS.get_schema(self.name))
        self.tap = tap

    @override
    def get_pages(self, *, alone: bool) -> Iterator[tuple[PagedStream, list[Record]]]:
        del alone
        normalise = Normaliser(self.effective_schema, self.is_selected)
        for row in self.tap.accounts.read():
            name = dig(row, "integration", "name")
            unreadable: Counter[str] = Counter()
            yield self, [normalise({**row, "integration_name": name}, unreadable)]
            self.warn_of_unreadable(str(row["id"]), unreadable)

    @override
    def missing(self) -> str | None:
        accounts = self.tap.accounts
        if not accounts.all():
            return "no account was found"
        return "accounts could not be looked up" if accounts.failures else None


class UnifiedStream(PagedStream):
    """One resource of the unified ATS API, read from all accounts of the run."""

    key_columns = primary_keys = (PARTITION_KEY, "id")

    def __init__(self, tap: TapTrutoAts, resource: Resource) -> None:
        """Take the schema of the resource's name."""
        schema = SCHEMAS.get_schema(resource.name)
        self._fields = frozenset(schema["properties"])
        unasked = set() if tap.wants_remote_data else {REMOTE_DATA}
        columns = {
            name: definition
            for name, definition in schema["properties"].items()
            if name not in unasked
        }
        super().__init__(tap, schema={**schema, "properties": columns}, name=resource.name)
        self.replication_key = resource.replication_key
        self.selected_by_default = resource.is_default
        self.tap = tap
        self.resource = resource
        self._readings: list[Reading] = []

    @property
    @override
    def companions(self) -> list[PagedStream]:
        return [*self._unread()]

    @override
    def get_pages(self, *, alone: bool) -> Iterator[tuple[PagedStream, list[Record]]]:
        streams = [self] if alone else self._unread()
        walks = [walk for stream in streams for walk in stream.walks()]
        outstanding = Counter(walk.account_id for walk in walks)
        for walk, rows, is_end in self.tap.reader.read(walks):
            reading = walk.subject
            if reading is None:  # a list of parents, say
                continue
            if records := reading.stream.records(reading, rows):
                reading.rows += len(records)
                yield reading.stream, records
            if is_end:
                reading.stream.close(reading, walk.error)
                outstanding[walk.account_id] -= 1
                if not outstanding[walk.account_id]:
                    self.tap.parents.forget(reading.account.id)
        # Some targets hand on a state only when no record follows it.
        self.write_state()

    @override
    def missing(self) -> str | None:
        if not self._readings:
            return "no account was found"
        count = sum(not reading.is_complete for reading in self._readings)
        return f"{count} of {len(self._readings)} accounts were not read whole" if count else None

    def walks(self) -> Iterator[Walk[Reading | None]]:
        """Plan the reading of each account."""
        self._readings = [self._reading(account) for account in self.tap.accounts.all()]
        self.tap.report.readings += self._readings
        for reading in self._readings:
            steps = (
                until_rows(self._look(reading)) if self.tap.is_look else self._plan.steps(reading)
            )
            yield Walk(reading, steps, reading.account.id, reading.usage)

    def records(self, reading: Reading, rows: Sequence[Any]) -> list[Record]:
        """Turn a page's rows into the records that are wanted."""
        records = []
        for row in self._wanted(reading, rows):
            record = self._normalise(row, reading.unreadable)
            record[PARTITION_KEY] = reading.account.id
            records.append(record)
        return records

    def close(self, reading: Reading, error: AccountError | None) -> None:
        """Settle an account whose last rows are out: its bookmark moves, or its error is kept."""
        account = reading.account
        reading.end(error)
        if reading.mode is readings.NOT_OFFERED:
            self.logger.info("Account %s does not offer %s: skipped.", account, self.name)
        if reading.rows_without_id:
            self.logger.warning(
                "Account %s: %d rows of %s without an id were not emitted.",
                account,
                reading.rows_without_id,
                self.name,
            )
        self.warn_of_unreadable(str(account), reading.unreadable)
        if error:
            self.tap.accounts.fail(account, error, self.name)
        elif self._is_incremental and self._advance(reading):
            self.write_state()
        reading.new_bookmark = self._bookmarks.get(account.id)

    def _unread(self) -> list[UnifiedStream]:
        """The selected streams that are read in one loop, and were not read yet."""
        return [one for one in self.tap.unified_streams if one.selected and not one.has_been_read]

    def _look(self, reading: Reading) -> Steps[None]:
        if reading.account.is_active:
            reading.account = yield from self.tap.accounts.describe(reading.account)
        yield from self._plan.steps(reading)

    @cached_property
    def _plan(self) -> Plan:
        return Plan(
            self.resource,
            self._query,
            self._bookmarks if self._is_incremental else None,
            self.tap.settings,
            self.tap.accounts,
            self.tap.parents,
        )

    @cached_property
    def _bookmarks(self) -> Bookmarks:
        run_start = datetime.fromtimestamp(self.tap.initialized_at / 1000, tz=timezone.utc)
        return Bookmarks(self.stream_state, self.resource.replication_key, run_start)

    @cached_property
    def _query(self) -> Query:
        selected = {
            name
            for name in self.effective_schema.get("properties", {})
            if self.is_selected(("properties", name)) and name in self.schema["properties"]
        }
        deselected = self._fields - selected - {PARTITION_KEY, "id", CUSTOM_FIELDS}
        return Query(self.resource, self.tap.page_settings, deselected)

    @cached_property
    def _normalise(self) -> Normaliser:
        return Normaliser(self.effective_schema, self.is_selected, self._fields)

    @cached_property
    def _is_incremental(self) -> bool:
        return self.replication_method == REPLICATION_INCREMENTAL and not self.tap.settings.is_raw

    def _reading(self, account: Account) -> Reading:
        bookmark = self._bookmarks.get(account.id) if self._is_incremental else None
        since = earlier(bookmark, self.tap.settings.lookback_seconds) if bookmark else None
        wanted = max(filter(None, (since, self.tap.settings.start_date)), default=None)
        return Reading(
            stream=self,
            account=account,
            bookmark=bookmark,
            changed_since=since,
            wanted_since=wanted,
            run_start=self._bookmarks.run_start,
            is_watched=self.has_version,
        )

    def _wanted(self, reading: Reading, rows: Sequence[Any]) -> Iterator[dict[str, Any]]:
        """Sort out the rows of a page: those without an id, and those that are not wanted."""
        is_raw, keeps_remote_data = self.tap.settings.is_raw, self.tap.wants_remote_data
        changed_at, wants = self._query.changed, self._query.wants
        for given in rows:
            key = usable_key(given)
            if key is None:
                reading.rows_without_id += 1
                continue
            row = {"id": key, REMOTE_DATA: given} if is_raw else given
            if not keeps_remote_data:
                row.pop(REMOTE_DATA, None)
            changed = changed_at(row)
            reading.see(key, changed)
            if wants(row, changed, reading.wanted_since):
                yield row

    def _advance(self, reading: Reading) -> bool:
        """Move the bookmark of an account that was read to its end; tell whether it moved."""
        if reading.rows_moved:
            self.logger.warning(
                "Account %s: rows of %s moved between pages while they were read. Its bookmark"
                " stays, so that the next run reads them again.",
                reading.account,
                self.name,
            )
            return False
        if reading.mode is readings.ASKED and reading.rows_without_change:
            # Truto may drop them when it is asked for changes.
            return False
        has_moved = self._bookmarks.advance(reading.account.id, reading.newest)
        if reading.mode is readings.WHOLE and reading.is_complete:
            self._bookmarks.note_whole_read(reading.account.id)
            has_moved = True
        return has_moved
