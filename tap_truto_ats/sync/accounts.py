"""The integrated accounts of a run: which they are, and what can be read from them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tap_truto_ats.api.client import Request
from tap_truto_ats.api.errors import BLOCKED_CURE, AccountError, RunError
from tap_truto_ats.model.records import dig
from tap_truto_ats.sync.tasks import Steps, Walk, pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_truto_ats.settings.schema import Settings
    from tap_truto_ats.sync.scheduler import Reader

logger = logging.getLogger(__name__)

PATH = "/integrated-account"
CATEGORY = "ats"
ACTIVE = "active"
NOT_SHOWN = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
"""Answers of the account endpoints to a token that may not use them."""

STREAM = "integrated_accounts"

CURES = {
    "needs_reauth": "The customer must reconnect it in Truto",
    "connecting": "The customer must finish connecting it in Truto",
}


@dataclass(frozen=True)
class Account:
    """An integrated account; what is not known of it is None."""

    id: str
    is_named: bool
    provider: str | None = None
    status: str | None = None
    is_blocked: bool = False
    resources: frozenset[str] | None = None

    def __str__(self) -> str:
        """Name the account in a log line."""
        return f"{self.id} ({self.provider or 'provider unknown'})"

    @property
    def is_active(self) -> bool:
        """Whether Truto serves it, as far as known."""
        return self.status in {None, ACTIVE}

    def refusal(self) -> AccountError:
        """Tell why an account that is blocked or not active is not read."""
        if self.is_blocked:
            return AccountError("Truto says that the account is blocked", BLOCKED_CURE)
        cure = CURES.get(self.status or "", "Look at the account's last error in Truto")
        return AccountError(f"The account's status is {self.status}", cure)

    def offers(self, resource: str) -> bool:
        """Whether its provider lists the resource, as far as known."""
        return self.resources is None or resource in self.resources


@dataclass
class Description:
    """An account, with its capabilities once they were asked for."""

    account: Account


@dataclass(frozen=True)
class Failure:
    """Why some streams of an account were not read to their end."""

    account: Account
    error: AccountError
    streams: dict[str, None] = field(default_factory=dict)
    """Their names, in the order of their failing."""


class Accounts:
    """The accounts named in the settings, or else those found in the token's environment."""

    def __init__(self, settings: Settings, reader: Reader) -> None:
        """Ask for nothing yet."""
        self._settings = settings
        self._reader = reader
        self._named = {
            name: Account(name, is_named=True) for name in settings.integrated_account_ids
        }
        self._listed: dict[str, Account] | None = None
        self._described: dict[str, tuple[Walk[None], Description]] = {}
        self._refused: dict[str, AccountError] = {}
        self.failures: dict[tuple[str, str], Failure] = {}

    def fail(self, account: Account, error: AccountError, stream: str) -> None:
        """Remember why a stream of an account could not be read; the run's end reports it."""
        failure = self.failures.setdefault((account.id, str(error)), Failure(account, error))
        failure.streams[stream] = None

    def refuse(self, account: Account, error: AccountError) -> None:
        """Remember why nothing can be read from an account."""
        self._refused[account.id] = error

    def check(self, account: Account) -> None:
        """Raise what has shown already that nothing can be read from an account.

        Raises:
            AccountError: Its login was refused, it is blocked, or it could not be looked up.
        """
        if account.id in self._refused:
            raise self._refused[account.id]

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the accounts' own rows as `/integrated-account` gives them, each once.

        Raises:
            RunError: No account is named, and the token may not list them.
        """
        listed: dict[str, Account] = {}
        for row in self._look_up() if self._named else self._list():
            account = _account(row, is_named=bool(self._named))
            if account.id not in listed:
                listed[account.id] = account
                yield row
        self._listed = listed

    def all(self) -> list[Account]:
        """Tell the run's accounts, listing them first if that is needed.

        Raises:
            RunError: No account is named, and the token may not list them.
        """
        if self._listed is None and not self._named:
            for _ in self.read():
                pass
        return list((self._named | (self._listed or {})).values())

    def describe(self, account: Account) -> Steps[Account]:
        """Add the account's capabilities, asked for once a run.

        Raises:
            AccountError: Truto cannot tell; a token without the right to ask is no error.
        """
        if account.id not in self._described:
            description = Description(account)
            walk = Walk(None, _describe(description), account.id)
            self._described[account.id] = walk, description
        walk, description = self._described[account.id]
        yield walk
        return description.account

    def _look_up(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the named accounts, one request each."""
        walks = [
            Walk(account, pages(Request(_path(account), single=True, rows=True)), account.id)
            for account in self._named.values()
        ]
        hidden = []
        for walk, rows, _ in self._reader.read(walks):
            yield from ({**row, "id": walk.subject.id} for row in rows)
            if walk.error and walk.error.status in NOT_SHOWN:
                hidden.append(walk.subject.id)
            elif walk.error:
                self.refuse(walk.subject, walk.error)
                self.fail(walk.subject, walk.error, STREAM)
        if hidden:
            logger.warning("This token is not shown the integrated accounts %s.", ", ".join(hidden))

    def _list(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the ATS category, of each tenant in the settings or of all."""
        walks = []
        for tenant in self._settings.tenant_ids or (None,):
            params = {"limit": self._settings.page_size} | ({"tenant_id": tenant} if tenant else {})
            walks.append(Walk(tenant, pages(Request(PATH, params, rows=True))))
        found = without_id = 0
        for walk, rows, _ in self._reader.read(walks):
            if walk.error:
                raise _cannot_list(walk.error)
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
        """Check what the server was asked for, since its filters are hints."""
        category, tenants = dig(row, "integration", "category"), self._settings.tenant_ids
        return (category is None or str(category).lower() == CATEGORY) and (
            not tenants or str(row.get("tenant_id")) in tenants
        )


def _describe(description: Description) -> Steps[None]:
    account = description.account
    path = f"{_path(account)}/capabilities"
    try:
        page = yield Request(path, {"type": "unified"}, account.id, single=True)
    except AccountError as error:
        if error.status not in NOT_SHOWN:
            raise
    else:
        assert page is not None  # noqa: S101 - an answer to a request is a page
        description.account = _with_capabilities(account, page.rows[0])


def _path(account: Account) -> str:
    return f"{PATH}/{quote(account.id, safe='')}"


def _account(row: dict[str, Any], *, is_named: bool) -> Account:
    return Account(
        id=str(row["id"]),
        is_named=is_named,
        provider=_word(dig(row, "integration", "name")),
        status=_word(dig(row, "status")),
    )


def _with_capabilities(account: Account, body: dict[str, Any]) -> Account:
    """Add what `/integrated-account/{id}/capabilities` tells; what it lacks stays as it was."""
    entries = body.get("unified")
    resources = None
    if isinstance(entries, list):
        resources = frozenset(
            str(dig(entry, "resource"))
            for entry in entries
            if _word(dig(entry, "model")) == CATEGORY and _lists(dig(entry, "methods"))
        )
    return replace(
        account,
        provider=_word(dig(body, "integration", "name")) or account.provider,
        status=_word(dig(body, "account", "status")) or account.status,
        is_blocked=dig(body, "account", "is_blocked") is True,
        resources=resources,
    )


def _lists(methods: object) -> bool:
    """Whether a resource can be listed; methods of an unknown form are no reason to skip it."""
    if not isinstance(methods, list) or not all(isinstance(one, str) for one in methods):
        return True
    return not methods or "list" in map(str.lower, methods)


def _word(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and value else None


def _cannot_list(error: AccountError) -> RunError:
    if error.status in NOT_SHOWN:
        return RunError(
            f"This token may not list integrated accounts (HTTP {error.status})."
            " Name the accounts to read in `integrated_account_ids`."
        )
    return RunError(f"The integrated accounts could not be listed. {error}")
