"""Runs of the dbt package: after changes of the source, over few tables, and by others."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from documentation.models import PACKAGE, STAGING
from documentation.schemas import STREAMS, SYNCS
from sandbox.meltano import Project
from sandbox.server import serve
from sandbox.tables import query
from tap_truto_ats import warehouse
from tests.end_to_end.dbt import OPTIONAL, WORLD, Warehouse
from tests.end_to_end.numbers import by_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres

FEW = (SYNCS, "integrated_accounts", "interviews")
GONE = ("interviews", "applications", "users", "offers")
"""The streams of which a row is deleted."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serve(WORLD) as running:
        yield running


def delete_some(box: Sandbox) -> None:
    """Delete the first row of some streams."""
    for stream in GONE:
        row = box.rows(stream)[0]
        box.delete_row(stream, row["integrated_account_id"], row["id"])


def test_changes_arrive(sandbox: Sandbox, database: Postgres, tmp_path: Path) -> None:
    made = Warehouse(database, sandbox, "changing", tmp_path, OPTIONAL)
    made.load(*STREAMS)
    made.build()

    delete_some(sandbox)
    row = sandbox.rows("applications")[0]
    account, old = row["integrated_account_id"], row["current_stage"]["id"]
    stage = next(
        one
        for one in sandbox.rows("job_interview_stages", account)
        if one["job"] == row["job"] and one["id"] != old
    )
    new = {**row["current_stage"], "id": stage["id"], "name": stage["name"]}
    sandbox.change_row("applications", account, row["id"], current_stage=new)
    made.load(*STREAMS)
    begin = datetime.now(timezone.utc)
    made.build_only()

    for stream in GONE:
        staged = made.rows(f"{STAGING}{stream}")
        assert by_key(staged).keys() == by_key(sandbox.rows(stream)).keys()
        assert made.count(f"changing.{stream}") == len(staged) + 1

    history = [one for one in made.rows("stage_history") if one["application_id"] == row["id"]]
    first, second = sorted(
        (one for one in history if one["integrated_account_id"] == account),
        key=lambda one: one["stage_number"],
    )
    assert (first["stage_id"], first["is_current"]) == (old, False)
    assert (second["stage_id"], second["stage"]) == (stage["id"], stage["name"])
    assert first["seen_until"] == second["seen_from"]
    assert begin <= second["seen_from"] <= datetime.now(timezone.utc)
    assert second["is_current"]
    assert made.count("changing_models.stage_history", "stage_number > 1") == 1

    # A candidate that was read earlier may still hold the application that is gone.
    listed = by_key(sandbox.rows("applications"))
    accounts = {account for account, _ in listed}
    found = by_key(made.rows("applications_enriched"))
    assert {key for key in found if key[0] in accounts} == listed.keys()


def test_purge_deletes_what_the_command_deletes_without_models_too(
    sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    def tables(connection: Any) -> dict[str, Any]:
        found = {
            stream: connection.execute(f"SELECT * FROM purged.{stream} ORDER BY 1, 2, 3")
            for stream in STREAMS
        }
        sql = "SELECT stream, integrated_account_id, rows_purged FROM purged.purges ORDER BY 1"
        return {
            "purges": connection.execute(sql).fetchall(),
            **{stream: cursor.fetchall() for stream, cursor in found.items()},
        }

    made = Warehouse(database, sandbox, "purged", tmp_path, [])
    made.load(*STREAMS)
    delete_some(sandbox)
    made.load(*STREAMS)
    sql = warehouse.purge("purged", STREAMS.keys() - {SYNCS})
    sql = sql.replace("BEGIN TRANSACTION;", "").replace("COMMIT;", "")
    with psycopg.connect(database.uri) as connection:
        connection.execute(sql.encode())
        expected = tables(connection)
        connection.rollback()
    made.succeed("run-operation", "purge")
    with psycopg.connect(database.uri) as connection:
        assert tables(connection) == expected
    assert len(expected["purges"]) == len(GONE)
    for stream in GONE:
        assert made.count(f"purged.{stream}") == len(sandbox.rows(stream))


def test_a_stage_of_applications_for_several_jobs_has_none(
    sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    account = next(
        one["id"] for one in sandbox.accounts() if one["integration"]["name"] == "pinpoint"
    )
    applications = sandbox.rows("applications", account)
    first = applications[0]
    other = next(one for one in applications if one["job"] != first["job"])
    stage = first["current_stage"]
    sandbox.change_row("applications", account, other["id"], current_stage=stage)
    made = Warehouse(database, sandbox, "ambiguous", tmp_path, [])
    made.load(SYNCS, "integrated_accounts", "applications")
    made.build_only("--select", "+known_stages")
    known = {row["id"]: row["job_id"] for row in made.rows("known_stages")}
    assert known.pop(stage["id"]) is None
    assert None not in known.values()


def test_absent_tables_are_empty(sandbox: Sandbox, database: Postgres, tmp_path: Path) -> None:
    made = Warehouse(database, sandbox, "Few", tmp_path, [])
    made.load(*FEW)
    made.build()
    assert len(made.rows("interviews_enriched")) == len(sandbox.interviews())
    assert made.rows("applications_enriched") == []
    assert not query(
        database,
        f"SELECT FROM pg_views WHERE (schemaname, viewname) = ('Few_models', '{STAGING}eeocs')",
    )


def age(made: Warehouse, hours: int, condition: str = "true") -> None:
    """Let rows of `account_syncs` be older."""
    columns = ("run_started_at", "started_at", "ended_at")
    older = ", ".join(f"{one} = {one} - interval '{hours} hours'" for one in columns)
    sql = f'UPDATE "{made.schema}".account_syncs SET {older} WHERE {condition}'
    with psycopg.connect(made.database.uri) as connection:
        connection.execute(sql.encode())


def test_freshness_goes_by_the_syncs(sandbox: Sandbox, database: Postgres, tmp_path: Path) -> None:
    made = Warehouse(database, sandbox, "Fresh", tmp_path, [])
    made.load(*FEW, "jobs")
    results = tmp_path / "target" / "sources.json"

    def states() -> dict[str, str]:
        made.dbt("source", "freshness")
        found = json.loads(results.read_text())["results"]
        return {one["unique_id"].split(".")[-1]: one["status"] for one in found}

    assert set(states().values()) == {"pass"}
    age(made, 30)
    assert states()["interviews"] == "warn"
    age(made, 30)
    found = states()
    assert (found["interviews"], found["account_syncs"]) == ("error", "error")
    assert found["applications"] == "pass"

    made.load(*FEW)
    assert states() == found | dict.fromkeys(FEW, "pass")
    age(made, 8 * 24, "stream = 'jobs'")
    assert set(states().values()) == {"pass"}


def test_what_was_never_read_is_not_complete_until_it_is_deselected(
    sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    made = Warehouse(database, sandbox, "unread", tmp_path, [])
    made.load(*FEW)
    failing, inactive, *_ = [one["id"] for one in sandbox.accounts()]
    jobs = "/unified/ats/jobs"
    sandbox.fault(path=jobs, integrated_account_id=failing, status=400, times=None)
    made.load(*FEW, "jobs", fails=True)
    sandbox.account(inactive, status="needs_reauth")
    made.load(*FEW, "jobs", fails=True)
    made.build_only("--select", "+account_status")

    def untold(moment: str) -> list[str]:
        rows = made.rows("account_status")
        return [row["integrated_account_id"] for row in rows if row[moment] is None]

    for moment in ("complete_up_to", "last_whole_read_at"):
        assert untold(moment) == [failing]
    age(made, 8 * 24, "stream = 'jobs'")
    assert untold("complete_up_to") == []


def test_rows_of_a_removed_account_keep_its_provider_and_tenant(
    sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    made = Warehouse(database, sandbox, "removed", tmp_path, [])
    state = made.load(*FEW)
    account = sandbox.accounts()[0]
    sandbox.account(account["id"], is_listed=False)
    made.load(*FEW, state=state)
    sandbox.account(account["id"], is_listed=True)
    made.build()
    expected = {
        one["id"]: (one["integration"]["name"], one["tenant_id"]) for one in sandbox.accounts()
    }
    for model in ("account_status", "interviews_enriched"):
        found = {row["integrated_account_id"]: row for row in made.rows(model)}
        assert found.keys() <= expected.keys()
        for key, row in found.items():
            assert (row["provider"], row["tenant_id"]) == expected[key]
    assert found[account["id"]]
    assert account["id"] not in {row["id"] for row in made.rows(f"{STAGING}integrated_accounts")}


def test_a_schema_without_syncs_is_named(
    sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    code, log = Warehouse(database, sandbox, "misspelt", tmp_path, []).dbt("build")
    assert code == 1
    assert '"misspelt"."account_syncs" does not exist' in log
    assert not query(database, "SELECT FROM pg_views WHERE schemaname = 'misspelt_models'")


def test_it_is_a_package_of_a_project_that_has_users_of_its_own(
    sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    (own / "models").mkdir(parents=True)
    (own / "dbt_project.yml").write_text(
        "name: own\nprofile: truto_ats\nflags: {send_anonymous_usage_stats: false}\n"
    )
    (own / "packages.yml").write_text(f"packages: [{{local: {PACKAGE}}}]\n")
    (own / "models" / "stg_users.sql").write_text("select 1 as id")
    (own / "models" / "held.sql").write_text(
        "select id from {{ ref('interviews_enriched') }} where not is_cancelled"
    )
    made = Warehouse(database, sandbox, "shared", tmp_path, [], own)
    made.load(SYNCS, "integrated_accounts", "interviews", "users")
    made.succeed("deps")
    made.build()
    assert made.count("shared_models.stg_users") == 1
    assert made.rows("held")


def test_meltano_runs_it_after_the_target(
    sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    project = Project.create(tmp_path, tmp_path / "meltano.log", sandbox, database)
    project.run("install")
    project.run("run", "tap-truto-ats", "target-postgres", "dbt-postgres:build")
    found = query(database, "SELECT * FROM truto_ats_models.interviews_enriched")
    assert len(found) == len(sandbox.interviews())
    project.run("run", "dbt-postgres:freshness", "dbt-postgres:purge")
    project.run("invoke", "dbt-postgres:docs-generate")
    written = tmp_path / ".meltano" / "dbt" / "target" / "static_index.html"
    assert "The interview's status, in the words of" in written.read_text(encoding="utf-8")
