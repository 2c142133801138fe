"""The one loop over all accounts: turns, limits and retries, and pages as they arrive.

It does no I/O: threads make the requests, each of them once.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from queue import Empty
from typing import TYPE_CHECKING, Any, TypeVar

from tap_truto_ats.api.errors import (
    FEW_TRIES,
    AccountError,
    NoListError,
    RunError,
    TransientError,
)
from tap_truto_ats.api.limits import Refusal
from tap_truto_ats.sync.retries import seconds_to_wait
from tap_truto_ats.sync.turns import Turns
from tap_truto_ats.sync.workers import Workers

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from tap_truto_ats.api.request import Request
    from tap_truto_ats.sync.tasks import Task
    from tap_truto_ats.sync.turns import Queue
    from tap_truto_ats.sync.workers import Fetch

    Admit: TypeAlias = Callable[[Request], Refusal | None]

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
        self._exit_code: int | None = None
        self._begin({})

    def stop(self, exit_code: int) -> None:
        """End `read` before its next page; a signal handler may call this."""
        self._exit_code = exit_code
        self._workers.arrived.put(None)

    def unfinished(self) -> list[str | None]:
        """Return the accounts that have not been read to their end."""
        return list(self._turns.queues)

    def waiting(self) -> Counter[str]:
        """Return how many accounts wait at this moment, by the reason."""
        return self._turns.waiting()

    def read(
        self, tasks: Mapping[str | None, Iterable[Task[T]]]
    ) -> Iterator[tuple[Task[T], Sequence[Any], bool] | None]:
        """Yield the rows of each page with their task, as pages arrive; and each task's end (True).

        `turns.py` says which account and which of its tasks is next. A task's next page is
        requested before the rows of its last one are yielded. At most `concurrency` pages wait
        besides the one being yielded, which bounds the memory. The rows of branches are yielded,
        but not their ends. When there is nothing to yield, None comes once in a `TICK`.

        Raises:
            RunError: Nothing can be read for any account.
            SystemExit: `stop` was called.
        """
        self._begin(tasks)
        workers, out = self._workers, self._turns.out
        try:
            while True:
                self._make_requests()
                while out:
                    yield out.popleft()
                if not self._turns.queues:
                    return
                if self._exit_code is None and not (self._wait() and out):
                    yield None
                if self._exit_code is not None:
                    logger.warning(STOPPED)
                    raise SystemExit(self._exit_code)
        finally:
            workers.close()

    def _begin(self, tasks: Mapping[str | None, Iterable[Task[Any]]]) -> None:
        self._workers = Workers(self.fetch)
        self._turns = Turns(tasks, self.concurrency, self.clock)

    def _make_requests(self) -> None:
        """Make as many requests as may be under way and as the limits allow."""
        while self._is_free and (queue := self._turns.next()):
            if task := queue.next_task(self.refused.get(queue.account_id)):
                self._make(queue, task)
            self._turns.give(queue)

    def _wait(self) -> bool:
        """Wait for an answer and see what it leads to; return False if none came in time."""
        try:
            arrival = self._workers.receive(self._timeout())
        except Empty:
            return False
        if arrival is None:
            return True
        task, answer = arrival
        del arrival  # Its page would be kept until the next one arrives.
        queue = self._turns.queues[task.account_id]
        queue.under_way -= 1
        self._turns.failing -= queue.holds_place
        queue.holds_place = False
        queue.is_failing = isinstance(answer, TransientError)
        if queue.is_failing:
            queue.has_answered = False
        elif task.request and task.request.limited_account == queue.account_id:
            # Truto itself answers what is asked about an account, though its login may be dead.
            queue.has_answered = True
        if isinstance(answer, AccountError):
            self._fail(queue, task, answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            queue.advance(task, answer)
            if task.request and task.request.is_arriving:
                queue.lane(task).popleft()
                self._send(queue, task, task.request)
        self._turns.give(queue)
        return True

    @property
    def _is_free(self) -> bool:
        return self._workers.under_way < self.concurrency

    def _timeout(self) -> float:
        """Return for how many seconds only an answer can change anything, `TICK` at the most."""
        now, next_at = self.clock(), self._turns.next_at()
        return TICK if next_at is None or not self._is_free else min(max(next_at - now, 0.0), TICK)

    def _make(self, queue: Queue, task: Task[Any]) -> None:
        """Make a task's request, or find out what does not allow it yet."""
        request = task.request
        assert request is not None  # noqa: S101 - such tasks only are chosen
        refusal = self.admit(request)
        if queue.refusal and queue.refusal.reason != FAILING:
            task.usage.waited_seconds += self.clock() - queue.refusal.since
        queue.refusal = refusal
        if refusal is None:
            queue.lane(task).popleft()
            queue.made += 1
            self._send(queue, task, request)
        elif refusal.is_for_all:
            self._turns.closed_until = refusal.until

    def _send(self, queue: Queue, task: Task[Any], request: Request) -> None:
        queue.under_way += 1
        queue.holds_place = queue.is_failing
        self._turns.failing += queue.holds_place
        self._workers.send(task, request)

    def _fail(self, queue: Queue, task: Task[Any], error: AccountError) -> None:
        """Have a task try again after a while, or take its error."""
        if isinstance(error, TransientError):
            most = self._most_tries(queue, task, error)
            wait = seconds_to_wait(task.failed, error, most)
            self._close(queue, wait or error.retry_after or 0.0)
            if wait is not None:
                self._retry(queue, task, error, wait, most - 1)
                return
            if error.is_of_run:
                raise RunError(str(error))
            if error.status != HTTPStatus.TOO_MANY_REQUESTS and not isinstance(error, NoListError):
                queue.given_up = queue.given_up or (task.subject,)
        if error.is_of_account:
            self.refused[queue.account_id] = error
        queue.advance(task, error)

    def _most_tries(self, queue: Queue, task: Task[Any], error: TransientError) -> float:
        """Return how many tries a request may have.

        Where all fails, each of an account's tasks would find that out anew: once one has used up
        its tries, the others have a single one, and a few if they have had a page. Tasks without a
        subject, such as lists of parents, are not one another's.
        """
        most = self.max_retries + 1
        if error.is_of_run:
            return math.inf  # Its own number of tries bounds it, whatever else failed before.
        if not queue.given_up:
            return most
        is_same = queue.given_up[0] is task.subject is not None
        return min(most, FEW_TRIES) if is_same or _has_pages(task) else 1

    def _close(self, queue: Queue, seconds: float) -> None:
        """Have an account wait, whichever of its tasks is next."""
        now = self.clock()
        until = max(now + seconds, queue.refusal.until if queue.refusal else now)
        queue.refusal = Refusal(FAILING, now, until)

    def _retry(
        self, queue: Queue, task: Task[Any], error: TransientError, wait: float, most: float
    ) -> None:
        task.usage.retries += 1
        if error.status == HTTPStatus.TOO_MANY_REQUESTS:
            task.usage.waited_seconds += wait
        logger.info(
            "%s: %s. Trying again in %.1f s (retry %d of %d).",
            f"Account {queue.account_id}" if queue.account_id else "The list of accounts",
            error.cause,
            wait,
            task.failed.total(),
            min(error.tries - 1, most),
        )
        queue.lane(task).appendleft(task)


def _has_pages(task: Task[Any]) -> bool:
    """Return whether a task, or one of the branches of its root that have ended, had a page."""
    while not task.usage.pages and task.is_branch and task.dependents:
        task = task.dependents[0]
    return task.usage.pages > 0
