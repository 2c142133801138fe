"""Parents: the rows of one resource that another resource has to be asked for by."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tap_truto_ats.api.client import Request
from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.api.limits import expected_seconds
from tap_truto_ats.model.instants import parse_instant
from tap_truto_ats.model.records import dig
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.sync.tasks import Fork, Walk, pages, pages_unless_gone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_truto_ats.model.resources import Requirement
    from tap_truto_ats.sync.accounts import Account
    from tap_truto_ats.sync.tasks import See, Steps

logger = logging.getLogger(__name__)

LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


class Parent(NamedTuple):
    """The value of a parameter, and the parameters by which the parent itself was listed."""

    value: str
    listed_by: tuple[tuple[str, str], ...] = ()


class Parents:
    """The parents of one resource in one account."""

    def __init__(self, requirement: Requirement) -> None:
        """Know of none yet."""
        self.changed: dict[Parent, datetime] = {}
        """When each last changed, as far as its row tells."""
        self.lacking = 0
        """Rows without a value."""
        self._requirement = requirement

    def see(self, listed_by: tuple[tuple[str, str], ...], rows: list[Any]) -> None:
        """Take a page of rows."""
        for row in rows:
            value = dig(row, *self._requirement.field.split("."))
            if not value or isinstance(value, (dict, list)):
                self.lacking += 1
                continue
            moments = (parse_instant(dig(row, name)) for name in self._requirement.changed)
            changed = max(filter(None, moments), default=LONG_AGO)
            self.changed[Parent(str(value), listed_by)] = changed

    def bindings(
        self, requirements: Sequence[Requirement], params: dict[str, Any]
    ) -> list[dict[str, str]]:
        """Tell the values of the required parameters, those of what changed last first.

        Several parameters mean pairs that exist: a candidate with the jobs it is listed by.

        Args:
            requirements: All that the child is asked by, the one for these parents last.
            params: What the child is asked with anyway; a parent that contradicts it is left out.
        """
        found: dict[tuple[tuple[str, str], ...], None] = {}
        names = {requirement.parameter for requirement in requirements}
        for parent in sorted(self.changed, key=self.changed.__getitem__, reverse=True):
            above = ((name, value) for name, value in parent.listed_by if name in names)
            pairs = (*above, (requirements[-1].parameter, parent.value))
            if all(str(params.get(name, value)) == value for name, value in pairs):
                found[pairs] = None
        return list(map(dict, found))


class ParentLists:
    """The parents that a run needs: each resource of an account is listed once for all streams."""

    def __init__(self, page_size: int, *, is_look: bool = False) -> None:
        """List nothing yet; a look at an account needs one page of each list only."""
        self._page_size = page_size
        self._is_look = is_look
        self._walks: dict[str, dict[tuple[str, str], tuple[Walk[None], Parents]]] = {}

    def forget(self, account_id: str) -> None:
        """Free what an account does not need any more."""
        self._walks.pop(account_id, None)

    def of(self, account: Account, requirement: Requirement) -> Steps[Parents]:
        """Wait for the list of an account's parents.

        Raises:
            AccountError: It could not be had.
        """
        known = self._walks.setdefault(account.id, {})
        key = requirement.resource, requirement.field
        if key not in known:
            parents = Parents(requirement)
            known[key] = Walk(None, self._list(account, requirement, parents), account.id), parents
        walk, parents = known[key]
        try:
            yield walk
        except AccountError as error:
            cause = f"Its {requirement.resource} could not be listed: {error.cause}"
            failure = AccountError(cause, error.cure)
            failure.is_fault, failure.is_of_account = error.is_fault, error.is_of_account
            raise failure from None
        return parents

    def _list(self, account: Account, requirement: Requirement, parents: Parents) -> Steps[None]:
        resource = RESOURCES[requirement.resource]
        params = {
            "integrated_account_id": account.id,
            "limit": self._page_size,
            "truto_ignore_remote_data": True,
        }
        request = Request(resource.path, params, account.id)
        offer = resource.offer(account.provider)
        if not (offer and offer.requires):
            yield from pages(request, partial(parents.see, ()), only_first=self._is_look)
            return
        above = yield from self.of(account, offer.requires[-1])
        yield Fork(
            pages_unless_gone(
                request.having(binding),
                [],
                partial(parents.see, tuple(binding.items())),
                only_first=self._is_look,
            )
            for binding in above.bindings(offer.requires, params)
        )


def pages_for_each(
    request: Request,
    requirement: Requirement,
    parents: Parents,
    bindings: list[dict[str, str]],
    see: See | None = None,
) -> Steps[None]:
    """Ask for the pages of a request once for each binding of its required parameters.

    A parent that is gone when its turn comes (HTTP 404: deleted since it was listed) is passed
    over.

    Args:
        request: The first page, the required parameters lacking.
        requirement: Where the parents are from.
        parents: What is known of them.
        bindings: What is asked for, in this order.
        see: What is shown the rows of each page.

    Raises:
        AccountError: A page could not be had, or every parent was gone.
    """
    if len(bindings) > 1:
        logger.info(
            "Account %s: %d %s, a request each or more: at the account's limit %s (h:mm:ss).",
            request.account_id,
            len(bindings),
            requirement.resource,
            timedelta(seconds=round(expected_seconds(len(bindings)))),
        )
    gone: list[AccountError] = []
    yield Fork(pages_unless_gone(request.having(binding), gone, see) for binding in bindings)
    if gone and len(gone) == len(bindings):
        raise gone[0]
    if gone or parents.lacking:
        logger.warning(
            "Account %s: of %s, %d were gone when their turn came and %d had no `%s`.",
            request.account_id,
            requirement.resource,
            len(gone),
            parents.lacking,
            requirement.field,
        )
