"""Messages reach stdout whole, a page at a time."""

from __future__ import annotations

import fcntl
import io
import json
import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from singer_sdk.contrib.msgspec import MsgSpecWriter, serialize_jsonl
from singer_sdk.singerlib import RecordMessage, StateMessage

from tap_truto_ats.singer import writer as module
from tap_truto_ats.singer.writer import PageWriter, RecordLine

if TYPE_CHECKING:
    import pytest


class TestWriter:
    """Messages reach stdout whole, a page at a time."""

    def test_a_long_state_waits_for_more_output(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """States grow with accounts: one behind each of thousands would be most of the output."""
        buffer = io.BytesIO()
        self.stdout(monkeypatch, buffer)
        monkeypatch.setattr(module, "LONG_STATE_BYTES", 1000)
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
