"""A throw-away Airflow with the repository's DAG, beside a Meltano project and a Postgres."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psycopg
import requests

from sandbox.environments import ROOT, environment
from sandbox.meltano import MELTANO, end
from sandbox.postgres import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.meltano import Project
    from sandbox.postgres import Postgres

DEPLOY = ROOT / "deploy" / "airflow"
DAGS = DEPLOY / "dags"
HOME = ROOT / ".venv" / "plugins"
PARTS = ("api-server", "scheduler", "dag-processor")
"""What runs a DAG: the scheduler's executor starts tasks, which report to the server."""

START_SECONDS = 180
RUN_SECONDS = 900
LOOK_SECONDS = 2


class AirflowError(Exception):
    """A command or a part of Airflow failed or took too long; the message says which."""


@dataclass(frozen=True)
class Airflow:
    """An installed Airflow, the environment of its commands, and the file that they log to."""

    program: Path
    environment: dict[str, str]
    url: str
    log: Path
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list, init=False)
    """Its parts, while they run."""

    @classmethod
    def create(
        cls, folder: Path, project: Project, server: Postgres, dags: Path = DAGS, **own: str
    ) -> Airflow:
        """Install it, and give it and Meltano a database of their own each.

        Args:
            folder: Where to put its files.
            project: The Meltano project that the DAG runs; all parts log to its file.
            server: Where the databases are, and the warehouse.
            dags: The folder of the DAGs.
            own: Further environment variables.
        """
        program = environment(DEPLOY / "requirements.txt", HOME) / "bin" / "airflow"
        with psycopg.connect(server.uri, autocommit=True) as connection:
            for name in ("airflow", "meltano"):
                connection.execute(
                    psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name))
                )
        address = server.uri.removeprefix("postgresql").removesuffix(server.database)
        url = f"http://{LOOPBACK}:{free_port()}"
        settings = {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW_CONN_WAREHOUSE": f"postgres{address}{server.database}",
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__HOST": LOOPBACK,
            "AIRFLOW__API__PORT": url.rpartition(":")[2],
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2{address}airflow",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "MELTANO_DATABASE_URI": f"postgresql+psycopg{address}meltano",
            "MELTANO_PROJECT_ROOT": str(project.folder),
            "PATH": f"{MELTANO.parent}{os.pathsep}{os.environ['PATH']}",
        }
        made = cls(program, project.environment | settings | own, url, project.log)
        made.run("db", "migrate")
        return made

    def run(self, *arguments: str) -> None:
        """Run a command to its end.

        Raises:
            AirflowError: It failed.
        """
        process = self._start(*arguments)
        try:
            code = process.wait()
        finally:
            end(process)
        if code:
            message = f"`airflow {' '.join(arguments)}` failed with exit code {code}"
            raise AirflowError(message)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run its parts for as long as the block."""
        try:
            self._processes.extend(map(self._start, PARTS))
            self._wait_until_healthy()
            yield
        finally:
            for process in self._processes:
                end(process)
            self._processes.clear()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - the installed program
                [self.program, *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_until_healthy(self) -> None:
        for _ in self._looks(START_SECONDS, "Airflow's start"):
            with suppress(requests.RequestException):
                health = requests.get(f"{self.url}/api/v2/monitor/health", timeout=10).json()
                if all(
                    health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor")
                ):
                    return

    def _looks(self, seconds: float, what: str) -> Iterator[None]:
        """Yield again and again, until the time for something is up.

        Raises:
            AirflowError: The time is up, or a part of Airflow has ended.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for part, process in zip(PARTS, self._processes, strict=False):
                if process.poll() is not None:
                    message = f"Airflow's {part} has ended"
                    raise AirflowError(message)
            yield
            time.sleep(LOOK_SECONDS)
        message = f"{what} took more than {seconds:,} s"
        raise AirflowError(message)

    def trigger(self, dag: str) -> str:
        """Start a run of a DAG, and return its id."""
        for _ in self._looks(START_SECONDS, f"The import of the DAG {dag}"):
            if self._call("GET", f"dags/{dag}", allowed=(404,)):
                break
        self._call("PATCH", f"dags/{dag}", json={"is_paused": False})
        made = self._call("POST", f"dags/{dag}/dagRuns", json={"logical_date": None})
        return str(made["dag_run_id"])

    def wait(self, dag: str, run: str) -> str:
        """Wait for the end of a run, and return its state, such as `success` or `failed`."""
        state = "queued"
        for _ in self._looks(RUN_SECONDS, f"The run of {dag}"):
            with suppress(requests.RequestException):  # The next look tells of an end.
                state = str(self._call("GET", f"dags/{dag}/dagRuns/{run}")["state"])
            if state not in {"queued", "running"}:
                break
        return state

    def tries(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run, one for each bucket."""
        path = f"dags/{dag}/dagRuns/{run}/taskInstances"
        found: list[dict[str, Any]] = self._call("GET", path, params={"limit": 1000})[
            "task_instances"
        ]
        return found

    def task_log(self, dag: str, run: str, task: str, number: int) -> str:
        """Return what a task logged in a try."""
        path = f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{number}"
        return str(self._call("GET", path, params={"full_content": True}))

    @cached_property
    def _token(self) -> str:
        return str(requests.get(f"{self.url}/auth/token", timeout=60).json()["access_token"])

    def _call(self, method: str, path: str, *, allowed: tuple[int, ...] = (), **given: Any) -> Any:  # noqa: ANN401 - JSON
        answer = requests.request(
            method,
            f"{self.url}/api/v2/{path}",
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=60,
            **given,
        )
        if answer.status_code in allowed:
            return None
        answer.raise_for_status()
        return answer.json()
