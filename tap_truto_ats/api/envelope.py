"""Truto's envelope: a page's rows and the cursor of the next page."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tap_truto_ats.api.errors import BrokenBodyError, NoListError
from tap_truto_ats.api.nearly_json import MARK, MOST_LEVELS, OPENING, TEXT_END, Decoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROWS_KEYS = ("result", "results")
"""Some pages on platform lists spell it `results`, and Truto's own SDK accepts both."""

TOP = 1
"""The depth of the envelope's own keys."""

BLANKS = b" \t\r\n"
NO_ROWS = "it holds no rows"

_REST_OF_TEXT = re.compile(TEXT_END, re.DOTALL)
_ROWS_BEGIN = re.compile(rb'[{,]\s*"(?:%s)"\s*:\s*\[\Z' % "|".join(ROWS_KEYS).encode())


class Page(NamedTuple):
    """Rows of one answer, or of a part of it; `unread` says that further parts follow."""

    rows: list[Any]
    next_cursor: str | None = None
    unread: bool = False
    replaced: int = 0
    """How many values were not to be had as they were sent."""


def decode_object(body: bytes) -> Page:
    """Decode a body that is one JSON object, into a page of this one row.

    Raises:
        BrokenBodyError: The body is anything else.
    """
    decoder = Decoder()
    try:
        decoded = decoder.decode(body)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        what = "it is no JSON object"
        raise BrokenBodyError(what)
    return Page([decoded], replaced=decoder.replaced)


def decode_page(body: bytes) -> Page:
    """Decode `{"result": [row, …], "next_cursor": "…"}`; other keys are passed over.

    `result` may be an object of rows by key (the reference page: `truto_key_by`).

    Raises:
        NoListError: There is null in place of rows, and no cursor.
        BrokenBodyError: The body is not such an envelope.
    """
    (envelope,), *_, replaced = decode_object(body)
    rows = next((envelope[key] for key in ROWS_KEYS if key in envelope), "none")
    cursor = _cursor(envelope.get("next_cursor"))
    if isinstance(rows, dict):
        rows = list(rows.values())
    if not isinstance(rows, list):
        raise NoListError if rows is None and cursor is None else BrokenBodyError(NO_ROWS)
    return Page(rows, cursor, replaced=replaced)


def decode_chunks(chunks: Iterable[bytes]) -> Iterator[Page]:
    """Decode an envelope while it arrives: a page for each chunk, the last with the cursor.

    Raises:
        NoListError: There is null in place of rows, and no cursor.
        BrokenBodyError: What arrived is not such an envelope.
    """
    envelope = _ArrivingEnvelope()
    for chunk in chunks:
        yield envelope.rows_of(chunk)
    yield decode_page(envelope.rest)


def _cursor(value: object) -> str | None:
    """Return the cursor; any falsy value means the end, as in Truto's SDKs, and becomes None."""
    if not value:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        what = "its cursor is no string"
        raise BrokenBodyError(what)
    return str(value)


@dataclass
class _ArrivingEnvelope:
    """Takes the rows out of an envelope by quotes and brackets; the rest is an envelope, too."""

    _envelope: bytearray = field(default_factory=bytearray)
    """What has come of it, without the rows."""
    _row: bytearray = field(default_factory=bytearray)
    """What has come of a row that goes on."""
    _backslash: bytes = b""
    """One at the end of a chunk: the next byte tells what it means."""
    _depth: int = 0
    _in_text: bool = False
    _found_rows: bool = False
    """Whether a list of rows has begun; another one would be a part of the rest."""
    _in_rows: bool = False
    _has_rows: bool = False
    """Whether some row has come, so that a comma is to follow."""

    @property
    def rest(self) -> bytes:
        """The envelope without the rows that were taken out."""
        return bytes(self._envelope + self._row + self._backslash)

    def rows_of(self, chunk: bytes) -> Page:
        """Take a chunk, and return the rows that it completes."""
        chunk = self._backslash + chunk
        odd = (len(chunk) - len(chunk.rstrip(b"\\"))) % 2
        chunk, self._backslash = chunk[: len(chunk) - odd], chunk[len(chunk) - odd :]
        begin = row_end = position = 0
        page = Page([], unread=True)
        if self._in_text and (text := _REST_OF_TEXT.match(chunk)):
            self._in_text, position = not text[1], text.end()
        for mark in MARK.finditer(chunk, position):
            kind = chunk[mark.start() : mark.start() + 1]
            if kind == b'"':
                self._in_text = not mark[1]
            elif kind in OPENING:
                if kind == b"[" and self._depth == TOP and not self._found_rows:
                    self._envelope += chunk[begin : mark.end()]
                    begin = row_end = mark.end()
                    self._in_rows = _ROWS_BEGIN.search(self._envelope[-64:]) is not None
                    self._found_rows = self._in_rows
                self._depth += 1
            else:
                self._depth -= 1
                if self._in_rows and self._depth == TOP:
                    page = self._rows(bytes(self._row) + chunk[begin : mark.start()])
                    self._row.clear()
                    begin, self._in_rows = mark.start(), False
                elif self._in_rows and self._depth == TOP + 1:
                    row_end = mark.end()
        if not self._in_rows:
            self._envelope += chunk[begin:]
        elif row_end > begin:
            page = self._rows(bytes(self._row) + chunk[begin:row_end])
            self._row[:] = chunk[row_end:]
        else:
            self._row += chunk[begin:]
        return page

    def _rows(self, text: bytes) -> Page:
        """Decode rows with commas between them, and one before them unless they are the first."""
        decoder = Decoder(levels=MOST_LEVELS - TOP)
        text = text.strip(BLANKS)
        if not text:
            return Page([], unread=True)
        if self._has_rows:
            comma, text = text[:1], text[1:].strip(BLANKS)
            if comma != b"," or not text:
                raise BrokenBodyError(NO_ROWS)
        self._has_rows = True
        try:
            rows = decoder.decode(b"[%b]" % text)
        except (ValueError, RecursionError):
            raise BrokenBodyError(NO_ROWS) from None
        assert isinstance(rows, list)  # noqa: S101 - it has the brackets of a list
        return Page(rows, unread=True, replaced=decoder.replaced)
