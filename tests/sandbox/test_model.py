"""What the sandbox promises of the whole ATS model: who gives what, and that it fits together."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests

from sandbox.control import Sandbox
from sandbox.server import serve
from sandbox.world import ALL, Options

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, Any]

HIRING = (
    "applicantstack ashby bamboohr breezy cats ceipal fountain greenhouse homerun jazzhr jobscore"
    " jobvite lever loxo recruitee recruiterflow sagehr smartrecruiters talentlyft teamtailor"
    " workable zohorecruit"
)
LISTS = {
    "interviews": "ashby ceipal fountain greenhouse pinpoint",
    "applications": "ashby greenhouse jobscore loxo pinpoint teamtailor zohorecruit",
    "candidates": f"{HIRING} hrcloud keka pinpoint",
    "jobs": f"{HIRING} jobsoid pinpoint",
    "job_interview_stages": (
        "ashby bamboohr cats fountain greenhouse homerun jobscore jobvite lever loxo recruiterflow"
        " teamtailor workable zohorecruit"
    ),
    "scorecards": "ashby breezy greenhouse",
    "offers": "ashby greenhouse",
    "users": (
        "ashby fountain greenhouse lever loxo pinpoint recruitee recruiterflow talentlyft"
        " teamtailor workable"
    ),
    "departments": "ashby greenhouse jobscore pinpoint recruitee workable",
    "offices": "ashby greenhouse jobvite keka pinpoint",
    "activities": "ashby breezy fountain greenhouse lever recruitee workable",
    "attachments": "ashby breezy fountain greenhouse jobscore lever loxo zohorecruit",
    "eeocs": "greenhouse",
    "reject_reasons": "ashby greenhouse",
    "tags": "ashby greenhouse jobscore lever recruitee zohorecruit",
    "organizations": "breezy jobvite loxo",
    "job_form_fields": "ashby breezy greenhouse lever",
}
PARTIAL = {
    "candidates": (
        "applicantstack bamboohr breezy cats homerun jazzhr loxo recruitee sagehr smartrecruiters"
        " talentlyft workable"
    ),
    "jobs": "applicantstack ashby bamboohr cats",
}
REQUIRED = {
    ("interviews", "fountain"): ["candidate_id"],
    ("candidates", "breezy"): ["job_id"],
    ("candidates", "sagehr"): ["job_id"],
    ("applications", "jobscore"): ["candidate_id"],
    ("applications", "loxo"): ["jobs[id]"],
    ("scorecards", "breezy"): ["job_id", "candidate_id"],
    ("activities", "ashby"): ["candidate_id"],
    ("activities", "breezy"): ["candidate_id", "job_id"],
    ("activities", "fountain"): ["actor[id]"],
    ("activities", "greenhouse"): ["candidate_id"],
    ("attachments", "ashby"): ["candidate_id"],
    ("attachments", "breezy"): ["candidate_id", "job_id"],
    ("attachments", "fountain"): ["candidate_id"],
    ("attachments", "jobscore"): ["candidate_id"],
    ("attachments", "lever"): ["candidate_id"],
    ("attachments", "loxo"): ["candidate_id"],
    ("job_form_fields", "ashby"): ["job_id"],
    ("job_form_fields", "breezy"): ["job_id"],
    ("job_form_fields", "greenhouse"): ["job_id"],
    ("job_form_fields", "lever"): ["job_id"],
}
WITHOUT_UPDATED_AT = {
    ("interviews", "ashby"),
    ("interviews", "fountain"),
    ("applications", "loxo"),
    ("candidates", "bamboohr"),
    ("candidates", "sagehr"),
    ("jobs", "bamboohr"),
    ("job_interview_stages", "cats"),
    ("scorecards", "breezy"),
    ("users", "ashby"),
    ("activities", "breezy"),
    ("attachments", "lever"),
    ("reject_reasons", "ashby"),
}
# What an id in a row is the id of.
REFERENCES = {
    "application": "applications",
    "candidate": "candidates",
    "job": "jobs",
    "job_interview_stage": "job_interview_stages",
    "current_stage": "job_interview_stages",
    "organizer": "users",
    "interviewers": "users",
    "interviewer": "users",
    "credited_to": "users",
    "creator": "users",
    "hiring_managers": "users",
    "recruiters": "users",
    "departments": "departments",
    "offices": "offices",
    "tags": "tags",
    "interview": "interviews",
    "applications": "applications",
    "attachments": "attachments",
}
NAMES = sorted({name for names in LISTS.values() for name in names.split()})
CANONICAL = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00"


class Accounts:
    """One small account of every provider, and a plain client of theirs."""

    def __init__(self, sandbox: Sandbox, session: requests.Session) -> None:
        self.sandbox = sandbox
        self.session = session
        self.ids = {one["integration"]["name"]: one["id"] for one in sandbox.reset()}

    def get(self, provider: str, path: str, **params: Any) -> requests.Response:
        return self.session.get(
            f"{self.sandbox.url}/unified/ats/{path}",
            params={"integrated_account_id": self.ids[provider], **params},
            headers={"Authorization": f"Bearer {self.sandbox.token}"},
            timeout=10,
        )

    def result(self, provider: str, resource: str, **params: Any) -> list[Row]:
        answer = self.get(provider, resource, **params)
        answer.raise_for_status()
        rows: list[Row] = answer.json()["result"]
        return rows

    def truth(self, provider: str, resource: str, *, whole: bool = False) -> list[Row]:
        return self.sandbox.rows(resource, self.ids[provider], whole=whole)

    def choices(self, provider: str, resource: str) -> list[dict[str, str]]:
        """The parameters of each request that it takes to have a resource whole."""
        required = REQUIRED.get((resource, provider), [])
        if not required:
            return [{}]
        parent = "jobs" if required in (["job_id"], ["jobs[id]"]) else "candidates"
        rows = self.truth(provider, parent, whole=True)
        if len(required) == 1:
            return [{required[0]: row["id"]} for row in rows]
        pairs = {(row["id"], one["job"]["id"]) for row in rows for one in row["applications"]}
        return [{"candidate_id": candidate, "job_id": job} for candidate, job in sorted(pairs)]

    def read(self, provider: str, resource: str) -> dict[str, Row]:
        asked = self.choices(provider, resource)
        found = [row for params in asked for row in self.result(provider, resource, **params)]
        return {str(row["id"]): row for row in found}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    small = Options(interviews=6, candidates=4, jobs=2, providers=(ALL,), rate_limits=False)
    with serve(small) as running:
        yield running


@pytest.fixture
def accounts(sandbox: Sandbox) -> Iterator[Accounts]:
    with requests.Session() as session:
        yield Accounts(sandbox, session)


def named(table: dict[str, str], provider: str) -> list[str]:
    return [resource for resource, names in table.items() if provider in names.split()]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The parts of a row by the path to them, without those of the provider's own record."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name not in {"remote_data", "custom_fields"}:
                yield from leaves(part, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for part in value:
            yield from leaves(part, path)
    else:
        yield path, value


def test_every_named_provider_is_there(accounts: Accounts) -> None:
    assert sorted(accounts.ids) == NAMES
    assert len(NAMES) == 26


@pytest.mark.parametrize("provider", NAMES)
def test_resources_are_listed_or_refused(accounts: Accounts, provider: str) -> None:
    for resource in LISTS:
        required = REQUIRED.get((resource, provider))
        answer = accounts.get(provider, resource)
        if resource not in named(LISTS, provider):
            assert (answer.status_code, accounts.truth(provider, resource)) == (404, [])
            continue
        assert answer.status_code == (400 if required else 200)
        if required:
            insight = answer.json()["truto_error_insight"]
            assert insight["missing_required_query_parameters"]["value"] == required
        truth = {row["id"] for row in accounts.truth(provider, resource)}
        assert truth
        assert accounts.read(provider, resource).keys() == truth
    assert accounts.get(provider, "odds").status_code == 404


@pytest.mark.parametrize("provider", NAMES)
def test_each_row_can_be_got_by_its_id(accounts: Accounts, provider: str) -> None:
    for resource in LISTS:
        if resource not in named(LISTS, provider):
            assert accounts.get(provider, f"{resource}/1").status_code == 404
            continue
        for key, listed in accounts.read(provider, resource).items():
            whole = accounts.get(provider, f"{resource}/{quote(key, safe='')}").json()
            assert whole.keys() >= listed.keys()
            assert (whole != listed) == (resource in named(PARTIAL, provider))
        assert accounts.get(provider, f"{resource}/none").status_code == 404
        path = f"{resource}/{quote(key, safe='')}"
        bare = accounts.get(provider, path, truto_ignore_remote_data="true").json()
        assert whole.keys() - bare.keys() == {"remote_data"}


@pytest.mark.parametrize("provider", NAMES)
def test_capabilities_tell_the_methods(accounts: Accounts, provider: str) -> None:
    url = f"{accounts.sandbox.url}/integrated-account/{accounts.ids[provider]}/capabilities"
    headers = {"Authorization": f"Bearer {accounts.sandbox.token}"}
    body = accounts.session.get(url, headers=headers, timeout=10).json()
    expected = {one: ["list", "get"] for one in named(LISTS, provider)}
    assert {one["resource"]: one["methods"] for one in body["unified"]} == expected


@pytest.mark.parametrize("provider", NAMES)
def test_the_truth_says_the_same_in_one_spelling(accounts: Accounts, provider: str) -> None:
    for resource in named(LISTS, provider):
        for whole in (False, True):
            for truth in accounts.truth(provider, resource, whole=whole):
                for path, value in leaves(truth):
                    if path.endswith(("_at", "start_date")) and value is not None:
                        assert re.fullmatch(CANONICAL, value)
                    elif path.split(".")[-1] == "id":
                        assert isinstance(value, str)
        shown = accounts.read(provider, resource)
        for truth in accounts.truth(provider, resource):
            row = shown[truth["id"]]
            custom = truth["custom_fields"] or {}
            names = truth.keys() - {"custom_fields", "integrated_account_id"}
            assert row.keys() - custom.keys() <= names
            assert custom == {name: row[name] for name in custom}
            assert all(truth[name] is None for name in names - row.keys())
            assert all((truth[name] is None) == (row[name] is None) for name in names & row.keys())
            json.dumps(row)


@pytest.mark.parametrize("provider", NAMES)
def test_ids_lead_to_rows(accounts: Accounts, provider: str) -> None:
    there = {
        resource: {row["id"] for row in accounts.truth(provider, resource)}
        for resource in named(LISTS, provider)
    }
    for resource in there:
        for row in accounts.truth(provider, resource, whole=True):
            for path, value in leaves(row):
                *_, name, last = ("", "", *path.split("."))
                target = REFERENCES.get(name)
                if last == "id" and value is not None and target in there:
                    assert value in there[target], f"{resource}: {path}"


def test_a_thing_and_those_it_names_agree(accounts: Accounts) -> None:
    stages = {row["id"]: row for row in accounts.truth("ashby", "job_interview_stages")}
    applications = {row["id"]: row for row in accounts.truth("ashby", "applications")}
    interviews = {row["id"]: row for row in accounts.truth("ashby", "interviews")}
    jobs = {row["id"] for row in accounts.truth("ashby", "jobs")}
    assert {stage["job"]["id"] for stage in stages.values()} == jobs
    for row in applications.values():
        stage = stages[row["current_stage"]["id"]]
        assert (stage["job"], stage["name"]) == (row["job"], row["current_stage"]["name"])
    for row in interviews.values():
        job = applications[row["application"]["id"]]["job"]
        assert stages[row["job_interview_stage"]["id"]]["job"] == job
    for row in accounts.truth("ashby", "scorecards"):
        interview = interviews[row["interview"]["id"]]
        assert row["application"] == interview["application"]
        assert row["candidate"] == applications[row["application"]["id"]]["candidate"]
    candidates = accounts.truth("ashby", "candidates")
    for row in candidates:
        assert row["applications"] == [
            {name: applications[one["id"]][name] for name in one} for one in row["applications"]
        ]
    assert {len(row["applications"]) for row in candidates} == {1, 2}


def test_which_rows_tell_when_they_changed(accounts: Accounts) -> None:
    without = {
        (resource, provider)
        for resource, providers in LISTS.items()
        for provider in providers.split()
        for row in accounts.read(provider, resource).values()
        if "updated_at" not in row
    }
    always = {("job_form_fields", provider) for provider in LISTS["job_form_fields"].split()}
    assert without == WITHOUT_UPDATED_AT | always


@pytest.mark.parametrize("resource", PARTIAL)
def test_partial_lists_give_less(accounts: Accounts, resource: str) -> None:
    for provider in LISTS[resource].split():
        listed, whole = (accounts.truth(provider, resource, whole=one) for one in (False, True))
        assert [row["id"] for row in listed] == [row["id"] for row in whole]
        assert (listed != whole) == (provider in PARTIAL[resource].split())
        assert all(row[{"candidates": "urls", "jobs": "description"}[resource]] for row in whole)


@pytest.mark.parametrize("resource", ["scorecards", "activities", "attachments"])
def test_a_pair_that_is_none_is_refused(accounts: Accounts, resource: str) -> None:
    pairs = accounts.choices("breezy", resource)
    candidates = {pair["candidate_id"] for pair in pairs}
    jobs = {pair["job_id"] for pair in pairs}
    assert len(pairs) < len(candidates) * len(jobs)
    accounts.sandbox.clear_requests()
    statuses = {
        (candidate, job): accounts.get(
            "breezy", resource, candidate_id=candidate, job_id=job
        ).status_code
        for candidate in candidates
        for job in jobs
    }
    assert {pair for pair, status in statuses.items() if status == 200} == {
        (pair["candidate_id"], pair["job_id"]) for pair in pairs
    }
    seen = [one["status"] for one in accounts.sandbox.requests(f"/unified/ats/{resource}")]
    assert seen.count(404) == len(statuses) - len(pairs)


@pytest.mark.parametrize(
    ("provider", "resource", "parameter", "field"),
    [
        ("greenhouse", "applications", "job_id", "job.id"),
        ("greenhouse", "candidates", "job_id", "applications.job.id"),
        ("fountain", "candidates", "job[id]", "applications.job.id"),
        ("recruitee", "candidates", "emails[email]", "emails.email"),
        ("greenhouse", "scorecards", "application_id", "application.id"),
        ("ashby", "offers", "application_id", "application.id"),
        ("workable", "users", "emails", "emails.email"),
        ("workable", "users", "access_role", "access_role"),
        ("keka", "offices", "name", "name"),
        ("workable", "activities", "activity_type", "activity_type"),
        ("workable", "activities", "actor[id]", "actor.id"),
        ("workable", "activities", "candidate[id]", "candidate.id"),
        ("zohorecruit", "attachments", "application_id", "application.id"),
        ("teamtailor", "applications", "updated_at", "updated_at"),
        ("jobscore", "departments", "created_at", "created_at"),
        ("ashby", "offers", "start_date", "start_date"),
    ],
)
def test_filters(
    accounts: Accounts, provider: str, resource: str, parameter: str, field: str
) -> None:
    truth = accounts.truth(provider, resource, whole=True)
    value = next(value for path, value in leaves(truth[-1]) if path == field)
    expected = {row["id"] for row in truth if (field, value) in leaves(row)}
    found = accounts.result(provider, resource, **{parameter: value})
    assert {str(row["id"]) for row in found} == expected
    if field.endswith("_at"):
        later = accounts.result(provider, resource, **{f"{parameter}[gt]": value})
        assert {str(row["id"]) for row in later} == {r["id"] for r in truth if r[field] > value}


@pytest.mark.parametrize(
    ("provider", "resource", "parameter"),
    [("ashby", "jobs", "created_at"), ("breezy", "jobs", "organization_id")],
)
def test_other_parameters_are_ignored(
    accounts: Accounts, provider: str, resource: str, parameter: str
) -> None:
    everything = accounts.result(provider, resource)
    for name in (parameter, f"{parameter}[gte]"):
        assert accounts.result(provider, resource, **{name: "2099-01-01"}) == everything


def test_rows_are_added_changed_and_deleted(accounts: Accounts) -> None:
    box, account = accounts.sandbox, accounts.ids["lever"]
    before = box.rows("candidates", account)
    added = box.add_row("candidates", account, name="Nova Invented")
    assert (added["name"], added["created_at"]) == ("Nova Invented", added["updated_at"])
    changed = box.change_row(
        "candidates", account, before[0]["id"], last_interaction_at="2026-07-01T12:30:00+02:00"
    )
    assert changed["last_interaction_at"] == "2026-07-01T10:30:00.000000+00:00"
    assert changed["updated_at"] > before[0]["updated_at"]
    box.delete_row("candidates", account, before[1]["id"])
    assert box.rows("candidates", account) == [changed, *before[2:], added]
    assert accounts.read("lever", "candidates").keys() == {
        row["id"] for row in [changed, *before[2:], added]
    }
    form_field = box.rows("job_form_fields", account)[0]
    assert box.change_row("job_form_fields", account, form_field["id"], index=7) == {
        **form_field,
        "index": 7,
        "remote_data": {**form_field["remote_data"], "index": 7},
    }
    with pytest.raises(ValueError, match="no such field: colour"):
        box.add_row("jobs", account, colour="red")
    with pytest.raises(ValueError, match="not there"):
        box.rows("odds", account)


@pytest.mark.parametrize(
    ("provider", "resource"),
    [("jobscore", "applications"), ("breezy", "candidates"), ("breezy", "activities")],
)
def test_what_is_added_is_within_reach(accounts: Accounts, provider: str, resource: str) -> None:
    account = accounts.ids[provider]
    before = accounts.truth(provider, resource)
    added = accounts.sandbox.add_row(resource, account)
    assert accounts.truth(provider, resource) == [*before, added]
    assert added["id"] in accounts.read(provider, resource)


@pytest.mark.parametrize(
    ("provider", "resource"), [("lever", "attachments"), ("fountain", "activities")]
)
def test_what_belongs_to_a_parent_that_is_gone_is_out_of_reach(
    accounts: Accounts, provider: str, resource: str
) -> None:
    first, *others = accounts.choices(provider, resource)
    before = accounts.truth(provider, resource)
    (gone,) = first.values()
    accounts.sandbox.delete_row("candidates", accounts.ids[provider], gone)
    assert accounts.get(provider, resource, **first).status_code == 404
    assert (
        accounts.get(provider, resource, **dict.fromkeys(first, "never was")).json()["result"] == []
    )
    kept = accounts.truth(provider, resource)
    assert {row["id"] for row in before} > {row["id"] for row in kept}
    assert sum(len(accounts.result(provider, resource, **one)) for one in others) == len(kept)


def test_a_guessed_name_arrives_like_a_customers_own(accounts: Accounts) -> None:
    job = accounts.truth("lever", "jobs")[0]
    assert {"is_remote", "job_type"} <= job["custom_fields"].keys()
    assert "is_remote" not in job
    listed = accounts.truth("cats", "jobs")[0]["custom_fields"] or {}
    assert "is_remote" not in listed


def test_the_model_is_the_same_for_a_seed_in_any_order(accounts: Accounts) -> None:
    order = list(LISTS)
    first = {resource: accounts.sandbox.rows(resource) for resource in order}
    accounts.sandbox.reset()
    assert {resource: accounts.sandbox.rows(resource) for resource in order[::-1]} == first
    accounts.sandbox.reset(seed=2)
    assert accounts.sandbox.rows("candidates") != first["candidates"]


def test_a_world_of_chosen_providers(accounts: Accounts) -> None:
    chosen = accounts.sandbox.reset(providers=["breezy", "loxo"], accounts_per_provider=2)
    assert [one["integration"]["name"] for one in chosen] == ["breezy", "breezy", "loxo", "loxo"]
    (single,) = accounts.sandbox.reset(accounts=[{"provider": "workable", "jobs": 3}])
    assert len(accounts.sandbox.rows("jobs", single["id"])) == 3
    with pytest.raises(ValueError, match="'odd' is none of"):
        accounts.sandbox.reset(providers=["odd"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["--providers", "breezy", "loxo"], ["breezy", "loxo"]), (["--providers", ALL], NAMES)],
    ids=["two", "all"],
)
def test_the_command_takes_providers(arguments: list[str], expected: list[str]) -> None:
    command = [sys.executable, "-m", "sandbox", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        found = re.search(r"http://\S+(?=,)", running.stdout.readline())
        assert found
        accounts = Sandbox(found[0]).accounts()
        running.terminate()
    assert sorted(one["integration"]["name"] for one in accounts) == expected
