"""The sandbox's own endpoints under /sandbox: look at the data, change it, ask for faults."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import Route

from sandbox.accounts import HIDDEN
from sandbox.answers import TrutoError, answer
from sandbox.faults import Faults

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.accounts import Account
    from sandbox.state import State


class Control:
    """The endpoints that steer a sandbox."""

    def __init__(self, state: State) -> None:
        """Steer the sandbox that has this state."""
        self.state = state

    async def reset(self, request: Request) -> Response:
        """Make a new world and answer with its accounts."""
        self.state.reset(await request.json())
        return await self.accounts(request)

    async def accounts(self, _: Request) -> Response:
        """Answer with the accounts."""
        return answer([_seen(account) for account in self.state.accounts.values()])

    async def change_account(self, request: Request) -> Response:
        """Change an account and answer with it."""
        account = self._account(request)
        account.alter(await request.json())
        return answer(_seen(account))

    async def rows(self, request: Request) -> Response:
        """Answer with the rows that a correct tap delivers of a resource, of one account or all."""
        wanted = request.query_params.get("integrated_account_id")
        accounts = self.state.accounts
        chosen = [accounts[wanted]] if wanted else accounts.values()
        resource, whole = request.path_params["resource"], "whole" in request.query_params
        return answer([row for one in chosen for row in one.truth(resource, whole=whole)])

    async def add_row(self, request: Request) -> Response:
        """Add a thing and answer with it."""
        fields = await request.json()
        account = self.state.accounts[fields.pop("integrated_account_id")]
        return answer(account.truth_of(account.add(request.path_params["resource"], fields)))

    async def change_row(self, request: Request) -> Response:
        """Change a thing and answer with it."""
        account, (resource, key) = self._account(request), _thing(request)
        return answer(account.truth_of(account.touch(resource, key, await request.json())))

    async def delete_row(self, request: Request) -> Response:
        """Delete a thing."""
        self._account(request).delete(*_thing(request))
        return answer({})

    async def add_faults(self, request: Request) -> Response:
        """Add the fault that the body holds, or each one of a list."""
        given = await request.json()
        specs = given if isinstance(given, list) else [given]
        named = {act["account"] for spec in specs for act in spec.get("acts", ())}
        if unknown := named - self.state.accounts.keys():
            message = f"no such account: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        self.state.faults.add(*specs)
        return answer({})

    async def clear_faults(self, _: Request) -> Response:
        """Forget the faults."""
        self.state.faults = Faults()
        return answer({})

    async def requests(self, _: Request) -> Response:
        """Answer with the requests since the reset."""
        return answer(self.state.requests)

    async def clear_requests(self, _: Request) -> Response:
        """Forget the requests."""
        self.state.requests = []
        return answer({})

    def _account(self, request: Request) -> Account:
        return self.state.accounts[request.path_params["account"]]


def control(state: State) -> Starlette:
    """Return the endpoints under /sandbox; what they refuse is answered with 400 or 404."""
    it = Control(state)
    one = "/rows/{resource}/{account}/{key:path}"
    return Starlette(
        routes=[
            Route("/reset", it.reset, methods=["POST"]),
            Route("/accounts", it.accounts, methods=["GET"]),
            Route("/accounts/{account}", it.change_account, methods=["PATCH"]),
            Route("/rows/{resource}", it.rows, methods=["GET"]),
            Route("/rows/{resource}", it.add_row, methods=["POST"]),
            Route(one, it.change_row, methods=["PATCH"]),
            Route(one, it.delete_row, methods=["DELETE"]),
            Route("/faults", it.add_faults, methods=["POST"]),
            Route("/faults", it.clear_faults, methods=["DELETE"]),
            Route("/requests", it.requests, methods=["GET"]),
            Route("/requests", it.clear_requests, methods=["DELETE"]),
        ],
        exception_handlers={
            KeyError: _not_there,
            TypeError: _not_understood,
            ValueError: _not_understood,
        },
    )


def _thing(request: Request) -> tuple[str, str]:
    return request.path_params["resource"], request.path_params["key"]


def _seen(account: Account) -> dict[str, Any]:
    return account.listing() | {name: getattr(account, name) for name in HIDDEN}


def _not_there(_: Request, error: Exception) -> Response:
    return TrutoError(HTTPStatus.NOT_FOUND, f"not there: {error}").response()


def _not_understood(_: Request, error: Exception) -> Response:
    return TrutoError(HTTPStatus.BAD_REQUEST, str(error)).response()
