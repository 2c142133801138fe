"""Runs that go on from the state of a first run."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.stage import TAP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.stage import Measurement, Reading, Stage

STATE = b'{"type":"STATE"'
KEY = ("integrated_account_id", "id")


@dataclass(frozen=True)
class Following:
    """A run of the tap after a first one, which is not measured."""

    reading: Reading
    killed_at: float | None = None
    """The share of the first run's rows and requests after which it gets SIGKILL; None: it ends."""
    reader = TAP
    once = True
    exit_codes = (0,)

    @property
    def rows(self) -> int:
        """How many rows must have arrived after both runs."""
        return self.reading.rows

    @property
    def first(self) -> Reading:
        """What the first run reads: all there is, before anything changes."""
        world = replace(self.reading.world, changed_every=None)
        return replace(self.reading, world=world, changed_parents=False)

    def measure(self, stage: Stage) -> Measurement:
        """Read, and count the rows that have come up to the last STATE of each run."""
        first = stage.shared(_first_run, replace(self, reading=self.first))
        state, output = stage.folder / "state.json", stage.folder / "next.jsonl"
        state.write_bytes(first.state)
        figures = stage.read(self.reading, output, state=state)
        rows = first.rows | left(output).rows
        return {
            **figures,
            "rows": sum(stream in self.reading.world.resources for stream, *_ in rows),
        }


class Left(NamedTuple):
    """What counts of a run: its last STATE, and the rows before that."""

    state: bytes
    rows: set[tuple[str, ...]]
    """The stream, the account and the id of each."""


@contextmanager
def _first_run(following: Following, stage: Stage) -> Iterator[Left]:
    reading, share = following.reading, following.killed_at
    output = stage.folder / "first.jsonl"
    stage.read(reading, output, kill_after=int(share * reading.rows) if share else None)
    yield left(output)


def left(output: Path) -> Left:
    """Read what counts of a run's output, whose last line may have been cut off."""
    lines = output.read_bytes().splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith(STATE))
    messages = [json.loads(line) for line in lines[:last]]
    rows = {
        (message["stream"], *(str(message["record"].get(name)) for name in KEY))
        for message in messages
        if message["type"] == "RECORD"
    }
    return Left(json.dumps(json.loads(lines[last])["value"]).encode(), rows)
