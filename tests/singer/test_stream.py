"""The parts of singer-sdk that the tap leans on without a promise: a new version may move them.

Each test says what would have to be looked at again in `tap_truto_ats/singer/`.
"""

from __future__ import annotations

import fcntl
import inspect
import io
import json
import os
import re
import signal
import sys
from contextlib import nullcontext
from dataclasses import fields
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.contrib.msgspec import MsgSpecWriter, encoder, serialize_jsonl
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.helpers._state import StateWriter, increment_state
from singer_sdk.plugin_base import PluginBase, _ConfigInput
from singer_sdk.singerlib import RecordMessage, StateMessage

from tap_truto_ats.singer import stream as sdk
from tap_truto_ats.singer.stream import CommandLineTap, PagedStream, PageWriter, RecordLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib.encoding.simple import Message

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
        self.messages: list[dict[str, Any]] = []

    def write_message(self, message: Message) -> None:
        self.messages.append(json.loads(self.format_message(message)))

    def write_records(self, lines: list[RecordLine]) -> None:
        self.messages += map(json.loads, encoder.encode_lines(lines).splitlines())

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
    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    replication_key = "updated_at"

    unread: str | None = None

    def get_pages(self, *, alone: bool) -> Iterator[tuple[PagedStream, list[Record]]]:
        for stream in [self] if alone else self.companions:
            yield stream, [dict(row) for row in ROWS]

    def missing(self) -> str | None:
        return self.unread


class OneTap(CommandLineTap):
    """A tap of both streams that leaves the process's signals alone."""

    name = "tap-one"
    config_jsonschema: ClassVar[dict[str, Any]] = {
        "properties": {"size": {"type": ["integer", "null"]}, "word": {"type": ["string", "null"]}}
    }
    stopped: int | None = None

    def _setup_signal_handlers(self) -> None:
        pass

    def discover_streams(self) -> Sequence[Stream]:
        return [OwnStream(self, schema=SCHEMA), PlainStream(self, schema=SCHEMA)]

    def stop(self, exit_code: int) -> None:
        self.stopped = exit_code

    def look(self) -> None:
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


OVERRIDDEN: dict[str, tuple[type, str, str]] = {
    "Stream._write_starting_replication_value": (Stream, PagedStream.__name__, "(self, context)"),
    "Stream._increment_stream_state": (
        Stream,
        PagedStream.__name__,
        "(self, latest_record, *, context=None)",
    ),
    "Stream._generate_record_messages": (Stream, PagedStream.__name__, "(self, record)"),
    "Stream._write_schema_message": (Stream, PagedStream.__name__, "(self)"),
    "PluginBase._validate_config": (
        PluginBase,
        CommandLineTap.__name__,
        "(self, *, raise_errors=True)",
    ),
    "PluginBase._handle_termination": (
        PluginBase,
        CommandLineTap.__name__,
        "(self, signum, frame)",
    ),
}
"""Private methods that are overridden, with their signatures."""


def signature(owner: type, name: str) -> str:
    found = inspect.signature(getattr(owner, name))
    bare = [one.replace(annotation=one.empty) for one in found.parameters.values()]
    return str(inspect.Signature(bare))


@pytest.mark.parametrize(("owner", "by", "expected"), OVERRIDDEN.values(), ids=OVERRIDDEN)
def test_what_is_overridden_has_the_signature_of_its_override(
    owner: type, by: str, expected: str, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id.split(".")[1]
    assert signature(owner, name) == expected
    assert signature(getattr(sdk, by), name) == expected


def test_the_module_lists_every_private_method_that_it_overrides() -> None:
    listed = set(re.findall(r"`\w+\.(_\w+)`", sdk.__doc__ or ""))
    overridden = {
        name
        for one in (PagedStream, CommandLineTap)
        for name in vars(one)
        if re.match("_[a-z]", name)
        and not name.startswith("_abc_")
        and any(name in vars(base) for base in one.__mro__[1:])
    }
    assert overridden <= listed
    private = {name for one in (Stream, *Tap.__mro__) for name in vars(one)}
    attributes = {"_tap", "_stream_version", "_initialized_at", "_config"}
    modules = {"_classproperty", "_ConfigInput"}
    assert listed - private == attributes | modules


@pytest.mark.parametrize(
    "name",
    [
        *("_tap", "_stream_version", "_initialized_at", "stream_maps", "mask", "tap_state"),
        "stream_state",
    ],
)
def test_what_a_stream_is_read_for_exists(name: str) -> None:
    assert hasattr(OneTap(message_writer=Collector()).streams["own"], name)


def test_what_the_environment_is_read_with_exists() -> None:
    assert OneTap._env_var_prefix == "TAP_ONE_"
    assert issubclass(classproperty, property)
    assert {one.name for one in fields(_ConfigInput)} == {"config", "parse_env"}


class TestState:
    """The SDK moves bookmarks row by row; the tap's streams keep out of that."""

    STATE: ClassVar[dict[str, Any]] = {
        "bookmarks": {
            name: {
                "partitions": [
                    {
                        "context": {"account": "a1"},
                        "replication_key": "updated_at",
                        "replication_key_value": MARCH,
                    }
                ]
            }
            for name in ("own", "plain")
        }
    }

    def test_a_plain_stream_moves_its_bookmark_by_itself(self) -> None:
        state = synced("plain").of("STATE")[-1]["value"]["bookmarks"]["plain"]
        assert state["replication_key_value"] == APRIL

    def test_a_plain_stream_turns_the_states_partitions_into_its_own(self) -> None:
        writer = synced("plain", json.loads(json.dumps(self.STATE)))
        assert len(writer.of("RECORD")) == len(ROWS)
        tap = OneTap(state=json.loads(json.dumps(self.STATE)), message_writer=Collector())
        assert tap.streams["plain"].partitions == [{"account": "a1"}]

    def test_an_own_stream_leaves_the_state_alone(self) -> None:
        before = json.loads(json.dumps(self.STATE))
        for state in (synced("own", before).of("STATE")[-1]["value"], before):
            assert state["bookmarks"]["own"] == self.STATE["bookmarks"]["own"]

    def test_an_own_stream_has_no_partitions_whatever_the_state_holds(self) -> None:
        tap = OneTap(state=json.loads(json.dumps(self.STATE)), message_writer=Collector())
        assert tap.streams["own"].partitions is None

    def test_a_plain_stream_caps_at_stream_level_an_own_one_does_not(self) -> None:
        streams = OneTap(message_writer=Collector()).streams
        assert isinstance(streams["plain"].get_replication_key_signpost(None), datetime)
        assert streams["own"].get_replication_key_signpost(None) is None

    def test_the_sdk_compares_strings(self) -> None:
        state: dict[str, Any] = {}
        for value in ("2026-03-01T13:00:00+02:00", "2026-03-01T12:00:00+00:00"):
            increment_state(
                state,
                latest_record={"updated_at": value},
                replication_key="updated_at",
                is_sorted=False,
                check_sorted=True,
            )
        assert state["progress_markers"]["replication_key_value"] == "2026-03-01T13:00:00+02:00"

    def test_the_sdk_needs_the_replication_key_in_each_record(self) -> None:
        with pytest.raises(KeyError):
            increment_state(
                {},
                latest_record={"id": 1},
                replication_key="updated_at",
                is_sorted=False,
                check_sorted=True,
            )

    def test_a_state_writer_writes_changes_only(self) -> None:
        collector = Collector()
        writer = StateWriter(collector)
        state: Any = {"bookmarks": {"a": {"partitions": [1]}}}
        writer.write_state(state)
        writer.write_state(state)
        state["bookmarks"]["a"]["partitions"].append(2)
        writer.write_state(state)
        assert [one["value"]["bookmarks"]["a"]["partitions"] for one in collector.messages] == [
            [1],
            [1, 2],
        ]

    def test_the_state_that_a_stream_writes_is_the_taps_own(self) -> None:
        collector = Collector()
        tap = OneTap(state=json.loads(json.dumps(self.STATE)), message_writer=collector)
        stream = tap.streams["own"]
        assert isinstance(stream, OwnStream)
        assert stream.tap_state is tap.state
        stream.stream_state["partitions"].append({"context": {"account": "a2"}})
        stream.write_state()
        (message,) = collector.of("STATE")
        assert len(message["value"]["bookmarks"]["own"]["partitions"]) == 2


class TestRecords:
    """The SDK walks each record again; the tap's streams hand out finished ones."""

    def test_a_plain_stream_drops_what_the_schema_lacks_an_own_one_nothing(self) -> None:
        assert [sorted(one["record"]) for one in synced("plain").of("RECORD")] == [
            ["id", "score", "updated_at"],
            ["id", "updated_at"],
        ]
        assert [one["record"] for one in synced("own").of("RECORD")] == ROWS

    def test_all_records_of_a_page_bear_the_time_at_which_it_arrived(self) -> None:
        before = datetime.now(timezone.utc)
        times = {one["time_extracted"] for one in synced("own").of("RECORD")}
        assert len(times) == 1
        extracted = datetime.fromisoformat(times.pop().replace("Z", "+00:00"))
        assert before.replace(microsecond=0) <= extracted <= datetime.now(timezone.utc)

    def test_a_stream_map_still_works(self) -> None:
        writer = Collector()
        own = {"id": "str(id)", "double": "score * 2", "__filter__": "id == 1"}
        tap = OneTap(config={"stream_maps": {"own": own}}, message_writer=writer)
        tap.streams["own"].sync()
        (record,) = (one["record"] for one in writer.of("RECORD"))
        assert (record["id"], record["double"]) == ("1", 3.0)

    def test_own_streams_write_a_state_at_their_end_only(self) -> None:
        assert [one["type"] for one in synced("own").messages] == [
            "SCHEMA",
            *("RECORD", "RECORD"),
            "STATE",
        ]


class TestCompanions:
    """Streams that are read in one loop, by the first whose turn it is."""

    class Twin(OwnStream):
        """One of two."""

        @property
        def companions(self) -> list[PagedStream]:
            streams = self._tap.streams.values()
            twins = [one for one in streams if isinstance(one, TestCompanions.Twin)]
            return [one for one in twins if one.selected and not one.has_been_read]

    class Twins(OneTap):
        """A tap of two; the setting `word` names one that is not selected."""

        def discover_streams(self) -> Sequence[Stream]:
            twins = [TestCompanions.Twin(self, schema=SCHEMA, name=name) for name in ("a", "b")]
            for twin in twins:
                twin.selected_by_default = twin.name != self.config.get("word")
            return twins

    @pytest.mark.parametrize("maps", [{}, {"a": {"id": "id"}}], ids=["plain", "with a map"])
    def test_all_schemas_come_first_and_each_once(self, maps: dict[str, Any]) -> None:
        writer = Collector()
        self.Twins(config={"stream_maps": maps}, message_writer=writer).sync_all()
        streams = [(one["type"], one["stream"]) for one in writer.messages if "stream" in one]
        assert streams == [
            *(("SCHEMA", "a"), ("SCHEMA", "b")),
            *(("RECORD", "a"), ("RECORD", "a"), ("RECORD", "b"), ("RECORD", "b")),
        ]

    def test_a_version_is_known_before_the_records_come(self) -> None:
        writer = Collector()
        tap = self.Twins(config={"emit_activate_version_messages": True}, message_writer=writer)
        for stream in tap.streams.values():
            stream.forced_replication_method = "FULL_TABLE"
        tap.sync_all()
        (version,) = {one.get("version") for one in writer.of("RECORD")}
        assert version
        activated = [(one["stream"], one["version"]) for one in writer.of("ACTIVATE_VERSION")]
        assert activated == [("a", version), ("b", version)]

    def test_what_is_not_selected_is_left_out(self) -> None:
        writer = Collector()
        self.Twins(config={"word": "b"}, message_writer=writer).sync_all()
        assert {one["stream"] for one in writer.messages if "stream" in one} == {"a"}


class TestWriter:
    """Messages reach stdout whole, a page at a time."""

    def test_a_long_state_waits_for_more_output(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """States grow with accounts: one behind each of thousands would be most of the output."""
        buffer = io.BytesIO()
        self.stdout(monkeypatch, buffer)
        monkeypatch.setattr(sdk, "LONG_STATE_BYTES", 1000)
        writer = PageWriter()
        short, long = StateMessage(value={"a": 1}), StateMessage(value={"a": "x" * 2000})
        line = RecordLine("own", {"id": "y" * 500})
        for _ in range(2):
            writer.write_message(short)
            assert not writer.puts_off_state()
        writer.write_message(long)
        written = len(buffer.getvalue())
        while writer.puts_off_state():
            assert writer.owes_state
            writer.write_records([line])
            writer.flush()
        size = len(buffer.getvalue()) - written
        assert 4 * 2000 <= size < 4 * 2000 + 1000
        assert not writer.owes_state

    def test_a_state_that_was_put_off_comes_at_the_end(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sdk, "LONG_STATE_BYTES", 0)
        writer = Collector()
        writer.owes_state = True
        tap = OneTap(message_writer=writer)
        tap.streams["own"].sync()
        assert len(writer.of("STATE")) == 1 + len(synced("own").of("STATE"))

    @staticmethod
    def stdout(monkeypatch: pytest.MonkeyPatch, buffer: io.RawIOBase | io.BytesIO) -> None:
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=buffer))

    def test_the_sdks_serialiser_gives_out_one_buffer_again_and_again(self) -> None:
        first = serialize_jsonl({"a": 1})
        assert serialize_jsonl({"b": 22}) is first
        assert issubclass(PageWriter, MsgSpecWriter)

    def test_records_wait_for_the_end_of_their_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stdout = io.BytesIO()
        self.stdout(monkeypatch, stdout)
        writer = PageWriter()
        for number in range(3):
            writer.write_message(RecordMessage(stream="s", record={"id": number}))
        assert stdout.getvalue() == b""
        writer.flush()
        lines = [json.loads(line) for line in stdout.getvalue().splitlines()]
        assert [line["record"]["id"] for line in lines] == [0, 1, 2]

    def test_a_state_goes_out_at_once_behind_the_records(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stdout = io.BytesIO()
        self.stdout(monkeypatch, stdout)
        writer = PageWriter()
        writer.write_message(RecordMessage(stream="s", record={"id": 1}))
        writer.write_message(StateMessage(value={"bookmarks": {"s": {"é": 1}}}))
        record, state = stdout.getvalue().splitlines()
        assert json.loads(record)["type"] == "RECORD"
        assert json.loads(state) == {"type": "STATE", "value": {"bookmarks": {"s": {"é": 1}}}}

    def test_nothing_is_written_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stdout = io.BytesIO()
        self.stdout(monkeypatch, stdout)
        writer = PageWriter()
        writer.write_message(StateMessage(value={}))
        writer.flush()
        writer.write_message(StateMessage(value={}))
        assert len(stdout.getvalue().splitlines()) == 2

    def test_an_output_that_takes_a_part_only_gets_the_rest_too(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        taken = bytearray()

        class Narrow(io.RawIOBase):
            def writable(self) -> bool:
                return True

            def write(self, data: Any) -> int | None:
                part = bytes(data[:7])
                taken.extend(part)
                return len(part)

        self.stdout(monkeypatch, Narrow())
        PageWriter().write_message(StateMessage(value={"bookmarks": {"s": {"x": "y" * 50}}}))
        assert json.loads(taken)["value"]["bookmarks"]["s"]["x"] == "y" * 50
        assert taken.endswith(b"\n")

    def test_a_pipe_is_made_to_hold_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reading_end, writing_end = os.pipe()
        with open(reading_end, "rb"), open(writing_end, "w") as stdout:  # noqa: PTH123
            monkeypatch.setattr(sys, "stdout", stdout)
            PageWriter()
            size = fcntl.fcntl(writing_end, fcntl.F_GETPIPE_SZ)
        assert size == sdk.PIPE_BYTES


class TestSettings:
    """The SDK quotes wrong values, and fails with a traceback on some."""

    class SdksTap(Tap):
        name = "tap-one"
        config_jsonschema: ClassVar[dict[str, Any]] = OneTap.config_jsonschema

        def _setup_signal_handlers(self) -> None:
            pass

        def discover_streams(self) -> Sequence[Stream]:
            return []

    def test_the_sdk_quotes_what_is_wrong(self) -> None:
        with pytest.raises(ConfigValidationError) as caught:
            self.SdksTap(config={"word": 4242})
        assert "4242" in str(caught.value.errors)

    def test_the_tap_does_not(self) -> None:
        with pytest.raises(ConfigValidationError) as caught:
            OneTap(config={"word": 4242})
        assert caught.value.errors == ["Setting 'word' takes a string."]

    def test_the_sdk_fails_on_a_variable_that_is_no_number(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TAP_ONE_SIZE", "many")
        with pytest.raises(ValueError, match="many"):
            self.SdksTap(parse_env_config=True)

    def test_the_tap_names_the_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TAP_ONE_SIZE", "many")
        with pytest.raises(ConfigValidationError) as caught:
            OneTap(parse_env_config=True)
        (line,) = caught.value.errors
        assert "TAP_ONE_SIZE" in line
        assert "many" not in line

    def test_a_variable_is_read_as_its_type(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TAP_ONE_SIZE", "7")
        monkeypatch.setenv("TAP_ONE_WORD", "7")
        config = OneTap(parse_env_config=True).config
        assert (config["size"], config["word"]) == (7, "7")

    def test_discovery_takes_wrong_settings(self) -> None:
        assert OneTap(config={"size": "x"}, validate_config=False).catalog_dict["streams"]


def test_the_sdk_ends_a_run_at_once_and_the_tap_between_two_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(signal, "alarm", lambda _: None)
    with pytest.raises(SystemExit) as caught:
        TestSettings.SdksTap(message_writer=Collector())._handle_termination(15, None)
    assert caught.value.code == 0
    tap = OneTap(message_writer=Collector())
    tap._handle_termination(15, None)
    assert tap.stopped == 143


def test_a_second_signal_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, object] = {}
    alarms: list[int] = []
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(signal, "alarm", alarms.append)
    OneTap(message_writer=Collector())._handle_termination(signal.SIGINT, None)
    assert handlers.pop(signal.SIGINT) == signal.SIG_DFL
    assert (list(handlers), alarms) == ([signal.SIGALRM], [5])


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Tap, "sync_all"), (Stream, "sync"), (Tap, "run_connection_test"), (Tap, "load_streams")],
)
def test_what_the_sdk_calls_final_is_not_overridden(owner: type, name: str) -> None:
    assert getattr(getattr(owner, name), "__final__", sys.version_info < (3, 11))
    assert not any(name in vars(one) for one in (PagedStream, CommandLineTap))


def test_the_sdk_teaches_python_3_10_to_read_iso_date_times() -> None:
    """`tap_truto_ats.model.instants` reads them with `fromisoformat`, which 3.11 taught itself."""
    assert datetime.fromisoformat("20260131T093000.5Z").utcoffset() is not None
