"""The floor: ask, decode, encode, write; nothing is checked, retried or remembered."""

from __future__ import annotations

import sys

import orjson
import requests


def main(url: str, accounts: str, page_size: str, _workers: str) -> None:
    """Write every interview as a RECORD message."""
    session = requests.Session()
    session.headers["Authorization"] = "Bearer sandbox-token"
    for account in accounts.split(","):
        params = {"integrated_account_id": account, "limit": page_size}
        while True:
            answer = session.get(f"{url}/unified/ats/interviews", params=params, timeout=60)
            body = orjson.loads(answer.content)
            for row in body["result"]:
                message = {"type": "RECORD", "stream": "interviews", "record": row}
                sys.stdout.buffer.write(orjson.dumps(message) + b"\n")
            if not body["next_cursor"]:
                break
            params["next_cursor"] = body["next_cursor"]


if __name__ == "__main__":
    main(*sys.argv[1:])
