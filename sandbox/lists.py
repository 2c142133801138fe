"""How a unified list is filtered, cut into pages and shaped."""

from __future__ import annotations

import operator
import re
from bisect import bisect_right
from http import HTTPStatus
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from sandbox.accounts import ORDERS
from sandbox.answers import Page, TrutoError
from sandbox.providers import parse
from sandbox.resources import DATE, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sandbox.accounts import Account
    from sandbox.answers import Row
    from sandbox.query import Query
    from sandbox.resources import Offer
    from sandbox.things import Thing

    Test = Callable[[Thing], bool]

FORMATS = {"unified", "raw", "normalized", "stream"}
OPERATORS: Mapping[str | None, Callable[[Any, Any], bool]] = {
    None: operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_COMPARISON = re.compile(r"(.+)\[(\w+)\]")


def filters(query: Query, offer: Offer) -> list[Test]:
    """Return the tests that the provider makes; parameters it does not take are ignored."""
    tests: list[Test] = []
    for key, value in query.pairs:
        found = None if key in offer.filters else _COMPARISON.fullmatch(key)
        name, sign = found.groups() if found else (key, None)
        path = offer.filters.get(name)
        if path is None or sign not in OPERATORS:
            continue
        if offer.resource.fields.get(path) is DATE:
            tests.append(_date_test(path, OPERATORS[sign], _instant(name, value)))
        elif sign is None:
            tests.append(methodcaller("has", path, value))
    return tests


def page(query: Query, account: Account, found: Sequence[Thing]) -> Page:
    """Return the page that a query asks for of the things found, which are in order of age."""
    cursor = account.provider.cursor
    limit = len(found) if query.on("truto_ignore_limit") else query.limit()
    position = query.position(cursor)
    if account.keyset:
        things, following = _after_number(found, int(position), limit)
    else:
        things, following = _after_rows(ORDERS[account.order](found), int(position), limit)
    shape, rows = shaped(query, [thing.row() for thing in things])
    return Page(
        rows,
        len(rows),
        cursor,
        position,
        following,
        key_by=query.last.get("truto_key_by"),
        streamed=shape == "stream",
    )


def shaped(query: Query, rows: list[Row]) -> tuple[str, list[Row]]:
    """Return the format that a query asks for, and rows in it without what it does not want."""
    shape = query.last.get("truto_response_format", "unified")
    if shape not in FORMATS:
        raise TrutoError(HTTPStatus.BAD_REQUEST, f"truto_response_format has no {shape!r}")
    if shape == "raw":
        rows = [row["remote_data"] for row in rows]
    dropped = {value for name, value in query.pairs if name == "truto_exclude_fields[]"}
    if query.on("truto_ignore_remote_data"):
        dropped.add("remote_data")
    if dropped:
        rows = [{k: v for k, v in row.items() if k not in dropped} for row in rows]
    return shape, rows


def _after_number(
    found: Sequence[Thing],
    number: int,
    limit: int,
) -> tuple[Sequence[Thing], str | None]:
    begin = bisect_right(found, number, key=lambda thing: thing.number)
    things = found[begin : begin + limit]
    return things, str(things[-1].number) if begin + limit < len(found) else None


def _after_rows(
    found: Sequence[Thing],
    offset: int,
    limit: int,
) -> tuple[Sequence[Thing], str | None]:
    things = found[offset : offset + limit]
    return things, str(offset + limit) if offset + limit < len(found) else None


def _date_test(path: str, holds: Callable[[Any, Any], bool], moment: datetime) -> Test:
    def test(thing: Thing) -> bool:
        changed = [thing.changed] if thing.changed else []
        found = changed if path == "updated_at" else parts_of(thing.values, path)
        return any(holds(one, moment) for one in found)

    return test


def _instant(name: str, value: str) -> datetime:
    try:
        return parse(value)
    except ValueError as error:
        raise TrutoError(HTTPStatus.BAD_REQUEST, f"{name}: {error}") from error
