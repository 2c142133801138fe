"""Everything that leans on private parts of singer-sdk 0.54; `tests/test_sdk.py` pins each use.

| private name | why no public hook serves |
|---|---|
| `Stream._write_starting_replication_value` | writes a marker into the state for each partition |
| `Stream._increment_stream_state` | moves the bookmark with each record, comparing strings |
| `Stream._generate_record_messages` | walks each record twice more: selection and conformance |
| `PluginBase._validate_config` | its messages quote values, a secret's too |
| `PluginBase._env_var_config` | what cannot be parsed ends in a traceback |
| `PluginBase._handle_termination` | exits in the middle of a line, and with 0 |
"""

from __future__ import annotations

import abc
import signal
import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from singer_sdk import Stream, Tap
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.contrib.msgspec import MsgSpecWriter, serialize_jsonl
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import RecordMessage, StateMessage

from tap_truto_ats.settings import problems

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import FrameType

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib.encoding.simple import Message


class PageWriter(MsgSpecWriter):
    """Writes records when their page is complete; every other message at once.

    Buffers by itself: with `PYTHONUNBUFFERED` set, stdout's own buffer is a raw file, whose `write`
    may take a part only when a signal arrives.
    """

    def __init__(self) -> None:
        """Start with nothing to write."""
        super().__init__()
        self._pending = bytearray()

    @override
    def serialize_message(self, message: Message) -> bytearray:
        # The SDK would copy the whole state recursively, once an account.
        if isinstance(message, StateMessage):
            return serialize_jsonl({"type": "STATE", "value": message.value})
        return super().serialize_message(message)

    @override
    def write_message(self, message: Message) -> None:
        self._pending += self.format_message(message)
        if not isinstance(message, RecordMessage):
            self.flush()

    def flush(self) -> None:
        """Hand everything written so far to the target."""
        with memoryview(self._pending) as pending:
            written = 0
            while written < len(pending):
                written += sys.stdout.buffer.write(pending[written:]) or 0
        self._pending.clear()
        sys.stdout.buffer.flush()


class PagedStream(Stream):
    """A stream whose records come out normalised and selected, and whose state is its own affair.

    `get_records` is called once for all partitions.
    """

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE
    STATE_MSG_FREQUENCY = sys.maxsize

    extracted_at: datetime | None = None
    """When the page of the records at hand arrived."""

    @property
    @override
    def partitions(self) -> None:
        return None

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        return None

    @contextmanager
    def page(self) -> Iterator[None]:
        """Hand the records of a page to the target when all of them are written."""
        self.extracted_at = datetime.now(timezone.utc)
        yield
        writer = self._tap.message_writer
        if isinstance(writer, PageWriter):
            writer.flush()

    def write_state(self) -> None:
        """Send a STATE message, whose records must all be out.

        With BATCH files, records are not out before the SDK has sent their message; it sends a
        STATE of its own behind each.
        """
        if self.get_batch_config(self.config) is None:
            self._tap.write_message(StateMessage(value=self.tap_state))

    def is_selected(self, breadcrumb: tuple[str, ...]) -> bool:
        """Tell whether the catalog selects a property."""
        return self.mask[breadcrumb]

    @override
    def _write_starting_replication_value(self, context: Context | None) -> None:
        pass

    @override
    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        pass

    @override
    def _generate_record_messages(self, record: Record) -> Generator[RecordMessage, None, None]:
        for stream_map in self.stream_maps:
            mapped = stream_map.transform(record)
            if mapped is not None:
                yield RecordMessage(
                    stream=stream_map.stream_alias,
                    record=mapped,
                    version=self._stream_version,
                    time_extracted=self.extracted_at,
                )


class StoppableTap(Tap, abc.ABC):
    """A tap that names what is wrong with its settings, and that ends a run between two pages."""

    message_writer_class = PageWriter

    @abc.abstractmethod
    def stop(self, exit_code: int) -> None:
        """End the run soon; called from a signal handler."""

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        self.append_builtin_config(self.config_jsonschema)
        errors = problems(self._config, self.config_jsonschema)
        if errors and raise_errors:
            summary = "The settings are not valid"
            raise ConfigValidationError(summary, errors=errors, schema=self.config_jsonschema)
        return errors

    @classproperty
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805
        cls.append_builtin_config(cls.config_jsonschema)
        found: dict[str, Any] = {}
        errors: list[str] = []
        for name, definition in cls.config_jsonschema["properties"].items():
            one = {"properties": {name: definition}}
            try:
                found |= parse_environment_config(one, cls._env_var_prefix)
            except ValueError:
                variable = f"{cls._env_var_prefix}{name.upper()}"
                errors.append(f"Setting '{name}': {variable} cannot be read as its type")
        if errors:
            summary = "The environment's settings are not valid"
            raise ConfigValidationError(summary, errors=errors, schema=cls.config_jsonschema)
        return found

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_DFL)
        self.stop(128 + signum)
