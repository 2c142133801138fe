"""`python -m documentation.screens`: run the tap and the demo, and write what they show into pages.

It takes about two minutes. Account ids are the same each time; times and numbers of requests are
those of the run.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from documentation.blocks import ROOT, fenced, write
from sandbox.server import serve
from sandbox.world import Options

if TYPE_CHECKING:
    from sandbox.control import Sandbox

SCREENS = ("check", "progress", "report", "demo")
"""The blocks that this program writes."""

WORLD = Options(
    providers=("ashby", "fountain", "greenhouse", "pinpoint"),
    accounts_per_provider=2,
    interviews=300,
    candidates=150,
)
TAP = Path(sys.executable).with_name("tap-truto-ats")
FORBIDDEN = {"forbidden_error": {"value": {"missing_scopes": ["jobs:read"]}}}
SHOWN = 3
"""How many of the progress lines are shown: so many at equal distances."""

WIDTH = 100
"""How wide the terminal is."""


def main() -> None:
    """Write all screens."""
    demo = subprocess.run(
        [sys.executable, "-m", "sandbox.demo"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    screens = {"check": _check(), **_run(), "demo": demo.stdout.decode()}
    write({name: fenced("text", screens[name]) for name in SCREENS})


def _check() -> str:
    """Test the settings, and show the lines of accounts of two providers: always the same ones."""
    with serve(WORLD) as sandbox:
        lines = _on_terminal(sandbox, "--test")
    found = (min(one for one in lines if f" ({name}): " in one) for name in ("ashby", "fountain"))
    return "\n".join(map(_wrapped, found))


def _run() -> dict[str, str]:
    """Read accounts of which one is refused and one is not active; show progress and report."""
    with serve(WORLD) as sandbox:
        accounts = {one["integration"]["name"]: one["id"] for one in sandbox.accounts()}
        sandbox.account(accounts["pinpoint"], status="needs_reauth")
        sandbox.fault(
            path="/unified/ats/jobs",
            integrated_account_id=accounts["greenhouse"],
            status=403,
            remote=True,
            insight=FORBIDDEN,
            times=None,
        )
        lines = _on_terminal(sandbox)
    progress = [one for one in lines if " accounts done, " in one]
    step = max(len(progress) // SHOWN, 1)
    begin, end = (
        next(index for index, line in enumerate(lines) if line.startswith(words))
        for words in ("Accounts: ", "REPORT: ")
    )
    return {
        "progress": "\n".join(progress[step // 2 :: step][:SHOWN]),
        "report": "\n".join(map(_wrapped, lines[begin:end])),
    }


def _on_terminal(sandbox: Sandbox, *arguments: str) -> list[str]:
    """Run the tap and return the lines that its terminal shows, without times and levels."""
    settings = {"API_URL": sandbox.url, "API_TOKEN": sandbox.token}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(  # noqa: S603 - the project's own command
            [TAP, "--config", "ENV", *arguments],
            env=os.environ | {f"TAP_TRUTO_ATS_{name}": value for name, value in settings.items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # On Linux, the end of the other side is an error.
            while chunk := terminal.read(65_536):
                seen += chunk
        process.wait()
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", seen.decode()))
    return [re.sub(r"^\d{4}-.*? \| \w+ +\| \S+ +\| ", "", line).rstrip() for line in lines]


def _wrapped(line: str) -> str:
    """Continue a long line below, as a terminal does."""
    return textwrap.fill(line, WIDTH, subsequent_indent="    ")


if __name__ == "__main__":
    main()
