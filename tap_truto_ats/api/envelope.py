"""Truto's envelope: a page's rows and the cursor of the next page."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import ijson
import msgspec

from tap_truto_ats.api.errors import BrokenBodyError, NoListError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROWS_KEYS = ("result", "results")
"""Some pages on platform lists spell it `results`, and Truto's own SDK accepts both."""

TOP = 1
"""The depth of the envelope's own keys."""

DEEPEST = 500
"""The greatest depth of a row that is read while it arrives: a deeper one could not be written."""

_decode = msgspec.json.Decoder().decode


class Page(NamedTuple):
    """Rows of one answer, or of a part of it; `unread` says that further parts follow."""

    rows: list[Any]
    next_cursor: str | None = None
    unread: bool = False


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode a body that is one JSON object.

    Raises:
        BrokenBodyError: The body is anything else.
    """
    try:
        decoded = _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        decoded = _decode_repaired(body)
    if not isinstance(decoded, dict):
        what = "it is no JSON object"
        raise BrokenBodyError(what)
    return decoded


def _decode_repaired(body: bytes) -> object:
    r"""Decode JSON in which some character is half there; return None for anything worse.

    Providers that cut a text in the middle of an emoji leave a lone `\ud83d`.
    """
    try:
        repaired = json.dumps(json.loads(body.decode()), ensure_ascii=False)
        return _decode(repaired.encode(errors="replace"))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def decode_page(body: bytes) -> Page:
    """Decode `{"result": [row, …], "next_cursor": "…"}`; other keys are passed over.

    `result` may be an object of rows by key (the reference page: `truto_key_by`).

    Raises:
        NoListError: There is null in place of rows, and no cursor.
        BrokenBodyError: The body is not such an envelope.
    """
    envelope = decode_object(body)
    rows = next((envelope[key] for key in ROWS_KEYS if key in envelope), "none")
    cursor = _cursor(envelope.get("next_cursor"))
    if isinstance(rows, dict):
        rows = list(rows.values())
    if not isinstance(rows, list):
        raise _no_rows(is_null=rows is None and cursor is None)
    return Page(rows, cursor)


def _no_rows(*, is_null: bool) -> BrokenBodyError:
    return NoListError() if is_null else BrokenBodyError("it holds no rows")


def decode_chunks(chunks: Iterable[bytes]) -> Iterator[Page]:
    """Decode an envelope while it arrives: a page for each chunk, the last with the cursor.

    Raises:
        NoListError: There is null in place of rows, and no cursor.
        BrokenBodyError: What arrived is not such an envelope.
    """
    events = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events)
    reader = _EnvelopeReader()
    try:
        for chunk in chunks:
            parser.send(chunk)
            rows = [row for event, value in events for row in reader.read(event, value)]
            events.clear()
            yield Page(rows, unread=True)
        parser.close()
    except (ijson.JSONError, ValueError, ArithmeticError, RecursionError, SystemError):
        # ijson's C parser raises a SystemError for an integer that is too long for Python.
        reader.found_rows = reader.found_null = False
    cursor = _cursor(reader.next_cursor)
    if not reader.found_rows:
        raise _no_rows(is_null=reader.found_null and cursor is None)
    yield Page([], cursor)


def _cursor(value: object) -> str | None:
    """Return the cursor; any falsy value means the end, as in Truto's SDKs, and becomes None."""
    if not value:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        what = "its cursor is no string"
        raise BrokenBodyError(what)
    return str(value)


@dataclass
class _EnvelopeReader:
    """Picks rows and cursor out of a JSON parser's events by their depth."""

    found_rows: bool = False
    found_null: bool = False
    """Whether there was null in place of rows."""
    next_cursor: object = None
    _depth: int = 0
    _key: str = ""
    _row: ijson.ObjectBuilder | None = None

    def read(self, event: str, value: object) -> Iterator[Any]:
        """Take one event; yield the row that it completes, if any."""
        # If it is to parse floats, ijson's C parser refuses integers of more than 63 bits.
        if isinstance(value, Decimal):
            value = float(value)
            if math.isinf(value):
                raise OverflowError
        opens, closes = event.startswith("start_"), event.startswith("end_")
        self._depth -= closes
        at_top, in_rows = self._depth == TOP, self._depth == TOP + 1 and self._key in ROWS_KEYS
        if at_top and event == "map_key":
            self._key = str(value)
        elif at_top and self._key in ROWS_KEYS:
            self.found_rows |= opens
            self.found_null |= event == "null"
        elif at_top and self._key == "next_cursor" and not closes:
            self.next_cursor = [event] if opens else value
        elif self._row is None and in_rows and event != "map_key":
            self._row = ijson.ObjectBuilder()
        if self._row is not None:
            self._row.event(event, value)
            if in_rows and not opens:
                yield self._row.value
                self._row = None
        self._depth += opens
        if self._depth > DEEPEST:
            raise RecursionError
