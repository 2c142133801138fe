"""Virtual environments for programs that cannot live in `.venv`: targets, and peers of the tap."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parent.parent


def environment(requirements: Path, home: Path) -> Path:
    """Return an environment below `home` that holds what a requirements file lists.

    It is made if it is not there yet. The file lists every package to install, or names a
    constraints file that pins the rest.
    """
    pins = requirements.read_text() + (ROOT / "constraints.txt").read_text() + sys.version
    place = home / f"{requirements.stem}-{hashlib.sha256(pins.encode()).hexdigest()[:16]}"
    home.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Another process may be making it.
        if not place.exists():
            _install(requirements, place)
    return place


def _install(requirements: Path, place: Path) -> None:
    """Make the environment beside its place and move it there, so that it is whole or absent."""
    with tempfile.TemporaryDirectory(dir=place.parent) as directory:
        made = Path(directory) / place.name
        uv("venv", "--relocatable", "--python", sys.executable, made)
        # Given as overrides too, the listed versions replace older ones that a target insists on.
        files = ("--requirements", requirements, "--overrides", requirements)
        uv("pip", "install", "--python", made, *files)
        made.rename(place)


def uv(*arguments: str | Path) -> None:
    """Run uv; `RuntimeError` with what it wrote if it fails."""
    done = subprocess.run(  # noqa: S603 - uv itself
        [find_uv_bin(), *arguments],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        message = f"uv {arguments[0]} failed:\n{done.stdout}"
        raise RuntimeError(message)
