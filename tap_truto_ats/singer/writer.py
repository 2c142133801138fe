"""Writing Singer messages to stdout, a page of records at a time."""

from __future__ import annotations

import fcntl
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.contrib.msgspec import MsgSpecWriter, encoder
from singer_sdk.singerlib import RecordMessage, StateMessage
from typing_extensions import override

from tap_truto_ats.singer.output import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from singer_sdk.helpers.types import TapState
    from singer_sdk.singerlib.encoding.simple import Message

PIPE_BYTES = 1 << 20
"""The capacity given to the pipe to the target: the most that Linux gives any user (`pipe(7)`)."""

STATE_SECONDS = 5.0
"""The time between two STATE messages, each of which holds all bookmarks."""


class RecordLine(msgspec.Struct, tag_field="type", tag="RECORD", omit_defaults=True):
    """A RECORD message, encoded as the SDK's writer encodes its own, in a fifth of the time."""

    stream: str
    record: dict[str, Any]
    version: int | None = None
    time_extracted: datetime | None = None


class PageWriter(MsgSpecWriter):
    """Writes records when their page is complete, and every other message at once.

    It has a buffer of its own: with `PYTHONUNBUFFERED` set, stdout's buffer is a raw file, whose
    `write` may take only a part of the bytes when a signal arrives.
    """

    def __init__(self) -> None:
        """Enlarge the pipe to the target, so that the target need not wait for the next page."""
        super().__init__()
        self._pending = bytearray()
        self.owes_state = False
        """Whether a bookmark moved since the last STATE message."""
        self.is_state_out = False
        """Whether the last message was a STATE, and no bookmark moved since."""
        self._due_at = 0.0
        self.before_state: Callable[[], None] = lambda: None
        """Writes what has to come before the next STATE."""
        with suppress(AttributeError, OSError):  # Stdout is no pipe, or the system is not Linux.
            fcntl.fcntl(sys.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    @override
    def write_message(self, message: Message) -> None:
        self.is_state_out = isinstance(message, StateMessage)
        self.owes_state &= not self.is_state_out
        if isinstance(message, StateMessage):
            self._write_state(message.value)
            return
        self._pending += self.format_message(message)
        if not isinstance(message, RecordMessage):
            self.flush()

    def write_state(self, state: TapState) -> None:
        """Write a STATE message, unless it would be the same as the last message."""
        self.before_state()
        if not self.is_state_out:
            self.write_message(StateMessage(value=state))

    def _write_state(self, state: Mapping[str, Any]) -> None:
        """Write a STATE message stream by stream: the SDK would copy the whole state for each."""
        opening = b'{"type":"STATE","value":{'
        for name, part in state.items():
            self._pending += opening + encoder.encode(name) + b":"
            opening = b","
            if name == "bookmarks":
                begin = b"{"
                for stream, bookmarks in part.items():
                    self._pending += begin + encoder.encode(stream) + b":"
                    self._pending += encoder.encode(bookmarks)
                    begin = b","
                    if len(self._pending) > PIPE_BYTES:
                        self.flush()
                self._pending += b"}" if part else b"{}"
            else:
                self._pending += encoder.encode(part)
        self._pending += b"}}\n" if state else opening + b"}}\n"
        self.flush()

    def write_records(self, lines: list[RecordLine]) -> None:
        """Write the records of a page in one go; `flush` hands them to the target."""
        self.is_state_out &= not lines
        self._pending += encoder.encode_lines(lines)

    def owe_state(self) -> None:
        """Take note that a bookmark moved, all of whose records are out."""
        self.owes_state, self.is_state_out = True, False

    def state_is_due(self) -> bool:
        """Return whether a STATE is owed, and the last such one was due long enough ago."""
        now = time.monotonic()
        if not self.owes_state or now < self._due_at:
            return False
        self._due_at = now + STATE_SECONDS
        return True

    def flush(self) -> None:
        """Hand everything written so far to the target."""
        with writing(), memoryview(self._pending) as pending:
            written = 0
            while written < len(pending):
                written += sys.stdout.buffer.write(pending[written:]) or 0
            sys.stdout.buffer.flush()
        self._pending = bytearray()  # Not cleared: a slice of the old one may be looked at still.
