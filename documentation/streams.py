"""A page for each stream: its columns, who fills them, and how each provider is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from documentation.blocks import table
from documentation.entities import target
from documentation.providers import (
    CHANGES,
    HELD_BACK,
    PROVIDERS,
    WHOLE,
    by_parents,
    is_trusted,
    names,
    ways,
)
from documentation.schemas import DEFAULT, STREAMS, SYNCS, schema, type_of
from tap_truto_ats.model.resources import ACCOUNTS, RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_truto_ats.model.declaration import Resource

OWN = {
    ACCOUNTS: "Each run reads and emits all accounts that it is about.",
    SYNCS: "The tap writes [these rows](../reading.md#a-record-of-each-sync) itself in each run.",
}
"""How the streams are read that are no resources of Truto's model."""

TYPES = {
    "array": "jsonb",
    "boolean": "boolean",
    "date-time": "timestamp",
    "integer": "bigint",
    "number": "numeric",
    "object": "jsonb",
    "string": "text",
}
"""The types of columns in Postgres, by those of the schemas."""

ITEMS = {"object": "jsonb[]", "string": "text[]"}
"""The types of arrays, by those of their items."""

MEANINGS = {
    CHANGES: "The tap asks the provider for the rows that changed since the bookmark"
    " (`updated_at[gte]`).",
    HELD_BACK: "The tap reads the whole list, but emits (passes on to the target) only the rows"
    " that changed since the bookmark, and rows without `updated_at`.",
    WHOLE: "The tap reads the whole list and emits (passes on to the target) every row.",
}


def pages() -> dict[str, str]:
    """Return the pages by their paths in the site."""
    return {f"streams/{name}.md": page(name) for name in sorted(STREAMS)}


def page(name: str) -> str:
    """Write the page of a stream."""
    return "\n\n".join(paragraphs(name)) + "\n"


def paragraphs(name: str) -> Iterator[str]:
    """Tell what a stream holds, how it is read, and its columns."""
    resource, selected = RESOURCES.get(name), "is" if name in DEFAULT else "is not"
    yield f"# {name}"
    yield f"{STREAMS[name]}. The stream {selected} selected by default."
    if resource and resource.consent:
        yield (
            f"It is read only if it is selected and the [setting](../settings.md)"
            f" `{resource.consent}` is true."
        )
    yield "## How it is read"
    yield from reading(resource) if resource else (OWN[name],)
    yield "## Columns"
    yield from columns(name, resource)


def reading(resource: Resource) -> Iterator[str]:
    """Tell how a resource is read."""
    yield table(
        ("how", "providers", "what a run does"),
        [(way, names(found), MEANINGS[way]) for way, found in ways(resource).items()],
    )
    yield (
        "A provider that is not in the table may list the stream, too. The tap asks its accounts,"
        " except those whose [capabilities](../reading.md#who-is-asked-for-what) name other streams"
        " only, and reads their lists whole."
        " Once a week by default, the tap [reads an account whole](../reading.md#whole-reads)"
        " instead, and emits all its rows."
    )
    yield from notes(resource)


def notes(resource: Resource) -> Iterator[str]:
    """Tell what is particular to some providers."""
    offers = resource.offers.items()
    asked = ways(resource).get(CHANGES, [])
    if doubtful := [provider for provider in asked if not is_trusted(resource, provider)]:
        whose = names(doubtful) if doubtful != asked else "All that are asked for changes"
        yield (
            f"{whose}: Truto's page on this stream, as far as it was available, does not name the"
            " filter for them. They may therefore ignore it and send everything. The tap then does"
            " not emit rows from before the bookmark again."
        )
    for (kind, parameters), providers in by_parents(resource).items():
        yield (
            f"{names(providers)}: rows come for one {kind} at a time only. The tap makes"
            f" [a request for each](../reading.md#rows-that-are-asked-for-by-their-parents)"
            f" ({parameters}), and emits all rows that come."
        )
    for provider, offer in offers:
        if offer.schedule:
            yield (
                f"{PROVIDERS[provider]}: with `schedule_window_days`, only"
                " [a part of the schedule](../reading.md#reading-less-where-there-is-no-updated_at)"
                f" is asked for, by `{offer.schedule}`."
            )
    if partial := [provider for provider, offer in offers if offer.lists_partially]:
        yield (
            f"{names(partial)}: the list gives fewer fields than a request for a single row;"
            " the setting [`hydrate`](../reading.md#partial-lists) fetches each row by its id."
        )
    if inferred := [provider for provider, offer in offers if offer.is_inferred]:
        yield (
            f"{names(inferred)}: it is [likely, but not certain](../providers.md#who-lists-what),"
            " that they list the stream."
        )


def columns(stream: str, resource: Resource | None) -> Iterator[str]:
    """Tell the columns, their types, and who fills them."""
    offers = resource.offers if resource else {}
    is_told = any(offer.fills for offer in offers.values())
    heads = ("column", "type in Postgres", "meaning", *(["filled by"] if is_told else []))
    described, rows = schema(stream), []
    for name, column in described["properties"].items():
        key = " (key)" if name in described["required"] else ""
        fillers = [one for one, offer in offers.items() if name in (offer.fills or ())]
        cells = [f"`{name}`{key}", kind(column), meaning(stream, name, column)]
        rows.append([*cells, *([names(fillers)] if is_told else [])])
    yield table(heads, rows)
    if resource and not is_told:
        yield (
            "Which provider fills which column is not documented: Truto's page names no providers"
            " at its fields."
        )


def kind(column: Mapping[str, Any]) -> str:
    """Return a column's type in Postgres."""
    items = column.get("items")
    return f"`{TYPES[type_of(column)] if not items else ITEMS[type_of(items)]}`"


def meaning(stream: str, name: str, column: Mapping[str, Any]) -> str:
    """Return a column's meaning, with what it refers to and the parts of its objects."""
    parts = column.get("properties") or column.get("items", {}).get("properties") or {}
    text = column["description"].replace("|", "\\|")
    if other := target(stream, name, column):
        text += f"; refers to [{other}]({other}.md)"
    if name == "remote_data":
        text += "; only with the [setting](../settings.md) `include_remote_data`"
    inner = ", ".join(f"`{part}`" for part in parts)
    return f"{text}; has {inner}" if inner else text
