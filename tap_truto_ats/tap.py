"""The tap: its settings, its streams, and its command line."""

from __future__ import annotations

import json
import sys
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Tap
from singer_sdk.exceptions import (
    ConfigValidationError,
    MapExpressionError,
    StreamMapConfigError,
)
from singer_sdk.singerlib import Catalog
from singer_sdk.tap_base import CliTestOptionValue

from tap_truto_ats.accounts import Accounts
from tap_truto_ats.client import TrutoClient
from tap_truto_ats.errors import RunError
from tap_truto_ats.reader import Reader
from tap_truto_ats.resources import RESOURCES
from tap_truto_ats.sdk import StoppableTap
from tap_truto_ats.settings import SCHEMA, Settings
from tap_truto_ats.streams import IntegratedAccountsStream, UnifiedStream

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from singer_sdk import Stream


class TapTrutoAts(StoppableTap):
    """Singer tap for the applicant tracking systems connected through Truto's unified ATS API."""

    name = "tap-truto-ats"
    config_jsonschema: ClassVar[dict[str, Any]] = SCHEMA

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return [
            IntegratedAccountsStream(self),
            *(UnifiedStream(self, resource) for resource in RESOURCES.values()),
        ]

    @property
    def wants_remote_data(self) -> bool:
        """Whether rows carry `remote_data`; known without valid settings, for discovery."""
        return (
            self.config.get("include_remote_data") is True
            or self.config.get("response_format") == "raw"
        )

    @cached_property
    def settings(self) -> Settings:
        """The settings, typed and with their defaults."""
        return Settings.from_config(self.config)

    @cached_property
    def client(self) -> TrutoClient:
        """HTTP to Truto, its limits and retries."""
        return TrutoClient(self.settings)

    @cached_property
    def reader(self) -> Reader:
        """The loop that all streams read through."""
        return Reader(self.client.fetch, self.settings.max_concurrency)

    @cached_property
    def accounts(self) -> Accounts:
        """The accounts of the run, and why some could not be read."""
        return Accounts(self.settings, self.reader)

    @override
    def stop(self, exit_code: int) -> None:
        self.reader.stop(exit_code)

    def look(self) -> None:
        """Ask each account of the run for its first page of each resource; write nothing."""
        for stream in self.streams.values():
            if isinstance(stream, UnifiedStream):
                stream.look()

    def run(self, work: Callable[[], None]) -> None:
        """Do the work, then report the failed accounts in a line each.

        Raises:
            SystemExit: Code 1, when an account or the run failed; the reason is in the log.
        """
        try:
            work()
        except RunError as error:
            self.logger.error("%s", error)  # noqa: TRY400 - the user's to mend: no traceback
            sys.exit(1)
        finally:
            for account, failure in self.accounts.failures.values():
                self.logger.error("Account %s was not read to its end: %s", account, failure)
        if self.accounts.failures:
            sys.exit(1)

    @classmethod
    @override
    def invoke(
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Run the tap as the SDK does, and exit with 1 when an account failed.

        Args:
            about: Print the settings instead.
            about_format: The form to print them in.
            kwargs: The parsed options `config`, `state` and `catalog`.
        """
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        state, catalog = _read_state(kwargs["state"]), _read_catalog(kwargs["catalog"])
        config = kwargs["config"]
        try:
            tap = cls(
                config=config.config,
                state=state,
                catalog=catalog,
                parse_env_config=config.parse_env,
            )
        except (MapExpressionError, StreamMapConfigError) as error:
            message = f"Setting 'stream_maps': {error}"
            raise click.ClickException(message) from None
        tap.run(tap.sync_all)

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Look at every account; the SDK would end at the first record of the first account."""
        config = ctx.params["config"]
        try:
            if value != CliTestOptionValue.All.value:
                super().cb_test(ctx, param, value)
                return
            tap = cls(config=config.config, parse_env_config=config.parse_env)
        except ConfigValidationError as error:
            for line in error.errors:
                cls.logger.error("%s", line)  # noqa: TRY400 - the user's to mend: no traceback
            ctx.exit(1)
        tap.run(tap.look)
        ctx.exit()

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the configuration files, naming the one that cannot be read."""
        for name in value:
            if name != "ENV":
                try:
                    with Path(name).open(encoding="utf-8") as file:
                        _read_object("--config", file)
                except OSError as error:
                    message = f"--config: {name}: {error.strerror}"
                    raise click.ClickException(message) from None
        return super().cb_config(ctx, param, value)


def _read_object(option: str, file: IO[str]) -> dict[str, Any]:
    try:
        content = json.load(file)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise _unreadable(option, file, "JSON object")
    return content


def _read_state(file: IO[str] | None) -> dict[str, Any] | None:
    if file is None:
        return None
    state = _read_object("--state", file)
    if not _is_state(state):
        raise _unreadable("--state", file, "Singer state")  # noqa: EM101 - no message
    return state


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


def _read_catalog(file: IO[str] | None) -> Catalog | None:
    if file is None:
        return None
    try:
        return Catalog.from_dict(_read_object("--catalog", file))
    except (AttributeError, KeyError, TypeError):
        raise _unreadable("--catalog", file, "Singer catalog") from None  # noqa: EM101 - no message


def _unreadable(option: str, file: IO[str], kind: str) -> click.ClickException:
    return click.ClickException(f"{option}: {file.name} holds no {kind}")
