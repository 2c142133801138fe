"""The declarations: that schema files, filters and providers' offers fit together."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from documentation.providers import PROVIDERS
from tap_truto_ats.model.declaration import Filter, Offer, Requirement, Resource
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.sync.parents import CHANGED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Schemas = dict[str, dict[str, Any]]
    Change = Callable[[dict[str, Resource], Schemas], object]

SCHEMAS: Schemas = {
    path.name.removesuffix(".json"): json.loads(path.read_text(encoding="utf-8"))
    for path in (files("tap_truto_ats.model") / "schemas").iterdir()
}

ACCOUNTS = "integrated_accounts"
KEYS = ["integrated_account_id", "id"]
OWN = {"integrated_account_id", "remote_data", "custom_fields"}
"""Columns that are no fields of a provider."""

DEFAULT = {
    "interviews",
    "applications",
    "candidates",
    "jobs",
    "job_interview_stages",
    "users",
}

PARTIAL = {
    "candidates": (
        "applicantstack bamboohr breezy cats homerun jazzhr loxo recruitee sagehr smartrecruiters"
        " talentlyft workable"
    ),
    "jobs": "applicantstack ashby bamboohr cats",
}

INFERRED = {
    "activities": "lever recruitee",
    "candidates": "pinpoint",
    "departments": "pinpoint workable",
    "job_interview_stages": (
        "fountain greenhouse homerun jobvite lever loxo recruiterflow teamtailor workable"
        " zohorecruit"
    ),
    "reject_reasons": "greenhouse",
    "tags": "greenhouse lever recruitee zohorecruit",
    "users": "recruitee teamtailor",
}

PARENTS = {
    "activities ashby": "candidate_id",
    "activities breezy": "job_id candidate_id",
    "activities fountain": "actor[id]",
    "activities greenhouse": "candidate_id",
    "applications jobscore": "candidate_id",
    "applications loxo": "jobs[id]",
    "attachments ashby": "candidate_id",
    "attachments breezy": "job_id candidate_id",
    "attachments fountain": "candidate_id",
    "attachments jobscore": "candidate_id",
    "attachments lever": "candidate_id",
    "attachments loxo": "candidate_id",
    "candidates breezy": "job_id",
    "candidates sagehr": "job_id",
    "interviews fountain": "candidate_id",
    "job_form_fields ashby": "job_id",
    "job_form_fields breezy": "job_id",
    "job_form_fields greenhouse": "job_id",
    "job_form_fields lever": "job_id",
    "scorecards breezy": "job_id candidate_id",
}

TAKEN_FROM = {
    "candidate_id": "candidates",
    "actor[id]": "candidates",
    "job_id": "jobs",
    "jobs[id]": "jobs",
}

MIXED = {"jobs.tags"}
"""Arrays whose items have no type, so that they become one JSON value in a warehouse."""


def contradictions(resources: Mapping[str, Resource], schemas: Schemas) -> Iterator[str]:
    """Name what is undeclared, unused or contradictory."""
    for name in resources.keys() ^ (schemas.keys() - {"account_syncs", ACCOUNTS}):
        yield f"{name}: has not both a declaration and a schema"
    for name in resources.keys() & schemas.keys():
        resource, schema = resources[name], schemas[name]
        for fault in (
            *_faults_of_schema(resource, schema),
            *_faults_of_filters(resource, schema),
            *_faults_of_offers(resource, schema),
            *_faults_of_requirements(resource, resources, schemas),
        ):
            yield f"{name}: {fault}"
    if idle := set(PROVIDERS).difference(*(one.offers for one in resources.values())):
        yield f"providers that list nothing: {sorted(idle)}"


def _parts(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A schema's columns, and all within them, by their paths."""
    for name, one in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        yield here, one
        yield from _parts(one, here)
        if "items" in one:
            yield f"{here}[]", one["items"]
            yield from _parts(one["items"], f"{here}[]")


def _column(schema: Any, path: str) -> dict[str, Any]:
    """What a schema knows at a path through objects; nothing if there is no such thing."""
    for name in path.split("."):
        schema = schema.get("properties", {}).get(name, {})
    found: dict[str, Any] = schema
    return found


def _is_date_time(column: Mapping[str, Any]) -> bool:
    return column.get("format") == "date-time"


def _true(faults: dict[str, bool]) -> Iterator[str]:
    return (fault for fault, is_so in faults.items() if is_so)


def _faults_of_schema(resource: Resource, schema: dict[str, Any]) -> Iterator[str]:
    columns = schema["properties"]
    has_changes = "updated_at" in columns
    yield from _true(
        {
            "requires other than its key": schema["required"] != KEYS,
            "lacks a column that every stream has": not {*KEYS, *OWN} <= columns.keys(),
            "has another replication key": (
                resource.replication_key != ("updated_at" if has_changes else None)
            ),
        }
    )
    for path, part in _parts(schema, resource.name):
        for fault in _faults_of_part(path, part):
            yield f"{path} {fault}"


def _faults_of_part(path: str, part: dict[str, Any]) -> Iterator[str]:
    name = path.rsplit(".", maxsplit=1)[-1].removesuffix("[]")
    kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
    is_key = path.split(".")[1:] in [[key] for key in KEYS]
    is_id = name == "id" or name.endswith("_id")
    is_moment = name.endswith("_at") or name == "start_date"
    format_ = part.get("format")
    unknown = sorted(part.keys() - {"type", "format", "description", "properties", "items"})
    described = path.endswith("[]") or re.fullmatch("[A-Z].*[^. ]", part.get("description", ""))
    return _true(
        {
            "should be null or should not": ("null" in kinds) is is_key,
            "has not one type": len(set(kinds) - {"null"}) != 1,
            "has not the items of its type": (
                ("array" in kinds and path not in MIXED) is not ("items" in part)
            ),
            f"has the format {format_}": format_ not in {None, "date-time"},
            "is named otherwise than typed": is_moment is not _is_date_time(part),
            "is an id and no string": is_id and "string" not in kinds,
            f"has {unknown}": bool(unknown),
            "is no name": not re.fullmatch("[a-z]+(_[a-z]+)*", name),
            "is not described": not described,
        }
    )


def _faults_of_filters(resource: Resource, schema: dict[str, Any]) -> Iterator[str]:
    for name, known in resource.filters.items():
        found = _column(schema, known.field) if known.field else {}
        yield from _true(
            {
                f"filter {name} is no name": not re.fullmatch(r"[a-z_]+(\[[a-z_]+\])?", name),
                f"filter {name} is checked by the unknown field {known.field}": (
                    bool(known.field) and not found
                ),
                f"filter {name} is a date-time and its field is not, or the reverse": (
                    known.is_date_time is not _is_date_time(found)
                ),
                f"filter {name} is taken by nobody": (
                    not any(name in offer.takes for offer in resource.offers.values())
                ),
            }
        )


def _faults_of_offers(resource: Resource, schema: dict[str, Any]) -> Iterator[str]:
    if not resource.offers:
        yield "is listed by nobody"
    declared = frozenset(resource.filters)
    taken_by_all = declared.intersection(*(one.takes for one in resource.offers.values()))
    for provider, offer in resource.offers.items():
        fills = offer.fills
        undeclared = sorted(offer.takes - resource.filters.keys())
        unknown = sorted((fills or frozenset()) - (schema["properties"].keys() - OWN))
        asked = resource.filters.get(offer.schedule or "", Filter())
        is_asked = offer.schedule in offer.takes and asked.is_date_time
        tells_changes = fills is None or resource.replication_key in fills
        yield from _true(
            {
                f"{provider} is no provider": provider not in PROVIDERS,
                f"{provider} takes the undeclared {undeclared}": bool(undeclared),
                f"{provider} fills the unknown {unknown}": bool(unknown),
                f"{provider} is inferred, and the page names it": offer.is_inferred
                and bool(offer.takes - taken_by_all or offer.requires or fills),
                f"{provider} fills no id": fills is not None and "id" not in fills,
                f"{provider} cannot be asked by the schedule": (
                    offer.schedule is not None and not is_asked
                ),
                f"{provider} has a schedule beside the replication key, or neither": (
                    tells_changes is (offer.schedule is not None)
                ),
            }
        )


def _faults_of_requirements(
    resource: Resource, resources: Mapping[str, Resource], schemas: Schemas
) -> Iterator[str]:
    for provider, offer in resource.offers.items():
        parameters = [one.parameter for one in offer.requires]
        if len(set(parameters)) < len(parameters):
            yield f"{provider} requires a parameter twice"
        if resource.name in _ancestors(resource.name, provider, resources):
            yield f"{provider} requires in a circle"
        for position, one in enumerate(offer.requires):
            if one.parameter not in offer.takes:
                yield f"{provider} requires {one.parameter} and does not take it"
            parent = resources.get(one.resource, Resource("", "")).offers.get(provider)
            if parent is None:
                yield f"{provider} requires of {one.resource}, which it does not list"
                continue
            columns = schemas[one.resource]["properties"]
            moments = [_is_date_time(columns.get(name, {})) for name in CHANGED if name in columns]
            yield from _true(
                {
                    f"{provider} lists {one.resource} by other than what stands before": (
                        position > 0 and parent.requires != offer.requires[:position]
                    ),
                    f"{provider} does not know when {one.resource} changed": (
                        not moments or not all(moments)
                    ),
                }
            )


def _ancestors(name: str, provider: str, resources: Mapping[str, Resource]) -> set[str]:
    """The resources that have to be listed before one, directly or not."""
    found: set[str] = set()
    names = [name]
    while names:
        known = resources.get(names.pop())
        offer = known.offers.get(provider) if known else None
        new = {one.resource for one in offer.requires} - found if offer else set()
        found |= new
        names += new
    return found


def test_the_declarations_fit_together() -> None:
    assert list(contradictions(RESOURCES, SCHEMAS)) == []


def declare(name: str, **fields: Any) -> Change:
    """Declare a resource otherwise."""
    return lambda resources, _: resources.update({name: replace(resources[name], **fields)})


def offer(name: str, provider: str, **fields: Any) -> Change:
    """Change a provider's offer, or make a new one."""

    def change(resources: dict[str, Resource], _: Schemas) -> None:
        offers = dict(resources[name].offers)
        offers[provider] = replace(offers.get(provider, Offer(fills=None)), **fields)
        resources[name] = replace(resources[name], offers=offers)

    return change


def column(name: str, path: str, **fields: Any) -> Change:
    """Change a column of a schema, or add one."""

    def change(_: dict[str, Resource], schemas: Schemas) -> None:
        *outer, inner = path.split(".")
        schema = _column(schemas[name], ".".join(outer)) if outer else schemas[name]
        properties = schema["properties"]
        properties[inner] = {"type": ["string", "null"], "description": "A column"}
        properties[inner] |= fields

    return change


def require(name: str, provider: str, *requirements: Requirement) -> Change:
    return offer(name, provider, requires=requirements)


def without(name: str, path: str) -> Change:
    return lambda _, schemas: schemas[name]["properties"].pop(path)


def bounded(known: Filter) -> Change:
    """Declare a filter of tags that someone takes."""

    def change(resources: dict[str, Resource], schemas: Schemas) -> None:
        declare("tags", filters={**resources["tags"].filters, "name": known})(resources, schemas)
        takes = {"created_at", "updated_at", "name"}
        offer("tags", "ashby", takes=frozenset(takes))(resources, schemas)

    return change


JOB = Requirement("job_id", "jobs")
CANDIDATE = Requirement("candidate_id", "candidates")

BROKEN: dict[str, tuple[Change, str]] = {
    "no schema": (lambda _, schemas: schemas.pop("tags"), "tags: has not both"),
    "no declaration": (lambda resources, _: resources.pop("tags"), "tags: has not both"),
    "a wider key": (
        lambda _, schemas: schemas["tags"].update(required=[*KEYS, "name"]),
        "tags: requires other",
    ),
    "no custom fields": (without("tags", "custom_fields"), "tags: lacks a column"),
    "a key of null": (column("tags", "id"), "tags.id should be null or should not"),
    "a column without null": (column("tags", "name", type="string"), "tags.name should be null"),
    "an inner field without null": (
        column("offers", "job.id", type="string"),
        "offers.job.id should be null",
    ),
    "two types": (column("tags", "name", type=["string", "number", "null"]), "has not one type"),
    "an array of anything": (
        column("tags", "name", type=["array", "null"]),
        "tags.name has not the items",
    ),
    "items of a string": (column("tags", "name", items={"type": ["string", "null"]}), "the items"),
    "a UUID": (column("tags", "name", format="uuid"), "tags.name has the format uuid"),
    "a text named like a date-time": (column("tags", "seen_at"), "seen_at is named otherwise"),
    "a date-time named like a text": (
        column("tags", "name", format="date-time"),
        "tags.name is named otherwise",
    ),
    "an id that is a number": (
        column("tags", "job_id", type=["integer", "null"]),
        "tags.job_id is an id and no string",
    ),
    "an enum": (column("tags", "name", enum=["a"]), "tags.name has ['enum']"),
    "a closed object": (
        column("tags", "name", type=["object", "null"], additionalProperties=False),
        "tags.name has ['additionalProperties']",
    ),
    "a hyphen": (column("tags", "nick-name"), "tags.nick-name is no name"),
    "no description": (column("tags", "name", description=""), "tags.name is not described"),
    "an inner field without description": (
        column("offers", "job.name", description=""),
        "offers.job.name is not described",
    ),
    "a replication key less": (declare("tags", replication_key=None), "another replication key"),
    "an unknown replication key": (
        declare("organizations", replication_key="updated_at"),
        "another replication key",
    ),
    "a filter's odd name": (
        declare("tags", filters={"name-": Filter()}),
        "tags: filter name- is no name",
    ),
    "a filter by an unknown field": (bounded(Filter("label")), "the unknown field label"),
    "a filter by a list's field": (
        declare("candidates", filters={"tags": Filter("tags.id")}),
        "the unknown field tags.id",
    ),
    "a text checked as a date-time": (bounded(Filter("name", is_date_time=True)), "the reverse"),
    "a date-time checked as a text": (bounded(Filter("created_at")), "the reverse"),
    "an unchecked date-time": (bounded(Filter(is_date_time=True)), "the reverse"),
    "a filter that nobody takes": (
        declare("organizations", filters={"name": Filter()}),
        "organizations: filter name is taken by nobody",
    ),
    "no provider": (declare("tags", offers={}), "tags: is listed by nobody"),
    "an unknown provider": (offer("tags", "ashbyy"), "tags: ashbyy is no provider"),
    "a provider that lists nothing": (
        lambda resources, _: resources["jobs"].offers.pop("jobsoid"),  # type: ignore[attr-defined]
        "list nothing: ['jobsoid']",
    ),
    "an undeclared filter": (
        offer("tags", "ashby", takes=frozenset({"name"})),
        "tags: ashby takes the undeclared ['name']",
    ),
    "an unknown field": (
        offer("tags", "ashby", fills=frozenset({"id", "updated_at", "label"})),
        "tags: ashby fills the unknown ['label']",
    ),
    "an inferred provider with a filter of its own": (
        offer("candidates", "lever", is_inferred=True),
        "candidates: lever is inferred, and the page names it",
    ),
    "an inferred provider with fields of its own": (
        offer("interviews", "ceipal", is_inferred=True),
        "interviews: ceipal is inferred, and the page names it",
    ),
    "an inferred provider with a parameter of its own": (
        offer("job_form_fields", "lever", is_inferred=True),
        "job_form_fields: lever is inferred, and the page names it",
    ),
    "rows without id": (
        offer("tags", "ashby", fills=frozenset({"updated_at"})),
        "tags: ashby fills no id",
    ),
    "a schedule that is not taken": (
        offer("interviews", "fountain", schedule="start_at"),
        "interviews: fountain cannot be asked by the schedule",
    ),
    "a schedule that is no date-time": (
        offer("interviews", "fountain", schedule="candidate_id"),
        "interviews: fountain cannot be asked by the schedule",
    ),
    "no schedule": (offer("interviews", "fountain", schedule=None), "or neither"),
    "a needless schedule": (
        offer("interviews", "pinpoint", schedule="start_at"),
        "interviews: pinpoint has a schedule beside",
    ),
    "a parameter twice": (
        require("activities", "breezy", CANDIDATE, CANDIDATE),
        "activities: breezy requires a parameter twice",
    ),
    "a parameter that is not taken": (
        require("activities", "workable", JOB),
        "activities: workable requires job_id and does not take it",
    ),
    "an unknown parent": (
        require("activities", "ashby", Requirement("candidate_id", "people")),
        "activities: ashby requires of people, which it does not list",
    ),
    "a parent that is not listed": (
        require("activities", "ashby", Requirement("candidate_id", "organizations")),
        "ashby requires of organizations, which it does not list",
    ),
    "pairs in the wrong order": (
        require("activities", "breezy", CANDIDATE, JOB),
        "activities: breezy lists jobs by other than what stands before",
    ),
    "every combination": (
        require("activities", "breezy", JOB, replace(CANDIDATE, resource="jobs")),
        "activities: breezy lists jobs by other than what stands before",
    ),
    "a parent that does not tell when it changed": (
        lambda _, schemas: [schemas["candidates"]["properties"].pop(name) for name in CHANGED],
        "activities: ashby does not know when candidates changed",
    ),
    "a circle": (
        require("jobs", "sagehr", CANDIDATE),
        "jobs: sagehr requires in a circle",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_fit_is_found(case: str) -> None:
    change, fault = BROKEN[case]
    resources = {name: replace(one, offers=dict(one.offers)) for name, one in RESOURCES.items()}
    schemas = deepcopy(SCHEMAS)
    change(resources, schemas)
    found = list(contradictions(resources, schemas))
    assert any(fault in one for one in found), found


def test_those_selected_by_default_are_the_ones_to_join_interviews_with() -> None:
    assert {name for name, one in RESOURCES.items() if one.is_default} == DEFAULT
    assert list(RESOURCES)[: len(DEFAULT)] == [name for name in RESOURCES if name in DEFAULT]


@pytest.mark.parametrize(
    ("mark", "expected"), [("lists_partially", PARTIAL), ("is_inferred", INFERRED)]
)
def test_marked_providers_are_those_of_the_pages(mark: str, expected: dict[str, str]) -> None:
    found = {
        name: " ".join(sorted(who for who, given in one.offers.items() if getattr(given, mark)))
        for name, one in RESOURCES.items()
    }
    assert {name: providers for name, providers in found.items() if providers} == expected


def test_the_parents_are_those_of_the_pages() -> None:
    found = {
        f"{name} {provider}": given.requires
        for name, one in RESOURCES.items()
        for provider, given in one.offers.items()
        if given.requires
    }
    assert {
        row: " ".join(one.parameter for one in requires) for row, requires in found.items()
    } == PARENTS
    for requires in found.values():
        for one in requires:
            assert one.resource == TAKEN_FROM[one.parameter]


@pytest.mark.parametrize(
    "spelling", ["zohorecruit", "zoho_recruit", "zoho-recruit", "Zoho Recruit", "ZohoRecruit"]
)
def test_a_provider_is_found_however_it_is_spelled(spelling: str) -> None:
    offers = RESOURCES["candidates"]
    assert offers.offer(spelling) is offers.offers["zohorecruit"]


@pytest.mark.parametrize("name", [None, "", "-", "nobody"])
def test_a_provider_outside_of_the_table_is_unknown(name: str | None) -> None:
    assert RESOURCES["candidates"].offer(name) is None
