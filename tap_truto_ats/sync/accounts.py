"""The integrated accounts of a run: which there are, and what can be read from them."""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_truto_ats.api.errors import AccountError, RunError
from tap_truto_ats.api.request import ACCOUNTS, Request
from tap_truto_ats.model.declaration import provider_key
from tap_truto_ats.model.records import dig
from tap_truto_ats.model.resources import ACCOUNTS as ACCOUNTS_STREAM
from tap_truto_ats.model.resources import PROVIDERS
from tap_truto_ats.sync.account import CATEGORY, NOT_SHOWN, Account, account_of, lower, path_of
from tap_truto_ats.sync.evidence import Doubt, Evidence
from tap_truto_ats.sync.lists import read_list
from tap_truto_ats.sync.tasks import Rows, Steps, Task, answer_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from tap_truto_ats.settings.schema import Settings
    from tap_truto_ats.sync.evidence import Tally
    from tap_truto_ats.sync.scheduler import Scheduler

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """Why some streams of an account were not read to their end."""

    account: Account
    error: AccountError
    streams: dict[str, None] = field(default_factory=dict)
    """Their names, in the order of their failing."""


@dataclass
class Accounts:
    """The accounts named in the settings, or else those found in the token's environment."""

    settings: Settings
    scheduler: Scheduler
    now: Callable[[], datetime]
    """Returns the time by Truto's clock."""
    failures: dict[tuple[str, str], Failure] = field(default_factory=dict)
    """By account and the error's text."""
    hidden: list[Account] = field(default_factory=list)
    """Those that are named and that the token is not shown."""
    _passed_over: dict[str, str] = field(default_factory=dict)
    """By id: the categories of accounts that are of no applicant tracking system."""
    _tenants: set[str] = field(default_factory=set)
    """Whose accounts were found, in whatever shard."""
    _listed: dict[str, Account] | None = None

    @cached_property
    def evidence(self) -> Evidence:
        """What tells whether all accounts were found."""
        return Evidence(self.now, is_exact=self.settings.emit_activate_version_messages)

    @cached_property
    def _named(self) -> dict[str, Account]:
        names = filter(self._is_in_shard, self.settings.integrated_account_ids)
        return {name: Account(name) for name in names}

    def _is_in_shard(self, account_id: str) -> bool:
        shard = self.settings.shard
        return shard is None or account_id in shard

    def fail(self, account: Account, error: AccountError, stream: str) -> None:
        """Remember why a stream of an account could not be read; the log ends with all of these."""
        failure = self.failures.setdefault((account.id, str(error)), Failure(account, error))
        failure.streams[stream] = None

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield each account's row once, as `/integrated-account` gives it.

        Raises:
            RunError: No account is named, and the token may not list them.
        """
        listed: dict[str, Account] = {}
        for row in self._look_up() if self.settings.integrated_account_ids else self._list():
            account = account_of(row)
            if account.id not in listed:
                listed[account.id] = account
                yield row
        self._listed = listed

    def all(self) -> list[Account]:
        """Return the run's accounts; they are read first if that was not done yet."""
        if self._listed is None and not self.settings.integrated_account_ids:
            for _ in self.read():
                pass
        return list((self._named | (self._listed or {})).values())

    @property
    def part(self) -> str | None:
        """The setting by which the run covers a part of the accounts; None if it covers all."""
        names = ("integrated_account_ids", "tenant_ids")
        return next((name for name in names if getattr(self.settings, name)), None)

    @property
    def any_found(self) -> bool:
        """Whether accounts were found, in whatever shard; they must have been read."""
        return bool(self._tenants)

    @property
    def inactive(self) -> list[Account]:
        """Those found that their customers must reconnect before they can be read."""
        if self.settings.integrated_account_ids:
            return []
        return [one for one in self.all() if not one.is_active]

    def _look_up(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the named accounts, one request each."""
        tasks: dict[str | None, list[Task[Account]]] = {
            name: [Task(one, _look_up(one), name)] for name, one in self._named.items()
        }
        for task, rows, _ in filter(None, self.scheduler.read(tasks)):
            account, error = task.subject, task.error
            yield from ({**row, "id": account.id} for row in rows)
            if error and error.status in NOT_SHOWN:
                self.hidden.append(account)
            elif error:
                self.scheduler.refused[account.id] = error
                self.fail(account, error, ACCOUNTS_STREAM)
        if self.hidden:
            names = ", ".join(one.id for one in self.hidden)
            logger.warning("This token is not shown the integrated accounts %s.", names)

    def _list(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of applicant tracking systems, of the tenants in the settings or of all.

        Raises:
            RunError: They could not be listed, or no tenant in the settings has one.
        """
        tasks, evidence = [], self.evidence
        for tenant in self.settings.tenant_ids or (None,):
            params = {"limit": self.settings.page_size} | ({"tenant_id": tenant} if tenant else {})
            request = Request(ACCOUNTS, params)
            steps = read_list(request, evidence, self._take, wants_all=lambda: evidence.is_exact)
            tasks.append(Task(None, steps))
        for task, rows, _ in filter(None, self.scheduler.read({None: tasks})):
            if task.error:
                raise _cannot_list(task.error)
            yield from rows
        if without_id := evidence.doubts[Doubt.WITHOUT_ID]:
            logger.warning("%d integrated accounts without an id were passed over.", without_id)
        if by_category := Counter(self._passed_over.values()):
            logger.info(
                "Passed over integrated accounts of other categories: %s.",
                ", ".join(f"{name} {n}" for name, n in sorted(by_category.items())),
            )
        if lacking := [one for one in self.settings.tenant_ids if one not in self._tenants]:
            line = f"No integrated account was found of {', '.join(lacking)}: check `tenant_ids`."
            if not self.any_found:
                raise RunError(line)
            logger.warning("%s", line)
        elif not self.any_found:
            logger.warning("No integrated account was found: check the token's environment.")

    def _take(self, rows: list[Any], tally: Tally) -> Steps[None]:
        """Hand out the wanted rows of a page."""
        with_id = [row for row in rows if dig(row, "id")]
        if len(with_id) < len(rows):
            self.evidence.doubts[Doubt.WITHOUT_ID] += len(rows) - len(with_id)
        new = [row for row in with_id if tally.see(str(row["id"]), None)]
        yield Rows([row for row in new if self._is_wanted(row)])

    def _is_wanted(self, row: dict[str, Any]) -> bool:
        """Check whether a row is of an applicant tracking system, a wanted tenant and the shard.

        The tenant was asked for, but the server may ignore that. Truto files some applicant
        tracking systems under HRIS: BambooHR, HR Cloud and Keka.
        """
        tenants, tenant = self.settings.tenant_ids, row.get("tenant_id")
        if tenants and (tenant is None or str(tenant) not in tenants):
            return False
        category = str(dig(row, "integration", "category") or CATEGORY).lower()
        provider = provider_key(lower(dig(row, "integration", "name")))
        if CATEGORY in re.findall(r"\w+", category) or provider in PROVIDERS:
            self._tenants.add(str(tenant))
            return self._is_in_shard(str(row["id"]))
        self._passed_over[str(row["id"])] = category
        return False


def _look_up(account: Account) -> Steps[None]:
    page = yield from answer_to(Request(path_of(account), account_id=account.id, single=True))
    yield Rows(page.rows)


def _cannot_list(error: AccountError) -> RunError:
    if error.status in NOT_SHOWN:
        return RunError(
            f"This token may not list integrated accounts (HTTP {error.status})."
            " Name the accounts to read in `integrated_account_ids`."
        )
    return RunError(f"The integrated accounts could not be listed. {error}")
