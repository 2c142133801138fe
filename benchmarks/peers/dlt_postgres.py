"""dlt's declarative REST source, merged into Postgres: all accounts, asked for one by one."""

from __future__ import annotations

import sys

import dlt
from dlt.destinations import postgres
from dlt.sources.rest_api import rest_api_source


def main(url: str, database: str, schema: str, page_size: str) -> None:
    """Merge every interview into the table `interviews` of the schema."""
    source = rest_api_source(
        {
            "client": {
                "base_url": url,
                "auth": {"type": "bearer", "token": "sandbox-token"},
                "paginator": {
                    "type": "cursor",
                    "cursor_path": "next_cursor",
                    "cursor_param": "next_cursor",
                },
            },
            "resource_defaults": {"write_disposition": "merge", "parallelized": True},
            "resources": [
                {
                    "name": "accounts",
                    "primary_key": "id",
                    "endpoint": {
                        "path": "/integrated-account",
                        "params": {"limit": page_size},
                        "data_selector": "result",
                    },
                },
                {
                    "name": "interviews",
                    "primary_key": ["_accounts_id", "id"],
                    "include_from_parent": ["id"],
                    "endpoint": {
                        "path": "/unified/ats/interviews",
                        "params": {
                            "integrated_account_id": "{resources.accounts.id}",
                            "limit": page_size,
                        },
                        "data_selector": "result",
                    },
                },
            ],
        },
        max_table_nesting=0,
    )
    pipeline = dlt.pipeline(
        schema, pipelines_dir=f"{schema}.dlt", destination=postgres(database), dataset_name=schema
    )
    pipeline.run(source)


if __name__ == "__main__":
    main(*sys.argv[1:])
