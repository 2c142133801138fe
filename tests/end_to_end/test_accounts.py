"""Which accounts are read, and how it is found out what each of them offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats.model.resources import RESOURCES
from tests.harness import full_table

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Run, Tap

BASE = "/unified/ats/"
LISTING = "/integrated-account"
FILED_UNDER_HRIS = ("bamboohr", "hrcloud", "keka")
INFERRED = [
    (resource.name, provider)
    for resource in RESOURCES.values()
    for provider, offer in resource.offers.items()
    if offer.is_inferred
]


def make(sandbox: Sandbox, *accounts: dict[str, Any]) -> list[str]:
    """Make small accounts, and return their ids."""
    made = sandbox.reset(accounts=accounts, interviews=2, candidates=2, jobs=2, rate_limits=False)
    return [one["id"] for one in made]


def read(run: Run, stream: str) -> set[str]:
    """The accounts of which rows came."""
    return {row["integrated_account_id"] for row in run.records(stream)}


def passed_over(run: Run) -> list[str]:
    return [line.split("other categories: ")[1] for line in run.log if "Passed over" in line]


@pytest.mark.parametrize("streams", [["applications"], ["interviews"], ["jobs", "users"]])
def test_accounts_are_listed_once_whichever_streams_are_read(
    tap: Tap, sandbox: Sandbox, streams: list[str]
) -> None:
    make(sandbox, {"provider": "greenhouse"})
    run = tap(catalog=tap.catalog("account_syncs", "integrated_accounts", *streams))
    assert run.code == 0
    assert len(sandbox.requests(LISTING)) == 1


class TestCategories:
    """Accounts are read if they are of an applicant tracking system, however they are filed."""

    @pytest.mark.parametrize("category", [None, "ats", "ATS", "hris", "HRIS", "crm", "new"])
    def test_those_of_a_known_provider_are_read_whatever_their_category(
        self, tap: Tap, sandbox: Sandbox, category: str | None
    ) -> None:
        filed = {"category": category} if category else {}
        providers = (*FILED_UNDER_HRIS, "greenhouse")
        ids = make(sandbox, *({"provider": one, **filed} for one in providers))
        run = tap(catalog=tap.catalog("integrated_accounts", "candidates"))
        assert (run.code, run.errors, passed_over(run)) == (0, [], [])
        assert {row["id"] for row in run.records("integrated_accounts")} == {*ids}
        assert read(run, "candidates") == {*ids}

    @pytest.mark.parametrize("exact", [False, True], ids=["by bookmark", "whole"])
    def test_others_are_passed_over_and_counted_in_one_line(
        self,
        tap: Tap,
        sandbox: Sandbox,
        exact: bool,  # noqa: FBT001
    ) -> None:
        others = ("hubspot", "salesforce", "hibob", "hubspot")
        ids = make(sandbox, {"provider": "lever"}, *({"provider": one} for one in others))
        catalog = tap.catalog("integrated_accounts", "jobs")
        if exact:
            full_table(catalog, "jobs")
        run = tap(catalog=catalog, emit_activate_version_messages=exact, page_size=1)
        assert run.code == 0
        assert passed_over(run) == ["crm 3, hris 1."]
        assert [row["id"] for row in run.records("integrated_accounts")] == ids[:1]
        assert read(run, "jobs") == {ids[0]}
        asked = {dict(one["params"]).get("integrated_account_id") for one in sandbox.requests()}
        assert asked == {None, ids[0]}
        assert bool(run.of("ACTIVATE_VERSION", "jobs")) is exact

    @pytest.mark.parametrize(
        ("category", "is_read"),
        [
            (["hris", "ats"], True),
            ("ATS, HRIS", True),
            (" ats ", True),
            ("", True),
            (["crm"], False),
            ({"name": "crm"}, False),
            (5, False),
            ("chats", False),
        ],
    )
    def test_categories_of_other_forms_are_read_for_their_words(
        self,
        tap: Tap,
        sandbox: Sandbox,
        category: object,
        is_read: bool,  # noqa: FBT001
    ) -> None:
        make(sandbox, {"provider": "hubspot"})
        (row,) = sandbox.accounts()
        row["integration"]["category"] = category
        listing = {"result": [row], "next_cursor": None}
        sandbox.fault(path=LISTING, kind="body_override", body=listing, times=None)
        run = tap(catalog=tap.catalog("integrated_accounts"))
        assert run.code == 0
        assert bool(run.records("integrated_accounts")) is is_read

    def test_an_account_of_no_tenant_is_of_none_that_is_wanted(
        self, tap: Tap, sandbox: Sandbox
    ) -> None:
        make(sandbox, {"provider": "lever"})
        listing = {"result": [{**sandbox.accounts()[0], "tenant_id": None}], "next_cursor": None}
        sandbox.fault(path=LISTING, kind="body_override", body=listing, times=None)
        run = tap(tenant_ids=["None"])
        assert (run.code, run.records("integrated_accounts")) == (1, [])

    def test_a_run_that_passes_over_all_says_that_it_found_none(
        self, tap: Tap, sandbox: Sandbox
    ) -> None:
        make(sandbox, {"provider": "hubspot"})
        run = tap()
        assert run.code == 0
        assert passed_over(run) == ["crm 1."]
        assert run.logged("No integrated account was found") == 1

    def test_those_of_other_tenants_do_not_count(self, tap: Tap, sandbox: Sandbox) -> None:
        """Also where Truto ignores the tenants, and gives all accounts for each of them."""
        make(
            sandbox,
            {"provider": "lever", "tenant_id": "a"},
            {"provider": "lever", "tenant_id": "b"},
            {"provider": "hubspot", "tenant_id": "a"},
            {"provider": "salesforce", "tenant_id": "c"},
        )
        assert passed_over(tap(tenant_ids=["a", "b"])) == ["crm 1."]
        listing = {"result": sandbox.accounts(), "next_cursor": None}
        sandbox.fault(path=LISTING, kind="body_override", body=listing, times=None)
        assert passed_over(tap(tenant_ids=["a", "b"])) == ["crm 1."]

    def test_an_unknown_provider_of_the_category_is_asked(self, tap: Tap, sandbox: Sandbox) -> None:
        (account,) = make(sandbox, {"provider": "hubspot", "category": "ats"})
        run = tap(catalog=tap.catalog("account_syncs", "jobs", "tags"))
        assert (run.code, run.errors, passed_over(run)) == (0, [], [])
        for stream in ("jobs", "tags"):
            assert [one["status"] for one in sandbox.requests(BASE + stream)] == [404]
            assert run.syncs[account, stream]["mode"] == "not offered"


WORDS: dict[str, dict[str, Any]] = {
    "as they are": {},
    "none named": {"kind": "body_override", "body": {"unified": []}},
    "hidden": {"status": 403},
}
"""What is wrong with capabilities."""


class TestOffers:
    """The page of a resource and a 404 tell whether an account lists it."""

    @pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
    @pytest.mark.parametrize("has_it", [True, False], ids=["listed", "not found"])
    @pytest.mark.parametrize(
        "provider", ["ashby", "lever", "hubspot"], ids=["stated", "inferred", "unknown"]
    )
    def test_named_and_found_accounts_are_treated_alike(
        self,
        tap: Tap,
        sandbox: Sandbox,
        provider: str,
        has_it: bool,  # noqa: FBT001
        words: dict[str, Any],
    ) -> None:
        resources = ["tags"] if has_it else ["jobs"]
        filed = {"provider": provider, "category": "ats", "resources": resources}
        (account,) = make(sandbox, filed)
        capabilities = f"{LISTING}/{account}/capabilities"
        if words:
            sandbox.fault(path=capabilities, times=None, **words)

        def outcome(*streams: str, **settings: Any) -> tuple[Any, list[str]]:
            sandbox.clear_requests()
            catalog = full_table(tap.catalog("account_syncs", *streams, "tags"), "tags")
            run = tap(catalog=catalog, **settings)
            asked = [one["path"] for one in sandbox.requests()]
            *_, sync = run.records("account_syncs")
            ended = (sync["stream"], sync["mode"], sync["status"], sync["is_complete"])
            return (run.code, run.errors, run.records("tags"), ended), asked

        found, asked = outcome()
        looked_up = outcome("integrated_accounts", integrated_account_ids=[account])
        assert looked_up == (found, [f"{LISTING}/{account}", *asked[1:]])
        named, its = outcome(integrated_account_ids=[account])
        look_up = [] if not words else [f"{LISTING}/{account}"]  # They do not name its provider.
        assert named == found
        assert its[: 1 + len(look_up)] == [capabilities, *look_up]
        assert its[1 + len(look_up) :] == [one for one in asked[1:] if one != capabilities]

    @pytest.mark.parametrize("settings", ["found", "named"])
    @pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
    def test_what_is_asked_for_by_parents_needs_the_provider(
        self, tap: Tap, sandbox: Sandbox, settings: str, words: dict[str, Any]
    ) -> None:
        (account,) = make(sandbox, {"provider": "lever"})
        if words:
            sandbox.fault(path=f"{LISTING}/{account}/capabilities", times=None, **words)
        ids = [account] if settings == "named" else None
        # The streams come in the order of their names.
        run = tap(
            catalog=tap.catalog("attachments", "integrated_accounts"), integrated_account_ids=ids
        )
        assert (run.code, run.errors) == (0, [])
        assert len(run.records("attachments")) == len(sandbox.rows("attachments", account)) > 0

    @pytest.mark.parametrize("settings", ["found", "named"])
    def test_what_is_asked_for_by_parents_that_are_not_found_is_not_offered(
        self, tap: Tap, sandbox: Sandbox, settings: str
    ) -> None:
        (account,) = make(sandbox, {"provider": "breezy", "resources": ["organizations"]})
        ids = [account] if settings == "named" else None
        run = tap(
            catalog=tap.catalog("attachments", "jobs", "organizations"), integrated_account_ids=ids
        )
        assert (run.code, run.errors) == (0, [])
        assert run.records("organizations")
        assert run.report["not_offered"] == {"attachments": 1, "jobs": 1}

    @pytest.mark.parametrize("is_hidden", [False, True], ids=["not named", "hidden"])
    @pytest.mark.parametrize(("resource", "provider"), INFERRED)
    def test_an_inferred_list_that_is_not_found_is_not_offered(
        self,
        tap: Tap,
        sandbox: Sandbox,
        resource: str,
        provider: str,
        is_hidden: bool,  # noqa: FBT001
    ) -> None:
        has_it, lacks_it = make(
            sandbox, {"provider": provider}, {"provider": provider, "resources": ["jobs"]}
        )
        if is_hidden:
            sandbox.fault(path=f"{LISTING}/", status=403, times=None)
        catalog = full_table(tap.catalog("account_syncs", resource), resource)
        run = tap(catalog=catalog, emit_activate_version_messages=True)
        assert (run.code, run.errors) == (0, [])
        assert read(run, resource) == {has_it}
        assert len(run.records(resource)) == len(sandbox.rows(resource, has_it))
        assert run.syncs[lacks_it, resource]["mode"] == "not offered"
        assert bool(run.of("ACTIVATE_VERSION", resource)) is not is_hidden
        looked = [one["path"] for one in sandbox.requests() if one["path"].startswith(LISTING)]
        assert looked == [LISTING, f"{LISTING}/{lacks_it}/capabilities"]
