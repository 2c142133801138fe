"""BATCH files: what a target makes of them, where rows that did not come are to be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.tables import interviews, query, rows
from tests.end_to_end.test_targets import FAST, load
from tests.end_to_end.test_targets import settings as target_settings
from tests.harness import full_table

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres
    from tests.harness import Run, Tap

WHY = "so that nothing is deleted: the rows of BATCH files carry no version"


def batches(folder: Path, size: int = 7) -> dict[str, Any]:
    return {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": folder.as_uri()},
        "batch_size": size,
    }


def versions(run: Run) -> list[str]:
    return [one["stream"] for one in run.messages if one["type"] == "ACTIVATE_VERSION"]


@pytest.mark.parametrize("hard", [True, False], ids=["hard", "soft"])
@pytest.mark.parametrize("before", [True, False], ids=["a table with versions", "a new table"])
def test_they_empty_no_table(
    tap: Tap,
    sandbox: Sandbox,
    database: Postgres,
    tmp_path: Path,
    *,
    hard: bool,
    before: bool,
) -> None:
    schema = f"batch_{'hard' if hard else 'soft'}_{'full' if before else 'new'}"
    config = target_settings(
        database,
        schema,
        **FAST,
        hard_delete=hard,
        activate_version=True,
        add_record_metadata=True,
    )
    catalog = full_table(tap.catalog())
    settings: dict[str, Any] = {"catalog": catalog, "emit_activate_version_messages": True}

    def kept() -> dict[Any, Any]:
        gone = query(
            database, f"SELECT * FROM {schema}.interviews WHERE _sdc_deleted_at IS NOT NULL"
        )
        assert gone == []
        return interviews(database, schema)

    if before:
        run = tap(**settings)
        assert versions(run) == ["integrated_accounts", "interviews"]
        load(run, "meltanolabs-target-postgres", config, tmp_path)
        assert kept() == rows(sandbox.interviews())
    run = tap(**settings, batch_config=batches(tmp_path))
    assert run.code == 0
    assert len(run.of("BATCH")) == 6
    load(run, "meltanolabs-target-postgres", config, tmp_path)
    assert kept() == rows(sandbox.interviews())
    assert versions(run) == []


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_warning_says_why_nothing_is_deleted(tap: Tap, tmp_path: Path, size: int) -> None:
    catalog = full_table(tap.catalog("integrated_accounts", "interviews", "jobs"))
    run = tap(
        catalog=catalog,
        emit_activate_version_messages=True,
        batch_config=batches(tmp_path, size),
    )
    assert run.code == 0
    assert versions(run) == []
    for stream in ("integrated_accounts", "interviews"):
        assert run.logged(f"No ACTIVATE_VERSION for {stream}, {WHY}") == 1
    assert run.logged("No ACTIVATE_VERSION for jobs") == 0


def test_without_versions_asked_for_there_is_no_warning(tap: Tap, tmp_path: Path) -> None:
    run = tap(catalog=full_table(tap.catalog()), batch_config=batches(tmp_path))
    assert run.code == 0
    assert run.logged("ACTIVATE_VERSION") == 0


def test_a_state_never_comes_before_its_batches(tap: Tap, sandbox: Sandbox, tmp_path: Path) -> None:
    run = tap(batch_config=batches(tmp_path), max_concurrency=1, page_size=3)
    kinds = [
        one["type"]
        for one in run.messages
        if (one["type"] == "BATCH" and one["stream"] == "interviews") or one["type"] == "STATE"
    ]
    held = [
        len(one["value"]["bookmarks"].get("interviews", {}).get("partitions", ()))
        for one in run.messages
        if one["type"] == "STATE"
    ]
    last = len(kinds) - 1 - kinds[::-1].index("BATCH")
    rows_before = 0
    for number, kind in enumerate(kinds):
        if kind == "BATCH":
            rows_before += 7
        else:
            done = held[kinds[:number].count("STATE")]
            # Each account that has a bookmark, or a time of a whole read, has eight rows.
            assert done == 0 or rows_before >= done * 8 or number > last
    assert held[-1] == len(sandbox.accounts())
