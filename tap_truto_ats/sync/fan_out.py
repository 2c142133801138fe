"""Fan-outs: rows that are asked for by their parents, and where a long one goes on."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.api.limits import expected_seconds
from tap_truto_ats.model.instants import LONG_AGO, format_instant, parse_instant
from tap_truto_ats.sync.evidence import Doubt
from tap_truto_ats.sync.lists import MOST_READS
from tap_truto_ats.sync.refusals import Refusals
from tap_truto_ats.sync.tasks import Fork

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from tap_truto_ats.model.declaration import Requirement
    from tap_truto_ats.sync.account_sync import AccountSync
    from tap_truto_ats.sync.parents import Binding, ParentLists
    from tap_truto_ats.sync.rows import AccountRows
    from tap_truto_ats.sync.tasks import Steps

    Position: TypeAlias = tuple[str, ...]

logger = logging.getLogger(__name__)

LATER = datetime.max.replace(tzinfo=timezone.utc)

NOTE_SECONDS = 60.0
"""The time between two notes in the state of how far a fan-out is."""

LONG_SECONDS = 600
"""A fan-out that takes so long at least is told of."""

NOTE_REQUESTS = 3_000
"""As many requests as the limit of a token allows in that time."""


@dataclass
class FanOut:
    """How far the parents of an account have been asked for, in the order of their ids."""

    mode: str
    """How the account is read; another mode, or another scope, begins anew."""
    scope: Mapping[str, str]
    began: datetime
    """When the first request was made, by Truto's clock."""
    known_until: datetime | None = None
    """Up to which change of parents all were listed when it began; None if they do not tell."""
    has_gone: bool = False
    """Whether one of those was not found when its turn came."""
    after: Position = ()
    """The last parent up to which all have been asked for, and whose rows are out."""
    has_ended: bool = False
    """Whether it came to its end; parents that were refused are asked again with all others."""
    _positions: list[Position] = field(default_factory=list)
    """The parents to ask for."""
    _ended: set[int] = field(default_factory=set)
    _gone: set[int] = field(default_factory=set)
    """Those that were not found, as long as none behind them was: all may be refused."""
    _first: int = 0
    """The first parent whose rows have not all been handed out."""
    _steps: deque[tuple[int, Position]] = field(default_factory=deque)
    """How many rows had been handed out when that moved on, and to behind which parent."""

    @classmethod
    def of(cls, sync: AccountSync) -> FanOut:
        """Begin a fan-out, or go on with the one that an earlier run could not end."""
        mode, state = sync.mode.name if sync.mode else "", sync.fan_out_known
        began = parse_instant(state.get("began"))
        is_same = (state.get("mode"), state.get("scope")) == (mode, sync.scope)
        if began is None or not is_same or sync.deletes:
            return cls(mode, sync.scope, sync.started_at)
        sync.evidence.resume(began)
        sync.started_at, sync.is_resumed = began, True
        has_gone = state.get("has_gone") is True
        sync.evidence.doubts[Doubt.GONE] += has_gone
        known_until = parse_instant(state.get("known_until"))
        after = tuple(map(str, state.get("after") or ()))
        return cls(mode, sync.scope, began, known_until, has_gone, after)

    def state(self, rows: int) -> dict[str, Any] | None:
        """Return what another run needs in order to go on; None when there is nothing to.

        Args:
            rows: How many rows of the account sync are out.
        """
        while self._steps and self._steps[0][0] <= rows:
            self.after = max(self.after, self._steps.popleft()[1])
        if not self.after or self.has_ended:
            return None
        return {
            "mode": self.mode,
            "scope": dict(self.scope),
            "began": format_instant(self.began),
            "known_until": self.known_until and format_instant(self.known_until),
            "after": list(self.after),
            **({"has_gone": True} if self.has_gone else {}),
        }

    def begin(
        self, parents: Sequence[Binding], known_until: datetime | None, since: datetime | None
    ) -> list[Binding]:
        """Return those of the parents that are to be asked for.

        Where an earlier run stopped, they are those behind the last one, and those that changed
        since it listed them.

        Args:
            parents: All that were listed.
            known_until: Up to which change of parents all were listed; None if they do not tell.
            since: Parents that last changed before then are left out; None for none.
        """
        if not self.after:
            self.known_until = known_until
        again = self.known_until or LATER
        chosen = [
            one
            for one in parents
            if (one.position > self.after or one.changed >= again)
            and (since is None or one.changed >= since or one.changed == LONG_AGO)
        ]
        self._positions = [one.position for one in chosen]
        self._first = 0
        self._ended.clear()
        return chosen

    def read(self, rows: AccountRows, index: int, parent: Binding) -> Steps[None]:
        """Read the rows of one of the parents.

        Raises:
            AccountError: They could not be read. A parent that is gone counts as read if it is not
                the last of all that come.
        """
        try:
            yield from rows.read_list(parent.params, None)
        except AccountError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                self._gone.add(index)
            raise
        self.has_gone |= bool(self._gone)
        self._note_end({index, *self._gone}, rows.handed_out)
        self._gone.clear()

    def _note_end(self, indexes: set[int], handed_out: int) -> None:
        self._ended |= indexes
        before = self._first
        while self._first in self._ended:
            self._ended.remove(self._first)
            self._first += 1
        if self._first > before:
            self._steps.append((handed_out, self._positions[self._first - 1]))


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


def read_by_parents(
    rows: AccountRows, requires: Sequence[Requirement], lists: ParentLists
) -> Steps[bool]:
    """Read a list for each parent; a parent that is refused does not keep the others back.

    All rows that come are handed out: it is the requests that take time.

    Returns:
        False if not a single parent was found to exist.

    Raises:
        AccountError: The parents could not be listed, or some were refused.
    """
    sync, innermost = rows.sync, requires[-1]
    sync.parent = innermost.resource.removesuffix("s")
    fan_out = sync.fan_out = FanOut.of(sync)
    evidence, doubts = sync.evidence, sync.evidence.doubts
    if sync.deletes:
        evidence.marks = set()
    while True:
        known = len(evidence.marks or ())
        parents = yield from lists.of(innermost, evidence.reads)
        evidence.add(parents.evidence)
        every = parents.bindings(requires, rows.query.params(sync.account, None))
        bindings = fan_out.begin(every, parents.evidence.read_until(), sync.parents_since)
        seconds = expected_seconds(len(bindings))
        if seconds >= LONG_SECONDS and not evidence.reads:
            logger.info(
                "Account %s: %d of %d %s, a request each or more: at the account's limit %s"
                " (h:mm:ss).",
                sync.account.id,
                len(bindings),
                len(every),
                innermost.resource,
                timedelta(seconds=round(seconds)),
            )
        refusals = Refusals(innermost.resource)
        yield Fork(refusals.attempts(fan_out.read(rows, *one) for one in enumerate(bindings)))
        fan_out.has_ended = True
        if refusals.gone:
            doubts[Doubt.GONE] += refusals.gone
        error = refusals.error() or parents.error()
        # A row that moves to a parent that was asked before it shows in no list.
        is_again = sync.deletes and len(bindings) > 1
        if error or not is_again or len(evidence.marks or ()) == known:
            break
        evidence.reads += 1
        if evidence.reads == MOST_READS:
            doubts[Doubt.MOVED] += 1
            break
    without_id = parents.evidence.doubts[Doubt.PARENTS_WITHOUT_ID]
    if doubts[Doubt.GONE] or without_id:
        logger.warning(
            "Account %s: of %s, %d were gone when their turn came and %d had no `id`.",
            sync.account.id,
            innermost.resource,
            doubts[Doubt.GONE],
            without_id,
        )
    if error:
        raise error
    return not refusals.are_all_gone
