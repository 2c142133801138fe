"""Targets that the tests load into, each in a virtual environment of its own."""

from __future__ import annotations

import re
from pathlib import Path

from sandbox.environments import ROOT, environment

TARGETS = Path(__file__).parent / "targets"
PLUGINS = ROOT / ".venv" / "plugins"
PUBLISHERS = ("meltanolabs-", "pipelinewise-", "z3-")


def executable(name: str) -> Path:
    """Return the program of the target that `targets/<name>.txt` describes."""
    program = name
    for publisher in PUBLISHERS:
        program = program.removeprefix(publisher)
    return environment(TARGETS / f"{name}.txt", PLUGINS) / "bin" / program


def versions() -> dict[str, dict[str, str]]:
    """Return by target the versions that its file pins."""
    return {
        file.stem: dict(re.findall(r"^([\w-]+)==([^\s;]+)", file.read_text(), re.MULTILINE))
        for file in TARGETS.glob("*.txt")
    }
