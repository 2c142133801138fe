"""`plugin.yml` in a Meltano project that knows nothing of this one, by the commands of its page."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from documentation import plugin
from documentation.schemas import DEFAULT
from sandbox.environments import uv
from sandbox.meltano import ROOT, Project
from sandbox.tables import interviews, query, rows
from tests.harness import server

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres

PAGE = (ROOT / "docs" / "plugin.md").read_text(encoding="utf-8")


def commands(heading: str) -> list[list[list[str]]]:
    """The arguments of Meltano in each block of commands under a heading of the page."""
    (section,) = re.findall(rf"^## {heading}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```sh$(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    split = [[shlex.split(line) for line in block.strip().split("\n")] for block in blocks]
    assert all(command[0] == "meltano" for block in split for command in block)
    return [[command[1:] for command in block] for block in split]


def plugins(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(project.folder / "meltano.yml")["plugins"]
    return found


def add_target(project: Project) -> None:
    """Copy the loader as the page says."""
    yaml, file = YAML(), project.folder / "meltano.yml"
    content = yaml.load(file)
    (loader,) = YAML(typ="safe").load(ROOT / "meltano.yml")["plugins"]["loaders"]
    loader["pip_url"] = loader["pip_url"].removesuffix(" -c constraints.txt")
    content["plugins"]["loaders"] = [loader]
    yaml.dump(content, file)


@pytest.fixture
def project(tmp_path: Path, sandbox: Sandbox, database: Postgres) -> Project:
    """A project as `meltano init` makes it, to which a wheel stands for the package registry."""
    assert sandbox is server()
    for name in ("clone", "wheels"):
        (tmp_path / name).mkdir()
    build = ("build", "--wheel", "--no-build-isolation", "--python", sys.executable)
    uv(*build, "-o", tmp_path / "wheels", ROOT)
    clone = Project.create(tmp_path / "clone", tmp_path / "meltano.log", sandbox, database)
    registry = {
        "UV_FIND_LINKS": str(tmp_path / "wheels"),
        "UV_CONSTRAINT": str(ROOT / "constraints.txt"),
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "of_a_plugin",
    }
    Project(tmp_path, clone.environment, clone.log).run("init", "own", "--no-usage-stats")
    shutil.copy(plugin.PATH, tmp_path / "own")
    return Project(tmp_path / "own", clone.environment | registry, clone.log)


def test_a_fresh_project_has_all_settings_and_reads_the_default_streams(
    project: Project, sandbox: Sandbox, database: Postgres
) -> None:
    adding, selecting = commands("Add the tap")
    definition = YAML(typ="safe").load(plugin.PATH)

    for command in adding:
        project.run(*command)
    (tap,) = plugins(project)["extractors"]
    assert tap["settings"] == definition["settings"]
    assert tap["select"] == definition["select"]

    add_target(project)
    ((install, run),) = commands("Add a target")
    project.run(*install)
    project.run(*run)
    tables = query(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'of_a_plugin'")
    assert {row["tablename"] for row in tables} == {*DEFAULT}
    assert interviews(database, "of_a_plugin") == rows(sandbox.interviews())

    for command in selecting:
        project.run(*command)
    (tap,) = plugins(project)["extractors"]
    assert tap["select"] == [*definition["select"], "offers.*", "!candidates.phones"]

    ((add, _),) = commands("Update the tap")
    project.run(*add)
    (updated,) = plugins(project)["extractors"]
    assert updated == tap
