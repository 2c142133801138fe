"""A throw-away Meltano project of this repository, between a sandbox and a Postgres."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres

ROOT = Path(__file__).parent.parent
MELTANO = Path(sys.executable).with_name("meltano")
PACKAGE = ("pyproject.toml", "README.md", "LICENSE", "constraints.txt", "tap_truto_ats", "dbt")
OWN_SETTINGS = ("MELTANO_", "TAP_TRUTO_ATS_", "TARGET_POSTGRES_", "DBT_")
GRACE_SECONDS = 10


class MeltanoError(Exception):
    """A command of Meltano's failed; the message says which."""


@dataclass(frozen=True)
class Project:
    """A project's folder, the environment of its commands, and the file that they log to."""

    folder: Path
    environment: dict[str, str]
    log: Path

    @classmethod
    def create(cls, folder: Path, log: Path, sandbox: Sandbox, server: Postgres) -> Project:
        """Fill a folder with the clone's files, but not with its state or its `.env`."""
        shutil.copy(ROOT / "meltano.yml", folder)
        for name in PACKAGE:
            (folder / name).symlink_to(ROOT / name)
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(OWN_SETTINGS)
        }
        settings = {
            "NO_COLOR": "1",
            "TAP_TRUTO_ATS_API_URL": sandbox.url,
            "TAP_TRUTO_ATS_API_TOKEN": sandbox.token,
            "TARGET_POSTGRES_HOST": server.host,
            "TARGET_POSTGRES_PORT": str(server.port),
            "TARGET_POSTGRES_USER": server.user,
            "TARGET_POSTGRES_PASSWORD": server.password,
            "TARGET_POSTGRES_DATABASE": server.database,
        }
        return cls(folder, kept | settings, log)

    def run(self, *arguments: str, **settings: str) -> None:
        """Run Meltano in a process group of its own, which ends with this call.

        Args:
            arguments: Meltano's command.
            settings: Further environment variables.

        Raises:
            MeltanoError: Meltano failed.
        """
        with self.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - the project's own command
                [MELTANO, *arguments],
                cwd=self.folder,
                env=self.environment | settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            code = process.wait()
        except BaseException:
            end(process)
            raise
        if code:
            message = f"`meltano {' '.join(arguments)}` failed with exit code {code}"
            raise MeltanoError(message)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group, whose id is the process's own."""
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
