"""Whether what is in `dist/` can be released: `python -m tests.release` (`make check-release`).

The source archive has to hold what git tracks, and the wheel what the package needs. The wheel is
installed with the versions of constraints.txt. There, each of its commands has to start, and the
tap has to discover, and to sync every stream from the sandbox, with the same result as the tap in
`.venv`, which runs from the clone. A tag, if one is given, has to be that of the version.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib.metadata import distributions
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from sandbox.environments import ROOT, uv
from tests.bounds import PACKAGE, call, differences, observe
from tests.harness import Tap, whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

DIST = ROOT / "dist"
ABOUT = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
"""What a wheel holds about itself."""


def main() -> None:
    """Check what is in `dist/`; the exit code is 1 if something is not as it should be."""
    problems = [*unlike(DIST, tracked())]
    (wheel,) = DIST.glob("*.whl")
    version = f"v{parse_wheel_filename(wheel.name)[1]}"
    problems += [f"the tag is {tag}, and not {version}" for tag in sys.argv[1:] if tag != version]
    try:
        problems += run(wheel)
    except RuntimeError as error:
        problems.append(str(error))
    sys.exit("\n".join(problems) or 0)


def tracked() -> set[str]:
    """Return the files that git tracks."""
    command = ["git", "ls-files", "-z"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {*done.stdout.split("\0")} - {""}


def unlike(folder: Path, files: Collection[str]) -> Iterator[str]:
    """Tell what the archives in a folder lack, or hold beside what they should."""
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    with tarfile.open(sdist) as tar:
        archived = {"/".join(PurePath(one.name).parts[1:]) for one in tar if one.isfile()}
    yield from _unequal(sdist.name, archived, {*files, "PKG-INFO"})
    about = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    package = {name for name in files if name.startswith("tap_truto_ats/")}
    with zipfile.ZipFile(wheel) as file:
        zipped = {*file.namelist()}
    yield from _unequal(wheel.name, zipped, package | {f"{about}/{name}" for name in ABOUT})


def _unequal(archive: str, held: set[str], wanted: set[str]) -> Iterator[str]:
    for words, names in (("lacks", wanted - held), ("should not hold", held - wanted)):
        if names:
            yield f"{archive} {words} {', '.join(sorted(names))}"


def run(wheel: Path) -> Iterator[str]:
    """Install the wheel and run it beside the tap in `.venv`; tell where the two differ."""
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        folder, sandbox = Path(name), whole()
        place = folder / "installed"
        uv("venv", "--python", sys.executable, place)
        uv("pip", "install", "--python", place, "--constraints", ROOT / "constraints.txt", wheel)
        (site,) = place.glob("lib/python*/site-packages")
        (installed,) = distributions(name=PACKAGE, path=[str(site)])
        commands = [one.name for one in installed.entry_points.select(group="console_scripts")]
        for command in commands:
            call([str(place / "bin" / command), "--help"])
        found = observe(Tap(sandbox, str(place / "bin" / PACKAGE)), folder)
        print(
            f"{wheel.name}: {', '.join(commands)} start; compared with .venv's tap:"
            f" the catalog, {len(found.schemas)} schemas, {len(found.records)} records",
            flush=True,
        )
        yield from differences(observe(Tap(sandbox), folder), found)


if __name__ == "__main__":
    main()
