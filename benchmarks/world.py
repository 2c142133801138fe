"""What the benchmark's server serves: accounts with interviews, in pages of ready-made bytes."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import accumulate
from typing import Any

SEED = 1
VARIANTS = 8
"""How many pages of one size are made; the others repeat these with other ids."""

BEGIN = datetime(2026, 1, 5, 9, tzinfo=timezone.utc)
EAST = timezone(timedelta(hours=2))
EAST_SHARE = 0.05
"""The share of rows whose date-times have an offset instead of `Z`."""

STATUSES = ("scheduled", "completed", "awaiting_feedback", "cancelled")
PLACEHOLDER = "-" * 36
"""Stands where a row's id will be, and is as long."""


@dataclass(frozen=True)
class World:
    """How many accounts there are, the rows of each, and how the server behaves."""

    accounts: int
    rows: int
    """The number of rows of each account."""
    delay: float = 0.0
    """Seconds that each answer takes."""
    limits: bool = False
    """Whether both of Truto's limits are enforced."""

    def account_ids(self) -> list[str]:
        """The accounts, in the order in which they are listed."""
        return [account_id(number) for number in range(self.accounts)]


def account_id(number: int) -> str:
    """Name an account; the number can be read back from the first eight digits."""
    return f"{number:08x}-0000-4000-8000-acc000000000"


def account(number: int) -> dict[str, Any]:
    """Make an account's row."""
    return {
        "id": account_id(number),
        "tenant_id": f"customer-{number}",
        "status": "active",
        "is_sandbox": False,
        "integration": {"id": str(uuid.UUID(int=1)), "name": "greenhouse", "category": "ats"},
        "last_error": None,
        "created_at": "2026-01-05T09:00:00.000Z",
        "updated_at": "2026-01-05T09:00:00.000Z",
    }


def page(number: int, begin: int, limit: int, total: int) -> tuple[bytes, int]:
    """Make a page of an account's rows in Truto's envelope.

    Args:
        number: The account.
        begin: How many of its rows come before the page.
        limit: How many rows the page may hold.
        total: How many rows the account has.

    Returns:
        The body, and how many rows are in it.
    """
    end = min(begin + limit, total)
    count = max(end - begin, 0)
    pieces, places = _template(count, begin // limit % VARIANTS)
    body = bytearray(pieces)
    for row, place in enumerate(places, begin):
        body[place : place + len(PLACEHOLDER)] = b"%08x-0000-4000-8000-%012x" % (number, row)
    cursor = b'"%d"' % end if end < total else b"null"
    tail = b'],"next_cursor":%b,"prev_cursor":null,"result_count":%d}' % (cursor, count)
    return b'{"result":[' + body + tail, count


@lru_cache(maxsize=4 * VARIANTS)
def _template(count: int, variant: int) -> tuple[bytes, list[int]]:
    """Make the bytes of so many rows, and tell at which of them the rows' ids begin."""
    chance = random.Random(f"{SEED} {variant}")
    rows = [json.dumps(_row(chance), separators=(",", ":")).encode() for _ in range(count)]
    begins = accumulate((len(row) + 1 for row in rows), initial=0)
    places = [
        begin + row.index(PLACEHOLDER.encode()) for begin, row in zip(begins, rows, strict=False)
    ]
    return b",".join(rows), places


def _row(chance: random.Random) -> dict[str, Any]:
    """Make an interview of about 1 KB, with the reference page's fields."""
    created = BEGIN + timedelta(milliseconds=chance.randrange(10**9))
    start = created.replace(minute=0, second=0, microsecond=0) + timedelta(days=7)
    zone = EAST if chance.random() < EAST_SHARE else timezone.utc

    def thing() -> dict[str, str]:
        return {"id": str(uuid.UUID(int=chance.getrandbits(128), version=4))}

    return {
        "id": PLACEHOLDER,
        "application": thing(),
        "candidate": thing(),
        "created_at": _spell(created, "milliseconds", zone),
        "end_at": _spell(start + timedelta(hours=1), "seconds", zone),
        "interviewers": [thing() for _ in range(chance.randint(2, 6))],
        "job_interview_stage": thing(),
        "location": f"https://meet.example/j/{chance.getrandbits(40)}?pwd={chance.getrandbits(1024):x}",
        "organizer": thing(),
        "start_at": _spell(start, "seconds", zone),
        "status": chance.choice(STATUSES),
        "updated_at": _spell(created + timedelta(days=1), "milliseconds", zone),
    }


def _spell(moment: datetime, precision: str, zone: timezone) -> str:
    text = moment.astimezone(zone).isoformat(timespec=precision)
    return text.replace("+00:00", "Z")
