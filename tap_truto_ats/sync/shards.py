"""States of shards: what of one belongs to a shard, and what several know together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_truto_ats.model.instants import LONG_AGO, parse_instant
from tap_truto_ats.sync.bookmarks import READ_AT, VALUE, WHOLE_READ_AT, account_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tap_truto_ats.model.shard import Shard

BOOKMARKS, PARTITIONS = "bookmarks", "partitions"


def part_of(state: dict[str, Any], shard: Shard) -> dict[str, Any]:
    """Return a state with the bookmarks of a shard's accounts alone."""

    def is_own(partition: dict[str, Any]) -> bool:
        account_id = account_id_of(partition)
        return account_id is None or account_id in shard

    bookmarks = {
        stream: {**known, PARTITIONS: [*filter(is_own, known[PARTITIONS])]}
        if known.get(PARTITIONS)
        else known
        for stream, known in state.get(BOOKMARKS, {}).items()
    }
    return {**state, BOOKMARKS: bookmarks} if bookmarks else state


def merged(states: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return what states know together: for each stream and account, the later bookmark."""
    latest: dict[str, dict[str, dict[str, Any]]] = {}
    for state in states:
        for stream, known in state.get(BOOKMARKS, {}).items():
            of_stream = latest.setdefault(stream, {})
            for partition in known.get(PARTITIONS) or ():
                if (account_id := account_id_of(partition)) is not None:
                    rival = of_stream.get(account_id, partition)
                    of_stream[account_id] = _later(rival, partition)
    return {
        BOOKMARKS: {
            stream: {PARTITIONS: [*of_stream.values()]} for stream, of_stream in latest.items()
        }
    }


def account_ids(state: dict[str, Any]) -> set[str | None]:
    """Return the accounts that a state knows."""
    known = state.get(BOOKMARKS, {}).values()
    return {account_id_of(partition) for one in known for partition in one.get(PARTITIONS) or ()}


def _later(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    later = max(one, other, key=_order)
    # No record may carry an earlier time than one that the account's records carried before.
    times = filter(None, (partition.get(READ_AT) for partition in (one, other)))
    latest = max(times, key=_moment, default=None)
    return {**later, READ_AT: latest} if latest else later


def _order(partition: dict[str, Any]) -> tuple[datetime, ...]:
    return tuple(_moment(partition.get(name)) for name in (VALUE, WHOLE_READ_AT, READ_AT))


def _moment(value: object) -> datetime:
    return parse_instant(value) or LONG_AGO
