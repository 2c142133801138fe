"""A stand-in for Truto that takes little CPU time: raw HTTP over asyncio, in its own process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl
from urllib.request import urlopen

from benchmarks.world import World, account, page
from sandbox.control import TOKEN
from sandbox.limits import RETRY_AFTER, Limits
from sandbox.postgres import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_LIMIT = 100
LISTING, INTERVIEWS, STATISTICS = "/integrated-account", "/unified/ats/interviews", "/statistics"
AUTHORIZATION = f"authorization: bearer {TOKEN}\r\n".lower().encode()
REASONS = {200: "OK", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass
class Statistics:
    """What a server has seen, not counting requests for these statistics."""

    requests: int = 0
    refused: int = 0
    """Requests answered with 429."""
    rows: int = 0
    """Interviews sent."""
    first: float = 0.0
    """When the first request came, by the server's monotonic clock."""
    last: float = 0.0
    """When the last request came."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str

    def statistics(self) -> Statistics:
        """Ask what it has seen."""
        with urlopen(self.url + STATISTICS, timeout=60) as answer:  # noqa: S310 - loopback
            return Statistics(**json.load(answer))


@contextmanager
def served(world: World) -> Iterator[Server]:
    """Serve from a process of its own for as long as the block; it ends when its pipe closes."""
    process = subprocess.Popen(  # noqa: S603 - this very module
        [sys.executable, "-m", __name__, json.dumps(asdict(world))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            message = "The benchmark's server did not start"
            raise RuntimeError(message)
        yield Server(line.strip())
    finally:
        process.communicate()


class Truto:
    """The endpoints that readers use."""

    def __init__(self, world: World) -> None:
        """Begin with nothing seen."""
        self.world = world
        self.statistics = Statistics()
        self._limits = Limits(enforced=world.limits)

    def answer(self, path: str, query: dict[str, str], *, authorized: bool) -> tuple[int, bytes]:
        """Return status and body of a request that arrives now."""
        if path == STATISTICS:
            return 200, _json(asdict(self.statistics))
        seen, now = self.statistics, time.monotonic()
        seen.first, seen.last = seen.first or now, now
        seen.requests += 1
        number = _number(query.get("integrated_account_id", ""))
        if not authorized:
            return 401, _json({"message": "Invalid or expired API token"})
        if not self._limits.admit(path, TOKEN, query.get("integrated_account_id"), now):
            seen.refused += 1
            return 429, _json({"message": "Too Many Requests"})
        if path == INTERVIEWS and number in range(self.world.accounts):
            return 200, self._interviews(number, query)
        return self._platform(path, query)

    def _interviews(self, number: int, query: dict[str, str]) -> bytes:
        begin, limit = int(query.get("next_cursor") or 0), _limit(query)
        body, count = page(number, begin, limit, self.world.rows)
        self.statistics.rows += count
        return body

    def _platform(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        if path == LISTING:
            return 200, self._accounts(query)
        _, _, rest = path.partition(f"{LISTING}/")
        asked, _, more = rest.partition("/")
        if _number(asked) not in range(self.world.accounts):
            return 404, _json({"message": "Not Found"})
        row = account(_number(asked))
        return 200, _json(_capabilities(row) if more == "capabilities" else row)

    def _accounts(self, query: dict[str, str]) -> bytes:
        begin, limit = int(query.get("next_cursor") or 0), _limit(query)
        numbers = range(self.world.accounts)[begin : begin + limit]
        following = str(begin + limit) if begin + limit < self.world.accounts else None
        rows = [account(number) for number in numbers]
        return _json({"result": rows, "next_cursor": following, "limit": limit})


class Connection(asyncio.Protocol):
    """One client's connection: a GET at a time, kept alive."""

    def __init__(self, truto: Truto) -> None:
        """Answer with what `truto` answers."""
        self._truto = truto
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer a request that is complete, after the world's delay."""
        self._received += data
        if not self._received.endswith(b"\r\n\r\n"):
            return
        head, self._received = self._received, b""
        path, _, query = head.split(b" ", 2)[1].decode().partition("?")
        status, body = self._truto.answer(
            path,
            dict(parse_qsl(query)),
            authorized=AUTHORIZATION in head.lower(),
        )
        more = RETRY_AFTER if status == 429 else {}  # noqa: PLR2004 - a status
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **more}
        lines = [f"HTTP/1.1 {status} {REASONS[status]}", *map(": ".join, headers.items())]
        whole = "\r\n".join([*lines, "", ""]).encode() + body
        if self._truto.world.delay and path != STATISTICS:
            loop = asyncio.get_running_loop()
            loop.call_later(self._truto.world.delay, self._transport.write, whole)
        else:
            self._transport.write(whole)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _number(account_id: str) -> int:
    """Read an account's number from its id; -1 for what is none."""
    try:
        return int(account_id[:8], 16)
    except ValueError:
        return -1


def _limit(query: dict[str, str]) -> int:
    return int(query.get("limit") or DEFAULT_LIMIT)


def _capabilities(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "integration": row["integration"],
        "unified": [{"model": "ats", "resource": "interviews", "methods": ["list"]}],
        "account": {"id": row["id"], "status": row["status"], "is_blocked": False},
    }


async def _serve(world: World) -> None:
    truto, loop = Truto(world), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(truto), LOOPBACK, 0, backlog=1000)
    async with server:
        host, port = server.sockets[0].getsockname()
        print(f"http://{host}:{port}", flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(World(**json.loads(sys.argv[1]))))
