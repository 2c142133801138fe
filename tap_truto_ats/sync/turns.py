"""Turns: which account is next and which of its tasks, and which accounts have to wait."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from tap_truto_ats.api.envelope import Page
    from tap_truto_ats.api.errors import AccountError
    from tap_truto_ats.api.limits import Refusal
    from tap_truto_ats.sync.tasks import Task

    Output: TypeAlias = deque[tuple[Task[Any], Sequence[Any], bool]]

SHARES = 5
"""The places are enough for so many accounts that take as many as they can; fewer share them."""


@dataclass(slots=True, eq=False)
class Queue:
    """The tasks of one account: lists go before branches, and what has begun before the rest."""

    account_id: str | None
    coming: Iterator[Task[Any]] | None
    """Those that have not begun; None if there are none."""
    out: Output
    """Takes rows with their task, and the end of each task but a branch (True)."""
    lists: deque[Task[Any]] = field(default_factory=deque)
    """Those that have a request to make."""
    branches: deque[Task[Any]] = field(default_factory=deque)
    """Branches that have a request to make, and tasks that have branches to begin."""
    made: int = 0
    """How many requests were made."""
    under_way: int = 0
    """Requests that wait for their answers."""
    has_answered: bool = False
    """Whether its provider answers: the last request for its rows did not fail."""
    is_failing: bool = False
    """Whether its last request failed, and may be tried again."""
    holds_place: bool = False
    """Whether one of the places for failing accounts is taken by its request."""
    given_up: tuple[Any, ...] = ()
    """The subject of the task whose request was the first to use up its tries."""
    refusal: Refusal | None = None
    """What did not allow its last request."""
    has_turn: bool = False
    """Whether it is among those whose turn will come."""

    @property
    def has_work(self) -> bool:
        """Whether there is anything to do but to wait for answers."""
        return bool(self.coming or self.lists or self.branches)

    def lane(self, task: Task[Any]) -> deque[Task[Any]]:
        """Return where a task has its place: lists go before branches."""
        return self.branches if task.is_branch or task.is_forking else self.lists

    def next_task(self, refusal: AccountError | None) -> Task[Any] | None:
        """Return a task that has a request to make; until then, let tasks take their steps.

        A refusal answers all requests for the account.
        """
        while self.has_work:
            if not self.lists and self.coming:
                self._begin_next(self.coming)
                continue
            lane = self.lists or self.branches
            task = lane[0]
            if task.request is None:
                self._await_next(lane, task)
            elif refusal:
                lane.popleft()
                self.advance(task, refusal)
            else:
                return task
        return None

    def advance(self, task: Task[Any], answer: Page | AccountError | None = None) -> None:
        """Let a task take its next step; if that was its last, let those that wait for it go on."""
        rows = task.advance(answer)
        is_end = task.has_ended and not task.is_branch
        if rows or is_end:
            self.out.append((task, rows, is_end))
        if not task.has_ended:
            self.lane(task).appendleft(task)
            return
        if task.dependents and (task.is_branch or task.subject is None):
            task.dependents[0].usage.add(task.usage)
        for dependent in task.dependents:
            dependent.awaited -= 1
            _note_failure(dependent, task)
            self._go_on(dependent)
        task.dependents.clear()

    def _begin_next(self, coming: Iterator[Task[Any]]) -> None:
        """Begin the next task, unless another one that needed it did."""
        task = next(coming, None)
        if task is None:
            self.coming = None
        elif not task.has_begun:
            self.advance(task)

    def _await_next(self, lane: deque[Task[Any]], task: Task[Any]) -> None:
        """Let a task wait for its next branch, or for a task that others may wait for, too."""
        awaited = next(task.to_await, None) if task.to_await else None
        if awaited is None:
            lane.popleft()
            task.to_await = None
            self._go_on(task)
        elif awaited.has_ended:
            _note_failure(task, awaited)
        else:
            task.awaited += 1
            awaited.dependents.append(task)
            if not awaited.has_begun:
                self.advance(awaited)

    def _go_on(self, task: Task[Any]) -> None:
        if task.to_await is None and not task.awaited:
            self.advance(task, task.failure)

    def waits_until(self, now: float) -> float | None:
        """Return until when the account has to wait; None if it need not."""
        return self.refusal.until if self.refusal and self.refusal.until > now else None


class Turns:
    """The accounts that are not done: first the one for which the fewest requests were made.

    Those that fail come last, and hold half of the places at the most: one that does not answer
    keeps its place until the timeout.
    """

    def __init__(
        self,
        tasks: Mapping[str | None, Iterable[Task[Any]]],
        places: int,
        clock: Callable[[], float],
    ) -> None:
        """Give each account its turn, with so many places for requests at the same time."""
        self.failing = 0
        """Requests under way for accounts that fail."""
        self._most_failing = max(places // 2, 1)
        self._places = places
        self.closed_until = 0.0
        """When the limit that holds for all accounts allows the next request."""
        self._clock = clock
        self._order = count()
        self._ready: list[tuple[tuple[bool, int], int, Queue]] = []
        self._waiting: list[tuple[float, int, Queue]] = []
        self.out: Output = deque()
        """What has come of all tasks."""
        self.queues = {name: Queue(name, iter(theirs), self.out) for name, theirs in tasks.items()}
        for queue in [*self.queues.values()]:
            self.give(queue)

    def give(self, queue: Queue) -> None:
        """Let an account have its turn if it has something to do, after it has waited.

        Until an account has answered, and while it fails, it has none before its answer. None has
        more than its share of the places, since its answers may be slow.
        """
        if not queue.has_work and not queue.under_way:
            self.queues.pop(queue.account_id, None)
        share = self._places // min(len(self.queues) or 1, SHARES)
        most = share if queue.has_answered else 1
        if queue.has_turn or not queue.has_work or queue.under_way >= max(most, 1):
            return
        queue.has_turn = True
        if until := queue.waits_until(self._clock()):
            heappush(self._waiting, (until, next(self._order), queue))
        else:
            heappush(self._ready, ((queue.is_failing, queue.made), next(self._order), queue))

    def next(self) -> Queue | None:
        """Take the account that is next; None if none may make a request now."""
        now = self._clock()
        while self._waiting and self._waiting[0][0] <= now:
            self.give(_taken(self._waiting))
        while self._has_ready and self.closed_until <= now:
            (was_failing, _), *_ = self._ready[0]
            queue = _taken(self._ready)
            # It may have begun to fail, or to wait, after it was given its turn.
            if queue.is_failing == was_failing and not queue.waits_until(self._clock()):
                return queue
            self.give(queue)
        return None

    def next_at(self) -> float | None:
        """Return when there will be a next account; None if that needs an answer."""
        moments = [self.closed_until] if self._has_ready else []
        moments += [max(self._waiting[0][0], self.closed_until)] if self._waiting else []
        return min(moments, default=None)

    @property
    def _has_ready(self) -> bool:
        if not self._ready:
            return False
        (is_failing, _), *_ = self._ready[0]
        return not is_failing or self.failing < self._most_failing

    def waiting(self) -> Counter[str]:
        """Return how many accounts wait at this moment, by the reason."""
        now = self._clock()
        refusals = [queue.refusal for queue in [*self.queues.values()]]
        return Counter(one.reason for one in refusals if one and one.until > now)


def _taken(heap: list[tuple[Any, int, Queue]]) -> Queue:
    queue = heappop(heap)[2]
    queue.has_turn = False
    return queue


def _note_failure(task: Task[Any], ended: Task[Any]) -> None:
    """Keep the first error of the tasks that a task waits for, and let it wait for no others."""
    if ended.error and not task.failure:
        task.failure = ended.error
        task.to_await = iter(()) if task.to_await else None
