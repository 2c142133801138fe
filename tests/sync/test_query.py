"""What is asked of Truto for an account, and which of its rows are wanted."""

from __future__ import annotations

from typing import Any

import pytest

from tap_truto_ats.model.declaration import Requirement
from tap_truto_ats.model.instants import parse_instant
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.settings.schema import Settings
from tap_truto_ats.sync.account import Account
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


def query(
    deselected: set[str] | None = None, resource: str = "interviews", **settings: Any
) -> Query:
    config = {"api_token": "no-such-token", "page_size": 50, **settings}
    return Query(RESOURCES[resource], Settings.from_config(config), deselected or set())


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

# Row, settings → wanted?
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "anything": ({}, {}, True),
    "start_date: created before, no updated_at": (
        {"created_at": "2026-02-28T23:59:59Z"},
        {"start_date": "2026-03-01"},
        False,
    ),
    "start_date: created at it, no updated_at": (
        {"created_at": "2026-03-01"},
        {"start_date": "2026-03-01"},
        True,
    ),
    "start_date: created before, updated after": (
        {"created_at": "2026-02-01", "updated_at": MARCH},
        {"start_date": "2026-03-01"},
        True,
    ),
    "start_date: neither": ({"id": 1}, {"start_date": "2026-03-01"}, True),
    "start_date: unreadable": (
        {"created_at": "soon", "updated_at": None},
        {"start_date": "2026-03-01"},
        True,
    ),
    "id matches": ({"application": {"id": "a1"}}, interviews(application_id="a1"), True),
    "id differs": ({"application": {"id": "a2"}}, interviews(application_id="a1"), False),
    "id as a number": ({"application": {"id": 7}}, interviews(application_id="7"), True),
    "filter as a number": ({"application": {"id": "7"}}, interviews(application_id=7), True),
    "no id": ({"application": None}, interviews(application_id="a1"), True),
    "nested id in a wrong shape": (
        {"application": "a2"},
        interviews(application_id="a1"),
        True,
    ),
    "stage differs": (
        {"job_interview_stage": {"id": "s2"}},
        interviews(job_interview_stage_id="s1"),
        False,
    ),
    "candidate is not checked": (
        {"candidate": {"id": "c2"}},
        interviews(candidate_id="c1"),
        True,
    ),
    "within": ({"start_at": MARCH}, interviews(start_at=BETWEEN), True),
    "at the lower end": (
        {"start_at": "2026-03-01T01:00:00+01:00"},
        interviews(start_at=BETWEEN),
        True,
    ),
    "at the upper end": ({"start_at": "2026-04-01"}, interviews(start_at=BETWEEN), False),
    "below": ({"start_at": "2026-02-28"}, interviews(start_at=BETWEEN), False),
    "gt at its end": ({"end_at": MARCH}, interviews(end_at={"gt": MARCH}), False),
    "lte at its end": ({"end_at": MARCH}, interviews(end_at={"lte": MARCH}), True),
    "no such date-time": ({"end_at": None}, interviews(end_at={"lte": MARCH}), True),
    "unreadable date-time": ({"end_at": "x"}, interviews(end_at={"lte": MARCH}), True),
    "plain date-time is not checked": (
        {"created_at": MARCH},
        interviews(created_at="2020-01-01"),
        True,
    ),
    "updated is updated_at": (
        {"updated_at": MARCH},
        interviews(updated={"lt": "2026-03-01"}),
        False,
    ),
    "one of two filters": (
        {"start_at": MARCH, "application": {"id": "a2"}},
        interviews(start_at=BETWEEN, application_id="a1"),
        False,
    ),
}


@pytest.mark.parametrize(("row", "settings", "wanted"), ROWS.values(), ids=ROWS)
def test_each_row_is_checked_again(
    row: dict[str, Any], settings: dict[str, Any], wanted: object
) -> None:
    one = query(**settings)
    assert one.wants(row, one.changed(row)) is wanted


@pytest.mark.parametrize(
    ("row", "changed"),
    [
        ({"updated_at": MARCH, "created_at": "2020-01-01"}, MARCH),
        ({"updated_at": "2026-03-01T14:00:00+02:00"}, MARCH),
        ({"updated_at": "2026-03-01 12:00:00"}, MARCH),
        ({"updated_at": "soon", "created_at": MARCH}, None),
        ({"updated_at": 1772366400}, MARCH),
        ({"updated_at": "Sun, 01 Mar 2026 12:00:00 GMT"}, MARCH),
        ({"updated_at": "03/04/2026"}, None),
        ({"created_at": MARCH}, None),
        ({}, None),
    ],
)
def test_a_row_tells_when_it_changed(row: dict[str, Any], changed: str | None) -> None:
    assert query().changed(row) == parse_instant(changed)
    assert query(resource="job_form_fields").changed(row) is None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"updated_at": "2026-03-01 12:00:00"}, True),
        ({"updated_at": "2026-03-01"}, True),
        ({"updated_at": MARCH, "created_at": "2026-03-01 12:00:00"}, False),
        ({"updated_at": "2026-03-01T12:00:00+01:00"}, False),
        ({"updated_at": 7}, False),
        ({"updated_at": None}, False),
        ({}, False),
    ],
)
def test_a_time_without_a_zone_may_be_local(row: dict[str, Any], expected: object) -> None:
    assert query().is_local(row) is expected
    assert query(resource="job_form_fields").is_local(row) is False


@pytest.mark.parametrize(
    ("resource", "provider", "asked", "trusted"),
    [
        ("interviews", GREENHOUSE, True, True),
        ("interviews", PINPOINT, True, False),
        ("interviews", ASHBY, False, False),
        ("interviews", None, False, False),
        ("candidates", "lever", True, True),
        ("candidates", ASHBY, False, False),
        ("applications", "teamtailor", True, True),
        ("job_form_fields", GREENHOUSE, False, False),
    ],
)
def test_a_provider_may_ignore_that_it_is_asked_for_changes_unless_its_page_names_the_filter(
    resource: str, provider: str | None, asked: object, trusted: object
) -> None:
    one = query(resource=resource)
    assert bool(one.change_parameters(RESOURCES[resource].offer(provider))) is asked
    assert one.is_asking_trusted(account(provider)) is trusted


@pytest.mark.parametrize(
    ("since", "settings", "expected"),
    [
        (None, {}, True),
        (SINCE, {}, False),
        (None, interviews(start_at=GTE), False),
        (None, {"remote_query": {"interviews": {"a": 1}}}, False),
        (None, {"remote_query": {"jobs": {"a": 1}}, "filters": {"jobs": {"a": 1}}}, True),
        (None, {"response_format": "raw"}, False),
        (None, {"response_format": "stream"}, True),
        (None, {"start_date": "2026-01-01"}, True),
    ],
    ids=str,
)
def test_all_rows_of_an_account_are_asked_for(
    since: str | None, settings: dict[str, Any], expected: object
) -> None:
    assert query(**settings).lists_all(account(GREENHOUSE), parse_instant(since)) is expected


def test_where_nothing_can_be_asked_a_bookmark_changes_nothing() -> None:
    assert query().lists_all(account(ASHBY), parse_instant(SINCE))


WINDOW = "2026-05-01T00:00:00.000000+00:00"


@pytest.mark.parametrize(
    ("provider", "given", "params"),
    [
        (ASHBY, {}, {"start_at": {"gte": WINDOW}}),
        (FOUNTAIN, {}, {"end_at": {"gte": WINDOW}}),
        (GREENHOUSE, {}, {}),
        (None, {}, {}),
        (ASHBY, {"start_at": GTE}, {"start_at": GTE}),
        (ASHBY, {"start_at": {"lt": WINDOW}}, {"start_at": {"gte": WINDOW, "lt": WINDOW}}),
    ],
    ids=str,
)
def test_a_part_of_the_schedule_is_asked_for_where_a_provider_has_one(
    provider: str | None, given: dict[str, Any], params: dict[str, Any]
) -> None:
    one = query(**interviews(**given))
    asked = one.params(account(provider), None, parse_instant(WINDOW))
    assert asked == {"integrated_account_id": "acc-1", "limit": 50, **params}


def test_a_row_is_asked_for_by_its_id_with_what_is_deselected_and_no_more() -> None:
    one = query({"status", "remote_data"}, **interviews(start_at=GTE))
    assert one.single_params(account(ASHBY)) == {
        "integrated_account_id": "acc-1",
        "truto_ignore_remote_data": True,
        "truto_exclude_fields": ["status"],
    }


@pytest.mark.parametrize(
    ("response_format", "shaped"),
    [
        ("unified", {"id": 7, "a": 1}),
        ("stream", {"id": 7, "a": 1}),
        ("raw", {"id": 7, "remote_data": {"id": 7, "a": 1}}),
    ],
)
def test_a_row_gets_the_form_of_the_unified_model(
    response_format: str, shaped: dict[str, Any]
) -> None:
    assert query(response_format=response_format).shaped(7, {"id": 7, "a": 1}) == shaped
