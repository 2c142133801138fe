"""A world for the scheduler in which time passes only while it waits: no thread, no real second."""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from itertools import count
from queue import Empty
from typing import TYPE_CHECKING, Any

import backoff

from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.sync import workers as module
from tap_truto_ats.sync.scheduler import Scheduler
from tests.sync.steps import one_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pytest

    from tap_truto_ats.api.envelope import Page
    from tap_truto_ats.api.limits import Refusal
    from tap_truto_ats.api.request import Request, Usage
    from tap_truto_ats.sync.tasks import Task
    from tests.sync.steps import Answer

    Read = tuple[Task[Any], Sequence[Any], bool] | None

MOST_WAKINGS_AT_ONCE = 1000


class World:
    """Answers that come after some time, and everything that was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.answer: Callable[[Request], Answer] = one_row
        self.seconds: Callable[[Request], float] = lambda _: 0.1
        self.refuse: Callable[[Request], Refusal | None] = lambda _: None
        self.made: list[tuple[float, Request]] = []
        """When each request was made."""
        self.asked: Counter[str | None] = Counter()
        """By account, how often the limits were asked."""
        self.under_way: Counter[str | None] = Counter()
        self.most_under_way = 0
        self.wakings = 0
        self.yielded: list[float] = []
        """When the reading yielded."""
        self.scheduler: Scheduler
        self._due: list[tuple[float, int, Task[Any], Request]] = []
        self._number = count()
        self._idle = 0
        monkeypatch.setattr(module, "SimpleQueue", lambda: self)
        monkeypatch.setattr(module, "Thread", _NoThread)
        monkeypatch.setattr(backoff, "full_jitter", float)

    def schedule(self, concurrency: int, max_retries: int = 0) -> Scheduler:
        self.scheduler = Scheduler(
            self._fetch, self._admit, concurrency, max_retries, clock=lambda: self.now
        )
        return self.scheduler

    def read(
        self,
        tasks: Mapping[str | None, Iterable[Task[Any]]],
        concurrency: int = 50,
        max_retries: int = 0,
    ) -> list[Any]:
        """Read all tasks to their end, and return their rows."""
        return list(self.rows(tasks, concurrency, max_retries))

    def rows(
        self,
        tasks: Mapping[str | None, Iterable[Task[Any]]],
        concurrency: int = 50,
        max_retries: int = 0,
    ) -> Iterator[Any]:
        for read in self.schedule(concurrency, max_retries).read(tasks):
            self.yielded.append(self.now)
            yield from read[1] if read else ()

    def paths(self, account_id: str | None = None) -> list[str]:
        """Return what was asked for, in that order."""
        requests = (request for _, request in self.made)
        return [one.path for one in requests if account_id in {None, one.account_id}]

    def times(self, account_id: str) -> list[float]:
        """Return when requests for an account were made."""
        return [at for at, request in self.made if request.account_id == account_id]

    def put(self, order: tuple[Task[Any], Request] | None) -> None:
        """Take an order, as the queue between loop and threads does."""
        if order is None:
            return
        task, request = order
        self.made.append((self.now, request))
        self.under_way[request.account_id] += 1
        self.most_under_way = max(self.most_under_way, self.under_way.total())
        due = self.now + self.seconds(request)
        heappush(self._due, (due, next(self._number), task, request))

    def get(self, timeout: float) -> tuple[Task[Any], Answer]:
        """Let time pass up to the next answer or to the timeout."""
        self.wakings += 1
        before = self.now
        if self._due and self._due[0][0] <= self.now + timeout:
            due, _, task, request = heappop(self._due)
            self.now = max(due, self.now)
            self._idle = 0
            self.under_way[request.account_id] -= 1
            try:
                return task, self._fetch(request, task.usage)
            except AccountError as error:
                return task, error
        self.now += timeout
        self._idle = self._idle + 1 if self.now == before else 0
        assert self._idle < MOST_WAKINGS_AT_ONCE, "the loop spins"
        raise Empty

    def _fetch(self, request: Request, usage: Usage) -> Page:
        usage.requests += 1
        answer = self.answer(request)
        if isinstance(answer, AccountError):
            raise answer
        return answer

    def _admit(self, request: Request) -> Refusal | None:
        self.asked[request.account_id] += 1
        return self.refuse(request)


class _NoThread:
    def __init__(self, **_: Any) -> None:
        pass

    def start(self) -> None:
        """Start nothing: the world answers by itself."""
