"""What every request to Truto's endpoints passes: the log, the rate limits, the faults."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from starlette.datastructures import Headers

from sandbox.answers import TrutoError
from sandbox.faults import RESET, TRUNCATED
from sandbox.limits import RETRY_AFTER
from sandbox.query import Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sandbox.faults import Act, Fault
    from sandbox.state import State

FAULT = "sandbox.fault"
"""The key of the ASGI scope by which a handler finds the fault that is to change its page."""


class Middleware:
    """Wraps the app; a request under /sandbox goes through untouched."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        """Wrap the app that has this state."""
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, in the way of ASGI."""
        if scope["type"] != "http" or scope["path"].startswith("/sandbox/"):
            await self.app(scope, receive, send)
            return
        query, now = Query(scope["query_string"]), time.monotonic()
        entry = {
            "path": scope["path"],
            "query": scope["query_string"].decode("latin-1"),
            "params": query.pairs,
            "status": None,
            "at": now,
        }
        self.state.requests.append(entry)
        token = Headers(scope=scope).get("authorization", "")
        account_id = query.last.get("integrated_account_id")
        connection, send = send, _noting(entry, send)
        if not self.state.limits.admit(scope["path"], token, account_id, now):
            refusal = TrutoError(HTTPStatus.TOO_MANY_REQUESTS, headers=RETRY_AFTER)
            await refusal.response()(scope, receive, _with_headers({}, send))
            return
        faults = self.state.faults
        failure = self._let_happen(faults.acts(scope["path"], query.pairs))
        if failure:
            await failure(scope, receive, _with_headers({}, send))
        elif fault := faults.striking(scope["path"], query.pairs):
            await self._fail(fault, scope, receive, send, connection)
        else:
            await self.app(scope, receive, _with_headers({}, send))

    async def _fail(
        self,
        fault: Fault,
        scope: Scope,
        receive: Receive,
        send: Send,
        connection: Send,
    ) -> None:
        await receive()  # This is the request itself; the next message is the connection's end.
        gone = asyncio.ensure_future(receive())
        try:
            if fault.seconds and (await asyncio.wait({gone}, timeout=fault.seconds))[0]:
                return
            reply = self._let_happen(fault.acts) or fault.answer() or self.app
            # The server's own `send` is a method of the object that holds the connection.
            transport = cast("Any", connection).__self__.transport
            if fault.kind == RESET:
                transport.abort()
                await gone
                return
            if fault.kind == TRUNCATED:
                send = _cut_short(send, transport)
            send = _with_headers(fault.headers, send)
            await reply({**scope, FAULT: fault}, receive, send)
            if fault.kind == TRUNCATED:
                await gone
        finally:
            gone.cancel()

    def _let_happen(self, acts: Iterable[Act]) -> Response | None:
        """Let acts happen; return what is to be answered if one of them cannot."""
        try:
            for act in acts:
                self.state.perform(act)
        except (KeyError, TypeError, ValueError) as error:
            message = f"an act is not possible: {error}"
            return TrutoError(HTTPStatus.INTERNAL_SERVER_ERROR, message).response()
        return None


def _noting(entry: dict[str, Any], send: Send) -> Send:
    async def note(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry["status"] = message["status"]
        await send(message)

    return note


def _with_headers(given: Mapping[str, str | None], send: Send) -> Send:
    """Send a date and what is given, in place of headers of the same names."""

    async def replace(message: Message) -> None:
        if message["type"] == "http.response.start":
            wanted = {"date": formatdate(usegmt=True)} | {k.lower(): v for k, v in given.items()}
            kept = [(k, v) for k, v in message["headers"] if k.decode() not in wanted]
            added = [(k.encode(), str(v).encode()) for k, v in wanted.items() if v is not None]
            message = {**message, "headers": kept + added}
        await send(message)

    return replace


def _cut_short(send: Send, transport: asyncio.Transport) -> Send:
    async def cut(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
        elif not transport.is_closing():
            body = message["body"]
            await send({**message, "body": body[: len(body) // 2], "more_body": True})
            transport.close()

    return cut
