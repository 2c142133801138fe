"""Parents: rows of one resource whose ids are required to request another resource."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.api.limits import expected_seconds
from tap_truto_ats.api.request import Request
from tap_truto_ats.model.instants import parse_instant
from tap_truto_ats.model.records import dig
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.sync.tasks import Fork, OnRows, Steps, Task, pages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_truto_ats.model.declaration import Requirement
    from tap_truto_ats.sync.accounts import Account

logger = logging.getLogger(__name__)

LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Names of parameters with their values."""


@dataclass
class Parents:
    """The parents of one resource in one account."""

    requirement: Requirement
    changed: dict[tuple[str, Pairs], datetime] = field(default_factory=dict)
    """By the value to request children by, and the parameters that the parent was listed by: when
    the parent last changed, or `LONG_AGO` where its row does not tell."""
    lacking: int = 0
    """Rows that lack the value to request children by."""

    def add(self, listed_by: Pairs, rows: list[Any]) -> None:
        """Add the rows of a page."""
        for row in rows:
            value = dig(row, *self.requirement.field.split("."))
            if not value or isinstance(value, (dict, list)):
                self.lacking += 1
                continue
            moments = (parse_instant(dig(row, name)) for name in self.requirement.changed)
            changed = max(filter(None, moments), default=LONG_AGO)
            self.changed[str(value), listed_by] = changed

    def bindings(
        self, requirements: Sequence[Requirement], params: Mapping[str, Any]
    ) -> list[dict[str, str]]:
        """Return the values of the required parameters, with the last changed parents first.

        Of several parameters, only combinations that exist are returned: a candidate with its job.

        Args:
            requirements: All that are required, the one for these parents last.
            params: The request's own parameters; a parent that contradicts them is left out.
        """
        found: dict[Pairs, None] = {}
        *above, innermost = (requirement.parameter for requirement in requirements)
        for value, listed_by in sorted(self.changed, key=self.changed.__getitem__, reverse=True):
            pairs = (*(pair for pair in listed_by if pair[0] in above), (innermost, value))
            if all(str(params.get(name, wanted)) == wanted for name, wanted in pairs):
                found[pairs] = None
        return list(map(dict, found))

    def pages_of_children(
        self, request: Request, requirements: Sequence[Requirement], on_rows: OnRows
    ) -> Steps[None]:
        """Request all pages for each of the values of the required parameters.

        A parent whose pages answer 404 was deleted after it was listed, and is passed over.

        Args:
            request: The first page, without the required parameters.
            requirements: As for `bindings`.
            on_rows: Takes the rows of each page.

        Raises:
            AccountError: A page could not be read, or every parent answered 404.
        """
        bindings = self.bindings(requirements, request.params)
        if len(bindings) > 1:
            logger.info(
                "Account %s: %d %s, a request each or more: at the account's limit %s (h:mm:ss).",
                request.account_id,
                len(bindings),
                self.requirement.resource,
                timedelta(seconds=round(expected_seconds(len(bindings)))),
            )
        gone: list[AccountError] = []
        yield Fork(pages(request.having(binding), on_rows, gone=gone) for binding in bindings)
        if gone and len(gone) == len(bindings):
            raise gone[0]
        if gone or self.lacking:
            logger.warning(
                "Account %s: of %s, %d were gone when their turn came and %d had no `%s`.",
                request.account_id,
                self.requirement.resource,
                len(gone),
                self.lacking,
                self.requirement.field,
            )


@dataclass
class ParentLists:
    """The parents of all streams of a run: each list of an account is requested once."""

    page_size: int
    """Sent as `limit`."""
    only_first: bool
    """Whether only the first page of each list is requested."""
    _tasks: dict[str, dict[tuple[str, str], Task[None]]] = field(default_factory=dict)

    def forget(self, account_id: str) -> None:
        """Free the memory of an account whose syncs have all ended."""
        self._tasks.pop(account_id, None)

    def of(self, account: Account, requirement: Requirement) -> Steps[Parents]:
        """Wait for the list of an account's parents, and return them.

        Raises:
            AccountError: The list could not be read.
        """
        tasks = self._tasks.setdefault(account.id, {})
        key = requirement.resource, requirement.field
        if key not in tasks:
            tasks[key] = Task(None, self._list(account, requirement), account.id)
        try:
            yield tasks[key]
        except AccountError as error:
            cause = f"Its {requirement.resource} could not be listed: {error.cause}"
            failure = AccountError(cause, error.cure)
            failure.is_fault, failure.is_of_account = error.is_fault, error.is_of_account
            raise failure from None
        parents: Parents = tasks[key].result
        return parents

    def _list(self, account: Account, requirement: Requirement) -> Steps[Parents]:
        parents = Parents(requirement)
        resource = RESOURCES[requirement.resource]
        params = {
            "integrated_account_id": account.id,
            "limit": self.page_size,
            "truto_ignore_remote_data": True,
        }
        request = Request(resource.path, params, account.id)
        offer = resource.offer(account.provider)
        if not (offer and offer.requires):
            yield from pages(request, partial(parents.add, ()), only_first=self.only_first)
            return parents
        above = yield from self.of(account, offer.requires[-1])
        yield Fork(
            pages(
                request.having(binding),
                partial(parents.add, tuple(binding.items())),
                gone=[],
                only_first=self.only_first,
            )
            for binding in above.bindings(offer.requires, params)
        )
        return parents
