"""The command line, which names what is wrong in a line and ends a run between two pages.

These private names of singer-sdk are overridden or read, since no public hook does the same;
`tests/singer/test_command_line.py` pins each use.

| private name | why it is needed |
|---|---|
| `PluginBase._validate_config` | its messages quote values, also those of a secret |
| `PluginBase._env_var_config`, `PluginBase._env_var_prefix` | a `.env` file that it finds wins |
| `PluginBase._handle_termination` | exits in the middle of a line, and with code 0 |
| `plugin_base._ConfigInput` | what `--config` becomes: its `config` and `parse_env` |
"""

from __future__ import annotations

import abc
import gc
import logging
import os
import signal
import sys
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_truto_ats.api.errors import RunError
from tap_truto_ats.settings.checks import problems
from tap_truto_ats.settings.environment import from_environment
from tap_truto_ats.singer.catalogs import unknown_streams
from tap_truto_ats.singer.inputs import check_config, read_catalog, read_state
from tap_truto_ats.singer.maps import mapper_for
from tap_truto_ats.singer.output import target_watched, writing
from tap_truto_ats.singer.writer import PageWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    import click

GRACE_SECONDS = 5
"""The time that a run has to end after a signal; a target that does not read could block it."""


class CommandLineTap(Tap, abc.ABC):
    """A command line around a run; a subclass says how to stop, test, show and report the run."""

    message_writer_class = PageWriter
    message_writer: PageWriter

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Have each state written by the one who knows whether anything was written since."""
        super().__init__(*args, **kwargs)
        # The SDK's own would keep a deep copy of the state, to find out whether it changed.
        writer = self.message_writer
        self.state_writer.write_state = writer.write_state  # type: ignore[method-assign]
        metrics = self.metrics_logger
        if metrics.level == logging.INFO and not metrics.handlers:
            metrics.setLevel(logging.WARNING)  # They repeat the report.

    @override
    def setup_mapper(self) -> None:
        if surplus := unknown_streams(self.catalog, self.streams):
            self.logger.warning(
                "The catalog selects streams that do not exist: %s. Discover it anew.",
                ", ".join(surplus),
            )
        if not any(stream.selected for stream in self.streams.values()):
            self.logger.warning("No stream is selected, so that nothing is read.")
        self.mapper = mapper_for(self.config, self.catalog, self.streams, self.logger)

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        if foreign := sorted(state.get("bookmarks", {}).keys() - self.streams.keys()):
            self.logger.warning(
                "The state has bookmarks of streams that do not exist, which do not count: %s.",
                ", ".join(foreign),
            )

    @abc.abstractmethod
    def stop(self, exit_code: int) -> None:
        """End the run soon; called from a signal handler."""

    @abc.abstractmethod
    def test(self) -> None:
        """Ask for the first page of everything that would be read; write nothing."""

    @abc.abstractmethod
    def watching(self) -> AbstractContextManager[None]:
        """Show how far the run is while it goes on."""

    @abc.abstractmethod
    def end(self) -> bool:
        """Log what the run did, and return whether it may count as a success."""

    def sync_for_target(self) -> None:
        """Sync all selected streams, as long as there is a target that reads.

        Raises:
            RunError: Nothing can be written, or nothing can be read.
        """
        for name in [one.name for one in self.streams.values() if not one.selected]:
            del self.streams[name]  # Each would have a line that says so.
        with target_watched(lambda: self.stop(1)):
            self.sync_all()

    def carry_out(self, work: Callable[[], None]) -> None:
        """Do the work and report on it.

        Raises:
            SystemExit: Code 1, when the run is no success; the reason is in the log.
        """
        went_well = False
        try:
            work()
        except RunError as error:
            self.logger.error("%s", error)  # noqa: TRY400 - the user's to mend: no traceback
        else:
            went_well = True
        finally:
            went_well = self.end() and went_well
        if not went_well:
            sys.exit(1)

    @override
    def run_discovery(self) -> str:
        with writing():
            catalog = super().run_discovery()
            sys.stdout.flush()
        return catalog

    @classmethod
    @override
    def print_about(cls, output_format: str | None = None) -> None:
        with writing():
            super().print_about(output_format)
            sys.stdout.flush()

    @classmethod
    @override
    def invoke(cls, *, about: bool = False, about_format: str | None = None, **kwargs: Any) -> None:
        """Run the tap as the SDK does, and exit with 1 when the run is no success."""
        # Records hold no cycles. Searching for some would take a sixth of a run's time.
        gc.freeze()
        gc.set_threshold(20_000)
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        state, catalog = read_state(kwargs["state"]), read_catalog(kwargs["catalog"])
        config = kwargs["config"]
        with cls._named_errors():
            tap = cls(
                config=config.config,
                state=state,
                catalog=catalog,
                parse_env_config=config.parse_env,
            )
            with tap.watching():
                tap.carry_out(tap.sync_for_target)

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Test everything that would be read; the SDK would end at the first record."""
        config = ctx.params["config"]
        with cls._named_errors():
            if value != CliTestOptionValue.All.value:
                super().cb_test(ctx, param, value)
                return
            tap = cls(config=config.config, parse_env_config=config.parse_env)
            tap.carry_out(tap.test)
        ctx.exit()

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the configuration files, naming the one that cannot be read."""
        for name in value:
            if name != "ENV":
                check_config(name)
        return super().cb_config(ctx, param, value)

    @classmethod
    @contextmanager
    def _named_errors(cls) -> Iterator[None]:
        """Log what is wrong with settings or catalog, a line each, and exit with 1."""
        try:
            yield
        except ConfigValidationError as error:
            for line in error.errors:
                cls.logger.error("%s", line)  # noqa: TRY400 - the user's to mend: no traceback
            sys.exit(1)

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        self.append_builtin_config(self.config_jsonschema)
        errors = problems(self.config, self.config_jsonschema)
        if raise_errors:
            self._refuse(errors)
        return errors

    @property
    def _env_var_config(self) -> dict[str, Any]:
        self.append_builtin_config(self.config_jsonschema)
        found, errors = from_environment(os.environ, self._env_var_prefix, self.config_jsonschema)
        self._refuse(errors)
        return found

    def _refuse(self, errors: list[str]) -> None:
        if errors:
            summary = "The settings are not valid"
            raise ConfigValidationError(summary, errors=errors, schema=self.config_jsonschema)

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        code = 128 + signum
        signal.signal(signum, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, lambda *_: os._exit(code))
        signal.alarm(GRACE_SECONDS)
        self.stop(code)
