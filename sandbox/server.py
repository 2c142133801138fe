"""Serving the sandbox: from a thread of this process, or for as long as the process lives."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests
import uvicorn

from sandbox.app import create_app
from sandbox.control import TOKEN, Sandbox
from sandbox.world import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"


def make_server(options: Options, token: str = TOKEN) -> uvicorn.Server:
    """Return a server that logs nothing: what it sees are tokens and personal data."""
    return uvicorn.Server(
        uvicorn.Config(
            create_app(options, token),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            date_header=False,  # Else there would be two of them: the middleware gives one.
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        ),
    )


def listen(host: str = LOOPBACK, port: int = 0) -> tuple[socket.socket, str]:
    """Return a listening socket, on a free port if none is named, and its URL."""
    listener = socket.create_server((host, port))
    # asyncio sets this only for sockets that name their protocol, which this one does not. Without
    # it, each answer takes 40 ms longer.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener, f"http://{host}:{listener.getsockname()[1]}"


@contextmanager
def serve(options: Options | None = None, token: str = TOKEN) -> Iterator[Sandbox]:
    """Serve from a thread on a free port of loopback and yield the client that steers it."""
    server = make_server(options or Options(), token)
    listener, url = listen()
    thread = threading.Thread(target=server.run, args=([listener],), name="sandbox", daemon=True)
    thread.start()
    try:
        # The listener takes the connection at once and the server answers when it is ready.
        requests.get(f"{url}/sandbox/accounts", timeout=30).raise_for_status()
        yield Sandbox(url, token)
    finally:
        server.should_exit = True
        thread.join()
