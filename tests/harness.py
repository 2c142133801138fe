"""Running the real command line against the sandbox."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.catalogs import select
from sandbox.server import serve
from sandbox.tables import rows
from tap_truto_ats.tap import TapTrutoAts
from tests.forks import Program, keeping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sandbox.control import Sandbox

TAP = str(Path(sys.executable).with_name("tap-truto-ats"))

Record = dict[str, Any]

CONSTANTS = {TAP: {"tap_truto_ats.sync.retries:FIRST_WAIT": 0.001}}
"""By script: values in place of its own. A retry waits a random part of half a second at first."""

PROCESS = ExitStack()
"""What this test process uses to its end."""

atexit.register(PROCESS.close)


@cache
def server() -> Sandbox:
    """The sandbox of this test process."""
    return PROCESS.enter_context(serve())


@cache
def program(script: str = TAP) -> Program:
    """The program of an installed script, kept ready for this test process."""
    return PROCESS.enter_context(keeping(Path(script), CONSTANTS.get(script)))


def whole() -> Sandbox:
    """The same, with a small account of each provider there is."""
    running = server()
    running.reset(providers=["all"], interviews=4, candidates=6, jobs=2, rate_limits=False)
    return running


@dataclass
class Run:
    """What a run of the tap left behind."""

    code: int
    stdout: str
    stderr: str
    messages: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.messages = [json.loads(line) for line in self.stdout.split("\n") if line]

    def of(self, kind: str, stream: str = "interviews") -> list[dict[str, Any]]:
        return [one for one in self.messages if (one["type"], one.get("stream")) == (kind, stream)]

    def records(self, stream: str = "interviews") -> list[Record]:
        return [message["record"] for message in self.of("RECORD", stream)]

    @property
    def states(self) -> list[dict[str, Any]]:
        return [message["value"] for message in self.messages if message["type"] == "STATE"]

    @property
    def state(self) -> dict[str, Any]:
        return self.states[-1]

    @property
    def bookmarks(self) -> dict[str, str]:
        """Bookmarks of the last state by account."""
        partitions = self.state["bookmarks"].get("interviews", {}).get("partitions", [])
        return {
            one["context"]["integrated_account_id"]: one["replication_key_value"]
            for one in partitions
            if "replication_key" in one
        }

    @property
    def errors(self) -> list[str]:
        """The error lines of the log."""
        return [
            line.split("|", 3)[3].strip() for line in self.stderr.splitlines() if "| ERROR " in line
        ]

    @property
    def log(self) -> list[str]:
        """The lines of the log, without those of the report, and without the SDK's on Python."""
        aside = ("| tap_truto_ats.report ", "SingerSDKPythonEOLWarning")
        return [
            line
            for line in self.stderr.splitlines()
            if " | " in line and not any(words in line for words in aside)
        ]

    @property
    def report(self) -> dict[str, Any]:
        """The report as data."""
        (text,) = (line for line in self.stderr.splitlines() if "| REPORT: " in line)
        report: dict[str, Any] = json.loads(text.split("| REPORT: ")[1])
        return report

    @property
    def text(self) -> list[str]:
        """The lines of the report."""
        lines = self.stderr.splitlines()
        (end,) = (n for n, line in enumerate(lines) if "| REPORT: " in line)
        begin = max(n for n, line in enumerate(lines[:end]) if " | " in line)
        return [lines[begin].split("|", 3)[3].strip(), *lines[begin + 1 : end]]

    @property
    def syncs(self) -> dict[tuple[str, str], Record]:
        """The rows of `account_syncs` by account and stream."""
        found = self.records("account_syncs")
        return {(one["integrated_account_id"], one["stream"]): one for one in found}

    def logged(self, text: str) -> int:
        return sum(text in line for line in self.log)


def table(*runs: Run) -> dict[tuple[str, str], Record]:
    """The interviews as an upserting target holds them after these runs."""
    return rows(record for run in runs for record in run.records())


def forked(
    command: Sequence[str], env: dict[str, str] | None = None, folder: Path | None = None
) -> tuple[int, str, str]:
    """Run an installed script to its end at the price of a fork.

    Python has been started before, so that its own settings (`PYTHON...`) are not read again.

    Args:
        command: The script and its arguments.
        env: All of its environment, if not that of the tests.
        folder: Where it runs, if not where the tests do.

    Returns:
        The exit code, stdout and stderr.
    """
    script, *arguments = command
    return program(script).run(*arguments, env=env, folder=folder)


def started(
    command: Sequence[str], env: dict[str, str] | None = None, folder: Path | None = None
) -> tuple[int, str, str]:
    """Run a command to its end as `forked` does, but as its users start it."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=env, cwd=folder
    )
    return done.returncode, done.stdout, done.stderr


@dataclass(frozen=True)
class Tap:
    """The tap, set up to read from the sandbox."""

    sandbox: Sandbox
    program: str = TAP
    run: Callable[..., tuple[int, str, str]] = forked

    def config(self, **settings: Any) -> dict[str, Any]:
        base = {
            "api_url": self.sandbox.url,
            "api_token": self.sandbox.token,
            "max_retries": 2,
        }
        return {name: value for name, value in (base | settings).items() if value is not None}

    def command(self, folder: Path, *args: str, **inputs: Any) -> list[str]:
        """The command line with its inputs (config, state, catalog) written as files."""
        command = [self.program, *args]
        for name, content in inputs.items():
            if content is not None:
                file = folder / f"{name}.json"
                file.write_text(json.dumps(content))
                command += [f"--{name}", str(file)]
        return command

    def __call__(
        self,
        *args: str,
        state: dict[str, Any] | None = None,
        catalog: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        **settings: Any,
    ) -> Run:
        """Run to the end; a setting given as None is left out.

        Without a catalog, the interviews are read.
        """
        if catalog is None and not args:
            raw = settings.get("response_format") == "raw"
            catalog = self.catalog(include_remote_data=raw or settings.get("include_remote_data"))
        with tempfile.TemporaryDirectory() as folder:
            inputs = {"config": self.config(**settings), "state": state, "catalog": catalog}
            command = self.command(Path(folder), *args, **inputs)
            return Run(*self.run(command, {**os.environ, **(env or {})}))

    @staticmethod
    def catalog(*streams: str, include_remote_data: Any = False) -> dict[str, Any]:
        """The catalog with some streams selected: without any, the accounts and the interviews."""
        wanted = streams or ("integrated_accounts", "interviews")
        return select(_catalog(include_remote_data is True), *wanted)

    def discover(self, **settings: Any) -> dict[str, Any]:
        """The catalog."""
        with tempfile.TemporaryDirectory() as folder:
            command = self.command(Path(folder), "--discover", config=self.config(**settings))
            code, stdout, stderr = self.run(command)
        assert code == 0, stderr
        catalog: dict[str, Any] = json.loads(stdout)
        return catalog


@cache
def _catalog(include_remote_data: bool) -> str:  # noqa: FBT001
    tap = TapTrutoAts(config={"include_remote_data": include_remote_data}, validate_config=False)
    return tap.catalog_json_text


def spread(*choices: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Combine parameters of a test so that each value occurs, though not each combination."""
    lists = [list(one) for one in choices]
    most = max(map(len, lists))
    return [tuple(one[n % len(one)] for one in lists) for n in range(most)]


def full_table(catalog: dict[str, Any], stream: str = "interviews") -> dict[str, Any]:
    """Have a stream read whole in every run."""
    entry = next(one for one in catalog["streams"] if one["tap_stream_id"] == stream)
    entry["replication_method"] = "FULL_TABLE"
    return catalog


def deselect(catalog: dict[str, Any], *names: str, stream: str = "interviews") -> dict[str, Any]:
    """Deselect properties of a stream, given as `a` or `a.b`, or the stream for no names."""
    entry = next(one for one in catalog["streams"] if one["tap_stream_id"] == stream)
    wanted: list[list[str]] = [
        [part for key in name.split(".") for part in ("properties", key)] for name in names
    ] or [[]]
    for metadata in entry["metadata"]:
        if metadata["breadcrumb"] in wanted:
            metadata["metadata"]["selected"] = False
    return catalog
