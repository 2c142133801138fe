"""How far an account has been read: the SDK's form of state, and when it moves."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta, timezone
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


def advance(
    marks: Bookmarks,
    text: str | None,
    account: str = "a1",
    checksum: int = 0,
    *,
    has_undated: bool = False,
) -> bool:
    """Move an account's bookmark, and return whether the state changed."""
    before = deepcopy(marks._stream_state)
    marks.advance(account, parse_instant(text), lambda _: checksum, has_undated=has_undated)
    return marks._stream_state != before


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
    "a number": ({"partitions": [partition(1772366400)]}, MARCH),
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
    "later than the run": (
        MARCH,
        "2026-06-01T00:00:01+00:00",
        "2026-06-01T00:00:01.000000+00:00",
    ),
    "never back from the future": ("2099-01-01T00:00:00Z", "2026-06-01T00:00:00Z", None),
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
    assert advance(marks, newest) is (after is not None)
    assert state == expected
    assert advance(marks, newest) is False


def test_what_is_written_is_the_sdks_standard_form() -> None:
    state: dict[str, Any] = {}
    advance(bookmarks(state), MARCH)
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
    advance(bookmarks(state), MARCH)
    assert bookmarks(state).get("a1") == parse_instant(MARCH)


def test_another_replication_key_is_written_over() -> None:
    state = {"partitions": [partition("2026-05-01T00:00:00Z", key="created_at")]}
    assert advance(bookmarks(state), MARCH)
    assert state == {"partitions": [partition(MARCH)]}


def test_other_accounts_and_foreign_partitions_stay() -> None:
    others = [{"context": {"board": "b1"}}, partition("2026-01-01T00:00:00Z", "a2")]
    state: dict[str, Any] = {"note": "mine", "partitions": deepcopy(others)}
    assert advance(bookmarks(state), MARCH)
    assert state == {"note": "mine", "partitions": [*others, partition(MARCH)]}


OLD = "2026-01-01T00:00:00.000000+00:00"
OTHERS = [{"context": {"board": "b1"}}, {}, partition(MARCH, "a2"), {"context": None}]

# Two partitions of an account → the one that counts.
DUPLICATES: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "the earlier is first": (partition(OLD), partition(MARCH), 0),
    "the earlier is last": (partition(MARCH), partition(OLD), 1),
    "the earlier, in another zone": (
        partition("2026-03-01T12:30:00Z"),
        partition("2026-03-01T13:00:00+01:00"),
        1,
    ),
    "one cannot be read": (partition(OLD), partition("soon"), 1),
    "one is of another key": (partition(OLD, key="created_at"), partition(MARCH), 0),
    "one has no bookmark": (partition(OLD), {"context": {"integrated_account_id": "a1"}}, 1),
    "both are the same": (partition(OLD), partition(OLD), 0),
}


@pytest.mark.parametrize(("one", "other", "counts"), DUPLICATES.values(), ids=DUPLICATES)
def test_of_two_partitions_of_an_account_the_earlier_counts(
    one: dict[str, Any], other: dict[str, Any], counts: int
) -> None:
    pair = deepcopy([one | {"rows_checksum": 1}, other | {"rows_checksum": 2}])
    state = {"partitions": [*OTHERS[:2], pair[0], *OTHERS[2:], pair[1]]}
    marks = bookmarks(state)
    assert marks.rows_known("a1") == counts + 1
    assert pair[counts] in state["partitions"]
    assert pair[1 - counts] not in state["partitions"]
    assert [one for one in state["partitions"] if one not in pair] == OTHERS
    assert advance(marks, "2026-05-01T00:00:00Z")
    assert bookmarks(state).get("a1") == parse_instant("2026-05-01T00:00:00Z")


def test_an_account_may_be_a_number_in_a_state() -> None:
    state = {"partitions": [partition(MARCH, account=7)]}  # type: ignore[arg-type]
    assert bookmarks(state).get("7") == parse_instant(MARCH)


def test_accounts_do_not_share_a_bookmark() -> None:
    state: dict[str, Any] = {}
    marks = bookmarks(state)
    advance(marks, MARCH)
    assert marks.get("a2") is None
    advance(marks, "2026-04-01T00:00:00Z", "a2")
    assert marks.get("a1") == parse_instant(MARCH)
    assert len(state["partitions"]) == 2


class TestFacts:
    """What is kept beside a bookmark."""

    def test_the_checksum_of_the_rows_and_whether_some_are_not_dated(self) -> None:
        state: dict[str, Any] = {}
        marks = bookmarks(state)
        assert (marks.rows_known("a1"), marks.has_undated_rows("a1")) == (None, False)
        assert advance(marks, MARCH, checksum=5, has_undated=True)
        assert (marks.rows_known("a1"), marks.has_undated_rows("a1")) == (5, True)
        assert state == {
            "partitions": [partition(MARCH) | {"rows_checksum": 5, "undated_rows": True}]
        }
        assert not advance(marks, MARCH, checksum=5, has_undated=True)
        assert advance(marks, None, checksum=6, has_undated=True)
        assert advance(marks, None, checksum=6, has_undated=False)
        assert state == {"partitions": [partition(MARCH) | {"rows_checksum": 6}]}
        assert advance(marks, None, checksum=0, has_undated=False)
        assert state == {"partitions": [partition(MARCH)]}

    def test_without_a_bookmark_nothing_is_kept(self) -> None:
        state: dict[str, Any] = {}
        assert not advance(bookmarks(state), None, checksum=5, has_undated=True)
        assert state == {}

    @pytest.mark.parametrize("flag", [False, None, "true", 1])
    def test_nothing_but_true_says_that_some_are_not_dated(self, flag: object) -> None:
        state = {"partitions": [partition(MARCH) | {"undated_rows": flag}]}
        assert not bookmarks(state).has_undated_rows("a1")

    def test_a_whole_read_is_dated_by_the_start_of_its_run(self) -> None:
        state: dict[str, Any] = {}
        marks = bookmarks(state)
        assert marks.whole_read_at("a1") is None
        marks.note_whole_read("a1", {}, 0)
        assert marks.whole_read_at("a1") == RUN_START
        assert state == {
            "partitions": [
                {
                    "context": {"integrated_account_id": "a1"},
                    "whole_read_at": format_instant(RUN_START),
                }
            ]
        }


class TestMissing:
    """Accounts that the state knows and that are not found: the first run to miss them says so."""

    def test_only_the_first_run_does(self) -> None:
        state = {"partitions": [partition(MARCH), partition(MARCH, "a2"), *OTHERS[:2]]}
        for _ in range(2):
            assert bookmarks(state).missing({"a2"}) == {"a1": True}
        later = Bookmarks(state, "updated_at", RUN_START + timedelta(days=1))
        assert later.missing({"a2"}) == {"a1": False}
        assert later.missing(set()) == {"a1": False, "a2": True}

    def test_one_that_was_found_and_read_again_may_be_missing_anew(self) -> None:
        state = {"partitions": [partition(MARCH)]}
        assert bookmarks(state).missing(set()) == {"a1": True}
        bookmarks(state).note_found({"a1"})
        later = Bookmarks(state, "updated_at", RUN_START + timedelta(days=1))
        assert later.missing(set()) == {"a1": True}

    def test_none_is_where_all_are_found(self) -> None:
        state = {"partitions": [partition(MARCH), *OTHERS[:2]]}
        before = deepcopy(state)
        assert bookmarks(state).missing({"a1", "a3"}) == {}
        assert state == before
