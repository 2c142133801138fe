"""The resources of Truto's unified ATS API that the tap reads, as data.

What differs between providers stands in these tables and nowhere else. A resource's columns are in
`schemas/<name>.json`. Sources are Truto's reference pages, one for each resource.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T")

BASE_PATH = "/unified/ats"

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


@dataclass(frozen=True)
class Requirement:
    """A parameter that a provider wants with each request, taken from a field of a resource."""

    parameter: str
    """As on the wire: `job_id`, `jobs[id]`."""
    resource: str
    field: str = "id"
    changed: tuple[str, ...] = ("updated_at", "last_interaction_at")
    """Fields of that resource that tell when a parent last changed."""


@dataclass(frozen=True)
class Offer:
    """What one provider gives of a resource."""

    fills: frozenset[str] | None
    """The fields that rows carry; None where the page does not name them by provider."""
    takes: frozenset[str] = frozenset()
    """The filters that the page names the provider at."""
    requires: tuple[Requirement, ...] = ()
    """Outermost first. Each one's resource is listed with the parameters before it, so that several
    parameters are the pairs that exist: the candidates of a job, each with the job it came by."""
    schedule: str | None = None
    """Where rows lack the replication key: the filter that `schedule_window_days` is sent by."""
    lists_partially: bool = False
    """Whether its list gives fewer fields than a single GET."""


@dataclass(frozen=True)
class Resource:
    """A list endpoint under `/unified/ats/`."""

    name: str
    description: str = ""
    filters: Mapping[str, Filter] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)
    """By provider. Those that are not in it may list the resource nonetheless: pages are cut."""
    replication_key: str | None = "updated_at"
    is_default: bool = False
    """Whether the catalog selects it unless told otherwise."""

    @property
    def path(self) -> str:
        """The endpoint."""
        return f"{BASE_PATH}/{self.name}"

    def offer(self, provider: str | None) -> Offer | None:
        """What the provider gives of it; None if the provider is not in the table.

        Only letters and digits count, in lower case: how Truto spells the names of two words
        (`zohorecruit`, `zoho_recruit`, `zoho-recruit`) is not known of all.
        """
        return self.offers.get(re.sub("[^a-z0-9]", "", (provider or "").lower()))


ALL = "all"
"""In place of providers: all that list the resource."""


def _resource(  # noqa: PLR0913 - a reference page has that many lists
    name: str,
    description: str,
    *,
    providers: str,
    filters: Mapping[str, tuple[Filter, str]],
    fills: Mapping[str, str] | None = None,
    requires: Mapping[tuple[Requirement, ...], str] | None = None,
    schedule: Mapping[str, str] | None = None,
    partial: str = "",
    replication_key: str | None = "updated_at",
    is_default: bool = False,
) -> Resource:
    """Turn a reference page, which names the providers at each thing, into offers by provider.

    Args:
        name: The resource's name.
        description: What its rows are.
        providers: Who lists it; who is named further down does, too.
        filters: By parameter: how rows are checked, and who takes it.
        fills: By field: whose rows carry it.
        requires: By what is wanted with each request: who wants it.
        schedule: By filter on the schedule: who has it in place of the replication key.
        partial: Whose list gives fewer fields than a single GET.
        replication_key: The field that tells when a row last changed.
        is_default: Whether it is selected by default.
    """
    takes = {parameter: takers for parameter, (_, takers) in filters.items()}
    fills, requires, schedule = fills or {}, requires or {}, schedule or {}
    lists = (takes, fills, requires, schedule)
    named = " ".join((providers, partial, *(names for one in lists for names in one.values())))
    return Resource(
        name=name,
        description=description,
        filters={parameter: known for parameter, (known, _) in filters.items()},
        offers={
            provider: Offer(
                fills=frozenset(_of(provider, fills)) if fills else None,
                takes=frozenset(_of(provider, takes)),
                requires=next(_of(provider, requires), ()),
                schedule=next(_of(provider, schedule), None),
                lists_partially=provider in partial.split(),
            )
            for provider in sorted({*named.split()} - {ALL})
        },
        replication_key=replication_key,
        is_default=is_default,
    )


def _of(provider: str, lists: Mapping[T, str]) -> Iterator[T]:
    """Tell the things at which the provider is named."""
    return (thing for thing, names in lists.items() if provider in names.split() or names == ALL)


def _at(name: str) -> Filter:
    return Filter(name, is_date_time=True)


UNCHECKED = Filter()
CREATED, UPDATED = _at("created_at"), _at("updated_at")
ANY = {"created_at": (CREATED, ALL), "updated_at": (UPDATED, ALL)}
"""What every resource takes by Truto's page on querying; used where the page of the resource's own
list, and so what else it takes, is not known."""

JOB = Requirement("job_id", "jobs", changed=("updated_at",))
CANDIDATE = Requirement("candidate_id", "candidates")

RESOURCES = {
    resource.name: resource
    for resource in (
        _resource(
            "interviews",
            "Scheduled interviews of candidates",
            is_default=True,
            providers="ashby ceipal fountain greenhouse pinpoint",
            fills={
                "id": ALL,
                "application": "ashby ceipal greenhouse pinpoint",
                "candidate": "ceipal fountain",
                "created_at": "ashby ceipal greenhouse pinpoint",
                "end_at": "ashby fountain greenhouse pinpoint",
                "interviewers": "ashby ceipal fountain greenhouse",
                "job_interview_stage": "ashby ceipal fountain pinpoint",
                "location": "ashby ceipal fountain greenhouse",
                "organizer": "ceipal greenhouse",
                "start_at": "ashby greenhouse pinpoint",
                "status": "ashby fountain greenhouse pinpoint",
                "updated_at": "ceipal greenhouse pinpoint",
            },
            filters={
                "application_id": (Filter("application.id"), "ashby greenhouse"),
                # Unchecked: by the page's words, Fountain may want an application's id here.
                "candidate_id": (UNCHECKED, "fountain"),
                "created_at": (CREATED, "ashby ceipal greenhouse pinpoint"),
                "end_at": (_at("end_at"), "ashby fountain greenhouse pinpoint"),
                "job_interview_stage_id": (Filter("job_interview_stage.id"), "ashby"),
                "start_at": (_at("start_at"), "ashby greenhouse pinpoint"),
                "updated": (UPDATED, "greenhouse"),
            },
            requires={(CANDIDATE,): "fountain"},
            schedule={"start_at": "ashby", "end_at": "fountain"},
        ),
        _resource(
            "applications",
            "Applications of candidates for jobs",
            is_default=True,
            providers="ashby greenhouse jobscore loxo pinpoint teamtailor zohorecruit",
            filters={
                "created_at": (CREATED, ALL),
                "updated_at": (UPDATED, ALL),
                "candidate_id": (Filter("candidate.id"), "jobscore"),
                # Unchecked: an application at Greenhouse can be for several jobs, a row names one.
                "job_id": (UNCHECKED, "greenhouse"),
                "jobs[id]": (UNCHECKED, "loxo"),
            },
            requires={
                (CANDIDATE,): "jobscore",
                (Requirement("jobs[id]", "jobs", changed=JOB.changed),): "loxo",
            },
        ),
        # The page has the filters `name`, `tags`, `title` and `company` as well, but whose they are
        # is not known. Of `emails[email]`, it is as many providers as list candidates.
        _resource(
            "candidates",
            "People who applied or were sourced",
            is_default=True,
            providers=(
                "applicantstack ashby bamboohr breezy cats ceipal fountain greenhouse homerun"
                " hrcloud jazzhr jobscore jobvite keka lever loxo recruitee recruiterflow sagehr"
                " smartrecruiters talentlyft teamtailor workable zohorecruit"
            ),
            partial=(
                "applicantstack bamboohr breezy cats homerun jazzhr loxo recruitee sagehr"
                " smartrecruiters talentlyft workable"
            ),
            filters={
                "created_at": (
                    CREATED,
                    "greenhouse hrcloud jobscore lever teamtailor workable zohorecruit",
                ),
                "updated_at": (
                    UPDATED,
                    (
                        "greenhouse hrcloud jobvite lever smartrecruiters teamtailor workable"
                        " zohorecruit"
                    ),
                ),
                "emails[email]": (UNCHECKED, ALL),
                "job_id": (
                    UNCHECKED,
                    "bamboohr breezy greenhouse homerun lever sagehr smartrecruiters workable",
                ),
                "job[id]": (UNCHECKED, "fountain workable"),
                "organization_id": (UNCHECKED, "breezy"),
            },
            requires={(JOB,): "breezy sagehr"},
        ),
        # Most of the providers are those that give a single job.
        _resource(
            "jobs",
            "Jobs, or requisitions",
            is_default=True,
            providers=(
                "applicantstack ashby bamboohr breezy cats ceipal fountain greenhouse homerun"
                " jazzhr jobscore jobsoid jobvite lever loxo pinpoint recruitee recruiterflow"
                " sagehr smartrecruiters talentlyft teamtailor workable zohorecruit"
            ),
            partial="applicantstack ashby bamboohr cats",
            filters=ANY,
        ),
        _resource(
            "job_interview_stages",
            "Stages of the jobs' pipelines",
            is_default=True,
            providers="ashby bamboohr cats jobscore",
            filters=ANY,
        ),
        _resource(
            "users",
            "Users of the applicant tracking system: recruiters, interviewers",
            is_default=True,
            providers=(
                "ashby fountain greenhouse lever loxo pinpoint recruiterflow talentlyft workable"
            ),
            filters={
                "access_role": (UNCHECKED, "workable"),
                "emails": (UNCHECKED, "workable"),
                "name": (UNCHECKED, "workable"),
            },
        ),
        _resource(
            "activities",
            "Notes on candidates, and e-mails",
            providers="ashby breezy fountain greenhouse workable",
            filters={
                "activity_type": (Filter("activity_type"), ALL),
                # Unchecked: Fountain is asked by a candidate's id, whoever a row's actor is.
                "actor[id]": (UNCHECKED, ALL),
                "candidate[id]": (Filter("candidate.id"), ALL),
                "candidate_id": (Filter("candidate.id"), "ashby breezy greenhouse"),
                "created_at": (CREATED, "ashby fountain greenhouse workable"),
                "job_id": (UNCHECKED, "breezy"),
                "organization_id": (UNCHECKED, "breezy"),
            },
            requires={
                (CANDIDATE,): "ashby greenhouse",
                (JOB, CANDIDATE): "breezy",
                (Requirement("actor[id]", "candidates"),): "fountain",
            },
        ),
        # Fountain wants an application's id as `candidate_id`, by the page, but lists no
        # applications: its candidates' ids are what there is.
        _resource(
            "attachments",
            "Files of candidates and applications",
            providers="ashby breezy fountain greenhouse jobscore lever loxo zohorecruit",
            filters={
                "application_id": (Filter("application.id"), "greenhouse zohorecruit"),
                "candidate_id": (UNCHECKED, ALL),
                "expires_in": (UNCHECKED, "fountain"),
                "job_id": (Filter("job.id"), "breezy"),
                "organization_id": (UNCHECKED, "breezy"),
            },
            requires={
                (CANDIDATE,): "ashby fountain jobscore lever loxo",
                (JOB, CANDIDATE): "breezy",
            },
        ),
        _resource(
            "departments",
            "Departments",
            providers="ashby greenhouse jobscore recruitee",
            filters={"created_at": (CREATED, "jobscore"), "updated_at": (UPDATED, "jobscore")},
        ),
        _resource(
            "eeocs",
            "Candidates' answers on equal employment: race, gender, veteran, disability",
            providers="greenhouse",
            filters=ANY,
        ),
        _resource(
            "job_form_fields",
            "Fields of the jobs' application forms",
            replication_key=None,
            providers="ashby breezy greenhouse lever",
            filters={
                "job_id": (Filter("job.id"), ALL),
                "organization_id": (UNCHECKED, "breezy"),
            },
            requires={(JOB,): ALL},
        ),
        _resource(
            "offers",
            "Job offers",
            providers="ashby greenhouse",
            filters={
                "application_id": (Filter("application.id"), ALL),
                "closed_at": (_at("closed_at"), ALL),
                "created_at": (CREATED, ALL),
                "sent_at": (_at("sent_at"), ALL),
                "start_date": (_at("start_date"), ALL),
                "updated_at": (UPDATED, "greenhouse"),
            },
        ),
        _resource(
            "offices",
            "Offices",
            providers="ashby greenhouse jobvite keka pinpoint",
            filters={"country": (UNCHECKED, "jobvite"), "name": (UNCHECKED, ALL)},
        ),
        _resource(
            "organizations",
            "Organizations that jobs belong to",
            replication_key=None,
            providers="breezy jobvite loxo",
            filters={},
        ),
        _resource(
            "reject_reasons",
            "Reasons for rejecting an application",
            providers="ashby",
            filters=ANY,
        ),
        _resource(
            "scorecards",
            "Interviewers' feedback",
            providers="ashby breezy greenhouse",
            filters={
                "application_id": (Filter("application.id"), "greenhouse"),
                "candidate_id": (Filter("candidate.id"), "breezy"),
                "job_id": (UNCHECKED, "breezy"),
                "organization_id": (UNCHECKED, "breezy"),
            },
            requires={(JOB, CANDIDATE): "breezy"},
        ),
        _resource("tags", "Tags of candidates", providers="ashby jobscore", filters=ANY),
    )
}
"""By name: first those that are selected by default, then the others."""

INTERVIEWS = RESOURCES["interviews"]

PARAMETERS = frozenset().union(*(resource.filters for resource in RESOURCES.values()))
"""Every filter there is: a provider may require what no page of the resource's own names."""
