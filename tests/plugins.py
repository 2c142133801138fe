"""Targets that the tests load into, each in a virtual environment of its own."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parent.parent
TARGETS = Path(__file__).parent / "targets"
PLUGINS = ROOT / ".venv" / "plugins"


def executable(name: str) -> Path:
    """Return the program of the target that `targets/<name>.txt` describes, installed if need be.

    The file lists every package to install, or names a constraints file that pins the rest.
    """
    requirements = TARGETS / f"{name}.txt"
    pins = requirements.read_text() + (ROOT / "constraints.txt").read_text() + sys.version
    home = PLUGINS / f"{name}-{hashlib.sha256(pins.encode()).hexdigest()[:16]}"
    if not home.exists():
        _install(requirements, home)
    return home / "bin" / name.removeprefix("meltanolabs-").removeprefix("pipelinewise-")


def _install(requirements: Path, home: Path) -> None:
    """Make the environment beside its place and move it there, so that it is whole or absent."""
    PLUGINS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLUGINS) as directory:
        made = Path(directory) / home.name
        _uv("venv", "--relocatable", "--python", sys.executable, made)
        # As overrides, the versions take the place of older ones that a target insists on.
        files = ("--requirements", requirements, "--overrides", requirements)
        _uv("pip", "install", "--python", made, *files)
        try:
            made.rename(home)
        except OSError:
            if not home.exists():  # Another process may have been faster.
                raise


def _uv(*arguments: str | Path) -> None:
    """Run the uv that Meltano brings; what it says is shown if it fails."""
    done = subprocess.run(
        [find_uv_bin(), *arguments],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        message = f"uv {arguments[0]} failed:\n{done.stdout}"
        raise RuntimeError(message)
