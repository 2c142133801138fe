"""How far a fan-out has come, as the state remembers it, so that the next run may go on there."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tap_truto_ats.model.instants import LONG_AGO, format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

Position: TypeAlias = tuple[str, ...]

NOTE_SECONDS = 60.0
"""The time between two notes in the state of how far fan-outs are."""

NOTE_REQUESTS = 3_000
"""As many requests as the limit of a token allows in that time."""

MOST_GONE = 100
"""As many parents that were not found the state names."""


class Binding(NamedTuple):
    """The values of required parameters by which the rows of a parent are asked for."""

    position: Position
    """The values alone, the id of the innermost parent last."""
    params: dict[str, str]
    changed: datetime
    """When that parent last changed; `LONG_AGO` if it does not tell."""

    def may_have_changed(self, since: datetime) -> bool:
        """Return whether the parent changed since then, or does not tell."""
        return self.changed >= since or self.changed == LONG_AGO


@dataclass
class Progress:
    """How far the parents of an account have been asked for, in the order of their ids."""

    mode: str
    """How the account is read: in another mode, or with another scope, it begins anew."""
    scope: Mapping[str, str]
    began: datetime
    """When the first request was made, by Truto's clock."""
    known_until: datetime | None = None
    """Up to which change of parents all were listed when it began; None if they do not tell."""
    gone: set[Position] = field(default_factory=set)
    """Those that were not found when their turn came, nor since."""
    has_more_gone: bool = False
    """Whether they were more than an earlier run could note."""
    after: Position = ()
    """The last parent up to which all have been asked for, and whose rows are out."""
    has_ended: bool = False
    """Whether it came to its end; parents that were refused are asked again with all others."""
    _positions: list[Position] = field(default_factory=list)
    """The parents to ask for."""
    _first: int = 0
    """The first of them whose rows are not all out."""
    _ended: dict[int, int] = field(default_factory=dict)
    """By place of those that have ended: how many rows had been handed out then."""
    _gone: set[int] = field(default_factory=set)
    """Those that were not found, as long as none behind them was: all may be refused."""

    @classmethod
    def of(
        cls, state: Mapping[str, Any], mode: str, scope: Mapping[str, str], now: datetime
    ) -> Progress:
        """Return how far an earlier run came, or the beginning."""
        began, after = parse_instant(state.get("began")), state.get("after")
        is_same = (state.get("mode"), state.get("scope")) == (mode, scope)
        if began is None or not isinstance(after, list) or not is_same:
            return cls(mode, scope, now)
        known_until, noted = parse_instant(state.get("known_until")), state.get("gone") or []
        has_more = not isinstance(noted, list)
        lists = [] if has_more else [one for one in noted if isinstance(one, list)]
        gone, last = {tuple(map(str, one)) for one in lists}, tuple(map(str, after))
        return cls(mode, scope, began, known_until, gone, has_more, last)

    def state(self, rows: int) -> dict[str, Any] | None:
        """Return what another run needs to go on, if so many rows of the account are out.

        None if there is nothing to go on with.
        """
        while self._ended.get(self._first, rows + 1) <= rows:
            del self._ended[self._first]
            self.after = max(self.after, self._positions[self._first])
            self._first += 1
        if not self.after or self.has_ended:
            return None
        has_more = self.has_more_gone or len(self.gone) > MOST_GONE
        gone = has_more or sorted(map(list, self.gone))
        return {
            "mode": self.mode,
            "scope": dict(self.scope),
            "began": format_instant(self.began),
            "known_until": self.known_until and format_instant(self.known_until),
            "after": list(self.after),
            **({"gone": gone} if gone else {}),
        }

    def begin(
        self,
        parents: Sequence[Binding],
        known_until: datetime | None,
        since: datetime | None,
        asked: Collection[Position] = (),
    ) -> list[Binding]:
        """Return those of the parents that are to be asked for.

        Parents that last changed before `since` are not. Where an earlier run stopped, they are
        those behind its last one, and those that changed since it listed them or do not tell,
        unless none of them does: then it is not known up to which change all were listed. Where
        this run has asked before for those that were listed then (`asked`), the same holds of them.
        Those that were not found are asked for again if they are listed still.
        """
        if not (asked or self.after):
            self.known_until = known_until
        listed_until = self.known_until

        def is_left(one: Binding) -> bool:
            is_new = one.position not in asked if asked else one.position > self.after
            return is_new or (listed_until is not None and one.may_have_changed(listed_until))

        chosen = [
            one
            for one in parents
            if one.position in self.gone
            or (is_left(one) and (since is None or one.may_have_changed(since)))
        ]
        self._positions = [one.position for one in chosen]
        self._first = 0
        self._ended.clear()
        self._gone.clear()
        return chosen

    def note_gone(self, index: int) -> None:
        """Take note that a parent does not exist; if others behind it do, that is no refusal."""
        self._gone.add(index)
        self.gone.add(self._positions[index])

    def note_end(self, index: int, handed_out: int) -> None:
        """Take note that all rows of a parent are handed out, and how many of the account are.

        The index is the parent's place among those that `begin` returned.
        """
        self.gone.discard(self._positions[index])
        self._ended |= dict.fromkeys((index, *self._gone), handed_out)
        self._gone.clear()


@dataclass
class Notes:
    """When to note in the state how far fan-outs are."""

    _last_at: float = field(default_factory=time.monotonic)
    _last_requests: int = 0

    def are_due(self, requests: int) -> bool:
        """Return whether it is time for that, so many requests having been made."""
        now = time.monotonic()
        if now < self._last_at + NOTE_SECONDS and requests < self._last_requests + NOTE_REQUESTS:
            return False
        self._last_at, self._last_requests = now, requests
        return True
