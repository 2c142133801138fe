"""Messages reach stdout whole, a page at a time."""

from __future__ import annotations

import fcntl
import io
import json
import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.contrib.msgspec import MsgSpecWriter, serialize_jsonl
from singer_sdk.singerlib import RecordMessage, SchemaMessage, StateMessage

from tap_truto_ats.singer import writer as module
from tap_truto_ats.singer.writer import PageWriter, RecordLine
from tests.singer.taps import Collector

if TYPE_CHECKING:
    from collections.abc import Callable


class TestWriter:
    """Messages reach stdout whole, a page at a time."""

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
        assert size == module.PIPE_BYTES


LINE = RecordLine("s", {"id": 1})
RECORD = RecordMessage(stream="s", record={"id": 1})
SCHEMA = SchemaMessage(stream="s", schema={"properties": {}}, key_properties=[])


class TestStates:
    """A STATE holds all bookmarks: one is due every few seconds, and none without a reason."""

    @pytest.fixture
    def time(self, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
        time = SimpleNamespace(now=1000.0)
        time.monotonic = lambda: time.now
        monkeypatch.setattr(module, "time", time)
        return time

    def test_the_first_that_is_owed_is_due_at_once(self, time: SimpleNamespace) -> None:
        writer = Collector()
        assert not writer.state_is_due()
        writer.owe_state()
        assert writer.state_is_due()
        assert time.now == 1000

    def test_one_is_due_every_few_seconds_and_none_is_owed_for_longer(
        self, time: SimpleNamespace
    ) -> None:
        writer, due = Collector(), list[float]()
        for tenths in range(300):
            time.now = 1000 + tenths / 10
            if tenths not in range(61, 130):
                writer.owe_state()
            if writer.state_is_due():
                writer.write_message(StateMessage(value={}))
                due.append(time.now)
        assert due == [1000, 1005, 1010, 1015, 1020, 1025]

    def test_what_is_owed_is_owed_until_it_is_out(self) -> None:
        writer = Collector()
        writer.owe_state()
        writer.write_records([LINE])
        writer.write_message(RECORD)
        assert writer.owes_state
        writer.write_message(StateMessage(value={}))
        assert not writer.owes_state

    @pytest.mark.parametrize(
        ("act", "is_out"),
        [
            (lambda writer: writer.write_message(StateMessage(value={})), True),
            (lambda writer: writer.write_records([]), True),
            (lambda writer: writer.flush(), True),
            (lambda writer: writer.state_is_due(), True),
            (lambda writer: writer.write_records([LINE]), False),
            (lambda writer: writer.write_message(RECORD), False),
            (lambda writer: writer.write_message(SCHEMA), False),
            (lambda writer: writer.owe_state(), False),
        ],
        ids=["a state", "no records", "flush", "a look", "records", "a record", "a schema", "owed"],
    )
    def test_whether_the_state_is_out_and_nothing_came_since(
        self, act: Callable[[PageWriter], object], is_out: object
    ) -> None:
        writer = Collector()
        assert not writer.is_state_out
        writer.write_message(StateMessage(value={}))
        act(writer)
        assert writer.is_state_out is is_out
