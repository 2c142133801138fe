"""dlt's declarative REST source, its rows written as they come: extraction only."""

from __future__ import annotations

import sys

import orjson
from dlt.sources.rest_api import rest_api_resources


def main(url: str, accounts: str, page_size: str, _workers: str) -> None:
    """Write every interview as a RECORD message."""
    for account in accounts.split(","):
        (interviews,) = rest_api_resources(
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
                "resources": [
                    {
                        "name": "interviews",
                        "primary_key": "id",
                        "endpoint": {
                            "path": "/unified/ats/interviews",
                            "params": {"integrated_account_id": account, "limit": page_size},
                            "data_selector": "result",
                        },
                    }
                ],
            }
        )
        for row in interviews:
            message = {"type": "RECORD", "stream": "interviews", "record": row}
            sys.stdout.buffer.write(orjson.dumps(message) + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
