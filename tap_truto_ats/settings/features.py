"""Settings of features that the SDK has for every tap: stream maps, flattening, BATCH files.

The SDK's own schema of them lets pass what later fails without naming the setting.
"""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from importlib import import_module
from importlib.util import find_spec
from types import NoneType
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BATCH_SCHEMA = th.ObjectType(
    th.Property(
        "encoding",
        th.ObjectType(
            th.Property(
                "format", th.StringType(allowed_values=["jsonl", "parquet"]), required=True
            ),
            th.Property("compression", th.StringType(allowed_values=["gzip", "none"])),
            additional_properties=False,
        ),
        required=True,
    ),
    th.Property(
        "storage",
        th.ObjectType(
            th.Property("root", th.StringType, required=True),
            th.Property("prefix", th.StringType),
            th.Property("params", th.ObjectType()),
            additional_properties=False,
        ),
        required=True,
    ),
    th.Property("batch_size", th.IntegerType(minimum=1)),
    additional_properties=False,
    nullable=True,
).to_dict()
"""What `batch_config` takes; the SDK's schema requires nothing."""

NULL = (None, "__NULL__")
"""In stream maps: what leaves out a stream or a column."""

ALIAS, ELSE, FILTER, SOURCE = "__alias__", "__else__", "__filter__", "__source__"
OPTIONS = (ALIAS, ELSE, FILTER, "__key_properties__", SOURCE)
"""In stream maps: what is no column."""


def mapping_of(stream: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return by setting what becomes of a stream's rows on their way out; nothing of others."""
    maps = {
        name: given
        for name, given in (config.get("stream_maps") or {}).items()
        if name == ELSE
        or fnmatch(stream, given.get(SOURCE, name) if isinstance(given, dict) else name)
    }
    flattens = config.get("flattening_enabled")
    return {
        "flattening": flattens and {key: config[key] for key in config if "flattening" in key},
        "stream_maps": maps and [maps, config.get("stream_map_config"), config.get("faker_config")],
    }


def check_maps(maps: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with `stream_maps`: options that do not exist, and expressions."""
    for name, definition in maps.items():
        columns = definition if isinstance(definition, dict) else {}
        if ALIAS in columns and SOURCE in columns:
            yield f"takes no {ALIAS} with {SOURCE} for {name}: its own name is that of the copy"
        for column, expression in columns.items():
            if column.startswith("__") and column not in OPTIONS:
                yield f"has no '{column}' for {name}: it takes {', '.join(OPTIONS)}"
            elif expression in NULL and column in {ALIAS, SOURCE}:
                yield f"takes a string for {name}.{column}"
            elif expression not in NULL and (column not in OPTIONS or column == FILTER):
                yield from _check_expression(f"{name}.{column}", expression)


def _check_expression(place: str, expression: str) -> Iterator[str]:
    try:
        tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError):  # The latter for NUL.
        yield f"takes an expression of Python for {place}"
        return
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if "fake" in names and find_spec("faker") is None:
        yield f"needs the package `faker` for {place}: pip install 'tap-truto-ats[faker]'"


def check_faker(config: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with `faker_config`: names, and what the package `faker` refuses."""
    for name in config.keys() - {"seed", "locale"}:
        yield f"has no '{name}': it takes seed, locale"
    if find_spec("faker") is None:
        return
    if not isinstance(config.get("seed"), (int, str, NoneType)):  # The SDK reads 1.5 as `Decimal`.
        yield "takes for seed a whole number or a string"
    try:
        import_module("faker").Faker(config.get("locale")).name()
    except AttributeError:
        yield "takes for locale what the package `faker` knows, such as en_US or de_DE"


def check_flattening(config: Mapping[str, Any]) -> Iterator[str]:
    """Say what flattening lacks: how deep it goes has no default."""
    depth = config.get("flattening_max_depth")
    if config.get("flattening_enabled") and (depth is None or depth < 0):
        yield (
            "Setting 'flattening_max_depth' takes an integer of at least 0, the levels of objects"
            " that become columns, with 'flattening_enabled'."
        )


def check_batches(config: Mapping[str, Any]) -> Iterator[str]:
    """Say what does not go with the BATCH files that a valid configuration asks for."""
    batches = config.get("batch_config")
    if not batches:
        return
    # They are written from records before these are mapped (meltano/sdk, issue 1117).
    for name in ("stream_maps", "flattening_enabled"):
        if config.get(name):
            yield (
                f"Settings 'batch_config' and '{name}' exclude each other: the SDK writes BATCH"
                " files without mapping. Leave out one of them."
            )
    if batches["encoding"]["format"] == "parquet" and find_spec("pyarrow") is None:
        yield (
            "Setting 'batch_config.encoding.format' needs the package `pyarrow` for parquet:"
            " pip install 'tap-truto-ats[parquet]'."
        )
