"""Parents: rows whose ids others are requested by, each list of which is requested once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.model.declaration import Requirement
from tap_truto_ats.model.instants import LONG_AGO, parse_instant
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.sync.account import Account
from tap_truto_ats.sync.account_sync import AccountSync
from tap_truto_ats.sync.evidence import Doubt
from tap_truto_ats.sync.lists import MOST_READS
from tap_truto_ats.sync.parents import ParentLists, Parents
from tap_truto_ats.sync.refusals import Refusals
from tap_truto_ats.sync.tasks import Task
from tests.sync.clocks import Clocks
from tests.sync.steps import in_branches, in_turn, refusal, take

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_truto_ats.api.request import Request
    from tap_truto_ats.sync.account_sync import SyncTask
    from tap_truto_ats.sync.tasks import Steps
    from tests.sync.steps import Answer

JOB, CANDIDATE = Requirement("job_id", "jobs"), Requirement("candidate_id", "candidates")
MAY, JUNE, JULY = "2026-05-01", "2026-06-01T00:00:00Z", "2026-07-01T02:00:00+02:00"


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


@pytest.fixture
def parents(clocks: Clocks) -> Parents:
    return Parents(clocks.evidence(is_exact=True), Refusals("candidates"))


def name(request: Request) -> str:
    """Name a request by its resource, its cursor, and what it is asked by."""
    by = [str(request.params[one]) for one in ("job_id", "next_cursor") if one in request.params]
    return " ".join([request.path.rsplit("/", 1)[1], *by])


def page(*keys: str, cursor: str | None = None) -> Page:
    return Page([{"id": one} for one in keys], cursor)


def params_of(parents: Parents, *requires: Requirement) -> list[dict[str, str]]:
    return [one.params for one in parents.bindings(requires, {})]


class TestParents:
    """What is kept of parents, and in which order others are requested by them."""

    def test_they_come_in_the_order_of_their_ids_and_tell_when_they_changed(
        self, parents: Parents
    ) -> None:
        rows = [
            {"id": "undated"},
            {"id": "may", "updated_at": MAY},
            {"id": "july", "updated_at": "soon", "last_interaction_at": JULY},
            {"id": "june", "updated_at": JUNE, "last_interaction_at": MAY},
        ]
        for row in rows:
            parents.add({}, row)
        found = parents.bindings([CANDIDATE], {})
        assert [one.position for one in found] == [("july",), ("june",), ("may",), ("undated",)]
        assert [one.params["candidate_id"] for one in found] == ["july", "june", "may", "undated"]
        moments = [*map(parse_instant, (JULY, JUNE, MAY)), LONG_AGO]
        assert [one.changed for one in found] == moments

    @pytest.mark.parametrize("field", ["updated_at", "last_interaction_at"])
    @pytest.mark.parametrize(
        ("text", "is_local"), [("2026-05-01T10:00:00", True), (JULY, False), (None, False)]
    )
    def test_a_time_without_a_zone_may_jump_by_an_hour(
        self, parents: Parents, field: str, text: str | None, *, is_local: bool
    ) -> None:
        parents.add({}, {"id": "a", field: text})
        assert parents.evidence.is_local is is_local

    @pytest.mark.parametrize("row", [{}, {"id": None}, {"id": ""}, {"id": {}}, {"id": [1]}, 5])
    def test_one_without_an_id_is_no_parent(self, parents: Parents, row: object) -> None:
        assert parents.add({}, row) is None
        assert parents.bindings([CANDIDATE], {}) == []

    def test_an_id_is_sent_as_text(self, parents: Parents) -> None:
        parents.add({}, {"id": 7})
        assert params_of(parents, CANDIDATE) == [{"candidate_id": "7"}]

    def test_only_pairs_that_exist_are_requested(self, parents: Parents) -> None:
        for job, candidate in (("j1", "a"), ("j2", "b"), ("j2", "a")):
            parents.add({"job_id": job}, {"id": candidate})
        found = parents.bindings([JOB, CANDIDATE], {})
        assert [one.position for one in found] == [("j1", "a"), ("j2", "a"), ("j2", "b")]

    def test_a_parent_of_several_is_requested_once_where_these_are_not_required(
        self, parents: Parents
    ) -> None:
        for job in ("j1", "j2"):
            parents.add({"job_id": job}, {"id": "a"})
        assert params_of(parents, CANDIDATE) == [{"candidate_id": "a"}]

    @pytest.mark.parametrize(
        ("params", "pairs"),
        [
            ({}, ["j1 a", "j2 b"]),
            ({"job_id": "j2"}, ["j2 b"]),
            ({"candidate_id": "a"}, ["j1 a"]),
            ({"job_id": "j2", "candidate_id": "a"}, []),
            ({"other": "x"}, ["j1 a", "j2 b"]),
        ],
    )
    def test_one_that_contradicts_the_request_is_left_out(
        self, parents: Parents, params: dict[str, Any], pairs: list[str]
    ) -> None:
        parents.add({"job_id": "j1"}, {"id": "a"})
        parents.add({"job_id": "j2"}, {"id": "b"})
        found = parents.bindings([JOB, CANDIDATE], params)
        assert [" ".join(one.position) for one in found] == pairs

    def test_those_that_could_not_be_listed_are_summed_up(self, parents: Parents) -> None:
        assert parents.error() is None
        take(parents.refusals.attempt(refused()), {})
        error = parents.error()
        assert error is not None
        assert error.cause == "Its candidates could not be listed: Wrong: 1 of 1 candidates"


def refused() -> Steps[None]:
    yield from ()
    raise refusal(422, "Wrong")


@pytest.mark.parametrize(
    ("provider", "selected", "wanted"),
    [
        ("fountain", "interviews", {"candidates"}),
        ("breezy", "scorecards", {"candidates", "jobs"}),
        ("fountain", "jobs", set()),
        ("greenhouse", "interviews", set()),
        (None, "interviews", set()),
    ],
)
def test_parents_are_wanted_where_what_is_read_needs_them(
    clocks: Clocks, provider: str | None, selected: str, wanted: set[str]
) -> None:
    lists = Listing(clocks, provider).lists
    lists.selected = [RESOURCES[selected]]
    assert {one for one in RESOURCES if lists.needs(one)} == wanted


class Listing:
    """An account's lists of parents, as several streams ask for them."""

    def __init__(self, clocks: Clocks, provider: str | None, **options: Any) -> None:
        self.clocks = clocks
        options = {"wants_all": False, "only_first": False, **options}
        self.lists = ParentLists(Account("a1", provider), clocks.now, 50, **options)
        self.found: list[Parents] = []

    def ask(self, *requirements: Requirement) -> Steps[None]:
        for one in requirements:
            self.found.append((yield from self.lists.of(one)))

    def keys(self, number: int = 0) -> set[str]:
        return {key for key, _ in self.found[number].changed}

    def stream(
        self, resource: str, *keys: str, lists_all: bool = True, is_exact: bool = False
    ) -> SyncTask:
        """Have a stream list the resource, too."""
        evidence = self.clocks.evidence(is_exact=is_exact)
        sync = AccountSync(resource, self.lists.account, evidence, lists_all=lists_all)

        def steps() -> Steps[None]:
            yield from ()
            parents = self.lists.listed[resource] = Parents(evidence, Refusals(resource))
            for key in keys:
                if key == "wrong":
                    raise refusal(422)
                parents.add({}, {"id": key})

        task: SyncTask = Task(sync, steps(), "a1")
        self.lists.selected = list(RESOURCES.values())
        self.lists.make = {resource: task}.get
        return task


class TestLists:
    """Each list is requested once, by whomever it is needed first."""

    def test_a_list_is_requested_once(self, clocks: Clocks) -> None:
        listing = Listing(clocks, "lever")
        answers = {"candidates": page("a", cursor="2"), "candidates 2": page("b")}
        steps = in_branches(*(listing.ask(CANDIDATE) for _ in range(3)))
        taken = take(steps, answers, name)
        assert taken.requested == ["candidates", "candidates 2"]
        assert listing.found[0] is listing.found[1] is listing.found[2]
        assert listing.keys() == {"a", "b"}

    def test_it_asks_for_ids_and_little_else(self, clocks: Clocks) -> None:
        sent: list[Mapping[str, Any]] = []

        def answer(request: Request) -> Answer:
            sent.append(request.params)
            return page("a")

        take(Listing(clocks, "lever").ask(CANDIDATE), answer)
        assert sent == [
            {"integrated_account_id": "a1", "limit": 50, "truto_ignore_remote_data": True}
        ]

    def test_parents_that_have_parents_are_listed_by_them(self, clocks: Clocks) -> None:
        listing = Listing(clocks, "breezy")
        answers = {"jobs": page("1", "2"), "candidates 1": page("a"), "candidates 2": page("a")}
        taken = take(listing.ask(CANDIDATE, JOB), answers, name)
        assert sorted(taken.requested) == ["candidates 1", "candidates 2", "jobs"]
        pairs = listing.found[0].bindings([JOB, CANDIDATE], {})
        assert [one.params["job_id"] for one in pairs] == ["1", "2"]

    def test_only_first_pages_are_requested_for_a_test(self, clocks: Clocks) -> None:
        listing = Listing(clocks, "lever", only_first=True)
        taken = take(listing.ask(CANDIDATE), {"candidates": page("a", cursor="2")}, name)
        assert (taken.requested, listing.keys()) == (["candidates"], {"a"})

    def test_an_error_of_a_list_is_everybodys_and_names_it(self, clocks: Clocks) -> None:
        listing = Listing(clocks, "lever")
        login = refusal(401, "Login refused")
        login.is_of_account = True
        for _ in range(2):
            taken = take(listing.ask(CANDIDATE), {"candidates": login}, name)
            assert taken.error is not None
            assert taken.error.cause == "Its candidates could not be listed: Login refused"
            assert taken.error.is_of_account

    def test_a_parent_that_slipped_by_is_found_by_reading_again(self, clocks: Clocks) -> None:
        """A candidate changed while they were listed, and came twice."""
        first = page("a", "b", cursor="2"), page("b", "d")
        second = page("a", "c", cursor="2"), page("d", "b")
        listing = Listing(clocks, "lever")
        taken = take(listing.ask(CANDIDATE), in_turn(*first, *second), name)
        assert taken.requested == ["candidates", "candidates 2"] * 2
        assert listing.keys() == {"a", "b", "c", "d"}
        assert listing.found[0].evidence.doubts == {}

    def test_if_that_does_not_end_parents_are_doubted(self, clocks: Clocks) -> None:
        listing = Listing(clocks, "lever", wants_all=True)
        number = 0

        def answer(request: Request) -> Answer:
            nonlocal number
            number += 1
            return page(str(number), cursor=None if "next_cursor" in request.params else "2")

        taken = take(listing.ask(CANDIDATE), answer, name)
        assert taken.requested.count("candidates") == MOST_READS
        assert listing.found[0].evidence.doubts == {Doubt.MOVED: 1}

    def test_one_without_an_id_is_doubted(self, clocks: Clocks) -> None:
        listing = Listing(clocks, "lever")
        take(listing.ask(CANDIDATE), lambda _: Page([{"id": "a"}, {}, {"id": None}]))
        assert listing.found[0].evidence.doubts == {Doubt.PARENTS_WITHOUT_ID: 2}

    @pytest.mark.parametrize(
        ("answer", "doubts"),
        [(refusal(404), {Doubt.GONE: 1}), (refusal(422), {})],
        ids=["gone", "refused"],
    )
    def test_a_refused_parent_of_parents_does_not_keep_the_others_back(
        self, clocks: Clocks, answer: Answer, doubts: dict[Doubt, int]
    ) -> None:
        listing = Listing(clocks, "breezy")
        answers: dict[str, Answer] = {"jobs": page("1", "2"), "candidates 1": page("a")}
        answers["candidates 2"] = answer
        taken = take(listing.ask(CANDIDATE), answers, name)
        assert taken.error is None
        assert listing.keys() == {"a"}
        (found,) = listing.found
        assert found.evidence.doubts == doubts
        assert (found.error() is None) is bool(doubts)

    def test_if_all_of_them_are_refused_the_list_is(self, clocks: Clocks) -> None:
        listing = Listing(clocks, "breezy")
        answers: dict[str, Answer] = {
            "jobs": page("1", "2"),
            "candidates 1": refusal(422, "Wrong"),
            "candidates 2": refusal(422, "Wrong"),
        }
        taken = take(listing.ask(CANDIDATE), answers, name)
        assert taken.error is not None
        assert taken.error.cause == "Its candidates could not be listed: Wrong: 2 of 2 candidates"

    def test_what_is_doubted_of_the_outer_ones_is_doubted_of_the_inner(
        self, clocks: Clocks
    ) -> None:
        listing = Listing(clocks, "breezy")
        answers = {"jobs": Page([{"id": "1"}, {}]), "candidates 1": page("a")}
        take(listing.ask(CANDIDATE), answers, name)
        assert listing.found[0].evidence.doubts == {Doubt.PARENTS_WITHOUT_ID: 1}


class TestStreamsOfParents:
    """A stream that lists the parents anyway saves their list."""

    ANSWERS: Callable[[Request], Answer] = staticmethod(lambda _: page("listed"))

    def asked(self, listing: Listing) -> tuple[list[str], set[str]]:
        taken = take(listing.ask(CANDIDATE), self.ANSWERS, name)
        assert taken.error is None
        return taken.requested, listing.keys()

    def test_its_rows_are_the_parents(self, clocks: Clocks) -> None:
        listing = Listing(clocks, "lever")
        listing.stream("candidates", "a", "b")
        assert self.asked(listing) == ([], {"a", "b"})

    @pytest.mark.parametrize(
        "case",
        [
            {"lists_all": False},
            {"keys": ("a", "wrong")},
            {"keys": ("a", "a")},
            {"doubt": Doubt.MOVED},
            {"doubt": Doubt.NO_LIST},
        ],
        ids=["it lists a part", "it fails", "rows came twice", "rows moved", "no list"],
    )
    def test_unless_some_may_be_missing(self, clocks: Clocks, case: dict[str, Any]) -> None:
        listing = Listing(clocks, "lever")
        keys = case.get("keys", ("a",))
        task = listing.stream("candidates", *keys, lists_all=case.get("lists_all", True))
        assert task.subject
        if "doubt" in case:
            task.subject.evidence.doubts[case["doubt"]] += 1
        assert self.asked(listing) == (["candidates"], {"listed"})

    @pytest.mark.parametrize(("is_exact", "is_enough"), [(True, True), (False, False)])
    def test_for_deletions_it_has_to_be_exact(
        self,
        clocks: Clocks,
        is_exact: bool,  # noqa: FBT001
        is_enough: object,
    ) -> None:
        listing = Listing(clocks, "lever", wants_all=True)
        listing.stream("candidates", "a", is_exact=is_exact)
        assert (self.asked(listing) == ([], {"a"})) is is_enough

    def test_one_that_lists_no_parents_is_no_help(self, clocks: Clocks) -> None:
        """It turned out not to be offered, say."""
        listing = Listing(clocks, "lever")
        task = listing.stream("candidates")
        task.steps = in_branches()
        assert self.asked(listing) == (["candidates"], {"listed"})
