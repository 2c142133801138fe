"""Runs of a command line program at the price of a fork; each can be killed at any moment."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ZYGOTE = Path(__file__).with_name("zygote.py")
PAGE = 4096
READ = 1 << 16


class Process:
    """One run, which goes on until it is waited for."""

    def __init__(self, program: Program, pid: int, stdout: int, stderr: Any) -> None:
        self._program = program
        self._pid = pid
        self._stdout = stdout
        self._stderr = stderr
        self._lock = Lock()
        self._has_ended = False

    def signal(self, number: int) -> None:
        """Send a signal, if the run goes on; any thread may do so."""
        with self._lock:
            if not self._has_ended:
                os.kill(self._pid, number)

    def read(self, most: int | None = None, parts: list[bytes] | None = None) -> bytes:
        """Read what the run writes, to its end; or kill it once it has written that much.

        Another thread may look at the `parts` as they come.
        """
        parts = [] if parts is None else parts
        while most is None or most > 0:
            part = os.read(self._stdout, READ if most is None else min(READ, most))
            if not part:
                break
            parts.append(part)
            most = None if most is None else most - len(part)
        else:
            self.signal(signal.SIGKILL)
        return b"".join(parts)

    def wait(self) -> tuple[int, str]:
        """Return the exit code (below 0 for a signal that killed it) and stderr."""
        os.close(self._stdout)
        assert self._program.receive() == b"ended"
        with self._lock:
            self._has_ended = True
        code = int(self._program.acknowledge())
        with self._stderr:
            self._stderr.seek(0)
            return code, self._stderr.read().decode()


class Program:
    """A program that a zygote of its own keeps ready; it runs once at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def start(
        self,
        *arguments: str,
        stdin: Any = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
        clock: float | None = None,
    ) -> Process:
        """Run it with these arguments, and `time.time()` standing still at `clock`."""
        # As small as a pipe can be, so that a run that is not read stands still in a write.
        reading, writing = os.pipe()
        _shrink(writing)
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - the run's end closes it
        request = {
            "arguments": arguments,
            "folder": str(folder or Path.cwd()),
            "environment": dict(os.environ if env is None else env),
            "clock": clock,
        }
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123
            source = nothing if stdin is subprocess.DEVNULL else stdin
            descriptors = [source.fileno(), writing, stderr.fileno()]
            socket.send_fds(self._connection, [json.dumps(request).encode()], descriptors)
        os.close(writing)
        return Process(self, int(self.receive()), reading, stderr)

    def run(
        self,
        *arguments: str,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> tuple[int, str, str]:
        """Run it to its end; return the exit code, stdout and stderr."""
        with tempfile.TemporaryFile() as source:
            source.write(stdin.encode())
            source.seek(0)
            process = self.start(*arguments, stdin=source, env=env, folder=folder)
            written = process.read()
            code, log = process.wait()
        return code, written.decode(), log

    def receive(self) -> bytes:
        return self._connection.recv(READ)

    def acknowledge(self) -> bytes:
        self._connection.send(b"!")
        return self.receive()


def _shrink(pipe: int) -> None:
    if sys.platform == "linux":
        from fcntl import F_SETPIPE_SZ, fcntl  # noqa: PLC0415

        fcntl(pipe, F_SETPIPE_SZ, PAGE)


@contextmanager
def keeping(script: Path, constants: Mapping[str, Any] | None = None) -> Iterator[Program]:
    """Keep the program of an installed script ready, with other values for its constants."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            zygote = subprocess.Popen(
                [
                    *(script.with_name("python"), ZYGOTE),
                    *(str(theirs.fileno()), script, json.dumps(constants or {})),
                ],
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        yield Program(ours)
    zygote.wait()
