"""The command line's files: what is no state is refused in a line that names the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import pytest

from tap_truto_ats.singer.inputs import check_config, read_catalog, read_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def of_partitions(*partitions: object) -> dict[str, Any]:
    return {"bookmarks": {"interviews": {"partitions": partitions}}}


STATES: dict[str, dict[str, Any]] = {
    "empty": {},
    "no bookmarks": {"bookmarks": {}},
    "a bookmark of a whole stream": {"bookmarks": {"s": {"replication_key_value": "x"}}},
    "an account": of_partitions({"context": {"integrated_account_id": "a1"}}),
    "scalars": of_partitions({"context": {"a": 1, "b": 1.5, "c": True, "d": None}}),
    "no context": of_partitions({}, {"context": None}, {"context": {}}),
}

NO_STATES: dict[str, object] = {
    "a list": [],
    "something else": {"foo": 1},
    "a wrapper of null": {"singer_state": None},
    "a wrapper of a list": {"singer_state": [of_partitions()]},
    "a message of a text": {"type": "STATE", "value": "x"},
    "a wrapper of something else": {"singer_state": {"foo": 1}},
    "bookmarks that are a list": {"bookmarks": []},
    "a stream that is a list": {"bookmarks": {"s": []}},
    "partitions that are an object": {"bookmarks": {"s": {"partitions": {}}}},
    "a partition that is a number": of_partitions(5),
    "a context that is a list": of_partitions({"context": ["a1"]}),
    "an account that is a list": of_partitions({"context": {"integrated_account_id": [1]}}),
    "markers that are a number": of_partitions({"progress_markers": 5}),
    "an account that is an object": of_partitions({"context": {"integrated_account_id": {}}}),
}


def read(folder: Path, content: object) -> dict[str, Any] | None:
    file = folder / "state.json"
    file.write_text(json.dumps(content))
    with file.open() as opened:
        return read_state(opened)


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_a_state_is_taken_as_it_is(tmp_path: Path, state: dict[str, Any]) -> None:
    assert read(tmp_path, state) == json.loads(json.dumps(state))


@pytest.mark.parametrize("content", NO_STATES.values(), ids=NO_STATES)
def test_what_is_no_state_is_refused_in_a_line(tmp_path: Path, content: object) -> None:
    with pytest.raises(click.ClickException) as caught:
        read(tmp_path, content)
    assert caught.value.message.startswith(f"--state: {tmp_path}/state.json holds no ")
    assert "\n" not in caught.value.message


WRAPPED: dict[str, Callable[[Any], Any]] = {
    "what `meltano state get` prints": lambda state: {"singer_state": state},
    "a whole message": lambda state: {"type": "STATE", "value": state},
    "a message in what Meltano prints": lambda state: {"singer_state": {"value": state}},
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("state", [{}, of_partitions({"context": {"integrated_account_id": "a"}})])
def test_a_state_is_found_in_what_it_comes_in(
    tmp_path: Path, wrap: Callable[[Any], Any], state: dict[str, Any]
) -> None:
    assert read(tmp_path, wrap(state)) == json.loads(json.dumps(state))


def test_a_state_may_hold_more_than_bookmarks(tmp_path: Path) -> None:
    state = {**of_partitions(), "value": {"bookmarks": {}}, "currently_syncing": None}
    assert read(tmp_path, state) == json.loads(json.dumps(state))


def test_without_a_file_there_is_no_state() -> None:
    assert read_state(None) is None


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', '{"a": "\\ud800"}', "\ufeff{}", "[" * 5000, "a: 1", "", "[]"]
)
@pytest.mark.parametrize("read", [read_state, read_catalog])
def test_what_is_no_json_object_is_refused_in_a_line(
    tmp_path: Path, read: Callable[[Any], object], text: str
) -> None:
    file = tmp_path / "given.json"
    file.write_text(text, encoding="utf-8")
    with file.open(encoding="utf-8") as opened, pytest.raises(click.ClickException) as caught:
        read(opened)
    assert caught.value.message.endswith(f"{file} holds no JSON object")
    with pytest.raises(click.ClickException) as caught:
        check_config(str(file))
    assert caught.value.message == f"--config: {file} holds no JSON object"
