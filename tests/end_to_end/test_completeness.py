"""What is complete: a row may come late, but it is not passed over, and none that exists goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.resources import PARENTS, offer
from sandbox.tables import rows
from tap_truto_ats.model.resources import RESOURCES
from tests.end_to_end.warehouse import Warehouse
from tests.harness import spread

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

    def child_of(self, parent: str, number: str = "77") -> dict[str, Any]:
        """The fields that make a child that of a parent."""
        if self.parents == "candidates":
            return {"candidate": {"id": parent}}
        return {"applications": [{"id": number, "job": {"id": parent}}]}

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
                sandbox.add_row(
                    "candidates", account, id=number, **self.child_of(job["id"], number)
                )
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

    @pytest.mark.parametrize(("family", "move"), spread([*FAMILIES, *FAMILIES], MOVES), ids=str)
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


class TestMovedChildren:
    """Children that move to another parent while they are listed by their parents."""

    @pytest.mark.parametrize("is_new", [False, True], ids=["asked before", "new"])
    @pytest.mark.parametrize(
        "family",
        [
            Family("jobscore", "applications", "candidates"),
            Family("breezy", "candidates", "jobs"),
            Family("sagehr", "candidates", "jobs"),
        ],
        ids=str,
    )
    def test_none_is_deleted(
        self,
        tap: Tap,
        sandbox: Sandbox,
        family: Family,
        is_new: bool,  # noqa: FBT001
    ) -> None:
        account, _ = family.set_up(sandbox, "by age")
        settings = {"max_concurrency": 1}
        house = Warehouse(tap, sandbox, family.children, whole=True, settings=settings)
        house.settle()
        requests = sandbox.requests(path(family.children))
        first, *_, last = [dict(one["params"])[family.parameter] for one in requests]
        sandbox.add_row(family.children, account, id="55", **family.child_of(last))
        house.settle()
        to = "987" if is_new else first
        made = {"add": family.parents, "fields": {"id": to}}
        moved = {"change": family.children, "key": "55", "fields": family.child_of(to)}
        acts = [{"account": account, **act} for act in ([made] if is_new else []) + [moved]]
        sandbox.fault(path=path(family.children), skip=1, acts=acts)
        house.sync()
        house.settle()
        assert (account, "55") in house.table


class TestOddParents:
    """Parents with odd ids, or with none for a moment."""

    @staticmethod
    def list_candidates(sandbox: Sandbox, *ids: Any) -> None:
        """List candidates with these ids once."""
        listed = [{"id": one} for one in ids]
        sandbox.fault(path=path("candidates"), kind="rows", rows=listed)

    def test_one_without_an_id_keeps_the_bookmark(self, tap: Tap, sandbox: Sandbox) -> None:
        account = account_of(sandbox, "jobscore")
        house = Warehouse(tap, sandbox, "applications", settings={"lookback_seconds": 0})
        house.settle()
        before = house.bookmark(account)
        children = sandbox.rows("applications", account)
        for day, row in enumerate(children, 1):
            moment = f"2026-07-0{day}"
            sandbox.change_row("applications", account, row["id"], updated_at=moment)
        lacks = children[0]["candidate"]["id"]
        keys = [row["id"] for row in sandbox.rows("candidates", account)]
        self.list_candidates(sandbox, *(None if key == lacks else key for key in keys))
        run = house.sync()
        assert len(told(run, "parents of applications came without an id")) == 1
        assert house.bookmark(account) == before
        house.settle()

    def test_one_without_an_id_is_told_once_though_all_are_listed_again(
        self, tap: Tap, sandbox: Sandbox
    ) -> None:
        account = account_of(sandbox, "jobscore")
        keys = [row["id"] for row in sandbox.rows("candidates", account)]
        for _ in range(2):
            self.list_candidates(sandbox, None, *keys)
        run = Warehouse(tap, sandbox, "applications", whole=True).sync()
        assert len(sandbox.requests(path("candidates"))) == 2
        assert len(told(run, "had no `id`")) == len(told(run, "and 1 had no `id`")) == 1
        assert not run.of("ACTIVATE_VERSION", "applications")

    def test_one_whose_id_is_zero_is_asked_for(self, tap: Tap, sandbox: Sandbox) -> None:
        account_of(sandbox, "jobscore")
        self.list_candidates(sandbox, 0, "1")
        assert tap(catalog=tap.catalog("applications")).code == 0
        made = sandbox.requests(path("applications"))
        assert sorted(dict(one["params"])["candidate_id"] for one in made) == ["0", "1"]


@pytest.mark.parametrize(
    ("resource", "provider"),
    [("interviews", "pinpoint"), ("interviews", "greenhouse"), ("candidates", "workable")],
)
def test_a_change_of_a_row_that_slips_by_is_not_passed_over(
    tap: Tap, sandbox: Sandbox, resource: str, provider: str
) -> None:
    account = account_of(sandbox, provider, paging="offset", order="oldest change first")
    settings = {"page_size": 2, "lookback_seconds": 0}
    house = Warehouse(tap, sandbox, resource, settings=settings)
    house.settle()
    before = house.bookmark(account)
    keys = [row["id"] for row in sandbox.rows(resource, account)]
    for day, key in enumerate(keys, 1):
        sandbox.change_row(resource, account, key, updated_at=f"2026-07-0{day}")
    act = {"change": resource, "account": account, "key": keys[0]}
    sandbox.fault(path=path(resource), skip=1, acts=[act])
    run = house.sync()
    assert len(told(run, "moved between pages", "Its bookmark stays")) == 1
    assert house.bookmark(account) == before
    assert house.table != house.source()
    house.settle()


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
        assert run.report["not_offered"] == {}
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
        assert run.report["not_offered"] == {}
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


@pytest.mark.parametrize(("family", "status"), spread(FAMILIES, [404, 403, 404]), ids=str)
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


@pytest.mark.parametrize(
    ("family", "answer"),
    spread(FAMILIES, [{"kind": "null_result"}, {"status": 204}, {"status": 204}]),
    ids=str,
)
def test_null_in_place_of_parents_deletes_no_child(
    tap: Tap, sandbox: Sandbox, family: Family, answer: dict[str, Any]
) -> None:
    family.set_up(sandbox, "by age")
    house = Warehouse(tap, sandbox, family.children, whole=True)
    house.settle()
    sandbox.fault(path=path(family.parents), times=3, **answer)
    run = house.sync()
    assert run.code == 0
    assert len(told(run, "null or nothing")) == 1
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


class TestDoubt:
    """What is not known for sure deletes nothing, and the next run makes up for it."""

    @pytest.fixture
    def ids(self, sandbox: Sandbox) -> dict[str, str]:
        accounts = [
            {"provider": "greenhouse"},
            {"provider": "pinpoint", "order": "oldest change first"},
            {"provider": "ashby"},
        ]
        created = sandbox.reset(accounts=accounts, interviews=5, rate_limits=False)
        return {one["integration"]["name"]: one["id"] for one in created}

    @pytest.fixture
    def house(self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]) -> Warehouse:
        house = Warehouse(tap, sandbox, "interviews", whole=True, settings={"page_size": 2})
        house.settle()
        assert len(house.table) == 5 * len(ids)
        return house

    @pytest.mark.parametrize("is_named", [False, True], ids=["found", "named"])
    def test_capabilities_that_hold_nothing(
        self,
        sandbox: Sandbox,
        ids: dict[str, str],
        house: Warehouse,
        is_named: bool,  # noqa: FBT001
    ) -> None:
        account = ids["greenhouse"]
        sandbox.account(account, resources=[])
        named = {"integrated_account_ids": list(ids.values())} if is_named else {}
        run = house.sync(**named)
        assert run.code == 0
        assert not run.of("ACTIVATE_VERSION")
        assert len(told(run, "No ACTIVATE_VERSION for interviews", "interviews was not found")) == 1
        sandbox.account(account, resources=["interviews"])
        house.settle()

    @pytest.mark.parametrize("status", [403, 404])
    @pytest.mark.parametrize("provider", ["greenhouse", "an-unknown-one"])
    def test_a_list_that_is_not_found_while_capabilities_are_hidden(
        self, sandbox: Sandbox, ids: dict[str, str], house: Warehouse, provider: str, status: int
    ) -> None:
        account = ids["greenhouse"]
        listed = [
            {"id": key, "integration": {"name": provider if key == account else name}}
            for name, key in ids.items()
        ]
        listing = {"kind": "body_override", "body": {"result": listed}}
        sandbox.fault(path="/integrated-account", **listing)
        sandbox.fault(path=f"/integrated-account/{account}", status=status, times=None)
        fault = {"path": path("interviews"), "status": 404}
        sandbox.fault(integrated_account_id=account, times=None, **fault)
        run = house.sync()
        assert not run.of("ACTIVATE_VERSION")
        assert told(run, "No ACTIVATE_VERSION for interviews", "1 of 3 accounts")
        house.settle()

    @pytest.mark.parametrize("stream", ["interviews", "integrated_accounts"])
    def test_an_account_that_the_listing_lacks_once(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], stream: str
    ) -> None:
        house = Warehouse(tap, sandbox, "interviews", whole=True, beside=("integrated_accounts",))
        house.settle()
        sandbox.account(ids["ashby"], is_listed=False)
        run = house.sync()
        assert not run.of("ACTIVATE_VERSION", stream)
        assert len(told(run, f"for {stream}", "1 accounts that had rows before")) == 1
        sandbox.account(ids["ashby"], is_listed=True)
        house.settle()

    def test_an_account_that_the_listing_lacks_now_and_then(
        self, sandbox: Sandbox, ids: dict[str, str], house: Warehouse
    ) -> None:
        """In between it is there, though it cannot be read."""
        account = ids["ashby"]
        sandbox.account(account, is_listed=False)
        assert not house.sync().of("ACTIVATE_VERSION")
        sandbox.account(account, is_listed=True)
        sandbox.fault(path=path("interviews"), integrated_account_id=account, status=403)
        assert house.sync().code == 1
        sandbox.account(account, is_listed=False)
        assert not house.sync().of("ACTIVATE_VERSION")
        sandbox.account(account, is_listed=True)
        house.settle()

    def test_an_account_that_stays_away_is_gone(
        self, sandbox: Sandbox, ids: dict[str, str], house: Warehouse
    ) -> None:
        account = ids["ashby"]
        sandbox.account(account, is_listed=False, resources=["jobs"])
        for row in sandbox.rows("interviews", account):
            sandbox.delete(account, row["id"])
        assert not house.sync().of("ACTIVATE_VERSION")
        house.settle()
        assert {key for key, _ in house.table} == set(ids.values()) - {account}

    def test_an_account_slips_through_while_another_is_removed(
        self, sandbox: Sandbox, ids: dict[str, str], house: Warehouse
    ) -> None:
        first, second, third = ids.values()
        act = {"account": first, "fields": {"is_listed": False}}
        sandbox.fault(path="/integrated-account", skip=1, acts=[act])
        run = house.sync(page_size=1)
        assert {row["integrated_account_id"] for row in run.records()} >= {second, third}
        sandbox.account(first, is_listed=True)
        house.settle()

    @pytest.mark.parametrize("skip", [0, 1])
    @pytest.mark.parametrize("answer", [{"kind": "null_result"}, {"status": 204}], ids=str)
    def test_null_in_place_of_accounts(
        self, sandbox: Sandbox, house: Warehouse, answer: dict[str, Any], skip: int
    ) -> None:
        sandbox.fault(path="/integrated-account", skip=skip, times=3, **answer)
        run = house.sync()
        assert not run.of("ACTIVATE_VERSION")
        assert len(told(run, "No ACTIVATE_VERSION for interviews")) == 1
        house.settle()

    def test_accounts_without_an_id(
        self, sandbox: Sandbox, ids: dict[str, str], house: Warehouse
    ) -> None:
        others = [{"id": key} for key in list(ids.values())[1:]]
        listing = {"kind": "body_override", "body": {"result": [{"id": None}, *others]}}
        house.state = None
        sandbox.fault(path="/integrated-account", **listing)
        run = house.sync()
        assert not run.of("ACTIVATE_VERSION")
        assert told(run, "accounts may be missing", "without an id")
        house.settle()

    @pytest.mark.parametrize("provider", ["pinpoint", "greenhouse", "ashby"])
    @pytest.mark.parametrize("verb", ["delete", "change"])
    def test_a_row_slips_through_while_another_goes(
        self, sandbox: Sandbox, ids: dict[str, str], house: Warehouse, provider: str, verb: str
    ) -> None:
        account = ids[provider]
        sandbox.account(account, paging="offset", order="oldest change first")
        keys = sorted(sandbox.rows("interviews", account), key=lambda row: row["updated_at"] or "")
        sandbox.clear_requests()
        act = {verb: "interviews", "account": account, "key": keys[0]["id"]}
        fault = {"path": path("interviews"), "skip": 1, "acts": [act]}
        sandbox.fault(integrated_account_id=account, **fault)
        assert house.sync().code == 0
        house.settle()

    @pytest.mark.parametrize("what", [{"is_blocked": True}, {"status": "needs_reauth"}])
    def test_an_account_that_is_not_served(
        self, sandbox: Sandbox, ids: dict[str, str], house: Warehouse, what: dict[str, Any]
    ) -> None:
        account = ids["pinpoint"]
        sandbox.account(account, **what)
        run = house.sync(max_retries=0)
        assert not run.of("ACTIVATE_VERSION")
        assert told(run, "No ACTIVATE_VERSION for interviews", "1 of 3 accounts")
        sandbox.account(account, is_blocked=False, status="active")
        house.settle()

    @pytest.mark.parametrize(
        "answer",
        [
            {"kind": "null_result"},
            {"status": 204},
            {"kind": "rows", "rows": [{"status": "draft"}]},
            {"kind": "truncated"},
            {"kind": "html"},
            {"kind": "loop"},
            {"status": 429, "headers": {"Retry-After": "0"}},
            {"status": 500},
            {"status": 404},
            {"status": 405},
            {"status": 301},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("skip", [0, 1])
    def test_an_answer_in_place_of_a_page(
        self,
        sandbox: Sandbox,
        ids: dict[str, str],
        house: Warehouse,
        answer: dict[str, Any],
        skip: int,
    ) -> None:
        account = ids["pinpoint"]
        fault = {"path": path("interviews"), "skip": skip, "times": None, **answer}
        sandbox.fault(integrated_account_id=account, **fault)
        run = house.sync(max_retries=2)
        assert not run.of("ACTIVATE_VERSION")
        assert told(run, "No ACTIVATE_VERSION for interviews", "1 of 3 accounts")
        house.settle()


class TestNothingMoved:
    """Rows that come twice without having moved keep no bookmark back."""

    @pytest.mark.parametrize("provider", ["breezy", "sagehr"])
    def test_a_candidate_of_two_jobs(self, tap: Tap, sandbox: Sandbox, provider: str) -> None:
        account = account_of(sandbox, provider)
        applications = [
            {"id": str(number), "job": {"id": row["id"]}}
            for number, row in enumerate(sandbox.rows("jobs", account))
        ]
        sandbox.add_row("candidates", account, applications=applications, updated_at="2026-07-01")
        house = Warehouse(tap, sandbox, "candidates", settings={"page_size": 2})
        run = house.sync()
        assert len(run.records("candidates")) > len(house.table)
        assert told(run, "") == []
        newest = max(row["updated_at"] or "" for row in house.source().values())
        assert (house.bookmark(account) or "") == newest
        house.settle()


class TestDroppedRows:
    """Rows that come with a change from before the bookmark, or with none at all."""

    OLD = "2025-02-01T10:00:00+00:00"

    @pytest.mark.parametrize(
        ("resource", "provider"),
        [
            *(("users", one) for one in RESOURCES["users"].offers if one != "ashby"),
            ("interviews", "ceipal"),
            ("interviews", "pinpoint"),
            ("candidates", "ashby"),
            ("jobs", "pinpoint"),
            ("departments", "greenhouse"),
            ("offices", "keka"),
        ],
    )
    def test_what_is_restored_with_an_old_change_comes_once(
        self, tap: Tap, sandbox: Sandbox, resource: str, provider: str
    ) -> None:
        account = account_of(sandbox, provider)
        house = Warehouse(tap, sandbox, resource, settings={"lookback_seconds": 0})
        house.settle()
        row = sandbox.rows(resource, account)[0]
        for _ in range(2):
            sandbox.add_row(resource, account, created_at=self.OLD, updated_at=self.OLD)
            house.settle()
        sandbox.delete_row(resource, account, row["id"])
        house.table.pop((account, row["id"]))
        sandbox.add_row(resource, account, created_at=self.OLD, updated_at=self.OLD)
        house.settle()
        house.settle()
        assert len(house.sync().records(resource)) < len(house.table)

    @pytest.mark.parametrize("beside", [{}, {"updated_at": None}], ids=["dated", "undated"])
    @pytest.mark.parametrize("lookback", [0, 3600])
    def test_the_servers_word_counts_that_a_row_changed(
        self, tap: Tap, sandbox: Sandbox, lookback: int, beside: dict[str, Any]
    ) -> None:
        """Whatever the row and others tell themselves; also when the same row changes again."""
        account = account_of(sandbox, "greenhouse")
        row, other, *_ = sandbox.rows("interviews", account)
        if beside:
            sandbox.change(account, other["id"], **beside)
        house = Warehouse(tap, sandbox, "interviews", settings={"lookback_seconds": lookback})
        house.settle()
        for day in range(1, 4):
            changed = {"location": f"Room {day}", "touched": f"2026-07-0{day}"}
            sandbox.change(account, row["id"], **changed)
            house.settle()

    def test_undated_rows_are_read_in_every_run(self, tap: Tap, sandbox: Sandbox) -> None:
        account = account_of(sandbox, "greenhouse")
        row = sandbox.rows("interviews", account)[0]
        sandbox.change(account, row["id"], updated_at=None)
        house = Warehouse(tap, sandbox, "interviews", settings={"lookback_seconds": 0})
        house.settle()
        for day in range(1, 4):
            sandbox.change(account, row["id"], updated_at=None, location=f"Room {day}")
            sandbox.add(account, updated_at=None)
            house.settle()

    @pytest.mark.parametrize(
        ("away", "back"),
        [
            ({"status": "needs_reauth"}, {"status": "active"}),
            ({"resources": ["jobs"]}, {"resources": ["jobs", "interviews"]}),
        ],
        ids=["inactive", "not offered"],
    )
    def test_a_run_that_does_not_read_them_forgets_nothing(
        self, tap: Tap, sandbox: Sandbox, away: dict[str, Any], back: dict[str, Any]
    ) -> None:
        account = account_of(sandbox, "greenhouse")
        row = sandbox.rows("interviews", account)[0]
        sandbox.change(account, row["id"], updated_at=None)
        house = Warehouse(tap, sandbox, "interviews", settings={"lookback_seconds": 0})
        house.settle()
        sandbox.account(account, **away)
        assert house.sync().code == 0
        sandbox.account(account, **back)
        sandbox.change(account, row["id"], updated_at=None, location="Another room")
        sandbox.add(account, updated_at=None)
        house.settle()


class TestSingleRows:
    """Rows that are asked for one by one, since the list gives only some fields."""

    @pytest.fixture
    def house(self, tap: Tap, sandbox: Sandbox) -> Warehouse:
        account_of(sandbox, "workable", candidates=10)
        settings = {"max_retries": 1, "max_concurrency": 1, "lookback_seconds": 0}
        return Warehouse(tap, sandbox, "candidates", hydrated=True, settings=settings)

    @staticmethod
    def single(sandbox: Sandbox, place: int) -> str:
        return f"{path('candidates')}/{sandbox.rows('candidates')[place]['id']}"

    @pytest.mark.parametrize("whole", [False, True], ids=["by bookmark", "whole"])
    @pytest.mark.parametrize("status", REFUSED)
    def test_a_refused_row_comes_as_listed(
        self,
        sandbox: Sandbox,
        house: Warehouse,
        status: int,
        whole: bool,  # noqa: FBT001
    ) -> None:
        house.whole = whole
        single = self.single(sandbox, 1)
        sandbox.fault(path=single, status=status, remote=True, times=None)
        run = house.sync()
        assert run.code == 1
        listed, whole_rows = rows(sandbox.rows("candidates")), house.source()
        key = next(key for key in listed if single.endswith(key[1]))
        assert house.table == whole_rows | {key: listed[key]}
        assert len(told(run, f"HTTP {status}", "1 of 10 rows of candidates")) == 1
        assert house.bookmark(key[0]) is None
        assert not run.of("ACTIVATE_VERSION", "candidates")
        house.settle()

    @pytest.mark.parametrize("places", [[0], [4], [9], [0, 1, 2], [0, 9]], ids=str)
    def test_a_row_that_is_not_found_for_a_moment_comes_in_full_in_the_end(
        self, sandbox: Sandbox, house: Warehouse, places: list[int]
    ) -> None:
        for place in places:
            sandbox.fault(path=self.single(sandbox, place), status=404, remote=True)
        run = house.sync()
        assert run.code == 0
        assert len(told(run, "were not found by their ids", "Its bookmark stays")) == 1
        assert house.table.keys() == house.source().keys()
        house.settle()

    @pytest.mark.parametrize("count", [1, 2, 4])
    def test_all_that_changed_come_in_full_in_the_end(
        self, sandbox: Sandbox, house: Warehouse, count: int
    ) -> None:
        """Though none of them was found for a moment, that of the bookmark included."""
        house.settle()
        (account,) = house.partitions()
        for day, row in enumerate(sandbox.rows("candidates")[-count:], 1):
            changed = {"updated_at": f"2026-07-0{day}", "first_name": "New"}
            sandbox.change_row("candidates", account, row["id"], **changed)
            single = f"{path('candidates')}/{row['id']}"
            sandbox.fault(path=single, status=404, remote=True)
        assert house.sync().code == 0
        house.settle()

    def test_where_no_row_can_be_had_alone_few_are_asked_for(
        self, sandbox: Sandbox, house: Warehouse
    ) -> None:
        sandbox.fault(path=f"{path('candidates')}/", status=404, remote=True, times=None)
        run = house.sync()
        assert run.code == 0
        assert house.table == rows(sandbox.rows("candidates"))
        asked = [one for one in sandbox.requests() if one["path"] > path("candidates") + "/"]
        assert len(asked) == 5
        assert run.logged("no row of candidates could be had by its id") == 1


REFUSALS = [
    ("interviews", "greenhouse", ["updated", "updated_at"], {}),
    ("interviews", "greenhouse", ["updated"], {}),
    ("interviews", "pinpoint", ["updated_at"], {}),
    ("candidates", "workable", ["updated_at"], {}),
    ("jobs", "lever", ["updated_at"], {}),
    ("applications", "jobscore", ["updated_at"], {}),
    ("interviews", "ashby", ["start_at"], {"schedule_window_days": 1}),
    ("interviews", "fountain", ["end_at"], {"schedule_window_days": 1}),
]
"""What a resource's provider refuses of the filters that the tap adds by itself."""


class TestRefusedFilters:
    """Filters that the user did not set are not worth an account."""

    @pytest.mark.parametrize("status", [400, 422])
    @pytest.mark.parametrize(("resource", "provider", "refuses", "settings"), REFUSALS)
    def test_the_account_is_read_whole(
        self,
        tap: Tap,
        sandbox: Sandbox,
        resource: str,
        provider: str,
        refuses: list[str],
        settings: dict[str, Any],
        status: int,
    ) -> None:
        account = account_of(sandbox, provider, refuses=refuses, refuses_with=status)
        house = Warehouse(tap, sandbox, resource, settings={"max_concurrency": 1, **settings})
        house.settle()
        for row in sandbox.rows(resource, account):
            sandbox.change_row(resource, account, row["id"], created_at="2025-01-01")
        sandbox.clear_requests()
        run = house.sync()
        assert run.code == 0
        assert house.table == house.source()
        assert run.logged("1 accounts refuse to be asked for a part") == 1
        assert told(run, "") == []
        statuses = [one["status"] for one in sandbox.requests(path(resource))]
        assert statuses.count(status) == 1
        house.settle()

    def test_a_filter_of_the_users_is_an_error(self, tap: Tap, sandbox: Sandbox) -> None:
        account_of(sandbox, "greenhouse", refuses=["start_at"], refuses_with=422)
        house = Warehouse(tap, sandbox, "interviews")
        house.settle()
        run = house.sync(filters={"interviews": {"start_at": {"gte": "2026-01-01"}}})
        assert run.code == 1
        assert len(told(run, "HTTP 422", "`filters`")) == 1
