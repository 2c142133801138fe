"""A tap with a stream as singer-sdk has it, and with one as this tap has it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Stream

from tap_truto_ats.singer.command_line import CommandLineTap
from tap_truto_ats.singer.stream import PagedStream
from tap_truto_ats.singer.writer import PageWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from singer_sdk.helpers.types import Context, Record
    from typing_extensions import Self

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": ["string", "null"]},
        "updated_at": {"type": ["string", "null"], "format": "date-time"},
        "score": {"type": ["number", "null"]},
    },
}
MARCH, APRIL = "2026-03-01T00:00:00+00:00", "2026-04-01T00:00:00+00:00"
ROWS = [{"id": 1, "updated_at": MARCH, "score": 1.5}, {"id": 2, "updated_at": APRIL, "x": 3}]


class Collector(PageWriter):
    """Keeps messages instead of writing them."""

    def __init__(self) -> None:
        super().__init__()
        self._collected: list[dict[str, Any]] = []

    def flush(self) -> None:
        self._collected += map(json.loads, self._pending.splitlines())
        self._pending.clear()

    @property
    def messages(self) -> list[dict[str, Any]]:
        self.flush()
        return self._collected

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]


class PlainStream(Stream):
    """A stream as the SDK has it."""

    name = "plain"
    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    replication_key = "updated_at"

    def get_records(self, context: Context | None) -> Iterable[Record]:
        del context
        yield from (dict(row) for row in ROWS)


class OwnStream(PagedStream):
    """The same as the tap has it."""

    name = "own"
    key_columns = ("id",)
    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    replication_key = "updated_at"

    unread: str | None = None

    def get_pages(self, streams: Sequence[Self]) -> Iterator[tuple[Self, list[Record]]]:
        for stream in streams:
            stream._extracted_at = datetime.now(timezone.utc)
            yield stream, [dict(row) for row in ROWS]

    def missing(self) -> str | None:
        return self.unread


class OneTap(CommandLineTap):
    """A tap of both streams that leaves the process's signals alone."""

    name = "tap-one"
    config_jsonschema: ClassVar[dict[str, Any]] = {
        "properties": {
            "size": {"type": ["integer", "null"]},
            "word": {"type": ["string", "null"]},
            "emit_activate_version_messages": {"type": ["boolean", "null"]},
        }
    }
    stopped: int | None = None

    def _setup_signal_handlers(self) -> None:
        pass

    def discover_streams(self) -> Sequence[Stream]:
        return [OwnStream(self, schema=SCHEMA), PlainStream(self, schema=SCHEMA)]

    def stop(self, exit_code: int) -> None:
        self.stopped = exit_code

    def test(self) -> None:
        pass

    def watching(self) -> AbstractContextManager[None]:
        return nullcontext()

    def end(self) -> bool:
        return True


def synced(name: str, state: dict[str, Any] | None = None) -> Collector:
    """Sync one stream and tell what it wrote."""
    writer = Collector()
    tap = OneTap(state=state, message_writer=writer)
    tap.streams[name].sync()
    return writer
