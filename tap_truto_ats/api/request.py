"""A request for a page, and what requests have cost."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_truto_ats.api.envelope import Page


ACCOUNTS = "/integrated-account"
"""The list of accounts; below it is what Truto itself knows of each."""


@dataclass(frozen=True)
class Request:
    """A GET of one page."""

    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    """They may nest: `{"start_at": {"gte": …}}`."""
    account_id: str | None = None
    single: bool = False
    """Whether the answer is one object instead of an envelope of rows."""
    arriving: ArrivingPage | None = field(default=None, compare=False)
    """With it, the page is given out in parts while it arrives: one part each time that the request
    is made."""

    @property
    def is_arriving(self) -> bool:
        """Whether its answer has begun to arrive, so that no limit counts its next part."""
        return self.arriving is not None and self.arriving.parts is not None

    @property
    def limited_account(self) -> str | None:
        """The account whose limit counts the request; none does for what Truto itself answers."""
        return None if self.path.startswith(ACCOUNTS) else self.account_id

    def having(self, params: Mapping[str, Any]) -> Request:
        """Return the same request with further parameters."""
        arriving = ArrivingPage() if self.arriving else None
        return replace(self, params={**self.params, **params}, arriving=arriving)

    def after(self, cursor: str) -> Request:
        """Return the request for the next page, which repeats all parameters."""
        return self.having({"next_cursor": cursor})


@dataclass(slots=True)
class Usage:
    """What requests have cost so far; one thread at a time adds to it."""

    requests: int = 0
    """HTTP requests, retries included."""
    pages: int = 0
    """Pages that have arrived."""
    retries: int = 0
    replaced: int = 0
    """Values of the pages that were not to be had as they were sent."""
    waited_seconds: float = 0.0
    """Seconds spent waiting for Truto's limits and the provider's quota, and after 429."""

    def add(self, other: Usage) -> None:
        """Add another usage to this one."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass(slots=True)
class ArrivingPage:
    """A page that is read while it arrives; one that breaks off is requested again."""

    parts: Iterator[Page] | None = None
    """Those that have not been taken yet; None while no answer arrives."""
