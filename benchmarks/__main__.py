"""`python -m benchmarks`: measure, print tables, and leave JSON and a chart in `output/`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.cases import CASES, PEERS
from benchmarks.results import Result
from benchmarks.stage import ENVIRONMENTS, HERE, Reading, Stage
from sandbox.environments import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from benchmarks.cases import Case

OUTPUT = ROOT / "output"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the chosen cases, one after another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [case.name for case in CASES]
    parser.add_argument("--case", action="append", choices=names, help="by default all")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--peer", action="append", choices=PEERS, help="by default all")
    parser.add_argument("--no-peers", action="store_true", help="the tap alone")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    given = parser.parse_args(arguments)
    peers = set() if given.no_peers else set(given.peer or PEERS)
    cases = [case for case in CASES if case.name in (given.case or names)]
    if given.quick:
        cases = [case.quick() for case in cases]
        print("A tenth of the rows: start-up takes most of the time, nothing is judged.\n")
    results = []
    with Stage(OUTPUT / "benchmark.log") as stage:
        for case in cases:
            results.append(play(case, stage, given.rounds, set(PEERS) - peers))
            print(f"\n{results[-1].as_text()}\n", flush=True)
    write(results, given.rounds)


def play(case: Case, stage: Stage, rounds: int, absent: Collection[str] = ()) -> Result:
    """Let the runs of a case take turns; `absent` are peers that take no part."""
    result = Result(case)
    runs = {name: run for name, run in case.runs.items() if run.reader not in absent}
    for reader in {run.reader for run in runs.values() if isinstance(run, Reading)}:
        stage.try_out(reader)
    for number in range(rounds):
        for name, run in runs.items():
            if number == 0 or not run.once:
                print(f"{case.name}, round {number + 1}: {name}", file=sys.stderr, flush=True)
                result.add(name, run.measure(stage))
        result.subtract()
    return result


def write(results: Sequence[Result], rounds: int) -> None:
    """Leave what was measured as JSON, and as a chart made from that."""
    data = OUTPUT / "benchmark.json"
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    content: dict[str, Any] = {
        "machine": machine,
        "rounds": rounds,
        "cases": [result.as_data() for result in results],
    }
    data.write_text(json.dumps(content, indent=2))
    chart = data.with_suffix(".png")
    python = environment(HERE / "chart.txt", ENVIRONMENTS) / "bin" / "python"
    subprocess.run([python, HERE / "chart.py", data, chart], check=True)  # noqa: S603 - own program
    print(f"{machine}\n{data}\n{chart}")


if __name__ == "__main__":
    main()
