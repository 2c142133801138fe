"""What is wrong with a configuration: a line for each error, which never quotes a value."""

from __future__ import annotations

from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from itertools import chain, starmap, takewhile
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jsonschema.exceptions import best_match
from singer_sdk import typing as th

from tap_truto_ats.model.declaration import OPERATORS, UNCHECKED, Filter
from tap_truto_ats.model.instants import parse_iso
from tap_truto_ats.model.records import kinds
from tap_truto_ats.model.resources import PARAMETERS, RESOURCES
from tap_truto_ats.settings.features import (
    BATCH_SCHEMA,
    check_batches,
    check_faker,
    check_flattening,
    check_maps,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

NOUNS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": 'a list of strings such as ["a", "b"]',
    "null": "null",
    "object": "an object",
}
"""By JSON Schema type: how a message calls it."""

DATE_TIME = "a date-time such as 2026-01-31T00:00:00Z"

PLACEHOLDER = "your-truto-api-token"
"""What stands in `.env.example` in place of a token."""


def problems(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with a configuration: a line each, naming the setting and what it takes.

    No line quotes a value, since a value may be a secret.
    """
    known = schema["properties"]
    lines = [unknown(name, known) for name in config if name not in known]
    for name, definition in known.items():
        value = config.get(name)
        if value is None:
            if name in schema.get("required", ()):
                lines.append(f"Setting '{name}' is missing: it takes {takes(name, definition)}.")
        elif fault := _fault(name, value, SCHEMAS.get(name, definition)):
            lines.append(fault)
        else:
            check = CHECKS.get(name)
            lines += [f"Setting '{name}' {line}." for line in (check(value) if check else ())]
    return lines or [
        *_check_shards(config),
        *check_flattening(config),
        *check_batches(config),
    ]


def unknown(name: str, known: Collection[str]) -> str:
    """Say that there is no such setting, and which is meant most likely."""
    nearest = get_close_matches(name.strip().lower(), known, n=1)
    cure = f"the nearest is '{nearest[0]}'" if nearest else "leave it out"
    return f"Setting '{name}' is unknown: {cure}."


def _fault(name: str, value: object, definition: Mapping[str, Any]) -> str | None:
    """Say what of a setting does not fit its JSON Schema, by the innermost name; None if all does.

    Source of the names: the path of a `jsonschema` error, up to a place in a list.
    """
    error = best_match(th.DEFAULT_JSONSCHEMA_VALIDATOR(_mended(definition)).iter_errors(value))
    if error is None:
        return None
    path = [name, *takewhile(lambda one: isinstance(one, str), error.absolute_path)]
    inner: Any = error.schema if len(path) > len(error.absolute_path) else {"type": "array"}
    given = error.instance if isinstance(error.instance, dict) else {}
    if error.validator == "additionalProperties":
        surplus = next(one for one in given if one not in inner["properties"])
        return unknown(
            ".".join([*path, surplus]), [".".join([*path, one]) for one in inner["properties"]]
        )
    if error.validator == "required":
        missing = next(one for one in error.validator_value if one not in given)
        what = takes(missing, inner["properties"][missing])
        return f"Setting '{'.'.join([*path, missing])}' is missing: it takes {what}."
    return f"Setting '{'.'.join(path)}' takes {takes(path[-1], inner)}."


def _mended(schema: Any) -> Any:  # noqa: ANN401
    """Return a JSON Schema without what is none: the SDK's of `stream_maps` holds a text."""
    if isinstance(schema, list):
        return [_mended(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _mended([one for one in inner if isinstance(one, dict)] if key == "anyOf" else inner)
        for key, inner in schema.items()
    }


def kind_of(definition: Mapping[str, Any]) -> str:
    """Return a setting's JSON Schema type; `object` for the SDK's own that name none."""
    return next(iter(kinds(definition)), "object")


def takes(name: str, definition: Mapping[str, Any]) -> str:
    """Put a setting's JSON Schema into words."""
    if name == "api_token":
        return "a Truto API token"
    if "enum" in definition:
        return "one of " + ", ".join(str(value) for value in definition["enum"] if value)
    if options := definition.get("anyOf") or definition.get("oneOf"):
        return " or ".join(takes(name, option) for option in options)
    if "const" in definition:
        return str(definition["const"])
    kind = kind_of(definition)
    if definition.get("format") == "date-time":
        return DATE_TIME
    bounds = [
        f"{words} {definition[key]}"
        for key, words in (("minimum", "of at least"), ("maximum", "and at most"))
        if key in definition
    ]
    return " ".join([NOUNS.get(kind, kind), *bounds])


def _check_shards(config: Mapping[str, Any]) -> Iterator[str]:
    names = ("shard_count", "shard_index")
    given = [name for name in names if config.get(name) is not None]
    if len(given) == 1:
        (missing,) = {*names} - {*given}
        yield f"Setting '{missing}' is missing: '{given[0]}' has no meaning without it."
    elif given and config["shard_index"] >= config["shard_count"]:
        yield "Setting 'shard_index' takes an integer below 'shard_count': the first shard is 0."


def _check_token(token: str) -> Iterator[str]:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        yield "takes a Truto API token: printable ASCII without blanks or line ends"
    elif token == PLACEHOLDER:
        yield (
            "is still the placeholder of .env.example: put in its place an API token that you have"
            " made in Truto, for the environment whose accounts are to be read"
        )


def _check_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    # Parsers of URLs disagree on what stands before an `@`, and on backslashes.
    clean = url.isprintable() and not set(url) & set(" @\\")
    if not valid or not clean or parts.query or parts.fragment:
        yield "takes an address such as https://api.truto.one"
    elif parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        yield (
            "takes an https address such as https://api.truto.one, so that nobody else reads the"
            " token; http is for this machine only: localhost, 127.0.0.1 or [::1]"
        )


def _is_loopback(host: str) -> bool:
    """Return whether a host is this machine beyond doubt; other spellings of it are refused."""
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
    if parse_iso(value) is None:
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
                choices = ", ".join(known) or "none"
                yield f"has no '{name}' for {stream}: it takes {choices}"


def _check_stream(stream: str, values: object) -> Iterator[str]:
    if stream not in RESOURCES:
        yield f"knows no stream '{stream}': it takes {', '.join(RESOURCES)}"
    elif not isinstance(values, dict):
        yield f"takes an object for '{stream}'"


def _check_filter(name: str, expected: Filter, value: object) -> Iterator[str]:
    operators = value if isinstance(value, dict) else {}
    if not expected.is_date_time:
        if isinstance(value, (bool, dict, list, type(None))) or value == "":
            yield f"takes a string for {name}"
        return
    if unknown := [operator for operator in operators if operator not in OPERATORS]:
        yield f"has no operator '{unknown[0]}' for {name}: it takes {', '.join(OPERATORS)}"
    elif not all(parse_iso(moment) for moment in operators.values() or [value]):
        yield f"takes for {name} {DATE_TIME}, or an object of {', '.join(OPERATORS)}"


SCHEMAS = {"batch_config": BATCH_SCHEMA}
"""By setting: the JSON Schema in place of the SDK's."""

CHECKS: dict[str, Callable[[Any], Iterator[str]]] = {
    "api_token": _check_token,
    "api_url": _check_url,
    "integrated_account_ids": _check_ids,
    "tenant_ids": _check_ids,
    "start_date": _check_date,
    "filters": _check_filters,
    "remote_query": lambda by_stream: chain(*starmap(_check_stream, by_stream.items())),
    "stream_maps": check_maps,
    "faker_config": check_faker,
    "hydrate": lambda streams: chain(*(_check_stream(stream, {}) for stream in streams)),
}
"""By setting: what a JSON Schema cannot say of it."""
