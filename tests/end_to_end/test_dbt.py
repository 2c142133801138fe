"""The dbt package, run by dbt over what the tap and its target have loaded into Postgres."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from sandbox.meltano import Project
from sandbox.tables import query
from tap_truto_ats import warehouse
from tests.end_to_end.dbt import Warehouse
from tests.end_to_end.numbers import Numbers, by_key
from tests.harness import server
from tests.models import DEFAULT, PACKAGE, STAGING, STREAMS, SYNCS, columns

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres

Row = dict[str, Any]

PROVIDERS = ("ashby", "breezy", "ceipal", "fountain", "greenhouse", "lever", "loxo", "pinpoint")
OPTIONAL = sorted(STREAMS.keys() - DEFAULT)
UNTOLD = {"remote_data"}


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    running = server()
    running.reset(
        accounts=[
            {"provider": provider, "tenant_id": f"customer-{n % 3}"}
            for n, provider in enumerate((*PROVIDERS, "ashby"))
        ],
        interviews=40,
        candidates=13,
        rate_limits=False,
    )
    row = next(one for one in running.interviews() if one["interviewers"] and one["start_at"])
    twice = row["interviewers"] * 2
    running.change(row["integrated_account_id"], row["id"], interviewers=twice)
    return running


@pytest.fixture(scope="module")
def built(
    sandbox: Sandbox, database: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    """All streams, loaded and built."""
    folder = tmp_path_factory.mktemp("dbt")
    made = Warehouse(database, sandbox, "analysed", folder, OPTIONAL)
    made.load(*STREAMS)
    made.build()
    return made


@pytest.fixture(scope="module")
def numbers(built: Warehouse) -> Numbers:
    return Numbers(built.sandbox)


def staged(stream: str, row: Row) -> Row:
    """A row of the sandbox in the form of the staging model."""
    types, ids, lists = columns(stream)
    expected = {name: row.get(name) for name in types.keys() - UNTOLD}
    for name, kind in types.items():
        if kind == "timestamptz" and row.get(name):
            expected[name] = datetime.fromisoformat(row[name])
    expected |= {name: (row[part] or {}).get("id") for name, part in ids.items()}
    return expected | {
        name: None if row[part] is None else [one["id"] for one in row[part]]
        for name, part in lists.items()
    }


@pytest.mark.parametrize("stream", sorted(STREAMS.keys() - {SYNCS, "integrated_accounts"}))
def test_staging_equals_the_source(built: Warehouse, stream: str) -> None:
    found = by_key(built.rows(f"{STAGING}{stream}"))
    expected = by_key(built.sandbox.rows(stream))
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        told = {name: value for name, value in found[key].items() if name not in UNTOLD}
        assert told == staged(stream, row)


def test_no_json_null_is_left(built: Warehouse) -> None:
    raw, model = "analysed.interviews", f"analysed_models.{STAGING}interviews"
    assert built.count(raw, "custom_fields = 'null'")
    assert not built.count(model, "custom_fields = 'null'")
    assert built.count(model, "custom_fields IS NULL") == built.count(raw, "custom_fields = 'null'")


def test_interviews_are_enriched(built: Warehouse, numbers: Numbers) -> None:
    found = by_key(built.rows("interviews_enriched"))
    assert found.keys() == numbers.interviews.keys()
    for key, expected in numbers.interviews.items():
        row = {name: found[key][name] for name in expected.keys() - {"hours"}}
        for name in ("applied_at", "interview_at"):
            row[name] = row[name] and row[name].isoformat(timespec="microseconds")
        assert row == {name: value for name, value in expected.items() if name != "hours"}
    inferred = {row["provider"] for row in found.values() if row["is_application_inferred"]}
    assert inferred == {"fountain"}
    sources = {row["provider"]: row["interview_at_from"] for row in found.values()}
    assert (sources["ceipal"], sources["fountain"]) == ("created_at", "end_at")


def test_applications_are_enriched(built: Warehouse, numbers: Numbers) -> None:
    found = by_key(built.rows("applications_enriched"))
    assert found.keys() == numbers.applications.keys()
    held = numbers.held
    for key, row in found.items():
        application, interviews = numbers.applications[key], held.get(key, [])
        assert row["current_stage"] == application["current_stage"]["name"]
        assert row["interviews"] == len(interviews)
        assert (row["days_to_first_interview"] is None) == (not interviews)
        assert row["days_to_first_interview"] is None or row["days_to_first_interview"] > 0


def test_waits_for_the_first_interview(built: Warehouse, numbers: Numbers) -> None:
    found = built.rows("time_to_first_interview")
    expected = numbers.waits()
    assert len(found) == len(expected)
    for row in found:
        wait = expected[row["integrated_account_id"], row["job_id"]]
        assert {name: row[name] for name in wait} == pytest.approx(wait, nan_ok=True)
        assert row["is_estimated"] == (
            row["provider"] in {"ceipal", "fountain"} and row["applications_interviewed"] > 0
        )


def test_the_funnel(built: Warehouse, numbers: Numbers) -> None:
    names = ("integrated_account_id", "job_id", "stage_id")
    found = {tuple(row[name] for name in names): row for row in built.rows("funnel_by_stage")}
    expected = numbers.funnel()
    assert found.keys() == expected.keys()
    for key, counts in expected.items():
        assert {name: found[key][name] for name in counts} == counts
    assert {row["applications_reached"] < row["applications"] for row in found.values()} == {
        True,
        False,
    }


def test_the_load_of_interviewers(built: Warehouse, numbers: Numbers) -> None:
    found = {
        (row["integrated_account_id"], row["interviewer_id"], row["week"].isoformat()): row
        for row in built.rows("interviewer_load_by_week")
    }
    expected = numbers.load()
    assert found.keys() == expected.keys()
    for key, counts in expected.items():
        row = {name: found[key][name] or 0 for name in counts}
        assert row == pytest.approx(counts)


def test_cancellations(built: Warehouse, numbers: Numbers) -> None:
    names = ("interviews", "interviews_with_status", "interviews_cancelled")
    found = built.rows("cancellations_by_provider")
    counted = {row["provider"]: tuple(row[name] for name in names) for row in found}
    assert counted == numbers.cancellations()


def test_the_status_of_accounts(built: Warehouse, numbers: Numbers) -> None:
    found = {row["integrated_account_id"]: row for row in built.rows("account_status")}
    assert found.keys() == numbers.accounts.keys()
    for account, row in found.items():
        assert (row["provider"], row["status"]) == (numbers.provider(account), "active")
        assert (row["streams_failed"], row["failed_streams"]) == (0, None)
        assert row["streams_read"] + row["streams_skipped"] == len(STREAMS) - 1
        assert row["last_whole_read_at"] <= row["complete_up_to"]


def test_columns_are_described_in_the_database_and_by_docs_generate(built: Warehouse) -> None:
    assert not query(
        built.database,
        "SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class ON oid = attrelid"
        " WHERE relnamespace IN ('analysed_models'::regnamespace,"
        " 'analysed_models_history'::regnamespace) AND attnum > 0 AND relkind IN ('r', 'v')"
        " AND col_description(attrelid, attnum) IS NULL",
    )
    code, log = built.dbt("docs", "generate")
    assert code == 0, log
    catalog = json.loads((built.folder / "target" / "catalog.json").read_text())
    assert {f"model.truto_ats.{STAGING}{stream}" for stream in STREAMS} < catalog["nodes"].keys()


class TestChanges:
    """What happens to the models when the source changes; each test goes on from the one before."""

    def test_what_is_gone_is_gone_from_staging(self, built: Warehouse) -> None:
        box = built.sandbox
        for stream in ("interviews", "applications", "users", "offers"):
            row = box.rows(stream)[0]
            box.delete_row(stream, row["integrated_account_id"], row["id"])
        built.load(*STREAMS)
        for stream in ("interviews", "applications", "users", "offers"):
            raw = built.rows(f"{STAGING}{stream}")
            assert by_key(raw).keys() == by_key(box.rows(stream)).keys()
            assert built.count(f"analysed.{stream}") == len(raw) + 1

    def test_purge_deletes_what_the_command_deletes_without_models_too(
        self, built: Warehouse
    ) -> None:
        def tables(connection: Any) -> dict[str, Any]:
            found = {
                stream: connection.execute(f"SELECT * FROM analysed.{stream} ORDER BY 1, 2, 3")
                for stream in STREAMS
            }
            sql = (
                "SELECT stream, integrated_account_id, rows_purged FROM analysed.purges ORDER BY 1"
            )
            return {
                "purges": connection.execute(sql).fetchall(),
                **{stream: cursor.fetchall() for stream, cursor in found.items()},
            }

        sql = warehouse.purge("analysed", STREAMS.keys() - {SYNCS})
        sql = sql.replace("BEGIN TRANSACTION;", "").replace("COMMIT;", "")
        with psycopg.connect(built.database.uri) as connection:
            connection.execute(sql.encode())
            expected = tables(connection)
            connection.rollback()
        code, log = replace(built, optional=[]).dbt("run-operation", "purge")
        assert code == 0, log
        with psycopg.connect(built.database.uri) as connection:
            assert tables(connection) == expected
        assert len(expected["purges"]) == 4
        for stream in ("interviews", "applications", "users", "offers"):
            assert built.count(f"analysed.{stream}") == len(built.sandbox.rows(stream))

    def test_the_history_of_stages(self, built: Warehouse) -> None:
        box = built.sandbox
        row = box.rows("applications")[0]
        account, old = row["integrated_account_id"], row["current_stage"]["id"]
        stage = next(
            one
            for one in box.rows("job_interview_stages", account)
            if one["job"] == row["job"] and one["id"] != old
        )
        new = {**row["current_stage"], "id": stage["id"], "name": stage["name"]}
        box.change_row("applications", account, row["id"], current_stage=new)
        built.load(*STREAMS)
        begin = datetime.now(timezone.utc)
        code, log = built.dbt("build", "--exclude", "test_type:data")
        assert code == 0, log
        history = [one for one in built.rows("stage_history") if one["application_id"] == row["id"]]
        first, second = sorted(
            (one for one in history if one["integrated_account_id"] == account),
            key=lambda one: one["stage_number"],
        )
        assert (first["stage_id"], first["is_current"]) == (old, False)
        assert (second["stage_id"], second["stage"]) == (stage["id"], stage["name"])
        assert first["seen_until"] == second["seen_from"]
        assert begin <= second["seen_from"] <= datetime.now(timezone.utc)
        assert second["is_current"]
        assert built.count("analysed_models.stage_history", "stage_number > 1") == 1

    def test_a_deleted_application_does_not_come_back_with_its_candidate(
        self, built: Warehouse
    ) -> None:
        listed = by_key(built.sandbox.rows("applications"))
        accounts = {account for account, _ in listed}
        found = by_key(built.rows("applications_enriched"))
        assert {key for key in found if key[0] in accounts} == listed.keys()


@pytest.fixture(scope="module")
def few(
    sandbox: Sandbox, database: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    made = Warehouse(database, sandbox, "Few", tmp_path_factory.mktemp("few"), [])
    made.load(SYNCS, "integrated_accounts", "interviews")
    return made


class TestDefaults:
    """A schema in which only some tables are, and whose name needs quotes."""

    def test_absent_tables_are_empty(self, few: Warehouse) -> None:
        few.build()
        assert len(few.rows("interviews_enriched")) == len(few.sandbox.interviews())
        assert few.rows("applications_enriched") == []
        assert not query(
            few.database,
            f"SELECT FROM pg_views WHERE (schemaname, viewname) = ('Few_models', '{STAGING}eeocs')",
        )

    def test_freshness_goes_by_the_syncs(self, few: Warehouse) -> None:
        results = few.folder / "target" / "sources.json"

        def states() -> dict[str, str]:
            few.dbt("source", "freshness")
            found = json.loads(results.read_text())["results"]
            return {one["unique_id"].split(".")[-1]: one["status"] for one in found}

        assert set(states().values()) == {"pass"}
        old = 'UPDATE "Few".account_syncs SET ended_at = ended_at - interval $$30 hours$$'
        with psycopg.connect(few.database.uri, autocommit=True) as connection:
            connection.execute(old.encode())
            assert states()["interviews"] == "warn"
            connection.execute(old.encode())
        found = states()
        assert (found["interviews"], found["account_syncs"]) == ("error", "error")
        assert found["applications"] == "pass"

    def test_what_was_never_read_is_not_complete(self, few: Warehouse) -> None:
        box, streams = few.sandbox, (SYNCS, "integrated_accounts", "interviews", "jobs")
        failing, inactive, *_ = [one["id"] for one in box.accounts()]
        box.fault(path="/unified/ats/jobs", integrated_account_id=failing, status=400, times=None)
        few.load(*streams, fails=True)
        box.account(inactive, status="needs_reauth")
        few.load(*streams, fails=True)
        box.clear_faults()
        box.account(inactive, status="active")
        for moment in ("complete_up_to", "last_whole_read_at"):
            untold = [row for row in few.rows("account_status") if row[moment] is None]
            assert [one["integrated_account_id"] for one in untold] == [failing]


def test_rows_of_a_removed_account_keep_its_provider_and_tenant(
    sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    made = Warehouse(database, sandbox, "removed", tmp_path, [])
    streams = (SYNCS, "integrated_accounts", "interviews")
    state = made.load(*streams)
    account = sandbox.accounts()[0]
    sandbox.account(account["id"], is_listed=False)
    made.load(*streams, state=state)
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
    code, log = made.dbt("deps")
    assert code == 0, log
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
    assert (tmp_path / ".meltano" / "dbt" / "target" / "catalog.json").exists()
