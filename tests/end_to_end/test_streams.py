"""The whole model: every stream, what it is asked by, and all of them in one run."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import limits as sandbox_limits
from tap_truto_ats.api import limits
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.tap import TapTrutoAts
from tests.harness import Run, Tap, full_table, whole

if TYPE_CHECKING:
    from sandbox.control import Sandbox

BASE = "/unified/ats/"
ASKED_BY_PARENTS = [
    (resource.name, provider)
    for resource in RESOURCES.values()
    for provider, offer in resource.offers.items()
    if offer.requires
]
LISTED_PARTIALLY = [
    (resource.name, provider)
    for resource in RESOURCES.values()
    for provider, offer in resource.offers.items()
    if offer.lists_partially
]


def one_account(sandbox: Sandbox, provider: str) -> str:
    account: str = sandbox.reset(
        accounts=[{"provider": provider}], interviews=6, candidates=5, jobs=3, rate_limits=False
    )[0]["id"]
    return account


def keyed(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows by key, without what the sandbox's truth does not tell."""
    return {
        (row["integrated_account_id"], row["id"]): {
            name: value
            for name, value in row.items()
            if name not in {"remote_data", "custom_fields"}
        }
        for row in rows
    }


def truth(sandbox: Sandbox, resource: str, account: str | None = None) -> dict[Any, Any]:
    return keyed(sandbox.rows(resource, account))


def paths(sandbox: Sandbox) -> Counter[str]:
    """How often each resource's list was asked for from its beginning."""
    return Counter(
        one["path"].removeprefix(BASE)
        for one in sandbox.requests()
        if one["path"].startswith(BASE) and "next_cursor" not in dict(one["params"])
    )


@pytest.fixture(scope="module")
def whole_run() -> Run:
    """A run over every stream of every provider."""
    tap = Tap(whole())
    catalog = tap.catalog("integrated_accounts", *RESOURCES)
    return tap(catalog=catalog, max_concurrency=20, include_eeocs=True)


class TestAllStreams:
    """Every stream of every provider, in one run."""

    @pytest.mark.parametrize("resource", RESOURCES)
    def test_its_rows_are_the_sources(
        self, whole_model: Sandbox, whole_run: Run, resource: str
    ) -> None:
        expected = truth(whole_model, resource)
        assert expected
        assert keyed(whole_run.records(resource)) == expected

    def test_all_schemas_come_before_the_first_row_of_the_loop(self, whole_run: Run) -> None:
        kinds = [(one["type"], one.get("stream")) for one in whole_run.messages]
        first = next(
            n for n, (kind, name) in enumerate(kinds) if kind == "RECORD" and name in RESOURCES
        )
        assert {name for kind, name in kinds[:first] if kind == "SCHEMA"} >= set(RESOURCES)
        assert len([one for one in kinds if one[0] == "SCHEMA"]) == 1 + len(RESOURCES)

    def test_a_state_follows_each_account_of_each_stream(self, whole_run: Run) -> None:
        """At no time does a state tell of an account whose rows are not all out."""
        newest: dict[tuple[str, str], str] = {}
        seen: set[tuple[str, str]] = set()
        for message in whole_run.messages:
            if message["type"] == "RECORD" and message["stream"] in RESOURCES:
                key = message["stream"], message["record"]["integrated_account_id"]
                assert key not in seen, "a row came behind its account's bookmark"
                if changed := message["record"].get("updated_at"):
                    newest[key] = max(newest.get(key, ""), changed)
            elif message["type"] == "STATE":
                for stream, state in message["value"].get("bookmarks", {}).items():
                    for partition in state.get("partitions", ()):
                        if "replication_key_value" in partition:
                            key = stream, partition["context"]["integrated_account_id"]
                            seen.add(key)
                            assert partition["replication_key_value"] <= newest[key]
        assert {stream for stream, _ in seen} > {"interviews", "candidates", "jobs", "applications"}

    def test_a_second_run_brings_what_changed(self, whole_model: Sandbox, whole_run: Run) -> None:
        (account,) = (
            one["id"]
            for one in whole_model.accounts()
            if one["integration"]["name"] == "greenhouse"
        )
        changed = whole_model.rows("candidates", account)[0]["id"]
        row = whole_model.change_row("candidates", account, changed, title="Chief")
        tap = Tap(whole_model)
        run = tap(catalog=tap.catalog("candidates"), state=whole_run.state)
        found = [
            one for one in run.records("candidates") if one["integrated_account_id"] == account
        ]
        assert changed in {one["id"] for one in found}
        assert len(found) < len(whole_model.rows("candidates", account))
        assert keyed(found)[account, changed]["title"] == row["title"]


def test_related_streams_converge_through_faults(sandbox: Sandbox, tap: Tap) -> None:
    """Whatever a run failed at, the next ones make good, so that joins find their other sides."""
    related = {"candidates": "title", "applications": "reject_reason", "interviews": "status"}
    providers = ("greenhouse", "ashby", "jobscore", "pinpoint", "breezy")
    created = sandbox.reset(
        accounts=[{"provider": provider} for provider in providers],
        interviews=6,
        candidates=4,
        jobs=2,
        rate_limits=False,
    )
    accounts = [one["id"] for one in created]
    found: dict[str, dict[Any, Any]] = {stream: {} for stream in related}
    state = None
    faults: list[dict[str, Any]] = [
        {"path": BASE + "applications", "status": 403, "times": 2},
        {"path": BASE + "candidates", "kind": "truncated", "times": None},
        {"path": BASE, "integrated_account_id": accounts[0], "status": 500, "times": None},
        {"path": BASE + "jobs", "status": 503, "times": 3},
        {},
    ]
    for number, fault in enumerate(faults):
        for stream, column in related.items():
            for account in accounts:
                for row in sandbox.rows(stream, account)[number : number + 2]:
                    change = {column: f"word {number}"}
                    sandbox.change_row(stream, account, row["id"], **change)
        if fault:
            sandbox.fault(**fault)
        run = tap(catalog=tap.catalog(*related), state=state, page_size=2, max_retries=0)
        assert run.code == bool(fault)
        for stream in related:
            found[stream] |= keyed(run.records(stream))
        state = run.state
        sandbox.clear_faults()
    for stream in related:
        assert found[stream] == truth(sandbox, stream)


class TestOneStream:
    """A catalog that selects little."""

    @pytest.mark.parametrize("resource", RESOURCES)
    def test_nothing_is_asked_for_the_others(self, whole_model: Sandbox, resource: str) -> None:
        tap = Tap(whole_model)
        run = tap(catalog=tap.catalog(resource), max_concurrency=20, include_eeocs=True)
        assert run.code == 0
        parents = {
            requirement.resource
            for offer in RESOURCES[resource].offers.values()
            for requirement in offer.requires
        }
        # The candidates of Breezy and Sage HR are themselves listed by job.
        parents |= {"jobs"} if "candidates" in parents else set()
        assert paths(whole_model).keys() <= {resource, *parents}
        assert {one["stream"] for one in run.messages if "stream" in one} == {resource}

    def test_equal_employment_data_is_never_read_unasked(self, tap: Tap) -> None:
        selected = {
            entry["tap_stream_id"]
            for entry in tap.discover()["streams"]
            if entry["metadata"][-1]["metadata"]["selected"]
        }
        assert selected == {
            *("account_syncs", "integrated_accounts", "interviews", "applications", "candidates"),
            *("jobs", "job_interview_stages", "users"),
        }


@pytest.mark.parametrize(("resource", "provider"), ASKED_BY_PARENTS)
class TestParents:
    """Each row of the table of required parameters, on the wire."""

    def test_each_pair_that_exists_is_asked_for_once(
        self, sandbox: Sandbox, tap: Tap, resource: str, provider: str
    ) -> None:
        account = one_account(sandbox, provider)
        run = tap(catalog=tap.catalog(resource))
        assert run.code == 0
        assert keyed(run.records(resource)) == truth(sandbox, resource, account)
        names = [one.parameter for one in RESOURCES[resource].offers[provider].requires]
        asked = [
            tuple(dict(one["params"])[name] for name in names)
            for one in sandbox.requests(BASE + resource)
        ]
        assert asked
        assert len(set(asked)) == len(asked)
        assert {one["status"] for one in sandbox.requests()} == {200}

    def test_a_failure_of_the_parents_is_said_as_such(
        self, sandbox: Sandbox, tap: Tap, resource: str, provider: str
    ) -> None:
        account = one_account(sandbox, provider)
        parent = RESOURCES[resource].offers[provider].requires[-1].resource
        sandbox.fault(path=BASE + parent, status=403, times=None)
        run = tap(catalog=tap.catalog(resource))
        assert run.code == 1
        (error,) = run.errors
        assert account in error
        assert f"({resource}): Its {parent} could not be listed: The provider forbids it" in error
        assert not sandbox.requests(BASE + resource)

    def test_a_parent_that_was_not_found_but_is_listed_is_asked_for_again(
        self, sandbox: Sandbox, tap: Tap, resource: str, provider: str
    ) -> None:
        account = one_account(sandbox, provider)
        sandbox.fault(path=BASE + resource, status=404, times=1)
        run = tap(catalog=tap.catalog(resource))
        assert run.code == 0
        assert keyed(run.records(resource)) == truth(sandbox, resource, account)
        assert not run.logged("gone when their turn came")


def test_parents_are_listed_once_for_all_streams(sandbox: Sandbox, tap: Tap) -> None:
    account = one_account(sandbox, "breezy")
    streams = ("activities", "attachments", "scorecards", "job_form_fields")
    run = tap(catalog=tap.catalog(*streams), max_concurrency=9)
    for stream in streams:
        assert keyed(run.records(stream)) == truth(sandbox, stream, account)
    asked = paths(sandbox)
    assert asked["jobs"] == 1
    assert asked["candidates"] == len(sandbox.rows("jobs", account))


def test_a_filter_rules_out_pairs(sandbox: Sandbox, tap: Tap) -> None:
    account = one_account(sandbox, "breezy")
    job = sandbox.rows("jobs", account)[0]["id"]
    run = tap(catalog=tap.catalog("activities"), filters={"activities": {"job_id": job}})
    assert run.code == 0
    asked = {dict(one["params"])["job_id"] for one in sandbox.requests(BASE + "activities")}
    assert asked == {job}


class TestUnknownRequirements:
    """What Truto requires and no table foresees."""

    FAULT: dict[str, Any] = {  # noqa: RUF012
        "status": 400,
        "insight": {"missing_required_query_parameters": {"value": ["job_id"]}},
        "times": None,
    }

    def test_the_error_shows_the_setting_that_gives_it(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str]
    ) -> None:
        sandbox.fault(path=BASE + "departments", **self.FAULT)
        run = tap(catalog=tap.catalog("departments"), integrated_account_ids=[ids["ashby"]])
        (error,) = run.errors
        assert "missing parameters: job_id" in error
        assert """Give them in `filters`: {"departments": {"job_id": "…"}}""" in error

    def test_the_setting_gives_it(self, sandbox: Sandbox, tap: Tap) -> None:
        tap(catalog=tap.catalog("departments"), filters={"departments": {"job_id": "j1"}})
        asked = sandbox.requests(BASE + "departments")
        assert asked
        assert all(["job_id", "j1"] in one["params"] for one in asked)


class TestFailures:
    """An account fails by stream."""

    def test_a_resource_that_is_refused_leaves_the_others(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str]
    ) -> None:
        account = ids["greenhouse"]
        sandbox.fault(path=BASE + "jobs", integrated_account_id=account, status=403, times=None)
        run = tap(catalog=tap.catalog("jobs", "users", "interviews"))
        assert run.code == 1
        (error,) = run.errors
        assert f"Account {account} (greenhouse) was not read to its end (jobs): " in error
        for stream in ("users", "interviews"):
            assert keyed(run.records(stream)) == truth(sandbox, stream)
        jobs = truth(sandbox, "jobs")
        expected = {key: row for key, row in jobs.items() if key[0] != account}
        assert keyed(run.records("jobs")) == expected

    def test_a_refused_login_is_found_out_once(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str]
    ) -> None:
        account = ids["greenhouse"]
        fault = {"status": 401, "remote": True, "times": None}
        sandbox.fault(path=BASE, integrated_account_id=account, **fault)
        streams = ("jobs", "users", "interviews", "candidates")
        run = tap(catalog=tap.catalog(*streams), max_concurrency=1)
        (error,) = run.errors
        assert all(stream in error for stream in streams)
        refused = [one for one in sandbox.requests() if one["status"] == 401]
        assert len(refused) == 1

    def test_what_a_provider_does_not_offer_costs_one_look(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str]
    ) -> None:
        run = tap(
            catalog=tap.catalog(
                "account_syncs", "interviews", "offices", "tags", "eeocs", "organizations"
            ),
            include_eeocs=True,
        )
        assert run.code == 0
        asked = sandbox.requests(f"/integrated-account/{ids['ceipal']}/capabilities")
        assert len(asked) == 1
        assert {one["status"] for one in sandbox.requests()} == {200}
        assert run.syncs[ids["ceipal"], "tags"]["mode"] == "not offered"

    def test_what_is_not_offered_is_found_out_behind_its_parents_too(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str]
    ) -> None:
        sandbox.account(ids["fountain"], resources=["candidates"])
        run = tap(catalog=tap.catalog("account_syncs", "interviews"))
        assert run.code == 0
        assert run.syncs[ids["fountain"], "interviews"]["mode"] == "not offered"

    def test_a_token_that_may_not_look_reads_what_there_is(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str]
    ) -> None:
        path = f"/integrated-account/{ids['ceipal']}/capabilities"
        sandbox.fault(path=path, status=403, times=None)
        run = tap(catalog=tap.catalog("account_syncs", "interviews", "tags"))
        assert run.code == 0
        assert run.syncs[ids["ceipal"], "tags"]["mode"] == "not offered"

    def test_deletions_wait_for_each_stream_alone(
        self, sandbox: Sandbox, tap: Tap, ids: dict[str, str]
    ) -> None:
        sandbox.fault(path=BASE + "jobs", integrated_account_id=ids["ashby"], status=403)
        catalog = tap.catalog("jobs", "users")
        for stream in ("jobs", "users"):
            full_table(catalog, stream)
        run = tap(catalog=catalog, emit_activate_version_messages=True)
        activated = [one["stream"] for one in run.messages if one["type"] == "ACTIVATE_VERSION"]
        assert activated == ["users"]


@pytest.mark.parametrize(("resource", "provider"), LISTED_PARTIALLY)
class TestHydrate:
    """Lists that give fewer fields than there are."""

    def test_each_row_is_fetched_by_its_id(
        self, sandbox: Sandbox, tap: Tap, resource: str, provider: str
    ) -> None:
        account = one_account(sandbox, provider)
        run = tap(catalog=tap.catalog(resource), hydrate=[resource], page_size=2)
        assert run.code == 0
        whole_rows = keyed(sandbox.rows(resource, account, whole=True))
        assert keyed(run.records(resource)) == whole_rows
        assert whole_rows != truth(sandbox, resource, account)

    def test_unasked_the_list_is_what_counts(
        self, sandbox: Sandbox, tap: Tap, resource: str, provider: str
    ) -> None:
        account = one_account(sandbox, provider)
        run = tap(catalog=tap.catalog(resource))
        assert keyed(run.records(resource)) == truth(sandbox, resource, account)

    def test_a_row_that_vanished_is_emitted_as_listed(
        self, sandbox: Sandbox, tap: Tap, resource: str, provider: str
    ) -> None:
        account = one_account(sandbox, provider)
        listed = truth(sandbox, resource, account)
        gone = sandbox.rows(resource, account)[0]["id"]
        sandbox.fault(path=f"{BASE}{resource}/{gone}", status=404, times=None)
        run = tap(catalog=tap.catalog(resource), hydrate=[resource])
        assert run.code == 0
        rows = keyed(run.records(resource))
        assert rows[account, gone] == listed[account, gone]
        assert rows.keys() == listed.keys()

    def test_an_error_of_a_row_is_the_accounts(
        self, sandbox: Sandbox, tap: Tap, resource: str, provider: str
    ) -> None:
        account = one_account(sandbox, provider)
        one = sandbox.rows(resource, account)[0]["id"]
        sandbox.fault(path=f"{BASE}{resource}/{one}", status=403)
        run = tap(catalog=tap.catalog(resource), hydrate=[resource])
        assert run.code == 1
        assert "bookmarks" not in json.dumps(run.state.get("bookmarks", {}).get(resource, {}))


def test_lists_that_are_not_partial_are_not_hydrated(sandbox: Sandbox, tap: Tap) -> None:
    one_account(sandbox, "greenhouse")
    tap(catalog=tap.catalog("candidates", "jobs"), hydrate=["candidates", "jobs"])
    assert paths(sandbox) == {"candidates": 1, "jobs": 1}


def test_the_limits_are_kept_and_used_up(
    sandbox: Sandbox, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All streams of many accounts through short windows, both limits a tenth.

    The tap's are longer by the half second by which its real ones are.
    """
    monkeypatch.setattr(limits, "TOKEN_LIMIT", 50)
    monkeypatch.setattr(limits, "ACCOUNT_LIMIT", 5)
    monkeypatch.setattr(limits, "PERIOD", 1.0)
    monkeypatch.setattr(sandbox_limits, "PER_TOKEN", 50)
    monkeypatch.setattr(sandbox_limits, "PER_ACCOUNT", 5)
    monkeypatch.setattr(sandbox_limits, "WINDOW_SECONDS", 0.5)
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=buffer))
    sandbox.reset(accounts_per_provider=3, interviews=8, candidates=3, jobs=2)
    catalog = tap.catalog("integrated_accounts", *RESOURCES)
    TapTrutoAts(config=tap.config(max_concurrency=20), catalog=catalog).sync_all()
    records = [json.loads(line) for line in buffer.getvalue().splitlines()]
    for resource in ("interviews", "candidates", "activities"):
        rows = [
            one["record"]
            for one in records
            if one["type"] == "RECORD" and one["stream"] == resource
        ]
        assert keyed(rows) == truth(sandbox, resource)
    made = sandbox.requests()
    assert {one["status"] for one in made} == {200}
    assert len(made) > 150
    # However slow the machine, some account may go on at any time, far beyond one's own limit.
    times = [one["at"] for one in made]
    assert max(sum(at <= other < at + 1.0 for other in times) for at in times) > 5 * 5
