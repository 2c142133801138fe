"""Loads all applicant tracking systems that are connected through Truto, many accounts at a time.

Each DAG is about one API token, and shares its accounts out to 64 buckets. A bucket is a run of
Meltano with a state of its own; Airflow decides where it runs, when, and whether it is tried again.
More machines let more buckets run at once; which accounts a bucket has never changes.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import BaseHook, dag, task

if TYPE_CHECKING:
    from airflow.sdk import DAG, DagRunProtocol

SCHEDULE = os.environ.get("TRUTO_SCHEDULE", "@hourly") or None

SCHEMAS = {"tap-truto-ats": "truto_ats"}
"""By extractor of the Meltano project: the schema to load into. An extractor has one API token."""

LOADER = "target-postgres"

PROJECT = os.environ.get("MELTANO_PROJECT_ROOT", "/opt/meltano")
"""The folder of the Meltano project, on each machine that runs tasks."""

WAREHOUSE = "warehouse"
"""Airflow's connection to the database that is loaded into."""

BUCKETS = int(os.environ.get("TRUTO_BUCKETS", "64"))
"""Before this changes, `tap-truto-ats-reshard` has to share the states out anew."""

PARALLEL_RUNS = int(os.environ.get("TRUTO_PARALLEL_RUNS", "2"))
"""How many buckets run at once: as many as the machines have cores for."""

RETRY_DELAY = timedelta(seconds=int(os.environ.get("TRUTO_RETRY_SECONDS", "60")))

NO_ACCOUNTS = {"shard_count": 10**18, "shard_index": 0}
"""A shard so small that no account is in it: its run creates the tables, and loads nothing."""

# A run that was killed leaves a mark, for which Meltano refuses to run for five minutes. Airflow
# makes sure that a bucket has one run at a time, so that its next try may pass over the mark.
RUN = f"""
exec meltano el "$EXTRACTOR" {LOADER} --state-id "$STATE_ID" \
    {{{{ "--force" if ti.try_number > 1 else "" }}}}
"""

CLOCKS_DIFFER = timedelta(minutes=1)
"""How far the clocks of the machines may be apart."""

FAILED = """
SELECT integrated_account_id, integration_name, stream, error
FROM (
  SELECT *, ROW_NUMBER() OVER (
    PARTITION BY integrated_account_id, stream ORDER BY run_started_at DESC
  ) AS place
  FROM "{schema}".account_syncs
  WHERE run_started_at >= %s AND status <> 'skipped'
) AS syncs
WHERE place = 1 AND status = 'failed'
ORDER BY integrated_account_id, stream
"""
"""What the last try to read each account came to, if it failed. Truto may show an account as one
that its customer must reconnect once it has failed: then, another try skips it."""


def environment(extractor: str, schema: str, state: str, **own: object) -> dict[str, str]:
    """Return the environment of a run of Meltano; `own` are settings of the extractor."""
    return {
        "EXTRACTOR": extractor,
        "STATE_ID": f"{extractor}-{state}",
        f"{LOADER}_default_target_schema".replace("-", "_").upper(): schema,
        **{
            f"{extractor}_{name}".replace("-", "_").upper(): str(value)
            for name, value in own.items()
        },
    }


def bucket(extractor: str, schema: str, index: int) -> dict[str, str]:
    """Return the environment of the run of a bucket."""
    return environment(
        extractor,
        schema,
        f"{index}-of-{BUCKETS}",
        shard_count=BUCKETS,
        shard_index=index,
        parallel_runs=PARALLEL_RUNS,
        # To try again would not help an account that waits for its customer.
        fail_on_account_error=False,
    )


def load(extractor: str, schema: str) -> DAG:
    """Make the DAG of an extractor."""

    @dag(
        dag_id=extractor,
        schedule=SCHEDULE,
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=1,
        max_active_tasks=PARALLEL_RUNS,  # Airflow runs 16 tasks of a DAG at the most otherwise.
        default_args={"retries": 4, "retry_delay": RETRY_DELAY},
        doc_md=__doc__,
    )
    def pipeline() -> None:
        # Targets that create the same tables at the same time fail.
        create_tables = BashOperator(
            task_id="create_tables",
            bash_command=RUN,
            env=environment(extractor, schema, "tables", **NO_ACCOUNTS),
            append_env=True,
            cwd=PROJECT,
        )
        load_bucket = BashOperator.partial(
            task_id="load_bucket",
            bash_command=RUN,
            append_env=True,
            cwd=PROJECT,
            max_active_tis_per_dag=PARALLEL_RUNS,
        ).expand(env=[bucket(extractor, schema, index) for index in range(BUCKETS)])

        @task(trigger_rule="all_done", retries=0)
        def check_accounts(dag_run: DagRunProtocol) -> None:
            """Fail with the names of the accounts that could not be read, whatever the buckets."""
            # Not its start date, which changes when tasks are cleared.
            since = dag_run.run_after - CLOCKS_DIFFER
            failed = BaseHook.get_hook(WAREHOUSE).get_records(FAILED.format(schema=schema), [since])
            if failed:
                lines = "\n".join(" | ".join(map(str, row)) for row in failed)
                message = f"{len(failed)} syncs of accounts failed:\n{lines}"
                raise RuntimeError(message)

        # Without it, the run would count as a success once the accounts are checked.
        all_buckets_loaded = EmptyOperator(task_id="all_buckets_loaded")
        create_tables >> load_bucket >> [check_accounts(), all_buckets_loaded]

    return pipeline()


for name, schema in SCHEMAS.items():
    load(name, schema)
