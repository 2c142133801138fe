"""The streams: integrated accounts, and every declared resource of the unified ATS API."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cached_property
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from singer_sdk.schema.source import SchemaDirectory
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL

from tap_truto_ats import readings
from tap_truto_ats.bookmarks import PARTITION_KEY, Bookmarks
from tap_truto_ats.client import ArrivingPage, Request
from tap_truto_ats.errors import AccountError
from tap_truto_ats.instants import earlier, parse_instant
from tap_truto_ats.query import REMOTE_DATA, Query
from tap_truto_ats.readings import Reading
from tap_truto_ats.records import CUSTOM_FIELDS, Normaliser, dig
from tap_truto_ats.sdk import PagedStream
from tap_truto_ats.walks import Walk, pages, pages_for_each_value, until_rows

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_sdk.helpers.types import Record

    from tap_truto_ats.accounts import Account
    from tap_truto_ats.readings import Mode
    from tap_truto_ats.resources import Resource
    from tap_truto_ats.tap import TapTrutoAts
    from tap_truto_ats.walks import Steps

SCHEMAS = SchemaDirectory(files("tap_truto_ats") / "schemas")

NOT_LISTED = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
"""Answers for a resource that the provider does not offer."""


class IntegratedAccountsStream(PagedStream):
    """The accounts in the run's scope, whatever their status."""

    name = "integrated_accounts"
    key_columns = primary_keys = ("id",)

    def __init__(self, tap: TapTrutoAts) -> None:
        """Take the schema of the stream's name."""
        super().__init__(tap, schema=SCHEMAS.get_schema(self.name))
        self.tap = tap

    @override
    def get_pages(self) -> Iterator[list[Record]]:
        normalise = Normaliser(self.effective_schema, self.is_selected)
        for row in self.tap.accounts.read():
            name = dig(row, "integration", "name")
            unreadable: Counter[str] = Counter()
            yield [normalise({**row, "integration_name": name}, unreadable)]
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
        self.tap = tap
        self.resource = resource
        self._readings: list[Reading] = []

    @override
    def get_pages(self) -> Iterator[list[Record]]:
        normalise = Normaliser(self.effective_schema, self.is_selected, self._fields)
        for walk, rows in self.tap.reader.read(self._walks(self._steps)):
            reading = walk.subject
            records = []
            for row in self._wanted(reading, rows):
                record = normalise(row, reading.unreadable)
                record[PARTITION_KEY] = reading.account.id
                records.append(record)
            if records:
                reading.rows += len(records)
                yield records
            if walk.ended:
                self._close(reading, walk.error)
        # Some targets hand on a state only when no record follows it.
        self.write_state()

    @override
    def missing(self) -> str | None:
        if not self._readings:
            return "no account was found"
        count = sum(not reading.is_complete for reading in self._readings)
        return f"{count} of {len(self._readings)} accounts were not read whole" if count else None

    def look(self) -> None:
        """Ask each account for its first row, and log a line for each; write nothing."""
        self._query = self._make_query(page_size=1)
        for walk, rows in self.tap.reader.read(self._walks(self._look_steps)):
            reading = walk.subject
            reading.rows += len(rows)
            if walk.error:
                self.tap.accounts.fail(reading.account, walk.error)
            elif walk.ended and reading.mode:
                self.logger.info(
                    "Account %s: %s; %s: %s, since %s; rows fetched: %d.",
                    reading.account,
                    reading.account.status or "status unknown",
                    self.name,
                    reading.way,
                    reading.mode.reason,
                    reading.rows,
                )

    def _look_steps(self, reading: Reading) -> Steps[None]:
        if reading.account.is_active:
            reading.account = yield from self.tap.accounts.describe(reading.account)
        yield from until_rows(self._steps(reading))

    @cached_property
    def _bookmarks(self) -> Bookmarks:
        run_start = datetime.fromtimestamp(self.tap.initialized_at / 1000, tz=timezone.utc)
        return Bookmarks(self.stream_state, self.resource.replication_key, run_start)

    @cached_property
    def _query(self) -> Query:
        return self._make_query()

    def _make_query(self, **changes: Any) -> Query:
        selected = {
            name
            for name in self.effective_schema.get("properties", {})
            if self.is_selected(("properties", name)) and name in self.schema["properties"]
        }
        deselected = self._fields - selected - {PARTITION_KEY, "id", CUSTOM_FIELDS}
        return Query(self.resource, replace(self.tap.settings, **changes), deselected)

    @property
    def _is_incremental(self) -> bool:
        return self.replication_method == REPLICATION_INCREMENTAL and not self.tap.settings.is_raw

    def _walks(self, steps: Callable[[Reading], Steps[None]]) -> list[Walk[Reading]]:
        self._readings = [self._reading(account) for account in self.tap.accounts.all()]
        self.tap.report.readings += self._readings
        return [Walk(reading, steps(reading), reading.usage) for reading in self._readings]

    def _reading(self, account: Account) -> Reading:
        bookmark = self._bookmarks.get(account.id) if self._is_incremental else None
        since = earlier(bookmark, self.tap.settings.lookback_seconds) if bookmark else None
        wanted = max(filter(None, (since, self.tap.settings.start_date)), default=None)
        return Reading(account, bookmark, since, wanted, self._bookmarks.run_start)

    def _steps(self, reading: Reading) -> Steps[None]:
        """Ask for all pages of the resource, and where it is needed what the account can do.

        Raises:
            AccountError: The account cannot be read.
        """
        account = reading.account
        if account.is_active and (account.is_named or account.provider is None):
            account = reading.account = yield from self.tap.accounts.describe(account)
        if account.is_blocked or (account.is_named and not account.is_active):
            raise account.refusal()
        if not account.is_active:
            reading.mode = readings.INACTIVE
            return
        if account.offers(self.name):
            try:
                yield from self._pages(reading)
            except AccountError as error:
                if error.status not in NOT_LISTED or reading.usage.pages:
                    raise
                # Asking each account beforehand would double the requests of most runs.
                account = reading.account = yield from self.tap.accounts.describe(account)
                if account.offers(self.name):
                    raise
        if not account.offers(self.name):
            reading.mode = readings.NOT_OFFERED

    def _pages(self, reading: Reading) -> Steps[None]:
        account = reading.account
        window = self._window(account)
        reading.mode = self._mode(account, window)
        if untaken := self._query.untaken(account):
            self.logger.info(
                "Account %s: its provider takes no %s; rows are kept unless they show otherwise.",
                account,
                ", ".join(untaken),
            )
        arriving = ArrivingPage() if self.tap.settings.response_format == "stream" else None
        request = Request(
            self.resource.path,
            self._query.params(account, reading.changed_since, window),
            account.id,
            rows=True,
            arriving=arriving,
        )
        offer = self.resource.offer(account.provider)
        requirement = offer.requires if offer else None
        if requirement is None or requirement.parameter in request.params:
            yield from pages(request)
        else:
            reading.parent = requirement.parameter.removesuffix("_id")
            parents = self._query.parents(account, requirement)
            skipped = yield from pages_for_each_value(request, requirement, parents)
            reading.parents_without_value = skipped

    def _mode(self, account: Account, window: datetime | None) -> Mode:
        offer = self.resource.offer(account.provider)
        if not self._is_incremental:
            return readings.CHOSEN
        if offer is None:
            return readings.UNKNOWN
        if self.resource.replication_key in offer.fills:
            return readings.INCREMENTAL
        return readings.WINDOW if window else readings.WHOLE

    def _window(self, account: Account) -> datetime | None:
        """Tell from when on an account's schedule is read; None reads it from its beginning."""
        days, offer = self.tap.settings.schedule_window_days, self.resource.offer(account.provider)
        read_at = self._bookmarks.whole_read_at(account.id)
        if days is None or not (offer and offer.schedule and read_at and self._is_incremental):
            return None
        run_start = self._bookmarks.run_start
        limit = timedelta(days=self.tap.settings.full_read_every_days)
        is_recent = timedelta(0) <= run_start - read_at < limit
        return earlier(run_start, days * 86_400) if is_recent else None

    def _wanted(self, reading: Reading, rows: list[Any]) -> Iterator[dict[str, Any]]:
        """Sort out the rows of a page: those without an id, and those that are not wanted."""
        is_raw, keeps_remote_data = self.tap.settings.is_raw, self.tap.wants_remote_data
        replication_key, wants = self.resource.replication_key, self._query.wants
        for given in rows:
            key = given.get("id") if isinstance(given, dict) else None
            if key is None or isinstance(key, (dict, list)) or key == "":
                reading.rows_without_id += 1
                continue
            row = {"id": key, REMOTE_DATA: given} if is_raw else given
            if not keeps_remote_data:
                row.pop(REMOTE_DATA, None)
            changed = parse_instant(row.get(replication_key))
            if changed is not None:
                reading.see(key, changed)
            if wants(row, changed, reading.wanted_since):
                yield row

    def _close(self, reading: Reading, error: AccountError | None) -> None:
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
            self.tap.accounts.fail(account, error)
        elif self._is_incremental and self._advance(reading):
            self.write_state()
        reading.new_bookmark = self._bookmarks.get(account.id)

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
        has_moved = self._bookmarks.advance(reading.account.id, reading.newest)
        if reading.mode is readings.WHOLE and reading.is_complete:
            self._bookmarks.note_whole_read(reading.account.id)
            has_moved = True
        return has_moved
