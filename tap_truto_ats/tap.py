"""The tap: its settings, its streams, and what a run shares."""

from __future__ import annotations

import sys
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from tap_truto_ats.accounts import Accounts
from tap_truto_ats.client import TrutoClient
from tap_truto_ats.reader import Reader
from tap_truto_ats.readings import INACTIVE
from tap_truto_ats.report import Report, watching
from tap_truto_ats.resources import RESOURCES
from tap_truto_ats.sdk import CommandLineTap
from tap_truto_ats.settings import SCHEMA, Settings
from tap_truto_ats.streams import IntegratedAccountsStream, UnifiedStream

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

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return [
            IntegratedAccountsStream(self),
            *(UnifiedStream(self, resource) for resource in RESOURCES.values()),
        ]

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

    @cached_property
    def client(self) -> TrutoClient:
        """HTTP to Truto, its limits and retries."""
        return TrutoClient(self.settings)

    @cached_property
    def report(self) -> Report:
        """What the operator sees of the run."""
        return Report(self.client.limiter.waiting)

    @cached_property
    def reader(self) -> Reader:
        """The loop that all streams read through."""
        return Reader(self.client.fetch, self.settings.max_concurrency)

    @cached_property
    def accounts(self) -> Accounts:
        """The accounts of the run, and why some could not be read."""
        return Accounts(self.settings, self.reader)

    @override
    def stop(self, exit_code: int) -> None:
        self.reader.stop(exit_code)

    @override
    def look(self) -> None:
        self.settings = replace(self.settings, fail_on_account_error=True)
        for stream in self.streams.values():
            if isinstance(stream, UnifiedStream):
                stream.look()

    @override
    def watching(self) -> AbstractContextManager[None]:
        return watching(self.report)

    @override
    def end(self) -> bool:
        inactive = [one.account for one in self.report.readings if one.mode is INACTIVE]
        if inactive:
            names = ", ".join(f"{account} {account.status}" for account in inactive)
            self.logger.warning(
                "Skipped accounts that are not active: %s. Their customers must reconnect.", names
            )
        failures = self.accounts.failures.values()
        for account, failure in failures:
            self.logger.error("Account %s was not read to its end: %s", account, failure)
        if self.settings.fail_on_account_error:
            return not failures
        return not any(failure.is_fault for _, failure in failures)
