"""Runs a command and tells what it took.

The command is started by a small process, which is this file run as a script. A new process begins
as a copy of the one that starts it, and the memory of that copy counts in its peak, even after it
has become another program: started by a large process, a small command would seem large.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes: the unit of `ru_maxrss`."""

MEGABYTE = 1_000_000

LOOK_SECONDS = 0.1
"""The time between two looks whether a command is to be ended."""


def start(
    command: Iterable[str | Path],
    result: Path,
    ended_by: signal.Signals = signal.SIGTERM,
    **given: Any,
) -> subprocess.Popen[bytes]:
    """Start a command whose figures will stand in the file `result`; `given` is for `Popen`.

    When the process that starts it gets SIGTERM, the command is sent the signal `ended_by`.
    """
    own = [sys.executable, "-I", "-S", __file__, str(result), str(int(ended_by))]
    return subprocess.Popen([*own, *map(str, command)], **given)  # noqa: S603 - from declarations


def measure(
    command: Iterable[str | Path],
    is_over: Callable[[], bool] | None = None,
    ended_by: signal.Signals = signal.SIGTERM,
    **given: Any,
) -> dict[str, float]:
    """Run a command to its end, or end it by a signal as soon as `is_over` says so.

    Returns:
        `code`; `wall` and `cpu` (user and system) in seconds; `peak`, the most memory in megabytes
        that it or one of the processes which it waited for had.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        process = start(command, result, ended_by, **given)
        while is_over and process.poll() is None:
            if is_over():
                process.terminate()
                break
            time.sleep(LOOK_SECONDS)
        process.wait()
        return read(result)


def read(result: Path) -> dict[str, float]:
    """Read the figures of a command that has ended."""
    figures: dict[str, float] = json.loads(result.read_text())
    return figures


def main(result: str, ended_by: str, *command: str) -> None:
    """Run the command, end it by a signal on SIGTERM, and write its figures to the file."""
    begin = time.monotonic()
    process = os.posix_spawn(command[0], command, os.environ)

    def end(*_: object) -> None:
        with suppress(ProcessLookupError):  # It may just have ended by itself.
            os.kill(process, int(ended_by))

    signal.signal(signal.SIGTERM, end)
    _, status, usage = os.wait4(process, 0)
    figures = {
        "code": os.waitstatus_to_exitcode(status),
        "wall": time.monotonic() - begin,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * PEAK_UNIT / MEGABYTE,
    }
    Path(result).write_text(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
