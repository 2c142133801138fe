"""A stream that is read in pages, together with the other streams of its class.

These private names of singer-sdk are overridden or called, since no public hook does the same;
`tests/singer/test_stream.py` pins each use.

| private name | why it is needed |
|---|---|
| `Stream._sync_records` | handles each record alone, which is half of the time a record takes |
| `Stream._generate_record_messages` | walks each record twice more: selection and conformance |
| `Stream._generate_schema_messages` | names the replication key as it is before mapping |
| `Stream._increment_stream_state` | moves the bookmark with each record, comparing strings |
| `Stream._write_starting_replication_value` | writes a marker into the state for each partition |
| `Stream._write_schema_message` | would repeat a SCHEMA that went out before |
"""

from __future__ import annotations

import abc
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Stream, Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.mapper import RemoveRecordTransform
from singer_sdk.singerlib import ActivateVersionMessage, RecordMessage, SchemaMessage
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from typing_extensions import Self, override

from tap_truto_ats.api.errors import RunError
from tap_truto_ats.singer.catalogs import refusals
from tap_truto_ats.singer.maps import flat_names, is_plain
from tap_truto_ats.singer.writer import PageWriter, RecordLine

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from datetime import datetime

    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog


class PagedStream(Stream, abc.ABC):
    """A stream that is read in pages, and that moves its bookmarks by itself.

    The first stream of a class that the SDK syncs reads all selected streams of that class in one
    loop. A page is encoded in one go, unless each record has to pass through the SDK: for
    stream maps, flattening, BATCH files and dry runs. For the last two, each stream is read alone.
    """

    STATE_MSG_FREQUENCY = sys.maxsize

    key_columns: ClassVar[tuple[str, ...]]
    """The columns of the primary key, whatever a catalog says."""

    has_been_read = False
    """Whether its records are out, though the SDK may not have come to the stream yet."""

    _has_sent_schema = False
    _extracted_at: datetime | None = None
    """The time that the records at hand carry; `get_pages` sets it."""

    def __init__(self, tap: Tap, schema: dict[str, Any], name: str | None = None) -> None:
        """Remember the tap, which has the writer, the state and the other streams."""
        super().__init__(tap, schema=schema, name=name)
        self.tap = tap
        assert isinstance(tap.message_writer, PageWriter)  # noqa: S101 - a `CommandLineTap` has one
        self._writer = tap.message_writer

    @property
    def version(self) -> int | None:
        """The version of the table in RECORD and ACTIVATE_VERSION messages; None without them.

        With a version, a target may delete the rows that did not come.
        """
        is_whole = self.replication_method == REPLICATION_FULL_TABLE
        is_wanted = is_whole and self.config.get("emit_activate_version_messages")
        return self.tap.initialized_at // 1000 if is_wanted else None

    @abc.abstractmethod
    def get_pages(self, streams: Sequence[Self]) -> Iterator[tuple[Self, list[Record]]]:
        """Yield pages of records of all these streams, normalised and selected, with their stream.

        When the next page is asked for, the last one has been handed to the target. A page may hold
        nothing: one comes at least once a second, so that no STATE is late.
        """

    @abc.abstractmethod
    def missing(self) -> str | None:
        """Return what was not read, so that rows which did not come may exist; None if all was."""

    @property
    @override
    def partitions(self) -> None:
        return None

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        return None

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        for _, records in self.get_pages([self]):
            yield from records
            self._writer.flush()
            self._write_due_state()

    @override
    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Write BATCH files as the SDK does, but say in a line why one could not be written."""
        try:
            with suppress(ImportError):  # It comes again below.
                batch_config.storage.get_url("")
        except Exception:  # noqa: BLE001 - other packages read the address
            message = (
                "Setting 'batch_config.storage.root' takes a folder, or an address as fsspec's."
            )
            raise RunError(message) from None
        try:
            yield from super().get_batches(batch_config, context)
        except ImportError as error:  # Its text names the package that is missing.
            message = f"Setting 'batch_config.storage.root' needs a package: {error}."
            raise RunError(message) from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            message = f"A BATCH file could not be written: {reason}. Make room, or write elsewhere."
            raise RunError(message) from None
        except Exception as error:
            if not type(error).__module__.startswith("pyarrow"):
                raise
            message = (
                f"A BATCH file could not be written: a column of {self.name} has values of several"
                " types or of none, which parquet does not hold. Deselect it (`custom_fields`, most"
                " likely), or take the format jsonl."
            )
            raise RunError(message) from None

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, None, None]:
        if not write_messages or self.ABORT_AT_RECORD_COUNT is not None:
            yield from super()._sync_records(context, write_messages=write_messages)
            return
        if self.has_been_read:
            return
        try:
            self._read_streams_of_its_class()
        finally:
            self.state_manager.finalize_state(self.stream_state)
            # Some targets hand on a state only when no record follows it.
            self._writer.write_state(self.tap_state)

    def _read_streams_of_its_class(self) -> None:
        streams = [
            one
            for one in self.tap.streams.values()
            if isinstance(one, type(self)) and one.selected and not one.has_been_read
        ]
        with ExitStack() as stack:
            counters = {}
            for stream in streams:
                stream._write_schema_message()  # noqa: SLF001 - a stream of the same class
                counter = counters[stream.name] = stack.enter_context(stream.get_record_counter())
                counter.with_context({})
                stack.enter_context(stream.get_sync_timer()).with_context({})
            for stream, records in self.get_pages(streams):
                stream.write(records)
                counters[stream.name].increment(len(records))
                self._writer.flush()
                self._write_due_state()
        for stream in streams:
            stream.has_been_read = True

    def write(self, records: list[Record]) -> None:
        """Write a page, in one go unless the user has set up something for each record."""
        if is_plain(self.stream_maps):
            version, at = self.version, self._extracted_at
            lines = [RecordLine(self.name, record, version, at) for record in records]
            self._writer.write_records(lines)
        else:
            for record in records:
                for message in self._generate_record_messages(record):
                    self._writer.write_message(message)

    @override
    def _generate_schema_messages(self) -> Generator[SchemaMessage, None, None]:
        for message in super()._generate_schema_messages():
            names = flat_names(self.stream_maps[0], message.bookmark_properties or ())
            columns = message.schema["properties"]
            message.bookmark_properties = [name for name in names if name in columns] or None
            yield message

    @override
    def _write_schema_message(self) -> None:
        if not self._has_sent_schema:
            self._has_sent_schema = True
            super()._write_schema_message()

    @property
    @override
    def emit_activate_version_messages(self) -> bool:
        """False for the SDK, which sends them before anything is read: targets would delete all."""
        return False

    @override
    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """End the stream after its last message, BATCH messages included."""
        super().finalize_state_progress_markers(state)
        if self.version is None:
            return
        missing = self.missing()
        if self.get_batch_config(self.config) is not None:
            # The SDK writes no version into the files (meltano/sdk), so that all rows would go.
            missing = "the rows of BATCH files carry no version"
        if missing:
            self.logger.warning(
                "No ACTIVATE_VERSION for %s, so that nothing is deleted: %s.", self.name, missing
            )
        else:
            for stream_map in self.stream_maps:
                if not isinstance(stream_map, RemoveRecordTransform):
                    message = ActivateVersionMessage(stream_map.stream_alias, self.version)
                    self.tap.write_message(message)

    def write_state(self) -> None:
        """Take note that a bookmark moved, so that a STATE message is owed; its records are out."""
        self._writer.owe_state()

    def _write_due_state(self) -> None:
        """Send a STATE message if one is owed and its time has come.

        With BATCH files, the records are not out before the SDK has sent their message; it sends a
        STATE of its own behind each.
        """
        is_batch = self.get_batch_config(self.config) is not None
        if not is_batch and self._writer.state_is_due():
            self._writer.write_state(self.tap_state)

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take what a catalog says of the stream.

        Raises:
            ConfigValidationError: It asks for what the stream cannot do, or what would mix up rows.
        """
        replication_key = self.replication_key
        entry = catalog.get_stream(self.name)
        if entry and () not in entry.metadata:
            entry.metadata.root.selected = self.selected_by_default
        super().apply_catalog(catalog)
        if entry is None:
            self.selected = False
        elif self.selected:
            columns = self.schema["properties"]
            if errors := [*refusals(entry, columns, self.key_columns, replication_key)]:
                summary = "The catalog is not valid"
                raise ConfigValidationError(summary, errors=errors, schema={})
            keys = dict.fromkeys(self.primary_keys or self.key_columns)
            entry.key_properties = self.primary_keys = [*keys]
        self.replication_key = replication_key

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
            columns = stream_map.transform(record)
            if columns is not None:
                yield RecordMessage(
                    stream=stream_map.stream_alias,
                    record=columns,
                    version=self.version,
                    time_extracted=self._extracted_at,
                )
