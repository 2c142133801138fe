"""How a resource of an account is read: which requests, in which order, and why so."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.model.instants import format_instant
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.settings.schema import Settings
from tap_truto_ats.sync.account import Account
from tap_truto_ats.sync.account_sync import AccountSync, Mode
from tap_truto_ats.sync.bookmarks import Bookmarks
from tap_truto_ats.sync.evidence import Doubt
from tap_truto_ats.sync.parents import ParentLists
from tap_truto_ats.sync.plans import Plan
from tap_truto_ats.sync.query import Query
from tests.sync.clocks import BEGAN, Clocks
from tests.sync.steps import refusal, take

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_truto_ats.api.request import Request
    from tests.sync.steps import Answer, Taken

DAY = timedelta(days=1)
NAMED: dict[str, Any] = {"integrated_account_ids": ["a1"]}


def capabilities(*resources: str, **about: Any) -> Page:
    unified = [{"model": "ats", "resource": one, "methods": ["list"]} for one in resources]
    return Page([{"unified": unified, **about}])


def name(request: Request) -> str:
    """Name a request by what it asks for, and by its parent."""
    by = [
        str(request.params[one])
        for one in ("job_id", "candidate_id", "actor[id]")
        if one in request.params
    ]
    return " ".join([request.path.rsplit("/", 1)[1], *by])


class Reading:
    """One resource of an account, read by a plan."""

    def __init__(
        self,
        clocks: Clocks,
        resource: str,
        provider: str | None,
        status: str | None = "active",
        *,
        is_exact: bool = False,
        **settings: Any,
    ) -> None:
        self.state: dict[str, Any] = {}
        self.account = Account("a1", provider, status)
        self.sync = AccountSync(resource, self.account, clocks.evidence(is_exact=is_exact))
        self._clocks = clocks
        self._is_exact = is_exact
        self.lists = ParentLists(self.account, clocks.now, 50, wants_all=False, only_first=False)
        self.lists.selected = [RESOURCES["interviews"]]
        self._settings = Settings.from_config({"api_token": "no-such-token", **settings})

    def read(self, answers: Mapping[str, Answer]) -> Taken:
        settings, declared = self._settings, RESOURCES[self.sync.stream]
        marks = None if self._is_exact else Bookmarks(self.state, "updated_at", BEGAN)
        plan = Plan(declared, Query(declared, settings, ()), marks, settings)

        def answer(request: Request) -> Answer:
            asked = name(request)
            return HIDDEN if asked == "a1" and asked not in answers else answers[asked]

        return take(plan.steps(self.sync, self.lists), answer, name)

    @property
    def doubts(self) -> dict[Doubt, int]:
        return {one: number for one, number in self.sync.evidence.doubts.items() if number}


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


ROWS = Page([{"id": "1"}])
HIDDEN, GONE = refusal(403), refusal(404)
OFFERED, OTHERS, NOTHING = capabilities("departments"), capabilities("users"), capabilities()
BOTH = ["capabilities", "departments"]
ASKED_FIRST = BOTH[::-1]

# Provider, capabilities, answer of the list → what is requested of a found account, whether it is
# offered, what is doubted. A named account is treated alike.
OFFERS: dict[str, tuple[str, Answer, Answer, list[str], bool, list[Doubt]]] = {
    "stated, and it lists": ("greenhouse", NOTHING, ROWS, ["departments"], True, []),
    "stated, whatever capabilities name": ("greenhouse", OTHERS, ROWS, ["departments"], True, []),
    "stated, not found, not named": ("greenhouse", OTHERS, GONE, ASKED_FIRST, False, []),
    "stated, not found, none named": (
        "greenhouse",
        NOTHING,
        GONE,
        ASKED_FIRST,
        False,
        [Doubt.NOT_OFFERED],
    ),
    "inferred, and it lists": ("workable", NOTHING, ROWS, ["departments"], True, []),
    "inferred, whatever capabilities name": ("workable", OTHERS, ROWS, ["departments"], True, []),
    "inferred, not found, not named": ("workable", OTHERS, GONE, ASKED_FIRST, False, []),
    "inferred, not found, none named": (
        "workable",
        NOTHING,
        GONE,
        ASKED_FIRST,
        False,
        [Doubt.NOT_OFFERED],
    ),
    "inferred, not found, hidden": (
        "workable",
        HIDDEN,
        GONE,
        ASKED_FIRST,
        False,
        [Doubt.NOT_OFFERED],
    ),
    "unknown, named": ("nobody", OFFERED, ROWS, BOTH, True, []),
    "unknown, not named": ("nobody", OTHERS, ROWS, ["capabilities"], False, []),
    "unknown, none named, and it lists": ("nobody", NOTHING, ROWS, BOTH, True, []),
    "unknown, none named, not found": (
        "nobody",
        NOTHING,
        GONE,
        BOTH,
        False,
        [Doubt.NOT_OFFERED],
    ),
    "unknown, hidden, and it lists": ("nobody", HIDDEN, ROWS, BOTH, True, []),
    "unknown, hidden, not found": ("nobody", HIDDEN, GONE, BOTH, False, [Doubt.NOT_OFFERED]),
}


class TestOffers:
    """Whether an account's provider lists the resource."""

    @pytest.mark.parametrize("settings", [{}, NAMED], ids=["found", "named"])
    @pytest.mark.parametrize(
        ("provider", "listed", "answer", "requested", "is_offered", "doubts"),
        OFFERS.values(),
        ids=OFFERS,
    )
    def test_it_is_found_out_with_few_requests(
        self,
        clocks: Clocks,
        settings: dict[str, Any],
        provider: str,
        listed: Answer,
        answer: Answer,
        requested: list[str],
        is_offered: bool,  # noqa: FBT001
        doubts: list[Doubt],
    ) -> None:
        reading = Reading(clocks, "departments", provider, **settings)
        taken = reading.read({"capabilities": listed, "departments": answer})
        assert (taken.requested, taken.error) == (requested, None)
        assert (reading.sync.mode is not Mode.NOT_OFFERED) is is_offered
        assert reading.doubts == dict.fromkeys(doubts, 1)
        assert taken.rows == (ROWS.rows if is_offered else [])

    @pytest.mark.parametrize(
        ("told", "answer", "is_offered"),
        [
            ("greenhouse", ROWS, True),
            ("greenhouse", GONE, False),
            ("workable", ROWS, True),
            ("workable", GONE, False),
            ("nobody", ROWS, False),
        ],
    )
    def test_capabilities_tell_the_provider_of_a_named_account_and_the_page_decides(
        self,
        clocks: Clocks,
        told: str,
        answer: Answer,
        is_offered: bool,  # noqa: FBT001
    ) -> None:
        reading = Reading(clocks, "departments", None, None, **NAMED)
        listed = capabilities("users", integration={"name": told})
        taken = reading.read({"capabilities": listed, "departments": answer})
        assert (taken.requested, taken.error) == (BOTH[: 1 + (told != "nobody")], None)
        assert (reading.sync.mode is not Mode.NOT_OFFERED) is is_offered
        assert reading.doubts == {}

    @pytest.mark.parametrize("settings", [{}, NAMED], ids=["found", "named"])
    @pytest.mark.parametrize(
        ("provider", "listed"),
        [
            ("greenhouse", HIDDEN),
            ("greenhouse", OFFERED),
            ("workable", OFFERED),
            ("nobody", OFFERED),
            (None, HIDDEN),
        ],
        ids=["stated, hidden", "stated, named", "inferred, named", "unknown, named", "hidden"],
    )
    @pytest.mark.parametrize("status", [404, 405])
    def test_what_should_be_there_and_is_not_found_is_an_error(
        self,
        clocks: Clocks,
        settings: dict[str, Any],
        provider: str | None,
        listed: Answer,
        status: int,
    ) -> None:
        error = refusal(status)
        reading = Reading(clocks, "departments", provider, **settings)
        taken = reading.read({"departments": error, "capabilities": listed})
        assert taken.error is error
        assert reading.sync.mode is not Mode.NOT_OFFERED

    def test_an_account_of_which_nothing_is_known_is_doubted(self, clocks: Clocks) -> None:
        reading = Reading(clocks, "departments", None, None, **NAMED)
        taken = reading.read({"capabilities": NOTHING, "departments": GONE})
        assert (taken.requested, taken.error) == (["capabilities", "a1", "departments"], None)
        assert reading.sync.mode is Mode.NOT_OFFERED
        assert reading.doubts == {Doubt.NOT_OFFERED: 1}

    def test_what_is_not_found_behind_a_page_is_an_error(self, clocks: Clocks) -> None:
        answers = Once(departments=iter([Page([{"id": "1"}], "2"), refusal(405)]))
        taken = Reading(clocks, "departments", "greenhouse").read(answers)
        assert taken.requested == ["departments", "departments"]
        assert taken.error is not None
        assert taken.error.status == 405

    def test_capabilities_that_cannot_be_had_are_an_error(self, clocks: Clocks) -> None:
        error = refusal(500)
        assert Reading(clocks, "departments", "nobody").read({"capabilities": error}).error is error

    def test_capabilities_are_requested_once(self, clocks: Clocks) -> None:
        first, second = (Reading(clocks, "departments", "nobody") for _ in range(2))
        second.account = second.sync.account = second.lists.account = first.account
        answers = {"capabilities": OFFERED, "departments": ROWS}
        assert first.read(answers).requested == BOTH
        assert second.read(answers).requested == ["departments"]

    @pytest.mark.parametrize(
        ("about", "cause"),
        [
            ({"is_blocked": True}, "Truto says that the account is blocked"),
            ({"status": "needs_reauth"}, "The account's status is needs_reauth"),
        ],
    )
    def test_a_named_account_that_is_not_served_is_an_error(
        self, clocks: Clocks, about: dict[str, Any], cause: str
    ) -> None:
        answers = {"capabilities": capabilities("departments", account=about)}
        taken = Reading(clocks, "departments", None, **NAMED).read(answers)
        assert taken.requested == ["capabilities", "a1"]
        assert taken.error is not None
        assert taken.error.cause == cause

    def test_a_named_account_whose_capabilities_are_hidden_is_looked_up(
        self, clocks: Clocks
    ) -> None:
        reading = Reading(clocks, "departments", None, None, **NAMED)
        row = Page([{"integration": {"name": "Workable"}, "status": "active"}])
        taken = reading.read({"capabilities": HIDDEN, "a1": row, "departments": GONE})
        assert (taken.requested, taken.error) == (["capabilities", "a1", "departments"], None)
        assert reading.account.provider == "workable"
        assert reading.sync.mode is Mode.NOT_OFFERED

    def test_a_found_account_that_is_not_active_is_not_asked(self, clocks: Clocks) -> None:
        reading = Reading(clocks, "departments", "greenhouse", "needs_reauth")
        taken = reading.read({})
        assert (taken.requested, taken.error) == ([], None)
        reading.sync.end(None)
        assert reading.sync.mode is Mode.INACTIVE
        assert reading.doubts == {Doubt.INACTIVE: 1}

    def test_a_parameter_that_is_missing_is_to_be_given_in_the_settings(
        self, clocks: Clocks
    ) -> None:
        error = refusal(400)
        error.missing_parameters = ("job_id", "x[y]")
        taken = Reading(clocks, "jobs", "lever").read({"jobs": error})
        assert taken.error is not None
        assert taken.error.cure == 'Give them in `filters`: {"jobs": {"job_id": "…", "x[y]": "…"}}'


class TestModes:
    """How an account is read, and why so."""

    @pytest.mark.parametrize(
        ("resource", "provider", "mode"),
        [
            ("interviews", "greenhouse", Mode.CHANGES),
            ("interviews", "ashby", Mode.WHOLE),
            ("candidates", "lever", Mode.CHANGES),
            ("users", "lever", Mode.UNKNOWN),
            ("interviews", None, Mode.UNKNOWN),
        ],
    )
    @pytest.mark.parametrize("is_exact", [False, True])
    def test_it_is_as_the_provider_has_it_unless_the_catalog_wants_all(
        self,
        clocks: Clocks,
        resource: str,
        provider: str | None,
        mode: Mode,
        is_exact: bool,  # noqa: FBT001
    ) -> None:
        reading = Reading(clocks, resource, provider, is_exact=is_exact)
        reading.read({"capabilities": HIDDEN, resource: ROWS})
        assert reading.sync.mode is (Mode.CHOSEN if is_exact else mode)

    def test_where_rows_are_undated_changes_are_not_asked_for(self, clocks: Clocks) -> None:
        reading = Reading(clocks, "interviews", "greenhouse")
        reading.sync.asks_for_changes = False
        reading.read({"interviews": ROWS})
        assert reading.sync.mode is Mode.WHOLE

    @pytest.mark.parametrize(
        ("read_at", "mode"),
        [
            (None, Mode.WHOLE),
            (BEGAN - DAY, Mode.WINDOW),
            (BEGAN - 60 * DAY, Mode.WINDOW),
        ],
        ids=["never", "yesterday", "long ago"],
    )
    def test_a_part_of_the_schedule_is_read_unless_all_is_due(
        self, clocks: Clocks, read_at: Any, mode: Mode
    ) -> None:
        reading = Reading(clocks, "interviews", "ashby", schedule_window_days=30)
        if read_at:
            partition = {"context": {"integrated_account_id": "a1"}}
            reading.state["partitions"] = [partition | {"whole_read_at": format_instant(read_at)}]
        reading.read({"interviews": ROWS})
        assert reading.sync.mode is mode

    def test_a_whole_read_that_is_due_is_one(self, clocks: Clocks) -> None:
        reading = Reading(clocks, "interviews", "ashby", schedule_window_days=30)
        reading.sync.whole_because = "7 days have passed"
        reading.read({"interviews": ROWS})
        assert reading.sync.mode is Mode.DUE

    def test_a_part_that_is_refused_is_read_whole(self, clocks: Clocks) -> None:
        reading = Reading(clocks, "interviews", "ashby", schedule_window_days=30)
        whole = {"whole_read_at": format_instant(BEGAN - DAY)}
        reading.state["partitions"] = [{"context": {"integrated_account_id": "a1"}, **whole}]
        answers = iter([refusal(422), ROWS])
        taken = reading.read(Once(interviews=answers))
        assert taken.requested == ["interviews"] * 2
        assert taken.rows == ROWS.rows
        assert reading.sync.mode is Mode.WHOLE


class Once(dict[str, Any]):
    """Answers that are given out one after another."""

    def __getitem__(self, key: str) -> Any:
        return next(super().__getitem__(key))


CANDIDATES = Page([{"id": f"c{n}"} for n in range(10)])


def by_candidate(**odd: Answer) -> dict[str, Answer]:
    """Answer for each of ten candidates with a row of its own, but for some."""
    rows: dict[str, Answer] = {
        f"interviews c{n}": Page([{"id": f"i{n}", "updated_at": format_instant(BEGAN)}])
        for n in range(10)
    }
    return {"candidates": CANDIDATES, **rows, **{f"interviews {one}": odd[one] for one in odd}}


class TestParents:
    """A list for each parent: one that is refused does not keep the others back."""

    def test_the_rows_of_all_are_handed_out(self, clocks: Clocks) -> None:
        reading = Reading(clocks, "interviews", "fountain")
        taken = reading.read(by_candidate())
        assert len(taken.rows) == 10
        assert taken.error is None
        assert reading.doubts == {}
        assert ", per candidate, since " in reading.sync.description

    @pytest.mark.parametrize("status", [400, 403, 410, 422, 500, None])
    def test_a_refused_one_costs_its_own_rows_and_is_an_error(
        self, clocks: Clocks, status: int | None
    ) -> None:
        reading = Reading(clocks, "interviews", "fountain")
        taken = reading.read(by_candidate(c4=refusal(status, "Refused")))
        assert len(taken.rows) == 9
        assert taken.error is not None
        assert taken.error.cause == "Refused: 1 of 10 candidates"

    def test_one_that_is_gone_is_doubted(
        self, clocks: Clocks, caplog: pytest.LogCaptureFixture
    ) -> None:
        reading = Reading(clocks, "interviews", "fountain")
        taken = reading.read(by_candidate(c4=GONE, c7=GONE))
        assert len(taken.rows) == 8
        assert taken.error is None
        assert reading.doubts == {Doubt.GONE: 2}
        assert "of candidates, 2 were gone when their turn came" in caplog.text

    def test_one_whose_later_page_stays_refused_is_refused(self, clocks: Clocks) -> None:
        later = iter([Page([{"id": "x"}], "2"), GONE, Page([{"id": "x"}], "2"), GONE])
        answers = Once({key: iter([one]) for key, one in by_candidate().items()})
        answers["interviews c4"] = later
        reading = Reading(clocks, "interviews", "fountain")
        taken = reading.read(answers)
        assert {row["id"] for row in taken.rows} >= {f"i{n}" for n in range(10) if n != 4}
        assert taken.error is not None
        assert "A cursor of /unified/ats/interviews was no longer accepted" in taken.error.cause

    @pytest.mark.parametrize(
        ("listed", "mode"),
        [(OTHERS, Mode.NOT_OFFERED), (HIDDEN, Mode.WHOLE), (NOTHING, Mode.NOT_OFFERED)],
        ids=["others are listed", "hidden", "nothing is listed"],
    )
    def test_if_all_are_gone_it_is_asked_whether_the_resource_is_offered(
        self, clocks: Clocks, listed: Answer, mode: Mode
    ) -> None:
        reading = Reading(clocks, "interviews", "fountain")
        answers = by_candidate(**{f"c{n}": GONE for n in range(10)})
        taken = reading.read({**answers, "capabilities": listed})
        assert (taken.rows, taken.error) == ([], None)
        assert reading.sync.mode is mode
        assert reading.sync.evidence.blocking_deletions("interviews") != []

    def test_after_many_refusals_in_a_row_no_others_are_requested(self, clocks: Clocks) -> None:
        answers: dict[str, Answer] = {
            "candidates": Page([{"id": f"c{n}"} for n in range(100)]),
            **{f"interviews c{n}": refusal(422, "Wrong") for n in range(100)},
        }
        taken = Reading(clocks, "interviews", "fountain").read(answers)
        assert len(taken.requested) == 1 + 20
        assert taken.error is not None
        assert taken.error.cause.startswith("Wrong: 20 of 20 candidates, and after 20 in a row")

    def test_parents_that_could_not_all_be_listed_are_an_error(self, clocks: Clocks) -> None:
        answers: dict[str, Answer] = {
            "jobs": Page([{"id": "1"}, {"id": "2"}]),
            "candidates 1": Page([{"id": "c"}]),
            "candidates 2": refusal(422, "Wrong"),
            "activities 1 c": ROWS,
        }
        taken = Reading(clocks, "activities", "breezy").read(answers)
        assert taken.rows == ROWS.rows
        assert taken.error is not None
        assert "Its candidates could not be listed: Wrong: 1 of 2" in taken.error.cause

    @pytest.mark.parametrize("lists_all", [True, False])
    def test_rows_that_were_all_listed_serve_as_parents(
        self,
        clocks: Clocks,
        lists_all: bool,  # noqa: FBT001
    ) -> None:
        reading = Reading(clocks, "candidates", "fountain")
        reading.sync.lists_all = lists_all
        reading.read(by_candidate())
        parents = reading.lists.listed.get("candidates")
        assert (parents is not None) is lists_all
        assert parents is None or len(parents.changed) == 10

    def test_an_account_error_ends_it_at_once(self, clocks: Clocks) -> None:
        login = refusal(401)
        login.is_of_account = True
        taken = Reading(clocks, "interviews", "fountain").read(by_candidate(c2=login))
        assert taken.error is login
        assert len(taken.requested) == 1 + 3

    def test_a_parent_in_the_settings_needs_no_list_of_parents(self, clocks: Clocks) -> None:
        filters = {"interviews": {"candidate_id": "c1"}}
        reading = Reading(clocks, "interviews", "fountain", filters=filters)
        assert reading.read(by_candidate()).requested == ["interviews c1"]

    def test_the_doubts_of_parents_are_the_rows(self, clocks: Clocks) -> None:
        reading = Reading(clocks, "interviews", "fountain")
        reading.read({**by_candidate(), "candidates": Page([{"id": "c1"}, {"id": None}])})
        assert reading.doubts == {Doubt.PARENTS_WITHOUT_ID: 1}

    def test_without_any_parent_nothing_is_asked_and_nothing_doubted(self, clocks: Clocks) -> None:
        reading = Reading(clocks, "interviews", "fountain")
        taken = reading.read({"candidates": Page([])})
        assert (taken.requested, taken.error) == (["candidates"], None)
        assert reading.sync.mode is Mode.WHOLE
        assert reading.doubts == {}
