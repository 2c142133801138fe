"""What is shipped: a source archive, and a wheel that asks for what the package imports."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from ruamel.yaml import YAML

from tests.release import tracked, unlike

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

ROOT = Path(__file__).parent.parent
OTHER_NAMES = {
    "backoff": "python-backoff",
    "backports": "backports-datetime-fromisoformat",
    "dateutil": "python-dateutil",
}
"""Packages that are not called like their module."""
PACKAGE = ROOT / "tap_truto_ats"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source archive and the wheel made of it, built without network from what git tracks."""
    if not (ROOT / ".git").exists():
        pytest.skip("only a clone tells what belongs into the source archive")
    copy = tmp_path_factory.mktemp("build")
    for name in tracked():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist"]
    subprocess.run(command, cwd=copy, check=True, capture_output=True, timeout=120)
    return copy / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Iterator[zipfile.ZipFile]:
    (built,) = dist.glob("*.whl")
    with zipfile.ZipFile(built) as file:
        yield file


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


@cache
def imported() -> dict[str, set[str]]:
    """The modules that the package imports, outermost names, with the files that do."""
    found: dict[str, set[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                found.setdefault(name.split(".")[0], set()).add(file.name)
    return found


def required(metadata: Message) -> dict[str, Requirement]:
    """What an installation without extras asks for."""
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    return {one.name: one for one in requirements if "extra" not in str(one.marker or "")}


def test_the_archives_hold_what_they_should_and_nothing_else(dist: Path) -> None:
    assert list(unlike(dist, tracked())) == []


def test_what_an_archive_lacks_or_should_not_hold_is_named(dist: Path) -> None:
    files = tracked() - {"Makefile", "tap_truto_ats/tap.py"} | {"tap_truto_ats/new.py"}
    (wheel,) = dist.glob("*.whl")
    assert list(unlike(dist, files))[2:] == [
        f"{wheel.name} lacks tap_truto_ats/new.py",
        f"{wheel.name} should not hold tap_truto_ats/tap.py",
    ]
    sdist = f"{wheel.name.removesuffix('-py3-none-any.whl')}.tar.gz"
    assert list(unlike(dist, files))[:2] == [
        f"{sdist} lacks tap_truto_ats/new.py",
        f"{sdist} should not hold Makefile, tap_truto_ats/tap.py",
    ]


@pytest.mark.parametrize(
    "name", ["py.typed", "model/schemas/interviews.json", "model/schemas/integrated_accounts.json"]
)
def test_the_wheel_holds_what_is_not_python(wheel: zipfile.ZipFile, name: str) -> None:
    assert f"tap_truto_ats/{name}" in wheel.namelist()


def test_the_wheel_holds_the_commands(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    entry_points = wheel.read(name).decode().split("\n")
    assert "tap-truto-ats = tap_truto_ats.tap:TapTrutoAts.cli" in entry_points
    assert "tap-truto-ats-sql = tap_truto_ats.warehouse:cli" in entry_points


def test_it_asks_for_what_the_package_imports(metadata: Message) -> None:
    modules = imported().keys() - set(sys.stdlib_module_names) - {"tap_truto_ats"}
    needed = {OTHER_NAMES.get(module, module.replace("_", "-")) for module in modules}
    asked_for = set(required(metadata))
    assert needed == asked_for


def test_the_abandoned_backoff_is_not_asked_for(metadata: Message) -> None:
    assert "python-backoff" in required(metadata)
    assert "backoff" not in required(metadata)


def test_the_sdk_is_pinned_to_the_minor_version_whose_private_parts_are_used(
    metadata: Message,
) -> None:
    specifier = required(metadata)["singer-sdk"].specifier
    assert "0.54.9" in specifier
    assert "0.55.0" not in specifier
    assert "0.53.9" not in specifier


def test_it_says_what_it_is(metadata: Message) -> None:
    assert metadata["Name"] == "tap-truto-ats"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] in {"<3.14,>=3.10", ">=3.10,<3.14"}
    assert str(metadata.get_payload()).strip() == (ROOT / "README.md").read_text("utf-8").strip()


def test_the_changelog_begins_with_the_version(metadata: Message) -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[?([^\s\]]+)\]?", changelog, re.MULTILINE)
    newest = next(heading for heading in headings if heading.lower() != "unreleased")
    assert newest == metadata["Version"]


def test_the_dbt_package_has_the_same_version(metadata: Message) -> None:
    project = (ROOT / "dbt" / "dbt_project.yml").read_text(encoding="utf-8")
    assert f"\nversion: {metadata['Version']}\n" in project


def test_github_tries_each_python_by_commands_of_make(metadata: Message) -> None:
    checks = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "ci.yml")
    runs = checks["jobs"]["make"]["strategy"]["matrix"]["include"]
    named = re.findall(r":: Python :: (3\.\d+)", "\n".join(metadata.get_all("Classifier", [])))
    assert [run["python"] for run in runs if run["target"] == "test"] == named
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {run["target"] for run in runs} <= {*targets}


def test_it_offers_what_stream_maps_and_batch_files_may_need(metadata: Message) -> None:
    extras = {*metadata.get_all("Provides-Extra", [])}
    assert extras >= {"faker", "parquet"}
    asked_for = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    for extra in ("faker", "parquet"):
        (one,) = (one for one in asked_for if str(one.marker) == f'extra == "{extra}"')
        assert (one.name, one.extras) == ("singer-sdk", {extra})


def test_it_says_where_it_runs(metadata: Message) -> None:
    assert "Operating System :: POSIX" in metadata.get_all("Classifier", [])
