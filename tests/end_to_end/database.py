"""What stands in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.tables import query

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


def column_types(database: Postgres, schema: str) -> dict[str, str]:
    """The types of the interviews' columns, without those of the target's own."""
    found = query(
        database,
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
        f" WHERE attrelid = '{schema}.interviews'::regclass AND attnum > 0 AND NOT attisdropped",
    )
    return {row["attname"]: row["type"] for row in found if not row["attname"].startswith("_sdc_")}
