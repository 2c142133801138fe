"""The DAG of `deploy/airflow`, run by Airflow itself; `make scale` runs all parts of Airflow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.airflow import DAGS, Airflow, AirflowError
from sandbox.meltano import Project
from sandbox.postgres import postgres
from sandbox.server import serve
from sandbox.tables import interviews, query, rows

if TYPE_CHECKING:
    from sandbox.control import Sandbox

BUCKETS = 2
DAG, DAY = "tap-truto-ats--eu", "2026-11-01"
SCHEMAS = {"tap-truto-ats": "Truto-ATS", "tap-truto-ats--eu": "truto_eu"}
INHERITED = "  - name: tap-truto-ats--eu\n    inherit_from: tap-truto-ats\n"
NAMES = ("account_syncs", "integrated_accounts", "interviews", "offers")
STREAMS = json.dumps([f"{name}.*" for name in NAMES])
KEYS = """
SELECT table_name, COUNT(*) AS parts FROM information_schema.key_column_usage
WHERE table_schema = '{schema}' GROUP BY table_name
"""


def edited(folder: Path) -> Path:
    """A copy of the DAG's folder, for two extractors."""
    copy = shutil.copytree(DAGS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (file,) = copy.glob("*.py")
    text = file.read_text()
    declared = 'SCHEMAS = {"tap-truto-ats": "truto_ats"}'
    assert declared in text
    file.write_text(text.replace(declared, f"SCHEMAS = {json.dumps(SCHEMAS)}"))
    return copy


def fill(sandbox: Sandbox, seed: int) -> list[str]:
    kinds = [{"provider": name} for name in ("pinpoint", "greenhouse", "ashby")] * 2
    small = {"interviews": 2, "candidates": 2, "jobs": 1}
    return [one["id"] for one in sandbox.reset(accounts=kinds, seed=seed, **small)]


def test_a_part_that_ends_is_told(tmp_path: Path) -> None:
    ends_at_once = Airflow(
        Path(shutil.which("true") or ""), {}, "http://127.0.0.1:9", tmp_path / "log"
    )
    with pytest.raises(AirflowError, match="has ended"), ends_at_once.running():
        pass


def test_each_token_has_a_dag_that_loads_its_accounts_and_names_those_that_failed(
    tmp_path: Path,
) -> None:
    with serve() as main, serve() as eu, postgres() as database:
        fill(main, 1)
        refused = fill(eu, 2)[0]
        fault = {"status": 401, "remote": True, "times": None}
        eu.fault(path="/unified", integrated_account_id=refused, **fault)
        folder = tmp_path / "project"
        folder.mkdir()
        project = Project.create(folder, tmp_path / "log", main, database)
        declared = (folder / "meltano.yml").read_text()
        (folder / "meltano.yml").write_text(
            declared.replace("  loaders:\n", f"{INHERITED}  loaders:\n")
        )
        project.run("install")
        airflow = Airflow.create(
            tmp_path / "airflow",
            project,
            database,
            edited(tmp_path / "dags"),
            TAP_TRUTO_ATS__EU_API_URL=eu.url,
            TAP_TRUTO_ATS__EU_API_TOKEN=eu.token,
            TAP_TRUTO_ATS__SELECT=STREAMS,
            TAP_TRUTO_ATS__EU__SELECT=STREAMS,
            TRUTO_BUCKETS=str(BUCKETS),
            TRUTO_RETRY_SECONDS="1",
        )
        airflow.run("dags", "test", "tap-truto-ats")
        with pytest.raises(AirflowError):
            airflow.run("dags", "test", DAG, DAY)
        assert refused in project.log.read_text()
        for sandbox, schema in ((main, "Truto-ATS"), (eu, "truto_eu")):
            truth = {k: v for k, v in rows(sandbox.interviews()).items() if k[0] != refused}
            assert interviews(database, f'"{schema}"') == truth
            shards = query(database, f'SELECT DISTINCT shard_index FROM "{schema}".account_syncs')
            assert {row["shard_index"] for row in shards} == {*range(BUCKETS)}
            # The first task made the tables by the catalog, and with keys.
            keys = query(database, KEYS.format(schema=schema))
            assert {row["table_name"]: row["parts"] for row in keys} == dict(
                zip(NAMES, (3, 1, 2, 2), strict=True)
            )
            tables = f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'"
            assert {row["tablename"] for row in query(database, tables)} == {*NAMES}

        # When a task is cleared, its run starts anew, and yet goes by what it found before.
        airflow.run("tasks", "clear", "--yes", "--task-regex", "check_accounts", DAG)
        project.log.write_text("")
        airflow.run("tasks", "test", DAG, "check_accounts", DAY)
        assert refused in project.log.read_text()
