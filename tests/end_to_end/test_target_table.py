"""The targets of `docs/targets.md`: each load here shows what the table says of a target."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import subprocess
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.environments import ROOT
from sandbox.tables import interviews, rows
from tests.end_to_end.plugins import executable, versions
from tests.end_to_end.test_targets import CAREFUL, FAST, load, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres
    from tests.harness import Record, Run, Tap

PAGE = ROOT / "docs" / "targets.md"
FLAT: dict[str, Any] = {"flattening_enabled": True, "flattening_max_depth": 1}
BATCH = 3

ODD: list[dict[str, Any]] = [
    {"id": "lines", "location": 'one\ntwo\r\nthree\rfour\ttab "quoted", \\n \\ back'},
    {"id": "empty", "location": "", "interviewers": []},
    {"id": "null"},
    {
        "id": "deep",
        "application": {"id": "a1", "x": {"y": [1, {"z": None}]}},
        "interviewers": [{"id": "u1", "name": "Bo"}, {"id": "u2"}],
        "organizer": {"id": ""},
        "color": "red",
        "size": {"a": [1.5, True, None, "two\nlines"]},
    },
    *({"id": f"{day}", "start_at": f"2026-01-0{day}T10:00:00.12+02:00"} for day in range(1, 7)),
]
"""Interviews of one account in place of the sandbox's: four batches."""


@dataclass(frozen=True)
class Place:
    """Where a test loads to."""

    folder: Path
    database: Postgres
    schema: str


Value = Any
"""A column's, as JSON has it."""


def same(_: str, value: Value) -> Value:
    return value


@dataclass(frozen=True)
class Case:
    """A load, and what becomes of the interviews in it."""

    target: str
    config: Callable[[Place], dict[str, Any]]
    read: Callable[[Place], list[Record]]
    changed: Callable[[str, Value], Value] = same
    tap: dict[str, Any] = field(default_factory=dict)
    copies: int = 1
    """How often a row is there after it came twice."""


def postgres(**others: Any) -> Callable[[Place], dict[str, Any]]:
    return lambda place: settings(place.database, place.schema, batch_size_rows=BATCH, **others)


def in_postgres(place: Place) -> list[Record]:
    return [*interviews(place.database, place.schema).values()]


def as_pipelinewise(_: str, value: Value) -> Value:
    if not isinstance(value, str):
        return value
    for character, written in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        value = value.replace(character, written)
    return value or None


def in_jsonl(place: Place) -> list[Record]:
    lines = (place.folder / "interviews.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def in_csv(place: Place) -> list[Record]:
    with (place.folder / "interviews.csv").open(newline="") as file:
        return [*csv.DictReader(file)]


def as_csv(name: str, value: Value) -> Value:
    if value and name.endswith("_at"):
        return str(datetime.fromisoformat(value))
    return "" if value is None else value


def in_sqlite(place: Place) -> list[Record]:
    connection = sqlite3.connect(place.folder / "ats.db")
    connection.row_factory = sqlite3.Row
    found = [dict(row) for row in connection.execute("SELECT * FROM interviews")]
    connection.close()
    for row in found:
        del row["__loaded_at"]
    return found


DUCKDB = """
import duckdb, json, sys
found = duckdb.connect(sys.argv[1]).execute("SELECT * FROM truto_ats.interviews")
names = [one[0] for one in found.description]
as_text = lambda moment: moment.isoformat(timespec="microseconds") + "+00:00"
print(json.dumps([dict(zip(names, row)) for row in found.fetchall()], default=as_text))
"""


def in_duckdb(place: Place) -> list[Record]:
    python = executable("target-duckdb").with_name("python")
    command = [str(python), "-c", DUCKDB, str(place.folder / "ats.duckdb")]
    done = subprocess.run(command, check=True, capture_output=True)
    found: list[Record] = json.loads(done.stdout)
    return found


def as_duckdb(_: str, value: Value) -> Value:
    return json.dumps(value) if isinstance(value, (dict, list)) else None if value == "" else value


def duckdb(place: Place) -> dict[str, Any]:
    path = str(place.folder / "ats.duckdb")
    return {"path": path, "default_target_schema": "truto_ats", "batch_size_rows": BATCH}


def sqlite(place: Place) -> dict[str, Any]:
    return {"database": str(place.folder / "ats.db"), "batch_size": BATCH}


CASES = {
    "meltanolabs-target-postgres": Case(
        "meltanolabs-target-postgres", postgres(**FAST), in_postgres
    ),
    "meltanolabs-target-postgres without COPY": Case(
        "meltanolabs-target-postgres", postgres(**CAREFUL), in_postgres
    ),
    "pipelinewise-target-postgres": Case(
        "pipelinewise-target-postgres", postgres(dbname="postgres"), in_postgres, as_pipelinewise
    ),
    "pipelinewise-target-postgres, flat": Case(
        "pipelinewise-target-postgres",
        postgres(dbname="postgres"),
        in_postgres,
        as_pipelinewise,
        FLAT,
    ),
    "target-jsonl": Case(
        "target-jsonl",
        lambda place: {"destination_path": str(place.folder), "do_timestamp_file": False},
        in_jsonl,
        copies=2,
    ),
    "meltanolabs-target-csv": Case(
        "meltanolabs-target-csv",
        lambda place: {"output_path": str(place.folder)},
        in_csv,
        as_csv,
        FLAT,
    ),
    "meltanolabs-target-csv, told to append": Case(
        "meltanolabs-target-csv",
        lambda place: {
            "output_path": str(place.folder),
            "overwrite_behavior": "append_records",
        },
        in_csv,
        as_csv,
        FLAT,
    ),
    "target-sqlite": Case("target-sqlite", sqlite, in_sqlite, tap=FLAT),
    "target-duckdb": Case("target-duckdb", duckdb, in_duckdb, as_duckdb),
    "target-duckdb, flat": Case("target-duckdb", duckdb, in_duckdb, as_duckdb, FLAT),
}


PLAIN = """
from target_sqlite import main
main()
"""

OLD = f"""
import collections.abc
collections.MutableMapping = collections.abc.MutableMapping
{PLAIN}
"""
"""Gives target-sqlite a name back that Python 3.10 has removed."""


def load_sqlite(run: Run, config: dict[str, Any], folder: Path, code: str) -> tuple[str, str]:
    """Load a run's output; return what the target printed and logged."""
    file = folder / "sqlite.json"
    file.write_text(json.dumps(config))
    python = executable("target-sqlite").with_name("python")
    command = [str(python), "-W", "ignore", "-c", code, "--config", str(file)]
    done = subprocess.run(command, input=run.stdout, capture_output=True, text=True, check=False)
    return done.stdout, done.stderr


@pytest.fixture
def place(tmp_path: Path, database: Postgres, request: pytest.FixtureRequest) -> Place:
    return Place(tmp_path, database, re.sub("[^a-z]+", "_", f"table_{request.node.name[-40:]}"))


@pytest.fixture
def odd(sandbox: Sandbox, ids: dict[str, str]) -> str:
    """The account that has the odd interviews."""
    account = ids["ashby"]
    path = "/unified/ats/interviews"
    sandbox.fault(path=path, integrated_account_id=account, kind="rows", rows=ODD, times=None)
    return account


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_arrives(case: Case, tap: Tap, sandbox: Sandbox, odd: str, place: Place) -> None:
    run = tap(**case.tap)
    assert run.code == 0
    if not case.tap:
        others = rows(one for one in sandbox.interviews() if one["integrated_account_id"] != odd)
        assert others.items() <= rows(run.records()).items()
    config = case.config(place)
    for _ in range(2):
        if case.target == "target-sqlite":
            states, log = load_sqlite(run, config, place.folder, OLD)
            assert states, log
        else:
            states = load(run, case.target, config, place.folder)
        assert json.loads(states.splitlines()[-1]) == run.state
    expected = [
        {name: case.changed(name, value) for name, value in record.items()}
        for record in run.records()
    ] * case.copies

    def key(row: Record) -> tuple[str, str]:
        return row["integrated_account_id"], row["id"]

    found = case.read(place)
    assert sorted(found, key=key) == sorted(expected, key=key)
    assert {one["id"] for one in ODD} <= {one["id"] for one in found}


def test_pipelinewise_loses_custom_fields_by_its_own_flattening(
    tap: Tap, odd: str, place: Place
) -> None:
    run = tap(integrated_account_ids=[odd])
    config = postgres(dbname="postgres", data_flattening_max_level=1)(place)
    load(run, "pipelinewise-target-postgres", config, place.folder)
    assert {one["custom_fields"] for one in in_postgres(place)} == {None}
    assert any(one["custom_fields"] for one in run.records())


def test_target_sqlite_needs_a_name_that_python_has_removed(
    tap: Tap, odd: str, place: Place
) -> None:
    run = tap(integrated_account_ids=[odd], **FLAT)
    _, log = load_sqlite(run, sqlite(place), place.folder, PLAIN)
    assert "module 'collections' has no attribute 'MutableMapping'" in log


@pytest.mark.parametrize("target", ["target-sqlite", "meltanolabs-target-csv"])
def test_without_the_flattening_of_the_tap_objects_are_no_json(
    tap: Tap, odd: str, place: Place, target: str
) -> None:
    run, case = tap(integrated_account_ids=[odd]), CASES[target]
    if target == "target-sqlite":
        load_sqlite(run, sqlite(place), place.folder, OLD)
    else:
        load(run, target, case.config(place), place.folder)
    (deep,) = (one for one in case.read(place) if one["id"] == "deep")
    assert deep["interviewers"] == "[{'id': 'u1', 'name': 'Bo'}, {'id': 'u2'}]"


def test_the_page_tells_of_every_target_the_version_that_is_tried_here() -> None:
    text = PAGE.read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `([\w-]+)` \| ([^|]+?) \|", text, re.MULTILINE))
    assert told.keys() == versions().keys()
    for target, cell in told.items():
        pins = versions()[target]
        version, *others = cell.split(", with ")
        assert version == pins[target]
        for other in others:
            name, number = other.strip("`").split()
            assert number == pins[name]
