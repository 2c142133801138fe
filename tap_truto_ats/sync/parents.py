"""Parents: rows of one resource whose ids are required to request another resource."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.api.request import Request
from tap_truto_ats.model.instants import LONG_AGO, has_zone, parse_instant
from tap_truto_ats.model.records import dig, usable_key
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.sync.account import Account, describe
from tap_truto_ats.sync.evidence import Doubt, Evidence
from tap_truto_ats.sync.lists import read_list
from tap_truto_ats.sync.progress import Binding
from tap_truto_ats.sync.refusals import Refusals
from tap_truto_ats.sync.tasks import Fork, Steps, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from tap_truto_ats.model.declaration import Requirement, Resource
    from tap_truto_ats.sync.evidence import Tally

CHANGED = ("updated_at", "last_interaction_at")
"""The fields of a parent's row that tell when it last changed."""

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Names of parameters with their values."""


@dataclass
class Parents:
    """The parents of one resource in one account."""

    evidence: Evidence
    """What tells whether all have come."""
    refusals: Refusals
    """What became of the requests for them, where they have parents themselves."""
    changed: dict[tuple[str, Pairs], datetime] = field(default_factory=dict)
    """By the parent's id, and the parameters that it was listed by: when it last changed, or
    `LONG_AGO` where its row does not tell."""
    has_repeated: bool = False
    """Whether one came twice in a list, so that others may have slipped by."""

    def take(self, listed_by: Mapping[str, str], rows: list[Any], tally: Tally) -> None:
        """Take the rows of a page of parents."""
        for row in rows:
            if moment := self.add(listed_by, row):
                tally.see(dig(row, "id"), None if moment == LONG_AGO else moment)
            else:
                self.evidence.doubts[Doubt.PARENTS_WITHOUT_ID] += 1

    def add(self, listed_by: Mapping[str, str], row: object) -> datetime | None:
        """Add a parent and return when it last changed; None without an id."""
        value = usable_key(row)
        if value is None:
            return None
        told = {
            text: moment for name in CHANGED if (moment := parse_instant(text := dig(row, name)))
        }
        self.evidence.is_local |= any(isinstance(one, str) and not has_zone(one) for one in told)
        changed = max(told.values(), default=LONG_AGO)
        key = str(value), tuple(listed_by.items())
        self.has_repeated |= key in self.changed
        self.changed[key] = changed
        return changed

    def known_until(self) -> datetime | None:
        """Return up to which change all have come; None if no parent tells when it changed."""
        now = self.evidence.now()
        moments = (moment for moment in self.changed.values() if LONG_AGO < moment <= now)
        newest = max(moments, default=None)
        return newest and self.evidence.read_until(newest)

    def error(self) -> AccountError | None:
        """Return the error that sums up which of them could not be listed; None if all could."""
        error = self.refusals.error()
        return _not_listed(self.refusals.what, error) if error else None

    def bindings(
        self, requirements: Sequence[Requirement], params: Mapping[str, Any]
    ) -> list[Binding]:
        """Return the values of the required parameters, in the order of the parents' ids.

        Of several parameters, only combinations that exist are returned: a candidate with its job.
        A parent that contradicts the request's own parameters is left out.
        """
        found: dict[Pairs, datetime] = {}
        *above, innermost = (requirement.parameter for requirement in requirements)
        for (value, listed_by), changed in self.changed.items():
            pairs = (*(pair for pair in listed_by if pair[0] in above), (innermost, value))
            if all(str(params.get(name, wanted)) == wanted for name, wanted in pairs):
                found[pairs] = max(changed, found.get(pairs, LONG_AGO))
        return sorted(
            Binding(tuple(value for _, value in pairs), dict(pairs), changed)
            for pairs, changed in found.items()
        )


@dataclass
class ParentLists:
    """What the tasks of one account wait for: lists of parents, and its capabilities."""

    account: Account
    now: Callable[[], datetime]
    page_size: int
    """Sent as `limit`."""
    wants_all: bool
    """Whether what is not found is to be deleted."""
    only_first: bool
    """Whether only the first page of each list is requested."""
    selected: Sequence[Resource] = ()
    """The resources that are read."""
    make: Callable[[str], Task[Any] | None] = field(default=lambda _: None)
    """Makes the task that reads a resource; None if it is not read."""
    listed: dict[str, Parents] = field(default_factory=dict)
    """What tasks of streams have listed whole."""
    _streams: dict[str, Task[Any] | None] = field(default_factory=dict)
    _tasks: dict[str, Task[None]] = field(default_factory=dict)
    _description: Task[None] | None = None

    def describe(self) -> Steps[None]:
        """Have the account's capabilities, which are requested once."""
        if not self.account.is_described:
            if self._description is None:
                self._description = Task(None, describe(self.account), self.account.id)
            yield self._description

    def needs(self, resource: str) -> bool:
        """Return whether some resource that is read is requested by the rows of this one."""
        offers = (one.offer(self.account.provider) for one in self.selected)
        return any(one.resource == resource for offer in offers if offer for one in offer.requires)

    def task(self, resource: str) -> Task[Any] | None:
        """Return the task that reads a resource; if that lists parents, it is made once."""
        if resource not in self._streams:
            task = self.make(resource)
            if not self.needs(resource):
                return task
            self._streams[resource] = task
        return self._streams[resource]

    def of(self, requirement: Requirement, *, again: bool = False) -> Steps[Parents]:
        """Wait for a list of the account's parents, and return them.

        They are listed once for all who need them, and `again` for those who want to know which
        there are by now.
        """
        resource = requirement.resource
        if not again and (parents := (yield from self._of_stream(resource))):
            return parents
        task = self._tasks.get(resource)
        if task is None or (again and task.has_begun):
            task = Task(None, self._list(resource, again=again), self.account.id)
            self._tasks[resource] = task
        try:
            yield task
        except AccountError as error:
            raise _not_listed(resource, error) from None
        listed: Parents = task.result
        return listed

    def _of_stream(self, resource: str) -> Steps[Parents | None]:
        """Wait for the stream that lists the parents, too; None if it did not list all."""
        task = self.task(resource)
        if task is None or not task.subject.lists_all:
            return None
        try:
            yield task
        except AccountError:
            return None
        parents = self.listed.get(resource)
        if parents is None:
            return None
        doubts = parents.evidence.doubts
        if any(count for one, count in doubts.items() if one is not Doubt.ONCE):
            return None
        # Exact evidence was read again until nothing new came.
        if parents.has_repeated and not parents.evidence.is_exact:
            return None
        return None if self.wants_all and not parents.evidence.is_exact else parents

    def _list(self, resource: str, *, again: bool) -> Steps[Parents]:
        parents = yield from self._list_once(resource, again=again)
        if parents.refusals.gone and not parents.refusals.are_all_gone:
            parents = yield from self._list_once(resource, again=True)
        if not parents.changed and (error := parents.refusals.error()):
            raise error
        if parents.refusals.gone:
            parents.evidence.doubts[Doubt.GONE] += parents.refusals.gone
        return parents

    def _list_once(self, resource: str, *, again: bool) -> Steps[Parents]:
        """List parents, each by its own parents where the provider wants that."""
        parents = Parents(Evidence(self.now, is_exact=True), Refusals(resource))
        declared = RESOURCES[resource]
        params = {
            "integrated_account_id": self.account.id,
            "limit": self.page_size,
            "truto_ignore_remote_data": True,
        }
        request = Request(declared.path, params, self.account.id)
        offer = declared.offer(self.account.provider)
        if offer and offer.requires:
            above = yield from self.of(offer.requires[-1], again=again)
            parents.evidence.add(above.evidence)
            bindings = above.bindings(offer.requires, params)
            each = (self._read(parents, request.having(one.params), one.params) for one in bindings)
            yield Fork(parents.refusals.attempts(each))
        else:
            yield from self._read(parents, request, {})
        return parents

    def _read(self, parents: Parents, request: Request, binding: Mapping[str, str]) -> Steps[None]:
        yield from read_list(
            request,
            parents.evidence,
            partial(parents.take, binding),
            wants_all=lambda: self.wants_all,
            only_first=self.only_first,
        )


def _not_listed(resource: str, error: AccountError) -> AccountError:
    cause = f"Its {resource} could not be listed: {error.cause}"
    failure = AccountError(cause, error.cure, status=error.status)
    failure.is_fault, failure.is_of_account = error.is_fault, error.is_of_account
    return failure
