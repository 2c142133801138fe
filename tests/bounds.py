"""Whether the version bounds in pyproject.toml are true: `python -m tests.bounds` (`make bounds`).

The wheel is built, and installed twice for the Python that runs this: with the lowest versions of
its dependencies that pyproject.toml allows, and with the newest. Each of the two installed taps
has to discover, and to sync every stream from the sandbox, with the same result as the tap in
`.venv`, whose versions are those of constraints.txt.

It is a command of its own, and no test, since its outcome depends on what is the newest today:
`make test` says the same of a commit on any day.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from difflib import unified_diff
from importlib.metadata import distributions
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from sandbox.catalogs import select
from sandbox.environments import ROOT, uv
from tests.harness import Tap, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sandbox.control import Sandbox

PACKAGE = "tap-truto-ats"
LOWEST = "lowest"
RESOLUTIONS = {LOWEST: "lowest-direct", "newest": "highest"}
"""What uv calls the two ways to choose versions."""

WARNINGS = "always,ignore:Python 3.:FutureWarning"
"""Has Python show all warnings, but for the SDK's that support for this Python will end."""

OF_RUN = ("run_started_at", "started_at", "ended_at", "waited_seconds")
"""Columns of `account_syncs` that differ from run to run."""

MOST_LINES = 20
"""How much of a difference or of a log is shown."""


@dataclass(frozen=True)
class Dependency:
    """Something that the package asks for, and the version of it that was installed."""

    requirement: Requirement
    version: Version

    def __str__(self) -> str:
        return f"{self.requirement.name} {self.version}"

    @property
    def bound(self) -> Version:
        """The lowest version that is asked for."""
        (bound,) = (one.version for one in self.requirement.specifier if one.operator == ">=")
        return Version(bound)


@dataclass(frozen=True)
class Output:
    """What a tap wrote, as lines to compare: in order, since that of messages differs by run."""

    catalog: list[str]
    schemas: list[str]
    records: list[str]


def main() -> None:
    """Check both installations; the exit code is 1 if one of them is not as it should be."""
    problems = []
    with tempfile.TemporaryDirectory(prefix="bounds-") as name:
        folder, sandbox = Path(name), whole()
        wheel = build(folder)
        expected = observe(Tap(sandbox), folder)
        for title in RESOLUTIONS:
            try:
                found = list(check(title, wheel, sandbox, expected))
            except RuntimeError as error:
                found = [str(error)]
            problems += [f"{title}: {problem}" for problem in found]
    sys.exit("\n".join(problems) or 0)


def check(title: str, wheel: Path, sandbox: Sandbox, expected: Output) -> Iterator[str]:
    """Install the wheel beside itself and run it; tell of all that is not as it should be."""
    place = wheel.with_name(title)
    install(wheel, RESOLUTIONS[title], place)
    installed = dependencies(place)
    found = observe(Tap(sandbox, str(place / "bin" / PACKAGE)), wheel.parent)
    print(
        f"{title}: {', '.join(map(str, installed))}; compared with .venv's tap:"
        f" the catalog, {len(found.schemas)} schemas, {len(found.records)} records",
        flush=True,
    )
    yield from differences(expected, found)
    if title == LOWEST:
        yield from untrue_bounds(installed)


def build(folder: Path) -> Path:
    """Build the wheel into a folder."""
    uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, resolution: str, place: Path) -> None:
    """Install the wheel into a new environment."""
    uv("venv", "--python", sys.executable, place)
    # What a wheel depends on is indirect for uv, and only direct dependencies are to be lowest:
    # pyproject.toml, given beside the wheel, makes them direct.
    files = ("--requirements", ROOT / "pyproject.toml", wheel)
    uv("pip", "install", "--python", place, "--resolution", resolution, *files)


def dependencies(place: Path) -> list[Dependency]:
    """Return what the package asks for in an environment, with what is there."""
    (site,) = place.glob("lib/python*/site-packages")
    installed = {canonicalize_name(one.name): one for one in distributions(path=[str(site)])}
    requirements = map(Requirement, installed[canonicalize_name(PACKAGE)].requires or ())
    return [
        Dependency(one, Version(installed[canonicalize_name(one.name)].version))
        for one in requirements
        if one.marker is None or one.marker.evaluate({"extra": ""})
    ]


def untrue_bounds(installed: Iterable[Dependency]) -> Iterator[str]:
    """Tell of lower bounds that promise a version which cannot be installed."""
    for one in installed:
        if one.version != one.bound:
            name = one.requirement.name
            yield f"{name} {one.bound} cannot be installed: the lowest that can is {one.version}"


def observe(tap: Tap, folder: Path) -> Output:
    """Have a tap discover, and sync all that it discovered."""
    config = tap.config(include_eeocs=True)
    catalog = call(tap.command(folder, "--discover", config=config))
    streams = [entry["tap_stream_id"] for entry in json.loads(catalog)["streams"]]
    output = call(tap.command(folder, config=config, catalog=select(catalog, *streams)))
    lines: dict[str, list[str]] = {"SCHEMA": [], "RECORD": [], "STATE": []}
    for line in output.split("\n")[:-1]:
        message = json.loads(line)
        message.pop("time_extracted", None)
        for name in OF_RUN:
            message.get("record", {}).pop(name, None)
        lines[message["type"]].append(json.dumps(message, sort_keys=True))
    return Output(catalog.split("\n"), sorted(lines["SCHEMA"]), sorted(lines["RECORD"]))


def call(command: Sequence[str]) -> str:
    """Run a tap and return its output.

    Raises:
        RuntimeError: It failed, or showed a warning or a traceback.
    """
    environment = {**os.environ, "PYTHONWARNINGS": WARNINGS}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode or re.search("Traceback|Warning:", done.stderr):
        told = [line for line in done.stderr.splitlines() if "| INFO " not in line]
        message = "\n".join([f"exit code {done.returncode}: {command}", *told[-MOST_LINES:]])
        raise RuntimeError(message)
    return done.stdout


def differences(expected: Output, found: Output) -> Iterator[str]:
    """Show where two outputs differ, and no more than the first lines of it."""
    for part in ("catalog", "schemas", "records"):
        sides = getattr(expected, part), getattr(found, part)
        lines = list(islice(unified_diff(*sides, n=0, lineterm=""), 2, MOST_LINES))
        if lines:
            yield "\n".join([f"the {part} differ from those of .venv's tap (-)", *lines])


if __name__ == "__main__":
    main()
