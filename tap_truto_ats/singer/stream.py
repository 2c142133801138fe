"""Everything that leans on private parts of singer-sdk 0.54; `tests/test_sdk.py` pins each use.

| private name | why no public hook serves |
|---|---|
| `Stream._write_starting_replication_value` | writes a marker into the state for each partition |
| `Stream._increment_stream_state` | moves the bookmark with each record, comparing strings |
| `Stream._generate_record_messages` | walks each record twice more: selection and conformance |
| `Stream._sync_records` | handles each record alone: half of the time that a record takes |
| `Stream._write_record_message` | what a record goes through that does not go with its page |
| `Stream._write_schema_message` | comes before the records that another stream reads for it |
| `Stream._write_activate_version_message` | is sent before anything has been read |
| `Stream._tap`, `Stream._stream_version`, `Stream._initialized_at` | what those need |
| `Stream._finalize_state`, `Stream._write_state_message` | end a stream as the SDK does |
| `PluginBase._validate_config`, `PluginBase._config` | its messages quote values, a secret's too |
| `PluginBase._env_var_config`, `PluginBase._env_var_prefix` | a stray `.env` wins |
| `helpers._classproperty` | what that one is made of |
| `PluginBase._handle_termination` | exits in the middle of a line, and with 0 |
| `plugin_base._ConfigInput` | what `--config` becomes: its `config` and `parse_env` |
"""

from __future__ import annotations

import abc
import fcntl
import gc
import logging
import os
import signal
import sys
from contextlib import ExitStack, contextmanager, suppress
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
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from singer_sdk.tap_base import CliTestOptionValue

from tap_truto_ats.api.errors import RunError
from tap_truto_ats.model.records import kinds
from tap_truto_ats.settings.schema import from_environment, problems
from tap_truto_ats.singer.inputs import check_config, read_catalog, read_state
from tap_truto_ats.singer.output import target_watched, writing

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import FrameType

    import click
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog
    from singer_sdk.singerlib.encoding.simple import Message


logger = logging.getLogger(__name__)

GRACE_SECONDS = 5
"""What a run may take to end after a signal; a target that does not read would hold it for ever."""


PIPE_BYTES = 1 << 20
"""What a pipe to the target is made to hold, the most that Linux gives any user (`pipe(7)`)."""


LONG_STATE_BYTES = 1 << 16
"""A STATE message of some 300 bookmarks."""

OUTPUT_FOR_LONG_STATE = 4
"""How many times as long as a long STATE the output has to be before the next one: each holds all
bookmarks, so that one behind each account would be most of the output of a run over thousands."""


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
        """Start with nothing to write.

        A pipe's usual 64 KB last the target for less than the tap takes to make the next page.
        """
        super().__init__()
        self._pending = bytearray()
        self._too_deep = 0
        self._state_bytes = self._bytes_since_state = 0
        self.owes_state = False
        """Whether a STATE was put off."""
        with suppress(AttributeError, OSError):  # Another system, or no pipe.
            fcntl.fcntl(sys.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    @override
    def serialize_message(self, message: Message) -> bytearray:
        # The SDK would copy the whole state recursively, once an account.
        if isinstance(message, StateMessage):
            return serialize_jsonl({"type": "STATE", "value": message.value})
        return super().serialize_message(message)

    @override
    def write_message(self, message: Message) -> None:
        try:
            line = self.format_message(message)
        except RecursionError:
            self._too_deep += 1
            return
        self._pending += line
        if not isinstance(message, RecordMessage):
            self.flush()
        if isinstance(message, StateMessage):
            self._state_bytes, self._bytes_since_state = len(line), 0
            self.owes_state = False

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

    def puts_off_state(self) -> bool:
        """Tell whether too little has gone out since the last STATE for another of its length."""
        enough = OUTPUT_FOR_LONG_STATE * self._state_bytes
        self.owes_state = self._state_bytes > LONG_STATE_BYTES and self._bytes_since_state < enough
        return self.owes_state

    def flush(self) -> None:
        """Hand everything written so far to the target."""
        self._bytes_since_state += len(self._pending)
        with writing(), memoryview(self._pending) as pending:
            written = 0
            while written < len(pending):
                written += sys.stdout.buffer.write(pending[written:]) or 0
            sys.stdout.buffer.flush()
        self._pending.clear()
        if self._too_deep:
            logger.warning("%d records nest too deep to be written: not emitted.", self._too_deep)
            self._too_deep = 0


class PagedStream(Stream, abc.ABC):
    """A stream that is read in pages, and whose state is its own affair.

    All partitions are read together, and those of several streams in one loop: the first stream
    whose turn it is reads for its companions, too. A page goes to the target in one go, unless
    records have to pass through the SDK one by one: for stream maps, flattening, BATCH files and
    dry runs; the last two read each stream alone.
    """

    STATE_MSG_FREQUENCY = sys.maxsize

    key_columns: ClassVar[tuple[str, ...]]
    """What the primary key is made of, whatever a catalog says."""

    has_been_read = False

    _extracted_at: datetime | None = None
    """When the page of the records at hand arrived."""

    _has_begun = False

    @property
    def companions(self) -> list[PagedStream]:
        """The streams that are read in one loop with this one, itself included."""
        return [self]

    @property
    def has_version(self) -> bool:
        """Whether a target may delete what does not come."""
        return self._stream_version is not None

    @abc.abstractmethod
    def get_pages(self, *, alone: bool) -> Iterator[tuple[PagedStream, list[Record]]]:
        """Yield pages of records that are normalised and selected, each with its stream.

        When the next page is asked for, the last one has been handed to the target.

        Args:
            alone: Read no companions.
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
        for _, records in self.get_pages(alone=True):
            self._extracted_at = datetime.now(timezone.utc)
            yield from records
            if isinstance(self._tap.message_writer, PageWriter):
                self._tap.message_writer.flush()

    @override
    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Write BATCH files as the SDK does.

        Raises:
            RunError: A file could not be written.
        """
        try:
            yield from super().get_batches(batch_config, context)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            message = f"A BATCH file could not be written: {reason}. Make room, or write elsewhere."
            raise RunError(message) from None

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, None, None]:
        writer = self._tap.message_writer
        is_dry = not write_messages or self.ABORT_AT_RECORD_COUNT is not None
        if is_dry or not isinstance(writer, PageWriter):
            yield from super()._sync_records(context, write_messages=write_messages)
            return
        if not self.has_been_read:
            self._read_companions(writer)
        self._finalize_state(self.stream_state)
        self._write_state_message()

    def _read_companions(self, writer: PageWriter) -> None:
        streams = self.companions
        with ExitStack() as stack:
            counters = {}
            for stream in streams:
                stream.begin()
                counter = counters[stream.name] = stack.enter_context(stream.get_record_counter())
                counter.with_context({})
                stack.enter_context(stream.get_sync_timer()).with_context({})
            try:
                for stream, records in self.get_pages(alone=False):
                    stream.write(records, writer)
                    counters[stream.name].increment(len(records))
                    writer.flush()
            finally:
                if writer.owes_state:
                    self._tap.write_message(StateMessage(value=self.tap_state))
        for stream in streams:
            stream.has_been_read = True

    def begin(self) -> None:
        """Let records come before the SDK has come to this stream."""
        self._write_schema_message()
        if (
            self.replication_method == REPLICATION_FULL_TABLE
            and self.emit_activate_version_messages
        ):
            self._stream_version = self._initialized_at // 1000

    def write(self, records: list[Record], writer: PageWriter) -> None:
        """Write a page, in one go unless the user has set up something for each record."""
        self._extracted_at = datetime.now(timezone.utc)
        is_plain = [type(stream_map) for stream_map in self.stream_maps] == [
            SameRecordTransform
        ] and not self.stream_maps[0].flattening_enabled
        if is_plain:
            version, extracted_at = self._stream_version, self._extracted_at
            writer.write_records(
                [RecordLine(self.name, record, version, extracted_at) for record in records]
            )
        else:
            for record in records:
                self._write_record_message(record)

    @override
    def _write_schema_message(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            super()._write_schema_message()

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
        """Send a STATE message, whose records must all be out; a long one may wait.

        With BATCH files, records are not out before the SDK has sent their message; it sends a
        STATE of its own behind each.
        """
        writer = self._tap.message_writer
        is_put_off = isinstance(writer, PageWriter) and writer.puts_off_state()
        if not is_put_off and self.get_batch_config(self.config) is None:
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

    def sync_for_target(self) -> None:
        """Sync, as long as there is a target that reads.

        Raises:
            RunError: Nothing can be written, or nothing can be read.
        """
        with target_watched(lambda: self.stop(1)):
            self.sync_all()

    @override
    def run_discovery(self) -> str:
        with writing():
            catalog = super().run_discovery()
            sys.stdout.flush()
        return catalog

    @classmethod
    @override
    def print_about(cls, output_format: str | None = None) -> None:
        with writing():
            super().print_about(output_format)
            sys.stdout.flush()

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
                tap.run(tap.sync_for_target)

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
