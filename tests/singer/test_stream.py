"""The parts of singer-sdk that streams lean on without a promise: a new version may move them.

Each test says what would have to be looked at again in `tap_truto_ats/singer/stream.py`.
"""

from __future__ import annotations

import gzip
import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.helpers._state import StateWriter, increment_state

from tap_truto_ats.singer import stream as module
from tap_truto_ats.singer import writer
from tap_truto_ats.singer.command_line import CommandLineTap
from tap_truto_ats.singer.stream import PagedStream
from tap_truto_ats.singer.writer import RecordLine
from tests.singer.pins import listed, overridden, signature
from tests.singer.taps import APRIL, MARCH, ROWS, SCHEMA, Collector, OneTap, OwnStream, synced

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


OVERRIDDEN = {
    "_sync_records": "(self, context=None, *, write_messages=True)",
    "_write_starting_replication_value": "(self, context)",
    "_increment_stream_state": "(self, latest_record, *, context=None)",
    "_generate_record_messages": "(self, record)",
    "_generate_schema_messages": "(self)",
    "_write_schema_message": "(self)",
}
"""Private methods that are overridden, with their signatures."""


@pytest.mark.parametrize(("name", "expected"), OVERRIDDEN.items(), ids=OVERRIDDEN)
def test_what_is_overridden_has_the_signature_of_its_override(name: str, expected: str) -> None:
    assert signature(Stream, name) == signature(PagedStream, name) == expected


def test_the_module_lists_every_private_method_that_it_overrides() -> None:
    assert listed(module) == overridden(PagedStream) == OVERRIDDEN.keys()


@pytest.mark.parametrize("name", ["stream_maps", "mask", "tap_state", "stream_state"])
def test_what_a_stream_is_read_for_exists(name: str) -> None:
    assert hasattr(OneTap(message_writer=Collector()).streams["own"], name)


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

    def test_the_state_that_a_stream_owes_is_the_taps_own(self) -> None:
        collector = Collector()
        tap = OneTap(state=json.loads(json.dumps(self.STATE)), message_writer=collector)
        stream = tap.streams["own"]
        assert isinstance(stream, OwnStream)
        assert stream.tap_state is tap.state
        stream.stream_state["partitions"].append({"context": {"account": "a2"}})
        stream.write_state()
        assert collector.of("STATE") == []
        stream.sync()
        message = collector.of("STATE")[-1]
        assert len(message["value"]["bookmarks"]["own"]["partitions"]) == 2

    def test_the_sdks_own_writer_of_states_is_the_taps(self) -> None:
        collector = Collector()
        tap = OneTap(message_writer=collector)
        for _ in range(3):
            tap.state_writer.write_state(tap.state)
        assert len(collector.of("STATE")) == 1

    def test_a_state_that_did_not_change_goes_out_again_behind_records(self) -> None:
        """Some targets hand on a state only when no record follows it."""
        collector = Collector()
        tap = OneTap(message_writer=collector)
        for _ in range(2):
            tap.state_writer.write_state(tap.state)
            collector.write_records([RecordLine("own", {"id": "1"})])
        tap.state_writer.write_state(tap.state)
        kinds = [one["type"] for one in collector.messages]
        assert kinds == ["STATE", "RECORD", "STATE", "RECORD", "STATE"]

    def test_while_pages_come_a_state_goes_out_every_few_seconds(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        time = SimpleNamespace(now=1000.0)
        time.monotonic = lambda: time.now
        monkeypatch.setattr(writer, "time", time)
        collector, sent = Collector(), list[float]()

        def pages(_: Any, streams: Sequence[OwnStream]) -> Iterator[tuple[OwnStream, list[Any]]]:
            """Hand out a page a second; for a while, nothing moves, and there are no rows."""
            (stream,) = streams
            for second in range(30):
                time.now = 1000.0 + second
                if second not in range(12, 22):
                    stream.write_state()
                yield stream, [] if second > 5 else [{"id": str(second)}]
                if len(collector.of("STATE")) > len(sent):
                    sent.append(second)

        monkeypatch.setattr(OwnStream, "get_pages", pages)
        OneTap(message_writer=collector).streams["own"].sync()
        assert sent == [0, 5, 10, 15, 22, 27]
        assert len(collector.of("STATE")) == len(sent) + 1


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
        own = {"id": "str(id)", "double": "float(score * 2)", "__filter__": "id == 1"}
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


class TestStreamsOfOneKind:
    """They are read in one loop, by the first whose turn it is."""

    class Twin(OwnStream):
        """One of two."""

    class Twins(OneTap):
        """A tap of two; the setting `word` names one that is not selected."""

        def discover_streams(self) -> Sequence[Stream]:
            kind = TestStreamsOfOneKind.Twin
            twins = [kind(self, schema=SCHEMA, name=name) for name in ("a", "b")]
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

    def test_a_state_that_is_owed_at_the_end_goes_out(self) -> None:
        collector = Collector()
        tap = OneTap(message_writer=collector)
        own = tap.streams["own"]
        assert isinstance(own, OwnStream)
        own.write_state()
        own.sync()
        assert collector.messages[-1]["type"] == "STATE"
        assert not collector.owes_state


class TestVersions:
    """ACTIVATE_VERSION, after which a target deletes the rows that did not come."""

    @staticmethod
    def sync(unread: str | None = None, **config: Any) -> Collector:
        collector = Collector()
        config = {"emit_activate_version_messages": True, **config}
        own = OneTap(config=config, message_writer=collector).streams["own"]
        assert isinstance(own, OwnStream)
        own.forced_replication_method = "FULL_TABLE"
        own.unread = unread
        own.sync()
        own.finalize_state_progress_markers()
        return collector

    def test_it_comes_once_all_was_read(self) -> None:
        assert self.sync().of("ACTIVATE_VERSION") != []

    @pytest.mark.parametrize("settings", [{}, {"stream_maps": {"own": {"id": "id"}}}])
    def test_it_is_withheld_where_something_was_not(
        self, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        assert self.sync("a reason", **settings).of("ACTIVATE_VERSION") == []
        assert "nothing is deleted: a reason" in caplog.text

    def test_it_is_withheld_with_batch_files_whose_rows_carry_no_version(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        batches = {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": tmp_path.as_uri()},
        }
        collector = self.sync(batch_config=batches)
        assert collector.of("RECORD") == []
        (batch,) = collector.of("BATCH")
        for name in batch["manifest"]:
            lines = gzip.decompress(Path(url2pathname(urlparse(name).path)).read_bytes())
            assert [sorted(json.loads(line)) for line in lines.splitlines()] == [
                sorted(row) for row in ROWS
            ]
        assert collector.of("ACTIVATE_VERSION") == []
        assert "BATCH files carry no version" in caplog.text


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Tap, "sync_all"), (Stream, "sync"), (Tap, "run_connection_test"), (Tap, "load_streams")],
)
def test_what_the_sdk_calls_final_is_not_overridden(owner: type, name: str) -> None:
    assert getattr(getattr(owner, name), "__final__", sys.version_info < (3, 11))
    assert not any(name in vars(one) for one in (PagedStream, CommandLineTap))
