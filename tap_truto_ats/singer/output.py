"""Stdout, which a target may leave and a disk may refuse."""

from __future__ import annotations

import errno
import os
import select
import sys
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from tap_truto_ats.api.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TARGET_GONE = "The target has ended before the tap. Look for its error, which came first."
NO_STDOUT = "Stdout is closed, so that nothing can be written. Give the tap a target or a file."


@contextmanager
def writing() -> Iterator[None]:
    """Turn a write that stdout refuses into a `RunError`; all later output goes to /dev/null.

    Raises:
        RunError: Stdout takes nothing.
    """
    if sys.stdout is None:  # Python's way to say that its file was closed at the start
        raise RunError(NO_STDOUT)
    try:
        yield
    except OSError as error:
        _discard()
        if error.errno == errno.EPIPE:
            raise RunError(TARGET_GONE) from None
        message = f"Stdout takes nothing more: {error.strerror}. Make room, or write elsewhere."
        raise RunError(message) from None


@contextmanager
def target_watched(stop: Callable[[], None]) -> Iterator[None]:
    """Have the run stopped when the target ends, though nothing is being written at that time.

    Raises:
        RunError: The target has ended.
    """
    ended, end = os.pipe()
    target_gone = Event()

    def watch() -> None:
        poll = select.poll()
        # With no event asked for, poll reports errors and hang-ups only.
        poll.register(ended, 0)
        with suppress(OSError, ValueError, AttributeError):
            poll.register(sys.stdout.fileno(), 0)
        if ended not in {file for file, _ in poll.poll()}:
            target_gone.set()
            stop()

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    except SystemExit:
        if target_gone.is_set():
            _discard()
            raise RunError(TARGET_GONE) from None
        raise
    finally:
        os.close(end)
        thread.join()
        os.close(ended)


def _discard() -> None:
    """Point stdout at /dev/null.

    At its exit, Python would write what it still holds: half a page may follow, or one more error,
    and the exit code would be 120 (Python's documentation of `signal`, note on SIGPIPE).
    """
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
