"""The placeholders of `.env.example` are named as such, before anything is asked or installed."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from sandbox.meltano import OWN_SETTINGS, ROOT
from tap_truto_ats.settings.checks import PLACEHOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.control import Sandbox
    from tests.harness import Tap

EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
TOKEN = "TAP_TRUTO_ATS_API_TOKEN"
PASSWORD = "TARGET_POSTGRES_PASSWORD"
ADDRESS = "TARGET_POSTGRES_SQLALCHEMY_URL"
NOTHING = ("   ", "''", ' "" ', " # to do", '"" # to do')
"""How a file may give a variable no value."""

OWN = "Set in .env or the environment (.env.example shows how):"
REPLACE = "Replace in .env or the environment the placeholders of .env.example by your own values:"
REAL = {TOKEN: "hush-4242", PASSWORD: "hush-4242"}


def test_the_tap_refuses_the_placeholder_of_the_example(tap: Tap, sandbox: Sandbox) -> None:
    assert f"\n{TOKEN}={PLACEHOLDER}\n" in EXAMPLE
    done = tap(api_token=PLACEHOLDER)
    (line,) = done.errors
    assert done.code == 1
    assert line.startswith("Setting 'api_token' is still the placeholder of .env.example: put in")
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("text", "environment", "lines"),
    [
        (EXAMPLE, {}, [f"{REPLACE} {TOKEN} {PASSWORD}"]),
        (EXAMPLE, {TOKEN: REAL[TOKEN]}, [f"{REPLACE} {PASSWORD}"]),
        (EXAMPLE, REAL, []),
        (EXAMPLE.replace("your-", "hush-"), {TOKEN: ""}, [f"{OWN} {TOKEN}"]),
        (EXAMPLE, {ADDRESS: "postgresql://"}, [f"{REPLACE} {TOKEN}"]),
        (EXAMPLE.replace(PLACEHOLDER, f'"{PLACEHOLDER}"'), {}, [f"{REPLACE} {TOKEN} {PASSWORD}"]),
        (EXAMPLE.replace("your-", "hush-"), {}, []),
        (f"export {TOKEN}=hush-4242", {ADDRESS: "postgresql://"}, []),
        (f"\t{TOKEN} = hush-4242\n'{ADDRESS}' = postgresql://", {}, []),
        (f"{TOKEN}=hush-4242\n{TOKEN}={PLACEHOLDER}", {ADDRESS: "x"}, [f"{REPLACE} {TOKEN}"]),
        (f"{TOKEN}={PLACEHOLDER}\n{TOKEN}=hush-4242", {ADDRESS: "x"}, []),
        *((f"{TOKEN}={none}", {ADDRESS: "x"}, [f"{OWN} {TOKEN}"]) for none in NOTHING),
        ("", {ADDRESS: "x", TOKEN: "  "}, [f"{OWN} {TOKEN}"]),
        ("", {ADDRESS: "x", TOKEN: "#4242"}, []),
        (EXAMPLE.replace(f"# {ADDRESS}", ADDRESS), REAL, [f"{REPLACE} {ADDRESS}"]),
        (
            f"{TOKEN}={PLACEHOLDER}\nTARGET_POSTGRES_HOST=localhost\n",
            {},
            [
                f"{OWN} TARGET_POSTGRES_USER {PASSWORD} TARGET_POSTGRES_DATABASE",
                f"{REPLACE} {TOKEN}",
            ],
        ),
    ],
    ids=[
        *("the example", "a token", "both", "an empty token", "an address", "in quotes"),
        *("edited", "exported", "blanks and a quoted name", "the last counts", "it is real"),
        *(f"nothing: {none}" for none in NOTHING),
        *("blank", "a hash", "an address of the example", "some missing"),
    ],
)
def test_make_run_names_what_is_missing_or_a_placeholder(
    tmp_path: Path, text: str, environment: dict[str, str], lines: list[str]
) -> None:
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN_SETTINGS)}
    done = subprocess.run(
        ["make", "--no-print-directory", "-f", ROOT / "Makefile", "check-settings"],
        cwd=tmp_path,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == lines
    assert (done.returncode == 0) is (lines == [])
