"""A schema of Postgres that streams are loaded into, with dbt beside it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from documentation.models import PACKAGE
from documentation.schemas import DEFAULT, STREAMS
from sandbox.environments import environment
from sandbox.tables import query
from sandbox.world import Options
from tests.end_to_end.hasty import hasty
from tests.end_to_end.plugins import PLUGINS
from tests.end_to_end.test_targets import MELTANO, load, settings
from tests.harness import forked

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres

Row = dict[str, Any]

PROVIDERS = ("ashby", "breezy", "ceipal", "fountain", "greenhouse", "lever", "loxo", "pinpoint")
WORLD = Options(
    accounts=tuple(
        {"provider": provider, "tenant_id": f"customer-{n % 3}"}
        for n, provider in enumerate((*PROVIDERS, "ashby"))
    ),
    interviews=40,
    candidates=13,
    rate_limits=False,
)
"""What the sandbox holds at first."""

OPTIONAL = sorted(STREAMS.keys() - {*DEFAULT})

TARGET = {name: value for name, value in MELTANO.items() if name != "default_target_schema"}


@dataclass(frozen=True)
class Warehouse:
    """A schema that streams are loaded into, and the models beside it."""

    database: Postgres
    sandbox: Sandbox
    schema: str
    folder: Path
    optional: list[str]
    project: Path = PACKAGE

    def load(self, *streams: str, fails: bool = False, state: Row | None = None) -> Row:
        """Read streams and load them, whole without a state; returns the new one."""
        tap = hasty(self.sandbox)
        catalog = tap.catalog(*streams)
        run = tap(state=state, catalog=catalog, include_eeocs="eeocs" in streams)
        assert run.code == fails, run.stderr
        config = settings(self.database, self.schema, **TARGET)
        load(run, "meltanolabs-target-postgres", config, self.folder)
        return run.state

    def dbt(self, *command: str) -> tuple[int, str]:
        """Run dbt; return its exit code and what it wrote."""
        program = environment(PACKAGE / "requirements.txt", PLUGINS) / "bin" / "dbt"
        given = {
            "DBT_PROJECT_DIR": str(self.project),
            "DBT_PROFILES_DIR": str(PACKAGE),
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "DBT_LOG_PATH": str(self.folder / "logs"),
            "DBT_USE_COLORS": "false",
            "DBT_POSTGRES_HOST": self.database.host,
            "DBT_POSTGRES_PORT": str(self.database.port),
            "DBT_POSTGRES_USER": self.database.user,
            "DBT_POSTGRES_PASSWORD": self.database.password,
            "DBT_POSTGRES_DATABASE": self.database.database,
            "DBT_POSTGRES_SCHEMA": f"{self.schema}_models",
            "DBT_POSTGRES_SOURCE_SCHEMA": self.schema,
            "PGTZ": "Asia/Kolkata",
        }
        variables = ("--vars", json.dumps({"truto_ats_optional_streams": self.optional}))
        code, out, log = forked([str(program), *command, *variables], env={**os.environ, **given})
        return code, out + log

    def succeed(self, *command: str) -> str:
        """Run dbt, which has to succeed; return what it wrote."""
        code, log = self.dbt(*command)
        assert code == 0, log
        return log

    def build(self) -> None:
        """Build all models and run their tests: none fails or warns."""
        log = self.succeed("build")
        assert "WARN=0 ERROR=0 SKIP=0" in log, log

    def build_only(self, *selection: str) -> None:
        """Build models, of all or of a selection, without their tests."""
        self.succeed("build", "--exclude", "test_type:data", *selection)

    def rows(self, model: str) -> list[Row]:
        return query(self.database, f'SELECT * FROM "{self.schema}_models".{model}')

    def count(self, table: str, condition: str = "true") -> int:
        (row,) = query(self.database, f"SELECT count(*) AS n FROM {table} WHERE {condition}")
        count: int = row["n"]
        return count
