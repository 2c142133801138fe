"""The streams: integrated accounts, and every declared resource of the unified ATS API."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from singer_sdk.schema.source import SchemaDirectory
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL

from tap_truto_ats.bookmarks import PARTITION_KEY, Bookmarks
from tap_truto_ats.client import ArrivingPage, Request
from tap_truto_ats.instants import earlier, parse_instant
from tap_truto_ats.query import REMOTE_DATA, Query
from tap_truto_ats.records import CUSTOM_FIELDS, Normaliser, dig
from tap_truto_ats.sdk import PagedStream
from tap_truto_ats.walks import Walk, pages, pages_for_each_value, until_rows

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_sdk.helpers.types import Context, Record

    from tap_truto_ats.accounts import Account
    from tap_truto_ats.errors import AccountError
    from tap_truto_ats.resources import Resource
    from tap_truto_ats.tap import TapTrutoAts
    from tap_truto_ats.walks import Steps

SCHEMAS = SchemaDirectory(files("tap_truto_ats") / "schemas")


class IntegratedAccountsStream(PagedStream):
    """The accounts in the run's scope, whatever their status."""

    name = "integrated_accounts"
    key_columns = primary_keys = ("id",)

    def __init__(self, tap: TapTrutoAts) -> None:
        """Take the schema of the stream's name."""
        super().__init__(tap, schema=SCHEMAS.get_schema(self.name))
        self.tap = tap

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        normalise = Normaliser(self.effective_schema, self.is_selected)
        for row in self.tap.accounts.read():
            name = dig(row, "integration", "name")
            unreadable: Counter[str] = Counter()
            with self.page():
                yield normalise({**row, "integration_name": name}, unreadable)
            self.warn_of_unreadable(str(row["id"]), unreadable)


@dataclass
class Reading:
    """One account's reading in a run."""

    account: Account
    changed_since: datetime | None
    """What Truto is asked for: the bookmark less the lookback; None reads the account whole."""
    wanted_since: datetime | None
    """What is emitted: the same, or `start_date` if that is later."""
    is_asked: bool = False
    """Whether its rows were asked for: it is active and offers them."""
    newest: datetime | None = None
    rows_without_id: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)


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

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        normalise = Normaliser(self.effective_schema, self.is_selected, self._fields)
        for walk, rows in self.tap.reader.read(self._walks(self._steps)):
            reading = walk.subject
            with self.page():
                for row in self._wanted(reading, rows):
                    record = normalise(row, reading.unreadable)
                    record[PARTITION_KEY] = reading.account.id
                    yield record
            if walk.ended:
                self._close(reading, walk.error)
        # Some targets hand on a state only when no record follows it.
        self.write_state()

    def look(self) -> None:
        """Ask each account for its first page of rows; what fails is kept for the report."""
        for walk, _ in self.tap.reader.read(self._walks(lambda one: until_rows(self._steps(one)))):
            if walk.error:
                self.tap.accounts.fail(walk.subject.account, walk.error)
            elif walk.ended and walk.subject.is_asked:
                self.logger.info("Account %s answers.", walk.subject.account)

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
        return Query(self.resource, self.tap.settings, deselected)

    @property
    def _is_incremental(self) -> bool:
        return self.replication_method == REPLICATION_INCREMENTAL and not self.tap.settings.is_raw

    def _walks(self, steps: Callable[[Reading], Steps[None]]) -> list[Walk[Reading]]:
        readings = [self._reading(account) for account in self.tap.accounts.all()]
        return [Walk(reading, steps(reading)) for reading in readings]

    def _reading(self, account: Account) -> Reading:
        bookmark = self._bookmarks.get(account.id) if self._is_incremental else None
        since = earlier(bookmark, self.tap.settings.lookback_seconds) if bookmark else None
        wanted = max(filter(None, (since, self.tap.settings.start_date)), default=None)
        return Reading(account, changed_since=since, wanted_since=wanted)

    def _steps(self, reading: Reading) -> Steps[None]:
        """Ask what the account can do, then for all pages of the resource.

        Raises:
            AccountError: The account cannot be read.
        """
        account = reading.account
        if account.is_active:
            account = reading.account = yield from self.tap.accounts.describe(account)
        if account.is_blocked or (account.is_named and not account.is_active):
            raise account.refusal()
        if not account.is_active:
            self.tap.accounts.inactive[account.id] = account
            return
        if not account.offers(self.name):
            self.logger.info("Account %s does not offer %s: skipped.", account, self.name)
            return
        if untaken := self._query.untaken(account):
            self.logger.info(
                "Account %s: its provider takes no %s; rows are kept unless they show otherwise.",
                account,
                ", ".join(untaken),
            )
        reading.is_asked = True
        arriving = ArrivingPage() if self.tap.settings.response_format == "stream" else None
        request = Request(
            self.resource.path,
            self._query.params(account, reading.changed_since),
            account.id,
            rows=True,
            arriving=arriving,
        )
        offer = self.resource.offer(account.provider)
        requirement = offer.requires if offer else None
        if requirement is None or requirement.parameter in request.params:
            yield from pages(request)
        else:
            parents = self._query.parents(account, requirement)
            yield from pages_for_each_value(request, requirement, parents)

    def _wanted(self, reading: Reading, rows: list[Any]) -> Iterator[dict[str, Any]]:
        """Sort out the rows of a page: those without an id, and those that are not wanted."""
        is_raw, keeps_remote_data = self.tap.settings.is_raw, self.tap.wants_remote_data
        for given in rows:
            key = given.get("id") if isinstance(given, dict) else None
            if key is None or isinstance(key, (dict, list)) or key == "":
                reading.rows_without_id += 1
                continue
            row = {"id": key, REMOTE_DATA: given} if is_raw else given
            if not keeps_remote_data:
                row.pop(REMOTE_DATA, None)
            changed = parse_instant(row.get(self.resource.replication_key))
            if changed and (reading.newest is None or changed > reading.newest):
                reading.newest = changed
            if self._query.wants(row, changed, reading.wanted_since):
                yield row

    def _close(self, reading: Reading, error: AccountError | None) -> None:
        """Settle an account whose last rows are out: its bookmark moves, or its error is kept."""
        if reading.rows_without_id:
            self.logger.warning(
                "Account %s: %d rows of %s without an id were not emitted.",
                reading.account,
                reading.rows_without_id,
                self.name,
            )
        self.warn_of_unreadable(str(reading.account), reading.unreadable)
        if error:
            self.tap.accounts.fail(reading.account, error)
        elif self._is_incremental and self._bookmarks.advance(reading.account.id, reading.newest):
            self.write_state()
