"""What the runs of cases share (a folder, a log, servers), and how a reader is started."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from benchmarks.server import served
from benchmarks.stopwatch import measure
from benchmarks.world import World
from sandbox.catalogs import select
from sandbox.control import TOKEN
from sandbox.environments import ROOT, environment
from tap_truto_ats.tap import TapTrutoAts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager
    from types import TracebackType

    from typing_extensions import Self

    from benchmarks.server import Server

T = TypeVar("T")
R = TypeVar("R")

HERE = Path(__file__).parent
PEERS = HERE / "peers"
ENVIRONMENTS = ROOT / ".venv" / "benchmarks"
TAP = "tap"
ACCOUNTS = "integrated_accounts"

PATIENCE = 150.0
"""Seconds after which a run beside odd accounts is ended, though healthy ones are not done."""

ENDED_BESIDE_ODD = (0, 1, 128 + signal.SIGTERM)

Measurement = dict[str, float]
"""Figures by name: those of `measure`, and the server's (`results.MEASURES` names them)."""


@dataclass(frozen=True)
class Reading:
    """A run in which a reader reads all rows of a world; its output is thrown away.

    Beside odd accounts, the tap is ended as soon as it has read the healthy ones.
    """

    reader: str
    """`tap`, or a program in `peers`."""
    world: World
    page_size: int = 100
    workers: int | None = 10
    """How many requests may be under way at the same time; None for the tap's default."""
    timeout: int | None = None
    """Seconds that the tap waits for an answer; None for its default."""
    unlimited: bool = False
    """Whether the tap is to do without Truto's limits, which no peer keeps."""
    once: bool = False
    """Whether one round is enough, for what does little but wait."""
    changed_parents: bool = False
    """Whether the tap is to ask only by parents that changed, where it asks by parents."""
    besides: tuple[str, ...] = ()
    """Streams that the tap reads besides."""

    @property
    def rows(self) -> int:
        """How many rows of healthy accounts must arrive."""
        return self.world.healthy_rows

    @property
    def streams(self) -> tuple[str, ...]:
        """What the tap reads."""
        return (ACCOUNTS, *self.world.resources, *self.besides)

    @property
    def exit_codes(self) -> Collection[int]:
        """What a run may end with: beside odd accounts, their failing or SIGTERM is no fault."""
        return ENDED_BESIDE_ODD if self.world.odd else (0,)

    def measure(self, stage: Stage) -> Measurement:
        """Have the reader read, and return what it took."""
        return stage.read(self)


@dataclass
class Stage:
    """A folder, a log of what the readers write to stderr, and what else is set up on demand."""

    log: Path
    stack: ExitStack = field(default_factory=ExitStack)
    _shared: dict[Any, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Begin with an empty log and an empty folder."""
        self.log.parent.mkdir(exist_ok=True)
        self.log.write_bytes(b"")
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what was set up."""
        self.stack.__exit__(kind, error, traceback)

    def read(
        self,
        reading: Reading,
        output: Path | None = None,
        *,
        state: Path | None = None,
        kill_after: int | None = None,
    ) -> Measurement:
        """Have a reader read from a server of its own.

        Args:
            reading: Who reads what.
            output: The file for its messages; None throws them away.
            state: The file with the state from which the tap goes on.
            kill_after: The number of requests after which it is sent SIGKILL.
        """
        with (
            served(reading.world) as server,
            (output or Path("/dev/null")).open("wb") as out,
            self.log.open("ab") as log,
        ):
            command = self.command(reading, server.url)
            if state:
                command += ["--state", state]
            is_over, ended_by = None, signal.SIGTERM
            if reading.world.odd:
                is_over = partial(_is_read, reading, server, time.monotonic() + PATIENCE)
            elif kill_after:
                is_over, ended_by = partial(_has_seen, server, kill_after), signal.SIGKILL
            figures = measure(
                command,
                is_over,
                ended_by,
                cwd=self.folder,
                stdout=out,
                stderr=log,
            )
            seen = server.statistics()
        return {
            **figures,
            "rows": seen.rows,
            "requests": seen.requests,
            "refused": seen.refused,
            "asked": seen.asked - seen.begun,
            "done": seen.done - seen.begun,
            "rate": seen.rate,
            "least": seen.least,
            **({"times": figures["wall"] / seen.least} if seen.least else {}),
        }

    def shared(self, make: Callable[[T, Stage], AbstractContextManager[R]], argument: T) -> R:
        """Set up, the first time, what runs share until the stage is left."""
        if (make, argument) not in self._shared:
            made = self.stack.enter_context(make(argument, self))
            self._shared[make, argument] = made
        return cast("R", self._shared[make, argument])

    def command(self, reading: Reading, url: str, **own: object) -> list[str | Path]:
        """Tell the command line of a reader; `own` are further settings of the tap."""
        if reading.reader != TAP:
            python = environment(PEERS / f"{reading.reader}.txt", ENVIRONMENTS) / "bin" / "python"
            accounts = ",".join(reading.world.account_ids())
            given = (url, accounts, str(reading.page_size), str(reading.workers or 1))
            return [python, PEERS / f"{reading.reader}.py", *given]
        config = self.folder / f"config-{own.get('shard_index', '')}.json"
        config.write_text(json.dumps(tap_settings(reading, url) | own))
        program: list[str | Path] = [Path(sys.executable).with_name("tap-truto-ats")]
        if reading.unlimited:
            program = [sys.executable, HERE / "unlimited.py"]
        catalog = self.folder / "catalog.json"
        text = TapTrutoAts(config={}, validate_config=False).catalog_json_text
        catalog.write_text(json.dumps(select(text, *reading.streams)))
        return [*program, "--config", config, "--catalog", catalog]

    def try_out(self, reader: str) -> None:
        """Make sure that a reader brings every row; its slow first start is then over, too.

        Raises:
            RuntimeError: It does not.
        """
        output = self.folder / "trial.jsonl"
        trial = Reading(reader, World(accounts=2, rows=7), page_size=3)
        figures = self.read(trial, output)
        found = len(set(interview_ids(output)))
        if figures["code"] or found != trial.rows:
            message = f"{reader} brought {found} of {trial.rows} rows: see {self.log}"
            raise RuntimeError(message)


def tap_settings(reading: Reading, url: str) -> dict[str, object]:
    """Give the tap's settings for a reading."""
    settings = {
        "api_url": url,
        "api_token": TOKEN,
        "page_size": reading.page_size,
        "max_concurrency": reading.workers,
        "request_timeout_seconds": reading.timeout,
        "include_eeocs": "eeocs" in reading.streams or None,
        "changed_parents_only": reading.changed_parents or None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _is_read(reading: Reading, server: Server, deadline: float) -> bool:
    """Say whether all rows of healthy accounts have been read, or will not be in time."""
    return server.statistics().rows >= reading.rows or time.monotonic() > deadline


def _has_seen(server: Server, requests: int) -> bool:
    """Say whether so many requests have been made."""
    return server.statistics().requests >= requests


def interview_ids(output: Path) -> list[str]:
    """Tell the ids of the interviews that a reader wrote, in Singer's messages or Airbyte's."""
    messages = map(json.loads, output.read_bytes().splitlines())
    records = [message for message in messages if message["type"] == "RECORD"]
    rows = [
        message["record"].get("data", message["record"])
        for message in records
        if "interviews" in {message.get("stream"), message["record"].get("stream")}
    ]
    return [row["id"] for row in rows]
