"""The resources of Truto's unified ATS API that the tap reads, as data.

What differs between providers stands in these tables and nowhere else. A resource's columns are in
`schemas/<name>.json`.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE_PATH = "/unified/ats"

OPERATORS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
"""Comparisons of date-time parameters (Truto's page on querying)."""


@dataclass(frozen=True)
class Filter:
    """A query parameter, and the field of a row (`a.b` for nested) by which it can be checked."""

    field: str | None = None
    is_date_time: bool = False


@dataclass(frozen=True)
class Requirement:
    """A parameter that a provider wants with each request, taken from a field of a resource."""

    parameter: str
    resource: str
    field: str = "id"
    changed: tuple[str, ...] = ("updated_at", "last_interaction_at")
    """Fields of that resource that tell when a parent last changed."""


@dataclass(frozen=True)
class Offer:
    """What one provider gives of a resource: fields filled, parameters taken and required."""

    fills: frozenset[str]
    takes: frozenset[str] = frozenset()
    requires: Requirement | None = None
    schedule: str | None = None
    """Where rows lack the replication key: the filter that `schedule_window_days` is sent by."""


@dataclass(frozen=True)
class Resource:
    """A list endpoint under `/unified/ats/`."""

    name: str
    filters: Mapping[str, Filter] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)
    replication_key: str = "updated_at"

    @property
    def path(self) -> str:
        """The endpoint."""
        return f"{BASE_PATH}/{self.name}"

    def offer(self, provider: str | None) -> Offer | None:
        """What the provider gives of it; None if the provider is not in the table."""
        return self.offers.get(provider or "")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


INTERVIEWS = Resource(
    name="interviews",
    filters={
        "application_id": Filter("application.id"),
        # Unchecked: by the page's words, Fountain may want an application's id here.
        "candidate_id": Filter(),
        "created_at": Filter("created_at", is_date_time=True),
        "end_at": Filter("end_at", is_date_time=True),
        "job_interview_stage_id": Filter("job_interview_stage.id"),
        "start_at": Filter("start_at", is_date_time=True),
        "updated": Filter("updated_at", is_date_time=True),
    },
    offers={
        "ashby": Offer(
            fills=_words(
                "id application created_at end_at interviewers job_interview_stage location"
                " start_at status"
            ),
            takes=_words("application_id created_at job_interview_stage_id start_at end_at"),
            schedule="start_at",
        ),
        "ceipal": Offer(
            fills=_words(
                "id application candidate created_at interviewers job_interview_stage location"
                " organizer updated_at"
            ),
            takes=_words("created_at"),
        ),
        "fountain": Offer(
            fills=_words("id candidate end_at interviewers job_interview_stage location status"),
            takes=_words("candidate_id end_at"),
            requires=Requirement(parameter="candidate_id", resource="candidates"),
            schedule="end_at",
        ),
        "greenhouse": Offer(
            fills=_words(
                "id application created_at end_at interviewers location organizer start_at status"
                " updated_at"
            ),
            takes=_words("application_id created_at updated start_at end_at"),
        ),
        "pinpoint": Offer(
            fills=_words(
                "id application created_at end_at job_interview_stage start_at status updated_at"
            ),
            takes=_words("created_at start_at end_at"),
        ),
    },
)
"""Source: the reference page of `GET /unified/ats/interviews`."""

RESOURCES = {resource.name: resource for resource in (INTERVIEWS,)}
