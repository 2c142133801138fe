"""Everything that leans on private parts of singer-sdk 0.54; `tests/test_sdk.py` pins each use.

| private name | why no public hook serves |
|---|---|
| `Stream._write_starting_replication_value` | writes a marker into the state for each partition |
| `Stream._increment_stream_state` | moves the bookmark with each record, comparing strings |
| `Stream._generate_record_messages` | walks each record twice more: selection and conformance |
| `Stream._sync_records` | handles each record alone: half of the time that a record takes |
| `Stream._write_activate_version_message` | is sent before anything has been read |
| `Stream._tap`, `Stream._stream_version` | what those need of the stream |
| `Stream._finalize_state`, `Stream._write_state_message` | end a stream as the SDK does |
| `PluginBase._validate_config`, `PluginBase._config` | its messages quote values, a secret's too |
| `PluginBase._env_var_config`, `PluginBase._env_var_prefix` | a stray `.env` wins |
| `helpers._classproperty` | what that one is made of |
| `PluginBase._handle_termination` | exits in the middle of a line, and with 0 |
| `plugin_base._ConfigInput` | what `--config` becomes: its `config` and `parse_env` |
"""

from __future__ import annotations

import abc
import gc
import logging
import os
import signal
import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from singer_sdk import Stream, Tap
from singer_sdk.contrib.msgspec import MsgSpecWriter, encoder, serialize_jsonl
from singer_sdk.exceptions import (
    ConfigValidationError,
    MapExpressionError,
    StreamMapConfigError,
)
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib import RecordMessage, StateMessage
from singer_sdk.tap_base import CliTestOptionValue

from tap_truto_ats.errors import RunError
from tap_truto_ats.inputs import check_config, read_catalog, read_state
from tap_truto_ats.records import kinds
from tap_truto_ats.settings import from_environment, problems

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import FrameType

    import click
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog
    from singer_sdk.singerlib.encoding.simple import Message


logger = logging.getLogger(__name__)

GRACE_SECONDS = 5
"""What a run may take to end after a signal; a target that does not read would hold it for ever."""


class RecordLine(msgspec.Struct, tag_field="type", tag="RECORD", omit_defaults=True):
    """A RECORD message, encoded as the SDK's writer encodes its own, in a fifth of the time."""

    stream: str
    record: dict[str, Any]
    version: int | None = None
    time_extracted: datetime | None = None


class PageWriter(MsgSpecWriter):
    """Writes records when their page is complete; every other message at once.

    Buffers by itself: with `PYTHONUNBUFFERED` set, stdout's own buffer is a raw file, whose `write`
    may take a part only when a signal arrives.
    """

    def __init__(self) -> None:
        """Start with nothing to write."""
        super().__init__()
        self._pending = bytearray()
        self._too_deep = 0

    @override
    def serialize_message(self, message: Message) -> bytearray:
        # The SDK would copy the whole state recursively, once an account.
        if isinstance(message, StateMessage):
            return serialize_jsonl({"type": "STATE", "value": message.value})
        return super().serialize_message(message)

    @override
    def write_message(self, message: Message) -> None:
        try:
            self._pending += self.format_message(message)
        except RecursionError:
            self._too_deep += 1
        if not isinstance(message, RecordMessage):
            self.flush()

    def write_records(self, lines: list[RecordLine]) -> None:
        """Write the records of a page in one go."""
        try:
            self._pending += encoder.encode_lines(lines)
        except RecursionError:
            for line in lines:
                self.write_message(
                    RecordMessage(
                        stream=line.stream,
                        record=line.record,
                        version=line.version,
                        time_extracted=line.time_extracted,
                    )
                )

    def flush(self) -> None:
        """Hand everything written so far to the target."""
        with memoryview(self._pending) as pending:
            written = 0
            while written < len(pending):
                written += sys.stdout.buffer.write(pending[written:]) or 0
        self._pending.clear()
        sys.stdout.buffer.flush()
        if self._too_deep:
            logger.warning("%d records nest too deep to be written: not emitted.", self._too_deep)
            self._too_deep = 0


class PagedStream(Stream, abc.ABC):
    """A stream that is read in pages, and whose state is its own affair.

    All partitions are read together. A page goes to the target in one go, unless records have to
    pass through the SDK one by one: for stream maps, flattening, BATCH files and dry runs.
    """

    STATE_MSG_FREQUENCY = sys.maxsize

    key_columns: ClassVar[tuple[str, ...]]
    """What the primary key is made of, whatever a catalog says."""

    _extracted_at: datetime | None = None
    """When the page of the records at hand arrived."""

    @abc.abstractmethod
    def get_pages(self) -> Iterator[list[Record]]:
        """Yield pages of records that are normalised and selected.

        When the next page is asked for, the last one has been handed to the target.
        """

    @abc.abstractmethod
    def missing(self) -> str | None:
        """Tell what was not read, so that rows which did not come may exist all the same."""

    @property
    @override
    def partitions(self) -> None:
        return None

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        return None

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        for records in self._arriving_pages():
            yield from records

    def _arriving_pages(self) -> Iterator[list[Record]]:
        for records in self.get_pages():
            self._extracted_at = datetime.now(timezone.utc)
            yield records
            if isinstance(self._tap.message_writer, PageWriter):
                self._tap.message_writer.flush()

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, None, None]:
        writer = self._tap.message_writer
        is_plain = (
            [type(stream_map) for stream_map in self.stream_maps] == [SameRecordTransform]
            and not self.stream_maps[0].flattening_enabled
            and self.ABORT_AT_RECORD_COUNT is None
        )
        if not (is_plain and write_messages and isinstance(writer, PageWriter)):
            yield from super()._sync_records(context, write_messages=write_messages)
            return
        with self.get_record_counter() as counter, self.get_sync_timer() as timer:
            counter.with_context({})
            timer.with_context({})
            for records in self._arriving_pages():
                version, extracted_at = self._stream_version, self._extracted_at
                writer.write_records(
                    [RecordLine(self.name, record, version, extracted_at) for record in records]
                )
                counter.increment(len(records))
        self._finalize_state(self.stream_state)
        self._write_state_message()

    @override
    def _write_activate_version_message(self, full_table_version: int) -> None:
        """Wait: at the start of a run, a target with hard deletes would empty its table."""

    @override
    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """End the stream after its last message, BATCH messages included."""
        super().finalize_state_progress_markers(state)
        if self._stream_version is None:
            return
        if missing := self.missing():
            self.logger.warning(
                "No ACTIVATE_VERSION for %s, so that nothing is deleted: %s.", self.name, missing
            )
        else:
            super()._write_activate_version_message(self._stream_version)

    def warn_of_unreadable(self, account: str, unreadable: Mapping[str, int]) -> None:
        """Log how many of an account's values became null, field by field."""
        for name, count in unreadable.items():
            self.logger.warning(
                "Account %s: %d values of %s.%s could not be read and became null.",
                account,
                count,
                self.name,
                name,
            )

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
    def apply_catalog(self, catalog: Catalog) -> None:
        super().apply_catalog(catalog)
        own, given = self.schema["properties"], self.effective_schema.get("properties", {})
        errors = [
            f"The catalog must select the column {key} of {self.name}, as discovered."
            for key in self.key_columns
            if set(kinds(given.get(key, {}))) != set(kinds(own[key]))
            or not self.is_selected(("properties", key))
        ]
        if errors and self.selected:
            summary = "The catalog is not valid"
            raise ConfigValidationError(summary, errors=errors, schema={})

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
            failure = ""
            try:
                mapped = stream_map.transform(record)
            except Exception as error:  # noqa: BLE001 - the user's expression can raise anything
                failure = type(error).__name__
            if failure:
                # Raised out here, since the caught error's text may quote the record.
                message = f"The stream map of {self.name} fails on a record: {failure}."
                raise RunError(message)
            if mapped is not None:
                yield RecordMessage(
                    stream=stream_map.stream_alias,
                    record=mapped,
                    version=self._stream_version,
                    time_extracted=self._extracted_at,
                )


class CommandLineTap(Tap, abc.ABC):
    """A tap whose command line names what is wrong in a line, and ends a run between two pages."""

    message_writer_class = PageWriter

    @abc.abstractmethod
    def stop(self, exit_code: int) -> None:
        """End the run soon; called from a signal handler."""

    @abc.abstractmethod
    def look(self) -> None:
        """Ask each account of the run for its first page of each resource; write nothing."""

    @abc.abstractmethod
    def watching(self) -> AbstractContextManager[None]:
        """Show how far the run is while it goes on."""

    @abc.abstractmethod
    def end(self) -> bool:
        """Log what the run did; tell whether it may count as a success."""

    def run(self, work: Callable[[], None]) -> None:
        """Do the work and report on it.

        Raises:
            SystemExit: Code 1, when an account or the run failed; the reason is in the log.
        """
        went_well = False
        try:
            work()
        except RunError as error:
            self.logger.error("%s", error)  # noqa: TRY400 - the user's to mend: no traceback
        else:
            went_well = True
        finally:
            went_well = self.end() and went_well
        if not went_well:
            sys.exit(1)

    @classmethod
    @override
    def invoke(cls, *, about: bool = False, about_format: str | None = None, **kwargs: Any) -> None:
        """Run the tap as the SDK does, and exit with 1 when an account failed.

        Args:
            about: Print the settings instead.
            about_format: The form to print them in.
            kwargs: The parsed options `config`, `state` and `catalog`.
        """
        # Records are trees, which are freed without it: the search for cycles among them would
        # take a sixth of a run's time.
        gc.freeze()
        gc.set_threshold(100_000)
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        state, catalog = read_state(kwargs["state"]), read_catalog(kwargs["catalog"])
        config = kwargs["config"]
        with cls._named_errors():
            tap = cls(
                config=config.config,
                state=state,
                catalog=catalog,
                parse_env_config=config.parse_env,
            )
            with tap.watching():
                tap.run(tap.sync_all)

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Look at every account; the SDK would end at the first record of the first account."""
        config = ctx.params["config"]
        with cls._named_errors():
            if value != CliTestOptionValue.All.value:
                super().cb_test(ctx, param, value)
                return
            tap = cls(config=config.config, parse_env_config=config.parse_env)
            tap.run(tap.look)
        ctx.exit()

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the configuration files, naming the one that cannot be read."""
        for name in value:
            if name != "ENV":
                check_config(name)
        return super().cb_config(ctx, param, value)

    @classmethod
    @contextmanager
    def _named_errors(cls) -> Iterator[None]:
        """Log what is wrong with settings or catalog, a line each, and exit with 1."""
        try:
            yield
        except ConfigValidationError as error:
            lines = error.errors
        except (MapExpressionError, StreamMapConfigError) as error:
            lines = [f"Setting 'stream_maps': {error}"]
        else:
            return
        for line in lines:
            cls.logger.error("%s", line)
        sys.exit(1)

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
        found, errors = from_environment(os.environ, cls._env_var_prefix, cls.config_jsonschema)
        if errors:
            summary = "The environment's settings are not valid"
            raise ConfigValidationError(summary, errors=errors, schema=cls.config_jsonschema)
        return found

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        code = 128 + signum
        signal.signal(signum, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, lambda *_: os._exit(code))
        signal.alarm(GRACE_SECONDS)
        self.stop(code)
