"""Workers: threads that make requests, each of them once, and hand on what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from tap_truto_ats.api.errors import AccountError, unexpected

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from tap_truto_ats.api.envelope import Page
    from tap_truto_ats.api.request import Request, Usage
    from tap_truto_ats.sync.tasks import Task

    Fetch: TypeAlias = Callable[[Request, Usage], Page]
    Arrival: TypeAlias = tuple[Task[Any], Page | BaseException]


@dataclass
class Workers:
    """As many threads as requests were ever under way at the same time."""

    fetch: Fetch
    """Tries once to get a page; called by many threads at a time."""
    under_way: int = 0
    """Requests that wait for their answers."""

    def __post_init__(self) -> None:
        """Start no thread yet."""
        self.arrived: SimpleQueue[Arrival | None] = SimpleQueue()
        """What has become of the requests; whoever waits for that may be woken by None."""
        self._requested: SimpleQueue[tuple[Task[Any], Request] | None] = SimpleQueue()
        self._threads = 0

    def send(self, task: Task[Any], request: Request) -> None:
        """Have a thread make a request."""
        if self._threads == self.under_way:
            self._threads += 1
            Thread(target=self._work, daemon=True).start()
        self.under_way += 1
        self._requested.put((task, request))

    def receive(self, timeout: float) -> Arrival | None:
        """Wait for an answer, or for being woken.

        Raises:
            queue.Empty: None came within that many seconds.
        """
        arrival = self.arrived.get(timeout=timeout)
        self.under_way -= arrival is not None
        return arrival

    def close(self) -> None:
        """Have the threads end when they are done with their requests."""
        for _ in range(self._threads):
            self._requested.put(None)

    def _work(self) -> None:
        while order := self._requested.get():
            task, request = order
            try:
                answer: Page | BaseException = self.fetch(request, task.usage)
            except AccountError as error:
                answer = error.with_traceback(None)  # It would keep the body that was refused.
            except Exception as error:  # noqa: BLE001 - one account's oddity ends that account
                answer = unexpected(error)
            except BaseException as error:  # noqa: BLE001 - the reading thread raises it
                answer = error
            self.arrived.put((task, answer))
            del order, task, request, answer  # They would be kept until the next order.
