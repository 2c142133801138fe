"""The way into Postgres: the tap, the target and Meltano, each alone and together."""

from __future__ import annotations

import array
import fcntl
import json
import os
import subprocess
import termios
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import IO, TYPE_CHECKING

import psycopg
from ruamel.yaml import YAML

from benchmarks.server import served
from benchmarks.stage import ENVIRONMENTS, PEERS, TAP, Reading, tap_settings
from benchmarks.stopwatch import measure, read, start
from sandbox.control import TOKEN, Sandbox
from sandbox.environments import environment
from sandbox.meltano import MELTANO, ROOT, Project
from sandbox.postgres import Postgres, postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from benchmarks.stage import Measurement, Stage

TARGET = "target-postgres"
LOADER = "dlt_postgres"
"""The program in `peers` that loads, too."""

RUN = ("run", "--full-refresh", "tap-truto-ats", TARGET)
LOOK_SECONDS = 0.001
"""The time between two looks into the pipe."""


@dataclass(frozen=True)
class Loading:
    """A run over a part of the way into Postgres or all of it, into a schema of its own."""

    part: str
    """`target` loads what the tap wrote before, `pipe` runs both, `meltano` has Meltano do it,
    `one` runs both without looking into the pipe, `shards` as many of these as there are cores, and
    `dlt` is the peer's way."""
    reading: Reading
    reader: str = TAP
    """`tap`, or the program in `peers` that loads, too."""
    once = False
    exit_codes = (0,)

    @property
    def rows(self) -> int:
        """How many rows must arrive."""
        return self.reading.rows

    def measure(self, stage: Stage) -> Measurement:
        """Load, and count the rows that are in Postgres afterwards."""
        warehouse = stage.shared(warehouse_of, self.reading)
        schema = f"benchmark_{next(warehouse.numbers)}"
        figures = PARTS[self.part](warehouse, schema, stage)
        return {**figures, "rows": warehouse.count_rows(schema)}


@dataclass(frozen=True)
class Warehouse:
    """A Postgres, a Meltano project that loads a server's rows there, and a file for the rows."""

    reading: Reading
    url: str
    database: Postgres
    project: Project
    output: Path
    numbers: count[int] = field(default_factory=count)

    def count_rows(self, schema: str) -> int:
        """Count the interviews that have been loaded."""
        statement = psycopg.sql.SQL("select count(*) from {}.interviews")
        with psycopg.connect(self.database.uri) as connection:
            query = statement.format(psycopg.sql.Identifier(schema))
            (found,) = connection.execute(query).fetchone() or (0,)
        return int(found)

    def target(self, schema: str, folder: Path) -> list[str | Path]:
        """Tell the target's command line, with the settings of `meltano.yml`."""
        plugins = YAML(typ="safe").load(ROOT / "meltano.yml")["plugins"]
        (loader,) = (one for one in plugins["loaders"] if one["name"] == TARGET)
        names = ("host", "port", "user", "password", "database")
        settings = {
            **loader["config"],
            **{name: getattr(self.database, name) for name in names},
            "default_target_schema": schema,
        }
        config = folder / "target.json"
        config.write_text(json.dumps(settings))
        home = self.project.folder / ".meltano" / "loaders" / TARGET / "venv"
        return [home / "bin" / TARGET, "--config", config]


@contextmanager
def warehouse_of(reading: Reading, stage: Stage) -> Iterator[Warehouse]:
    """Set up Postgres and Meltano."""
    output, folder = stage.folder / "tap.jsonl", stage.folder / "project"
    folder.mkdir()
    with served(reading.world) as server, postgres() as database:
        project = Project.create(folder, stage.log, Sandbox(server.url, TOKEN), database)
        project.run("install")
        yield Warehouse(reading, server.url, database, project, output)


def _load_file(warehouse: Warehouse, schema: str, stage: Stage) -> Measurement:
    if not warehouse.output.exists():
        stage.read(warehouse.reading, warehouse.output)
    command = warehouse.target(schema, stage.folder)
    with warehouse.output.open("rb") as messages, stage.log.open("ab") as log:
        return measure(command, stdin=messages, stdout=subprocess.DEVNULL, stderr=log)


def _load_pipe(warehouse: Warehouse, schema: str, stage: Stage) -> Measurement:
    """Run tap and target, looking all the time whether anything is in the pipe between them."""
    results = [stage.folder / f"{name}.result" for name in ("tap", "target")]
    reading_end, writing_end = os.pipe()
    with stage.log.open("ab") as log:
        begin = time.monotonic()
        target = start(
            warehouse.target(schema, stage.folder),
            results[1],
            stdin=reading_end,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        command = stage.command(warehouse.reading, warehouse.url)
        tap = start(command, results[0], stdout=writing_end, stderr=log)
        os.close(writing_end)
        empty = _share_empty(reading_end, tap)
        os.close(reading_end)
        target.wait()
        wall = time.monotonic() - begin
    parts = [read(result) for result in results]
    return {
        "code": max(part["code"] for part in parts),
        "wall": wall,
        "cpu": sum(part["cpu"] for part in parts),
        "peak": max(part["peak"] for part in parts),
        "empty": empty,
    }


def _load_meltano(warehouse: Warehouse, schema: str, stage: Stage) -> Measurement:
    own = {
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": schema,
        "TAP_TRUTO_ATS__SELECT": json.dumps(
            [f"{stream}.*" for stream in warehouse.reading.streams]
        ),
    }
    given = tap_settings(warehouse.reading, warehouse.url)
    settings = {f"TAP_TRUTO_ATS_{name.upper()}": str(value) for name, value in given.items()}
    with stage.log.open("ab") as log:
        return measure(
            [MELTANO, *RUN],
            cwd=warehouse.project.folder,
            env=warehouse.project.environment | settings | own,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _load_shards(count: int, warehouse: Warehouse, schema: str, stage: Stage) -> Measurement:
    """Run a tap and a target for each shard, all at the same time, once the tables are there."""
    target = warehouse.target(schema, stage.folder)
    taps = [
        stage.command(warehouse.reading, warehouse.url, shard_index=index, shard_count=count)
        for index in range(count)
    ]
    with stage.log.open("ab") as log:
        _create_tables(taps[0], target, log)
        begin = time.monotonic()
        parts = [
            part
            for index, tap in enumerate(taps)
            for part in _piped(tap, target, index, stage, log)
        ]
        for process, _ in parts:
            process.wait()
        wall = time.monotonic() - begin
    figures = [read(result) for _, result in parts]
    return {
        "code": max(part["code"] for part in figures),
        "wall": wall,
        "cpu": sum(part["cpu"] for part in figures),
        "peak": max(part["peak"] for part in figures),
    }


def _create_tables(tap: list[str | Path], target: list[str | Path], log: IO[bytes]) -> None:
    """Have the target create the tables, which several could not do at the same time."""
    schemas = subprocess.run(  # noqa: S603 - the project's own commands
        [*tap, "--test=schema"], check=True, stdout=subprocess.PIPE, stderr=log
    )
    subprocess.run(target, check=True, input=schemas.stdout, stdout=log, stderr=log)  # noqa: S603


def _piped(
    tap: list[str | Path], target: list[str | Path], index: int, stage: Stage, log: IO[bytes]
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Start a target and a tap that writes to it; yield each with the file of its figures."""
    results = [stage.folder / f"{name}-{index}.result" for name in ("target", "tap")]
    reading_end, writing_end = os.pipe()
    out = subprocess.DEVNULL
    yield start(target, results[0], stdin=reading_end, stdout=out, stderr=log), results[0]
    os.close(reading_end)
    yield start(tap, results[1], stdout=writing_end, stderr=log), results[1]
    os.close(writing_end)


def _load_dlt(warehouse: Warehouse, schema: str, stage: Stage) -> Measurement:
    """Have dlt merge the rows into a schema of the same database."""
    python = environment(PEERS / f"{LOADER}.txt", ENVIRONMENTS) / "bin" / "python"
    page_size = str(warehouse.reading.page_size)
    given = (warehouse.url, warehouse.database.uri, schema, page_size)
    command: list[str | Path] = [python, PEERS / f"{LOADER}.py", *given]
    with stage.log.open("ab") as log:
        return measure(command, cwd=stage.folder, stdout=log, stderr=log)


PARTS: Mapping[str, Callable[[Warehouse, str, Stage], Measurement]] = {
    "target": _load_file,
    "pipe": _load_pipe,
    "meltano": _load_meltano,
    "one": partial(_load_shards, 1),
    "shards": partial(_load_shards, os.cpu_count() or 1),
    "dlt": _load_dlt,
}


def _share_empty(pipe: int, writer: subprocess.Popen[bytes]) -> float:
    """Look into a pipe until its writer ends, and return in how many of 100 looks it was empty.

    Looks count from the first bytes on. The pipe's reader waits only while the pipe is empty, and
    not always then, since it may be busy with what it has taken.
    """
    looks = empty = 0
    held = array.array("i", [0])
    while writer.poll() is None:
        fcntl.ioctl(pipe, termios.FIONREAD, held)
        if looks or held[0]:
            looks += 1
            empty += not held[0]
        time.sleep(LOOK_SECONDS)
    return 100 * empty / max(looks, 1)
