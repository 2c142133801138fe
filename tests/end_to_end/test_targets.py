"""What arrives in real targets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from sandbox.tables import interviews, query, rows
from tests.end_to_end.database import COLUMN_TYPES, column_types
from tests.end_to_end.plugins import executable
from tests.harness import Run, full_table, program, table

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres
    from tests.harness import Tap


def load(run: Run, target: str, config: dict[str, Any], folder: Path) -> str:
    """Load a run's output; returns what the target printed: its states."""
    file = folder / "target.json"
    file.write_text(json.dumps(config))
    script = program(str(executable(target)))
    code, states, log = script.run("--config", str(file), stdin=run.stdout)
    assert code == 0, log
    return states


MELTANO = YAML(typ="safe").load(Path(__file__).parents[2] / "meltano.yml")["plugins"]["loaders"][0][
    "config"
]


def test_the_target_is_set_up_to_be_fast_and_safe() -> None:
    assert MELTANO == {
        "default_target_schema": "truto_ats",
        "use_copy": True,
        "validate_records": False,
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


class TestDeletions:
    """Rows that the source no longer has: Truto does not tell of them."""

    @pytest.fixture
    def catalog(self, tap: Tap) -> dict[str, Any]:
        return full_table(tap.catalog())

    @pytest.fixture
    def gone(self, sandbox: Sandbox, ids: dict[str, str]) -> tuple[str, str]:
        return ids["pinpoint"], sandbox.interviews(ids["pinpoint"])[0]["id"]

    @staticmethod
    def versions(run: Run) -> list[str]:
        return [one["stream"] for one in run.messages if one["type"] == "ACTIVATE_VERSION"]

    @pytest.mark.parametrize("hard", [True, False], ids=["hard", "soft"])
    def test_what_is_gone_is_deleted_by_a_whole_run_only(
        self,
        tap: Tap,
        sandbox: Sandbox,
        ids: dict[str, str],
        catalog: dict[str, Any],
        gone: tuple[str, str],
        database: Postgres,
        tmp_path: Path,
        hard: bool,  # noqa: FBT001
    ) -> None:
        schema = f"deletions_{'hard' if hard else 'soft'}"
        config = settings(
            database,
            schema,
            **FAST,
            hard_delete=hard,
            activate_version=True,
            add_record_metadata=True,
        )

        def run() -> set[tuple[str, str]]:
            # A version is the second in which a run began.
            one = tap(catalog=catalog, emit_activate_version_messages=True)
            for message in one.messages:
                if "version" in message:
                    message["version"] += versions
            one.stdout = "".join(json.dumps(message) + "\n" for message in one.messages)
            load(one, "meltanolabs-target-postgres", config, tmp_path)
            deleted = query(
                database, f"SELECT * FROM {schema}.interviews WHERE _sdc_deleted_at IS NOT NULL"
            )
            return interviews(database, schema).keys() - {
                (row["integrated_account_id"], row["id"]) for row in deleted
            }

        versions = 0
        before = run()
        assert before == table(tap()).keys()
        sandbox.delete(*gone)
        versions = 10
        sandbox.fault(path="/unified", integrated_account_id=ids["ashby"], status=403)
        assert run() == before
        versions = 20
        assert run() == before - {gone}
        assert (gone in interviews(database, schema)) is not hard

    def test_the_version_comes_after_all_rows(self, tap: Tap, catalog: dict[str, Any]) -> None:
        run = tap(catalog=catalog, emit_activate_version_messages=True)
        assert run.code == 0
        kinds = [one["type"] for one in run.messages if one.get("stream") == "interviews"]
        assert kinds[0] == "SCHEMA"
        assert kinds[-1] == "ACTIVATE_VERSION"
        assert set(kinds[1:-1]) == {"RECORD"}
        (activated,) = {one["version"] for one in run.of("ACTIVATE_VERSION")}
        assert {one["version"] for one in run.of("RECORD")} == {activated}
        assert self.versions(run) == ["integrated_accounts", "interviews"]

    def test_an_incremental_stream_has_no_version(self, tap: Tap) -> None:
        run = tap(emit_activate_version_messages=True)
        assert self.versions(run) == ["integrated_accounts"]
        assert all("version" not in message for message in run.of("RECORD"))

    def test_batch_files_empty_no_table(
        self,
        tap: Tap,
        sandbox: Sandbox,
        catalog: dict[str, Any],
        gone: tuple[str, str],
        database: Postgres,
        tmp_path: Path,
    ) -> None:
        """Their rows carry no version: by one, the target would delete all of them."""
        truth = rows(sandbox.interviews())
        batch = {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": tmp_path.as_uri()},
            "batch_size": 7,
        }
        delete = {"hard_delete": True, "activate_version": True, "add_record_metadata": True}
        config = settings(database, "batches", **FAST, **delete)
        for number in range(2):
            if number:
                sandbox.delete(*gone)
            run = tap(catalog=catalog, emit_activate_version_messages=True, batch_config=batch)
            kinds = [one["type"] for one in run.messages if one.get("stream") == "interviews"]
            assert kinds == ["SCHEMA", *["BATCH"] * 6]
            assert run.logged("No ACTIVATE_VERSION for interviews") == 1
            load(run, "meltanolabs-target-postgres", config, tmp_path)
            assert interviews(database, "batches") == truth

    @pytest.mark.parametrize(
        ("fault", "missing"),
        [
            ({"status": 403}, "1 of 5 accounts"),
            ({"kind": "loop", "times": None}, "1 of 5 accounts"),
            ({"kind": "rows", "rows": [{"no": "id"}]}, "1 of 5 accounts"),
        ],
        ids=["refused", "a loop", "a row without an id"],
    )
    def test_it_is_withheld_when_an_account_is_missing(
        self,
        tap: Tap,
        sandbox: Sandbox,
        ids: dict[str, str],
        catalog: dict[str, Any],
        fault: dict[str, Any],
        missing: str,
    ) -> None:
        sandbox.fault(path="/unified", integrated_account_id=ids["greenhouse"], **fault)
        run = tap(catalog=catalog, emit_activate_version_messages=True, page_size=3)
        assert self.versions(run) == ["integrated_accounts"]
        words = "No ACTIVATE_VERSION for interviews, so that nothing is deleted"
        assert run.logged(f"{words}: {missing}")

    def test_it_is_withheld_when_an_account_is_not_active(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], catalog: dict[str, Any]
    ) -> None:
        sandbox.account(ids["ashby"], status="needs_reauth")
        run = tap(catalog=catalog, emit_activate_version_messages=True)
        assert run.code == 0
        assert self.versions(run) == ["integrated_accounts"]

    def test_it_is_withheld_when_no_account_was_found(
        self, tap: Tap, sandbox: Sandbox, catalog: dict[str, Any]
    ) -> None:
        sandbox.reset(accounts=[], rate_limits=False)
        run = tap(catalog=catalog, emit_activate_version_messages=True)
        assert run.code == 0
        assert self.versions(run) == []
        assert run.logged("no account was found") == 2

    def test_it_is_withheld_when_no_tenant_was_found(
        self, tap: Tap, catalog: dict[str, Any]
    ) -> None:
        run = tap(catalog=catalog, emit_activate_version_messages=True, tenant_ids=["none"])
        assert run.code == 1
        assert self.versions(run) == []

    def test_an_account_that_does_not_offer_interviews_misses_none(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], catalog: dict[str, Any]
    ) -> None:
        sandbox.account(ids["ashby"], resources=["jobs"])
        run = tap(catalog=catalog, emit_activate_version_messages=True)
        assert self.versions(run) == ["integrated_accounts", "interviews"]

    def test_an_account_that_cannot_be_looked_up_is_missing(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], catalog: dict[str, Any]
    ) -> None:
        sandbox.fault(path=f"/integrated-account/{ids['ashby']}", status=400, times=None)
        run = tap(
            catalog=catalog,
            emit_activate_version_messages=True,
            integrated_account_ids=list(ids.values()),
        )
        assert self.versions(run) == []

    def test_a_run_that_ends_early_has_none(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], catalog: dict[str, Any]
    ) -> None:
        refusal = {"status": 401, "times": None}
        sandbox.fault(path="/unified", integrated_account_id=ids["ashby"], **refusal)
        run = tap(catalog=catalog, emit_activate_version_messages=True)
        assert run.code == 1
        assert self.versions(run) == ["integrated_accounts"]
