"""The tap with less patience than it has, and runs that are stopped at some point."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.forks import Program, keeping
from tests.harness import PROCESS, TAP, Run, Tap, program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.control import Sandbox

PATIENCE = 30
"""Seconds after which a test fails instead of waiting for ever."""

LONGEST_WAIT = 0.2
MOST_EMPTY_PAGES = 250

CONSTANTS = {
    "tap_truto_ats.sync.retries:FIRST_WAIT": 0.001,
    "tap_truto_ats.api.limits:LONGEST_WAIT": LONGEST_WAIT,
    "tap_truto_ats.api.limits:ACCOUNT_LIMIT": 10_000,
    "tap_truto_ats.api.limits:TOKEN_LIMIT": 10_000,
    "tap_truto_ats.sync.evidence:MOST_EMPTY_PAGES": MOST_EMPTY_PAGES,
    "tap_truto_ats.singer.writer:STATE_SECONDS": 0.0,
}
"""No limit is met, no wish of the server's is obeyed for long, and no STATE waits for its time."""


@cache
def _program(constants: str) -> Program:
    return PROCESS.enter_context(keeping(Path(TAP), json.loads(constants)))


def hasty(sandbox: Sandbox, **others: Any) -> Tap:
    """The tap with these constants, and others by `module:name`."""
    kept = _program(json.dumps(CONSTANTS | others))

    def run(
        command: Sequence[str], env: dict[str, str] | None = None, folder: Path | None = None
    ) -> tuple[int, str, str]:
        return kept.run(*command[1:], env=env, folder=folder)

    return Tap(sandbox, run=run)


def stopped(
    tap: Tap,
    when: Callable[[str], bool],
    constants: dict[str, Any] | None = None,
    signum: signal.Signals = signal.SIGTERM,
    **inputs: Any,
) -> Run:
    """Run the tap until something is the case, and end it by a signal then.

    Args:
        tap: The tap.
        when: Tells from what was written so far whether it is the case.
        constants: By `module:name`, those that are not as usual.
        signum: The signal.
        inputs: `catalog`, `state` and settings.
    """
    kept = program() if constants is None else _program(json.dumps(constants))
    catalog, state = inputs.pop("catalog", None) or tap.catalog(), inputs.pop("state", None)
    parts: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as pool:
        files = {"config": tap.config(**inputs), "catalog": catalog, "state": state}
        process = kept.start(*tap.command(Path(folder), **files)[1:])
        reading = pool.submit(process.read, parts=parts)
        deadline = time.monotonic() + PATIENCE
        while not (done := when(b"".join(parts).decode(errors="ignore"))):
            if reading.done() or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        process.signal(signum)
        stdout, _, _ = reading.result().decode().rpartition("\n")
        code, log = process.wait()
    assert done, log
    return Run(code, stdout, log)
