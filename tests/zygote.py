"""A process that has imported a command line program, and forks itself for each run of it.

Starting an interpreter and importing singer-sdk takes half a second, a fork some milliseconds.
A fork is a process of its own: it has its own memory, its own pipes, and can be killed.
Python's own modules only, since targets run it, too, each with the Python of its environment.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import socket
import sys
import threading
import time
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

STREAMS = (0, 1, 2)
LONGEST_REQUEST = 1 << 20


def main(descriptor: str, script: str, constants: str) -> None:
    """Import what a script of this environment runs, and run it for each request.

    Args:
        descriptor: The number of the socket that requests come from.
        script: The installed script; its name is that of an entry point.
        constants: Values by `module:name` to take the place of those in the program, as JSON.
    """
    # Before any other, so that it comes last.
    atexit.register(leave)
    # As for a started script; this file's folder has modules that must not be found.
    sys.path[0] = str(Path(script).parent)
    (entry,) = entry_points(group="console_scripts", name=Path(script).name)
    importlib.import_module(entry.module)
    # Each run looks up its version; the modules for that are imported at the first look.
    if entry.dist:
        version(entry.dist.name)
    for name, value in json.loads(constants).items():
        module, constant = name.split(":")
        assert hasattr(importlib.import_module(module), constant)
        setattr(importlib.import_module(module), constant, value)
    # What the collector never looks at is never written to, and so shared by all forks.
    gc.freeze()
    with socket.socket(fileno=int(descriptor)) as connection:
        request = serve(connection)
    if request is not None:
        become(script, **request)
        Exit.code = 1  # of an error that nobody catches
        try:
            # Loading is left to the fork: singer-sdk sets up the log by the environment then.
            sys.exit(entry.load()())
        except SystemExit as end:
            Exit.code = end.code if isinstance(end.code, int) else bool(end.code)
            raise


def serve(connection: socket.socket) -> dict[str, Any] | None:
    """Fork for each request, one after another; return in a fork with its request.

    A request is a JSON object with the run's stdin, stdout and stderr. It is answered with the
    process id at once, and with the exit code once the run has ended.
    """
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, len(STREAMS))
        if not message:
            return None
        assert threading.active_count() == 1, "a fork would lack the other threads"
        pid = os.fork()
        if pid == 0:
            for number, descriptor in zip(STREAMS, descriptors, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)
            request: dict[str, Any] = json.loads(message)
            return request
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(json.dumps(pid).encode())
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        connection.send(b"ended")
        # Until the other side knows of the end, the process id must not be given to another.
        connection.recv(1)
        status = os.waitpid(pid, 0)[1]
        connection.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())


def become(
    script: str, arguments: list[str], folder: str, environment: dict[str, str], clock: float | None
) -> None:
    """Set up what a started process is given."""
    sys.argv = [script, *arguments]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    if clock is not None:
        now = clock
        time.time = lambda: now


class Exit:
    """How the process ends."""

    code = 0


def leave() -> None:
    """End when all threads have, with nothing left to write.

    Python would take the process apart first: half of the time of a short run.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(Exit.code)


if __name__ == "__main__":
    main(*sys.argv[1:])
