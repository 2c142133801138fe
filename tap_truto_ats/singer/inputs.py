"""The files of the command line, read so that what is wrong with one is a line that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

import click
from singer_sdk.singerlib import Catalog


def check_config(path: str) -> None:
    """Make sure that a configuration file can be read.

    Raises:
        click.ClickException: It cannot.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            _read_object("--config", file)
    except OSError as error:
        message = f"--config: {path}: {error.strerror}"
        raise click.ClickException(message) from None


def read_state(file: IO[str] | None) -> dict[str, Any] | None:
    """Read a state as the SDK takes it; None without a file.

    Raises:
        click.ClickException: It is none.
    """
    if file is None:
        return None
    state = _read_object("--state", file)
    if not _is_state(state):
        raise _unreadable("--state", file, "Singer state")  # noqa: EM101 - no message
    return state


def read_catalog(file: IO[str] | None) -> Catalog | None:
    """Read a catalog; None without a file.

    Raises:
        click.ClickException: It is none.
    """
    if file is None:
        return None
    try:
        return Catalog.from_dict(_read_object("--catalog", file))
    except (AttributeError, KeyError, TypeError):
        raise _unreadable("--catalog", file, "Singer catalog") from None  # noqa: EM101 - no message


def _read_object(option: str, file: IO[str]) -> dict[str, Any]:
    try:
        content = json.load(file)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise _unreadable(option, file, "JSON object")
    return content


def _is_state(state: dict[str, Any]) -> bool:
    """Whether the SDK can take it: an object, of streams, of which some have partitions."""
    bookmarks = state.get("bookmarks", {})
    if not isinstance(bookmarks, dict) or ("bookmarks" not in state and "value" in state):
        return False
    if not all(isinstance(stream, dict) for stream in bookmarks.values()):
        return False
    lists = [stream.get("partitions", []) for stream in bookmarks.values()]
    return all(
        isinstance(partitions, list)
        and all(isinstance(one, dict) for one in partitions)
        and all(isinstance(one.get("context", {}), (dict, type(None))) for one in partitions)
        for partitions in lists
    )


def _unreadable(option: str, file: IO[str], kind: str) -> click.ClickException:
    return click.ClickException(f"{option}: {file.name} holds no {kind}")
