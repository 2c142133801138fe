"""The SQL for warehouses: what it makes of other databases than Postgres, and what is refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tap_truto_ats.warehouse import DEFAULT, STREAMS, current, purge
from tests.harness import TAP, forked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SQL = str(Path(TAP).with_name("tap-truto-ats-sql"))
AT = "2026-01-31T09:30:00.000000+00:00"
WHOLE = {
    "integrated_account_id": "a",
    "stream": "jobs",
    "started_at": AT,
    "mode": "whole",
    "is_complete": True,
    "records": 1,
}
"""An account sync as a target writes it that stores date-times as texts."""

EARLIER = WHOLE | {"started_at": "2026-01-01T00:00:00.000000+00:00"}
BEFORE, LATER = "2026-01-31T09:29:59.999999Z", "2026-01-31T09:30:00.000001Z"


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE TABLE account_syncs (integrated_account_id TEXT, stream TEXT, started_at TEXT,"
        " mode TEXT, is_complete BOOLEAN, records INTEGER)"
    )
    connection.execute(
        "CREATE TABLE jobs (integrated_account_id TEXT, id TEXT, _sdc_extracted_at TEXT)"
    )
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("extracted", "others", "syncs", "is_current"),
    [
        (BEFORE, [LATER], [WHOLE], False),
        ("2026-01-31T09:30:00Z", [LATER], [WHOLE], True),
        (LATER, [LATER], [WHOLE], True),
        (None, [LATER], [WHOLE], True),
        (BEFORE, [LATER], [], True),
        (BEFORE, [LATER], [WHOLE | {"integrated_account_id": "b"}], True),
        (BEFORE, [LATER], [WHOLE | {"stream": "users"}], True),
        (BEFORE, [LATER], [WHOLE | {"mode": "incremental"}], True),
        (BEFORE, [LATER], [WHOLE | {"mode": None, "is_complete": False}], True),
        (BEFORE, [LATER], [WHOLE | {"is_complete": False}], True),
        (BEFORE, [LATER], [EARLIER], True),
        (BEFORE, [LATER], [EARLIER, WHOLE], False),
        (BEFORE, [BEFORE], [WHOLE], True),
        (BEFORE, [], [WHOLE], True),
        ("2025-12-31T00:00:00Z", [BEFORE], [EARLIER, WHOLE], False),
        (BEFORE, [], [WHOLE | {"records": 0}], False),
    ],
    ids=[
        "extracted before",
        "extracted at its begin",
        "extracted after",
        "without a time",
        "no sync",
        "another account's",
        "another stream's",
        "an incremental one",
        "one that failed",
        "one that is not complete",
        "an earlier one",
        "the last of two",
        "one whose rows have not arrived",
        "one none of whose rows have arrived",
        "the last of two has not arrived",
        "one without rows",
    ],
)
def test_sqlite(
    database: sqlite3.Connection,
    extracted: str | None,
    others: list[str],
    syncs: list[dict[str, object]],
    *,
    is_current: bool,
) -> None:
    rows = [("1", extracted), *((f"other {one}", one) for one in others)]
    database.executemany("INSERT INTO jobs VALUES ('a', ?, ?)", rows)
    database.executemany(
        "INSERT INTO account_syncs VALUES (?, ?, ?, ?, ?, ?)", [(*one.values(),) for one in syncs]
    )
    for _ in range(2):
        database.executescript(current("", ["jobs"]))
        found = database.execute("SELECT * FROM jobs_current WHERE id = '1'").fetchall()
        assert len(found) == is_current
    for _ in range(2):
        database.executescript(purge("", ["jobs"]))
        assert len(database.execute("SELECT * FROM jobs WHERE id = '1'").fetchall()) == is_current
        noted = database.execute("SELECT stream, integrated_account_id, rows_purged FROM purges")
        assert noted.fetchall() == ([] if is_current else [("jobs", "a", 1)])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["current", "--schema", 'tr"uto'], "is no name of a schema"),
        (["current", "--schema", "a.b.c"], "is no name of a schema"),
        (["purge", "--schema", "1st"], "is no name of a schema"),
        (["purge", "--schema", "a; DROP TABLE b"], "is no name of a schema"),
        (["purge", "--streams", "jobs,job"], "There is no stream 'job', only integrated_accounts"),
        (["current", "--streams", ""], "There is no stream ''"),
        (["purge", "--streams", "jobs=a; b"], "'a; b': no name of a table"),
        (["prune", "--before", "yesterday"], "'yesterday' is no day such as 2026-01-31."),
    ],
)
def test_what_is_wrong_is_told_in_a_line(arguments: list[str], words: str) -> None:
    code, printed, log = forked([SQL, *arguments])
    assert (code, printed) == (1, "")
    assert words in log
    assert log.count("\n") == 1


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ("truto_ats", "truto_ats"),
        ("RAW.TRUTO", "RAW.TRUTO"),
        ("my-project.truto_ats", "`my-project`.truto_ats"),
    ],
)
def test_the_schema_comes_before_each_table(schema: str, written: str) -> None:
    code, printed, _ = forked([SQL, "purge", "--schema", schema, "--streams", "jobs, users"])
    assert code == 0
    for table, times in (("jobs", 4), ("users", 4), ("account_syncs", 4), ("purges", 3)):
        assert printed.count(f" {written}.{table}") == times


@pytest.mark.parametrize(("given", "names"), [([], DEFAULT), (["--streams", "all"], STREAMS)])
def test_streams_are_those_selected_by_default_or_all(
    given: list[str], names: Iterable[str]
) -> None:
    _, printed, _ = forked([SQL, "current", *given])
    assert printed.count("CREATE VIEW") == len([*names])
    assert all(f"CREATE VIEW {name}_current" in printed for name in names)


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        ("standard", ["VARCHAR(255)", "CURRENT_TIMESTAMP"]),
        ("bigquery", ["STRING", "CURRENT_TIMESTAMP"]),
        ("redshift", ["VARCHAR(255)", "GETDATE()"]),
    ],
)
def test_dialects_differ_in_two_words(dialect: str, words: list[str]) -> None:
    _, printed, _ = forked([SQL, "purge", "--dialect", dialect])
    assert all(word in printed for word in words)
