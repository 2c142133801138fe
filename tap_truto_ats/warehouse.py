"""SQL for the warehouse: views of the rows that still exist, and the deletion of all others.

A row is gone when its account's last complete whole read began after the row was last extracted.
The stream `account_syncs` tells when that was, `_sdc_extracted_at` when the row was; a row without
it counts as current.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

import click

from tap_truto_ats.model.resources import ACCOUNTS, RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable

DIALECTS = {
    "standard": {"text": "VARCHAR(255)", "now": "CURRENT_TIMESTAMP"},
    "bigquery": {"text": "STRING", "now": "CURRENT_TIMESTAMP"},
    "redshift": {"text": "VARCHAR(255)", "now": "GETDATE()"},
}
"""What not all databases write alike; `standard` is for all that are not named."""

SCHEMA = re.compile(r"([a-z_][a-z0-9_-]*\.)?[a-z_][a-z0-9_]*", re.IGNORECASE | re.ASCII)
"""Names that need no quotes, with a database or a project before it or without."""

TABLE = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE | re.ASCII)

STREAMS = {ACCOUNTS: "id", **dict.fromkeys(RESOURCES, "integrated_account_id")}
"""By stream: the column that names the account."""

DEFAULT = [ACCOUNTS, *(one.name for one in RESOURCES.values() if one.is_default)]

WHOLE = "syncs.mode = 'whole' AND syncs.is_complete"

GONE = f"""EXISTS (
  SELECT 1
  FROM (
    SELECT syncs.integrated_account_id AS account, MAX(syncs.started_at) AS began
    FROM {{schema}}account_syncs AS syncs
    LEFT JOIN (
      SELECT {{account}} AS account, MAX(_sdc_extracted_at) AS latest
      FROM {{schema}}{{table}}
      GROUP BY {{account}}
    ) AS loaded ON loaded.account = syncs.integrated_account_id
    WHERE syncs.stream = '{{stream}}' AND {WHOLE}
      AND (syncs.records = 0 OR syncs.started_at <= loaded.latest)
    GROUP BY syncs.integrated_account_id
  ) AS whole_reads
  WHERE whole_reads.account = {{table}}.{{account}}
    AND whole_reads.began > {{table}}._sdc_extracted_at
)"""
"""True of a row that is gone. A whole read whose rows have not arrived does not count: a target may
load `account_syncs` before other streams, and fail or be killed in between."""

CURRENT = f"""DROP VIEW IF EXISTS {{schema}}{{table}}_current;
CREATE VIEW {{schema}}{{table}}_current AS
SELECT *
FROM {{schema}}{{table}}
WHERE NOT {GONE};
"""

PURGES = """CREATE TABLE IF NOT EXISTS {schema}purges (
  purged_at TIMESTAMP,
  stream {text},
  integrated_account_id {text},
  rows_purged BIGINT
);
"""

PURGE = f"""BEGIN TRANSACTION;
INSERT INTO {{schema}}purges (purged_at, stream, integrated_account_id, rows_purged)
SELECT {{now}}, '{{stream}}', {{account}}, COUNT(*)
FROM {{schema}}{{table}}
WHERE {GONE}
GROUP BY {{account}};
DELETE FROM {{schema}}{{table}}
WHERE {GONE};
COMMIT;
"""

PRUNE = f"""DELETE FROM {{schema}}account_syncs
WHERE run_started_at < '{{before}}'
  AND NOT EXISTS (
    SELECT 1
    FROM (
      SELECT syncs.integrated_account_id AS account, syncs.stream, MAX(syncs.started_at) AS began
      FROM {{schema}}account_syncs AS syncs
      WHERE {WHOLE}
      GROUP BY syncs.integrated_account_id, syncs.stream
    ) AS whole_reads
    WHERE whole_reads.account = account_syncs.integrated_account_id
      AND whole_reads.stream = account_syncs.stream
      AND whole_reads.began = account_syncs.started_at
  );
"""


def current(schema: str, streams: Iterable[str]) -> str:
    """Write SQL for views of the rows that still exist.

    Args:
        schema: The schema of the tables; empty for that of the session.
        streams: Their names, each with `=` and the name of its table where that is another.
    """
    return "\n".join(_statements(CURRENT, schema, streams))


def purge(schema: str, streams: Iterable[str], dialect: str = "standard") -> str:
    """Write SQL that deletes the rows that are gone. The table purges counts them."""
    words = DIALECTS[dialect]
    create = PURGES.format(schema=_prefix(schema), **words)
    return "\n".join([create, *_statements(PURGE, schema, streams, **words)])


def prune(schema: str, before: date) -> str:
    """Write SQL that deletes old rows of account_syncs. Those that deletions go by stay."""
    return PRUNE.format(schema=_prefix(schema), before=before.isoformat())


def _statements(template: str, schema: str, streams: Iterable[str], **words: str) -> Iterable[str]:
    prefix = _prefix(schema)
    for given in streams:
        name, _, table = given.partition("=")
        names = {"stream": name, "table": table or name, "account": STREAMS[name]}
        yield template.format(schema=prefix, **names, **words)


def _prefix(schema: str) -> str:
    project, dot, name = schema.rpartition(".")
    # Only projects of BigQuery have hyphens.
    return f"{f'`{project}`' if '-' in project else project}{dot}{name}." if schema else ""


def _checked_schema(_: click.Context, __: click.Parameter, schema: str) -> str:
    if schema and not SCHEMA.fullmatch(schema):
        message = (
            f"'{schema}' is no name of a schema that can do without quotes:"
            " letters, digits and underscores."
        )
        raise click.ClickException(message)
    return schema


def _checked_streams(_: click.Context, __: click.Parameter, given: str | None) -> list[str]:
    if given is None:
        return DEFAULT
    names = [*STREAMS] if given == "all" else [name.strip() for name in given.split(",")]
    found = [name.partition("=")[::2] for name in names]
    if unknown := [name for name, _ in found if name not in STREAMS]:
        message = f"There is no stream {', '.join(map(repr, unknown))}, only {', '.join(STREAMS)}."
        raise click.ClickException(message)
    if odd := [table for _, table in found if table and not TABLE.fullmatch(table)]:
        message = f"{', '.join(map(repr, odd))}: no name of a table that can do without quotes."
        raise click.ClickException(message)
    return names


def _checked_day(_: click.Context, __: click.Parameter, given: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError:
        message = f"'{given}' is no day such as 2026-01-31."
        raise click.ClickException(message) from None


_SCHEMA = click.option(
    "--schema",
    default="",
    callback=_checked_schema,
    help="The schema of the tables; without it, that of the session.",
)
_STREAMS = click.option(
    "--streams",
    callback=_checked_streams,
    help="Their names with commas between, or `all`; without it, those selected by default."
    " `interviews=ats_interviews` names the table, too.",
)
_DIALECT = click.option(
    "--dialect",
    default="standard",
    type=click.Choice([*DIALECTS]),
    help="The database, if it is one of these.",
)
_BEFORE = click.option(
    "--before",
    required=True,
    callback=_checked_day,
    help="Rows of runs that began before that day are deleted.",
)


@click.group()
def cli() -> None:
    """Print SQL for the warehouse that the streams are loaded into."""


@cli.result_callback()
def _print(sql: str) -> None:
    click.echo(sql, nl=False)


cli.command()(_SCHEMA(_STREAMS(current)))
cli.command()(_SCHEMA(_STREAMS(_DIALECT(purge))))
cli.command()(_SCHEMA(_BEFORE(prune)))
