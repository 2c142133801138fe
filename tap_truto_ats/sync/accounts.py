"""The integrated accounts of a run: which there are, and what can be read from them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tap_truto_ats.api.errors import BLOCKED_CURE, AccountError, RunError
from tap_truto_ats.api.request import Request
from tap_truto_ats.model.records import dig
from tap_truto_ats.sync.tasks import Steps, Task, answer_to, pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_truto_ats.settings.schema import Settings
    from tap_truto_ats.sync.scheduler import Scheduler

logger = logging.getLogger(__name__)

PATH = "/integrated-account"
CATEGORY = "ats"
NOT_SHOWN = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
"""Statuses by which the account endpoints answer a token that may not use them."""

STREAM = "integrated_accounts"

CURES = {
    "needs_reauth": "The customer must reconnect it in Truto",
    "connecting": "The customer must finish connecting it in Truto",
}


@dataclass(frozen=True)
class Account:
    """An integrated account; whatever is not known of it is None."""

    id: str
    provider: str | None = None
    status: str | None = None
    is_blocked: bool = False
    resources: frozenset[str] | None = None

    def __str__(self) -> str:
        """Name the account in a log line."""
        return f"{self.id} ({self.provider or 'provider unknown'})"

    @property
    def is_active(self) -> bool:
        """Whether Truto serves it; an unknown status counts as active."""
        return self.status in {None, "active"}

    def refusal(self) -> AccountError:
        """Return the error that says why an account which is blocked or not active is not read."""
        if self.is_blocked:
            return AccountError("Truto says that the account is blocked", BLOCKED_CURE)
        cure = CURES.get(self.status or "", "Look at the account's last error in Truto")
        return AccountError(f"The account's status is {self.status}", cure)

    def offers(self, resource: str) -> bool:
        """Return whether its provider lists the resource; True where that is not known."""
        return self.resources is None or resource in self.resources


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
    refused: dict[str, AccountError] = field(default_factory=dict)
    """By account: why nothing can be read from it. It is blocked, for example."""
    failures: dict[tuple[str, str], Failure] = field(default_factory=dict)
    """By account and the error's text."""
    _listed: dict[str, Account] | None = None
    _described: dict[str, Task[None]] = field(default_factory=dict)

    @cached_property
    def _named(self) -> dict[str, Account]:
        return {name: Account(name) for name in self.settings.integrated_account_ids}

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
        for row in self._look_up() if self._named else self._list():
            account = _account(row)
            if account.id not in listed:
                listed[account.id] = account
                yield row
        self._listed = listed

    def all(self) -> list[Account]:
        """Return the run's accounts; they are listed first if that was not done yet.

        Raises:
            RunError: No account is named, and the token may not list them.
        """
        if self._listed is None and not self._named:
            for _ in self.read():
                pass
        return list((self._named | (self._listed or {})).values())

    def describe(self, account: Account) -> Steps[Account]:
        """Return the account with its capabilities, which are requested once a run.

        Raises:
            AccountError: The answer is an error, but for 403 and 404: the token may not ask.
        """
        if account.id not in self._described:
            self._described[account.id] = Task(None, _describe(account), account.id)
        task = self._described[account.id]
        yield task
        described: Account = task.result
        return described

    def _look_up(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the named accounts, one request each."""
        tasks = [
            Task(account, pages(Request(_path(account), single=True)), account.id)
            for account in self._named.values()
        ]
        hidden = []
        for task, rows, _ in self.scheduler.read(tasks):
            yield from ({**row, "id": task.subject.id} for row in rows)
            if task.error and task.error.status in NOT_SHOWN:
                hidden.append(task.subject.id)
            elif task.error:
                self.refused[task.subject.id] = task.error
                self.fail(task.subject, task.error, STREAM)
        if hidden:
            logger.warning("This token is not shown the integrated accounts %s.", ", ".join(hidden))

    def _list(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the ATS category, for each tenant in the settings or for all."""
        tasks = []
        for tenant in self.settings.tenant_ids or (None,):
            params = {"limit": self.settings.page_size} | ({"tenant_id": tenant} if tenant else {})
            tasks.append(Task(None, pages(Request(PATH, params))))
        found = without_id = 0
        for task, rows, _ in self.scheduler.read(tasks):
            if task.error:
                raise _cannot_list(task.error)
            for row in rows:
                if not dig(row, "id"):
                    without_id += 1
                elif self._is_wanted(row):
                    found += 1
                    yield row
        if without_id:
            logger.warning("%d integrated accounts without an id were passed over.", without_id)
        if not found:
            logger.warning("No integrated account was found: check `tenant_ids` and the token.")

    def _is_wanted(self, row: dict[str, Any]) -> bool:
        """Check a row against the filters that were sent, since the server may ignore them."""
        category, tenants = dig(row, "integration", "category"), self.settings.tenant_ids
        return (category is None or str(category).lower() == CATEGORY) and (
            not tenants or str(row.get("tenant_id")) in tenants
        )


def _describe(account: Account) -> Steps[Account]:
    path = f"{_path(account)}/capabilities"
    try:
        page = yield from answer_to(Request(path, {"type": "unified"}, account.id, single=True))
    except AccountError as error:
        if error.status not in NOT_SHOWN:
            raise
        return account
    return _with_capabilities(account, page.rows[0])


def _path(account: Account) -> str:
    return f"{PATH}/{quote(account.id, safe='')}"


def _account(row: dict[str, Any]) -> Account:
    return Account(
        id=str(row["id"]),
        provider=_lower(dig(row, "integration", "name")),
        status=_lower(dig(row, "status")),
    )


def _with_capabilities(account: Account, body: dict[str, Any]) -> Account:
    """Add what `/integrated-account/{id}/capabilities` tells; keep what it does not tell."""
    entries = body.get("unified")
    resources = None
    if isinstance(entries, list):
        resources = frozenset(
            str(dig(entry, "resource"))
            for entry in entries
            if _lower(dig(entry, "model")) == CATEGORY and _can_list(dig(entry, "methods"))
        )
    return replace(
        account,
        provider=_lower(dig(body, "integration", "name")) or account.provider,
        status=_lower(dig(body, "account", "status")) or account.status,
        is_blocked=dig(body, "account", "is_blocked") is True,
        resources=resources,
    )


def _can_list(methods: object) -> bool:
    """Return whether a resource can be listed; methods of an unknown form do not rule it out."""
    if not isinstance(methods, list) or not all(isinstance(one, str) for one in methods):
        return True
    return not methods or "list" in map(str.lower, methods)


def _lower(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and value else None


def _cannot_list(error: AccountError) -> RunError:
    if error.status in NOT_SHOWN:
        return RunError(
            f"This token may not list integrated accounts (HTTP {error.status})."
            " Name the accounts to read in `integrated_account_ids`."
        )
    return RunError(f"The integrated accounts could not be listed. {error}")
