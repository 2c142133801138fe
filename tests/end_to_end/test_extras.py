"""What the extras `faker` and `parquet` are for, and what is said where they are missing.

The packages come from environments of their own, so that all other tests run without them.
"""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from sandbox.environments import environment
from sandbox.tables import rows
from tests.end_to_end.plugins import PLUGINS
from tests.end_to_end.test_batch import batches
from tests.harness import Tap, started

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Run

PATH = "/unified/ats/interviews"
SECRET = "hush-4242"
NAMES = {"interviews": {"location": "fake.name()"}}


@cache
def home(name: str) -> Path:
    """The environment with what the extra of this name brings."""
    return environment(Path(__file__).parent / "extras" / f"{name}.txt", PLUGINS)


def given(name: str) -> dict[str, str]:
    """What makes the tap find it."""
    (packages,) = home(name).glob("lib/python*/site-packages")
    return {"PYTHONPATH": str(packages)}


def refused(run: Run, sandbox: Sandbox) -> str:
    assert (run.code, run.stdout) == (1, "")
    assert "Traceback" not in run.stderr
    assert sandbox.requests() == []
    (line,) = run.errors
    return line


@pytest.fixture
def installed(sandbox: Sandbox) -> Tap:
    """The tap as its users start it, since a fork has searched for packages before."""
    return Tap(sandbox, run=started)


class TestFaker:
    @pytest.mark.parametrize("stream", ["interviews", "*"])
    def test_without_the_package_its_extra_is_named(
        self, tap: Tap, sandbox: Sandbox, stream: str
    ) -> None:
        line = refused(tap(stream_maps={stream: NAMES["interviews"]}), sandbox)
        assert line == (
            f"Setting 'stream_maps' needs the package `faker` for {stream}.location:"
            " pip install 'tap-truto-ats[faker]'."
        )

    def test_with_it_values_are_replaced_the_same_way_each_time(
        self, installed: Tap, sandbox: Sandbox
    ) -> None:
        real = {row["location"] for row in sandbox.interviews()}
        faker = {"seed": 7, "locale": ["de_DE", "en_US"]}
        first, second = (
            installed(
                stream_maps=NAMES, faker_config=faker, max_concurrency=1, env=given("faker")
            ).records()
            for _ in range(2)
        )
        assert first == second
        assert len(first) == len(sandbox.interviews())
        assert all(" " in row["location"] and row["location"] not in real for row in first)

    @pytest.mark.parametrize(
        ("faker", "reason"),
        [
            ({"locale": SECRET}, "locale what the package `faker` knows, such as en_US or de_DE"),
            ({"locale": ["en_US", SECRET]}, "locale what the package `faker` knows"),
            ({"locale": []}, "locale what the package `faker` knows"),
            ({"seed": 42.5}, "seed a whole number or a string"),
        ],
        ids=str,
    )
    def test_what_it_refuses_is_named(
        self, installed: Tap, sandbox: Sandbox, faker: dict[str, Any], reason: str
    ) -> None:
        run = installed(stream_maps=NAMES, faker_config=faker, env=given("faker"))
        line = refused(run, sandbox)
        assert line.startswith(f"Setting 'faker_config' takes for {reason}")
        assert SECRET not in run.stderr

    def test_what_it_does_not_have_names_the_column(self, installed: Tap) -> None:
        maps = {"interviews": {"location": "fake.nothing_of_the_kind()"}}
        run = installed(stream_maps=maps, env=given("faker"))
        assert run.code == 1
        (line,) = run.errors
        assert line.startswith(
            "Setting 'stream_maps' fails on a record of interviews, for location"
        )
        assert line.endswith(" (`fake` is of the package `faker`).")
        assert "Traceback" not in run.stderr


def parquet(folder: Path) -> dict[str, Any]:
    return batches(folder) | {"encoding": {"format": "parquet", "compression": "gzip"}}


def read(run: Run) -> list[dict[str, Any]]:
    """The rows of a run's files, as the environment's own Python reads them."""
    files = [urlsplit(file).path for message in run.of("BATCH") for file in message["manifest"]]
    script = (
        "import json, sys, pyarrow.parquet as p;"
        "print(json.dumps([r for f in sys.argv[1:] for r in p.read_table(f).to_pylist()]))"
    )
    python = home("parquet") / "bin" / "python"
    done = subprocess.run([python, "-c", script, *files], capture_output=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


class TestParquet:
    def test_without_the_package_its_extra_is_named(
        self, tap: Tap, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        line = refused(tap(batch_config=parquet(tmp_path)), sandbox)
        assert line == (
            "Setting 'batch_config.encoding.format' needs the package `pyarrow` for parquet:"
            " pip install 'tap-truto-ats[parquet]'."
        )

    def test_with_it_the_files_hold_the_rows(
        self, installed: Tap, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        run = installed(batch_config=parquet(tmp_path), env=given("parquet"))
        assert (run.code, run.errors) == (0, [])
        assert rows(read(run)).keys() == rows(sandbox.interviews()).keys()

    def test_values_of_several_types_end_the_run_in_a_line(
        self, installed: Tap, sandbox: Sandbox, ids: dict[str, str], tmp_path: Path
    ) -> None:
        odd = [{"id": "1", "x": SECRET}, {"id": "2", "x": [4242]}]
        sandbox.fault(path=PATH, kind="rows", rows=odd)
        run = installed(
            batch_config=parquet(tmp_path),
            integrated_account_ids=[ids["ashby"]],
            env=given("parquet"),
        )
        assert run.code == 1
        (line,) = run.errors
        assert line.startswith("A BATCH file could not be written: a column of interviews has")
        assert "Traceback" not in run.stderr
        assert SECRET not in run.stderr
        assert run.bookmarks == {}


@pytest.mark.parametrize(
    "root", ["nope://bucket", "s3://bucket/x", "http://localhost:1/x", "data:,x", "\0"]
)
def test_a_place_for_files_that_cannot_be_used_is_refused_in_a_line(
    tap: Tap, tmp_path: Path, root: str
) -> None:
    run = tap(batch_config=batches(tmp_path) | {"storage": {"root": root}})
    assert run.code == 1
    (line,) = run.errors
    assert line.startswith("Setting 'batch_config.storage.root' ")
    assert "Traceback" not in run.stderr
