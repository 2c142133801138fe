"""A sandbox whose state is at hand, and which tells of each request before it answers."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from sandbox.app import create_app
from sandbox.control import TOKEN
from sandbox.query import Query
from sandbox.server import listen, make_server
from sandbox.world import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sandbox.state import State


@dataclass
class Stand:
    """What stands in for Truto: its address, its state, and who is told of requests."""

    url: str
    app: Any
    tell: Callable[[str | None], None] = field(default=lambda _: None)
    """Called with the account of each request, None for the list of accounts."""
    date: Callable[[], datetime | None] = field(default=lambda: None)
    """Tells what the clock shows when a request is answered; None for the time that it is."""

    @property
    def state(self) -> State:
        state: State = self.app.state
        return state

    @property
    def token(self) -> str:
        return self.state.token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"].split("/")
            of_path = path[2] if path[1] == "integrated-account" and len(path) > 2 else None
            last = Query(scope["query_string"]).last
            self.tell(last.get("integrated_account_id", of_path))
        await self.app(scope, receive, _dated(self.date(), send))


def _dated(date: datetime | None, send: Send) -> Send:
    if date is None:
        return send
    header = (b"date", format_datetime(date, usegmt=True).encode())

    async def replace(message: Message) -> None:
        if message["type"] == "http.response.start":
            others = [one for one in message["headers"] if one[0] != b"date"]
            message = {**message, "headers": [*others, header]}
        await send(message)

    return replace


@contextmanager
def stand() -> Iterator[Stand]:
    """Serve from a thread of this process."""
    listener, url = listen()
    server = make_server(Options(rate_limits=False))
    app: ASGIApp = create_app(Options(rate_limits=False), TOKEN)
    standing = Stand(url, app)
    server.config.app = standing
    thread = threading.Thread(target=server.run, args=([listener],), name="stand", daemon=True)
    thread.start()
    try:
        yield standing
    finally:
        server.should_exit = True
        thread.join()
