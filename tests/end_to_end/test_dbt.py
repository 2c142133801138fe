"""The models of the dbt package, over what the tap and its target have loaded into Postgres."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from documentation.models import STAGING, columns
from documentation.schemas import STREAMS, SYNCS
from sandbox.server import serve
from sandbox.tables import query
from tests.end_to_end.dbt import OPTIONAL, WORLD, Row, Warehouse
from tests.end_to_end.numbers import Numbers, by_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres

UNTOLD = {"remote_data"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serve(WORLD) as running:
        row = next(one for one in running.interviews() if one["interviewers"] and one["start_at"])
        twice = row["interviewers"] * 2
        account = row["integrated_account_id"]
        running.change(account, row["id"], interviewers=twice)
        nameless, half_named, *_ = running.rows("users", account)
        none = {"name": None, "first_name": None, "last_name": None}
        running.change_row("users", account, nameless["id"], **none)
        running.change_row("users", account, half_named["id"], name=None, first_name=None)
        yield running


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
    built.succeed("docs", "generate")
    catalog = json.loads((built.folder / "target" / "catalog.json").read_text())
    assert {f"model.truto_ats.{STAGING}{stream}" for stream in STREAMS} < catalog["nodes"].keys()
