"""The tap: its settings, its streams, and what a run shares."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from tap_truto_ats.api.client import TrutoClient
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.report import Report, watching
from tap_truto_ats.settings.schema import SCHEMA, Settings
from tap_truto_ats.singer.stream import CommandLineTap
from tap_truto_ats.streams import IntegratedAccountsStream, UnifiedStream
from tap_truto_ats.sync.account_sync import INACTIVE
from tap_truto_ats.sync.accounts import Accounts
from tap_truto_ats.sync.parents import ParentLists
from tap_truto_ats.sync.scheduler import Reader

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from singer_sdk import Stream


class TapTrutoAts(CommandLineTap):
    """Singer tap for the applicant tracking systems connected through Truto's unified ATS API."""

    name = "tap-truto-ats"
    config_jsonschema: ClassVar[dict[str, Any]] = deepcopy(SCHEMA)  # the SDK adds its own to it

    is_look = False
    """Whether the run only looks at each account, as `--test` does."""

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return [
            IntegratedAccountsStream(self),
            *(UnifiedStream(self, resource) for resource in RESOURCES.values()),
        ]

    @property
    def unified_streams(self) -> list[UnifiedStream]:
        """The streams that are read in one loop."""
        return [stream for stream in self.streams.values() if isinstance(stream, UnifiedStream)]

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
        """The settings for pages of rows: a look wants a single row."""
        return replace(self.settings, page_size=1) if self.is_look else self.settings

    @cached_property
    def client(self) -> TrutoClient:
        """HTTP to Truto, its limits and retries."""
        return TrutoClient(self.settings)

    @cached_property
    def report(self) -> Report:
        """What the operator sees of the run."""
        return Report(self.reader.waiting, self.client.limiter)

    @cached_property
    def reader(self) -> Reader:
        """The loop that all streams read through."""
        return Reader(self.client.fetch, self.client.admit, self.settings.max_concurrency)

    @cached_property
    def accounts(self) -> Accounts:
        """The accounts of the run, and why some could not be read."""
        return Accounts(self.settings, self.reader)

    @cached_property
    def parents(self) -> ParentLists:
        """The lists of parents that several streams may need."""
        return ParentLists(self.page_settings.page_size, is_look=self.is_look)

    @override
    def stop(self, exit_code: int) -> None:
        self.reader.stop(exit_code)

    @override
    def look(self) -> None:
        self.is_look = True
        walks = [walk for one in self.unified_streams if one.selected for walk in one.walks()]
        outstanding = Counter(walk.account_id for walk in walks)
        found: defaultdict[str | None, list[str]] = defaultdict(list)
        for walk, rows, is_end in self.reader.read(walks):
            reading = walk.subject
            if reading is None:  # a list of parents, say
                continue
            reading.rows += len(rows)
            outstanding[walk.account_id] -= is_end
            if is_end and walk.error:
                self.accounts.fail(reading.account, walk.error, reading.stream.name)
            elif is_end:
                found[walk.account_id].append(reading.description)
            if not outstanding[walk.account_id] and found[walk.account_id]:
                self.logger.info(
                    "Account %s: %s; %s.",
                    reading.account,
                    reading.account.status or "status unknown",
                    "; ".join(sorted(found[walk.account_id])),
                )

    @override
    def watching(self) -> AbstractContextManager[None]:
        return watching(self.report)

    @override
    def end(self) -> bool:
        inactive = {
            f"{one.account} {one.account.status}": None
            for one in self.report.readings
            if one.mode is INACTIVE
        }
        if inactive:
            self.logger.warning(
                "Skipped accounts that are not active: %s. Their customers must reconnect.",
                ", ".join(inactive),
            )
        failures = self.accounts.failures.values()
        for failure in failures:
            self.logger.error(
                "Account %s was not read to its end (%s): %s",
                failure.account,
                ", ".join(failure.streams),
                failure.error,
            )
        if self.settings.fail_on_account_error or self.is_look:
            return not failures
        return not any(failure.error.is_fault for failure in failures)
