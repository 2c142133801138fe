"""README's tables of streams and providers, made from the declarations.

`python -m tests.readme` (`make docs`) writes them between their markers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from tap_truto_ats.model.resources import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap_truto_ats.model.declaration import Offer, Resource

PATH = Path(__file__).parent.parent / "README.md"

PROVIDERS = {
    re.sub("[^a-z]", "", name.lower()): name
    for name in (
        "ApplicantStack",
        "Ashby",
        "BambooHR",
        "Breezy",
        "CATS",
        "Ceipal",
        "Fountain",
        "Greenhouse",
        "Homerun",
        "HR Cloud",
        "JazzHR",
        "JobScore",
        "Jobsoid",
        "Jobvite",
        "Keka",
        "Lever",
        "Loxo",
        "Pinpoint",
        "Recruitee",
        "Recruiterflow",
        "Sage HR",
        "SmartRecruiters",
        "TalentLyft",
        "Teamtailor",
        "Workable",
        "Zoho Recruit",
    )
}
"""How Truto's pages write the providers' names."""

PARTIAL = "†"
INFERRED = "‡"
UNCHECKED = "\\*"


def tables() -> dict[str, str]:
    """Make all tables, by the names of their markers."""
    return {
        "streams": table(
            ("stream", "key", "replication key", "selected by default", "rows"),
            [
                ("`integrated_accounts`", "`id`", "", "yes", "Accounts of the run"),
                (
                    "`account_syncs`",
                    "`integrated_account_id`, `stream`, `run_started_at`",
                    "",
                    "yes",
                    "What each run did with each account",
                ),
                *(
                    (
                        f"`{one.name}`",
                        "`integrated_account_id`, `id`",
                        f"`{one.replication_key}`" if one.replication_key else "",
                        "yes" if one.is_default else "",
                        one.description,
                    )
                    for one in RESOURCES.values()
                ),
            ],
        ),
        "providers": table(
            ("stream", "providers", "read"),
            [(f"`{one.name}`", listing(one), reading(one)) for one in RESOURCES.values()],
        ),
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


def render(text: str) -> str:
    """Put the tables between their markers (`<!-- streams -->`, `<!-- /streams -->`)."""
    for name, lines in tables().items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}\n\n{lines}\n\n{end}{after}"
    return text


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = ["|".join(f" {cell} " if cell else " " for cell in line) for line in (heads, *rows)]
    lines.insert(1, "|".join(["---"] * len(heads)))
    return "\n".join(f"|{line}|" for line in lines)


def names(providers: Iterable[str]) -> str:
    """Write providers' names."""
    return ", ".join(PROVIDERS[one] for one in sorted(providers))


def listing(resource: Resource) -> str:
    """Tell who lists a resource, whose list is partial, and of whom it is only inferred."""
    return ", ".join(
        PROVIDERS[name]
        + (PARTIAL if offer.lists_partially else "")
        + (INFERRED if offer.is_inferred else "")
        for name, offer in sorted(resource.offers.items())
    )


def reading(resource: Resource) -> str:
    """Tell what a run reads: what changed, or all."""
    key = resource.replication_key
    if key is None:
        return "whole"
    ways: dict[str, list[str]] = defaultdict(list)
    for name, offer in resource.offers.items():
        if offer.fills is not None:
            ways["changed" if key in offer.fills else "whole"].append(name)
    stated = "; ".join(f"{way}: {names(ways[way])}" for way in sorted(ways))
    return stated or "changed"


def parents(resource: Resource) -> Iterable[Sequence[str]]:
    """Tell whose rows are had for one parent at a time only."""
    wanting = defaultdict(list)
    for name, offer in resource.offers.items():
        if offer.requires:
            wanting[offer.requires].append(name)
    for requires, providers in wanting.items():
        kinds = [one.resource.removesuffix("s") for one in reversed(requires)]
        by = ", ".join(f"`{one.parameter}`" for one in requires)
        yield f"`{resource.name}`", names(providers), " of each ".join(kinds), by


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


if __name__ == "__main__":
    PATH.write_text(render(PATH.read_text(encoding="utf-8")), encoding="utf-8")
