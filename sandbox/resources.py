"""The resources of Truto's unified ATS model, and which provider gives what of each.

All of it is from Truto's reference pages, and from the pages of single integrations, which name
some more resources. Where a page names only some of the providers that honour a filter, only those
do so here. A parameter that is not listed here (`organization_id` and `expires_in` among them) is
accepted and ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    Shape: TypeAlias = "Kind | Mapping[str, Shape] | list[Shape]"
    Value = Any  # whatever JSON can hold, and date-times
    Row = dict[str, Value]


class Kind(Enum):
    """What a part of a row is: an id, a date-time, or what all providers write the same way."""

    ID = auto()
    DATE = auto()
    PLAIN = auto()


ID, DATE, PLAIN = Kind


@dataclass(frozen=True)
class Resource:
    """A resource: its fields with their shapes, and which providers do what.

    A text names several providers, or several fields, with blanks between them. `lists` names the
    providers that can list the resource and get each row of it by its id, and `partial` those whose
    lists give only the fields in `brief`. `lacking` tells by field which providers do not fill it;
    `guessed` are fields whose names the pages do not state. `filters` tells by parameter which
    providers honour it. A parameter is compared with the field of its name (`job_id` and `job[id]`
    with `job.id`) unless `paths` names another. `required` tells by provider which parameters it
    insists on.
    """

    name: str
    fields: Mapping[str, Shape]
    lists: str
    partial: str = ""
    brief: str = ""
    lacking: Mapping[str, str] = field(default_factory=dict)
    guessed: Mapping[str, Shape] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    required: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """The shapes of all fields, the guessed ones included."""
        return {**self.fields, **self.guessed}

    def path(self, parameter: str) -> str:
        """Return the part of a row that a query parameter looks at."""
        return self.paths.get(parameter) or re.sub(r"_id$|\[id\]$", ".id", parameter)


REF: Mapping[str, Shape] = {"id": ID}
NAMED: Mapping[str, Shape] = {"id": ID, "name": PLAIN}
WHEN: Mapping[str, Shape] = {"created_at": DATE, "updated_at": DATE}
END: Mapping[str, Shape] = {**WHEN, "remote_data": PLAIN}
ADDRESS: Mapping[str, Shape] = {"email": PLAIN, "name": PLAIN}

ATTACHMENT: Mapping[str, Shape] = {
    "id": ID,
    "file_name": PLAIN,
    "file_url": PLAIN,
    "candidate": REF,
    "application": REF,
    "job": REF,
    "attachment_type": PLAIN,
    **WHEN,
}
APPLICATION: Mapping[str, Shape] = {
    "id": ID,
    "candidate": REF,
    "job": REF,
    "applied_at": DATE,
    "rejected_at": DATE,
    "source": NAMED,
    "credited_to": {"id": ID, "first_name": PLAIN, "last_name": PLAIN, "emails": [PLAIN]},
    "current_stage": {"id": ID, "name": PLAIN, "job": REF, **WHEN},
    "reject_reason": PLAIN,
    "attachments": [ATTACHMENT],
    **WHEN,
}

_HIRING = (
    "applicantstack ashby bamboohr breezy cats ceipal fountain greenhouse homerun jazzhr jobscore"
    " jobvite lever loxo recruitee recruiterflow sagehr smartrecruiters talentlyft teamtailor"
    " workable zohorecruit"
)

RESOURCES: Mapping[str, Resource] = {
    resource.name: resource
    for resource in (
        Resource(
            "interviews",
            fields={
                "id": ID,
                "application": REF,
                "candidate": REF,
                "created_at": DATE,
                "end_at": DATE,
                "interviewers": [REF],
                "job_interview_stage": REF,
                "location": PLAIN,
                "organizer": REF,
                "remote_data": PLAIN,
                "start_at": DATE,
                "status": PLAIN,
                "updated_at": DATE,
            },
            lists="ashby ceipal fountain greenhouse pinpoint",
            lacking={
                "application": "fountain",
                "candidate": "ashby greenhouse pinpoint",
                "created_at": "fountain",
                "end_at": "ceipal",
                "interviewers": "pinpoint",
                "job_interview_stage": "greenhouse",
                "location": "pinpoint",
                "organizer": "ashby fountain pinpoint",
                "start_at": "ceipal fountain",
                "status": "ceipal",
                "updated_at": "ashby fountain",
            },
            filters={
                "application_id": "ashby greenhouse",
                "created_at": "ashby ceipal greenhouse pinpoint",
                "job_interview_stage_id": "ashby",
                "candidate_id": "fountain",
                "updated": "greenhouse",
                "start_at": "ashby greenhouse pinpoint",
                "end_at": "ashby fountain greenhouse pinpoint",
            },
            paths={"updated": "updated_at"},
            required={"fountain": "candidate_id"},
        ),
        Resource(
            "applications",
            fields={**APPLICATION, "remote_data": PLAIN},
            lists="ashby greenhouse jobscore loxo pinpoint teamtailor zohorecruit",
            lacking={"updated_at": "loxo"},
            filters={
                "created_at": "ashby greenhouse jobscore loxo pinpoint teamtailor zohorecruit",
                "updated_at": "ashby greenhouse jobscore loxo pinpoint teamtailor zohorecruit",
                "job_id": "greenhouse",
                "candidate_id": "jobscore",
                "jobs[id]": "loxo",
            },
            paths={"jobs[id]": "job.id"},
            required={"jobscore": "candidate_id", "loxo": "jobs[id]"},
        ),
        Resource(
            "candidates",
            fields={
                "id": ID,
                "first_name": PLAIN,
                "last_name": PLAIN,
                "name": PLAIN,
                "company": PLAIN,
                "title": PLAIN,
                "last_interaction_at": DATE,
                "is_private": PLAIN,
                "can_email": PLAIN,
                "locations": PLAIN,
                "phones": PLAIN,
                "emails": PLAIN,
                "urls": PLAIN,
                "tags": [NAMED],
                "applications": [APPLICATION],
                "attachments": [ATTACHMENT],
                **END,
            },
            lists=f"{_HIRING} hrcloud keka pinpoint",
            partial=(
                "applicantstack bamboohr breezy cats homerun jazzhr loxo recruitee sagehr"
                " smartrecruiters talentlyft workable"
            ),
            brief="id first_name last_name name emails created_at updated_at",
            lacking={"updated_at": "bamboohr sagehr"},
            filters={
                "job_id": (
                    "breezy lever greenhouse workable bamboohr smartrecruiters sagehr homerun"
                ),
                "job[id]": "fountain workable",
                "created_at": ("greenhouse hrcloud jobscore lever teamtailor workable zohorecruit"),
                "updated_at": (
                    "greenhouse hrcloud jobvite lever smartrecruiters teamtailor workable"
                    " zohorecruit"
                ),
                "emails[email]": f"{_HIRING} hrcloud keka",
            },
            paths={
                "job_id": "applications.job.id",
                "job[id]": "applications.job.id",
                "emails[email]": "emails.email",
            },
            required={"breezy": "job_id", "sagehr": "job_id"},
        ),
        Resource(
            "jobs",
            fields={
                "id": ID,
                "name": PLAIN,
                "description": PLAIN,
                "code": PLAIN,
                "requisition_id": PLAIN,
                "status": PLAIN,
                "locations": PLAIN,
                "job_posting_urls": PLAIN,
                "confidential": PLAIN,
                "departments": [NAMED],
                "teams": PLAIN,
                "offices": [NAMED],
                "hiring_managers": [NAMED],
                "recruiters": [NAMED],
                "tags": PLAIN,
                **END,
            },
            guessed={"is_remote": PLAIN, "job_type": PLAIN},
            lists=f"{_HIRING} jobsoid pinpoint",
            partial="applicantstack ashby bamboohr cats",
            brief="id name status locations created_at updated_at",
            lacking={"updated_at": "bamboohr"},
        ),
        Resource(
            "job_interview_stages",
            fields={
                "id": ID,
                "name": PLAIN,
                "status": PLAIN,
                "job": REF,
                "position": PLAIN,
                **END,
            },
            lists=(
                "ashby bamboohr cats jobscore fountain greenhouse homerun jobvite lever loxo"
                " recruiterflow teamtailor workable zohorecruit"
            ),
            lacking={"updated_at": "cats"},
        ),
        Resource(
            "scorecards",
            fields={
                "id": ID,
                "application": REF,
                "candidate": REF,
                "interview": REF,
                "interviewer": REF,
                "submitted_at": DATE,
                "overall_recommendation": PLAIN,
                "form_values": PLAIN,
                **END,
            },
            lists="ashby breezy greenhouse",
            lacking={"updated_at": "breezy"},
            filters={
                "job_id": "breezy",
                "candidate_id": "breezy",
                "application_id": "greenhouse",
            },
            required={"breezy": "job_id candidate_id"},
        ),
        Resource(
            "offers",
            fields={
                "id": ID,
                "application": REF,
                "candidate": REF,
                "job": REF,
                "creator": REF,
                "closed_at": DATE,
                "sent_at": DATE,
                "start_date": DATE,
                "status": PLAIN,
                **END,
            },
            lists="ashby greenhouse",
            filters={
                "application_id": "ashby greenhouse",
                "created_at": "ashby greenhouse",
                "updated_at": "greenhouse",
                "start_date": "ashby greenhouse",
                "closed_at": "ashby greenhouse",
                "sent_at": "ashby greenhouse",
            },
        ),
        Resource(
            "users",
            fields={
                "id": ID,
                "first_name": PLAIN,
                "last_name": PLAIN,
                "name": PLAIN,
                "emails": PLAIN,
                "disabled": PLAIN,
                "access_role": PLAIN,
                **END,
            },
            lists=(
                "ashby fountain greenhouse lever loxo pinpoint recruiterflow talentlyft workable"
                " recruitee teamtailor"
            ),
            lacking={"updated_at": "ashby"},
            filters={"name": "workable", "access_role": "workable", "emails": "workable"},
            paths={"emails": "emails.email"},
        ),
        Resource(
            "departments",
            fields={"id": ID, "name": PLAIN, "parent": NAMED, "status": PLAIN, **END},
            lists="ashby greenhouse jobscore recruitee pinpoint workable",
            filters={"created_at": "jobscore", "updated_at": "jobscore"},
        ),
        Resource(
            "offices",
            fields={
                "id": ID,
                "name": PLAIN,
                "parent": REF,
                "location": PLAIN,
                "is_remote": PLAIN,
                **END,
            },
            lists="ashby greenhouse jobvite keka pinpoint",
            filters={"name": "ashby greenhouse jobvite keka pinpoint", "country": "jobvite"},
        ),
        Resource(
            "activities",
            fields={
                "id": ID,
                "candidate": REF,
                "actor": {"id": ID, "type": PLAIN},
                "activity_type": PLAIN,
                "from": [ADDRESS],
                "to": [ADDRESS],
                "cc": [ADDRESS],
                "subject": PLAIN,
                "body": PLAIN,
                "visibility": PLAIN,
                **END,
            },
            lists="ashby breezy fountain greenhouse workable lever recruitee",
            lacking={"updated_at": "breezy"},
            filters={
                "candidate_id": "ashby breezy greenhouse",
                "job_id": "breezy",
                "actor[id]": "ashby breezy fountain greenhouse workable",
                "created_at": "ashby fountain greenhouse workable",
                "activity_type": "ashby breezy fountain greenhouse workable",
                "candidate[id]": "ashby breezy fountain greenhouse workable",
            },
            required={
                "ashby": "candidate_id",
                "breezy": "candidate_id job_id",
                "greenhouse": "candidate_id",
                "fountain": "actor[id]",
            },
        ),
        Resource(
            "attachments",
            fields={**ATTACHMENT, "remote_data": PLAIN},
            lists="ashby breezy fountain greenhouse jobscore lever loxo zohorecruit",
            lacking={"updated_at": "lever"},
            filters={
                "candidate_id": (
                    "ashby breezy fountain greenhouse jobscore lever loxo zohorecruit"
                ),
                "job_id": "breezy",
                "application_id": "greenhouse zohorecruit",
            },
            required={
                "ashby": "candidate_id",
                "breezy": "candidate_id job_id",
                "fountain": "candidate_id",
                "jobscore": "candidate_id",
                "lever": "candidate_id",
                "loxo": "candidate_id",
            },
        ),
        Resource(
            "eeocs",
            fields={
                "id": ID,
                "candidate": REF,
                "submitted_at": DATE,
                "race": PLAIN,
                "gender": PLAIN,
                "veteran_status": PLAIN,
                "disability_status": PLAIN,
                **END,
            },
            lists="greenhouse",
        ),
        Resource(
            "reject_reasons",
            fields={**NAMED, **END},
            lists="ashby greenhouse",
            lacking={"updated_at": "ashby"},
        ),
        Resource(
            "tags",
            fields={**NAMED, **END},
            lists="ashby jobscore greenhouse lever recruitee zohorecruit",
        ),
        Resource(
            "organizations",
            fields={**NAMED, "remote_data": PLAIN},
            guessed=WHEN,
            lists="breezy jobvite loxo",
        ),
        Resource(
            "job_form_fields",
            fields={
                "id": ID,
                "name": PLAIN,
                "job": REF,
                "label": PLAIN,
                "index": PLAIN,
                "is_required": PLAIN,
                "answer_visibility": PLAIN,
                "description": PLAIN,
                "type": PLAIN,
                "options": [{"id": ID, "label": PLAIN, "value": PLAIN}],
                "group_id": PLAIN,
                "group_name": PLAIN,
                "remote_data": PLAIN,
            },
            lists="ashby breezy greenhouse lever",
            filters={"job_id": "ashby breezy greenhouse lever"},
            required=dict.fromkeys(("ashby", "breezy", "greenhouse", "lever"), "job_id"),
        ),
    )
}

PARENTS: Mapping[str, str] = {
    "candidate_id": "candidates",
    "job_id": "jobs",
    "jobs[id]": "jobs",
    "actor[id]": "candidates",
}
"""The resource whose ids a required parameter takes."""


METHODS = ("list", "get")
"""What can be done with a resource that a provider gives."""


@dataclass(frozen=True)
class Offer:
    """What one provider gives of a resource.

    `listed` and `shown` are the fields in the rows of its lists and of its gets, `filters` the
    parameters it honours and `required` those it insists on, with the part of a row each looks at.
    """

    resource: Resource
    methods: tuple[str, ...]
    listed: frozenset[str]
    shown: frozenset[str]
    filters: Mapping[str, str]
    required: Mapping[str, str]


@cache
def offer(name: str, provider: str) -> Offer:
    """Return what a provider gives of a resource: an offer without methods if it gives nothing."""
    resource = RESOURCES[name]

    def among(providers: str) -> bool:
        return provider in providers.split()

    lacking = {part for part, providers in resource.lacking.items() if among(providers)}
    shown = frozenset(resource.shapes.keys() - lacking)
    brief = {*resource.brief.split(), "remote_data"}
    taken = [part for part, providers in resource.filters.items() if among(providers)]
    required = resource.required.get(provider, "").split()
    return Offer(
        resource,
        METHODS if among(resource.lists) else (),
        shown & brief if among(resource.partial) else shown,
        shown,
        {part: resource.path(part) for part in taken},
        {part: resource.path(part) for part in required},
    )


def convert(shape: Shape, value: Value, leaf: Callable[[Kind, Value], Value]) -> Value:
    """Apply a function to each id, date-time and plain part of a value that has a shape."""
    if value is None:
        return None
    if isinstance(shape, Kind):
        return leaf(shape, value)
    if isinstance(shape, list):
        return [convert(shape[0], one, leaf) for one in value]
    return {name: convert(shape.get(name, PLAIN), part, leaf) for name, part in value.items()}


def parts_of(value: Value, path: str) -> list[Value]:
    """Follow a dotted path into a row and through its lists; return what is there."""
    found = [value]
    for name in path.split("."):
        inner = [one.get(name) for one in found]
        found = [one for part in inner for one in (part if isinstance(part, list) else [part])]
        found = [one for one in found if one is not None]
    return found
