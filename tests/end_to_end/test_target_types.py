"""The types of columns in targets that cannot be run here: they need an account of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.plugins import executable

if TYPE_CHECKING:
    from tests.harness import Tap

TYPES = {
    "meltanolabs-target-snowflake": """
import json, sys
from snowflake.sqlalchemy.snowdialect import SnowflakeDialect
from target_snowflake.connector import SnowflakeConnector
def types(schema):
    to_type, dialect = SnowflakeConnector({}).to_sql_type, SnowflakeDialect()
    return {name: to_type(one).compile(dialect) for name, one in schema["properties"].items()}
""",
    "z3-target-bigquery": """
import json, sys
from target_bigquery.core import SchemaTranslator
def as_type(field):
    inner = ", ".join(f"{one.name} {as_type(one)}" for one in field.fields)
    kind = f"STRUCT<{inner}>" if inner else field.field_type
    return f"ARRAY<{kind}>" if field.mode == "REPEATED" else kind
def types(schema):
    return {one.name: as_type(one) for one in SchemaTranslator(schema, {}).translated_schema}
""",
}
"""Programs that tell a target's types of columns, without a connection."""

TELL = """
print(json.dumps({name: types(one) for name, one in json.load(sys.stdin).items()}))
"""

TEXTS = ("integrated_account_id", "id", "location", "status")
TIMES = ("created_at", "end_at", "start_at", "updated_at")
OBJECTS = ("application", "candidate", "job_interview_stage", "organizer")

EXPECTED = {
    "meltanolabs-target-snowflake": {
        **dict.fromkeys(TEXTS, "VARCHAR"),
        **dict.fromkeys(TIMES, "TIMESTAMP_NTZ"),
        **dict.fromkeys([*OBJECTS, "interviewers", "custom_fields"], "VARIANT"),
    },
    "z3-target-bigquery": {
        **dict.fromkeys(TEXTS, "STRING"),
        **dict.fromkeys(TIMES, "TIMESTAMP"),
        **dict.fromkeys(OBJECTS, "STRUCT<id STRING>"),
        "interviewers": "ARRAY<STRUCT<id STRING>>",
        "custom_fields": "JSON",
    },
}

PLAIN = {
    "meltanolabs-target-snowflake": {
        *("BOOLEAN", "DECIMAL", "FLOAT", "TIMESTAMP_NTZ", "VARCHAR", "VARIANT"),
    },
    "z3-target-bigquery": {"BOOLEAN", "FLOAT", "INTEGER", "JSON", "STRING", "TIMESTAMP"},
}
"""The types of all streams' columns, but for those that consist of others."""


@pytest.mark.parametrize(
    "target",
    [
        "meltanolabs-target-snowflake",
        pytest.param(
            "z3-target-bigquery",
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 12), reason="it needs pendulum 2, which is not for 3.12"
            ),
        ),
    ],
)
def test_types_of_columns(target: str, tap: Tap) -> None:
    schemas = {one["tap_stream_id"]: one["schema"] for one in tap.discover()["streams"]}
    program = executable(target).with_name("python")
    done = subprocess.run(
        [program, "-W", "ignore", "-c", TYPES[target] + TELL],
        input=json.dumps(schemas),
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["interviews"] == EXPECTED[target]
    kinds = {kind for one in told.values() for kind in one.values()}
    assert {kind for kind in kinds if "<" not in kind} == PLAIN[target]
    assert {name: set(one) for name, one in told.items()} == {
        name: set(one["properties"]) for name, one in schemas.items()
    }
