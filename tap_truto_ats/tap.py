"""The tap: settings come in, and streams go out."""

from __future__ import annotations

from collections import Counter, defaultdict
from copy import deepcopy
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_truto_ats.account_streams import AccountSyncsStream, IntegratedAccountsStream
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.report import watching
from tap_truto_ats.run import Run
from tap_truto_ats.settings.schema import SCHEMA
from tap_truto_ats.singer.command_line import CommandLineTap
from tap_truto_ats.streams import UnifiedStream
from tap_truto_ats.sync.shards import account_ids, part_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from singer_sdk import Stream


class TapTrutoAts(CommandLineTap):
    """Singer tap for the applicant tracking systems connected through Truto's unified ATS API."""

    name = "tap-truto-ats"
    config_jsonschema: ClassVar[dict[str, Any]] = deepcopy(SCHEMA)  # the SDK adds its own to it

    @cached_property
    def run(self) -> Run:
        """What all streams share."""
        start = datetime.fromtimestamp(self.initialized_at / 1000, tz=timezone.utc)
        return Run(self.config, start)

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        if state and (shard := self.run.settings.shard):  # Discovery has no valid settings.
            whole, state = state, part_of(state, shard)
            if foreign := len(account_ids(whole) - account_ids(state)):
                self.logger.warning(
                    "The state knows %d accounts of other shards. They do not count, and the state"
                    " of this run is without them: each shard has a state of its own.",
                    foreign,
                )
        super().load_state(state)

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return [
            AccountSyncsStream(self, self.run),
            IntegratedAccountsStream(self, self.run),
            *(UnifiedStream(self, self.run, resource) for resource in RESOURCES.values()),
        ]

    @override
    def sync_for_target(self) -> None:
        for name in [*self.streams]:
            if name in RESOURCES:  # Read before the accounts, they would have them listed twice.
                self.streams[name] = self.streams.pop(name)
        super().sync_for_target()

    @override
    def stop(self, exit_code: int) -> None:
        self.run.scheduler.stop(exit_code)

    @override
    def test(self) -> None:
        self.run.is_test = True
        unified = [one for one in self.streams.values() if isinstance(one, UnifiedStream)]
        streams = [one for one in unified if one.selected]
        tasks = streams[0].tasks(streams) if streams else {}
        ended: Counter[str] = Counter()
        found: defaultdict[str, list[str]] = defaultdict(list)
        for sync, _ in filter(None, self.run.read(tasks)):
            account = sync.account
            if sync.error:
                self.run.accounts.fail(account, sync.error, sync.stream)
            elif sync.has_ended:
                found[account.id].append(sync.description)
            ended[account.id] += sync.has_ended
            if ended[account.id] == len(streams) and found[account.id]:
                self.logger.info(
                    "Account %s: %s; %s.",
                    account,
                    account.status or "status unknown",
                    "; ".join(sorted(found[account.id])),
                )

    @override
    def watching(self) -> AbstractContextManager[None]:
        return watching(self.run.report)

    @override
    def end(self) -> bool:
        if self.run.report.has_begun and (inactive := self.run.accounts.inactive):
            self.logger.warning(
                "Skipped accounts that are not active: %s. Their customers must reconnect.",
                ", ".join(f"{one} {one.status}" for one in inactive),
            )
        failures = self.run.accounts.failures.values()
        for failure in failures:
            self.logger.error(
                "Account %s was not read to its end (%s): %s",
                failure.account,
                ", ".join(failure.streams),
                failure.error,
            )
        if self.run.settings.fail_on_account_error or self.run.is_test:
            return not failures
        return not any(failure.error.is_fault for failure in failures)
