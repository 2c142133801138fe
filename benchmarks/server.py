"""A stand-in for Truto that takes little CPU time: raw HTTP over asyncio, in its own process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import parse_qsl
from urllib.request import urlopen

from benchmarks.world import Rows, World, account, row_number
from sandbox.control import TOKEN
from sandbox.limits import PER_ACCOUNT, PER_TOKEN, WINDOW_SECONDS, Limits
from sandbox.postgres import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_LIMIT = 100
CHANGES = "updated_at[gte]"
"""The parameter that asks for changes: there are none since a first run but of candidates, which
are listed whole."""

LISTING, UNIFIED, STATISTICS = "/integrated-account", "/unified/ats/", "/statistics"
AUTHORIZATION = f"authorization: bearer {TOKEN}\r\n".lower().encode()


class Answer(NamedTuple):
    """What a request is answered with."""

    status: int
    """0 for no answer at all."""
    body: bytes = b""
    retry_after: int | None = None
    """Seconds."""


@dataclass
class Statistics:
    """What a server has seen, not counting requests for these statistics.

    Moments are seconds by the server's monotonic clock.
    """

    requests: int = 0
    refused: int = 0
    """Requests that one of Truto's limits refused."""
    rows: int = 0
    """Rows of healthy accounts that were sent."""
    first: float = 0.0
    """When the first request came."""
    last: float = 0.0
    """When the last request came."""
    begun: float = 0.0
    """When the first request for rows came."""
    asked: float = 0.0
    """When each healthy account had been asked for rows; now, while one has not been."""
    done: float = 0.0
    """When the last request for a healthy account's rows came; now, while some are missing."""
    most: int = 0
    """The requests for rows of the account that most of them are about."""

    @property
    def rate(self) -> float:
        """Requests a second, from the first to the last."""
        return self.requests / (self.last - self.first) if self.last > self.first else 0.0

    @property
    def least(self) -> float:
        """The least seconds in which Truto's limits allow so many requests: whole windows."""
        windows = max((self.requests - 1) // PER_TOKEN, (self.most - 1) // PER_ACCOUNT)
        return float(WINDOW_SECONDS * windows)


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
        self._asked: Counter[int] = Counter()
        """The requests for rows by the account's number."""
        self._to_be_asked = {number for number in world.numbers if world.is_healthy(number)}

    def answer(self, path: str, query: dict[str, str], *, authorized: bool) -> Answer:
        """Answer a request that arrives now."""
        seen, now = self.statistics, time.monotonic()
        if path == STATISTICS:
            asked = now if self._to_be_asked else seen.asked
            done = now if seen.rows < self.world.healthy_rows else seen.done
            return _json(asdict(replace(seen, asked=asked, done=done)))
        seen.first, seen.last = seen.first or now, now
        seen.requests += 1
        if not authorized:
            return _error(401, "Invalid or expired API token")
        account_id = query.get("integrated_account_id", "")
        is_for_rows = path.startswith(UNIFIED) and _number(account_id) in self.world.numbers
        if is_for_rows:
            self._note(_number(account_id), now)
        if not self._limits.admit(path, TOKEN, account_id, now):
            seen.refused += 1
            return _error(429, "Too Many Requests", WINDOW_SECONDS)
        if is_for_rows:
            return self._rows(path.removeprefix(UNIFIED), _number(account_id), query)
        return self._platform(path, query)

    def _note(self, number: int, now: float) -> None:
        """Remember when an account is asked for rows."""
        seen = self.statistics
        self._asked[number] += 1
        seen.most = max(seen.most, self._asked[number])
        seen.begun = seen.begun or now
        if self.world.is_healthy(number):
            seen.done = now
            if number in self._to_be_asked:
                self._to_be_asked.remove(number)
                seen.asked = now

    def _rows(self, resource: str, number: int, query: dict[str, str]) -> Answer:
        kind = self.world.kind_of(number)
        if not kind.status:
            return Answer(0)
        if kind.status != HTTPStatus.OK:
            message = "The provider is failing"
            return _error(kind.status, message, kind.retry_after, truto_is_remote_error=True)
        if resource not in self.world.resources_of(number):
            return _error(404, "Not Found")
        begin, limit = int(query.get("next_cursor") or 0), _limit(query)
        total = 0 if CHANGES in query else kind.candidates or self.world.rows
        rows = Rows(resource, number, total, self.world.padding)
        if candidate := query.get("candidate_id"):
            begin, limit = row_number(candidate), 1
            rows = rows._replace(total=begin + 1, is_dated=False)
        elif resource == "candidates":
            rows = rows._replace(changed_every=self.world.changed_every)
        body, count = rows.page(begin, limit)
        is_counted = self.world.is_healthy(number) and resource in self.world.resources
        self.statistics.rows += count * is_counted
        return Answer(200, body)

    def _platform(self, path: str, query: dict[str, str]) -> Answer:
        if path == LISTING:
            return self._accounts(query)
        _, _, rest = path.partition(f"{LISTING}/")
        asked, _, more = rest.partition("/")
        number = _number(asked)
        if number not in self.world.numbers:
            return _error(404, "Not Found")
        describe = self._capabilities if more == "capabilities" else self._account
        return _json(describe(number))

    def _accounts(self, query: dict[str, str]) -> Answer:
        begin, limit = int(query.get("next_cursor") or 0), _limit(query)
        numbers = self.world.numbers
        following = str(begin + limit) if begin + limit < len(numbers) else None
        rows = [self._account(number) for number in numbers[begin : begin + limit]]
        return _json({"result": rows, "next_cursor": following, "limit": limit})

    def _account(self, number: int) -> dict[str, Any]:
        return account(number, self.world.kind_of(number).provider)

    def _capabilities(self, number: int) -> dict[str, Any]:
        row = self._account(number)
        return {
            "integration": row["integration"],
            "unified": [
                {"model": "ats", "resource": resource, "methods": ["list"]}
                for resource in self.world.resources_of(number)
            ],
            "account": {"id": row["id"], "status": row["status"], "is_blocked": False},
        }


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
        status, body, retry_after = self._truto.answer(
            path,
            dict(parse_qsl(query)),
            authorized=AUTHORIZATION in head.lower(),
        )
        if not status:
            return
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *([] if retry_after is None else [f"Retry-After: {retry_after}"]),
        ]
        whole = "\r\n".join([*lines, "", ""]).encode() + body
        if self._truto.world.delay and status == HTTPStatus.OK and path != STATISTICS:
            loop = asyncio.get_running_loop()
            loop.call_later(self._truto.world.delay, self._transport.write, whole)
        else:
            self._transport.write(whole)


def _json(value: object) -> Answer:
    return Answer(200, json.dumps(value).encode())


def _error(status: int, message: str, retry_after: int | None = None, **more: object) -> Answer:
    """Answer with Truto's envelope for errors."""
    envelope = {"statusCode": status, "error": HTTPStatus(status).phrase, "message": message}
    return Answer(status, json.dumps(envelope | more).encode(), retry_after)


def _number(account_id: str) -> int:
    """Read an account's number from its id; -1 for what is none."""
    try:
        return int(account_id[:8], 16)
    except ValueError:
        return -1


def _limit(query: dict[str, str]) -> int:
    return int(query.get("limit") or DEFAULT_LIMIT)


async def _serve(world: World) -> None:
    truto, loop = Truto(world), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(truto), LOOPBACK, 0, backlog=1000)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()  # From Python 3.12 on, `async with` would wait for its clients as well.


if __name__ == "__main__":
    asyncio.run(_serve(World(**json.loads(sys.argv[1]))))
