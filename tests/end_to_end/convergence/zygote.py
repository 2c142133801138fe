"""A process that has imported a command line program, and forks itself for each run of it.

Starting an interpreter and importing singer-sdk takes most of a second, a fork some milliseconds.
A fork is a process of its own: it has its own memory, its own pipes, and can be killed.
Python's own modules only, since targets run it, too, each with the Python of its environment.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import time
from typing import Any

STREAMS = (0, 1, 2)
LONGEST_REQUEST = 1 << 20


def serve(connection: socket.socket, program: str, constants: dict[str, Any]) -> None:
    """Run the program (`module:Class.function`) for each request, one after another.

    A request is a JSON object of `arguments` and `clock`, with the run's stdin, stdout and stderr.
    It is answered with the process id at once, and with the exit code once the run has ended.

    Args:
        connection: Where requests come from; its end is the end.
        program: What to call with the arguments.
        constants: Values by `module:name` to take the place of those in the program.
    """
    entry = _find(program)
    for name, value in constants.items():
        module, constant = name.split(":")
        assert hasattr(importlib.import_module(module), constant)
        setattr(importlib.import_module(module), constant, value)
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, len(STREAMS))
        if not message:
            return
        request = json.loads(message)
        pid = os.fork()
        if pid == 0:
            connection.close()
            _run(entry, descriptors, **request)
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(json.dumps(pid).encode())
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        connection.send(b"ended")
        # Until the other side knows of the end, the process id must not be given to another.
        connection.recv(1)
        status = os.waitpid(pid, 0)[1]
        connection.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())


def _find(program: str) -> Any:
    module, path = program.split(":")
    found = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _run(entry: Any, descriptors: list[int], arguments: list[str], clock: float | None) -> None:
    """Become the run."""
    for number, descriptor in zip(STREAMS, descriptors, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if clock is not None:
        time.time = lambda: clock
    code: Any = 1
    try:
        entry(args=arguments)
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else bool(code))


if __name__ == "__main__":
    own = socket.socket(fileno=int(sys.argv[1]))
    serve(own, sys.argv[2], json.loads(sys.argv[3]))
