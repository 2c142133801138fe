"""Truto's two rate limits, each a sliding window."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOW_SECONDS = 10
RETRY_AFTER = {"Retry-After": "10"}
PER_TOKEN = 500
PER_ACCOUNT = 50


class Limits:
    """Counts the requests that were let through; refused ones do not count."""

    def __init__(self, *, enforced: bool = True) -> None:
        """Begin with nothing counted."""
        self.enforced = enforced
        self._seen: defaultdict[str, deque[float]] = defaultdict(deque)

    def admit(self, path: str, token: str, account_id: str | None, now: float) -> bool:
        """Say whether a request made `now` (monotonic seconds) is within both limits."""
        if not self.enforced or path == "/ping":
            return True
        windows = [(self._seen[f"token {token}"], PER_TOKEN)]
        if account_id and path.startswith("/unified/"):
            windows.append((self._seen[f"account {account_id}"], PER_ACCOUNT))
        if not _have_room(windows, now):
            return False
        for window, _ in windows:
            window.append(now)
        return True


def _have_room(windows: Iterable[tuple[deque[float], int]], now: float) -> bool:
    room = True
    for window, limit in windows:
        while window and window[0] <= now - WINDOW_SECONDS:
            window.popleft()
        room = room and len(window) < limit
    return room
