"""The catalog: its names and types are an interface, which never changes once released.

A column may be added: then `tap-truto-ats --discover > tests/end_to_end/snapshots/catalog.json` is
right.
"""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats.model.resources import RESOURCES
from tests.harness import TAP, deselect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.control import Sandbox
    from tests.harness import Tap

SNAPSHOT: dict[str, Any] = json.loads(
    (Path(__file__).parent / "snapshots" / "catalog.json").read_text(encoding="utf-8")
)
STREAMS = {entry["tap_stream_id"]: entry for entry in SNAPSHOT["streams"]}

STRING = {"type": ["string", "null"]}
DATE_TIME = {"type": ["string", "null"], "format": "date-time"}
OBJECT = {"type": ["object", "null"]}
REFERENCE = {"type": ["object", "null"], "properties": {"id": STRING}}

FIELDS: dict[str, dict[str, Any]] = {
    "id": {"type": "string"},
    "application": REFERENCE,
    "candidate": REFERENCE,
    "created_at": DATE_TIME,
    "end_at": DATE_TIME,
    "interviewers": {"type": ["array", "null"], "items": REFERENCE},
    "job_interview_stage": REFERENCE,
    "location": STRING,
    "organizer": REFERENCE,
    "remote_data": OBJECT,
    "start_at": DATE_TIME,
    "status": STRING,
    "updated_at": DATE_TIME,
}
"""The thirteen fields of the reference page of `GET /unified/ats/interviews`."""

COLUMNS: dict[str, dict[str, dict[str, Any]]] = {
    "interviews": {
        "integrated_account_id": {"type": "string"},
        **{name: field for name, field in FIELDS.items() if name != "remote_data"},
        "custom_fields": OBJECT,
    },
    "integrated_accounts": {
        "id": {"type": "string"},
        "tenant_id": STRING,
        "integration_name": STRING,
        "status": STRING,
        "is_sandbox": {"type": ["boolean", "null"]},
        "last_error": STRING,
        "created_at": DATE_TIME,
        "updated_at": DATE_TIME,
    },
    "account_syncs": {
        "integrated_account_id": {"type": "string"},
        "stream": {"type": "string"},
        "run_started_at": {"type": "string", "format": "date-time"},
        "tenant_id": STRING,
        "integration_name": STRING,
        "started_at": DATE_TIME,
        "ended_at": DATE_TIME,
        "mode": STRING,
        "status": STRING,
        "is_complete": {"type": ["boolean", "null"]},
        "records": {"type": ["integer", "null"]},
        "requests": {"type": ["integer", "null"]},
        "retries": {"type": ["integer", "null"]},
        "waited_seconds": {"type": ["number", "null"]},
        "bookmark_before": DATE_TIME,
        "bookmark_after": DATE_TIME,
        "error": STRING,
        "error_status": {"type": ["integer", "null"]},
        "shard_index": {"type": ["integer", "null"]},
        "shard_count": {"type": ["integer", "null"]},
        "tap_version": STRING,
    },
}

KEYS = {
    "account_syncs": ["integrated_account_id", "stream", "run_started_at"],
    "integrated_accounts": ["id"],
    **{name: ["integrated_account_id", "id"] for name in RESOURCES},
}
CHANGED = {name: one.replication_key for name, one in RESOURCES.items() if one.replication_key}

MIXED = {("jobs", "tags")}
"""Columns of an array of anything, which a warehouse holds as one JSON value."""


@cache
def discovered() -> dict[str, Any]:
    """The catalog of a tap without any settings."""
    done = subprocess.run([TAP, "--discover"], capture_output=True, check=True, timeout=60)
    catalog: dict[str, Any] = json.loads(done.stdout)
    return catalog


def columns(catalog: dict[str, Any], stream: str) -> dict[str, Any]:
    entry = next(one for one in catalog["streams"] if one["tap_stream_id"] == stream)
    properties: dict[str, Any] = entry["schema"]["properties"]
    return properties


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and every schema within it."""
    if isinstance(schema, dict):
        yield schema
        for inner in [*schema.get("properties", {}).values(), schema.get("items")]:
            yield from parts(inner)


def undescribed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without its descriptions."""
    bare = {name: value for name, value in schema.items() if name != "description"}
    if "properties" in bare:
        bare["properties"] = {name: undescribed(one) for name, one in bare["properties"].items()}
    if "items" in bare:
        bare["items"] = undescribed(bare["items"])
    return bare


def test_the_catalog_is_the_released_one() -> None:
    assert discovered() == SNAPSHOT


def test_the_streams_are_the_accounts_and_the_resources() -> None:
    assert set(STREAMS) == {"account_syncs", "integrated_accounts", *RESOURCES}
    assert all(entry["stream"] == name for name, entry in STREAMS.items())


def test_the_reference_page_has_thirteen_fields() -> None:
    assert len(FIELDS) == 13


@pytest.mark.parametrize("stream", COLUMNS)
def test_the_columns_are_those_of_the_reference(stream: str) -> None:
    found = {name: undescribed(one) for name, one in columns(SNAPSHOT, stream).items()}
    assert found == COLUMNS[stream]


@pytest.mark.parametrize("stream", STREAMS)
class TestStreams:
    """What each stream's schema keeps to, so that any target can hold its rows."""

    def test_only_its_key_is_required_and_not_null(self, stream: str) -> None:
        schema = STREAMS[stream]["schema"]
        assert schema["required"] == STREAMS[stream]["key_properties"] == KEYS[stream]
        required = {name for name, one in schema["properties"].items() if "null" not in one["type"]}
        assert required == set(KEYS[stream])
        inner = [part for one in schema["properties"].values() for part in parts(one)]
        assert all("required" not in part for part in inner)

    def test_it_has_no_enum_no_uuid_and_no_closed_object(self, stream: str) -> None:
        for part in parts(STREAMS[stream]["schema"]):
            assert not {"enum", "const", "pattern", "additionalProperties"} & part.keys()
            assert part.get("format") in {None, "date-time"}

    def test_every_part_has_one_type_beside_null(self, stream: str) -> None:
        mixed = [columns(SNAPSHOT, name)[column] for name, column in MIXED if name == stream]
        for part in parts(STREAMS[stream]["schema"]):
            kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
            assert len([kind for kind in kinds if kind != "null"]) == 1
            assert ("items" in part) == ("array" in kinds and part not in mixed)

    def test_names_are_lower_case_with_underscores(self, stream: str) -> None:
        properties = columns(SNAPSHOT, stream)
        assert all(re.fullmatch("[a-z][a-z_]*", name) for name in [stream, *properties])

    def test_each_column_is_described(self, stream: str) -> None:
        for name, one in columns(SNAPSHOT, stream).items():
            assert one["description"].strip(), name
            assert not one["description"].endswith("."), name

    def test_everything_is_selected_and_the_key_for_good(self, stream: str) -> None:
        inclusion = {
            tuple(one["breadcrumb"]): one["metadata"].get("inclusion")
            for one in STREAMS[stream]["metadata"]
        }
        automatic = {crumb[1] for crumb, kind in inclusion.items() if kind == "automatic"}
        assert automatic == {*KEYS[stream], *([CHANGED[stream]] if stream in CHANGED else [])}


@pytest.mark.parametrize(
    "settings",
    [{"include_remote_data": True}, {"response_format": "raw"}],
    ids=["include_remote_data", "raw"],
)
def test_raw_data_is_one_more_column_and_nothing_else(tap: Tap, settings: dict[str, Any]) -> None:
    catalog = tap.discover(**settings)
    for stream in RESOURCES:
        found = columns(catalog, stream)
        assert undescribed(found.pop("remote_data")) == FIELDS["remote_data"]
    for entry in catalog["streams"]:
        crumb = ["properties", "remote_data"]
        entry["metadata"] = [one for one in entry["metadata"] if one["breadcrumb"] != crumb]
    assert catalog == SNAPSHOT


@pytest.mark.parametrize(
    "settings",
    [
        {"include_remote_data": False},
        {"response_format": "normalized"},
        {"response_format": "stream"},
    ],
    ids=str,
)
def test_no_other_setting_changes_the_catalog(tap: Tap, settings: dict[str, Any]) -> None:
    assert tap.discover(**settings) == SNAPSHOT


def test_what_is_deselected_is_neither_in_the_schema_nor_in_the_records(
    tap: Tap, sandbox: Sandbox
) -> None:
    dropped = ["location", "candidate", "application.id", "custom_fields"]
    run = tap(catalog=deselect(tap.catalog(), *dropped))
    schema = run.of("SCHEMA")[0]["schema"]["properties"]
    kept = set(COLUMNS["interviews"]) - {"location", "candidate", "custom_fields"}
    assert set(schema) == kept
    assert all(set(record) == kept for record in run.records())
    assert all("id" not in (record["application"] or {}) for record in run.records())
    assert len(run.records()) == len(sandbox.interviews())
