"""The command line's files: a `click.ClickException` says in a line what is wrong with one."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click
import msgspec

from tap_truto_ats.singer import catalogs

if TYPE_CHECKING:
    from singer_sdk.singerlib import Catalog


class Context(msgspec.Struct):
    """What a stream relies on in a partition's context."""

    integrated_account_id: str | msgspec.UnsetType = msgspec.UNSET


class Partition(msgspec.Struct):
    """What is relied on in an entry of `partitions`: that its context can be a key, above all."""

    context: Context | None = None
    progress_markers: dict[str, Any] = {}


class StreamState(msgspec.Struct):
    """What the SDK relies on in a stream's part of a state."""

    partitions: list[Partition] = []
    progress_markers: dict[str, Any] = {}


class State(msgspec.Struct):
    """What the SDK relies on in a state; without bookmarks, it is none."""

    bookmarks: dict[str, StreamState]


WRAPPERS = ("singer_state", "value")
"""Where a state stands in what `meltano state get` prints, and in a STATE message."""


def check_config(path: str) -> None:
    """Refuse a configuration file that cannot be read, or holds no JSON object."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            _read_object("--config", file)
    except OSError as error:
        message = f"--config: {path}: {error.strerror}"
        raise click.ClickException(message) from None


def read_state(file: IO[str] | None) -> dict[str, Any] | None:
    """Read a state in the form that the SDK takes; None without a file."""
    if file is None:
        return None
    content = _read_object("--state", file)
    try:
        return state_of(content)
    except ValueError as error:
        _refuse("--state", file, f'Singer state, such as {{"bookmarks": {{…}}}}: {error}')


def state_of(content: dict[str, Any]) -> dict[str, Any]:
    """Return the state that stands in one of the wrappers, or by itself.

    Raises:
        ValueError: It is none.
    """
    state: Any = content
    for wrapper in WRAPPERS:
        if isinstance(state, dict) and "bookmarks" not in state and wrapper in state:
            state = state[wrapper]
    msgspec.convert(state, State if state else dict)
    is_state: dict[str, Any] = state
    return is_state


def read_catalog(file: IO[str] | None) -> Catalog | None:
    """Read a catalog; None without a file."""
    if file is None:
        return None
    try:
        return catalogs.read(_read_object("--catalog", file))
    except (ValueError, RecursionError) as error:
        _refuse("--catalog", file, f"Singer catalog: {error}")


def _read_object(option: str, file: IO[str]) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(file.read())
    except (ValueError, RecursionError):
        content = None
    return content if isinstance(content, dict) else _refuse(option, file, "JSON object")


def _refuse(option: str, file: IO[str], kind: str) -> NoReturn:
    message = f"{option}: {file.name} holds no {kind}"
    raise click.ClickException(message) from None
