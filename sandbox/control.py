"""A client for the sandbox's own endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import requests

TOKEN = "sandbox-token"  # noqa: S105 - the token of a sandbox is no secret

Json = Any
Row = dict[str, Json]


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox: its address, the token that it accepts, and the calls that change it.

    Rows are in canonical form: date-times in UTC with microseconds, ids as strings, every field
    present. A call that the sandbox refuses raises `ValueError` with the sandbox's message.
    """

    url: str
    token: str = TOKEN

    def reset(self, **options: Any) -> list[Row]:
        """Make a new world (`seed`, `accounts`, `interviews` ...) and return its accounts."""
        accounts: list[Row] = self._call("POST", "reset", options)
        return accounts

    def accounts(self) -> list[Row]:
        """Return the accounts."""
        accounts: list[Row] = self._call("GET", "accounts")
        return accounts

    def account(self, account_id: str, **changes: Any) -> Row:
        """Change an account (`status`, `is_blocked`, `resources`, `last_error` ...).

        `sandbox.accounts.CHANGEABLE` names what can change, and `Account` says what it means.
        """
        account: Row = self._call("PATCH", f"accounts/{quote(account_id, safe='')}", changes)
        return account

    def rows(
        self,
        resource: str,
        account_id: str | None = None,
        *,
        whole: bool = False,
    ) -> list[Row]:
        """Return the rows of a resource that a correct tap delivers, of one account or all.

        They hold what the provider's lists give, or, if `whole`, what a GET of each row gives,
        which is more where lists are partial. Rows that a provider does not list are left out.
        """
        query = {"integrated_account_id": account_id} if account_id else {}
        path = f"rows/{resource}?{urlencode(query | ({'whole': 1} if whole else {}))}"
        rows: list[Row] = self._call("GET", path)
        return rows

    def add_row(self, resource: str, account_id: str, **fields: Any) -> Row:
        """Add a thing to a resource, created now unless told otherwise, and return it.

        Providers that list candidates by job list one under the jobs of its `applications`.
        """
        body = {"integrated_account_id": account_id, **fields}
        row: Row = self._call("POST", f"rows/{resource}", body)
        return row

    def change_row(self, resource: str, account_id: str, key: str, **fields: Any) -> Row:
        """Change a thing, updated now unless told otherwise, and return it.

        With `touched`, only the provider's filters and order know of the change, as of that moment.
        """
        row: Row = self._call("PATCH", _thing(resource, account_id, key), fields)
        return row

    def delete_row(self, resource: str, account_id: str, key: str) -> None:
        """Delete a thing; what refers to it stays."""
        self._call("DELETE", _thing(resource, account_id, key))

    def interviews(self, account_id: str | None = None) -> list[Row]:
        """Return the interviews of one account, or of all, as `rows` does."""
        return self.rows("interviews", account_id)

    def add(self, account_id: str, **fields: Any) -> Row:
        """Add an interview, created now unless told otherwise, and return it."""
        return self.add_row("interviews", account_id, **fields)

    def change(self, account_id: str, interview_id: str, **fields: Any) -> Row:
        """Change an interview, updated now unless told otherwise, and return it."""
        return self.change_row("interviews", account_id, interview_id, **fields)

    def cancel(self, account_id: str, interview_id: str) -> Row:
        """Cancel an interview and return it."""
        return self.change(account_id, interview_id, status="cancelled")

    def delete(self, account_id: str, interview_id: str) -> None:
        """Delete an interview."""
        self.delete_row("interviews", account_id, interview_id)

    def fault(self, **spec: Any) -> None:
        """Order a fault, or acts; `sandbox.faults.Fault` describes what can be ordered."""
        self._call("POST", "faults", spec)

    def clear_faults(self) -> None:
        """Forget all faults: everything is answered correctly again."""
        self._call("DELETE", "faults")

    def requests(self, path: str | None = None) -> list[Row]:
        """Return the requests since the reset in their order, all or those of one path."""
        seen: list[Row] = self._call("GET", "requests")
        return [one for one in seen if path is None or one["path"] == path]

    def clear_requests(self) -> None:
        """Forget the requests."""
        self._call("DELETE", "requests")

    def _call(self, method: str, path: str, body: object = None) -> Json:
        answer = requests.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=60)
        if not answer.ok:
            message = f"{method} /sandbox/{path}: {answer.json()['message']}"
            raise ValueError(message)
        return answer.json()


def _thing(resource: str, account_id: str, key: str) -> str:
    return f"rows/{resource}/{quote(account_id, safe='')}/{quote(key, safe='')}"
