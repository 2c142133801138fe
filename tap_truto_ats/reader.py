"""The loop: pages of many accounts at the same time, handled in the order in which they arrive."""

from __future__ import annotations

import logging
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from tap_truto_ats.errors import AccountError, unexpected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from tap_truto_ats.client import Request, Usage
    from tap_truto_ats.envelope import Page
    from tap_truto_ats.walks import Walk

    Arrival: TypeAlias = tuple[Walk[Any], Page | BaseException | None]
    """A walk with the answer to its request; None for a walk that had nothing to request."""

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Reader:
    """Has pages fetched by threads and hands them to the thread that reads.

    One reading at a time: walks that need another reading's result wait until it has ended.
    """

    def __init__(self, fetch: Callable[[Request, Usage], Page], concurrency: int) -> None:
        """Take what gets a page, and how many walks are under way at the same time."""
        self._fetch = fetch
        self._concurrency = concurrency
        self._requested: SimpleQueue[Walk[Any] | None] = SimpleQueue()
        self._arrived: SimpleQueue[Arrival | None] = SimpleQueue()
        self._exit_code: int | None = None

    def stop(self, exit_code: int) -> None:
        """End the reading before its next page. A signal handler may call this."""
        self._exit_code = exit_code
        self._arrived.put(None)

    def read(self, walks: Iterable[Walk[T]]) -> Iterator[tuple[Walk[T], list[Any]]]:
        """Yield the rows of each page with their walk, as pages arrive; and each walk's end.

        A walk's next page is requested before the rows of its last one are yielded. One page of
        each walk is outstanding, so that memory is bounded by `concurrency` pages.

        Raises:
            RunError: Nothing can be read for any account.
            SystemExit: `stop` was called.
        """
        self._requested, self._arrived = SimpleQueue(), SimpleQueue()
        queues = self._requested, self._arrived
        waiting = iter(walks)
        threads = 0
        try:
            while threads < self._concurrency and self._begin(waiting):
                Thread(target=self._work, args=queues, daemon=True).start()
                threads += 1
            outstanding = threads
            while outstanding:
                walk, answer = self._next_arrival()
                rows = _rows(walk, answer)
                if not walk.ended:
                    walk.advance(answer)
                if not walk.ended:
                    self._requested.put(walk)
                elif not self._begin(waiting):
                    outstanding -= 1
                yield walk, rows
        finally:
            for _ in range(threads):
                queues[0].put(None)

    def _begin(self, waiting: Iterator[Walk[Any]]) -> bool:
        """Start the next walk, if there is one; a walk without any request has arrived already."""
        if (walk := next(waiting, None)) is None:
            return False
        walk.advance()
        if walk.ended:
            self._arrived.put((walk, None))
        else:
            self._requested.put(walk)
        return True

    def _next_arrival(self) -> tuple[Walk[Any], Page | AccountError | None]:
        arrival = self._arrived.get() if self._exit_code is None else None
        if arrival is None:
            logger.warning("Stopped. Accounts that were read to their end keep their bookmarks.")
            raise SystemExit(self._exit_code)
        walk, answer = arrival
        if isinstance(answer, BaseException) and not isinstance(answer, AccountError):
            raise answer
        return walk, answer

    def _work(
        self, requested: SimpleQueue[Walk[Any] | None], arrived: SimpleQueue[Arrival | None]
    ) -> None:
        while (walk := requested.get()) and walk.request:
            try:
                answer: Page | BaseException = self._fetch(walk.request, walk.usage)
            except AccountError as error:
                answer = error
            except Exception as error:  # noqa: BLE001 - one account's oddity ends that account
                answer = unexpected(error)
            except BaseException as error:  # noqa: BLE001 - the reading thread raises it
                answer = error
            arrived.put((walk, answer))


def _rows(walk: Walk[Any], answer: Page | AccountError | None) -> list[Any]:
    if walk.request is None or not walk.request.rows:
        return []
    return [] if answer is None or isinstance(answer, AccountError) else answer.rows
