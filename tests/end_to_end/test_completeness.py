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


REFUSED = {
    400: "refused",
    403: "forbids",
    410: "refused",
    422: "refused",
    500: "failing",
    502: "failing",
}
"""By the status that single requests are answered with: a word of the cause."""


class TestRefusedParents:
    """Single parents for whom the provider refuses to list anything, or that are gone."""

    @pytest.fixture
    def house(self, tap: Tap, sandbox: Sandbox) -> Warehouse:
        """Applications of ten candidates that have been read, and that have changed since."""
        account = account_of(sandbox, "jobscore", candidates=10)
        settings = {"lookback_seconds": 0, "max_retries": 1}
        house = Warehouse(tap, sandbox, "applications", settings=settings)
        house.settle()
        for row in sandbox.rows("applications", account):
            sandbox.change_row("applications", account, row["id"], updated_at="2026-07-01")
        return house

    @staticmethod
    def refuse(sandbox: Sandbox, count: int, **answer: Any) -> list[str]:
        """Let so many candidates be refused; return their ids."""
        keys = [row["id"] for row in sandbox.rows("candidates")][:count]
        for key in keys:
            params = {"candidate_id": key}
            sandbox.fault(path=path("applications"), params=params, times=None, **answer)
        return keys

    @pytest.mark.parametrize("count", [1, 9])
    @pytest.mark.parametrize("status", REFUSED)
    def test_the_others_are_read_and_the_refused_ones_told_in_one_line(
        self, sandbox: Sandbox, house: Warehouse, status: int, count: int
    ) -> None:
        (account,) = house.partitions()
        before = house.bookmark(account)
        refused = self.refuse(sandbox, count, status=status, remote=True)
        run = house.sync()
        assert run.code == 1
        others = {
            key for key, row in house.source().items() if row["candidate"]["id"] not in refused
        }
        assert {(account, row["id"]) for row in run.records("applications")} == others
        assert len(run.errors) == 1
        assert told(run, f"HTTP {status}", REFUSED[status], f"{count} of 10 candidates")
        assert house.bookmark(account) == before
        house.settle()
        assert house.bookmark(account) == "2026-07-01T00:00:00.000000+00:00"

    def test_each_cause_has_its_number(self, sandbox: Sandbox, house: Warehouse) -> None:
        keys = [row["id"] for row in sandbox.rows("candidates")]
        for key, status in zip(keys, (403, 403, 422), strict=False):
            params = {"candidate_id": key}
            sandbox.fault(path=path("applications"), params=params, times=None, status=status)
        (line,) = house.sync().errors
        assert "(HTTP 403): 2 of 10 candidates" in line
        assert "(HTTP 422): 1 of 10 candidates" in line
        house.settle()

    @pytest.mark.parametrize("count", [1, 9, 10])
    def test_those_that_are_gone_keep_the_bookmark(
        self, sandbox: Sandbox, house: Warehouse, count: int
    ) -> None:
        (account,) = house.partitions()
        before = house.bookmark(account)
        self.refuse(sandbox, count, status=404, remote=True)
        run = house.sync()
        assert run.code == 0
        assert len(told(run, f"of candidates, {count} were gone")) == 1
        assert len(told(run, "Its bookmark stays")) == 1
        assert house.bookmark(account) == before
        assert not run.logged("does not offer")
        house.settle()

    @pytest.mark.parametrize("status", [403, 404])
    def test_after_many_in_a_row_no_others_are_asked_for(
        self, tap: Tap, sandbox: Sandbox, status: int
    ) -> None:
        account = account_of(sandbox, "jobscore", candidates=30)
        house = Warehouse(tap, sandbox, "applications", settings={"max_concurrency": 1})
        sandbox.fault(path=path("applications"), times=None, status=status, remote=True)
        run = house.sync()
        assert run.code == 1
        assert len(sandbox.requests(path("applications"))) == 20
        assert len(told(run, f"HTTP {status}", "20 of 20 candidates, and after 20 in a row")) == 1
        assert house.bookmark(account) is None
        house.settle()

    def test_what_is_the_whole_accounts_ends_it_at_once(
        self, sandbox: Sandbox, house: Warehouse
    ) -> None:
        sandbox.clear_requests()
        sandbox.fault(path=path("applications"), times=None, status=401, remote=True)
        settings = {"max_concurrency": 1}
        run = house.sync(**settings)
        assert run.code == 1
        assert len(sandbox.requests(path("applications"))) == 1
        assert len(told(run, "needs_reauth")) == 1
        house.settle()

    def test_an_accounts_only_parent_that_has_vanished_is_no_failure(
        self, tap: Tap, sandbox: Sandbox
    ) -> None:
        account = account_of(sandbox, "jobscore", candidates=1)
        house = Warehouse(tap, sandbox, "applications", whole=True)
        house.settle()
        (candidate,) = (row["id"] for row in sandbox.rows("candidates", account))
        act = {"delete": "candidates", "account": account, "key": candidate}
        sandbox.fault(path=path("applications"), acts=[act])
        run = house.sync()
        assert run.code == 0
        assert not run.logged("does not offer")
        house.settle()
        assert house.table == {}

    @pytest.mark.parametrize("status", [404, 410])
    @pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
    def test_a_later_page_of_a_parent(
        self, tap: Tap, sandbox: Sandbox, status: int, times: int | None
    ) -> None:
        account = account_of(sandbox, "lever", candidates=3, jobs=2)
        candidate = sandbox.rows("candidates", account)[1]["id"]
        for number in range(3):
            file = {"id": f"file-{number}", "candidate": {"id": candidate}}
            sandbox.add_row("attachments", account, **file)
        house = Warehouse(tap, sandbox, "attachments", whole=True, settings={"page_size": 2})
        house.settle()
        params = {"candidate_id": candidate}
        fault = {"later_pages": True, "status": status, "remote": True, "times": times}
        sandbox.fault(path=path("attachments"), params=params, **fault)
        run = house.sync()
        assert run.code == (0 if times else 1)
        assert bool(run.of("ACTIVATE_VERSION", "attachments")) == bool(times)
        house.settle()


@pytest.mark.parametrize("family", FAMILIES, ids=str)
@pytest.mark.parametrize("status", [404, 403])
def test_parents_that_are_refused_delete_no_child(
    tap: Tap, sandbox: Sandbox, family: Family, status: int
) -> None:
    """All but one of them, at each level."""
    _, parents = family.set_up(sandbox, "by age")
    house = Warehouse(tap, sandbox, family.children, whole=True)
    house.settle()
    for parent in parents[1:]:
        params = {family.parameter: parent}
        sandbox.fault(path=path(family.asked), params=params, times=None, status=status)
    run = house.sync()
    assert run.code == (status == 403)
    assert not run.of("ACTIVATE_VERSION", family.children)
    house.settle()


@pytest.mark.parametrize("children", ["candidates", "activities", "attachments", "scorecards"])
def test_jobs_that_all_answer_404_delete_no_child(
    tap: Tap, sandbox: Sandbox, children: str
) -> None:
    account_of(sandbox, "breezy", candidates=3)
    house = Warehouse(tap, sandbox, children, whole=True)
    house.settle()
    sandbox.fault(path=path("candidates"), times=None, status=404, remote=True)
    run = house.sync()
    assert run.records(children) == []
    assert len(told(run, "were gone when their turn came and")) == 1
    assert not run.of("ACTIVATE_VERSION", children)
    house.settle()
