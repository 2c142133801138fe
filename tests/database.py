"""What stands in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from tests.harness import rows

if TYPE_CHECKING:
    from sandbox.postgres import Postgres


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
