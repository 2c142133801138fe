"""What users of the SDK can ask of any tap: stream maps, flattening, BATCH, the standard tests."""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from sandbox.tables import rows
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.streams import UnifiedStream
from tap_truto_ats.tap import TapTrutoAts
from tests.harness import Run, Tap, full_table, server, table, whole

if TYPE_CHECKING:
    from sandbox.control import Sandbox

# Module-level, since the SDK makes the test class from the tap's streams.
STANDARD = Tap(server())
STREAMS = ("account_syncs", "integrated_accounts", *RESOURCES)


@pytest.fixture(scope="class")
def world() -> None:
    """Come before the run that a whole class looks at."""
    whole()


# Some columns are null in all rows, of which the SDK warns if it comes upon one of them first.
@pytest.mark.filterwarnings("ignore:No records were available to test")
@pytest.mark.usefixtures("world")
class TestStandard(
    get_tap_test_class(  # type: ignore[misc]
        TapTrutoAts,
        config=STANDARD.config(include_eeocs=True),
        catalog=STANDARD.catalog(*STREAMS),
        suite_config=SuiteConfig(max_records_limit=None),
        parse_env_config=False,
    )
):
    """The SDK's own suite, over all streams."""


def test_stream_maps(tap: Tap, ids: dict[str, str]) -> None:
    maps = {
        "interviews": {
            "integrated_account_id": "integrated_account_id",
            "id": "id",
            "where": "location",
            "__else__": None,
            "__filter__": "status == 'completed'",
        },
        "integrated_accounts": "__NULL__",
    }
    run = tap(stream_maps=maps, integrated_account_ids=[ids["ashby"]])
    plain = tap(integrated_account_ids=[ids["ashby"]])
    assert run.records() == [
        {
            "integrated_account_id": row["integrated_account_id"],
            "id": row["id"],
            "where": row["location"],
        }
        for row in plain.records()
        if row["status"] == "completed"
    ]
    assert run.records()
    assert run.records("integrated_accounts") == []


def test_flattening(tap: Tap, sandbox: Sandbox, ids: dict[str, str]) -> None:
    run = tap(flattening_enabled=True, flattening_max_depth=1)
    columns = run.of("SCHEMA")[0]["schema"]["properties"].keys()
    assert "application__id" in columns
    for record in run.records():
        assert record.keys() == columns
    got = {(row["integrated_account_id"], row["id"]): row for row in run.records()}
    for row in sandbox.interviews(ids["pinpoint"]):
        found = got[row["integrated_account_id"], row["id"]]
        assert found["application__id"] == row["application"]["id"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"include_remote_data": True, "page_size": 3},
        {"response_format": "stream", "page_size": 3},
        {"response_format": "raw"},
        {"emit_activate_version_messages": True},
    ],
    ids=["as set up", "with raw data", "stream", "raw", "versions"],
)
def test_pages_are_written_as_the_sdk_writes_records(
    tap: Tap, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """Byte by byte, but for the times of the runs."""
    sandbox.reset(interviews=25, rate_limits=False)
    odd = {"id": 1, "x": [1e300, 2**63, -0.0, "\u0000 ü 電"], "start_at": "2026-01-01T00:00:00.5Z"}
    catalog = tap.catalog(include_remote_data=settings.get("include_remote_data"))
    if "emit_activate_version_messages" in settings:
        full_table(catalog)
    written = []
    for aborts_at in (None, sys.maxsize):
        monkeypatch.setattr(UnifiedStream, "ABORT_AT_RECORD_COUNT", aborts_at)
        buffer = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=buffer))
        sandbox.fault(path="/unified/ats/interviews", kind="rows", rows=[odd])
        config = tap.config(max_concurrency=1, **settings)
        TapTrutoAts(config=config, catalog=catalog).sync_all()
        times = rb'"(time_extracted|version|whole_read_at|read_at)":"?[^,"}]+'
        written.append(re.sub(times, rb"\1", buffer.getvalue()))
    assert written[0] == written[1]
    assert written[0].count(b'"type":"RECORD"') > 5 + 4 * 25


def test_batch_files_hold_the_rows_and_no_state_runs_ahead(
    tap: Tap, sandbox: Sandbox, tmp_path: Path
) -> None:
    batch = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": tmp_path.as_uri()},
        "batch_size": 7,
    }
    run = tap(batch_config=batch, page_size=3)
    assert run.code == 0
    out: list[dict[str, Any]] = []
    truth = rows(sandbox.interviews())
    for message in run.messages:
        if message["type"] == "BATCH" and message["stream"] == "interviews":
            for file in message["manifest"]:
                with gzip.open(Path(urlsplit(file).path), "rt") as lines:
                    out += [json.loads(line) for line in lines]
        elif message["type"] == "STATE":
            partial = Run(0, json.dumps(message), "")
            for account in partial.bookmarks:
                assert {key for key in truth if key[0] == account} <= rows(out).keys()
    assert rows(out) == truth
    assert run.bookmarks == tap().bookmarks
    assert table(run) == {}
