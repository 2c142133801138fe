"""How a resource is declared: its filters, and what each provider gives of it.

A declaration follows a Truto reference page, which names the providers at each filter, field and
required parameter. It becomes offers by provider, which the rest of the package reads.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T")

ALL = "all"
"""Stands in place of providers' names for all that list the resource."""

OPERATORS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
"""Comparisons of date-time parameters (Truto's page on querying)."""


@dataclass(frozen=True)
class Filter:
    """A query parameter, and the field of a row (`a.b` for nested) by which it can be checked.

    Without a field, rows are not checked: the page does not say which field the provider goes by,
    or the provider rightly gives rows that the field would rule out.
    """

    field: str | None = None
    is_date_time: bool = False
    is_documented: bool = True
    """Whether the page of the resource names it, and not only Truto's page on querying."""


UNCHECKED = Filter()


@dataclass(frozen=True)
class Requirement:
    """A parameter that a provider requires with each request, and the rows whose ids it takes."""

    parameter: str
    """As it is sent: `job_id`, `jobs[id]`."""
    resource: str
    """The parents' resource."""


@dataclass(frozen=True)
class Offer:
    """What one provider gives of a resource."""

    fills: frozenset[str] | None
    """The fields that rows carry; None where the page does not name them by provider."""
    takes: frozenset[str] = frozenset()
    """The filters at which the page names the provider."""
    requires: tuple[Requirement, ...] = ()
    """The required parameters, outermost first.

    Each one's resource is listed with the parameters before it, so that several parameters are only
    asked for in pairs that exist: each candidate with the job by which it was listed.
    """
    schedule: str | None = None
    """The filter that `schedule_window_days` is sent by, where rows lack the replication key."""
    lists_partially: bool = False
    """Whether its list gives fewer fields than a request for a single row."""
    is_inferred: bool = False
    """Whether that it lists the resource is only inferred, so that a 404 says that it does not."""


@dataclass(frozen=True)
class Resource:
    """A list endpoint under `/unified/ats/`."""

    name: str
    description: str
    filters: Mapping[str, Filter] = field(default_factory=dict)
    """By parameter."""
    offers: Mapping[str, Offer] = field(default_factory=dict)
    """By provider. A provider that is not named here may still list the resource: reference pages
    show only some."""
    replication_key: str | None = "updated_at"
    """The field that tells when a row last changed."""
    is_default: bool = False
    """Whether the catalog selects it unless told otherwise."""
    consent: str | None = None
    """The setting without which it is not read, whatever the catalog selects."""

    @property
    def path(self) -> str:
        """The endpoint."""
        return f"/unified/ats/{self.name}"

    def offer(self, provider: str | None) -> Offer | None:
        """Return what the provider gives of it; None if the provider is not in the table."""
        return self.offers.get(provider_key(provider))


@cache
def provider_key(name: str | None) -> str:
    """Return a provider's name as the tables have it, with letters and digits in lower case only.

    Truto's spelling of names of two words (`zohorecruit`, `zoho_recruit`, `zoho-recruit`) is not
    known for all providers.
    """
    return re.sub("[^a-z0-9]", "", (name or "").lower())


def declare(  # noqa: PLR0913 - a reference page has that many lists
    name: str,
    description: str,
    *,
    providers: str,
    filters: Mapping[str, tuple[Filter, str]],
    fills: Mapping[str, str] | None = None,
    requires: Mapping[tuple[Requirement, ...], str] | None = None,
    schedule: Mapping[str, str] | None = None,
    partial: str = "",
    inferred: str = "",
    replication_key: str | None = "updated_at",
    is_default: bool = False,
    consent: str | None = None,
) -> Resource:
    """Turn a reference page, which names the providers at each thing, into offers by provider.

    Providers are names with blanks between, or `ALL`; whoever is named anywhere lists the resource.
    What the arguments mean stands at the fields of `Resource` and `Offer` that they become.
    `filters` gives by parameter how rows are checked and the providers that take it. `fills`,
    `requires` and `schedule` give the providers by field, by required parameters and by filter.
    """
    takes = {parameter: takers for parameter, (_, takers) in filters.items()}
    fills, requires, schedule = fills or {}, requires or {}, schedule or {}
    lists = (takes, fills, requires, schedule)
    named = " ".join(
        (providers, partial, inferred, *(names for one in lists for names in one.values()))
    )
    return Resource(
        name=name,
        description=description,
        filters={parameter: known for parameter, (known, _) in filters.items()},
        offers={
            provider: Offer(
                fills=frozenset(_named_at(provider, fills)) if fills else None,
                takes=frozenset(_named_at(provider, takes)),
                requires=next(_named_at(provider, requires), ()),
                schedule=next(_named_at(provider, schedule), None),
                lists_partially=provider in partial.split(),
                is_inferred=provider in inferred.split(),
            )
            for provider in sorted({*named.split()} - {ALL})
        },
        replication_key=replication_key,
        is_default=is_default,
        consent=consent,
    )


def _named_at(provider: str, lists: Mapping[T, str]) -> Iterator[T]:
    """Yield the things at which the page names the provider."""
    return (thing for thing, names in lists.items() if provider in names.split() or names == ALL)
