"""`make scale`: the sandbox's accounts into Postgres through a real Airflow, with mishaps."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from bisect import bisect_right
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import cycle
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import psutil
from requests import RequestException

from benchmarks.__main__ import OUTPUT, play
from benchmarks.cases import SHARDS
from benchmarks.loading import LOADER
from benchmarks.stage import Stage
from sandbox.airflow import Airflow, AirflowError
from sandbox.limits import WINDOW_SECONDS
from sandbox.meltano import MeltanoError, Project
from sandbox.postgres import postgres
from sandbox.server import serve
from sandbox.tables import interviews, query, rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres

DAG = "tap-truto-ats"
SCHEMA = "truto_ats"
PROVIDERS = ("ashby", "greenhouse", "pinpoint")
STREAMS = ("account_syncs", "integrated_accounts", "interviews")
CHANGED_EVERY = 10
"""Between the two runs, an interview of every tenth account is changed, and one added."""

ROUNDS = 1
LOG = OUTPUT / "scale.log"
RETRY_SECONDS = 5
LOOK_SECONDS = 0.5
GRACE_SECONDS = 10


@dataclass
class Proof:
    """A sandbox, a Postgres and an Airflow between them; each check fails with a line."""

    sandbox: Sandbox
    database: Postgres
    airflow: Airflow
    buckets: int
    begun: float

    def say(self, text: str) -> None:
        """Print a line with the seconds since the beginning."""
        print(f"{time.monotonic() - self.begun:6.0f} s  {text}", flush=True)

    def check(self, text: str, *, holds: bool) -> None:
        """Print what holds; end the run if it does not."""
        if not holds:
            sys.exit(f"It does not hold that {text}. The logs are in {LOG}.")
        self.say(text)

    def load(self, *, killing: bool = False) -> tuple[str, str]:
        """Run the DAG to its end, and return the run's id and state."""
        begin, run = time.monotonic(), self.airflow.trigger(DAG)
        if killing:
            Thread(target=self._kill_bucket, daemon=True).start()
        state = self.airflow.wait(DAG, run)
        self.say(f"the DAG's run {state} after {time.monotonic() - begin:.0f} s")
        return run, state

    def _kill_bucket(self) -> None:
        """Kill the first run of Meltano that has to do with a bucket of the second half."""
        wanted = {f"{DAG}-{n}-of-{self.buckets}" for n in range(self.buckets // 2, self.buckets)}
        while True:
            for process in psutil.process_iter():
                with suppress(psutil.Error):  # It may end meanwhile.
                    parent = process.parent() if "tap-truto-ats" in process.name() else None
                    if parent and (bucket := process.environ().get("STATE_ID")) in wanted:
                        parent.kill()
                        self.say(f"killed the run of {bucket} with SIGKILL")
                        return
            time.sleep(LOOK_SECONDS)

    def compare(self) -> None:
        """Compare the tables with the sandbox."""
        truth = rows(self.sandbox.interviews())
        accounts = {one["id"] for one in self.sandbox.accounts()}
        ids = query(self.database, f"SELECT id FROM {SCHEMA}.integrated_accounts")  # noqa: S608
        self.check(
            f"the tables equal the sandbox: {len(accounts):,} accounts, {len(truth):,} interviews",
            holds=interviews(self.database, SCHEMA) == truth
            and {row["id"] for row in ids} == accounts,
        )

    def change(self) -> None:
        """Change an interview of some accounts, and add one."""
        first = {row["integrated_account_id"]: row["id"] for row in self.sandbox.interviews()}
        for account, interview in [*first.items()][::CHANGED_EVERY]:
            self.sandbox.cancel(account, interview)
            self.sandbox.add(account)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the proof, then measure shards beside one process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--accounts", type=int, default=2_000, metavar="N")
    parser.add_argument("--buckets", type=int, default=64, metavar="N")
    parser.add_argument("--parallel", type=int, default=2, metavar="N", help="buckets at a time")
    parser.add_argument("--no-measurement", action="store_true", help="the proof alone")
    given = parser.parse_args(arguments)
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: sys.exit(1))  # So that what was started ends, too.
    OUTPUT.mkdir(exist_ok=True)
    LOG.write_bytes(b"")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        try:
            started = prove(Path(folder), given.accounts, given.buckets, given.parallel, begun)
        except (AirflowError, MeltanoError, RequestException) as error:
            sys.exit(f"{error}. The logs are in {LOG}.")
        # What Airflow names anew has lost its environment; what is killed leaves orphans.
        orphans = {
            one
            for one in psutil.process_iter()
            if _environment(one).get("MELTANO_PROJECT_ROOT", "").startswith(folder)
        }
        _, left = psutil.wait_procs(orphans.union(started), timeout=GRACE_SECONDS)
        if left:
            sys.exit(f"These processes did not end: {[one.pid for one in left]}")
        print("        all that was started has ended")
    if not given.no_measurement:
        measure()


def prove(
    folder: Path, accounts: int, buckets: int, parallel: int, begun: float
) -> list[psutil.Process]:
    """Load, with a bucket killed and a login refused; change data; load again.

    Returns:
        The processes that were running before all were ended.
    """
    with serve() as sandbox, postgres() as database:
        kinds = [{"provider": name} for name, _ in zip(cycle(PROVIDERS), range(accounts))]
        made = sandbox.reset(accounts=kinds, interviews=3, candidates=2, jobs=1)
        refused = made[accounts // 2]["id"]
        sandbox.fault(
            path="/unified", integrated_account_id=refused, status=401, remote=True, times=None
        )
        (folder / "project").mkdir()
        project = Project.create(folder / "project", LOG, sandbox, database)
        project.run("install")
        airflow = Airflow.create(
            folder / "airflow",
            project,
            database,
            TAP_TRUTO_ATS__SELECT=json.dumps([f"{name}.*" for name in STREAMS]),
            TRUTO_BUCKETS=str(buckets),
            TRUTO_PARALLEL_RUNS=str(parallel),
            TRUTO_RETRY_SECONDS=str(RETRY_SECONDS),
            TRUTO_SCHEDULE="",
        )
        proof = Proof(sandbox, database, airflow, buckets, begun)
        with airflow.running():
            proof.say("Airflow runs: its server, scheduler and DAG processor")
            run, state = proof.load(killing=True)
            named = airflow.task_log(DAG, run, "check_accounts", 1)
            proof.check(
                "the account whose login is refused is named",
                holds=state == "failed" and refused in named,
            )
            tries = Counter(
                one["try_number"]
                for one in airflow.tries(DAG, run)
                if one["task_id"] == "load_bucket" and one["state"] == "success"
            )
            proof.check(
                f"the bucket that was killed was loaded by its second try: {dict(tries)}",
                holds=tries == {1: buckets - 1, 2: 1},
            )
            proof.change()
            sandbox.clear_faults()
            _, state = proof.load()
            proof.check("the second run is a success", holds=state == "success")
            started = psutil.Process().children(recursive=True)
        proof.compare()
        asked = sandbox.requests()
        statuses = Counter(one["status"] for one in asked)
        proof.check(
            f"no request was over a limit: {dict(statuses)}, {busiest(asked)} in 10 s at the most",
            holds=HTTPStatus.TOO_MANY_REQUESTS not in statuses,
        )
        return started


def busiest(asked: Sequence[Mapping[str, Any]]) -> int:
    """Return the most requests that the sandbox saw in the time that its limit goes by."""
    times = sorted(one["at"] for one in asked)
    return max(n - bisect_right(times, at - WINDOW_SECONDS) for n, at in enumerate(times, 1))


def measure() -> None:
    """Load as many rows as keep a target busy for a minute, by shards and by one process."""
    with Stage(OUTPUT / "benchmark.log") as stage:
        case = replace(SHARDS, bounds=SHARDS.bounds[:1])
        result = play(case, stage, ROUNDS, absent=[LOADER])
    print(f"\n{result.as_text()}")
    for name in result.measured:
        wall, count = result.median(name, "wall") or 0, result.median(name, "rows") or 0
        print(f"{name}: {count / wall:,.0f} rows a second")


def _environment(process: psutil.Process) -> dict[str, str]:
    with suppress(psutil.Error):  # It may end meanwhile.
        return process.environ()
    return {}


if __name__ == "__main__":
    main()
