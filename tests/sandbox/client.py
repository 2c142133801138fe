"""A plain client of a sandbox with one account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from sandbox.control import Sandbox


def ask(sandbox: Sandbox, path: str, **params: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    return requests.get(sandbox.url + path, params=params, headers=headers, timeout=10)


def ids(sandbox: Sandbox, account: str, resource: str = "candidates", **params: Any) -> list[str]:
    """The ids of the things of a list in its order, read page by page."""
    found: list[str] = []
    query = {"integrated_account_id": account, "limit": 2, **params}
    while True:
        body = ask(sandbox, f"/unified/ats/{resource}", **query).json()
        found += [str(row["id"]) for row in body["result"]]
        if not body["next_cursor"]:
            return found
        query["next_cursor"] = body["next_cursor"]


def account_of(sandbox: Sandbox, provider: str, **properties: Any) -> str:
    spec = {"provider": provider, "candidates": 5, "jobs": 3, "interviews": 4, **properties}
    account: str = sandbox.reset(accounts=[spec])[0]["id"]
    return account
