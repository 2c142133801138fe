"""The one loop over all accounts: many requests at a time, pages in the order of their arrival."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from tap_truto_ats.api.errors import AccountError, unexpected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeAlias

    from tap_truto_ats.api.envelope import Page
    from tap_truto_ats.api.limits import Refusal
    from tap_truto_ats.api.request import Request, Usage
    from tap_truto_ats.sync.tasks import Task

    Fetch: TypeAlias = Callable[[Request, Usage], Page]
    Admit: TypeAlias = Callable[[Request], Refusal | None]
    Arrival: TypeAlias = tuple[Task[Any], Page | BaseException]

logger = logging.getLogger(__name__)

STOPPED = "Stopped. Accounts that were read to their end keep their bookmarks."

T = TypeVar("T")


@dataclass
class Scheduler:
    """Has pages fetched by threads, and hands them to the thread that reads.

    Only one `read` goes on at a time.
    """

    fetch: Fetch
    """Gets a page; called by many threads at a time."""
    admit: Admit
    """Counts a request, or returns the limit that does not allow it yet."""
    concurrency: int
    """How many requests may be under way at the same time."""
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Start no thread yet."""
        self._loop = _Loop(self, ())
        self._exit_code: int | None = None

    def stop(self, exit_code: int) -> None:
        """End `read` before its next page; a signal handler may call this."""
        self._exit_code = exit_code
        self._loop.arrived.put(None)

    def waiting(self) -> Counter[str]:
        """Return how many accounts wait for a limit at this moment, by the limit's name."""
        now = self.clock()
        refusals = [queue.refusal for queue in list(self._loop.queues.values())]
        return Counter(one.limit for one in refusals if one and one.until > now)

    def read(self, tasks: Iterable[Task[T]]) -> Iterator[tuple[Task[T], Sequence[Any], bool]]:
        """Yield the rows of each page with their task, as pages arrive; and each task's end (True).

        Accounts have their turn in the order given, and so have the tasks of an account: one that
        has begun goes before one that has not. An account whose limit is used up is passed over
        until the limit allows more.

        A task's next page is requested before the rows of its last one are yielded. At most
        `concurrency` pages wait besides the one being yielded, which bounds the memory. The rows of
        branches are yielded, but not their ends.

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
                if self._exit_code is None:
                    loop.wait()
                if self._exit_code is not None:
                    logger.warning(STOPPED)
                    raise SystemExit(self._exit_code)
        finally:
            loop.close()


@dataclass
class _AccountQueue:
    """The tasks of one account."""

    tasks: deque[Task[Any]] = field(default_factory=deque)
    """Those that have not begun, that have a request to make, or that have branches to take up."""
    under_way: int = 0
    """Requests that wait for their answers."""
    refusal: Refusal | None = None
    """The limit that did not allow the first task's request."""


class _Loop:
    """One `read`: which request is next, and what its answer leads to."""

    def __init__(self, scheduler: Scheduler, tasks: Iterable[Task[Any]]) -> None:
        self._scheduler = scheduler
        self._requested: SimpleQueue[tuple[Task[Any], Request] | None] = SimpleQueue()
        self.arrived: SimpleQueue[Arrival | None] = SimpleQueue()
        self._threads = self._under_way = 0
        self.queues: dict[str | None, _AccountQueue] = {}
        self._out: list[tuple[Task[Any], Sequence[Any], bool]] = []
        for task in tasks:
            self.queues.setdefault(task.account_id, _AccountQueue()).tasks.append(task)

    def take_output(self) -> list[tuple[Task[Any], Sequence[Any], bool]]:
        """Return what is to be yielded, and forget it."""
        out, self._out = self._out, []
        return out

    def request(self) -> None:
        """Make as many requests as may be under way and as the limits allow."""
        while self._is_free and (queue := self._next_queue()):
            task = self._first_with_request(queue)
            if task is None or task.request is None:
                continue
            refusal = self._scheduler.admit(task.request)
            if queue.refusal:
                task.usage.waited_seconds += self._scheduler.clock() - queue.refusal.since
            queue.refusal = refusal
            if refusal is None:
                queue.tasks.popleft()
                self._send(queue, task, task.request)

    def wait(self) -> None:
        """Wait for an answer, or until a limit allows more, and let the answer's task go on."""
        try:
            arrival = self.arrived.get(timeout=self._timeout())
        except Empty:
            return
        if arrival is None:
            return
        task, answer = arrival
        if isinstance(answer, BaseException) and not isinstance(answer, AccountError):
            raise answer
        self._under_way -= 1
        self.queues[task.account_id].under_way -= 1
        self._advance(task, answer)
        self._drop_if_done(task.account_id)

    def close(self) -> None:
        """Let the threads end."""
        for _ in range(self._threads):
            self._requested.put(None)

    def _timeout(self) -> float | None:
        """Return for how many seconds only an answer can change anything; None for any time."""
        refusals = [one.refusal for one in self.queues.values() if one.refusal and self._is_free]
        if not refusals:
            return None
        return max(min(one.until for one in refusals) - self._scheduler.clock(), 0.0)

    @property
    def _is_free(self) -> bool:
        return self._under_way < self._scheduler.concurrency

    def _send(self, queue: _AccountQueue, task: Task[Any], request: Request) -> None:
        """Have a thread make a request."""
        if self._threads == self._under_way:
            self._threads += 1
            args = self._scheduler.fetch, self._requested, self.arrived
            Thread(target=_work, args=args, daemon=True).start()
        self._under_way += 1
        queue.under_way += 1
        self._requested.put((task, request))

    def _next_queue(self) -> _AccountQueue | None:
        """Choose, of the accounts that the limits allow, the first with the fewest under way."""
        now, chosen = self._scheduler.clock(), None
        for queue in self.queues.values():
            if not queue.tasks or (chosen and queue.under_way >= chosen.under_way):
                continue
            if queue.refusal and queue.refusal.until > now:
                if queue.refusal.is_for_all:
                    return None
                continue
            chosen = queue
            if not queue.under_way:
                break
        return chosen

    def _first_with_request(self, queue: _AccountQueue) -> Task[Any] | None:
        """Bring a task that has a request to make to the front of its queue."""
        account_id = queue.tasks[0].account_id
        while queue.tasks:
            task = queue.tasks[0]
            if task.request:
                return task
            if not task.has_begun:
                queue.tasks.popleft()
                self._advance(task)
            elif task.to_await and (awaited := next(task.to_await, None)):
                self._await(task, awaited)
            else:
                queue.tasks.popleft()
                task.to_await = None
                self._go_on(task)
        self._drop_if_done(account_id)
        return None

    def _await(self, task: Task[Any], awaited: Task[Any]) -> None:
        """Let a task wait for a branch of its own, or for a task that others may wait for, too."""
        if awaited.has_ended:
            _note_failure(task, awaited)
            return
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
            self.queues[task.account_id].tasks.appendleft(task)
            return
        if task.dependents:
            task.dependents[0].usage.add(task.usage)
        for dependent in task.dependents:
            dependent.awaited -= 1
            _note_failure(dependent, task)
            self._go_on(dependent)

    def _go_on(self, task: Task[Any]) -> None:
        if task.to_await is None and not task.awaited:
            self._advance(task, task.failure)

    def _drop_if_done(self, account_id: str | None) -> None:
        """Forget an account of which nothing is left."""
        queue = self.queues[account_id]
        if not queue.tasks and not queue.under_way:
            del self.queues[account_id]


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
            answer = error
        except Exception as error:  # noqa: BLE001 - one account's oddity ends that account
            answer = unexpected(error)
        except BaseException as error:  # noqa: BLE001 - the reading thread raises it
            answer = error
        arrived.put((task, answer))
        del answer  # A page would be kept until the next one has been fetched.
