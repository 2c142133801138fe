"""How a unified list is filtered, cut into pages and shaped."""

from __future__ import annotations

import operator
import re
from bisect import bisect_right
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl

from sandbox.answers import Page, TrutoError
from sandbox.providers import DATES, TARGETS, parse
from sandbox.world import part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.answers import Row
    from sandbox.providers import Cursor, Provider
    from sandbox.world import Interview

    Test = Callable[[Interview], bool]

DEFAULT_LIMIT = 100
FORMATS = {"unified", "raw", "normalized", "stream"}
OPERATORS: Mapping[str | None, Callable[[Any, Any], bool]] = {
    None: operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_PARAMETER = re.compile(r"(\w+)(?:\[(\w+)\])?")


class Listed(Protocol):
    """A thing in a list."""

    @property
    def number(self) -> int:
        """Its number by age."""

    @property
    def row(self) -> Row:
        """Its unified row."""

    @property
    def raw(self) -> Row:
        """The provider's own record."""


class Query:
    """The query of a request: all its pairs in order, and the last value of each name."""

    def __init__(self, raw: bytes) -> None:
        """Decode a query string as it came."""
        self.pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
        self.last = dict(self.pairs)

    def limit(self) -> int:
        """Return the page size asked for."""
        text = self.last.get("limit", str(DEFAULT_LIMIT))
        if not re.fullmatch("0*[1-9][0-9]*", text):
            raise TrutoError(HTTPStatus.BAD_REQUEST, "limit must be a positive integer")
        return int(text)

    def position(self, cursor: Cursor) -> str:
        """Return where the page begins; a cursor that was not handed out is refused."""
        text = self.last.get("next_cursor")
        if not text:
            return "0"
        try:
            return cursor.read(text)
        except ValueError as error:
            raise TrutoError(HTTPStatus.BAD_REQUEST, "next_cursor is invalid") from error

    def on(self, name: str) -> bool:
        """Say whether a boolean parameter is set."""
        return self.last.get(name) == "true"


def filters(query: Query, provider: Provider) -> list[Test]:
    """Return the tests that the provider makes; parameters it does not take are ignored."""
    tests = []
    for key, value in query.pairs:
        found = _PARAMETER.fullmatch(key)
        name, sign = found.groups() if found else (key, None)
        if name not in provider.filters or sign not in OPERATORS:
            continue
        if TARGETS[name] in DATES:
            tests.append(_test(TARGETS[name], OPERATORS[sign], _instant(name, value)))
        elif sign is None:
            tests.append(_test(TARGETS[name], _same_id, value))
    return tests


def page(query: Query, provider: Provider, found: Sequence[Listed]) -> Page:
    """Return the page that a query asks for of the things found, which are in order of age."""
    shape = query.last.get("truto_response_format", "unified")
    if shape not in FORMATS:
        raise TrutoError(HTTPStatus.BAD_REQUEST, f"truto_response_format has no {shape!r}")
    limit = len(found) if query.on("truto_ignore_limit") else query.limit()
    position = query.position(provider.cursor)
    cut = _after_number if provider.keyset else _newest_first
    things, following = cut(found, int(position), limit)
    rows = [thing.raw if shape == "raw" else thing.row for thing in things]
    dropped = {value for name, value in query.pairs if name == "truto_exclude_fields[]"}
    if query.on("truto_ignore_remote_data"):
        dropped.add("remote_data")
    if dropped:
        rows = [{k: v for k, v in row.items() if k not in dropped} for row in rows]
    return Page(
        rows,
        len(rows),
        provider.cursor,
        position,
        following,
        key_by=query.last.get("truto_key_by"),
        streamed=shape == "stream",
    )


def _after_number(
    found: Sequence[Listed],
    number: int,
    limit: int,
) -> tuple[Sequence[Listed], str | None]:
    begin = bisect_right(found, number, key=lambda thing: thing.number)
    things = found[begin : begin + limit]
    return things, str(things[-1].number) if begin + limit < len(found) else None


def _newest_first(
    found: Sequence[Listed],
    offset: int,
    limit: int,
) -> tuple[Sequence[Listed], str | None]:
    things = found[::-1][offset : offset + limit]
    return things, str(offset + limit) if offset + limit < len(found) else None


def _test(path: str, holds: Callable[[Any, Any], bool], value: object) -> Test:
    def test(interview: Interview) -> bool:
        found = part_of(interview.values, path)
        return found is not None and holds(found, value)

    return test


def _same_id(found: object, wanted: str) -> bool:
    return str(found) == wanted


def _instant(name: str, value: str) -> object:
    try:
        return parse(value)
    except ValueError as error:
        raise TrutoError(HTTPStatus.BAD_REQUEST, f"{name}: {error}") from error
