"""How far an account has been read: the SDK's form of state, and when it moves."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timezone
from typing import Any

import pytest

from tap_truto_ats.model.instants import format_instant, parse_instant
from tap_truto_ats.sync.bookmarks import Bookmarks

RUN_START = datetime(2026, 6, 1, tzinfo=timezone.utc)
MARCH = "2026-03-01T12:00:00.000000+00:00"


def partition(value: object, account: str = "a1", key: str = "updated_at") -> dict[str, Any]:
    return {
        "context": {"integrated_account_id": account},
        "replication_key": key,
        "replication_key_value": value,
    }


def bookmarks(state: dict[str, Any]) -> Bookmarks:
    return Bookmarks(state, "updated_at", RUN_START)


READ: dict[str, tuple[dict[str, Any], str | None]] = {
    "none": ({}, None),
    "no partitions": ({"partitions": []}, None),
    "the tap's own form": ({"partitions": [partition(MARCH)]}, MARCH),
    "Z": ({"partitions": [partition("2026-03-01T12:00:00Z")]}, MARCH),
    "zoneless": ({"partitions": [partition("2026-03-01 12:00:00")]}, MARCH),
    "another zone": ({"partitions": [partition("2026-03-01T13:00:00.0+01:00")]}, MARCH),
    "date only": (
        {"partitions": [partition("2026-03-01")]},
        "2026-03-01T00:00:00.000000+00:00",
    ),
    "in the future": (
        {"partitions": [partition("2099-01-01T00:00:00Z")]},
        "2099-01-01T00:00:00.000000+00:00",
    ),
    "unreadable": ({"partitions": [partition("yesterday")]}, None),
    "a number": ({"partitions": [partition(1772366400)]}, None),
    "null": ({"partitions": [partition(None)]}, None),
    "another replication key": ({"partitions": [partition(MARCH, key="created_at")]}, None),
    "no replication key": (
        {"partitions": [{"context": {"integrated_account_id": "a1"}}]},
        None,
    ),
    "another account": ({"partitions": [partition(MARCH, "a2")]}, None),
    "foreign partitions": (
        {"partitions": [{}, {"context": {"board": "b1"}}, partition(MARCH)]},
        MARCH,
    ),
    "a partition without context": ({"partitions": [{"context": None}, partition(MARCH)]}, MARCH),
    "markers of an interrupted run of the SDK": (
        {
            "partitions": [
                partition(MARCH)
                | {"progress_markers": {"replication_key_value": "2026-05-01T00:00:00Z"}}
            ]
        },
        MARCH,
    ),
    "a bookmark of the whole stream": (
        {"replication_key": "updated_at", "replication_key_value": MARCH},
        None,
    ),
}


@pytest.mark.parametrize(("state", "expected"), READ.values(), ids=READ)
def test_a_bookmark_is_read_as_an_instant(state: dict[str, Any], expected: str | None) -> None:
    before = deepcopy(state)
    found = bookmarks(state).get("a1")
    assert (format_instant(found) if found else None) == expected
    assert state == before


# Bookmark before, newest row, bookmark after (None: it does not move).
MOVES: dict[str, tuple[str | None, str | None, str | None]] = {
    "first": (None, MARCH, MARCH),
    "no rows": (None, None, None),
    "no rows, as before": (MARCH, None, None),
    "newer": (MARCH, "2026-03-01T12:00:00.000001+00:00", "2026-03-01T12:00:00.000001+00:00"),
    "the same": (MARCH, MARCH, None),
    "the same, spelt otherwise": ("2026-03-01T13:00:00+01:00", MARCH, None),
    "older": (MARCH, "2026-02-28T12:00:00+00:00", None),
    "older, though greater as a string": (
        "2026-03-01T12:00:00-05:00",
        "2026-03-01T13:00:00+00:00",
        None,
    ),
    "newer, though less as a string": (
        "2026-03-01T13:00:00+02:00",
        MARCH,
        MARCH,
    ),
    "capped at the start of the run": (
        MARCH,
        "2026-06-01T00:00:01+00:00",
        "2026-06-01T00:00:00.000000+00:00",
    ),
    "capped the first time": (
        None,
        "2099-01-01T00:00:00+00:00",
        "2026-06-01T00:00:00.000000+00:00",
    ),
    "at the start of the run": (None, "2026-06-01T00:00:00Z", "2026-06-01T00:00:00.000000+00:00"),
    "never back from the future": ("2099-01-01T00:00:00Z", "2099-06-01T00:00:00Z", None),
    "over an unreadable one": ("yesterday", MARCH, MARCH),
    "written in UTC": (None, "2026-03-01T14:00:00+02:00", MARCH),
}


@pytest.mark.parametrize(("before", "newest", "after"), MOVES.values(), ids=MOVES)
def test_a_bookmark_moves_forward_only(
    before: str | None, newest: str | None, after: str | None
) -> None:
    state = {"partitions": [partition(before)]} if before else {}
    expected = {"partitions": [partition(after)]} if after else deepcopy(state)
    marks = bookmarks(state)
    assert marks.advance("a1", parse_instant(newest)) is (after is not None)
    assert state == expected
    assert marks.advance("a1", parse_instant(newest)) is False


def test_what_is_written_is_the_sdks_standard_form() -> None:
    state: dict[str, Any] = {}
    bookmarks(state).advance("a1", parse_instant(MARCH))
    assert state == {
        "partitions": [
            {
                "context": {"integrated_account_id": "a1"},
                "replication_key": "updated_at",
                "replication_key_value": MARCH,
            }
        ]
    }


def test_what_was_written_is_read_back() -> None:
    state: dict[str, Any] = {}
    bookmarks(state).advance("a1", parse_instant(MARCH))
    assert bookmarks(state).get("a1") == parse_instant(MARCH)


def test_another_replication_key_is_written_over() -> None:
    state = {"partitions": [partition("2026-05-01T00:00:00Z", key="created_at")]}
    assert bookmarks(state).advance("a1", parse_instant(MARCH))
    assert state == {"partitions": [partition(MARCH)]}


def test_other_accounts_and_foreign_partitions_stay() -> None:
    others = [{"context": {"board": "b1"}}, partition("2026-01-01T00:00:00Z", "a2")]
    state: dict[str, Any] = {"note": "mine", "partitions": deepcopy(others)}
    assert bookmarks(state).advance("a1", parse_instant(MARCH))
    assert state == {"note": "mine", "partitions": [*others, partition(MARCH)]}


def test_duplicates_of_an_account_neither_break_nor_go_back() -> None:
    older, newer = partition("2026-01-01T00:00:00Z"), partition(MARCH)
    for state in ({"partitions": [older, newer]}, {"partitions": [newer, older]}):
        marks = bookmarks(deepcopy(state))
        assert marks.get("a1") in {parse_instant("2026-01-01T00:00:00Z"), parse_instant(MARCH)}
        marks.advance("a1", parse_instant("2026-05-01T00:00:00Z"))
        assert marks.get("a1") == parse_instant("2026-05-01T00:00:00Z")


def test_accounts_do_not_share_a_bookmark() -> None:
    state: dict[str, Any] = {}
    marks = bookmarks(state)
    marks.advance("a1", parse_instant(MARCH))
    assert marks.get("a2") is None
    marks.advance("a2", parse_instant("2026-04-01T00:00:00Z"))
    assert marks.get("a1") == parse_instant(MARCH)
    assert len(state["partitions"]) == 2
