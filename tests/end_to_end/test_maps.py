"""Stream maps and flattening: records fit their SCHEMA, and targets load what is left of them."""

from __future__ import annotations

import csv
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.tables import query
from tap_truto_ats.model.resources import RESOURCES
from tests.end_to_end.test_targets import CAREFUL, FAST, load, settings
from tests.harness import deselect

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres
    from tests.harness import Run, Tap

PATH = "/unified/ats/interviews"
FLAT: dict[str, Any] = {"flattening_enabled": True, "flattening_max_depth": 1}
SHORT = FLAT | {"flattening_max_key_length": 15}
SECRET = "hush-4242"

NESTED: dict[str, Any] = {"a": {"b": [1, {"c": None}]}}
ODD: list[dict[str, Any]] = [
    {"id": "all null"},
    {"id": "empty", "application": {}, "interviewers": []},
    {"id": "undeclared", "application": {"id": "a1", "name": "Ada", **NESTED}, "color": "red"},
    {"id": "no object", "application": "a1", "organizer": [{"id": "u1"}]},
    {"id": "full", "interviewers": [{"id": "u1", "name": "Bo"}], "candidate": {"id": "c1"}},
]
"""Rows of interviews, to be flattened."""

LEFT = {
    "undeclared": {"color": "red", "application": ODD[2]["application"]},
    "no object": {"application": "a1", "organizer": [{"id": "u1"}]},
}
"""By id: what has no column of its own."""


def check(run: Run) -> None:
    """Records have exactly the columns of their SCHEMA, and keys are among them."""
    assert (run.code, run.errors) == (0, [])
    schemas = {one["stream"]: one for one in run.messages if one["type"] == "SCHEMA"}
    for name, one in schemas.items():
        columns = list(one["schema"]["properties"])
        assert {*one["key_properties"]} <= {*columns}
        assert {*one["schema"].get("required", ())} <= {*columns}
        assert {*(one.get("bookmark_properties") or ())} <= {*columns}
        assert all(list(record) == columns for record in run.records(name))
    assert any(run.records(name) for name in schemas)


class TestStreams:
    """Maps are about selected streams, and unknown ones are refused."""

    def test_a_map_of_all_streams_is_one_of_those_that_are_selected(self, tap: Tap) -> None:
        run = tap(stream_maps={"*": {"hashed": "md5(id)"}}, catalog=tap.catalog("users", "jobs"))
        check(run)
        assert {one["stream"] for one in run.of("SCHEMA", "users") + run.of("SCHEMA", "jobs")} == {
            *("users", "jobs")
        }
        assert all(len(one["hashed"]) == 32 for one in run.records("users") + run.records("jobs"))

    @pytest.mark.parametrize(
        ("maps", "emitted"),
        [
            ({"jobs": {"integrated_account_id": "id"}}, ["interviews"]),
            ({"candidates": None, "interviews": {"x": "id"}}, ["interviews"]),
            ({"copy": {"__source__": "jobs", "x": "id"}}, ["interviews"]),
            ({"copy": {"__source__": "interviews", "x": "id"}}, ["copy", "interviews"]),
            ({"interviews": {"__alias__": "talks"}}, ["talks"]),
            ({"__else__": None, "jobs": {"x": "id"}}, []),
            ({"*": None}, []),
        ],
        ids=str,
    )
    def test_what_is_not_selected_may_be_mapped(
        self, tap: Tap, maps: dict[str, Any], emitted: list[str]
    ) -> None:
        run = tap(stream_maps=maps, catalog=tap.catalog("interviews"))
        assert (run.code, run.errors) == (0, [])
        assert sorted({one["stream"] for one in run.messages if "stream" in one}) == emitted

    def test_a_map_of_no_stream_is_refused_before_any_request(
        self, tap: Tap, sandbox: Sandbox
    ) -> None:
        run = tap(stream_maps={"interview": {"location": f"'{SECRET}'"}})
        assert (run.code, run.stdout) == (1, "")
        (line,) = run.errors
        assert line.startswith("Setting 'stream_maps' knows no stream 'interview': it takes ")
        assert "Traceback" not in run.stderr
        assert SECRET not in run.stderr
        assert sandbox.requests() == []


@pytest.mark.parametrize("level", [None, "DEBUG"])
def test_no_log_quotes_a_filter(tap: Tap, ids: dict[str, str], level: str | None) -> None:
    run = tap(
        stream_maps={"interviews": {"__filter__": f"location != '{SECRET}'"}},
        integrated_account_ids=[ids["ashby"]],
        env=os.environ | ({"TAP_TRUTO_ATS_LOGLEVEL": level} if level else {}),
    )
    check(run)
    assert SECRET not in run.stderr


@pytest.mark.parametrize(
    "settings",
    [
        FLAT,
        FLAT | {"flattening_max_depth": 3, "flattening_separator": "."},
        SHORT,
        SHORT | {"stream_maps": {"*": {"again": "id"}}},
        {"stream_maps": {"*": {"again": "id"}}},
    ],
    ids=str,
)
def test_records_of_all_streams_have_the_columns_of_their_schema(
    whole_model: Sandbox, tap: Tap, settings: dict[str, Any]
) -> None:
    whole_model.fault(path=PATH, kind="rows", rows=ODD, times=None)
    catalog = tap.catalog("integrated_accounts", *RESOURCES, include_remote_data=True)
    run = tap(catalog=catalog, include_remote_data=True, include_eeocs=True, **settings)
    check(run)
    assert {one["stream"] for one in run.messages if "stream" in one} == {
        *("integrated_accounts", *RESOURCES)
    }


@pytest.fixture
def odd(sandbox: Sandbox, ids: dict[str, str]) -> dict[str, Any]:
    """Settings that read the odd rows and flatten them."""
    sandbox.fault(path=PATH, kind="rows", rows=ODD)
    return {"integrated_account_ids": [ids["ashby"]], **FLAT}


def test_what_flattening_has_no_column_for_is_kept(tap: Tap, odd: dict[str, Any]) -> None:
    found = {one["id"]: one for one in tap(**odd).records()}
    custom = {key: json.loads(one["custom_fields"] or "{}") for key, one in found.items()}
    assert custom == {one["id"]: LEFT.get(one["id"], {}) for one in ODD}
    assert found["undeclared"]["application__id"] == "a1"
    assert json.loads(found["full"]["interviewers"]) == [{"id": "u1", "name": "Bo"}]


def test_what_is_deselected_is_not_kept_either(tap: Tap, odd: dict[str, Any]) -> None:
    run = tap(catalog=deselect(tap.catalog(), "application.id", "organizer"), **odd)
    check(run)
    (custom,) = (one["custom_fields"] for one in run.records() if one["id"] == "undeclared")
    assert json.loads(custom) == {"color": "red", "application": {"name": "Ada", **NESTED}}
    assert "u1" not in str([one["custom_fields"] for one in run.records()])


def test_without_custom_fields_what_is_lost_is_warned_of(tap: Tap, odd: dict[str, Any]) -> None:
    run = tap(catalog=deselect(tap.catalog(), "custom_fields"), **odd)
    check(run)
    assert run.logged("interviews.application did not fit") == 1


def test_a_csv_target_has_each_value_in_its_column(
    tap: Tap, odd: dict[str, Any], tmp_path: Path
) -> None:
    run = tap(**odd)
    load(run, "meltanolabs-target-csv", {"output_path": str(tmp_path)}, tmp_path)
    with (tmp_path / "interviews.csv").open(newline="") as file:
        loaded = {one["id"]: one for one in csv.DictReader(file)}
    emitted = {one["id"]: one for one in run.records()}
    assert loaded.keys() == emitted.keys() == {one["id"] for one in ODD}
    for key, record in emitted.items():
        assert list(loaded[key]) == list(record)
        assert loaded[key] == {
            name: "" if value is None else value for name, value in record.items()
        }


@pytest.mark.parametrize("choice", [FAST, CAREFUL], ids=["fast", "careful"])
def test_shortened_keys_are_the_keys_in_postgres(
    tap: Tap, odd: dict[str, Any], database: Postgres, tmp_path: Path, choice: dict[str, bool]
) -> None:
    schema = f"short_{'fast' if choice is FAST else 'careful'}"
    run = tap(**odd | SHORT)
    for _ in range(2):
        config = settings(database, schema, **choice)
        load(run, "meltanolabs-target-postgres", config, tmp_path)
    found = query(database, f"SELECT iai, id, app__id FROM {schema}.interviews")
    assert {(one["iai"], one["id"]) for one in found} == {
        (one["iai"], one["id"]) for one in run.records()
    }
    assert len(found) == len(ODD)
    assert {one["id"]: one["app__id"] for one in found}["undeclared"] == "a1"


def test_what_a_map_hides_is_in_no_column(tap: Tap, sandbox: Sandbox, ids: dict[str, str]) -> None:
    hidden = {"location": [SECRET], "start_at": SECRET, "candidate": {"id": "c", "name": SECRET}}
    sandbox.fault(path=PATH, kind="rows", rows=[{"id": "1", "color": "red", **hidden}])
    maps = {"location": None, "start_at": "str(md5(str(start_at)))", "candidate": "None"}
    run = tap(stream_maps={"interviews": maps}, integrated_account_ids=[ids["ashby"]], **FLAT)
    check(run)
    (record,) = run.records()
    assert json.loads(record["custom_fields"]) == {"color": "red"}
    assert SECRET not in run.stdout


def test_postgres_takes_what_expressions_give(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str], database: Postgres, tmp_path: Path
) -> None:
    sandbox.fault(path=PATH, kind="rows", rows=ODD)
    maps = {
        "full": "id == 'full'",
        "people": "[one['id'] for one in interviewers or []]",
        "nul": r"'a\x00b'",
        "whole": "_",
        "day": "datetime.date(2026, 1, 2)",
        "number": "10 ** 30",
        "__key_properties__": None,
    }
    run = tap(stream_maps={"interviews": maps}, integrated_account_ids=[ids["ashby"]])
    check(run)
    config = settings(database, "mapped", **CAREFUL)
    load(run, "meltanolabs-target-postgres", config, tmp_path)
    found = {one["id"]: one for one in query(database, "SELECT * FROM mapped.interviews")}
    assert found.keys() == {one["id"] for one in ODD}
    full = found["full"]
    assert (full["full"], full["people"], full["nul"]) == ("true", '["u1"]', "a\ufffdb")
    assert (json.loads(full["whole"])["id"], full["number"]) == ("full", str(10**30))
    assert str(full["day"]) == "2026-01-02"


def test_two_columns_of_one_name_are_refused_before_any_request(tap: Tap, sandbox: Sandbox) -> None:
    run = tap(stream_maps={"interviews": {"candidate__id": f"'{SECRET}'"}}, **FLAT)
    assert (run.code, run.stdout) == (1, "")
    (line,) = run.errors
    assert "candidate__id" in line
    assert "'flattening_separator'" in line
    assert "Traceback" not in run.stderr
    assert SECRET not in run.stderr
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    "settings",
    [
        FLAT,
        {"stream_maps": {"interviews": {"x": "id"}}},
        {"stream_maps": {"interviews": {"x": "_"}}},
    ],
    ids=["flattened", "mapped", "mapped whole"],
)
@pytest.mark.parametrize("depth", [97, 250, 990])
def test_depth_costs_no_row(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str], settings: dict[str, Any], depth: int
) -> None:
    body = '{"result": [{"id": "deep", "x": ' + "[" * depth + "]" * depth + '}, {"id": "flat"}]}'
    account = ids["ashby"]
    sandbox.fault(path=PATH, kind="body_override", body=body, times=None)
    run = tap(integrated_account_ids=[account], max_retries=0, **settings)
    assert (run.code, run.errors) == (0, [])
    assert {one["id"] for one in run.records()} == {"deep", "flat"}
