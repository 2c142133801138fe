"""`make demo`: from the sandbox into Postgres, again after some changes, and into models by dbt."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from sandbox.meltano import ROOT, MeltanoError, Project
from sandbox.postgres import Postgres, postgres
from sandbox.server import serve
from sandbox.tables import query
from sandbox.world import ALL, Options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from sandbox.control import Sandbox

LOG = ROOT / "output" / "demo.log"
LOG_TAIL = 40
WORLD = Options(providers=(ALL,), interviews=300, candidates=40)

QUERY = """
    select accounts.integration_name as provider, interviews.*
    from truto_ats.interviews
    join truto_ats.integrated_accounts as accounts
        on accounts.id = interviews.integrated_account_id
"""

MODELS = {
    "How long candidates wait for their first interview (time_to_first_interview):"
    "\nof each provider that lists interviews, the job with the longest wait": """
        select distinct on (provider)
            provider, job, applications, applications_interviewed as interviewed,
            round(median_days::numeric, 1) as "median days",
            round(longest_days::numeric, 1) as "most days",
            case when is_estimated then 'yes' else 'no' end as estimated
        from truto_ats_models.time_to_first_interview
        where applications_interviewed > 0
        order by provider, median_days desc, job
    """,
    "How far applications get (funnel_by_stage): those of one customer, for all jobs together": """
        select
            stage, sum(applications)::int as applications,
            sum(applications_reached)::int as reached, sum(applications_now)::int as "there now",
            sum(interviews)::int as interviews
        from truto_ats_models.funnel_by_stage
        where provider = 'ashby'
        group by stage, stage_position
        order by stage_position
    """,
    "How many interviews are cancelled (cancellations_by_provider), of those with a status": """
        select
            provider, interviews, interviews_with_status as "with status",
            interviews_cancelled as cancelled,
            round((100 * cancelled_share)::numeric, 1) as "in percent"
        from truto_ats_models.cancellations_by_provider
        order by provider
    """,
}
"""What is shown of the models of `dbt/`, by title."""

LEGEND = """
interviewed: how many applications have an interview that is neither cancelled nor a draft
estimated: the provider does not tell when interviews start, only when they end or were created
reached: how many applications are in the stage or a later one, or were interviewed in one
there now: how many are in the stage and not rejected
interviews, by stage: those that are neither cancelled nor drafts
-: the provider does not tell"""


@dataclass(frozen=True)
class Row:
    """An interview in Postgres: what the tap wrote, and when it was last loaded."""

    provider: str
    updated_at: datetime | None
    loaded_at: datetime
    content: dict[str, Any]


Rows = dict[tuple[str, str], Row]


def main() -> None:
    """Run the demo; a failure shows the end of Meltano's log."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _leave)
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_bytes(b"")
    try:
        _demo()
    except MeltanoError as error:
        tail = LOG.read_text(errors="replace").splitlines()[-LOG_TAIL:]
        sys.exit("\n".join([*tail, "", f"{error}; its whole output is in {LOG}"]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _demo() -> None:
    print(f"{'step':<60}{'seconds':>10}")
    with ExitStack() as stack:
        with _step("start the sandbox and Postgres"):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-")))
            server = stack.enter_context(postgres())
            sandbox = stack.enter_context(serve(WORLD))
            project = Project.create(folder, LOG, sandbox, server)
        with _step("meltano install"):
            project.run("install")
        with _step("meltano run tap-truto-ats target-postgres"):
            project.run("run", "tap-truto-ats", "target-postgres")
        first, first_truth = _rows(server), _truth(sandbox)
        with _step("in each account, add, reschedule and cancel an interview"):
            _change(sandbox)
        with _step("meltano run tap-truto-ats target-postgres"):
            project.run("run", "tap-truto-ats", "target-postgres")
        second, second_truth = _rows(server), _truth(sandbox)
        with _step("meltano run dbt-postgres:build"):
            project.run("run", "dbt-postgres:build")
        models = {title: query(server, sql) for title, sql in MODELS.items()}
    _report("Interviews after the first run, which reads everything", {}, first, first_truth)
    _report("Interviews after the second run, which looks for changes", first, second, second_truth)
    print(
        "\nloaded: how many rows the run wrote into Postgres\n"
        "changed: how many of them are new, or differ from the row that was there\n"
        "Of a provider that gives no updated_at, each run loads all rows. Of the others, it loads\n"
        "the newest row of the run before once more.\n"
        "The second run may wait for ten seconds: requests of the first one still count for the\n"
        "limit of an account."
    )
    for title, rows in models.items():
        print(f"\n{title}")
        lines = [["-" if one is None else str(one) for one in row.values()] for row in rows]
        _print_table([[*rows[0]], *lines])
    print(LEGEND)
    print(f"\nMeltano's own output is in {LOG.relative_to(ROOT)}.")


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Print a step's name when it begins and the seconds that it took when it ends."""
    print(f"{name:<60}", end="", flush=True)
    begin = time.perf_counter()
    try:
        yield
    except BaseException:
        print()
        raise
    print(f"{time.perf_counter() - begin:>10.1f}", flush=True)


def _rows(server: Postgres) -> Rows:
    """Read what is in Postgres, by the primary key."""
    with psycopg.connect(server.uri, row_factory=dict_row) as connection:
        found = connection.execute(QUERY).fetchall()
    return {
        (row["integrated_account_id"], row["id"]): Row(
            row["provider"],
            row["updated_at"],
            row["_sdc_batched_at"],
            {name: value for name, value in row.items() if not name.startswith("_sdc_")},
        )
        for row in found
    }


def _truth(sandbox: Sandbox) -> dict[str, int]:
    """Count the sandbox's interviews by provider, where there are any."""
    providers = {one["id"]: one["integration"]["name"] for one in sandbox.accounts()}
    return Counter(providers[row["integrated_account_id"]] for row in sandbox.interviews())


def _change(sandbox: Sandbox) -> None:
    """Add, reschedule and cancel an interview of each account that has some."""
    start = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    start += timedelta(days=7)
    end = start + timedelta(minutes=45)
    interviews: dict[str, list[str]] = defaultdict(list)
    for row in sandbox.interviews():
        if row["status"] != "cancelled":
            interviews[row["integrated_account_id"]].append(row["id"])
    for account, (rescheduled, cancelled, *_) in interviews.items():
        sandbox.add(account)
        sandbox.change(
            account,
            rescheduled,
            start_at=start.isoformat(),
            end_at=end.isoformat(),
        )
        sandbox.cancel(account, cancelled)


def _report(title: str, before: Rows, after: Rows, truth: dict[str, int]) -> None:
    """Print by provider what a run brought."""
    lines = []
    for provider, expected in sorted(truth.items()):
        rows = {key: row for key, row in after.items() if row.provider == provider}
        old = {key: before[key] for key in rows if key in before}
        same = sum(row.content == rows[key].content for key, row in old.items())
        kept = sum(row.loaded_at == rows[key].loaded_at for key, row in old.items())
        dates = [row.updated_at for row in rows.values() if row.updated_at]
        newest = f"{max(dates):%Y-%m-%d %H:%M:%S}" if dates else "none"
        counts = (expected, len(rows), len(rows) - kept, len(rows) - same)
        lines.append((provider, *map(str, counts), newest))
    heads = ("provider", "in the sandbox", "rows", "loaded", "changed", "newest updated_at")
    print(f"\n{title}")
    _print_table([heads, *lines])


def _print_table(lines: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as they need to be, all but the first aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        print("  ".join((line[0].ljust(widths[0]), *cells)))


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
