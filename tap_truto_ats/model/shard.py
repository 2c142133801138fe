"""Shards: a fixed share of the accounts for each of several runs."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True)
class Shard:
    """One of `count` shards, counted from 0; an account is in exactly one of them."""

    index: int
    count: int

    def __contains__(self, account_id: str) -> bool:
        """Return whether an account is in it: by its id alone, on every machine alike."""
        return int(sha256(account_id.encode()).hexdigest(), 16) % self.count == self.index

    def __str__(self) -> str:
        """Name the shard in a log line."""
        return f"shard {self.index} of {self.count}"
