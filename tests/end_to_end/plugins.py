"""Targets that the tests load into, each in a virtual environment of its own."""

from __future__ import annotations

from pathlib import Path

from sandbox.environments import ROOT, environment

TARGETS = Path(__file__).parent / "targets"
PLUGINS = ROOT / ".venv" / "plugins"


def executable(name: str) -> Path:
    """Return the program of the target that `targets/<name>.txt` describes."""
    home = environment(TARGETS / f"{name}.txt", PLUGINS)
    return home / "bin" / name.removeprefix("meltanolabs-").removeprefix("pipelinewise-")
