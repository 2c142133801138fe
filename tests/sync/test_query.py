"""What is asked of Truto for an account, and which of its rows are wanted."""

from __future__ import annotations

from typing import Any

import pytest

from tap_truto_ats.model.declaration import Requirement
from tap_truto_ats.model.instants import parse_instant
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.settings.schema import Settings
from tap_truto_ats.sync.accounts import Account
from tap_truto_ats.sync.query import Query

INTERVIEWS = RESOURCES["interviews"]

ASHBY, CEIPAL, FOUNTAIN, GREENHOUSE, PINPOINT = PROVIDERS = (
    "ashby",
    "ceipal",
    "fountain",
    "greenhouse",
    "pinpoint",
)

FILLED: dict[str, set[str]] = {
    "id": {ASHBY, CEIPAL, FOUNTAIN, GREENHOUSE, PINPOINT},
    "application": {ASHBY, CEIPAL, GREENHOUSE, PINPOINT},
    "candidate": {CEIPAL, FOUNTAIN},
    "created_at": {ASHBY, CEIPAL, GREENHOUSE, PINPOINT},
    "end_at": {ASHBY, FOUNTAIN, GREENHOUSE, PINPOINT},
    "interviewers": {ASHBY, CEIPAL, FOUNTAIN, GREENHOUSE},
    "job_interview_stage": {ASHBY, CEIPAL, FOUNTAIN, PINPOINT},
    "location": {ASHBY, CEIPAL, FOUNTAIN, GREENHOUSE},
    "organizer": {CEIPAL, GREENHOUSE},
    "start_at": {ASHBY, GREENHOUSE, PINPOINT},
    "status": {ASHBY, FOUNTAIN, GREENHOUSE, PINPOINT},
    "updated_at": {CEIPAL, GREENHOUSE, PINPOINT},
}
"""The reference page's fields that name their providers."""

TAKEN: dict[str, set[str]] = {
    "application_id": {ASHBY, GREENHOUSE},
    "created_at": {ASHBY, CEIPAL, GREENHOUSE, PINPOINT},
    "job_interview_stage_id": {ASHBY},
    "candidate_id": {FOUNTAIN},
    "updated": {GREENHOUSE},
    "start_at": {ASHBY, GREENHOUSE, PINPOINT},
    "end_at": {ASHBY, FOUNTAIN, GREENHOUSE, PINPOINT},
}
"""The reference page's query parameters with the providers that take them."""

REQUIRED = {"candidate_id": {FOUNTAIN}}
"""The reference page's required parameters."""

DATE_TIMES = {"created_at", "start_at", "end_at", "updated"}


class TestReferencePage:
    """The table of providers against the reference page of `GET /unified/ats/interviews`."""

    def test_the_providers_are_those_of_the_page(self) -> None:
        assert set(INTERVIEWS.offers) == set(PROVIDERS)

    @pytest.mark.parametrize("field", FILLED)
    def test_each_field_is_filled_by_the_pages_providers(self, field: str) -> None:
        providers = {
            name for name, offer in INTERVIEWS.offers.items() if field in (offer.fills or ())
        }
        assert providers == FILLED[field]

    def test_no_provider_fills_anything_else(self) -> None:
        assert set().union(*(offer.fills or () for offer in INTERVIEWS.offers.values())) == set(
            FILLED
        )

    @pytest.mark.parametrize("parameter", TAKEN)
    def test_each_parameter_is_taken_by_the_pages_providers(self, parameter: str) -> None:
        providers = {name for name, offer in INTERVIEWS.offers.items() if parameter in offer.takes}
        assert providers == TAKEN[parameter]

    def test_the_filters_are_the_pages_parameters(self) -> None:
        assert set(INTERVIEWS.filters) == set(TAKEN)
        assert set().union(*(offer.takes for offer in INTERVIEWS.offers.values())) == set(TAKEN)

    def test_the_date_times_are_those_of_the_page(self) -> None:
        found = {name for name, one in INTERVIEWS.filters.items() if one.is_date_time}
        assert found == DATE_TIMES

    def test_the_required_parameters_are_those_of_the_page(self) -> None:
        required = {
            name: offer.requires for name, offer in INTERVIEWS.offers.items() if offer.requires
        }
        assert required == {FOUNTAIN: (Requirement("candidate_id", "candidates"),)}
        assert {one.parameter: {name} for name, (one,) in required.items()} == REQUIRED

    def test_a_filter_is_checked_by_a_field_that_its_providers_fill(self) -> None:
        for name, known in INTERVIEWS.filters.items():
            column = (known.field or "id").split(".")[0]
            assert TAKEN[name] <= FILLED[column], name

    def test_the_resource_is_found_by_its_name(self) -> None:
        assert INTERVIEWS.name == "interviews"
        assert INTERVIEWS.path == "/unified/ats/interviews"
        assert INTERVIEWS.replication_key == "updated_at"


SINCE = "2026-03-01T12:00:00.000000+00:00"
FROM = {"gte": SINCE}


def query(deselected: set[str] | None = None, **settings: Any) -> Query:
    config = {"api_token": "no-such-token", "page_size": 50, **settings}
    return Query(INTERVIEWS, Settings.from_config(config), deselected or set())


def account(provider: str | None) -> Account:
    return Account("acc-1", provider=provider)


def asked(
    provider: str | None, since: str | None = None, deselected: set[str] | None = None, **given: Any
) -> dict[str, Any]:
    """Tell an account's parameters beyond those that are always sent."""
    params = query(deselected, **given).params(account(provider), parse_instant(since))
    assert params.pop("integrated_account_id") == "acc-1"
    assert params.pop("limit") == given.get("page_size", 50)
    return params


def interviews(**filters: Any) -> dict[str, Any]:
    return {"filters": {"interviews": filters}}


GTE = {"gte": "2026-04-01T00:00:00Z"}

# Provider, bookmark, settings → parameters.
PARAMS: dict[str, tuple[str | None, str | None, dict[str, Any], dict[str, Any]]] = {
    "nothing": (ASHBY, None, {}, {}),
    "nothing, provider unknown": (None, None, {}, {}),
    "filter that the provider takes": (
        ASHBY,
        None,
        interviews(application_id="a1"),
        {"application_id": "a1"},
    ),
    "filter that the provider does not take": (PINPOINT, None, interviews(application_id="a1"), {}),
    "some of the filters": (
        CEIPAL,
        None,
        interviews(created_at=GTE, start_at=GTE, application_id="a1"),
        {"created_at": GTE},
    ),
    "provider unknown: every filter": (
        None,
        None,
        interviews(application_id="a1", candidate_id="c1", updated=GTE),
        {"application_id": "a1", "candidate_id": "c1", "updated": GTE},
    ),
    "provider of another integration: every filter": (
        "lever",
        None,
        interviews(application_id="a1"),
        {"application_id": "a1"},
    ),
    "plain date-time": (
        GREENHOUSE,
        None,
        interviews(start_at="2026-04-01"),
        {"start_at": "2026-04-01"},
    ),
    "candidate of Fountain": (
        FOUNTAIN,
        None,
        interviews(candidate_id="c1"),
        {"candidate_id": "c1"},
    ),
    "bookmark: ashby has no updated_at": (ASHBY, SINCE, {}, {}),
    "bookmark: fountain has no updated_at": (FOUNTAIN, SINCE, {}, {}),
    "bookmark: ceipal": (CEIPAL, SINCE, {}, {"updated_at": FROM}),
    "bookmark: pinpoint": (PINPOINT, SINCE, {}, {"updated_at": FROM}),
    "bookmark: greenhouse has a second name for it": (
        GREENHOUSE,
        SINCE,
        {},
        {"updated_at": FROM, "updated": FROM},
    ),
    "bookmark: provider unknown": (None, SINCE, {}, {}),
    "bookmark and another filter": (
        PINPOINT,
        SINCE,
        interviews(created_at=GTE),
        {"created_at": GTE, "updated_at": FROM},
    ),
    "bookmark and an upper bound": (
        GREENHOUSE,
        SINCE,
        interviews(updated={"lt": "2026-05-01T00:00:00Z"}),
        {"updated_at": FROM, "updated": {"gte": SINCE, "lt": "2026-05-01T00:00:00Z"}},
    ),
    "bookmark and a plain date-time": (
        GREENHOUSE,
        SINCE,
        interviews(updated="2026-04-01"),
        {"updated_at": FROM, "updated": "2026-04-01"},
    ),
    "bookmark in another zone": (CEIPAL, "2026-03-01T14:00:00+02:00", {}, {"updated_at": FROM}),
    "normalized": (
        ASHBY,
        None,
        {"response_format": "normalized"},
        {"truto_response_format": "normalized"},
    ),
    "stream": (ASHBY, None, {"response_format": "stream"}, {"truto_response_format": "stream"}),
    "raw": (ASHBY, None, {"response_format": "raw"}, {"truto_response_format": "raw"}),
    "unified is the default": (ASHBY, None, {"response_format": "unified"}, {}),
    "limit ignored": (ASHBY, None, {"ignore_limit": True}, {"truto_ignore_limit": True}),
    "page size": (ASHBY, None, {"page_size": 1}, {}),
    "remote query": (
        ASHBY,
        None,
        {"remote_query": {"interviews": {"foo": {"bar": "baz"}, "n": [1]}}},
        {"remote_query": {"foo": {"bar": "baz"}, "n": [1]}},
    ),
    "remote query, empty": (ASHBY, None, {"remote_query": {"interviews": {}}}, {}),
}


@pytest.mark.parametrize(("provider", "since", "settings", "params"), PARAMS.values(), ids=PARAMS)
def test_the_parameters_of_the_first_page(
    provider: str | None, since: str | None, settings: dict[str, Any], params: dict[str, Any]
) -> None:
    assert asked(provider, since, **settings) == params


def test_a_lower_bound_of_the_filters_does_not_lose_the_bookmarks() -> None:
    params = asked(GREENHOUSE, SINCE, **interviews(updated={"gte": "2026-01-01T00:00:00Z"}))
    assert params["updated_at"] == FROM
    assert params["updated"]["gte"] in {SINCE, "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("deselected", "settings", "params"),
    [
        (set(), {}, {}),
        ({"remote_data"}, {}, {"truto_ignore_remote_data": True}),
        (
            {"status", "location"},
            {},
            {"truto_exclude_fields": ["location", "status"]},
        ),
        (
            {"remote_data", "status"},
            {},
            {"truto_ignore_remote_data": True, "truto_exclude_fields": ["status"]},
        ),
        ({"updated_at", "status"}, {}, {"truto_exclude_fields": ["status"]}),
        ({"updated_at"}, {}, {}),
        ({"created_at"}, {}, {"truto_exclude_fields": ["created_at"]}),
        ({"created_at"}, {"start_date": "2026-01-01"}, {}),
        ({"application"}, {}, {"truto_exclude_fields": ["application"]}),
        ({"application"}, interviews(application_id="a1"), {"application_id": "a1"}),
        ({"candidate"}, interviews(candidate_id="c1"), {"truto_exclude_fields": ["candidate"]}),
        (
            {"start_at", "end_at"},
            interviews(start_at=GTE),
            {"start_at": GTE, "truto_exclude_fields": ["end_at"]},
        ),
        (
            {"remote_data", "status"},
            {"response_format": "raw"},
            {"truto_response_format": "raw"},
        ),
    ],
    ids=[
        "nothing",
        "remote data",
        "two fields",
        "remote data and a field",
        "the replication key is needed",
        "the replication key alone",
        "created_at",
        "created_at is needed with start_date",
        "application",
        "application is needed with application_id",
        "candidate_id is not checked",
        "start_at is needed with its filter",
        "raw rows have no such fields",
    ],
)
def test_what_is_deselected_is_not_fetched_unless_it_is_needed(
    deselected: set[str], settings: dict[str, Any], params: dict[str, Any]
) -> None:
    assert asked(ASHBY, deselected=deselected, **settings) == params


def test_the_settings_stay_as_they_were() -> None:
    filters = {"interviews": {"updated": {"lt": "2026-05-01"}}}
    one = query(filters=filters)
    for _ in range(2):
        params = one.params(account(GREENHOUSE), parse_instant(SINCE))
        params["limit"] = params["updated"] = None
    assert filters == {"interviews": {"updated": {"lt": "2026-05-01"}}}
    assert one.params(account(ASHBY), None) == {"integrated_account_id": "acc-1", "limit": 50}


@pytest.mark.parametrize(
    ("provider", "untaken"),
    [(ASHBY, ["updated"]), (CEIPAL, ["start_at", "updated"]), (GREENHOUSE, []), (None, [])],
)
def test_filters_that_the_provider_does_not_take_are_named(
    provider: str | None, untaken: list[str]
) -> None:
    given = query(**interviews(start_at=GTE, updated=GTE))
    assert given.filters_not_taken(account(provider)) == untaken


MARCH = "2026-03-01T12:00:00Z"
BETWEEN = {"gte": "2026-03-01T00:00:00Z", "lt": "2026-04-01T00:00:00Z"}

# Row, oldest replication key that is wanted, settings → wanted?
ROWS: dict[str, tuple[dict[str, Any], str | None, dict[str, Any], bool]] = {
    "anything": ({}, None, {}, True),
    "newer than the bookmark": ({"updated_at": MARCH}, "2026-03-01T11:59:59Z", {}, True),
    "as old as the bookmark": ({"updated_at": MARCH}, MARCH, {}, True),
    "older than the bookmark": ({"updated_at": MARCH}, "2026-03-01T12:00:00.000001Z", {}, False),
    "older, in another zone": ({"updated_at": "2026-03-01T12:30:00+01:00"}, MARCH, {}, False),
    "newer, in another zone": ({"updated_at": "2026-03-01T08:00:00-05:00"}, MARCH, {}, True),
    "without updated_at": ({"created_at": "2020-01-01"}, MARCH, {}, True),
    "unreadable updated_at": ({"updated_at": "soon"}, MARCH, {}, True),
    "start_date: created before, no updated_at": (
        {"created_at": "2026-02-28T23:59:59Z"},
        None,
        {"start_date": "2026-03-01"},
        False,
    ),
    "start_date: created at it, no updated_at": (
        {"created_at": "2026-03-01"},
        None,
        {"start_date": "2026-03-01"},
        True,
    ),
    "start_date: created before, updated after": (
        {"created_at": "2026-02-01", "updated_at": MARCH},
        "2026-03-01",
        {"start_date": "2026-03-01"},
        True,
    ),
    "start_date: neither": ({"id": 1}, None, {"start_date": "2026-03-01"}, True),
    "start_date: unreadable": (
        {"created_at": "soon", "updated_at": None},
        None,
        {"start_date": "2026-03-01"},
        True,
    ),
    "id matches": ({"application": {"id": "a1"}}, None, interviews(application_id="a1"), True),
    "id differs": ({"application": {"id": "a2"}}, None, interviews(application_id="a1"), False),
    "id as a number": ({"application": {"id": 7}}, None, interviews(application_id="7"), True),
    "filter as a number": ({"application": {"id": "7"}}, None, interviews(application_id=7), True),
    "no id": ({"application": None}, None, interviews(application_id="a1"), True),
    "nested id in a wrong shape": (
        {"application": "a2"},
        None,
        interviews(application_id="a1"),
        True,
    ),
    "stage differs": (
        {"job_interview_stage": {"id": "s2"}},
        None,
        interviews(job_interview_stage_id="s1"),
        False,
    ),
    "candidate is not checked": (
        {"candidate": {"id": "c2"}},
        None,
        interviews(candidate_id="c1"),
        True,
    ),
    "within": ({"start_at": MARCH}, None, interviews(start_at=BETWEEN), True),
    "at the lower end": (
        {"start_at": "2026-03-01T01:00:00+01:00"},
        None,
        interviews(start_at=BETWEEN),
        True,
    ),
    "at the upper end": ({"start_at": "2026-04-01"}, None, interviews(start_at=BETWEEN), False),
    "below": ({"start_at": "2026-02-28"}, None, interviews(start_at=BETWEEN), False),
    "gt at its end": ({"end_at": MARCH}, None, interviews(end_at={"gt": MARCH}), False),
    "lte at its end": ({"end_at": MARCH}, None, interviews(end_at={"lte": MARCH}), True),
    "no such date-time": ({"end_at": None}, None, interviews(end_at={"lte": MARCH}), True),
    "unreadable date-time": ({"end_at": "x"}, None, interviews(end_at={"lte": MARCH}), True),
    "plain date-time is not checked": (
        {"created_at": MARCH},
        None,
        interviews(created_at="2020-01-01"),
        True,
    ),
    "updated is updated_at": (
        {"updated_at": MARCH},
        None,
        interviews(updated={"lt": "2026-03-01"}),
        False,
    ),
    "one of two filters": (
        {"start_at": MARCH, "application": {"id": "a2"}},
        None,
        interviews(start_at=BETWEEN, application_id="a1"),
        False,
    ),
}


@pytest.mark.parametrize(("row", "since", "settings", "wanted"), ROWS.values(), ids=ROWS)
def test_each_row_is_checked_again(
    row: dict[str, Any], since: str | None, settings: dict[str, Any], wanted: object
) -> None:
    updated = parse_instant(row.get("updated_at"))
    assert query(**settings).wants(row, updated, parse_instant(since)) is wanted
