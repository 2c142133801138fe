"""What all streams of a run share: settings, HTTP, the scheduler, accounts, parents, report."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_truto_ats.api.client import TrutoClient
from tap_truto_ats.report import Report
from tap_truto_ats.settings.schema import Settings
from tap_truto_ats.sync.accounts import Accounts
from tap_truto_ats.sync.progress import Notes
from tap_truto_ats.sync.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from tap_truto_ats.sync.account_sync import AccountSync, SyncTask

logger = logging.getLogger(__name__)


@dataclass
class Run:
    """Built by the tap, and handed to its streams.

    Discovery runs without valid settings; therefore each part is made when it is first used.
    """

    config: Mapping[str, Any]
    """The configuration as given."""
    start: datetime
    is_test: bool = False
    """Whether each account is only tested, as `--test` does."""
    under_way: set[AccountSync] = field(default_factory=set)
    """The account syncs that have begun and not ended."""
    unlisted: set[str] = field(default_factory=set)
    """The accounts that were told to be no longer listed."""
    notes: Notes = field(default_factory=Notes)
    """When to note how far fan-outs are."""
    on_end: Callable[[dict[str, Any]], None] = lambda _: None
    """Takes what is recorded of each account sync that has ended, when its rows are out."""

    @property
    def wants_remote_data(self) -> bool:
        """Whether rows carry `remote_data`; known without valid settings, for discovery."""
        return (
            self.config.get("include_remote_data") is True
            or self.config.get("response_format") == "raw"
        )

    @cached_property
    def settings(self) -> Settings:
        """The settings, typed and with their defaults."""
        return Settings.from_config(self.config)

    @property
    def page_settings(self) -> Settings:
        """The settings for pages of rows: a test requests a single row."""
        return replace(self.settings, page_size=1) if self.is_test else self.settings

    @cached_property
    def client(self) -> TrutoClient:
        """HTTP to Truto, under its limits."""
        return TrutoClient(self.settings)

    @cached_property
    def scheduler(self) -> Scheduler:
        """The one loop over all accounts."""
        settings, client = self.settings, self.client
        return Scheduler(client.fetch, client.admit, settings.max_concurrency, settings.max_retries)

    @cached_property
    def report(self) -> Report:
        """What the operator sees of the run."""
        return Report(
            self.unfinished, self.scheduler.waiting, self.client.limiter, self.settings.shard
        )

    @cached_property
    def accounts(self) -> Accounts:
        """The accounts of the run, and why some could not be read."""
        return Accounts(self.settings, self.scheduler, self.client.now)

    def read(
        self, tasks: Mapping[str | None, Iterable[SyncTask]]
    ) -> Iterator[tuple[AccountSync, Sequence[Any]] | None]:
        """Run the tasks of account syncs: yield the rows of each page, and no rows at a sync's end.

        `Scheduler.read` tells when None comes, and what is raised.
        """
        self.report.begin(len(tasks))
        if self.settings.shard:
            logger.info("Reading %s: %d accounts.", self.settings.shard, len(tasks))
        for read in self.scheduler.read(tasks):
            if read is None:
                yield None
                continue
            task, rows, is_end = read
            sync = task.subject
            if sync is None:  # Lists of parents and capabilities belong to no single sync.
                continue
            if rows:
                sync.rows += len(rows)
                self.report.rows += len(rows)
                yield sync, rows
            if is_end:
                sync.end(task.error)
                yield sync, ()

    def tell_of_unlisted(self, account_ids: Iterable[str]) -> None:
        """Log, once each, which accounts the state knows and Truto no longer lists."""
        new = [one for one in dict.fromkeys(account_ids) if one not in self.unlisted]
        self.unlisted.update(new)
        if new:
            logger.warning(
                "Truto no longer lists %d accounts that the state knows: %s.",
                len(new),
                ", ".join(new),
            )

    def unfinished(self) -> set[str | None]:
        """Return the accounts that have not been read to their end."""
        begun = list(self.under_way)  # Another thread may ask.
        return {*self.scheduler.unfinished(), *(sync.account.id for sync in begun)}

    def note(self, sync: AccountSync) -> None:
        """Take note of an account sync that has ended and whose rows are out."""
        self.under_way.discard(sync)
        record = sync.record()
        self.report.add(record)
        self.on_end(record)
