"""Truto's endpoints as the tap meets them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route

from sandbox.accounts import ENVIRONMENT
from sandbox.answers import TrutoError, answer
from sandbox.control_api import control
from sandbox.faults import PRIVATE
from sandbox.lists import filters, page, shaped
from sandbox.middleware import FAULT, Middleware
from sandbox.providers import ATS, Cursor
from sandbox.query import Query
from sandbox.resources import RESOURCES, parts_of
from sandbox.state import State

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from sandbox.accounts import Account
    from sandbox.resources import Offer
    from sandbox.world import Options

ACCOUNT_CURSOR = Cursor("\xfb\xef\xbe\xff\xff\xffaccounts:{}::", base64=True)
ACCOUNT_FILTERS = ("tenant_id", "status", "integration.name")


def create_app(options: Options, token: str) -> ASGIApp:
    """Return a sandbox: Truto's endpoints and its own, all behind the middleware."""
    state = State(options, token)
    routes = [
        Route("/ping", _ping),
        Route("/integrated-account", _accounts),
        Route("/integrated-account/{account}", _account),
        Route("/integrated-account/{account}/capabilities", _capabilities),
        Route("/unified/ats/{resource}", _list),
        Route("/unified/ats/{resource}/{key:path}", _get),
        Mount("/sandbox", control(state)),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refusal})
    app.state.sandbox = state
    return Middleware(app, state)


def _refusal(_: Request, error: Exception) -> Response:
    if isinstance(error, TrutoError):
        return error.response()
    return TrutoError(getattr(error, "status_code", HTTPStatus.INTERNAL_SERVER_ERROR)).response()


async def _ping(request: Request) -> Response:
    _state(request)
    return answer({"pong": True})


async def _accounts(request: Request) -> Response:
    query = _query(request)
    wanted = {name: query.last[name] for name in ACCOUNT_FILTERS if name in query.last}
    accounts = _state(request).accounts.values()
    rows = [account.listing() for account in accounts if account.is_listed]
    rows = [row for row in rows if all(v in parts_of(row, k) for k, v in wanted.items())]
    limit, begin = query.limit(), int(query.position(ACCOUNT_CURSOR))
    end = begin + limit
    following = ACCOUNT_CURSOR.write(str(end)) if end < len(rows) else None
    return answer({"result": rows[begin:end], "next_cursor": following, "limit": limit})


async def _account(request: Request) -> Response:
    return answer(_found(_state(request), request.path_params["account"]).listing())


async def _capabilities(request: Request) -> Response:
    asked = _query(request).last
    account = _found(_state(request), request.path_params["account"])
    wanted = asked.get("resource")
    offers = {name: account.gives(name) for name in account.resources if wanted in {None, name}}
    listing = account.listing()
    health = {name: listing[name] for name in ("id", "status", "authentication_method")}
    return answer(
        {
            "integration": account.integration() | {"label": account.provider.label},
            "environment_id": ENVIRONMENT,
            "unified": [
                {
                    "model": ATS,
                    "resource": resource,
                    "methods": offer.methods,
                    "env_overridden": False,
                    "docs_url": f"https://truto.example/{ATS}/{resource}",
                    "description": f"List {resource.replace('_', ' ')}",
                }
                for resource, offer in offers.items()
                if offer.methods and asked.get("type", "unified") == "unified"
            ],
            "account": health | {"is_blocked": account.is_blocked},
            "auth": {},
            "ai_readiness": {},
        },
    )


async def _list(request: Request) -> Response:
    query = _query(request)
    account, offer = _ready(request, query)
    if missing := [name for name in offer.required if not query.last.get(name)]:
        raise TrutoError(
            HTTPStatus.BAD_REQUEST,
            f"Missing required query parameters: {', '.join(missing)}",
            truto_error_insight={
                "missing_required_query_parameters": {
                    "description": "The provider refuses without these query parameters",
                    "value": missing,
                },
            },
        )
    if account.refuses_parents({name: query.last[name] for name in offer.required}):
        raise _provider_error(HTTPStatus.NOT_FOUND)
    if account.refuses_filter(query.last):
        raise _provider_error(account.refuses_with)
    tests = filters(query, offer)
    things = account.things(offer.resource.name).values()
    wanted = page(query, account, [one for one in things if all(t(one) for t in tests)])
    fault = request.scope.get(FAULT)
    return (fault.page(wanted) if fault else wanted).response()


async def _get(request: Request) -> Response:
    query = _query(request)
    account, offer = _ready(request, query)
    thing = account.things(offer.resource.name).get(request.path_params["key"])
    if thing is None:
        raise _provider_error(HTTPStatus.NOT_FOUND)
    _, (row,) = shaped(query, [thing.row(whole=True)])
    return answer(row)


def _provider_error(status: int) -> TrutoError:
    """Return an error of the provider's, as Truto hands it on."""
    return TrutoError(status, truto_is_remote_error=True, raw_response=PRIVATE)


def _state(request: Request) -> State:
    state: State = request.app.state.sandbox
    if request.headers.get("authorization") != f"Bearer {state.token}":
        raise TrutoError(HTTPStatus.UNAUTHORIZED, "Invalid or expired API token")
    return state


def _query(request: Request) -> Query:
    return Query(request.scope["query_string"])


def _found(state: State, account_id: str) -> Account:
    if account_id not in state.accounts:
        raise TrutoError(HTTPStatus.NOT_FOUND, "Integrated account not found")
    return state.accounts[account_id]


def _ready(request: Request, query: Query) -> tuple[Account, Offer]:
    """Return the account of a unified call and what it offers; refuse what cannot be answered."""
    state, resource = _state(request), request.path_params["resource"]
    account_id = query.last.get("integrated_account_id")
    if not account_id:
        raise TrutoError(HTTPStatus.BAD_REQUEST, "integrated_account_id is required")
    account = _found(state, account_id)
    if account.is_blocked:
        raise TrutoError(HTTPStatus.SERVICE_UNAVAILABLE, "The integrated account is blocked")
    if account.status != "active":
        raise TrutoError(
            HTTPStatus.UNAUTHORIZED,
            "The integrated account must be reconnected",
            truto_is_remote_error=True,
            raw_response=PRIVATE,
        )
    is_there = resource in account.resources and resource in RESOURCES
    offer = account.gives(resource) if is_there else None
    if not (offer and offer.methods):
        raise TrutoError(HTTPStatus.NOT_FOUND, f"{resource} is not offered by this integration")
    return account, offer
