"""The query string of a request: its parameters, and what they say about pages."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from sandbox.answers import TrutoError

if TYPE_CHECKING:
    from sandbox.providers import Cursor

DEFAULT_LIMIT = 100


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
