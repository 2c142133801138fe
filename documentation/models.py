"""The parts of the dbt package that follow from the tap: sources, staging models, deletions.

`python -m documentation.models` (`make models`) writes them into `dbt/`.
"""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML

from documentation.blocks import ROOT
from documentation.entities import REFERENCES
from documentation.schemas import DEFAULT, STREAMS, SYNCS, schema, type_of
from tap_truto_ats import warehouse
from tap_truto_ats.sync.account_sync import Mode

PACKAGE = ROOT / "dbt"
NOTICE = "Written by `make models`: change the tap's schemas or documentation/models.py instead."

STAGING = "stg_truto_ats__"
"""How the names of staging models begin: other packages and projects have users and jobs, too."""

SCHEMA = "{{ var('truto_ats_schema', env_var('DBT_POSTGRES_SOURCE_SCHEMA', 'truto_ats')) }}"
"""Where the target has loaded: a variable of dbt's, or of the environment under Meltano."""

TYPES = {
    "array": "jsonb",
    "boolean": "boolean",
    "date-time": "timestamptz",
    "integer": "bigint",
    "number": "double precision",
    "object": "jsonb",
    "string": "text",
}
"""The columns' types in Postgres, by those of the schemas."""

ENDED = "ended_at at time zone 'UTC'"
READ = "(status = 'succeeded' or mode = 'not offered')"
"""When a row of `account_syncs` was written, and whether the stream was read, if it is offered."""

VALUES = {
    (SYNCS, "mode"): ([*dict.fromkeys(mode.words for mode in Mode)], "error"),
    (SYNCS, "status"): (["succeeded", "failed", "skipped"], "error"),
    ("interviews", "status"): (
        ["draft", "scheduled", "cancelled", "awaiting_feedback", "completed"],
        "warn",
    ),
}
"""The values of columns, and what it means if there are others."""


def files() -> dict[str, str]:
    """Return what the files hold, by their paths in the package."""
    staging = {f"models/staging/{STAGING}{name}.sql": _model(name) for name in STREAMS}
    return staging | {
        "macros/deletions.sql": _deletions(),
        "models/staging/_sources.yml": _yaml({"sources": [_source()]}),
        "models/staging/_staging.yml": _yaml({"models": [_described(one) for one in STREAMS]}),
    }


def columns(stream: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the columns of a staging model.

    First by name their types, without those of objects that hold an id only; then by name the
    objects whose ids, and the arrays whose objects' ids, have columns of their own.
    """
    types, ids, lists = {}, {}, {}
    for name, column in schema(stream)["properties"].items():
        parts = column.get("properties", {})
        if "id" in parts:
            ids[f"{name}_id"] = name
        if "id" in column.get("items", {}).get("properties", {}):
            lists[f"{name.removesuffix('s')}_ids"] = name
        if parts.keys() != {"id"}:
            types[name] = TYPES[type_of(column)]
    return types, ids, lists


def _condition(*streams: str) -> str:
    """Write what has to be true for streams to be there; nothing if they always are."""
    optional = [one for one in streams if one not in DEFAULT]
    return " and ".join(f"'{one}' in var('truto_ats_optional_streams')" for one in optional)


def _enabled(*streams: str) -> dict[str, str]:
    condition = _condition(*streams)
    return {"enabled": f"{{{{ {condition} }}}}"} if condition else {}


def _model(stream: str) -> str:
    types, ids, lists = columns(stream)
    arguments = [f"'{stream}'", _mapping(types)]
    if ids:
        arguments.append(f"ids={_mapping(ids)}")
    if lists:
        arguments.append(f"lists={_mapping(lists)}")
    account = warehouse.STREAMS.get(stream)
    if account != "integrated_account_id":
        arguments.append(f"account={account!r}")
    lines = [f"{{#- {NOTICE} -#}}"]
    if condition := _condition(stream):
        lines.append(f"{{{{ config(enabled={condition}) }}}}")
    return "\n".join([*lines, f"{{{{ staged({', '.join(arguments)}) }}}}"]) + "\n"


def _mapping(given: dict[str, str]) -> str:
    inner = "".join(f"    '{name}': '{value}',\n" for name, value in given.items())
    return f"{{\n{inner}}}"


def _source() -> dict[str, Any]:
    return {
        "name": "truto_ats",
        "description": "What the tap has loaded, one table for each stream.",
        "schema": SCHEMA,
        "config": {
            "freshness": {
                "warn_after": {"count": 26, "period": "hour"},
                "error_after": {"count": 50, "period": "hour"},
            }
        },
        "tables": [
            {
                "name": name,
                "description": description,
                "config": {**_enabled(name), "loaded_at_query": _last_read(name)},
            }
            for name, description in STREAMS.items()
        ],
    }


def _last_read(stream: str) -> str:
    """Write SQL that tells when a stream was last read: without changes, no row would tell.

    A stream that no run has dealt with for a week is not selected, which is no reason for an alert.
    """
    if stream == SYNCS:
        return f"select max({ENDED}) filter (where {READ}) from {{{{ this }}}}"
    of = f"stream = '{stream}'"
    return (
        f"select case when max(ended_at) filter (where {of}) > max(ended_at) - interval '7 days'"
        f" then max({ENDED}) filter (where {of} and {READ}) else now() end"
        ' from "{{ this.schema }}".account_syncs'
    )


def _described(stream: str) -> dict[str, Any]:
    described, keys = schema(stream)["properties"], schema(stream)["required"]
    types, ids, lists = columns(stream)
    texts = {name: described[name]["description"] for name in types}
    texts |= {name: f"{described[one]['description']}: its id" for name, one in ids.items()}
    texts |= {name: f"{described[one]['description']}: their ids" for name, one in lists.items()}
    return {
        "name": f"{STAGING}{stream}",
        "description": f"{STREAMS[stream]}: the rows that still exist.",
        "data_tests": [{"unique_together": {"arguments": {"columns": keys}}}],
        "columns": [
            {"name": name, "description": text} | _tests(stream, name, is_key=name in keys)
            for name, text in texts.items()
        ],
    }


def _tests(stream: str, column: str, *, is_key: bool) -> dict[str, Any]:
    tests: list[Any] = ["not_null"] if is_key else []
    if (stream, column) in VALUES:
        values, severity = VALUES[stream, column]
        tests.append(_test("accepted_values", {"values": values}, severity=severity))
    if parent := REFERENCES.get(column):
        enabled = _enabled(stream, parent)
        tests.append(
            _test("belongs_to", {"to": f"ref('{STAGING}{parent}')"}, severity="warn", **enabled)
        )
    return {"data_tests": tests} if tests else {}


def _test(name: str, arguments: dict[str, Any], **config: str) -> dict[str, Any]:
    return {name: {"arguments": arguments, "config": config}}


def _deletions() -> str:
    """Turn the SQL of `tap-truto-ats-sql` into macros."""
    names = {
        "schema": '"{{ schema }}".',
        "table": "{{ table }}",
        "stream": "{{ stream }}",
        "account": "{{ account }}",
    }
    words = warehouse.DIALECTS["standard"]
    purge = warehouse.PURGE.replace(
        warehouse.GONE, "{{{{ gone(schema, table, stream, account) }}}}"
    )
    macros = {
        "gone(schema, table, stream, account)": warehouse.GONE.format(**names),
        "create_purges(schema)": warehouse.PURGES.format(**names, **words),
        "purge_stream(schema, table, stream, account)": purge.format(**names, **words),
        "purged_streams()": f"{{{{ return({_mapping(warehouse.STREAMS)}) }}}}",
    }
    return f"{{#- {NOTICE} -#}}\n" + "\n".join(
        f"{{% macro {name} -%}}\n{sql.rstrip()}\n{{%- endmacro %}}\n"
        for name, sql in macros.items()
    )


def _yaml(content: dict[str, Any]) -> str:
    yaml, text = YAML(), io.StringIO()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump({"version": 2, **content}, text)
    return f"# {NOTICE}\n{text.getvalue()}"


def main() -> None:
    """Write the files."""
    for path, text in files().items():
        (PACKAGE / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
