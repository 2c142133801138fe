"""How providers' names are written, and how each of them is read."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from tap_truto_ats.settings.schema import Settings
from tap_truto_ats.sync.account import Account
from tap_truto_ats.sync.query import Query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_truto_ats.model.declaration import Offer, Resource

PROVIDERS = {
    re.sub("[^a-z0-9]", "", name.lower()): name
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

CHANGES = "asked for changes"
HELD_BACK = "read whole and only changes emitted"
WHOLE = "read and emitted whole"

WAYS = (CHANGES, HELD_BACK, WHOLE)
"""How a run reads a stream of an account that was read before, and is not due to be read whole."""

SETTINGS = Settings.from_config({"api_token": ""})


def names(providers: Iterable[str]) -> str:
    """Write providers' names."""
    return ", ".join(PROVIDERS[one] for one in sorted(providers))


def way(resource: Resource, offer: Offer) -> str:
    """Tell how a run reads a resource of a provider's accounts."""
    if Query(resource, SETTINGS, ()).change_parameters(offer):
        return CHANGES
    is_dated = offer.fills is None or resource.replication_key in offer.fills
    return HELD_BACK if resource.replication_key and is_dated and not offer.requires else WHOLE


def ways(resource: Resource) -> dict[str, list[str]]:
    """Return the providers of a resource by the way in which it is read, if there are any."""
    found: dict[str, list[str]] = defaultdict(list)
    for provider, offer in resource.offers.items():
        found[way(resource, offer)].append(provider)
    return {one: found[one] for one in WAYS if one in found}


def is_trusted(resource: Resource, provider: str) -> bool:
    """Tell whether what comes when a provider is asked for changes has changed."""
    return Query(resource, SETTINGS, ()).is_asking_trusted(Account("", provider=provider))


def by_parents(resource: Resource) -> dict[tuple[str, str], list[str]]:
    """Return the providers that give rows for one parent at a time.

    The keys are the kinds of parents (`candidate of each job`) and the parameters.
    """
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for provider, offer in resource.offers.items():
        if offer.requires:
            kinds = [one.resource.removesuffix("s") for one in reversed(offer.requires)]
            parameters = ", ".join(f"`{one.parameter}`" for one in offer.requires)
            found[" of each ".join(kinds), parameters].append(provider)
    return found
