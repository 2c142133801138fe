"""The SQL in `examples/`, over what the tap and its target load."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from sandbox.tables import query
from tests.end_to_end.test_targets import FAST, load, settings
from tests.harness import Tap, server

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres

Row = dict[str, Any]
Key = tuple[str, str]

EXAMPLES = Path(__file__).parents[2] / "examples"
SCHEMA = "examples"
VIEWED = {
    "applications": "candidate jsonb, job jsonb, current_stage jsonb",
    "candidates": "first_name text, last_name text, name text, applications jsonb[]",
    "interviews": "",
    "integrated_accounts": "",
    "job_interview_stages": "name text, job jsonb, position bigint",
    "jobs": "name text",
    "users": "first_name text, last_name text, name text",
}
"""The tables of the views, and the columns of those that the tap does not load."""
INTERVIEWING = ("ashby", "ceipal", "fountain", "greenhouse", "pinpoint")


def fill(database: Postgres, sandbox: Sandbox) -> None:
    """Make the tables that are missing as the target would."""
    there = {
        row["table_name"]
        for row in query(
            database,
            f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{SCHEMA}'",
        )
    }
    with psycopg.connect(database.uri) as connection:
        for table in VIEWED.keys() - there:
            columns = f"integrated_account_id text, id text, {VIEWED[table]}"
            key = "PRIMARY KEY (integrated_account_id, id)"
            connection.execute(f"CREATE TABLE {SCHEMA}.{table} ({columns}, {key})".encode())
            names = re.findall(r"(\w+) (?:text|jsonb|bigint)", columns)
            insert = f"INSERT INTO {SCHEMA}.{table} ({', '.join(names)}) VALUES ("
            insert += ", ".join(["%s"] * len(names)) + ")"
            for row in sandbox.rows(table):
                connection.execute(insert.encode(), [stored(row[name]) for name in names])


def stored(value: Any) -> Any:
    if isinstance(value, dict):
        return Jsonb(value)
    return [Jsonb(one) for one in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    running = server()
    running.reset(
        accounts=[
            {"provider": provider, "tenant_id": f"customer-{n % 3}"}
            for n, provider in enumerate((*INTERVIEWING, "ashby", "lever"))
        ],
        interviews=16,
        candidates=7,
        rate_limits=False,
    )
    return running


@pytest.fixture(scope="module")
def views(
    sandbox: Sandbox, database: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Postgres:
    """The views over what the tap has loaded."""
    run = Tap(sandbox)()
    assert run.code == 0
    config = settings(database, SCHEMA, **FAST)
    load(run, "meltanolabs-target-postgres", config, tmp_path_factory.mktemp("examples"))
    fill(database, sandbox)
    with psycopg.connect(database.uri) as connection:
        for _ in range(2):  # Pasted again, they replace themselves.
            for file in sorted(EXAMPLES.glob("*.sql")):
                sql = file.read_text(encoding="utf-8").replace("truto_ats.", f"{SCHEMA}.")
                connection.execute(sql.encode())
    return database


class Truth:
    """The join as the sandbox's own rows have it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.accounts = {one["id"]: one for one in sandbox.accounts()}
        self.interviews = sandbox.interviews()
        self.candidates = self.by_key(sandbox.rows("candidates"))
        self.jobs = self.by_key(sandbox.rows("jobs"))
        self.users = self.by_key(sandbox.rows("users"))
        self.applications = self.by_key(
            {**application, "integrated_account_id": account}
            for (account, _), candidate in self.candidates.items()
            for application in candidate["applications"] or ()
        )
        self.applications |= self.by_key(sandbox.rows("applications"))
        self.stages = self.by_key(
            {**application["current_stage"], "integrated_account_id": account}
            for (account, _), application in self.applications.items()
        )
        self.stages |= self.by_key(sandbox.rows("job_interview_stages"))

    @staticmethod
    def by_key(rows: Any) -> dict[Key, Row]:
        return {(row["integrated_account_id"], row["id"]): row for row in rows}

    def details(self, interview: Row) -> Row:
        account = interview["integrated_account_id"]

        def at(rows: dict[Key, Row], reference: Row | None) -> Row:
            return rows.get((account, (reference or {}).get("id", "")), {})

        application = at(self.applications, interview["application"])
        stage = at(self.stages, interview["job_interview_stage"])
        candidate = interview["candidate"] or application.get("candidate")
        people = [at(self.users, one) for one in interview["interviewers"] or ()]
        return {
            "tenant_id": self.accounts[account]["tenant_id"],
            "provider": self.accounts[account]["integration"]["name"],
            "job": at(self.jobs, application.get("job") or stage.get("job")).get("name"),
            "stage": stage.get("name"),
            "candidate_id": (candidate or {}).get("id"),
            "candidate": at(self.candidates, candidate).get("name"),
            "organizer": at(self.users, interview["organizer"]).get("name"),
            "interviewers": [one["name"] for one in people if one] or None,
            "interviewer_ids": [one["id"] for one in interview["interviewers"] or ()] or None,
        }


def test_each_interview_is_there_once_with_the_names_behind_its_ids(
    views: Postgres, sandbox: Sandbox
) -> None:
    truth = Truth(sandbox)
    expected = {key: truth.details(row) for key, row in Truth.by_key(truth.interviews).items()}
    found = query(views, f"SELECT * FROM {SCHEMA}.interview_details")
    assert len(found) == len(expected)
    for row in found:
        details = expected[row["integrated_account_id"], row["id"]]
        assert {name: row[name] for name in details} == details


@pytest.mark.parametrize(
    ("provider", "told"),
    [
        ("ashby", {"job", "stage", "candidate", "interviewers"}),
        ("ceipal", {"job", "stage", "candidate"}),
        ("fountain", {"job", "stage", "candidate", "interviewers"}),
        ("greenhouse", {"job", "candidate", "interviewers", "organizer"}),
        ("pinpoint", {"job", "stage", "candidate"}),
    ],
)
def test_what_can_be_told_of_a_provider(views: Postgres, provider: str, told: set[str]) -> None:
    found = query(views, f"SELECT * FROM {SCHEMA}.interview_details WHERE provider = '{provider}'")
    names = ("job", "stage", "candidate", "interviewers", "organizer")
    assert {name for name in names if any(row[name] for row in found)} == told


def test_interviews_are_counted_by_job_and_stage(views: Postgres, sandbox: Sandbox) -> None:
    truth = Truth(sandbox)
    expected: dict[tuple[Any, ...], list[Row]] = {}
    for interview in truth.interviews:
        row = truth.details(interview)
        key = (row["tenant_id"], row["provider"], row["job"], row["stage"])
        expected.setdefault(key, []).append(row)
    found = query(views, f"SELECT * FROM {SCHEMA}.interviews_by_job_and_stage")
    assert [row["tenant_id"] for row in found] == sorted(row["tenant_id"] for row in found)
    names = ("tenant_id", "provider", "job", "stage")
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in found:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    assert groups.keys() == expected.keys()
    for key, rows in expected.items():
        assert sum(row["interviews"] for row in groups[key]) == len(rows)
        candidates = {row["candidate"] for row in rows} - {None}
        assert {one for row in groups[key] for one in row["candidates"] or ()} == candidates
        people = {one for row in rows for one in row["interviewers"] or ()}
        assert {one for row in groups[key] for one in row["interviewers"] or ()} == people


def test_a_person_without_a_whole_name_has_its_parts(views: Postgres) -> None:
    (row,) = query(
        views,
        f"SELECT * FROM {SCHEMA}.interview_details WHERE candidate IS NOT NULL ORDER BY id LIMIT 1",
    )
    key = (
        f"integrated_account_id = '{row['integrated_account_id']}' AND id = '{row['candidate_id']}'"
    )
    with psycopg.connect(views.uri) as connection:
        sql = f"UPDATE {SCHEMA}.candidates SET name = NULL, first_name = 'Testa', last_name = NULL"
        connection.execute(f"{sql} WHERE {key}".encode())
        cursor = connection.execute(
            f"SELECT DISTINCT candidate FROM {SCHEMA}.interview_details"
            f" WHERE integrated_account_id = '{row['integrated_account_id']}'"
            f" AND candidate_id = '{row['candidate_id']}'".encode()
        )
        assert cursor.fetchall() == [("Testa",)]
        connection.rollback()
