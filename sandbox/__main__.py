"""`python -m sandbox`: serve until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING

from sandbox.control import TOKEN
from sandbox.providers import SYSTEMS
from sandbox.server import LOOPBACK, listen, make_server
from sandbox.world import ALL, INTERVIEWING, Options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sandbox in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A local Truto.")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=8787)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--accounts-per-provider", type=int, default=1, metavar="N")
    parser.add_argument("--interviews", type=int, default=200, metavar="N", help="per account")
    parser.add_argument("--candidates", type=int, default=12, metavar="N", help="per account")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="per account")
    parser.add_argument(
        "--providers",
        nargs="+",
        default=INTERVIEWING,
        choices=[*SYSTEMS, ALL],
        metavar="NAME",
        help=f"{', '.join(SYSTEMS)}, or {ALL}",
    )
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--no-rate-limits", action="store_true")
    given = parser.parse_args(arguments)
    options = Options(
        seed=given.seed,
        accounts_per_provider=given.accounts_per_provider,
        interviews=given.interviews,
        candidates=given.candidates,
        jobs=given.jobs,
        providers=given.providers,
        rate_limits=not given.no_rate_limits,
    )
    # The server ends cleanly on both signals and then raises them again.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _leave)
    try:
        listener, url = listen(given.host, given.port)
    except OSError as error:
        sys.exit(f"cannot listen: {error.strerror}")
    print(f"Sandbox: api_url {url}, api_token {given.token}", flush=True)
    print("Ctrl-C ends it; its own endpoints are under /sandbox/.", flush=True)
    make_server(options, given.token).run([listener])


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
