"""`meltano run tap-truto-ats target-postgres`, from the sandbox into Postgres."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from sandbox.meltano import MELTANO, MeltanoError, Project
from sandbox.tables import interviews, query, rows
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.model.shard import Shard
from tests.end_to_end.database import COLUMN_TYPES, column_types
from tests.harness import TAP, server

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres

RESHARD = Path(TAP).with_name("tap-truto-ats-reshard")
RUN = ("run", "tap-truto-ats", "target-postgres")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, database: Postgres) -> Project:
    folder = tmp_path_factory.mktemp("project")
    project = Project.create(folder, folder / "meltano.log", server(), database)
    project.run("install")
    return project


@pytest.fixture
def project(installed: Project, request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """The project with a schema and a state of its own for each test."""
    states = shutil.copy(installed.folder / ".meltano" / "meltano.db", tmp_path)
    own = {
        "MELTANO_DATABASE_URI": f"sqlite:///{states}",
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": schema(request),
        "MELTANO_ENVIRONMENT": "prod",
        "TAP_TRUTO_ATS_MAX_RETRIES": "1",
    }
    return Project(installed.folder, installed.environment | own, installed.log)


def schema(request: pytest.FixtureRequest) -> str:
    """A name of the test's own that Postgres does not cut."""
    name: str = request.node.name
    return name[:60]


def files(project: Project) -> list[Path]:
    """What `meltano run` keeps for the tap."""
    return [*(project.folder / ".meltano" / "run" / "tap-truto-ats").glob("*")]


def batches(database: Postgres, schema: str) -> dict[str, Any]:
    """When each interview was last loaded, by account and id."""
    found = query(
        database,
        "SELECT integrated_account_id || ' ' || id AS key, _sdc_batched_at"
        f" FROM {schema}.interviews",
    )
    return {row["key"]: row["_sdc_batched_at"] for row in found}


def test_runs_follow_the_source(
    project: Project,
    sandbox: Sandbox,
    database: Postgres,
    ids: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    name = schema(request)
    project.run(*RUN)
    assert interviews(database, name) == rows(sandbox.interviews())
    assert column_types(database, name) == COLUMN_TYPES
    tables = query(database, f"SELECT tablename FROM pg_tables WHERE schemaname = '{name}'")
    assert {row["tablename"] for row in tables} == {
        *("account_syncs", "integrated_accounts"),
        *(one.name for one in RESOURCES.values() if one.is_default),
    }
    accounts = query(database, f"SELECT id, integration_name FROM {name}.integrated_accounts")
    assert {row["integration_name"]: row["id"] for row in accounts} == ids

    before = batches(database, name)
    project.run(*RUN)
    # All runs of the plugin use these files: therefore, shards do not use `meltano run`.
    assert {"state.json", "tap.properties.json"} <= {one.name for one in files(project)}
    assert interviews(database, name) == rows(sandbox.interviews())
    after = batches(database, name)
    loaded = [key.split()[0] for key in after if after[key] != before[key]]
    for provider, account in ids.items():
        whole = provider in {"ashby", "fountain"}
        assert loaded.count(account) == (8 if whole else 1), provider

    for account in ids.values():
        first, second = sandbox.interviews(account)[:2]
        sandbox.add(account)
        sandbox.cancel(account, first["id"])
        sandbox.change(account, second["id"], end_at="2026-08-01T09:00:00+00:00")
    project.run(*RUN)
    assert interviews(database, name) == rows(sandbox.interviews())
    assert len(interviews(database, name)) == 9 * len(ids)


def test_a_failed_account_fails_the_run_and_keeps_the_bookmarks_of_the_others(
    project: Project,
    sandbox: Sandbox,
    database: Postgres,
    ids: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    bad = ids["pinpoint"]
    sandbox.fault(path="/unified/ats/interviews", integrated_account_id=bad, status=403)
    with pytest.raises(MeltanoError):
        project.run(*RUN)
    assert bad in project.log.read_text()
    good = rows(row for row in sandbox.interviews() if row["integrated_account_id"] != bad)
    assert interviews(database, schema(request)) == good

    sandbox.clear_requests()
    project.run(*RUN)
    assert interviews(database, schema(request)) == rows(sandbox.interviews())
    asked = {
        dict(one["params"])["integrated_account_id"]
        for one in sandbox.requests("/unified/ats/interviews")
        if "updated_at[gte]" in dict(one["params"])
    }
    assert asked == {ids["greenhouse"], ids["ceipal"]}


def test_the_catalog_of_meltano_selects_columns(
    project: Project,
    sandbox: Sandbox,
    database: Postgres,
    ids: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    selection = ["interviews.id", "interviews.integrated_account_id", "interviews.status"]
    accounts = json.dumps([ids["pinpoint"]])
    project.run(
        *RUN,
        TAP_TRUTO_ATS__SELECT=json.dumps(selection),
        TAP_TRUTO_ATS_INTEGRATED_ACCOUNT_IDS=accounts,
    )
    found = query(
        database,
        "SELECT table_name, column_name FROM information_schema.columns"
        f" WHERE table_schema = '{schema(request)}' AND column_name NOT LIKE '\\_sdc%'",
    )
    assert {(row["table_name"], row["column_name"]) for row in found} == {
        ("interviews", name) for name in ("integrated_account_id", "id", "status", "updated_at")
    }
    assert "location" in sandbox.requests("/unified/ats/interviews")[0]["query"]


def test_what_is_gone_is_deleted_if_asked(
    project: Project,
    sandbox: Sandbox,
    database: Postgres,
    ids: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    settings = {
        "TAP_TRUTO_ATS__METADATA": json.dumps({"interviews": {"replication-method": "FULL_TABLE"}}),
        "TAP_TRUTO_ATS_EMIT_ACTIVATE_VERSION_MESSAGES": "true",
        "TARGET_POSTGRES_ACTIVATE_VERSION": "true",
        "TARGET_POSTGRES_HARD_DELETE": "true",
    }
    project.run(*RUN, **settings)
    sandbox.delete(ids["ashby"], sandbox.interviews(ids["ashby"])[0]["id"])
    project.run(*RUN, **settings)
    assert interviews(database, schema(request)) == rows(sandbox.interviews())
    assert len(sandbox.interviews()) == 5 * 8 - 1


def test_where_everything_is_selected_eeocs_needs_consent(
    project: Project,
    sandbox: Sandbox,
    database: Postgres,
    ids: dict[str, str],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    """A plugin that is added by `--from-ref` has no `select` of its own."""
    name, log = schema(request), tmp_path / "meltano.log"
    own = Project(project.folder, project.environment, log)
    settings = {
        "TAP_TRUTO_ATS__SELECT": json.dumps(["*.*"]),
        "TAP_TRUTO_ATS_INTEGRATED_ACCOUNT_IDS": json.dumps([ids["greenhouse"]]),
    }

    def tables() -> set[str]:
        found = query(database, f"SELECT tablename FROM pg_tables WHERE schemaname = '{name}'")
        return {row["tablename"] for row in found}

    own.run(*RUN, **settings)
    assert tables() == {"account_syncs", "integrated_accounts", *RESOURCES} - {"eeocs"}
    assert sandbox.requests("/unified/ats/eeocs") == []
    words = "The stream eeocs is selected, but it is not read unless 'include_eeocs' is true."
    assert log.read_text().count(words) == 1

    own.run(*RUN, **settings, TAP_TRUTO_ATS_INCLUDE_EEOCS="true")
    assert tables() == {"account_syncs", "integrated_accounts", *RESOURCES}
    loaded = query(database, f"SELECT id FROM {name}.eeocs")
    assert {row["id"] for row in loaded} == {row["id"] for row in sandbox.rows("eeocs")}
    assert log.read_text().count(words) == 1


def el(index: int, count: int, *options: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The command and the variables that load a shard, as `deploy/` has them."""
    state_id = f"shards-{index}-of-{count}"
    command = ("el", "tap-truto-ats", "target-postgres", "--state-id", state_id, *options)
    shard = {"TAP_TRUTO_ATS_SHARD_COUNT": str(count), "TAP_TRUTO_ATS_SHARD_INDEX": str(index)}
    return command, {**shard, "TAP_TRUTO_ATS__SELECT": json.dumps(["interviews.*"])}


def state_of(project: Project, state_id: str) -> dict[str, Any]:
    """What Meltano keeps under an id."""
    done = subprocess.run(
        [MELTANO, "state", "get", state_id],
        cwd=project.folder,
        env=project.environment,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    state: dict[str, Any] = json.loads(done.stdout)
    return state


def state_with(account: str) -> str:
    partition = {"context": {"integrated_account_id": account}}
    return json.dumps({"singer_state": {"bookmarks": {"interviews": {"partitions": [partition]}}}})


def reshard(
    project: Project,
    *arguments: str,
    path: str = f"{MELTANO.parent}{os.pathsep}{os.environ['PATH']}",
) -> subprocess.CompletedProcess[str]:
    """Run the command in a project, with Meltano on the PATH."""
    return subprocess.run(
        [RESHARD, *arguments],
        cwd=project.folder,
        env=project.environment | {"PATH": path},
        check=False,
        capture_output=True,
        text=True,
    )


def accounts_of(state: dict[str, Any]) -> set[str]:
    (known,) = (one for one in state["singer_state"]["bookmarks"].values() if one)
    return {one["context"]["integrated_account_id"] for one in known["partitions"]}


class TestShards:
    """What deployments in shards rely on of Meltano."""

    def test_each_has_a_folder_and_a_state_and_another_number_of_them_goes_on(
        self,
        project: Project,
        sandbox: Sandbox,
        database: Postgres,
        ids: dict[str, str],
        request: pytest.FixtureRequest,
    ) -> None:
        for file in files(project):
            file.unlink()
        states = {}
        for index in range(2):  # There is no account in the third.
            command, variables = el(index, 3)
            project.run(*command, **variables)
            folder = project.folder / ".meltano" / "run" / "elt" / f"shards-{index}-of-3"
            assert len([*folder.iterdir()]) == 1
            states[index] = state_of(project, f"shards-{index}-of-3")
            shard = Shard(index, 3)
            assert accounts_of(states[index]) == {one for one in ids.values() if one in shard}
        assert "state.json" not in {one.name for one in files(project)}
        assert interviews(database, schema(request)) == rows(sandbox.interviews())

        # The state of the first shard is older than what another state knows of its accounts.
        later = json.dumps(states[0]).replace("2026-", "2027-")
        project.run("state", "set", "--force", "shards-moved", later)
        done = reshard(project, "shards-*-of-3", "shards-moved", "--prefix=shards", "--count=4")
        assert f"The bookmarks of {len(ids)} accounts, from 3 states, are now in 4" in done.stdout
        anew = [state_of(project, f"shards-{index}-of-4") for index in range(4)]
        for index, state in enumerate(anew):
            assert accounts_of(state) <= {one for one in ids.values() if one in Shard(index, 4)}
        bookmarks = [json.loads(later), states[1]]
        assert sorted(map(str, partitions(*anew))) == sorted(map(str, partitions(*bookmarks)))

    def test_only_states_of_the_pattern_are_taken_and_what_is_no_state_is_named(
        self, project: Project
    ) -> None:
        for state_id in ("tap-0-of-1", "tap--eu-0-of-1", "my tap-0-of-1"):
            project.run("state", "set", "--force", state_id, state_with(state_id))
        reshard(project, "tap-*-of-1", "my tap-*-of-1", "--prefix=tap", "--count=1")
        assert accounts_of(state_of(project, "tap-0-of-1")) == {"tap-0-of-1", "my tap-0-of-1"}

        broken = json.dumps({"singer_state": {"bookmarks": {"interviews": []}}})
        project.run("state", "set", "--force", "tap-0-of-1", broken)
        done = reshard(project, "tap-*-of-1", "--prefix=tap", "--count=2")
        assert done.returncode == 1
        assert "Error: What Meltano keeps as tap-0-of-1 is no Singer state: " in done.stderr
        assert "Traceback" not in done.stderr

    def test_resharding_names_what_is_missing(self, project: Project, tmp_path: Path) -> None:
        done = reshard(project, "none-*-of-1", "--prefix=none", "--count=2")
        assert "Error: Meltano keeps no state like none-*-of-1" in done.stderr
        done = reshard(project, "none-*-of-1", "--prefix=none", "--count=2", path=str(tmp_path))
        assert done.stderr.startswith("Error: There is no command `meltano`")

    def test_merging_states_replaces_partitions(self, project: Project) -> None:
        for account in ("one", "other"):
            project.run("state", "merge", "merged", state_with(account))
        assert accounts_of(state_of(project, "merged")) == {"other"}

    def test_after_a_kill_the_next_run_is_refused_for_five_minutes_unless_it_is_forced(
        self, project: Project, sandbox: Sandbox, database: Postgres, ids: dict[str, str]
    ) -> None:
        with psycopg.connect(database.uri, autocommit=True) as connection:
            connection.execute("CREATE DATABASE meltano")
        system = replace(database, database="meltano")
        uri = {"MELTANO_DATABASE_URI": system.uri.replace("postgresql", "postgresql+psycopg", 1)}
        own = replace(project, environment=project.environment | uri)
        sandbox.fault(
            path="/unified", integrated_account_id=ids["pinpoint"], seconds=60, status=500
        )
        command, variables = el(0, 1)
        killed = subprocess.Popen(
            [MELTANO, *command],
            cwd=own.folder,
            env=own.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not sandbox.requests("/unified/ats/interviews"):
            assert killed.poll() is None
            time.sleep(0.1)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
        sandbox.clear_faults()
        own.run(*command, "--force", **variables)
        with pytest.raises(MeltanoError):
            own.run(*command, **variables)
        assert "is already running" in own.log.read_text()
        earlier = "last_heartbeat_at - interval '5 minutes'"
        where = "WHERE state = 'RUNNING' RETURNING id"
        assert query(system, f"UPDATE runs SET last_heartbeat_at = {earlier} {where}")
        own.run(*command, **variables)


def partitions(*states: dict[str, Any]) -> list[dict[str, Any]]:
    """The partitions of the interviews in states."""
    known = (one["singer_state"]["bookmarks"].get("interviews", {}) for one in states)
    return [partition for one in known for partition in one.get("partitions", ())]
