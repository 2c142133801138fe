"""What an account of the sandbox can be told to do otherwise than its provider does."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.sandbox.client import account_of, ask, ids

if TYPE_CHECKING:
    import requests

    from sandbox.control import Sandbox

Row = dict[str, Any]


class TestOrder:
    @pytest.mark.parametrize(
        ("provider", "resource", "paging"),
        [
            ("jobscore", "candidates", None),
            ("teamtailor", "jobs", None),
            ("pinpoint", "interviews", None),
            ("ashby", "applications", "offset"),
            ("greenhouse", "candidates", "offset"),
        ],
    )
    def test_pages_by_offset_come_in_the_order_of_choice(
        self, sandbox: Sandbox, provider: str, resource: str, paging: str | None
    ) -> None:
        account = account_of(sandbox, provider, paging=paging, order="oldest change first")
        sandbox.change_row(resource, account, sandbox.rows(resource, account)[1]["id"])
        truth = sandbox.rows(resource, account)
        changed = [one["id"] for one in sorted(truth, key=lambda row: str(row["updated_at"]))]
        age = [one["id"] for one in truth]
        assert changed not in (age, age[::-1])
        assert ids(sandbox, account, resource) == changed
        sandbox.account(account, order="newest change first")
        assert ids(sandbox, account, resource) == changed[::-1]
        sandbox.account(account, order="by age")
        assert ids(sandbox, account, resource) == age[::-1]

    @pytest.mark.parametrize(
        ("order", "expected"),
        [
            ("by age", "4 3 2 1 0"),
            ("oldest change first", "0 1 3 4 2"),
            ("newest change first", "2 4 3 1 0"),
        ],
    )
    def test_a_thing_moves_when_it_changes(
        self, sandbox: Sandbox, order: str, expected: str
    ) -> None:
        account = account_of(sandbox, "jobscore", order=order)
        keys = [row["id"] for row in sandbox.rows("candidates", account)]
        for day, key in enumerate(keys, 1):
            sandbox.change_row("candidates", account, key, updated_at=f"2026-05-0{day}")
        sandbox.change_row("candidates", account, keys[2])
        assert ids(sandbox, account) == [keys[int(place)] for place in expected.split()]

    def test_things_that_know_no_change_are_in_order_of_age(self, sandbox: Sandbox) -> None:
        account = account_of(sandbox, "lever", paging="offset", order="newest change first")
        job = sandbox.rows("jobs", account)[0]["id"]
        fields = sandbox.rows("job_form_fields", account)
        age = [row["id"] for row in fields if row["job"]["id"] == job]
        assert ids(sandbox, account, "job_form_fields", job_id=job) == age[::-1]
        sandbox.account(account, order="oldest change first")
        assert ids(sandbox, account, "job_form_fields", job_id=job) == age

    def test_any_provider_pages_either_way(self, sandbox: Sandbox) -> None:
        account = account_of(sandbox, "greenhouse")
        by_number = ids(sandbox, account)
        sandbox.account(account, paging="offset")
        assert ids(sandbox, account) == by_number[::-1]
        account = account_of(sandbox, "jobscore", paging="keyset")
        assert ids(sandbox, account) == [r["id"] for r in sandbox.rows("candidates", account)]


class TestProperties:
    def test_an_account_that_is_not_listed_is_served(self, sandbox: Sandbox) -> None:
        account = account_of(sandbox, "lever", is_listed=False)
        assert ask(sandbox, "/integrated-account").json()["result"] == []
        assert ask(sandbox, f"/integrated-account/{account}").json()["id"] == account
        assert ask(sandbox, f"/integrated-account/{account}/capabilities").status_code == 200
        assert len(ids(sandbox, account)) == 5
        sandbox.account(account, is_listed=True)
        listed = ask(sandbox, "/integrated-account").json()["result"]
        assert [one["id"] for one in listed] == [account]

    @pytest.mark.parametrize(
        ("provider", "category"),
        [
            ("lever", "ats"),
            ("bamboohr", "hris"),
            ("hrcloud", "hris"),
            ("keka", "hris"),
            ("hubspot", "crm"),
            ("hibob", "hris"),
        ],
    )
    def test_an_account_is_filed_as_its_provider_is_or_as_told(
        self, sandbox: Sandbox, provider: str, category: str
    ) -> None:
        def shown(account: str) -> set[str]:
            path = f"/integrated-account/{account}"
            accounts = [ask(sandbox, "/integrated-account").json()["result"][0]]
            accounts += [ask(sandbox, path + end).json() for end in ("", "/capabilities")]
            return {one["integration"]["category"] for one in accounts}

        assert shown(account_of(sandbox, provider)) == {category}
        account = account_of(sandbox, provider, category="accounting")
        assert shown(account) == {"accounting"}
        sandbox.account(account, category="crm")
        assert shown(account) == {"crm"}

    @pytest.mark.parametrize(
        ("provider", "resources", "given"),
        [
            ("keka", None, ["candidates", "offices"]),
            ("pinpoint", ["jobs", "interviews"], ["interviews", "jobs"]),
            ("keka", ["offices", "tags"], ["offices"]),
            ("salesforce", None, []),
            ("salesforce", ["candidates"], []),
        ],
    )
    def test_what_an_account_does_not_give_is_not_found(
        self, sandbox: Sandbox, provider: str, resources: list[str] | None, given: list[str]
    ) -> None:
        account = account_of(sandbox, provider, **({"resources": resources} if resources else {}))
        capabilities = ask(sandbox, f"/integrated-account/{account}/capabilities").json()
        named = [(one["model"], one["resource"]) for one in capabilities["unified"]]
        assert sorted(named) == [("ats", one) for one in given]
        for resource in ("candidates", "interviews", "jobs", "offices", "tags"):
            path = f"/unified/ats/{resource}"
            answer = ask(sandbox, path, integrated_account_id=account)
            assert answer.status_code == (200 if resource in given else 404)
            key = answer.json()["result"][0]["id"] if answer.ok else "1"
            answer = ask(sandbox, f"{path}/{key}", integrated_account_id=account)
            assert answer.status_code == (200 if resource in given else 404)

    @pytest.mark.parametrize("key", ["a b", "a/b", "a?b&c=d", "a%2Fb", "100%", "#ü+"])
    def test_a_row_is_got_by_an_id_of_any_form(self, sandbox: Sandbox, key: str) -> None:
        account = account_of(sandbox, "lever")
        sandbox.add_row("candidates", account, id=key)
        path = f"/unified/ats/candidates/{quote(key, safe='')}"
        assert ask(sandbox, path, integrated_account_id=account).json()["id"] == key

    @pytest.mark.parametrize("clock", [-18_000, 0, 600.5])
    def test_the_clock_of_a_provider_is_off(self, sandbox: Sandbox, clock: float) -> None:
        account = account_of(sandbox, "lever", clock=clock)
        key = sandbox.rows("candidates", account)[0]["id"]
        added = sandbox.add_row("candidates", account)
        changed = sandbox.change_row("candidates", account, key)
        now = datetime.now(timezone.utc)
        for text in (added["created_at"], added["updated_at"], changed["updated_at"]):
            shown = datetime.fromisoformat(text) - timedelta(seconds=clock)
            assert timedelta(seconds=-0.01) <= now - shown <= timedelta(seconds=5)
        since = {"updated_at[gte]": added["updated_at"]}
        assert set(ids(sandbox, account, **since)) == {added["id"], key}
        sandbox.account(account, clock=0)
        later = sandbox.change_row("candidates", account, key)["updated_at"]
        assert datetime.fromisoformat(later) - now < timedelta(seconds=5)

    @pytest.mark.parametrize("provider", ["lever", "zohorecruit", "fountain", "greenhouse"])
    def test_date_times_are_spelt_without_a_zone(self, sandbox: Sandbox, provider: str) -> None:
        account = account_of(sandbox, provider)
        path = "/unified/ats/candidates"

        def texts() -> list[str]:
            rows = ask(sandbox, path, integrated_account_id=account).json()["result"]
            return [text for row in rows for text in (row["created_at"], row["updated_at"])]

        zoned = re.compile(r".*(Z|[+-]\d\d:?\d\d)$")
        spelt, truth = texts(), sandbox.rows("candidates", account)
        assert all(map(zoned.match, spelt))
        sandbox.account(account, zoneless=True)
        bare = texts()
        assert not any(map(zoned.match, bare))
        known = {text[:26] for row in truth for text in (row["created_at"], row["updated_at"])}
        assert {text.ljust(20, ".").ljust(26, "0") for text in bare} == known
        now = [row | {"remote_data": None} for row in sandbox.rows("candidates", account)]
        assert now == [row | {"remote_data": None} for row in truth]
        sandbox.account(account, zoneless=False)
        assert texts() == spelt
        account = account_of(sandbox, provider, zoneless=True)
        assert not any(map(zoned.match, texts()))

    @pytest.mark.parametrize(
        ("properties", "said"),
        [
            ({"order": "at random"}, "order 'at random' is none of by age, oldest change first"),
            ({"paging": "page"}, "paging 'page' is none of None, keyset, offset"),
            ({"order": "newest change first"}, "need paging by offset"),
            ({"colour": "red"}, "colour"),
            ({"refuses": "updated_at"}, "refuses is a list"),
        ],
    )
    def test_properties_that_make_no_sense_are_refused(
        self, sandbox: Sandbox, properties: Row, said: str
    ) -> None:
        with pytest.raises(ValueError, match=said):
            account_of(sandbox, "lever", **properties)
        account = account_of(sandbox, "lever")
        before = sandbox.accounts()
        with pytest.raises(ValueError, match=said):
            sandbox.account(account, status="needs_reauth", **properties)
        assert sandbox.accounts() == before


class TestFilters:
    @pytest.mark.parametrize(
        ("provider", "resource", "name"),
        [
            ("lever", "candidates", "updated_at"),
            ("greenhouse", "interviews", "updated"),
            ("teamtailor", "applications", "updated_at"),
            ("jobscore", "departments", "updated_at"),
        ],
    )
    def test_a_row_without_a_date_meets_no_filter(
        self, sandbox: Sandbox, provider: str, resource: str, name: str
    ) -> None:
        account = account_of(sandbox, provider)
        first, *others = (row["id"] for row in sandbox.rows(resource, account))
        undated = sandbox.change_row(resource, account, first, updated_at=None)
        added = sandbox.add_row(resource, account, updated_at=None)
        assert undated["updated_at"] is added["updated_at"] is None
        for sign, moment in (("gte", "2000-01-01"), ("lt", "2100-01-01")):
            found = ids(sandbox, account, resource, **{f"{name}[{sign}]": moment})
            assert set(found) == set(others)
        assert set(ids(sandbox, account, resource)) == {first, *others, added["id"]}
        changed = sandbox.change_row(resource, account, first)
        since = {f"{name}[gte]": changed["updated_at"]}
        assert ids(sandbox, account, resource, **since) == [first]

    @pytest.mark.parametrize(
        ("provider", "resource", "name"),
        [("lever", "candidates", "updated_at"), ("greenhouse", "interviews", "updated")],
    )
    def test_a_provider_knows_of_changes_that_rows_do_not_show(
        self, sandbox: Sandbox, provider: str, resource: str, name: str
    ) -> None:
        account = account_of(sandbox, provider, paging="offset", order="oldest change first")
        before = sandbox.rows(resource, account)
        first, *others = (row["id"] for row in before)
        row = sandbox.change_row(resource, account, first, touched="2026-07-01T02:00:00+02:00")
        assert row == before[0]
        assert ids(sandbox, account, resource) == [*others, first]
        for moment, expected in (("2026-07-01T00:00:00Z", [first]), ("2026-07-01T00:00:01Z", [])):
            assert ids(sandbox, account, resource, **{f"{name}[gte]": moment}) == expected
        undated = sandbox.add_row(resource, account, updated_at=None, touched="2026-08-01")
        since = {f"{name}[gte]": "2026-07-02"}
        assert ids(sandbox, account, resource, **since) == [undated["id"]]
        row = sandbox.change_row(resource, account, first)
        assert row["updated_at"] > "2026-07-02"
        since = {f"{name}[gte]": row["updated_at"]}
        assert first in ids(sandbox, account, resource, **since)

    @pytest.mark.parametrize("status", [400, 422])
    def test_a_provider_refuses_filters(self, sandbox: Sandbox, status: int) -> None:
        refuses = ["updated", "start_at"]
        account = account_of(sandbox, "greenhouse", refuses=refuses, refuses_with=status)

        def answer(*names: str) -> requests.Response:
            query = dict.fromkeys(names, "2026-01-01")
            path = "/unified/ats/interviews"
            return ask(sandbox, path, integrated_account_id=account, **query)

        for name in ("updated", "updated[gte]", "start_at[lt]"):
            refusal = answer("created_at[gte]", name)
            assert refusal.status_code == status
            assert refusal.json()["truto_is_remote_error"]
        assert answer("updated_at[gte]", "created_at", "end_at").status_code == 200
        sandbox.account(account, refuses=[])
        assert answer("updated[gte]").status_code == 200
