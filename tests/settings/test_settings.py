"""The settings: what they are, where they are written down, and how a wrong one is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dotenv import dotenv_values
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from documentation import plugin
from tap_truto_ats.api.limits import TOKEN_LIMIT
from tap_truto_ats.model.instants import format_instant
from tap_truto_ats.settings.checks import problems
from tap_truto_ats.settings.schema import SCHEMA, Settings
from tests.harness import TAP, Run, forked

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Tap

ROOT = Path(__file__).parents[2]
PREFIX = "TAP_TRUTO_ATS_"

STRINGS = {"type": ["array", "null"], "items": {"type": ["string"]}}
OBJECT = {"type": ["object", "null"], "properties": {}, "additionalProperties": True}
BOOLEAN = {"type": ["boolean", "null"], "default": False}


def integer(default: int, **bounds: int) -> dict[str, Any]:
    return {"type": ["integer", "null"], "default": default, **bounds}


SETTINGS: dict[str, dict[str, Any]] = {
    "api_token": {"type": ["string"], "secret": True, "writeOnly": True},
    "api_url": {"type": ["string", "null"], "default": "https://api.truto.one"},
    "integrated_account_ids": STRINGS,
    "tenant_ids": STRINGS,
    "shard_count": {"type": ["integer", "null"], "minimum": 1},
    "shard_index": {"type": ["integer", "null"], "minimum": 0},
    "parallel_runs": integer(1, minimum=1, maximum=TOKEN_LIMIT),
    "start_date": {"type": ["string", "null"], "format": "date-time"},
    "include_remote_data": BOOLEAN,
    "include_eeocs": BOOLEAN,
    "filters": OBJECT,
    "remote_query": OBJECT,
    "response_format": {
        "type": ["string", "null"],
        "default": "unified",
        "enum": ["unified", "normalized", "raw", "stream"],
    },
    "page_size": integer(100, minimum=1),
    "ignore_limit": BOOLEAN,
    "lookback_seconds": integer(120, minimum=0),
    "max_concurrency": integer(50, minimum=1, maximum=100),
    "request_timeout_seconds": integer(60, minimum=1),
    "max_retries": integer(8, minimum=0),
    "schedule_window_days": {"type": ["integer", "null"], "minimum": 0},
    "full_read_every_days": integer(7, minimum=0),
    "changed_parents_only": BOOLEAN,
    "hydrate": STRINGS,
    "fail_on_account_error": {"type": ["boolean", "null"], "default": True},
    "emit_activate_version_messages": BOOLEAN,
}
"""Every setting of the tap: its JSON Schema but for its texts."""

KINDS = {
    "api_token": "string",
    "start_date": "date_iso8601",
    "response_format": "options",
}
"""Meltano's kinds, where they are not the JSON Schema's types."""

OF_THE_SDK = {
    "batch_config",
    "faker_config",
    "flattening_enabled",
    "flattening_max_depth",
    "flattening_max_key_length",
    "flattening_separator",
    "stream_map_config",
    "stream_maps",
}


def run(*args: str, folder: Path | None = None, env: dict[str, str] | None = None) -> Run:
    """Run the command line with nothing of the tap's in the environment but what is given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    code, stdout, log = forked([TAP, *args], {**clean, **(env or {})}, folder)
    messages = "" if "--about" in args or "--discover" in args else stdout
    result = Run(code, messages, log)
    result.stdout = stdout
    return result


@cache
def about() -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(run("--about", "--format", "json").stdout)["settings"]
    return settings


@cache
def in_meltano() -> dict[str, dict[str, Any]]:
    return {setting["name"]: setting for setting in plugin.in_meltano()["settings"]}


@cache
def in_plugin() -> dict[str, dict[str, Any]]:
    settings = YAML(typ="safe").load(plugin.PATH)["settings"]
    return {setting["name"]: setting for setting in settings}


@cache
def in_documentation() -> dict[str, list[str]]:
    """The cells of the documentation's table of settings, by the setting's name."""
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| *`(\w+)` *\|(.*)\|\s*$", text.split("\n## ")[0], re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


def in_env_example() -> dict[str, str]:
    """The values that `.env.example` shows, by the setting's name."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    lines = re.findall(rf"^#? *{PREFIX}(\w+)=(.*)$", text, re.MULTILINE)
    return {name.lower(): value for name, value in lines}


def against_meltanos_schema(project: dict[str, Any]) -> list[str]:
    """What Meltano's own JSON Schema of a project says is wrong with one."""
    schema = json.loads((files("meltano") / "schemas" / "meltano.schema.json").read_text())
    return [one.message for one in Draft202012Validator(schema).iter_errors(project)]


class TestAgreement:
    """`--about`, both files of Meltano, `.env.example` and the documentation tell of the same."""

    def test_about_tells_every_setting_and_those_of_the_sdk(self) -> None:
        assert set(about()["properties"]) - OF_THE_SDK == set(SETTINGS)
        assert about()["required"] == ["api_token"]

    @pytest.mark.parametrize("name", SETTINGS)
    def test_about_tells_type_default_and_bounds(self, name: str) -> None:
        definition = dict(about()["properties"][name])
        assert definition.pop("title")
        assert definition.pop("description").endswith(".")
        assert definition == SETTINGS[name]

    def test_meltano_knows_every_setting_and_those_of_the_sdk(self) -> None:
        assert list(in_meltano()) == list(about()["properties"])

    def test_the_plugin_is_what_make_plugin_writes(self) -> None:
        assert plugin.PATH.read_text(encoding="utf-8") == plugin.text()

    def test_the_plugin_has_the_form_of_meltano_and_what_only_the_hub_shows(self) -> None:
        shown = {"domain_url", "keywords", "maintenance_status", "usage"}
        content = YAML(typ="safe").load(plugin.PATH)
        assert shown | {"name", "namespace", "variant", "label"} <= content.keys()
        described = {name: value for name, value in content.items() if name not in shown}
        assert against_meltanos_schema({"plugins": {"extractors": [described]}}) == []

    def test_the_project_has_the_form_of_meltano(self) -> None:
        assert against_meltanos_schema(YAML(typ="safe").load(ROOT / "meltano.yml")) == []

    @pytest.mark.parametrize("name", [*SETTINGS, *sorted(OF_THE_SDK)])
    def test_the_plugin_tells_of_a_setting_what_meltano_does(self, name: str) -> None:
        setting = in_meltano()[name]
        words = " ".join(setting["description"].split())
        assert in_plugin()[name] == setting | {"description": words}

    @pytest.mark.parametrize("name", SETTINGS)
    def test_meltano_tells_kind_default_and_what_is_sensitive(self, name: str) -> None:
        setting, definition = in_meltano()[name], about()["properties"][name]
        assert setting["kind"] == KINDS.get(name, definition["type"][0])
        assert setting.get("value") == definition.get("default")
        assert setting.get("sensitive", False) is definition.get("secret", False)
        options = [option["value"] for option in setting.get("options", ())]
        assert options == definition.get("enum", [])

    @pytest.mark.parametrize("name", SETTINGS)
    def test_meltano_uses_the_same_words(self, name: str) -> None:
        setting, definition = in_meltano()[name], about()["properties"][name]
        assert setting["label"] == definition["title"]
        assert " ".join(setting["description"].split()) == definition["description"]

    def test_the_example_of_an_environment_names_every_setting(self) -> None:
        assert in_env_example().keys() == SETTINGS.keys()

    def test_the_example_of_an_environment_says_the_same_to_meltano_and_to_a_shell(
        self, tmp_path: Path
    ) -> None:
        text = (ROOT / ".env.example").read_text(encoding="utf-8")
        file = tmp_path / "env"
        file.write_text(re.sub(r"^# (?=[A-Z_]+=)", "", text, flags=re.MULTILINE), encoding="utf-8")
        shell = ["/bin/sh", "-c", f"set -a; . {file}; exec env -0"]
        lines = subprocess.run(shell, capture_output=True, text=True, check=True, env={}).stdout
        sourced = dict(line.split("=", 1) for line in lines.split("\0") if "=" in line)
        values = dotenv_values(file)
        assert values.items() <= sourced.items()
        for name in SETTINGS:
            if SETTINGS[name]["type"][0] in {"array", "object"}:
                json.loads(values[PREFIX + name.upper()] or "")

    @pytest.mark.parametrize("name", [one for one in SETTINGS if "default" in SETTINGS[one]])
    def test_the_example_of_an_environment_shows_the_default(self, name: str) -> None:
        default = SETTINGS[name]["default"]
        told = default if isinstance(default, str) else json.dumps(default)
        assert in_env_example()[name] == told

    @pytest.mark.parametrize("name", SETTINGS)
    def test_the_documentation_tells_the_type(self, name: str) -> None:
        told, schema = in_documentation()[name][0], SETTINGS[name]
        bounds = [str(schema[bound]) for bound in ("minimum", "maximum") if bound in schema]
        kind = "date-time" if schema.get("format") == "date-time" else schema["type"][0]
        assert told.startswith(kind)
        assert re.findall(r"\d+", told) == bounds
        assert ("secret" in told) is schema.get("secret", False)

    def test_the_documentation_names_every_setting(self) -> None:
        assert sorted(in_documentation()) == sorted(SETTINGS)

    @pytest.mark.parametrize("name", SETTINGS)
    def test_the_documentation_tells_the_default(self, name: str) -> None:
        told = in_documentation()[name][1].strip("`")
        if "default" in SETTINGS[name]:
            default = SETTINGS[name]["default"]
            assert told == (default if isinstance(default, str) else json.dumps(default))
        else:
            assert told in {"", "all"}


SECRET = "hush-4242"


def interviews(**filters: Any) -> dict[str, Any]:
    return {"filters": {"interviews": filters}}


# Settings, the name of the wrong one, words of what it takes.
WRONG: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "no token": ({"api_token": None}, "api_token", ["missing", "a Truto API token"]),
    "an empty token": ({"api_token": ""}, "api_token", ["a Truto API token"]),
    "a token with a line end": ({"api_token": f"{SECRET}\n"}, "api_token", ["line ends"]),
    "a token with a blank": ({"api_token": f"Bearer {SECRET}"}, "api_token", ["blanks"]),
    "an address without scheme": ({"api_url": SECRET}, "api_url", ["https://"]),
    "an address that is not encrypted": (
        {"api_url": f"http://{SECRET}.example"},
        "api_url",
        ["https://", "localhost", "token"],
    ),
    "an address with a line end": (
        {"api_url": "https://api.truto.example\n"},
        "api_url",
        ["https://"],
    ),
    "accounts as text": (
        {"integrated_account_ids": SECRET},
        "integrated_account_ids",
        ["a list of strings"],
    ),
    "accounts with commas between": (
        {"integrated_account_ids": f"{SECRET},b"},
        "integrated_account_ids",
        ['a list of strings such as ["a", "b"]'],
    ),
    "no account": ({"integrated_account_ids": []}, "integrated_account_ids", ["at least one"]),
    "no date": ({"start_date": SECRET}, "start_date", ["date-time", "2026-01-31T00:00:00Z"]),
    "yes": ({"include_remote_data": "yes"}, "include_remote_data", ["true or false"]),
    "a stream without filters": (
        {"filters": {"positions": {}}},
        "filters",
        ["'positions'", "interviews"],
    ),
    "no such filter": (
        interviews(candidate=SECRET),
        "filters",
        ["'candidate'", "application_id", "candidate_id", "start_at", "updated"],
    ),
    "no such operator": (
        interviews(start_at={"eq": SECRET}),
        "filters",
        ["'eq'", "interviews.start_at", "gt, gte, lt, lte"],
    ),
    "remote query of no stream": (
        {"remote_query": {"people": {"a": SECRET}}},
        "remote_query",
        ["'people'", "interviews"],
    ),
    "no such format": (
        {"response_format": SECRET},
        "response_format",
        ["unified, normalized, raw, stream"],
    ),
    "page size of nothing": ({"page_size": 0}, "page_size", ["an integer", "at least 1"]),
    "lookback into the future": ({"lookback_seconds": -1}, "lookback_seconds", ["at least 0"]),
    "too many accounts at once": (
        {"max_concurrency": 101},
        "max_concurrency",
        ["at least 1", "at most 100"],
    ),
    "a setting of the SDK": ({"flattening_enabled": SECRET}, "flattening_enabled", ["true or"]),
}

ALSO_WRONG: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "a filter that is no date": (
        interviews(end_at={"gte": SECRET}),
        "filters",
        ["interviews.end_at", "date-time"],
    ),
    "no time": ({"request_timeout_seconds": 0}, "request_timeout_seconds", ["at least 1"]),
    "retries as text": ({"max_retries": SECRET}, "max_retries", ["an integer", "at least 0"]),
    "limit": ({"ignore_limit": 1}, "ignore_limit", ["true or false"]),
    "tenants that are no text": ({"tenant_ids": [4242]}, "tenant_ids", ["a list of strings"]),
    "a token that is no text": ({"api_token": [SECRET]}, "api_token", ["a Truto API token"]),
    "a token beyond ASCII": ({"api_token": f"{SECRET}é"}, "api_token", ["ASCII"]),
    "a token of blanks": ({"api_token": "  "}, "api_token", ["blanks"]),
    "a token with NUL": ({"api_token": f"{SECRET}\0"}, "api_token", ["printable"]),
    "a token with a tab": ({"api_token": f"\t{SECRET}"}, "api_token", ["printable"]),
    "a number for a token": ({"api_token": 4242}, "api_token", ["a Truto API token"]),
    "no address": ({"api_url": ""}, "api_url", ["https://"]),
    "an address of another scheme": ({"api_url": "ftp://h"}, "api_url", ["https://"]),
    "an address without host": ({"api_url": "https://"}, "api_url", ["https://"]),
    "an address with a path only": ({"api_url": "/unified"}, "api_url", ["https://"]),
    "no such port": ({"api_url": "https://h:99999"}, "api_url", ["https://"]),
    "a port in words": ({"api_url": "https://h:https"}, "api_url", ["https://"]),
    "an address with a query": ({"api_url": f"https://h/?t={SECRET}"}, "api_url", ["https://"]),
    "an address with a fragment": ({"api_url": "https://h/#x"}, "api_url", ["https://"]),
    "an address with a blank": ({"api_url": "https://my host"}, "api_url", ["https://"]),
    "an address with a blank behind": ({"api_url": "https://h "}, "api_url", ["https://"]),
    "half a bracket": ({"api_url": "https://[::1"}, "api_url", ["https://"]),
    "user and password": ({"api_url": f"https://u:{SECRET}@h"}, "api_url", ["https://"]),
    "a backslash": ({"api_url": "http://evil.example\\@localhost"}, "api_url", ["https://"]),
    **{
        f"http to {host}": (
            {"api_url": f"http://{host}"},
            "api_url",
            ["https://", "localhost", "127.0.0.1", "[::1]", "token"],
        )
        for host in (
            "api.truto.one",
            "api.truto.one:8443",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "127.0.0.1.",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.01",
            "\N{FULLWIDTH DIGIT ONE}27.0.0.1",
            "127.0.0.1%2eevil.example",
            "128.0.0.1",
            "0.0.0.0",  # noqa: S104 - an address to refuse
            "10.0.0.1",
            "[::]",
            "[::2]",
            "[::ffff:127.0.0.1]",
            "[fe80::1]",
        )
    },
    "an account without name": (
        {"integrated_account_ids": ["a", " "]},
        "integrated_account_ids",
        ["at least one id"],
    ),
    "an account of null": (
        {"integrated_account_ids": [None]},
        "integrated_account_ids",
        ["a list of strings"],
    ),
    "no tenant": ({"tenant_ids": []}, "tenant_ids", ["at least one"]),
    "tenants as an object": ({"tenant_ids": {"a": 1}}, "tenant_ids", ["a list of strings"]),
    "a shard of how many": ({"shard_index": 0}, "shard_count", ["missing", "'shard_index'"]),
    "shards without one": ({"shard_count": 2}, "shard_index", ["missing", "'shard_count'"]),
    "no shards": ({"shard_count": 0, "shard_index": 0}, "shard_count", ["at least 1"]),
    "a shard too many": (
        {"shard_count": 64, "shard_index": 64},
        "shard_index",
        ["below 'shard_count'", "the first shard is 0"],
    ),
    "a shard before the first": ({"shard_count": 2, "shard_index": -1}, "shard_index", ["0"]),
    "no parallel runs": ({"parallel_runs": 0}, "parallel_runs", ["at least 1", "most 500"]),
    "more runs than requests": ({"parallel_runs": 501}, "parallel_runs", ["at most 500"]),
    "no such day": ({"start_date": "2026-02-30"}, "start_date", ["date-time"]),
    "a year": ({"start_date": 2026}, "start_date", ["date-time"]),
    "an empty date": ({"start_date": ""}, "start_date", ["date-time"]),
    "filters as text": ({"filters": SECRET}, "filters", ["an object"]),
    "filters as a list": ({"filters": [SECRET]}, "filters", ["an object"]),
    "filters of a stream as text": (
        {"filters": {"interviews": SECRET}},
        "filters",
        ["an object for 'interviews'"],
    ),
    "filters of a stream as null": (
        {"filters": {"interviews": None}},
        "filters",
        ["an object for 'interviews'"],
    ),
    "filters of the accounts": (
        {"filters": {"integrated_accounts": {"id": SECRET}}},
        "filters",
        ["'integrated_accounts'"],
    ),
    "an id with an operator": (
        interviews(application_id={"gte": SECRET}),
        "filters",
        ["a string", "interviews.application_id"],
    ),
    "a list of ids": (interviews(application_id=[SECRET]), "filters", ["a string"]),
    "an empty id": (interviews(candidate_id=""), "filters", ["a string"]),
    "no id": (interviews(candidate_id=None), "filters", ["a string"]),
    "no operator": (interviews(start_at={}), "filters", ["interviews.start_at", "date-time"]),
    "an operator without value": (interviews(start_at={"gt": None}), "filters", ["date-time"]),
    "a plain value that is no date": (interviews(updated=SECRET), "filters", ["date-time"]),
    "a list of dates": (interviews(updated=["2026-01-01"]), "filters", ["date-time"]),
    "two operators, one unknown": (
        interviews(created_at={"gte": "2026-01-01", "since": SECRET}),
        "filters",
        ["'since'", "gt, gte, lt, lte"],
    ),
    "an operator in capitals": (interviews(start_at={"GTE": "2026-01-01"}), "filters", ["'GTE'"]),
    "remote query as text": ({"remote_query": f"a={SECRET}"}, "remote_query", ["an object"]),
    "remote query of a stream as text": (
        {"remote_query": {"interviews": f"a={SECRET}"}},
        "remote_query",
        ["an object for 'interviews'"],
    ),
    "a format in capitals": ({"response_format": "RAW"}, "response_format", ["unified, "]),
    "an empty format": ({"response_format": ""}, "response_format", ["unified, "]),
    "a fraction": ({"page_size": 1.5}, "page_size", ["an integer"]),
    "a number as text": ({"page_size": "100"}, "page_size", ["an integer"]),
    "true for a number": ({"page_size": True}, "page_size", ["an integer"]),
    "nothing at once": ({"max_concurrency": 0}, "max_concurrency", ["at least 1"]),
    "fewer retries than none": ({"max_retries": -1}, "max_retries", ["at least 0"]),
    "true as text": ({"ignore_limit": "true"}, "ignore_limit", ["true or false"]),
}


def check_line(line: str, name: str, words: list[str]) -> None:
    assert f"Setting '{name}'" in line
    assert all(word in line for word in words), line
    assert line.endswith(".")
    assert "\n" not in line


class TestWrongSettings:
    """A wrong setting is refused before the first request, in one line that says what it takes."""

    @pytest.mark.parametrize(("settings", "name", "words"), WRONG.values(), ids=WRONG)
    def test_a_run_is_refused_in_one_line(
        self, tap: Tap, sandbox: Sandbox, settings: dict[str, Any], name: str, words: list[str]
    ) -> None:
        done = tap(**settings)
        assert done.code == 1
        (line,) = done.errors
        check_line(line, name, words)
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert SECRET not in done.stderr
        assert sandbox.requests() == []

    @pytest.mark.parametrize(
        ("settings", "name", "words"), (WRONG | ALSO_WRONG).values(), ids=WRONG | ALSO_WRONG
    )
    def test_the_line_names_the_setting_and_what_it_takes(
        self, settings: dict[str, Any], name: str, words: list[str]
    ) -> None:
        schema = {**SCHEMA, "properties": SCHEMA["properties"] | of_the_sdk()}
        (line,) = problems({"api_token": "no-such-token"} | settings, schema)
        check_line(line, name, words)
        assert SECRET not in line

    def test_each_wrong_setting_has_its_line(self, tap: Tap, sandbox: Sandbox) -> None:
        done = tap(api_token=None, page_size=0, filters={"positions": {}, "interviews": {"x": 1}})
        assert len(done.errors) == 4
        assert sandbox.requests() == []

    def test_a_look_at_the_accounts_is_refused_too(self, tap: Tap, sandbox: Sandbox) -> None:
        done = tap("--test", page_size=0)
        assert done.code == 1
        check_line(done.errors[0], "page_size", ["at least 1"])
        assert "Traceback" not in done.stderr
        assert sandbox.requests() == []


def of_the_sdk() -> dict[str, Any]:
    return {name: about()["properties"][name] for name in OF_THE_SDK & about()["properties"].keys()}


RIGHT: dict[str, dict[str, Any]] = {
    "nothing but the token": {},
    "null is absent": dict.fromkeys(name for name in SETTINGS if name != "api_token"),
    "an address with path and port": {"api_url": "http://127.0.0.1:8080/truto/"},
    "an IPv6 address": {"api_url": "https://[::1]:8443"},
    "https in capitals": {"api_url": "HTTPS://API.TRUTO.ONE"},
    **{
        f"http to {host}": {"api_url": f"http://{host}"}
        for host in (
            "127.0.0.1",
            "127.255.255.254:80",
            "localhost",
            "LocalHost:8787/truto/",
            "[::1]",
            "[::1]:8787",
            "[0:0:0:0:0:0:0:1]",
        )
    },
    "http in capitals": {"api_url": "HTTP://LOCALHOST:8787"},
    "bounds below": {
        "page_size": 1,
        "lookback_seconds": 0,
        "max_concurrency": 1,
        "request_timeout_seconds": 1,
        "max_retries": 0,
    },
    "bounds above": {"max_concurrency": 100, "parallel_runs": TOKEN_LIMIT},
    "the last shard": {"shard_count": 64, "shard_index": 63},
    "dates": {"start_date": "2026-01-31 09:30"},
    "all operators": interviews(
        start_at={"gt": "2026-01-01", "gte": "2026-01-01", "lt": "2026-01-01", "lte": "2026-01-01"}
    ),
    "plain filters": interviews(
        application_id="a1", job_interview_stage_id=7, updated="2026-01-01"
    ),
    "no filters": {"filters": {}},
    "no filters of a stream": {"filters": {"interviews": {}}},
    "any remote query": {"remote_query": {"interviews": {"a": {"b": [1, True, None]}}}},
}


@pytest.mark.parametrize("settings", RIGHT.values(), ids=RIGHT)
def test_right_settings_have_no_line(settings: dict[str, Any]) -> None:
    assert problems({"api_token": "no-such-token"} | settings, SCHEMA) == []


class TestValues:
    """Settings, typed and with their defaults."""

    DEFAULTS = Settings.from_config({"api_token": "no-such-token"})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("api_url", "https://api.truto.one"),
            ("integrated_account_ids", ()),
            ("tenant_ids", ()),
            ("start_date", None),
            ("filters", {}),
            ("remote_query", {}),
            ("response_format", "unified"),
            ("page_size", 100),
            ("ignore_limit", False),
            ("lookback_seconds", 120),
            ("max_concurrency", 50),
            ("request_timeout_seconds", 60),
            ("max_retries", 8),
        ],
    )
    def test_what_is_absent_or_null_has_its_default(self, name: str, value: object) -> None:
        assert getattr(self.DEFAULTS, name) == value
        null = Settings.from_config({"api_token": "no-such-token", name: None})
        assert null == self.DEFAULTS

    def test_falsy_values_are_no_absent_ones(self) -> None:
        found = Settings.from_config({"api_token": "t", "lookback_seconds": 0, "max_retries": 0})
        assert (found.lookback_seconds, found.max_retries) == (0, 0)

    def test_an_account_named_twice_is_one(self) -> None:
        found = Settings.from_config(
            {"api_token": "t", "integrated_account_ids": ["b", "a", "b"], "tenant_ids": ["x", "x"]}
        )
        assert found.integrated_account_ids == ("b", "a")
        assert found.tenant_ids == ("x",)

    def test_a_date_is_an_instant(self) -> None:
        found = Settings.from_config({"api_token": "t", "start_date": "2026-01-31T00:00+02:00"})
        assert found.start_date is not None
        assert format_instant(found.start_date) == "2026-01-30T22:00:00.000000+00:00"

    def test_the_address_ends_without_a_slash(self) -> None:
        found = Settings.from_config({"api_token": "t", "api_url": "http://h/truto//"})
        assert found.api_url == "http://h/truto"

    def test_a_whole_number_is_an_integer_however_it_is_written(self) -> None:
        found = Settings.from_config({"api_token": "t", "page_size": 50.0})
        assert repr(found.page_size) == "50"

    def test_the_token_is_not_shown(self) -> None:
        assert "no-such-token" not in repr(self.DEFAULTS)

    def test_the_configuration_stays_as_it_was(self) -> None:
        config = {"api_token": "t", "integrated_account_ids": ["a", "a"], "filters": None}
        Settings.from_config(config)
        assert config == {"api_token": "t", "integrated_account_ids": ["a", "a"], "filters": None}


# Variable, its text, the setting, words of what it takes.
WRONG_IN_THE_ENVIRONMENT: list[tuple[str, str, str]] = [
    ("page_size", "abc", "an integer"),
    ("page_size", "0", "an integer of at least 1"),
    ("filters", "{bad", "an object"),
    ("filters", "[" * 5000, "an object"),
    ("integrated_account_ids", '{"a": 1}', "a list of strings"),
    ("integrated_account_ids", '["a"', "a list of strings"),
    ("ignore_limit", "maybe", "true or false"),
    ("start_date", "soon", "a date-time"),
    ("response_format", "xml", "unified, normalized, raw, stream"),
    ("api_token", SECRET + " ", "a Truto API token"),
    ("api_token", SECRET + "\udce9", "a Truto API token"),
    ("tenant_ids", "caf\udce9", "a list of strings"),
]


class TestEnvironment:
    """Settings from the environment, as Meltano hands them over."""

    @pytest.mark.parametrize("name", ["_SELECT", "_METADATA", "_LOAD_SCHEMA", "LOGLEVEL"])
    def test_what_is_of_meltano_and_the_sdk_is_no_setting(
        self, env: dict[str, str], tmp_path: Path, name: str
    ) -> None:
        given = env | {f"{PREFIX}{name}": "INFO", "ANOTHER_TENANT_ID": "x", "tenant_id": "x"}
        done = run("--config", "ENV", folder=tmp_path, env=given)
        assert (done.code, done.errors) == (0, [])

    def test_variables_do_not_count_without_being_asked_for(
        self, tap: Tap, ids: dict[str, str]
    ) -> None:
        done = tap(env={f"{PREFIX}TENANT_ID": SECRET}, integrated_account_ids=[ids["ashby"]])
        assert (done.code, done.errors) == (0, [])

    @pytest.fixture
    def env(self, sandbox: Sandbox) -> dict[str, str]:
        return {f"{PREFIX}API_URL": sandbox.url, f"{PREFIX}API_TOKEN": sandbox.token}

    @pytest.mark.parametrize(("name", "text", "words"), WRONG_IN_THE_ENVIRONMENT)
    def test_a_wrong_variable_is_refused_in_one_line(
        self,
        sandbox: Sandbox,
        env: dict[str, str],
        tmp_path: Path,
        name: str,
        text: str,
        words: str,
    ) -> None:
        done = run("--config", "ENV", folder=tmp_path, env=env | {f"{PREFIX}{name.upper()}": text})
        assert done.code == 1
        assert len(done.errors) == 1
        assert f"Setting '{name}'" in done.errors[0]
        assert words in done.errors[0]
        assert "Traceback" not in done.stderr
        assert SECRET not in done.stderr
        assert sandbox.requests() == []

    @pytest.mark.parametrize(
        "name", ["TAP_TRUTO_ATS_tenant_ids", "tap_truto_ats_tenant_ids", "Tap_Truto_Ats_Tenant_Ids"]
    )
    def test_a_variable_in_other_letters_is_refused(
        self, sandbox: Sandbox, env: dict[str, str], tmp_path: Path, name: str
    ) -> None:
        """Otherwise, it would not be read, and so all tenants would be."""
        done = run("--config", "ENV", folder=tmp_path, env=env | {name: SECRET})
        (line,) = done.errors
        assert (done.code, done.stdout, sandbox.requests()) == (1, "", [])
        assert line == (
            f"Setting 'tenant_ids' is read from TAP_TRUTO_ATS_TENANT_IDS only. {name} is set."
        )

    @pytest.mark.parametrize("text", ["jobs, users", ' ["jobs", "users"] ', " jobs ,users"])
    def test_blanks_around_items_do_not_count(
        self, env: dict[str, str], tmp_path: Path, text: str
    ) -> None:
        done = run("--config", "ENV", folder=tmp_path, env=env | {f"{PREFIX}HYDRATE": text})
        assert (done.code, done.errors) == (0, [])

    def test_every_setting_can_come_from_it(
        self, sandbox: Sandbox, env: dict[str, str], tmp_path: Path, ids: dict[str, str]
    ) -> None:
        given = {
            "integrated_account_ids": json.dumps([ids["greenhouse"]]),
            "tenant_ids": '["customer-0001"]',
            "shard_count": "3",
            "shard_index": "0",
            "parallel_runs": "2",
            "start_date": "2020-01-01",
            "include_remote_data": "true",
            "include_eeocs": "true",
            "filters": '{"interviews": {"start_at": {"gte": "2020-01-01"}}}',
            "remote_query": '{"interviews": {"foo": {"bar": "baz"}}}',
            "response_format": "normalized",
            "page_size": "3",
            "ignore_limit": "true",
            "lookback_seconds": "0",
            "max_concurrency": "1",
            "request_timeout_seconds": "30",
            "max_retries": "1",
            "schedule_window_days": "14",
            "full_read_every_days": "3",
            "changed_parents_only": "true",
            "hydrate": "interviews",
            "fail_on_account_error": "false",
            "emit_activate_version_messages": "true",
        }
        variables = {f"{PREFIX}{name.upper()}": text for name, text in given.items()}
        assert {*given, "api_url", "api_token"} == set(SETTINGS)
        done = run("--config", "ENV", folder=tmp_path, env=env | variables)
        assert (done.code, done.errors) == (0, [])
        assert all(record["remote_data"] for record in done.records())
        sent = dict(sandbox.requests("/unified/ats/interviews")[0]["params"])
        assert sent == {
            "integrated_account_id": ids["greenhouse"],
            "limit": "3",
            "start_at[gte]": "2020-01-01",
            "remote_query[foo][bar]": "baz",
            "truto_response_format": "normalized",
            "truto_ignore_limit": "true",
        }


# Arguments (a file by its content) → words of the line.
FILES: dict[str, tuple[str, bytes | None]] = {
    "no such config": ("--config", None),
    "config of half an object": ("--config", b'{"api_token": "hush-4242", '),
    "config of a list": ("--config", b'["hush-4242"]'),
    "empty config": ("--config", b""),
    "no such state": ("--state", None),
    "state of half an object": ("--state", b'{"bookmarks": '),
    "state of a list": ("--state", b"[]"),
    "empty state": ("--state", b""),
    "bookmarks of a list": ("--state", b'{"bookmarks": []}'),
    "partitions of null": ("--state", b'{"bookmarks": {"interviews": {"partitions": null}}}'),
    "no such catalog": ("--catalog", None),
    "catalog of half an object": ("--catalog", b'{"streams": ['),
    "streams of a number": ("--catalog", b'{"streams": 5}'),
    "a stream without a name": ("--catalog", b'{"streams": [{}]}'),
}


@pytest.mark.parametrize(("option", "content"), FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_read_is_named_in_one_line(
    tap: Tap, sandbox: Sandbox, tmp_path: Path, option: str, content: bytes | None
) -> None:
    file = tmp_path / "given.json"
    if content is not None:
        file.write_bytes(content)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(tap.config()))
    others = [] if option == "--config" else ["--config", str(config)]
    done = run(*others, option, str(file), folder=tmp_path)
    assert done.code != 0
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) + len(done.errors) == 1
    (line,) = lines or done.errors
    assert option in line
    assert "given.json" in line
    assert SECRET not in done.stderr
    assert sandbox.requests() == []


class TestWithoutSettings:
    """Discovery and `--about` need no settings and no network."""

    @pytest.mark.parametrize("option", ["--discover", "--about"])
    def test_they_need_no_settings(self, option: str, tmp_path: Path) -> None:
        done = run(option, folder=tmp_path)
        assert (done.code, done.errors) == (0, [])
        assert "interviews" in done.stdout if option == "--discover" else "api_token" in done.stdout

    @pytest.mark.parametrize("option", ["--discover", "--about"])
    @pytest.mark.parametrize("settings", [{"page_size": "two"}, {"shard_count": [3]}], ids=str)
    def test_wrong_settings_do_not_end_them(
        self, option: str, settings: dict[str, Any], tmp_path: Path
    ) -> None:
        (tmp_path / "config.json").write_text(json.dumps(settings))
        done = run("--config", "config.json", option, folder=tmp_path)
        assert (done.code, done.errors) == (0, [])
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("option", ["--discover", "--about"])
    def test_they_ask_for_nothing(self, tap: Tap, sandbox: Sandbox, option: str) -> None:
        with_sandbox = run(option, "--config", "ENV", env={f"{PREFIX}API_URL": sandbox.url})
        nowhere = run(option, "--config", "ENV", env={f"{PREFIX}API_URL": "http://127.0.0.1:1"})
        assert (with_sandbox.code, nowhere.code) == (0, 0)
        assert with_sandbox.stdout == nowhere.stdout
        assert sandbox.requests() == []
        assert tap.sandbox is sandbox

    def test_null_settings_are_absent_ones(
        self, tap: Tap, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        file = tmp_path / "config.json"
        file.write_text(json.dumps(dict.fromkeys(SETTINGS) | tap.config()))
        done = run("--config", str(file), folder=tmp_path)
        assert (done.code, done.errors) == (0, [])
        assert len(done.records()) == len(sandbox.interviews())
