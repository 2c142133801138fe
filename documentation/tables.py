"""The tables that follow from the declarations of streams and providers."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from documentation.blocks import table
from documentation.providers import PROVIDERS, WAYS, by_parents, names, ways
from documentation.schemas import DEFAULT, STREAMS, schema
from tap_truto_ats.model.resources import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap_truto_ats.model.declaration import Offer, Resource

PARTIAL = "†"
INFERRED = "‡"
UNCHECKED = "\\*"


def tables() -> dict[str, str]:
    """Make all tables, by the names of their markers."""
    return {
        "streams": table(
            ("stream", "key", "replication key", "selected by default", "rows"),
            map(stream, STREAMS),
        ),
        "providers": table(
            ("stream", "providers"),
            [(f"`{one.name}`", listing(one)) for one in RESOURCES.values()],
        ),
        "reading": table(("stream", *WAYS), map(reading, RESOURCES.values())),
        "parents": table(
            ("stream", "providers", "asked once for each", "by"),
            [row for one in RESOURCES.values() for row in parents(one)],
        ),
        "filters": table(
            ("stream", "filters", "take", "sent to"),
            [row for one in RESOURCES.values() for row in filters(one)],
        ),
        "interviews": interviews(RESOURCES["interviews"]),
    }


def stream(name: str) -> Sequence[str]:
    """Tell of a stream its keys, whether it is selected by default, and what it holds."""
    key = RESOURCES[name].replication_key if name in RESOURCES else None
    return (
        f"`{name}`",
        ", ".join(f"`{one}`" for one in schema(name)["required"]),
        f"`{key}`" if key else "",
        "yes" if name in DEFAULT else "",
        STREAMS[name],
    )


def listing(resource: Resource) -> str:
    """Tell who lists a resource, whose list is partial, and of whom it is only inferred."""
    return ", ".join(
        PROVIDERS[name]
        + (PARTIAL if offer.lists_partially else "")
        + (INFERRED if offer.is_inferred else "")
        for name, offer in sorted(resource.offers.items())
    )


def reading(resource: Resource) -> Sequence[str]:
    """Tell how a resource is read, with the providers of each way."""
    return f"`{resource.name}`", *(names(ways(resource).get(one, ())) for one in WAYS)


def parents(resource: Resource) -> Iterable[Sequence[str]]:
    """Tell whose rows are had for one parent at a time only."""
    for (kind, parameters), providers in by_parents(resource).items():
        yield f"`{resource.name}`", names(providers), kind, parameters


def filters(resource: Resource) -> Iterable[Sequence[str]]:
    """Tell who is sent which filter."""
    groups = defaultdict(list)
    for name, known in resource.filters.items():
        taking = (one for one, offer in resource.offers.items() if name in offer.takes)
        mark = "" if known.field else UNCHECKED
        groups[known.is_date_time, tuple(taking)].append(f"`{name}`{mark}")
    for (is_date_time, takers), shown in sorted(groups.items()):
        to = "all" if len(takers) == len(resource.offers) > 1 else names(takers)
        take = "date-time" if is_date_time else "string"
        yield f"`{resource.name}`", ", ".join(shown), take, to


def interviews(resource: Resource) -> str:
    """Tell which provider fills which field, and takes which filter."""
    offers = {name: resource.offers[name] for name in sorted(resource.offers)}

    def row(head: str, cells: Iterable[str]) -> Sequence[str]:
        return head, *cells

    def filled(offer: Offer, name: str) -> bool:
        return offer.fills is not None and name in offer.fills

    fields = sorted({name for one in offers.values() for name in one.fills or ()} - {"id"})
    return table(
        row("", (PROVIDERS[name] for name in offers)),
        [
            *(
                row(f"`{name}`", ("✓" if filled(one, name) else "" for one in offers.values()))
                for name in ("id", *fields)
            ),
            *(
                row(f"filter `{name}`", (taken(one, name) for one in offers.values()))
                for name in sorted(resource.filters)
            ),
        ],
    )


def taken(offer: Offer, name: str) -> str:
    """Tell whether a provider takes a filter, or even wants it with each request."""
    if any(one.parameter == name for one in offer.requires):
        return "required"
    return "✓" if name in offer.takes else ""
