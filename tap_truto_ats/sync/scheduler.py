"""The one loop over all accounts: turns, limits and retries, and pages as they arrive.

It does no I/O: threads make the requests, each of them once.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from http import HTTPStatus
from itertools import count
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from tap_truto_ats.api.errors import (
    AccountError,
    NoListError,
    RunError,
    TransientError,
    unexpected,
)
from tap_truto_ats.api.limits import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from tap_truto_ats.api.envelope import Page
    from tap_truto_ats.api.request import Request, Usage
    from tap_truto_ats.sync.tasks import Task

    Fetch: TypeAlias = Callable[[Request, Usage], Page]
    Admit: TypeAlias = Callable[[Request], Refusal | None]
    Arrival: TypeAlias = tuple[Task[Any], Page | BaseException]

logger = logging.getLogger(__name__)

FAILING = "failing"

STOPPED = "Stopped. Accounts that were read to their end keep their bookmarks."

TICK = 1.0
"""Seconds after which `read` comes back without rows, so that its caller may do what is due."""

T = TypeVar("T")


@dataclass
class Scheduler:
    """Has pages fetched by threads, and hands them to the thread that reads.

    Only one `read` goes on at a time.
    """

    fetch: Fetch
    """Tries once to get a page; called by many threads at a time."""
    admit: Admit
    """Counts a request, or returns what does not allow it yet."""
    concurrency: int
    """How many requests may be under way at the same time."""
    max_retries: int = 0
    """How often a request is tried again."""
    clock: Callable[[], float] = time.monotonic
    refused: dict[str | None, AccountError] = field(default_factory=dict)
    """By account: the error that ends every further request for it. It is blocked, for example."""

    def __post_init__(self) -> None:
        """Start no thread yet."""
        self._loop = _Loop(self, {})
        self._exit_code: int | None = None

    def stop(self, exit_code: int) -> None:
        """End `read` before its next page; a signal handler may call this."""
        self._exit_code = exit_code
        self._loop.arrived.put(None)

    def unfinished(self) -> int:
        """Return how many accounts have not been read to their end."""
        return len(self._loop.queues)

    def waiting(self) -> Counter[str]:
        """Return how many accounts wait at this moment, by the reason."""
        now = self.clock()
        refusals = [queue.refusal for queue in list(self._loop.queues.values())]
        return Counter(one.reason for one in refusals if one and one.until > now)

    def read(
        self, tasks: Mapping[str | None, Iterable[Task[T]]]
    ) -> Iterator[tuple[Task[T], Sequence[Any], bool] | None]:
        """Yield the rows of each page with their task, as pages arrive; and each task's end (True).

        The account for which the fewest requests were made has its turn first. Of an account's
        tasks, one that has begun goes before one that has not, and lists go before branches. Until
        an account has answered, and while it fails, one request for it is under way at a time. An
        account that has to wait, for a limit or before a retry, is passed over meanwhile.

        A task's next page is requested before the rows of its last one are yielded. At most
        `concurrency` pages wait besides the one being yielded, which bounds the memory. The rows of
        branches are yielded, but not their ends.

        Args:
            tasks: By account, which may be None; they are taken when their turn comes.

        Yields:
            Also None, at least once in a `TICK`, when nothing else is to be yielded.

        Raises:
            RunError: Nothing can be read for any account.
            SystemExit: `stop` was called.
        """
        loop = self._loop = _Loop(self, tasks)
        try:
            while True:
                loop.request()
                yield from loop.take_output()
                if not loop.queues:
                    return
                if self._exit_code is None and not loop.wait():
                    yield None
                if self._exit_code is not None:
                    logger.warning(STOPPED)
                    raise SystemExit(self._exit_code)
        finally:
            loop.close()


@dataclass(slots=True, eq=False)
class _Queue:
    """The tasks of one account."""

    account_id: str | None
    number: int
    coming: Iterator[Task[Any]] | None
    """Those that have not begun; None if there are none."""
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
    given_up: tuple[Any, ...] = ()
    """The subject of the task whose request was the first to use up its tries."""
    refusal: Refusal | None = None
    """What did not allow its last request."""
    has_turn: bool = False
    """Whether it is among those whose turn will come."""

    @property
    def has_work(self) -> bool:
        return bool(self.coming or self.lists or self.branches)

    def has_to_wait(self, now: float) -> bool:
        return self.refusal is not None and self.refusal.until > now


class _Loop:
    """One `read`: which request is next, and what its answer leads to."""

    def __init__(
        self, scheduler: Scheduler, tasks: Mapping[str | None, Iterable[Task[Any]]]
    ) -> None:
        self._scheduler = scheduler
        self._requested: SimpleQueue[tuple[Task[Any], Request] | None] = SimpleQueue()
        self.arrived: SimpleQueue[Arrival | None] = SimpleQueue()
        self._threads = self._under_way = 0
        self._out: list[tuple[Task[Any], Sequence[Any], bool]] = []
        self._closed_until = 0.0
        self._order = count()
        self._turns: list[tuple[int, int, _Queue]] = []
        """A heap: first the account with the fewest requests, then in the order of the turns."""
        self._waiting: list[tuple[float, int, _Queue]] = []
        """A heap of the accounts that have to wait, by the end of that."""
        self.queues = {
            account_id: _Queue(account_id, number, iter(theirs))
            for number, (account_id, theirs) in enumerate(tasks.items())
        }
        for queue in self.queues.values():
            self._give_turn(queue)

    def take_output(self) -> list[tuple[Task[Any], Sequence[Any], bool]]:
        """Return what is to be yielded, and forget it."""
        out, self._out = self._out, []
        return out

    def request(self) -> None:
        """Make as many requests as may be under way and as the limits allow."""
        now = self._scheduler.clock()
        while self._waiting and self._waiting[0][0] <= now:
            self._give_turn(_next(self._waiting))
        while self._turns and self._is_free and self._closed_until <= now:
            queue = _next(self._turns)
            if not queue.has_to_wait(now) and (task := self._next_task(queue)):
                self._make(queue, task)
            self._give_turn(queue)

    def wait(self) -> bool:
        """Wait for an answer and see what it leads to; return False if none came in time."""
        try:
            arrival = self.arrived.get(timeout=self._timeout())
        except Empty:
            return False
        if arrival is None:
            return True
        task, answer = arrival
        del arrival  # Its page would be kept until the next one arrives.
        self._under_way -= 1
        queue = self.queues[task.account_id]
        queue.under_way -= 1
        if isinstance(answer, TransientError):
            queue.has_answered = False
        elif task.request and task.request.limited_account == queue.account_id:
            # Truto itself answers what is asked about an account, though its login may be dead.
            queue.has_answered = True
        if isinstance(answer, AccountError):
            self._fail(queue, task, answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            self._advance(task, answer)
            if task.request and task.request.is_arriving:
                _lane(queue, task).popleft()
                self._send(queue, task, task.request)
        self._give_turn(queue)
        return True

    def close(self) -> None:
        """Have the threads end when they are done with their requests."""
        for _ in range(self._threads):
            self._requested.put(None)

    @property
    def _is_free(self) -> bool:
        return self._under_way < self._scheduler.concurrency

    def _timeout(self) -> float:
        """Return for how many seconds only an answer can change anything."""
        moments = [self._scheduler.clock() + TICK]
        if self._is_free and self._turns:
            moments.append(self._closed_until)
        if self._is_free and self._waiting:
            moments.append(max(self._waiting[0][0], self._closed_until))
        return max(min(moments) - self._scheduler.clock(), 0.0)

    def _give_turn(self, queue: _Queue) -> None:
        """Let an account have its turn if it has something to do, after it has waited."""
        if not queue.has_work and not queue.under_way:
            self.queues.pop(queue.account_id, None)
        if queue.has_turn or not queue.has_work or (queue.under_way and not queue.has_answered):
            return
        queue.has_turn = True
        if queue.refusal and queue.has_to_wait(self._scheduler.clock()):
            heappush(self._waiting, (queue.refusal.until, next(self._order), queue))
        else:
            heappush(self._turns, (queue.made, next(self._order), queue))

    def _make(self, queue: _Queue, task: Task[Any]) -> None:
        """Make a task's request, or find out what does not allow it yet."""
        request = task.request
        assert request is not None  # noqa: S101 - such tasks only are chosen
        refusal = self._scheduler.admit(request)
        if queue.refusal and queue.refusal.reason != FAILING:
            task.usage.waited_seconds += self._scheduler.clock() - queue.refusal.since
        queue.refusal = refusal
        if refusal is None:
            _lane(queue, task).popleft()
            queue.made += 1
            self._send(queue, task, request)
        elif refusal.is_for_all:
            self._closed_until = refusal.until

    def _send(self, queue: _Queue, task: Task[Any], request: Request) -> None:
        """Have a thread make a request."""
        if self._threads == self._under_way:
            self._threads += 1
            args = self._scheduler.fetch, self._requested, self.arrived
            Thread(target=_work, args=args, daemon=True).start()
        self._under_way += 1
        queue.under_way += 1
        self._requested.put((task, request))

    def _fail(self, queue: _Queue, task: Task[Any], error: AccountError) -> None:
        """Have a task try again after a while, or take its error."""
        if isinstance(error, TransientError):
            # Where all fails, each of an account's tasks would find that out anew. Those without a
            # subject, such as lists of parents, are not one another's.
            is_first = not queue.given_up or queue.given_up[0] is task.subject is not None
            most = self._scheduler.max_retries + 1 if is_first else 1
            wait = task.tries.wait(error, most)
            if wait is not None:
                self._retry(queue, task, error, wait, most - 1)
                return
            if error.is_of_run:
                raise RunError(str(error))
            if error.status != HTTPStatus.TOO_MANY_REQUESTS and not isinstance(error, NoListError):
                queue.given_up = queue.given_up or (task.subject,)
        if error.is_of_account:
            self._scheduler.refused[queue.account_id] = error
        self._advance(task, error)

    def _retry(
        self, queue: _Queue, task: Task[Any], error: TransientError, wait: float, most: int
    ) -> None:
        task.usage.retries += 1
        if error.status == HTTPStatus.TOO_MANY_REQUESTS:
            task.usage.waited_seconds += wait
        logger.info(
            "%s: %s. Trying again in %.1f s (retry %d of %d).",
            f"Account {queue.account_id}" if queue.account_id else "The list of accounts",
            error.cause,
            wait,
            task.tries.failed.total(),
            min(error.tries - 1, most),
        )
        now = self._scheduler.clock()
        until = max(now + wait, queue.refusal.until if queue.refusal else now)
        queue.refusal = Refusal(FAILING, now, until)
        _lane(queue, task).appendleft(task)

    def _next_task(self, queue: _Queue) -> Task[Any] | None:
        """Return a task that has a request to make; until then, let tasks take their steps."""
        while queue.has_work:
            if not queue.lists and queue.coming:
                self._begin_next(queue)
                continue
            lane = queue.lists or queue.branches
            task = lane[0]
            if task.request is None:
                self._await_next(lane, task)
            elif error := self._scheduler.refused.get(queue.account_id):
                lane.popleft()
                self._advance(task, error)
            else:
                return task
        return None

    def _begin_next(self, queue: _Queue) -> None:
        """Begin an account's next task, unless another one that needed it did."""
        assert queue.coming  # noqa: S101 - the caller has looked
        task = next(queue.coming, None)
        if task is None:
            queue.coming = None
        elif not task.has_begun:
            self._advance(task)

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
                self._advance(awaited)

    def _advance(self, task: Task[Any], answer: Page | AccountError | None = None) -> None:
        """Let a task take its next step; if that was its last, let those that wait for it go on."""
        rows = task.advance(answer)
        is_end = task.has_ended and not task.is_branch
        if rows or is_end:
            self._out.append((task, rows, is_end))
        if not task.has_ended:
            _lane(self.queues[task.account_id], task).appendleft(task)
            return
        if task.dependents:
            task.dependents[0].usage.add(task.usage)
        for dependent in task.dependents:
            dependent.awaited -= 1
            _note_failure(dependent, task)
            self._go_on(dependent)
        task.dependents.clear()

    def _go_on(self, task: Task[Any]) -> None:
        if task.to_await is None and not task.awaited:
            self._advance(task, task.failure)


def _next(heap: list[tuple[Any, int, _Queue]]) -> _Queue:
    queue = heappop(heap)[2]
    queue.has_turn = False
    return queue


def _lane(queue: _Queue, task: Task[Any]) -> deque[Task[Any]]:
    return queue.branches if task.is_branch or task.is_forking else queue.lists


def _note_failure(task: Task[Any], ended: Task[Any]) -> None:
    """Keep the first error of the tasks that a task waits for, and let it wait for no others."""
    if ended.error and not task.failure:
        task.failure = ended.error
        task.to_await = iter(()) if task.to_await else None


def _work(
    fetch: Fetch,
    requested: SimpleQueue[tuple[Task[Any], Request] | None],
    arrived: SimpleQueue[Arrival | None],
) -> None:
    while order := requested.get():
        task, request = order
        try:
            answer: Page | BaseException = fetch(request, task.usage)
        except AccountError as error:
            answer = error.with_traceback(None)  # It would keep the body that was refused.
        except Exception as error:  # noqa: BLE001 - one account's oddity ends that account
            answer = unexpected(error)
        except BaseException as error:  # noqa: BLE001 - the reading thread raises it
            answer = error
        arrived.put((task, answer))
        del order, task, request, answer  # They would be kept until the next order.
