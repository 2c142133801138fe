"""The loop: requests for many accounts at the same time, their pages in the order of arrival."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.api.errors import AccountError, unexpected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeAlias

    from tap_truto_ats.api.client import Request, Usage
    from tap_truto_ats.api.limits import Refusal
    from tap_truto_ats.sync.tasks import Walk

    Fetch: TypeAlias = Callable[[Request, Usage], Page]
    Admit: TypeAlias = Callable[[Request], Refusal | None]
    Arrival: TypeAlias = tuple[Walk[Any], Page | BaseException]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Reader:
    """Has pages fetched by threads and hands them to the thread that reads.

    One reading at a time: walks that need another reading's result wait until it has ended.
    """

    def __init__(
        self,
        fetch: Fetch,
        admit: Admit,
        concurrency: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what gets a page, what counts a request or refuses it, and how many go at once."""
        self._fetch = fetch
        self._admit = admit
        self._concurrency = concurrency
        self._clock = clock
        self._loop = self._new_loop(())
        self._exit_code: int | None = None

    def stop(self, exit_code: int) -> None:
        """End the reading before its next page. A signal handler may call this."""
        self._exit_code = exit_code
        self._loop.arrived.put(None)

    def waiting(self) -> Counter[str]:
        """Tell how many accounts wait for a limit at this moment, by the limit's name."""
        now = self._clock()
        refusals = [lane.refusal for lane in list(self._loop.lanes.values())]
        return Counter(one.limit for one in refusals if one and one.until > now)

    def read(self, walks: Iterable[Walk[T]]) -> Iterator[tuple[Walk[T], Sequence[Any], bool]]:
        """Yield the rows of each page with their walk, as pages arrive; and each walk's end (True).

        Walks of the same account have their turn in the order given, and so have accounts: what
        has begun is brought to its end before more is begun. An account whose limit is used up is
        passed over until the limit allows more.

        A walk's next page is requested before the rows of its last one are yielded. One page of
        each request under way is outstanding, so that memory is bounded by `concurrency` pages.
        The end of a branch is not told; its rows are.

        Raises:
            RunError: Nothing can be read for any account.
            SystemExit: `stop` was called.
        """
        loop = self._loop = self._new_loop(walks)
        try:
            while True:
                loop.request()
                yield from loop.take_out()
                if not loop.lanes:
                    return
                self._check_stopped()
                loop.wait()
                self._check_stopped()
        finally:
            loop.close()

    def _new_loop(self, walks: Iterable[Walk[Any]]) -> _Loop:
        return _Loop(self._fetch, self._admit, self._concurrency, self._clock, walks)

    def _check_stopped(self) -> None:
        if self._exit_code is not None:
            logger.warning("Stopped. Accounts that were read to their end keep their bookmarks.")
            raise SystemExit(self._exit_code)


@dataclass
class _Lane:
    """What is to be done for one account."""

    walks: deque[Walk[Any]] = field(default_factory=deque)
    """Those that have not begun, that have a request to make, or that have branches to begin."""
    under_way: int = 0
    """Requests that are being made."""
    refusal: Refusal | None = None
    """Why the first walk's request could not be made yet."""


class _Loop:
    """One reading: which request is next, and what its answer leads to."""

    def __init__(
        self,
        fetch: Fetch,
        admit: Admit,
        concurrency: int,
        clock: Callable[[], float],
        walks: Iterable[Walk[Any]],
    ) -> None:
        self._fetch = fetch
        self._admit = admit
        self._free = concurrency
        self._clock = clock
        self._requested: SimpleQueue[tuple[Walk[Any], Request] | None] = SimpleQueue()
        self.arrived: SimpleQueue[Arrival | None] = SimpleQueue()
        self._threads = self._under_way = 0
        self.lanes: dict[str | None, _Lane] = {}
        self._out: list[tuple[Walk[Any], Sequence[Any], bool]] = []
        for walk in walks:
            self.lanes.setdefault(walk.account_id, _Lane()).walks.append(walk)

    def take_out(self) -> list[tuple[Walk[Any], Sequence[Any], bool]]:
        """Take what is to be handed out."""
        out, self._out = self._out, []
        return out

    def request(self) -> None:
        """Make requests, as many as may be under way and as the limits allow."""
        while self._free and (lane := self._next_lane()):
            walk = self._first(lane)
            if walk is None or walk.request is None:
                continue
            refusal = self._admit(walk.request)
            if lane.refusal:
                walk.usage.waited_seconds += self._clock() - lane.refusal.since
            lane.refusal = refusal
            if refusal is None:
                lane.walks.popleft()
                self._make(lane, walk, walk.request)

    def wait(self) -> None:
        """Wait for an answer, or until a limit allows more; and take what has come."""
        try:
            arrival = self.arrived.get(timeout=self._patience())
        except Empty:
            return
        if arrival is None:
            return
        walk, answer = arrival
        if isinstance(answer, BaseException) and not isinstance(answer, AccountError):
            raise answer
        self._free += 1
        self._under_way -= 1
        self.lanes[walk.account_id].under_way -= 1
        rows = answer.rows if isinstance(answer, Page) else ()
        self._advance(walk, answer, rows if walk.request and walk.request.rows else ())
        self._tidy(walk.account_id)

    def close(self) -> None:
        """Let the threads end."""
        for _ in range(self._threads):
            self._requested.put(None)

    def _patience(self) -> float | None:
        """Tell for how long nothing can be done but wait for an answer; None is for ever."""
        refusals = [lane.refusal for lane in self.lanes.values() if lane.refusal and self._free]
        if not refusals:
            return None
        return max(min(one.until for one in refusals) - self._clock(), 0.0)

    def _make(self, lane: _Lane, walk: Walk[Any], request: Request) -> None:
        """Have a thread make a request."""
        if self._threads == self._under_way:
            self._threads += 1
            queues = self._requested, self.arrived
            Thread(target=_work, args=(self._fetch, *queues), daemon=True).start()
        self._free -= 1
        self._under_way += 1
        lane.under_way += 1
        self._requested.put((walk, request))

    def _next_lane(self) -> _Lane | None:
        """Choose, of the accounts that no limit holds back, the first with the fewest requests."""
        now, chosen = self._clock(), None
        for lane in self.lanes.values():
            if not lane.walks or (chosen and lane.under_way >= chosen.under_way):
                continue
            if lane.refusal and lane.refusal.until > now:
                if lane.refusal.is_for_all:
                    return None
                continue
            chosen = lane
            if not lane.under_way:
                break
        return chosen

    def _first(self, lane: _Lane) -> Walk[Any] | None:
        """Bring a walk that has a request to make to the front of its lane."""
        account_id = lane.walks[0].account_id
        while lane.walks:
            walk = lane.walks[0]
            if walk.request:
                return walk
            if not walk.has_begun:
                lane.walks.popleft()
                self._advance(walk)
            elif walk.branches and (branch := next(walk.branches, None)):
                self._join(walk, branch)
            else:
                lane.walks.popleft()
                walk.branches = None
                self._go_on(walk)
        self._tidy(account_id)
        return None

    def _join(self, walk: Walk[Any], branch: Walk[Any]) -> None:
        """Let a walk wait for a branch of its own, or for a walk that others may wait for, too."""
        if branch.ended:
            _note_failure(walk, branch)
            return
        walk.outstanding += 1
        branch.followers.append(walk)
        if not branch.has_begun:
            self._advance(branch)

    def _advance(
        self,
        walk: Walk[Any],
        answer: Page | AccountError | None = None,
        rows: Sequence[Any] = (),
    ) -> None:
        """Let a walk take its next step, and what waits for it go on if that was its last."""
        further = walk.advance(answer)
        rows = [*rows, *further] if further else rows
        is_end = walk.ended and not walk.is_branch
        if rows or is_end:
            self._out.append((walk, rows, is_end))
        if not walk.ended:
            self.lanes[walk.account_id].walks.appendleft(walk)
            return
        if walk.followers:
            walk.followers[0].usage.add(walk.usage)
        for follower in walk.followers:
            follower.outstanding -= 1
            _note_failure(follower, walk)
            self._go_on(follower)

    def _go_on(self, walk: Walk[Any]) -> None:
        if walk.branches is None and not walk.outstanding:
            self._advance(walk, walk.failure)

    def _tidy(self, account_id: str | None) -> None:
        """Forget an account of which nothing is left."""
        lane = self.lanes[account_id]
        if not lane.walks and not lane.under_way:
            del self.lanes[account_id]


def _note_failure(walk: Walk[Any], ended: Walk[Any]) -> None:
    """The first error of what a walk waits for ends the waiting for all that has not begun."""
    if ended.error and not walk.failure:
        walk.failure = ended.error
        walk.branches = iter(()) if walk.branches else None


def _work(
    fetch: Fetch,
    requested: SimpleQueue[tuple[Walk[Any], Request] | None],
    arrived: SimpleQueue[Arrival | None],
) -> None:
    while order := requested.get():
        walk, request = order
        try:
            answer: Page | BaseException = fetch(request, walk.usage)
        except AccountError as error:
            answer = error
        except Exception as error:  # noqa: BLE001 - one account's oddity ends that account
            answer = unexpected(error)
        except BaseException as error:  # noqa: BLE001 - the reading thread raises it
            answer = error
        arrived.put((walk, answer))
