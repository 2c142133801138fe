"""What stands in Postgres, in the form in which the sandbox tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.postgres import Postgres

Rows = dict[tuple[str, str], dict[str, Any]]
"""Interviews by account and id."""


def query(server: Postgres, sql: str) -> list[dict[str, Any]]:
    """Return the rows of a query, by column."""
    with psycopg.connect(server.uri, row_factory=dict_row) as connection:
        return connection.execute(sql.encode()).fetchall()


def interviews(server: Postgres, schema: str) -> Rows:
    """Return the table's rows in the form of records, without the target's own columns."""
    found = query(server, f"SELECT * FROM {schema}.interviews")  # noqa: S608 - our own schema
    for row in found:
        for name in [name for name in row if name.startswith("_sdc_")]:
            del row[name]
        for name, value in row.items():
            if hasattr(value, "isoformat"):
                row[name] = value.isoformat(timespec="microseconds") + "+00:00"
    return rows(found)


def rows(records: Iterable[dict[str, Any]]) -> Rows:
    """Return interviews by key, without their raw data."""
    return {
        (record["integrated_account_id"], record["id"]): {
            name: value for name, value in record.items() if name != "remote_data"
        }
        for record in records
    }
