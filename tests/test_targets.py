"""What arrives in real targets."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from tests.database import COLUMN_TYPES, column_types, interviews, query
from tests.harness import Run, rows
from tests.plugins import executable

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres
    from tests.harness import Tap


def load(run: Run, target: str, config: dict[str, Any], folder: Path) -> str:
    """Load a run's output; returns what the target printed: its states."""
    file = folder / "target.json"
    file.write_text(json.dumps(config))
    done = subprocess.run(
        [executable(target), "--config", file],
        input=run.stdout,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


MELTANO = YAML(typ="safe").load(Path(__file__).parent.parent / "meltano.yml")["plugins"]["loaders"][
    0
]["config"]


def test_the_target_is_set_up_to_be_fast_and_safe() -> None:
    assert MELTANO == {
        "default_target_schema": "truto_ats",
        "use_copy": True,
        "validate_records": False,
        "sanitize_null_text_characters": True,
        "add_record_metadata": True,
    }


def settings(database: Postgres, schema: str, **others: Any) -> dict[str, Any]:
    return {
        "host": database.host,
        "port": database.port,
        "user": database.user,
        "password": database.password,
        "database": database.database,
        "default_target_schema": schema,
        "sanitize_null_text_characters": True,
        **others,
    }


FAST = {name: MELTANO[name] for name in ("validate_records", "use_copy")}
CAREFUL = {"validate_records": True, "use_copy": False}


def test_validation_and_copy_change_nothing(
    tap: Tap, sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    run = tap()
    for schema, choice in (("fast", FAST), ("careful", CAREFUL)):
        config = settings(database, schema, **choice)
        load(run, "meltanolabs-target-postgres", config, tmp_path)
        assert interviews(database, schema) == rows(sandbox.interviews())


def test_column_types(tap: Tap, database: Postgres, tmp_path: Path) -> None:
    config = settings(database, "types", **FAST)
    load(tap(include_remote_data=True), "meltanolabs-target-postgres", config, tmp_path)
    assert column_types(database, "types") == COLUMN_TYPES | {"remote_data": "jsonb"}
    keys = query(
        database,
        "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid"
        " AND attnum = ANY (indkey) WHERE indrelid = 'types.interviews'::regclass AND indisprimary",
    )
    assert {row["attname"] for row in keys} == {"integrated_account_id", "id"}


@pytest.mark.parametrize("choice", [FAST, CAREFUL], ids=["fast", "careful"])
def test_odd_rows_load(
    tap: Tap,
    sandbox: Sandbox,
    ids: dict[str, str],
    database: Postgres,
    tmp_path: Path,
    choice: dict[str, bool],
) -> None:
    odd = [
        {"id": 12, "location": "a\u0000b", "status": "none of the five", "start_at": "never"},
        {"id": "12.0", "interviewers": [], "application": {}, "candidate": {"id": 5, "x": [1]}},
        {"id": "ümläut \\ \" '\n\t", "interviewers": [{"id": 1}, None], "organizer": "u1"},
        {"id": True, "updated_at": "0001-01-01", "end_at": "9999-12-31T23:59:59.999999Z"},
        {"id": "x", "location": {"city": "Berlin"}, "custom_fields": [1], "interviewers": "u1"},
    ]
    sandbox.fault(path="/unified/ats/interviews", kind="rows", rows=odd)
    run = tap(integrated_account_ids=[ids["pinpoint"]])
    schema = f"odd_{'fast' if choice is FAST else 'careful'}"
    config = settings(database, schema, **choice)
    load(run, "meltanolabs-target-postgres", config, tmp_path)
    expected = rows(run.records())
    expected[ids["pinpoint"], "12"]["location"] = "a\ufffdb"
    assert interviews(database, schema) == expected
    assert len(expected) == 5


def test_pipelinewise_target_postgres(
    tap: Tap, sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    config = settings(database, "pipelinewise", dbname=database.database)
    run = tap()
    states = load(run, "pipelinewise-target-postgres", config, tmp_path)
    assert json.loads(states.splitlines()[-1]) == run.state
    truth = rows(sandbox.interviews())
    for row in truth.values():
        # The target writes a line end as two characters.
        row["location"] = row["location"] and row["location"].replace("\n", "\\n")
    assert interviews(database, "pipelinewise") == truth


def test_target_jsonl(tap: Tap, sandbox: Sandbox, tmp_path: Path) -> None:
    run = tap()
    config = {"destination_path": str(tmp_path), "do_timestamp_file": False}
    states = load(run, "target-jsonl", config, tmp_path)
    assert json.loads(states.splitlines()[-1]) == run.state
    lines = (tmp_path / "interviews.jsonl").read_text().splitlines()
    assert rows(json.loads(line) for line in lines) == rows(sandbox.interviews())
