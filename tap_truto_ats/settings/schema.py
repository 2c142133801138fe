"""The tap's settings: what each takes, what is wrong with a configuration, and the typed result."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk import typing as th

from tap_truto_ats.model.instants import parse_instant
from tap_truto_ats.model.records import kinds
from tap_truto_ats.model.resources import OPERATORS, PARAMETERS, RESOURCES, UNCHECKED, Filter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

RESPONSE_FORMATS = ("unified", "normalized", "raw", "stream")

SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "api_token",
        th.StringType,
        required=True,
        secret=True,
        title="API token",
        description="Truto API token.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        default="https://api.truto.one",
        title="API URL",
        description="Address of Truto's API: https, or http on this machine.",
    ),
    th.Property(
        "integrated_account_ids",
        th.ArrayType(th.StringType),
        title="Integrated accounts",
        description="Accounts to read. When absent, every active account of the token's "
        "environment in the ATS category.",
    ),
    th.Property(
        "tenant_ids",
        th.ArrayType(th.StringType),
        title="Tenants",
        description="When accounts are found: only these tenants.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description="First sync: rows whose `updated_at` is older are not emitted; rows without "
        "`updated_at` go by `created_at`, rows without either are emitted.",
    ),
    th.Property(
        "include_remote_data",
        th.BooleanType,
        default=False,
        title="Include remote data",
        description="Adds the provider's raw record as `remote_data`.",
    ),
    th.Property(
        "filters",
        th.ObjectType(),
        title="Filters",
        description="Per stream: query parameters, such as "
        '`{"interviews": {"start_at": {"gte": "2026-01-01T00:00:00Z"}}}`.',
    ),
    th.Property(
        "remote_query",
        th.ObjectType(),
        title="Remote query",
        description="Per stream: parameters passed to the provider untouched "
        "(`remote_query[foo][bar]=baz`).",
    ),
    th.Property(
        "response_format",
        th.StringType,
        default="unified",
        allowed_values=list(RESPONSE_FORMATS),
        title="Response format",
        description="Form in which Truto answers.",
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1),
        default=100,
        title="Page size",
        description="Sent as `limit`; a hint, a page may hold more or fewer rows.",
    ),
    th.Property(
        "ignore_limit",
        th.BooleanType,
        default=False,
        title="Ignore limit",
        description="Sends `truto_ignore_limit=true`.",
    ),
    th.Property(
        "lookback_seconds",
        th.IntegerType(minimum=0),
        default=120,
        title="Lookback",
        description="Subtracted from a bookmark when it is read, never stored.",
    ),
    th.Property(
        "max_concurrency",
        th.IntegerType(minimum=1, maximum=100),
        default=10,
        title="Concurrency",
        description="Requests under way at the same time.",
    ),
    th.Property(
        "request_timeout_seconds",
        th.IntegerType(minimum=1),
        default=60,
        title="Request timeout",
        description="Seconds to wait for an answer, and for a page to arrive.",
    ),
    th.Property(
        "max_retries",
        th.IntegerType(minimum=0),
        default=8,
        title="Retries",
        description="Retries of each request.",
    ),
    th.Property(
        "schedule_window_days",
        th.IntegerType(minimum=0),
        title="Schedule window",
        description="Accounts whose rows carry no `updated_at`: once read whole, later runs ask "
        "only for what starts or ends within this many days before the run, or later.",
    ),
    th.Property(
        "full_read_every_days",
        th.IntegerType(minimum=1),
        default=7,
        title="Days between whole reads",
        description="With a schedule window: after this many days an account is read whole again.",
    ),
    th.Property(
        "hydrate",
        th.ArrayType(th.StringType),
        title="Streams to hydrate",
        description="Streams whose rows are fetched by id, where a provider lists them with fewer "
        "fields than it has: a request for each row.",
    ),
    th.Property(
        "fail_on_account_error",
        th.BooleanType,
        default=True,
        title="Fail on account errors",
        description="When false, accounts that could not be read are reported, and the exit code "
        "is 0.",
    ),
    th.Property(
        "emit_activate_version_messages",
        th.BooleanType,
        default=False,
        title="Emit ACTIVATE_VERSION messages",
        description="For streams that the catalog sets to FULL_TABLE: tells the target to delete "
        "what is gone, once every account was read to its end.",
    ),
).to_dict()

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

_NOUNS = {
    "string": "a string",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "a list of strings",
    "object": "an object",
}

DATE_TIME = "a date-time such as 2026-01-31T00:00:00Z"

_BOOLEANS = {"1": "true", "yes": "true", "on": "true", "0": "false", "no": "false", "off": "false"}


@dataclass(frozen=True)
class Settings:
    """A configuration that `problems` finds nothing wrong with, typed and with its defaults."""

    api_token: str = field(repr=False)
    api_url: str
    integrated_account_ids: tuple[str, ...]
    tenant_ids: tuple[str, ...]
    start_date: datetime | None
    filters: Mapping[str, Mapping[str, Any]]
    remote_query: Mapping[str, Mapping[str, Any]]
    response_format: str
    page_size: int
    ignore_limit: bool
    lookback_seconds: int
    max_concurrency: int
    request_timeout_seconds: int
    max_retries: int
    schedule_window_days: int | None
    full_read_every_days: int
    hydrate: tuple[str, ...]
    fail_on_account_error: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read a configuration; a setting that is null counts as absent."""
        values: dict[str, Any] = {}
        for name in (one.name for one in fields(cls)):
            given = config.get(name)
            definition = SCHEMA["properties"][name]
            values[name] = definition.get("default") if given is None else given
            if "integer" in definition["type"] and values[name] is not None:
                values[name] = int(values[name])  # JSON's 50.0 is an integer, too
        values["api_url"] = values["api_url"].rstrip("/")
        values["integrated_account_ids"] = _unique(values["integrated_account_ids"])
        values["tenant_ids"] = _unique(values["tenant_ids"])
        values["hydrate"] = _unique(values["hydrate"])
        values["start_date"] = parse_instant(values["start_date"])
        values["filters"] = values["filters"] or {}
        values["remote_query"] = values["remote_query"] or {}
        return cls(**values)

    @property
    def is_raw(self) -> bool:
        """Whether rows are the provider's own, without the unified fields."""
        return self.response_format == "raw"


def _unique(values: list[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value.strip() for value in values or ()))


def problems(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with a configuration: a line each, naming the setting and what it takes.

    No line quotes a value, since a value may be a secret.

    Args:
        config: The configuration as given.
        schema: The JSON Schema of all settings, the SDK's own included.
    """
    lines: list[str] = []
    for name, definition in schema["properties"].items():
        value = config.get(name)
        if value is None:
            if name in schema.get("required", ()):
                lines.append(f"Setting '{name}' is missing: it takes {_takes(name, definition)}.")
        elif not _is_valid(value, definition):
            lines.append(f"Setting '{name}' takes {_takes(name, definition)}.")
        else:
            check = CHECKS.get(name)
            lines += [f"Setting '{name}' {line}." for line in (check(value) if check else ())]
    return lines


def from_environment(
    environment: Mapping[str, str], prefix: str, schema: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Read settings from environment variables; an empty one counts as absent.

    Lists and objects are JSON; a list may also be its items with commas between.

    Args:
        environment: The variables.
        prefix: What a variable's name begins with.
        schema: The JSON Schema of all settings.

    Returns:
        The settings, and a line for each variable that cannot be read.
    """
    found: dict[str, Any] = {}
    lines: list[str] = []
    for name, definition in schema["properties"].items():
        variable = f"{prefix}{name.upper()}"
        if text := environment.get(variable):
            try:
                found[name] = _parse(text, _kind(definition))
            except ValueError:
                takes = _takes(name, definition)
                lines.append(f"Setting '{name}' takes {takes}: {variable} is something else.")
    return found, lines


def _parse(text: str, kind: str) -> Any:  # noqa: ANN401
    if kind == "string":
        return text
    if kind == "boolean":
        return json.loads(_BOOLEANS.get(text.lower(), text.lower()))
    if kind == "array" and text[0] not in "[{":
        return text.split(",")
    return json.loads(text)


def _kind(definition: Mapping[str, Any]) -> str:
    return next(iter(kinds(definition)), "object")


def _is_valid(value: object, definition: Mapping[str, Any]) -> bool:
    try:
        return bool(th.DEFAULT_JSONSCHEMA_VALIDATOR(definition).is_valid(value))
    except AttributeError:
        # In the SDK's schema of `stream_maps`, a string stands where a schema belongs.
        return False


def _takes(name: str, definition: Mapping[str, Any]) -> str:
    """Put a setting's JSON Schema into words."""
    if name == "api_token":
        return "a Truto API token"
    if "enum" in definition:
        return "one of " + ", ".join(str(value) for value in definition["enum"] if value)
    kind = _kind(definition)
    if definition.get("format") == "date-time":
        return DATE_TIME
    bounds = [
        f"{words} {definition[key]}"
        for key, words in (("minimum", "of at least"), ("maximum", "and at most"))
        if key in definition
    ]
    return " ".join([_NOUNS.get(kind, kind), *bounds])


def _check_token(token: str) -> Iterator[str]:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        yield "takes a Truto API token: printable ASCII without blanks or line ends"


def _check_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    # Of what is before an `@`, or of a backslash, each parser of URLs makes something else.
    clean = url.isprintable() and not set(url) & set(" @\\")
    if not valid or not clean or parts.query or parts.fragment:
        yield "takes an address such as https://api.truto.one"
    elif parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        yield (
            "takes an https address such as https://api.truto.one, so that nobody else reads the"
            " token; http is for this machine only: localhost, 127.0.0.1 or [::1]"
        )


def _is_loopback(host: str) -> bool:
    """Whether a host is this machine beyond doubt: other spellings are not worth the risk."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in LOOPBACK)


def _check_ids(ids: list[str]) -> Iterator[str]:
    if not ids or {value.strip() for value in ids} & {"", ".", ".."}:
        yield "takes a list of at least one id; leave it out to read all"


def _check_date(value: str) -> Iterator[str]:
    if parse_instant(value) is None:
        yield f"takes {DATE_TIME}"


def _check_filters(filters: Mapping[str, Any]) -> Iterator[str]:
    for stream, values in filters.items():
        yield from _check_stream(stream, values)
        if stream not in RESOURCES or not isinstance(values, dict):
            continue
        known = RESOURCES[stream].filters
        for name, value in values.items():
            if name in known or name in PARAMETERS:
                expected = known.get(name, UNCHECKED)
                yield from _check_filter(f"{stream}.{name}", expected, value)
            else:
                takes = ", ".join(known) or "none"
                yield f"has no '{name}' for {stream}: it takes {takes}"


def _check_stream(stream: str, values: object) -> Iterator[str]:
    if stream not in RESOURCES:
        yield f"knows no stream '{stream}': it takes {', '.join(RESOURCES)}"
    elif not isinstance(values, dict):
        yield f"takes an object for '{stream}'"


def _check_hydrate(streams: list[str]) -> Iterator[str]:
    for stream in streams:
        yield from _check_stream(stream, {})


def _check_filter(name: str, expected: Filter, value: object) -> Iterator[str]:
    operators = value if isinstance(value, dict) else {}
    if not expected.is_date_time:
        if isinstance(value, (bool, dict, list, type(None))) or value == "":
            yield f"takes a string for {name}"
        return
    if unknown := [operator for operator in operators if operator not in OPERATORS]:
        yield f"has no operator '{unknown[0]}' for {name}: it takes {', '.join(OPERATORS)}"
    elif not all(parse_instant(moment) for moment in operators.values() or [value]):
        yield f"takes for {name} {DATE_TIME}, or an object of {', '.join(OPERATORS)}"


def _check_remote_query(queries: Mapping[str, Any]) -> Iterator[str]:
    for stream, values in queries.items():
        yield from _check_stream(stream, values)


CHECKS: dict[str, Callable[[Any], Iterator[str]]] = {
    "api_token": _check_token,
    "api_url": _check_url,
    "integrated_account_ids": _check_ids,
    "tenant_ids": _check_ids,
    "start_date": _check_date,
    "filters": _check_filters,
    "remote_query": _check_remote_query,
    "hydrate": _check_hydrate,
}
"""What a JSON Schema cannot say."""
