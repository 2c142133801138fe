"""The site: pages are gathered from the clone, and built by zensical, which checks all links."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from documentation.blocks import DOCS, ROOT
from documentation.schemas import STREAMS
from documentation.streams import pages

if TYPE_CHECKING:
    from collections.abc import Iterable

CONFIG = Path(__file__).with_name("zensical.toml")
COPIED = ("iframe-worker.js", "wide.css")
"""The files beside the configuration that pages load."""

PLACES = {
    "README.md": "index.md",
    "dbt/README.md": "models.md",
    "deploy/README.md": "machines.md",
    **{path.name: path.name.lower() for path in ROOT.glob("*.md") if path.name != "README.md"},
    **{f"docs/{path.name}": path.name for path in DOCS.glob("*.md")},
}
"""Where files of the clone stand in the site, by their paths."""

LINK = re.compile(r"(!?\[[^\]]*\])\((?!\w+:)([^)#\s]*)(#[^)\s]*)?\)")
"""A link that leads to no other host: its text, its path and its anchor."""

PAGE = re.compile(r'"([\w/]+\.md)"')
"""A page in the configuration, which names pages in its navigation only."""

DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
STREAM = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
"""A stream's name at the start of a table's line."""


def build(output: Path, *, draws: bool) -> None:
    """Build the site in a folder of its own; end the program if a link leads nowhere.

    What needs no look at the site needs no diagrams either, which take some seconds.
    """
    shutil.rmtree(output, ignore_errors=True)
    folder = output / "docs"
    (folder / "streams").mkdir(parents=True)
    shutil.copy(CONFIG, output)
    for name in COPIED:
        shutil.copy(CONFIG.with_name(name), folder)
    gathered = {place: _gathered(path) for path, place in PLACES.items()}
    texts = gathered | pages()
    check_navigation(PAGE.findall(CONFIG.read_text(encoding="utf-8")), texts)
    for place, text in texts.items():
        shown = with_diagrams(text, folder / place) if draws else text
        (folder / place).write_text(shown, encoding="utf-8")
    zensical = Path(sys.executable).with_name("zensical")
    command = [str(zensical), "build", "--strict", "--config-file", str(output / CONFIG.name)]
    built = subprocess.run(  # noqa: S603 - the project's own command
        command, capture_output=True, text=True, check=False
    )
    if built.returncode:
        told = re.sub(r"\x1b\[[0-9;]*m", "", built.stdout + built.stderr)
        sys.exit(told.split("Traceback")[0])


def check_navigation(listed: Iterable[str], written: Iterable[str]) -> None:
    """End the program if the navigation lacks a page, or leads to one that is not there."""
    if lacking := {*written} - {*listed}:
        sys.exit(f"{CONFIG.name}: the navigation lacks {', '.join(sorted(lacking))}")
    if missing := {*listed} - {*written}:
        sys.exit(f"{CONFIG.name}: the navigation leads nowhere: {', '.join(sorted(missing))}")


def _gathered(path: str) -> str:
    """Read a file of the clone, with links as they have to be in the site."""
    text = (ROOT / path).read_text(encoding="utf-8")
    text = LINK.sub(lambda link: moved(path, *link.groups()), text)
    return STREAM.sub(
        lambda found: (
            f"| [`{found[1]}`](streams/{found[1]}.md) |" if found[1] in STREAMS else found[0]
        ),
        text,
    )


def moved(path: str, text: str, target: str, anchor: str | None) -> str:
    """Return a link of a file as it has to be in the site: to a page, or else only its text."""
    if not target:
        return f"{text}({anchor})"
    wanted = Path(os.path.normpath(Path(path).parent / target))
    if (ROOT / wanted).is_dir():
        wanted /= "README.md"
    if wanted.as_posix() in PLACES:
        return f"{text}({PLACES[wanted.as_posix()]}{anchor or ''})"
    if not (ROOT / wanted).exists():
        sys.exit(f"{path}: the link to {target} leads nowhere")
    return text[1:-1]


def with_diagrams(text: str, page: Path) -> str:
    """Put drawings in the place of diagrams, so that no script has to draw them.

    Each is a link to itself, since a page is narrower than some of them.
    """
    # Costs half a second to import, which a check of links need not pay.
    from mermaidx import render  # noqa: PLC0415

    def drawn(found: re.Match[str]) -> str:
        file = page.with_name(f"{page.stem}-{found.start()}.svg")
        file.write_text(render(found[1]).svg(), encoding="utf-8")
        return f'[![Diagram]({file.name} "Open in full size")]({file.name})'

    return DIAGRAM.sub(drawn, text)
