"""What stands in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from tests.harness import rows

if TYPE_CHECKING:
    from sandbox.postgres import Postgres


COLUMN_TYPES = {
    "integrated_account_id": "text",
    "id": "text",
    "application": "jsonb",
    "candidate": "jsonb",
    "created_at": "timestamp without time zone",
    "end_at": "timestamp without time zone",
    "interviewers": "jsonb[]",
    "job_interview_stage": "jsonb",
    "location": "text",
    "organizer": "jsonb",
    "start_at": "timestamp without time zone",
    "status": "text",
    "updated_at": "timestamp without time zone",
    "custom_fields": "jsonb",
}


def query(database: Postgres, sql: str) -> list[dict[str, Any]]:
    with psycopg.connect(database.uri, row_factory=dict_row) as connection:
        return connection.execute(sql.encode()).fetchall()


def interviews(database: Postgres, schema: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The table's rows in the form of records."""
    found = query(database, f"SELECT * FROM {schema}.interviews")
    for row in found:
        for name in [name for name in row if name.startswith("_sdc_")]:
            del row[name]
        for name, value in row.items():
            if hasattr(value, "isoformat"):
                row[name] = value.isoformat(timespec="microseconds") + "+00:00"
    return rows(found)


def column_types(database: Postgres, schema: str) -> dict[str, str]:
    """The types of the interviews' columns, without those of the target's own."""
    found = query(
        database,
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
        f" WHERE attrelid = '{schema}.interviews'::regclass AND attnum > 0 AND NOT attisdropped",
    )
    return {row["attname"]: row["type"] for row in found if not row["attname"].startswith("_sdc_")}
