"""What the benchmark's server serves: accounts with rows, in pages of ready-made bytes."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

SEED = 1
VARIANTS = 8
"""How many pages of one size are made; the others repeat these with other ids."""

BEGIN = datetime(2026, 1, 5, 9, tzinfo=timezone.utc)
CHANGED_AT = "2026-03-02T09:00:00.000Z"
"""When the rows last changed that did so after a first run: later than all others."""

EAST = timezone(timedelta(hours=2))
EAST_SHARE = 0.05
"""The share of rows whose date-times have an offset instead of `Z`."""

STATUSES = ("scheduled", "completed", "awaiting_feedback", "cancelled")
PLACEHOLDER = "-" * 36
"""Stands where a row's id will be, and is as long."""


class Kind(NamedTuple):
    """What an account's provider is, and how it answers."""

    provider: str = "greenhouse"
    status: int = 200
    """Of each answer about its rows; 0 for none, while the connection stays open."""
    retry_after: int | None = None
    """Seconds, with an answer other than 200."""
    candidates: int = 0
    """How many candidates it lists, if its interviews are asked for by candidate: one of each,
    which does not tell when it last changed."""


ODD = {
    "502": Kind(status=502),
    "429": Kind(status=429, retry_after=60),
    "hanging": Kind(status=0),
    "fountain": Kind(provider="fountain", candidates=100),
}
"""The kinds of accounts that other accounts should not suffer from, by name."""

UNLISTED = "unlisted"
"""A provider that the tap's tables lack: it goes by the account's capabilities."""


@dataclass(frozen=True)
class World:
    """How many accounts there are, the rows of each, and how the server behaves."""

    accounts: int
    """The number of healthy accounts."""
    rows: int
    """The number of rows that each healthy account has of each resource."""
    delay: float = 0.0
    """Seconds that each answer takes, but for errors, which come at once."""
    limits: bool = False
    """Whether both of Truto's limits are enforced."""
    resources: Sequence[str] = ("interviews",)
    """What is read: all providers offer it."""
    provider: str = "greenhouse"
    """The provider of healthy accounts."""
    odd: int = 0
    """The number of accounts that are listed before the healthy ones."""
    kind: str = ""
    """Their kind, one of `ODD`."""
    padding: int = 0
    """By how many bytes each interview is larger than the 1 KB that is usual."""
    by_candidate: bool = False
    """Whether healthy accounts have a candidate for each interview, by which it is asked for."""
    changed_every: int | None = None
    """Of so many candidates, one changed since a first run; None if none did."""

    def account_ids(self) -> list[str]:
        """The accounts, in the order in which they are listed."""
        return [account_id(number) for number in self.numbers]

    @property
    def numbers(self) -> range:
        """The numbers of the accounts."""
        return range(self.odd + self.accounts)

    @property
    def healthy_rows(self) -> int:
        """The number of rows that are to be read from healthy accounts."""
        return self.accounts * self.rows * len(self.resources)

    def is_healthy(self, number: int) -> bool:
        """Say whether an account is none of the odd ones."""
        return number >= self.odd

    def kind_of(self, number: int) -> Kind:
        """Tell what an account is like."""
        candidates = self.rows if self.by_candidate else 0
        return (
            Kind(self.provider, candidates=candidates)
            if self.is_healthy(number)
            else ODD[self.kind]
        )

    def resources_of(self, number: int) -> tuple[str, ...]:
        """Tell what an account's provider offers."""
        return (*self.resources, *(["candidates"] if self.kind_of(number).candidates else []))

    def part(self, divisor: int) -> World:
        """Return a world with a part of the rows, or of the accounts where each has only a few."""
        odd = -(-self.odd // divisor)
        if self.rows < divisor:
            return replace(self, odd=odd, accounts=self.accounts // divisor)
        return replace(self, odd=odd, rows=self.rows // divisor)


def account_id(number: int) -> str:
    """Name an account; the number can be read back from the first eight digits."""
    return f"{number:08x}-0000-4000-8000-acc000000000"


def account(number: int, provider: str) -> dict[str, Any]:
    """Make an account's row."""
    return {
        "id": account_id(number),
        "tenant_id": f"customer-{number}",
        "status": "active",
        "is_sandbox": False,
        "integration": {"id": str(uuid.UUID(int=1)), "name": provider, "category": "ats"},
        "last_error": None,
        "created_at": "2026-01-05T09:00:00.000Z",
        "updated_at": "2026-01-05T09:00:00.000Z",
    }


class Rows(NamedTuple):
    """The rows that an account has of a resource."""

    resource: str
    account: int
    total: int
    padding: int = 0
    is_dated: bool = True
    """Whether they tell when they last changed."""
    changed_every: int | None = None
    """Of so many rows of a page, the first one changed after all others; None if none did."""

    def page(self, begin: int, limit: int) -> tuple[bytes, int]:
        """Make a page of them in Truto's envelope.

        Args:
            begin: How many rows come before the page.
            limit: How many rows the page may hold.

        Returns:
            The body, and how many rows are in it.
        """
        end = min(begin + limit, self.total)
        count = max(end - begin, 0)
        pieces, places = _template(self._replace(account=0, total=count), begin // limit % VARIANTS)
        body = bytearray(pieces)
        for row, place in enumerate(places, begin):
            body[place : place + len(PLACEHOLDER)] = row_id(self.account, row).encode()
        cursor = b'"%d"' % end if end < self.total else b"null"
        tail = b'],"next_cursor":%b,"prev_cursor":null,"result_count":%d}' % (cursor, count)
        return b'{"result":[' + body + tail, count


def row_id(number: int, row: int) -> str:
    """Name a row of an account; `row_number` reads its number back."""
    return f"{number:08x}-0000-4000-8000-{row:012x}"


def row_number(identity: str) -> int:
    """Read a row's number from its id."""
    return int(identity[-12:], 16)


@lru_cache(maxsize=32 * VARIANTS)
def _template(page: Rows, variant: int) -> tuple[bytes, list[int]]:
    """Make the bytes of a page of rows, and tell at which of them the rows' ids begin."""
    chance = random.Random(f"{SEED} {variant}")
    make = _interview if page.resource == "interviews" else _thing
    made = [make(chance, page.padding) for _ in range(page.total)]
    for row in made[:: page.changed_every] if page.changed_every else ():
        row["updated_at"] = CHANGED_AT
    for row in () if page.is_dated else made:
        del row["updated_at"]
    rows = [json.dumps(row, separators=(",", ":")).encode() for row in made]
    begins = accumulate((len(row) + 1 for row in rows), initial=0)
    places = [
        begin + row.index(PLACEHOLDER.encode()) for begin, row in zip(begins, rows, strict=False)
    ]
    return b",".join(rows), places


def _interview(chance: random.Random, padding: int) -> dict[str, Any]:
    """Make an interview of about 1 KB and the padding, with the reference page's fields."""
    created = BEGIN + timedelta(milliseconds=chance.randrange(10**9))
    start = created.replace(minute=0, second=0, microsecond=0) + timedelta(days=7)
    zone = EAST if chance.random() < EAST_SHARE else timezone.utc

    def reference() -> dict[str, str]:
        return {"id": str(uuid.UUID(int=chance.getrandbits(128), version=4))}

    return {
        "id": PLACEHOLDER,
        "application": reference(),
        "candidate": reference(),
        "created_at": _spell(created, "milliseconds", zone),
        "end_at": _spell(start + timedelta(hours=1), "seconds", zone),
        "interviewers": [reference() for _ in range(chance.randint(2, 6))],
        "job_interview_stage": reference(),
        "location": f"https://meet.example/j/{chance.getrandbits(40)}?pwd={chance.getrandbits(1024):x}"
        + "x" * padding,
        "organizer": reference(),
        "start_at": _spell(start, "seconds", zone),
        "status": chance.choice(STATUSES),
        "updated_at": _spell(created + timedelta(days=1), "milliseconds", zone),
    }


def _thing(chance: random.Random, _padding: int) -> dict[str, Any]:
    """Make a row of any other resource: no more than every unified resource has."""
    updated = BEGIN + timedelta(milliseconds=chance.randrange(10**9))
    return {"id": PLACEHOLDER, "updated_at": _spell(updated, "milliseconds", timezone.utc)}


def _spell(moment: datetime, precision: str, zone: timezone) -> str:
    text = moment.astimezone(zone).isoformat(timespec=precision)
    return text.replace("+00:00", "Z")
