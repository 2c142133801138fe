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

# Targets that create the same schema at the same time fail, and so do commands of Meltano that set
# up its system database at the same time: therefore no pipe.
CREATE_TABLES = f"""
set -e
messages=$(mktemp)
trap 'rm "$messages"' EXIT
meltano invoke "$EXTRACTOR" --test=schema > "$messages"
meltano invoke {LOADER} < "$messages"
"""

# A run that was killed leaves a mark, for which Meltano refuses to run for five minutes. Airflow
# makes sure that a bucket has one run at a time, so that its next try may pass over the mark.
LOAD_BUCKET = f"""
exec meltano el "$EXTRACTOR" {LOADER} --state-id "$STATE_ID" \
    {{{{ "--force" if ti.try_number > 1 else "" }}}}
"""

FAILED = """
SELECT integrated_account_id, integration_name, stream, error
FROM (
  SELECT *, ROW_NUMBER() OVER (
    PARTITION BY integrated_account_id, stream ORDER BY run_started_at DESC
  ) AS place
  FROM {schema}.account_syncs
  WHERE run_started_at >= %s AND status <> 'skipped'
) AS syncs
WHERE place = 1 AND status = 'failed'
ORDER BY integrated_account_id, stream
"""
"""What the last try to read each account came to, if it failed. Truto may show an account as one
that its customer must reconnect once it has failed: then, another try skips it."""


def settings(extractor: str, schema: str, **own: object) -> dict[str, str]:
    """Return the environment of a run of Meltano; `own` are settings of the extractor."""
    names = {name: f"{extractor}_{name}".replace("-", "_").upper() for name in own}
    return {
        "EXTRACTOR": extractor,
        f"{LOADER}_default_target_schema".replace("-", "_").upper(): schema,
        **{names[name]: str(value) for name, value in own.items()},
    }


def bucket(extractor: str, schema: str, index: int) -> dict[str, str]:
    """Return the environment of the run of a bucket."""
    return {
        "STATE_ID": f"{extractor}-{index}-of-{BUCKETS}",
        **settings(
            extractor,
            schema,
            shard_count=BUCKETS,
            shard_index=index,
            parallel_runs=PARALLEL_RUNS,
            # To try again would not help an account that waits for its customer.
            fail_on_account_error=False,
        ),
    }


def load(extractor: str, schema: str) -> DAG:
    """Make the DAG of an extractor."""

    @dag(
        dag_id=extractor,
        schedule=SCHEDULE,
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 4, "retry_delay": RETRY_DELAY},
        doc_md=__doc__,
    )
    def pipeline() -> None:
        create_tables = BashOperator(
            task_id="create_tables",
            bash_command=CREATE_TABLES,
            env=settings(extractor, schema),
            append_env=True,
            cwd=PROJECT,
        )
        load_bucket = BashOperator.partial(
            task_id="load_bucket",
            bash_command=LOAD_BUCKET,
            append_env=True,
            cwd=PROJECT,
            max_active_tis_per_dag=PARALLEL_RUNS,
        ).expand(env=[bucket(extractor, schema, index) for index in range(BUCKETS)])

        @task(trigger_rule="all_done", retries=0)
        def check_accounts(dag_run: DagRunProtocol) -> None:
            """Fail with the names of the accounts that could not be read, whatever the buckets."""
            hook = BaseHook.get_hook(WAREHOUSE)
            failed = hook.get_records(FAILED.format(schema=schema), [dag_run.start_date])
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
