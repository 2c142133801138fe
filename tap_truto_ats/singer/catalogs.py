"""Catalogs of all forms: what they select, and what they ask for that a stream cannot do."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.singerlib import Catalog
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL

from tap_truto_ats.model.records import kinds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from singer_sdk.singerlib import CatalogEntry

METHODS = (REPLICATION_INCREMENTAL, REPLICATION_FULL_TABLE)


class Column(msgspec.Struct):
    """What is relied on in the schema of a stream, or of a part of one."""

    type: str | list[str] | None = None
    selected: bool | None = None
    properties: dict[str, Column] | None = None
    items: Column | None = None
    any_of: list[Column] | None = msgspec.field(name="anyOf", default=None)


class Values(msgspec.Struct, rename="kebab"):
    """What is relied on in what `metadata` says."""

    selected: bool | None = None
    selected_by_default: bool | None = None
    table_key_properties: list[str] | None = None
    replication_key: str | None = None
    replication_method: str | None = None
    forced_replication_method: str | None = None


class Metadata(msgspec.Struct):
    """What is relied on in an entry of `metadata`."""

    breadcrumb: list[str]
    metadata: Values


class Entry(msgspec.Struct):
    """What is relied on in a stream's entry."""

    tap_stream_id: str
    schema: Column = msgspec.field(default_factory=Column)
    metadata: list[Metadata] = []
    selected: bool | None = None
    stream: str | None = None
    key_properties: list[str] | None = None
    replication_key: str | None = None
    replication_method: str | None = None


class Form(msgspec.Struct):
    """What is relied on in a catalog."""

    streams: list[Entry]


def read(content: dict[str, Any]) -> Catalog:
    """Make a catalog of a JSON object.

    Raises:
        ValueError: It is none.
    """
    names = [one.tap_stream_id for one in msgspec.convert(content, Form).streams]
    if twice := [name for name in names if names.count(name) > 1]:
        message = f"it has the stream {twice[0]} more than once"
        raise ValueError(message)
    return Catalog.from_dict({"streams": [_with_metadata(one) for one in content["streams"]]})


def _with_metadata(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a catalog's entry with what older forms say elsewhere said in its metadata.

    Streams and columns may be selected by `selected` beside or in their schema (Singer's
    specification, before it knew metadata). The method is first of all that of the metadata, which
    users change, while discovery has written one beside it.
    """
    metadata = {_at(one["breadcrumb"]): {**one["metadata"]} for one in entry.get("metadata", ())}
    for breadcrumb, place in [((), entry), *_places(entry.get("schema", {}), ())]:
        if (selected := place.get("selected")) is not None:
            known = metadata.setdefault(breadcrumb, {})
            if known.get("selected") is None:
                known["selected"] = selected
    root = metadata.get((), {})
    if root.get("selected") is False:
        root["inclusion"] = None  # What is automatic are columns; the SDK would select the stream.
    methods = (root.get("replication-method"), root.get("forced-replication-method"))
    return {
        **entry,
        "replication_method": next(filter(None, methods), entry.get("replication_method") or None),
        "metadata": [
            {"breadcrumb": list(breadcrumb), "metadata": one}
            for breadcrumb, one in metadata.items()
        ],
    }


def _at(breadcrumb: Sequence[str]) -> tuple[str, ...]:
    """Return a breadcrumb as the tap has it: what is in a list is right below the list."""
    path: list[str] = []
    for step in breadcrumb:
        if step != "items" or len(path) % 2:  # Otherwise, `items` is the name of a column.
            path.append(step)
    return tuple(path)


def _places(
    schema: dict[str, Any], breadcrumb: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield a schema and those of what is in it, each with its breadcrumb."""
    yield breadcrumb, schema
    for name, inner in (schema.get("properties") or {}).items():
        yield from _places(inner, (*breadcrumb, "properties", name))
    if schema.get("items"):
        yield from _places(schema["items"], breadcrumb)


def unknown_streams(catalog: Catalog, known: Collection[str]) -> list[str]:
    """Return the streams that a catalog selects and that do not exist."""
    return [
        name
        for name, entry in catalog.items()
        if name not in known and entry.metadata.resolve_selection().get((), True)
    ]


def refusals(
    entry: CatalogEntry,
    columns: Mapping[str, Any],
    key_columns: Sequence[str],
    replication_key: str | None,
) -> Iterator[str]:
    """Say what of a catalog's entry cannot be done, or would mix up rows.

    The columns, their JSON Schemas, and the keys are the stream's own.
    """
    name, root = entry.tap_stream_id, entry.metadata.root
    given, mask = entry.schema.to_dict().get("properties", {}), entry.metadata.resolve_selection()
    selected = {column for column in given if mask["properties", column]}
    if lacking := [
        key
        for key in key_columns
        if key not in selected or {*kinds(given[key])} != {*kinds(columns[key])}
    ]:
        columns_lacking = " and the column ".join(lacking)
        yield f"The catalog must select the column {columns_lacking} of {name}, as discovered."
    keys = [one for one in (entry.key_properties, root.table_key_properties) if one]
    if not all({*key_columns} <= {*one} for one in keys):
        yield (
            f"The catalog's key_properties of {name} must have {', '.join(key_columns)},"
            " or be left out."
        )
    elif not {*chain(*keys)} <= selected | {*key_columns}:
        yield f"The catalog must select all columns of its key_properties of {name}."
    if {entry.replication_key, root.replication_key} - {None, "", replication_key}:
        yield (
            f"The catalog's replication_key of {name} must be {replication_key or 'null'},"
            " or be left out."
        )
    if entry.replication_method not in {None, *METHODS}:
        yield f"The catalog's replication_method of {name} must be {' or '.join(METHODS)}."
    if (entry.stream or name) != name:
        yield (
            f"The catalog calls the stream {name} by another name in `stream`: leave it out, and"
            " rename with `__alias__` in the setting 'stream_maps'."
        )
