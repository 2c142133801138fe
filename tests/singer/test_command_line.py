"""The parts of singer-sdk that the command line leans on without a promise.

Each test says what would have to be looked at again in `tap_truto_ats/singer/command_line.py`.
"""

from __future__ import annotations

import signal
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import PluginBase, _ConfigInput

from tap_truto_ats.singer import command_line
from tap_truto_ats.singer.command_line import CommandLineTap
from tests.singer.pins import listed, overridden, signature
from tests.singer.taps import Collector, OneTap

if TYPE_CHECKING:
    from collections.abc import Sequence

OVERRIDDEN = {
    "_validate_config": "(self, *, raise_errors=True)",
    "_handle_termination": "(self, signum, frame)",
}
"""Private methods that are overridden, with their signatures."""


@pytest.mark.parametrize(("name", "expected"), OVERRIDDEN.items(), ids=OVERRIDDEN)
def test_what_is_overridden_has_the_signature_of_its_override(name: str, expected: str) -> None:
    assert signature(PluginBase, name) == signature(CommandLineTap, name) == expected


def test_the_module_lists_every_private_name_that_it_needs() -> None:
    private = listed(command_line)
    assert overridden(CommandLineTap) == OVERRIDDEN.keys() | {"_env_var_config"}
    assert private == overridden(CommandLineTap) | {"_env_var_prefix", "_ConfigInput"}


def test_what_the_environment_is_read_with_exists() -> None:
    assert OneTap._env_var_prefix == "TAP_ONE_"
    assert isinstance(vars(PluginBase)["_env_var_config"], property)
    assert {one.name for one in fields(_ConfigInput)} == {"config", "parse_env"}


class TestSettings:
    """The SDK quotes wrong values, and fails with a traceback on some."""

    class SdksTap(Tap):
        name = "tap-one"
        config_jsonschema: ClassVar[dict[str, Any]] = OneTap.config_jsonschema

        def _setup_signal_handlers(self) -> None:
            pass

        def discover_streams(self) -> Sequence[Stream]:
            return []

    def test_the_sdk_quotes_what_is_wrong(self) -> None:
        with pytest.raises(ConfigValidationError) as caught:
            self.SdksTap(config={"word": 4242})
        assert "4242" in str(caught.value.errors)

    def test_the_tap_does_not(self) -> None:
        with pytest.raises(ConfigValidationError) as caught:
            OneTap(config={"word": 4242})
        assert caught.value.errors == ["Setting 'word' takes a string."]

    def test_the_sdk_fails_on_a_variable_that_is_no_number(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TAP_ONE_SIZE", "many")
        with pytest.raises(ValueError, match="many"):
            self.SdksTap(parse_env_config=True)

    def test_the_tap_names_the_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TAP_ONE_SIZE", "many")
        with pytest.raises(ConfigValidationError) as caught:
            OneTap(parse_env_config=True)
        (line,) = caught.value.errors
        assert "TAP_ONE_SIZE" in line
        assert "many" not in line

    def test_a_variable_is_read_as_its_type(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TAP_ONE_SIZE", "7")
        monkeypatch.setenv("TAP_ONE_WORD", "7")
        config = OneTap(parse_env_config=True).config
        assert (config["size"], config["word"]) == (7, "7")

    def test_discovery_takes_wrong_settings(self) -> None:
        assert OneTap(config={"size": "x"}, validate_config=False).catalog_dict["streams"]


def test_the_sdk_ends_a_run_at_once_and_the_tap_between_two_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(signal, "alarm", lambda _: None)
    with pytest.raises(SystemExit) as caught:
        TestSettings.SdksTap(message_writer=Collector())._handle_termination(15, None)
    assert caught.value.code == 0
    tap = OneTap(message_writer=Collector())
    tap._handle_termination(15, None)
    assert tap.stopped == 143


def test_a_second_signal_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, object] = {}
    alarms: list[int] = []
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(signal, "alarm", alarms.append)
    OneTap(message_writer=Collector())._handle_termination(signal.SIGINT, None)
    assert handlers.pop(signal.SIGINT) == signal.SIG_DFL
    assert (list(handlers), alarms) == ([signal.SIGALRM], [5])
