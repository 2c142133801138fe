"""What is complete: a row may come late, but it is not passed over, and none that exists goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.resources import PARENTS, offer
from tap_truto_ats.model.resources import RESOURCES
from tests.end_to_end.warehouse import Warehouse

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Run, Tap


def path(resource: str) -> str:
    return f"/unified/ats/{resource}"


def account_of(sandbox: Sandbox, provider: str, **options: Any) -> str:
    """The only account of a new world."""
    counts = {name: options.pop(name, 4) for name in ("interviews", "candidates", "jobs")}
    accounts = [{"provider": provider, **options}]
    (account,) = sandbox.reset(accounts=accounts, rate_limits=False, **counts)
    key: str = account["id"]
    return key


def told(run: Run, *words: str) -> list[str]:
    """The warnings and errors with all of these words."""
    lines = [line for line in run.log if "| WARNING " in line or "| ERROR " in line]
    return [line for line in lines if all(word in line for word in words)]


@dataclass(frozen=True)
class Family:
    """Children that a provider lists by their parents only."""

    provider: str
    children: str
    parents: str

    def __str__(self) -> str:
        return f"{self.children} of {self.provider} by {self.parents}"

    @property
    def parameter(self) -> str:
        required = offer(self.children, self.provider).required
        return next(name for name in required if PARENTS[name] == self.parents)

    @property
    def asked(self) -> str:
        """What is asked for by the parents at first: the children, or parents between them."""
        is_above = self.parents == "jobs" and len(offer(self.children, self.provider).required) > 1
        return "candidates" if is_above else self.children

    def set_up(self, sandbox: Sandbox, order: str) -> tuple[str, list[str]]:
        """Make an account; return it and its parents as they are listed, two a page.

        Each parent has children, and they are dated: the first parent and its children came first.
        """
        jobs, candidates = (4, 6) if self.parents == "jobs" else (1, 4)
        counts = {"jobs": jobs, "candidates": candidates, "interviews": 24}
        account = account_of(sandbox, self.provider, paging="offset", order=order, **counts)
        if self.children == "candidates":
            for job in sandbox.rows("jobs", account):
                number = f"9{job['id'][-1]}"
                applications = [{"id": number, "job": {"id": job["id"]}}]
                sandbox.add_row("candidates", account, id=number, applications=applications)
        for day, row in enumerate(sandbox.rows(self.parents, account), 1):
            moment = f"2026-06-0{day}"
            sandbox.change_row(self.parents, account, row["id"], updated_at=moment)
        found = [row["id"] for row in sandbox.rows(self.parents, account)]
        return account, found if order == "oldest change first" else found[::-1]


FAMILIES = [
    Family(provider, resource.name, requirement.resource)
    for resource in RESOURCES.values()
    for provider, one in resource.offers.items()
    for requirement in one.requires
]


MOVES = {
    "to the end": ("oldest change first", "change", 0),
    "to the start": ("newest change first", "change", 3),
    "out of the list": ("oldest change first", "delete", 0),
}
"""What parents do while the second page is asked for: the order they are in, and which of them."""


class TestMovedParents:
    """Parents that move between pages while they are listed, so that one of them slips by."""

    @pytest.mark.parametrize("move", MOVES)
    @pytest.mark.parametrize("family", FAMILIES, ids=str)
    def test_no_child_is_deleted(
        self, tap: Tap, sandbox: Sandbox, family: Family, move: str
    ) -> None:
        order, verb, place = MOVES[move]
        account, parents = family.set_up(sandbox, order)
        house = Warehouse(tap, sandbox, family.children, whole=True, settings={"page_size": 2})
        house.settle()
        act = {verb: family.parents, "account": account, "key": parents[place]}
        sandbox.fault(path=path(family.parents), skip=1, acts=[act])
        if verb == "delete":
            # Otherwise it is answered with 404, which is told from an empty list.
            params = {family.parameter: parents[place]}
            empty = {"kind": "body_override", "body": {"result": []}}
            sandbox.fault(path=path(family.asked), params=params, **empty)
        assert house.sync().code == 0
        house.settle()

    @pytest.mark.parametrize("beside", [(), ("candidates",)], ids=["alone", "beside its parents"])
    @pytest.mark.parametrize(
        ("move", "slips"), [("to the end", 2), ("to the start", 3)], ids=["to the end", "to start"]
    )
    def test_no_change_of_a_child_is_passed_over(
        self, tap: Tap, sandbox: Sandbox, move: str, slips: int, beside: tuple[str, ...]
    ) -> None:
        family = Family("jobscore", "applications", "candidates")
        order, verb, place = MOVES[move]
        account, parents = family.set_up(sandbox, order)
        settings = {"page_size": 2, "lookback_seconds": 0}
        house = Warehouse(tap, sandbox, family.children, beside=beside, settings=settings)
        house.settle()
        by_parent = {
            row["candidate"]["id"]: row["id"] for row in sandbox.rows(family.children, account)
        }
        for day, parent in enumerate((slips, 1), 1):
            key, moment = by_parent[parents[parent]], f"2026-07-0{day}"
            sandbox.change_row(family.children, account, key, updated_at=moment)
        act = {verb: family.parents, "account": account, "key": parents[place]}
        sandbox.fault(path=path(family.parents), skip=1, acts=[act])
        house.sync()
        house.settle()
        assert house.bookmark(account) == "2026-07-02T00:00:00.000000+00:00"
