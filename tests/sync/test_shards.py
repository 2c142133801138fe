"""States of shards: nothing that a state knows is lost on the way to another number of shards."""

from __future__ import annotations

from typing import Any

import pytest

from tap_truto_ats.model.shard import Shard
from tap_truto_ats.sync.bookmarks import READ_AT, VALUE, WHOLE_READ_AT
from tap_truto_ats.sync.shards import account_ids, merged, part_of

EARLIER, LATER = "2026-01-31T09:30:00.000000+00:00", "2026-02-01T10:30:00.000000+01:00"
KEYS: dict[str, Any] = {
    "replication_key": "updated_at",
    VALUE: EARLIER,
    WHOLE_READ_AT: EARLIER,
    READ_AT: EARLIER,
    "rows_checksum": 7,
    "fan_out": {"mode": "whole", "after": ["c1"], "gone": [["c0"]]},
    "a key of a later release": {"any": ["thing"]},
}


def state(*accounts: str, **keys: Any) -> dict[str, Any]:
    known = [{"context": {"integrated_account_id": one}, **KEYS, **keys} for one in accounts]
    return {"bookmarks": {stream: {"partitions": known} for stream in ("interviews", "users")}}


def known(*states: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The partitions of states by stream and account."""
    found = [
        ((stream, one["context"]["integrated_account_id"]), one)
        for state in states
        for stream, bookmarks in state["bookmarks"].items()
        for one in bookmarks["partitions"]
    ]
    assert len(found) == len(dict(found))
    return dict(found)


def test_every_key_goes_to_the_shard_of_its_account() -> None:
    whole = state(*(f"account-{n}" for n in range(20)))
    states = [whole]
    for count in (3, 5, 2, 2, 1, 3):
        together = merged(states)
        states = [part_of(together, Shard(index, count)) for index in range(count)]
        assert known(*states) == known(whole)
        for index, one in enumerate(states):
            assert all(account in Shard(index, count) for _, account in known(one))


@pytest.mark.parametrize("key", [VALUE, WHOLE_READ_AT, READ_AT])
@pytest.mark.parametrize("earlier", [EARLIER, None, "no date"], ids=str)
def test_the_later_bookmark_counts(key: str, earlier: str | None) -> None:
    first, second = state("a", **{key: earlier}), state("a", **{key: LATER})
    assert merged([first, second]) == merged([second, first]) == second


def test_the_time_of_records_never_runs_back() -> None:
    ahead, behind = state("a", **{READ_AT: LATER}), state("a", **{VALUE: LATER})
    assert merged([ahead, behind]) == state("a", **{VALUE: LATER, READ_AT: LATER})


@pytest.mark.parametrize(
    "empty", [{}, {"bookmarks": {}}, {"bookmarks": {"users": {}}}, state()], ids=str
)
def test_a_state_may_know_nothing(empty: dict[str, Any]) -> None:
    assert known(merged([empty, state("a")])) == known(state("a"))
    assert account_ids(part_of(empty, Shard(0, 2))) == set()
