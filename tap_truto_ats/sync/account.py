"""An integrated account, and what Truto tells of it: provider, status, and what can be listed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from tap_truto_ats.api.errors import BLOCKED_CURE, AccountError
from tap_truto_ats.api.request import ACCOUNTS, Request
from tap_truto_ats.model.records import dig
from tap_truto_ats.sync.tasks import Steps, answer_to

CATEGORY = "ats"
NOT_SHOWN = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
"""Statuses by which the account endpoints answer a token that may not use them."""

CURES = {
    "needs_reauth": "The customer must reconnect it in Truto",
    "connecting": "The customer must finish connecting it in Truto",
}


@dataclass(slots=True, eq=False)
class Account:
    """An integrated account; whatever is not known of it is None."""

    id: str
    provider: str | None = None
    status: str | None = None
    is_blocked: bool = False
    resources: frozenset[str] | None = None
    is_described: bool = False
    """Whether its capabilities have been asked for."""
    tenant_id: str | None = None
    has_row: bool = False
    """Whether what `/integrated-account` tells of it is known."""

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


def describe(account: Account) -> Steps[None]:
    """Request an account's capabilities, and itself if they do not name its provider.

    Raises:
        AccountError: An answer is an error, but for 403 and 404: the token may not ask.
    """
    for place, kind, add in (("/capabilities", "unified", _add_capabilities), ("", "", _add_row)):
        params = {"type": kind} if kind else {}
        request = Request(path_of(account) + place, params, account.id, single=True)
        try:
            page = yield from answer_to(request)
        except AccountError as error:
            if error.status not in NOT_SHOWN:
                raise
        else:
            add(account, page.rows[0])
        if account.provider or account.has_row:
            break
    account.is_described = True


def path_of(account: Account) -> str:
    """Return where Truto has what it knows of an account."""
    return f"{ACCOUNTS}/{quote(account.id, safe='')}"


def account_of(row: dict[str, Any]) -> Account:
    """Return the account of a row of `/integrated-account`."""
    account = Account(str(row["id"]), has_row=True)
    _add_row(account, row)
    return account


def _add_row(account: Account, row: dict[str, Any]) -> None:
    """Add what a row of `/integrated-account` tells; keep what it does not tell."""
    account.provider = lower(dig(row, "integration", "name")) or account.provider
    account.status = lower(dig(row, "status")) or account.status
    if (tenant := row.get("tenant_id")) is not None:
        account.tenant_id = str(tenant)


def _add_capabilities(account: Account, body: dict[str, Any]) -> None:
    """Add what `/integrated-account/{id}/capabilities` tells; keep what it does not tell."""
    if isinstance(entries := body.get("unified"), list):
        account.resources = _shared(
            frozenset(
                str(dig(entry, "resource")).lower()
                for entry in entries
                if lower(dig(entry, "model")) == CATEGORY and _can_list(dig(entry, "methods"))
            )
        )
    _add_row(account, {**body, "status": dig(body, "account", "status")})
    account.is_blocked = dig(body, "account", "is_blocked") is True


@cache
def _shared(resources: frozenset[str]) -> frozenset[str]:
    """Return one and the same set for all accounts that list the same."""
    return resources


def _can_list(methods: object) -> bool:
    """Return whether a resource can be listed; methods of an unknown form do not rule it out."""
    if not isinstance(methods, list) or not all(isinstance(one, str) for one in methods):
        return True
    return not methods or "list" in map(str.lower, methods)


def lower(value: object) -> str | None:
    """Return a text in lower case; None for what is none, or empty."""
    return value.lower() if isinstance(value, str) and value else None
