"""A fork of a program that is kept ready does what the started program does."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import TAP, forked, program, started

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.control import Sandbox
    from tests.harness import Tap

ENDS = {
    "a run": {},
    "an account fails": {"fail": True},
    "the log tells all": {"env": {"LOGLEVEL": "DEBUG"}},
    "a setting is wrong": {"page_size": "many"},
    "BATCH files cannot be written": {
        "batch_config": {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": "file:///dev/null/none"},
        }
    },
}


def without_numbers(log: str) -> str:
    """Leave out times, ports and process ids, and which accounts were slowest."""
    log = re.sub(r'Slowest accounts: .*|"slowest": \[.*?\]', "", log)
    return re.sub(r" +", " ", re.sub(r"\d[\d,.:]*(e-\d+)?", "0", log))


def without_moments(output: str) -> str:
    """Leave out when rows were read."""
    return re.sub(r'"(time_extracted|whole_read_at|read_at)":"[^"]+"', r'"\1":""', output)


@pytest.mark.parametrize("case", ENDS.values(), ids=ENDS)
def test_a_run_writes_and_logs_the_same(tap: Tap, sandbox: Sandbox, case: dict[str, Any]) -> None:
    settings = {name: value for name, value in case.items() if name != "fail"}

    def run(one: Tap) -> tuple[int, str, str]:
        sandbox.reset(interviews=8, candidates=3, rate_limits=False)
        if "fail" in case:
            sandbox.fault(path="/unified", status=403, times=2)
        found = one(max_concurrency=1, **settings)
        return found.code, without_moments(found.stdout), without_numbers(found.stderr)

    assert run(tap) == run(replace(tap, run=started))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["--about"],
        ["--about", "--format", "json"],
        ["--discover"],
        ["--no-such-option"],
        ["--config", "no-such-file.json"],
        ["--config", "ENV"],
        [],
    ],
    ids=" ".join,
)
def test_the_command_line_prints_the_same(arguments: list[str], tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "COLUMNS": "60", "TZ": "Asia/Tokyo"}
    (tmp_path / ".env").write_text("TAP_TRUTO_ATS_PAGE_SIZE=many")
    found, expected = (
        (code, output, without_numbers(log))
        for code, output, log in (
            way([TAP, *arguments], env, tmp_path) for way in (forked, started)
        )
    )
    assert found == expected


def test_a_run_knows_nothing_of_the_one_before() -> None:
    bare = {"PATH": os.environ["PATH"]}
    before = forked([TAP, "--config", "ENV"], bare)
    page = "TAP_TRUTO_ATS_PAGE_SIZE"
    assert page in forked([TAP, "--config", "ENV"], bare | {page: "many"})[2]
    after = forked([TAP, "--config", "ENV"], bare)
    assert without_numbers(after[2]) == without_numbers(before[2])
    assert page not in after[2]


def test_a_run_can_be_killed(tap: Tap, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fault(path="/unified", kind="delay", seconds=120)
    command = tap.command(tmp_path, config=tap.config(), catalog=tap.catalog())
    process = program().start(*command[1:])
    process.signal(signal.SIGKILL)
    assert process.wait()[0] == -signal.SIGKILL
    assert forked([TAP, "--version"])[0] == 0
