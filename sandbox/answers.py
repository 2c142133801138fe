"""The two shapes of Truto's answers: a page of a list, and an error."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

    from sandbox.providers import Cursor

    Row = dict[str, Any]

_ROWS_A_CHUNK = 200


class TrutoError(HTTPException):
    """An answer other than 200; `extra` are the parts beside `statusCode`, `error`, `message`."""

    def __init__(
        self,
        status: int,
        message: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: object,
    ) -> None:
        """Make an error of a status; the text is by default the name of the status."""
        self.name = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
        super().__init__(status, message or self.name, headers)
        self.extra = extra

    def response(self) -> Response:
        """Return the error in Truto's envelope."""
        body = {"statusCode": self.status_code, "error": self.name, "message": self.detail}
        return answer(body | self.extra, self.status_code, self.headers)


@dataclass(frozen=True)
class Page:
    """A page of a unified list, of `count` rows.

    `position` is where it begins, and `following` where the next page does, None after the last.
    With `key_by`, the rows are an object by that field instead of an array. A `streamed` page is
    sent in pieces while its rows are made.
    """

    rows: Iterable[Row]
    count: int
    cursor: Cursor
    position: str
    following: str | None
    key_by: str | None = None
    streamed: bool = False

    def response(self) -> Response:
        """Return the page in Truto's envelope, at once or chunk by chunk."""
        if self.streamed:
            return StreamingResponse(self._chunks(), media_type="application/json")
        rows = list(self.rows)
        result = {str(row.get(self.key_by)): row for row in rows} if self.key_by else rows
        return answer({"result": result} | self._tail())

    def _tail(self) -> dict[str, Any]:
        return {
            "next_cursor": None if self.following is None else self.cursor.write(self.following),
            "prev_cursor": None,
            "result_count": self.count,
            "is_partial_response": False,
        }

    async def _chunks(self) -> AsyncIterator[str]:
        rows = iter(self.rows)
        opening, closing = "{}" if self.key_by else "[]"
        yield f'{{"result":{opening}' + self._batch(rows)
        while batch := self._batch(rows):
            yield f",{batch}"
        yield f"{closing},{dumps(self._tail())[1:]}"

    def _batch(self, rows: Iterator[Row]) -> str:
        return ",".join(map(self._item, islice(rows, _ROWS_A_CHUNK)))

    def _item(self, row: Row) -> str:
        text = dumps(row)
        return f"{dumps(str(row.get(self.key_by)))}:{text}" if self.key_by else text


def dumps(value: object) -> str:
    """Write JSON as servers do: no blanks, no escapes that are not needed."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def answer(
    body: object,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a JSON response."""
    return Response(dumps(body), status, headers, "application/json")
