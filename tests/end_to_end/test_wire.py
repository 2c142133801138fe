"""Every filter and every Truto parameter as it stands on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest

from sandbox.tables import rows
from tests.harness import deselect, table

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Tap

PATH = "/unified/ats/interviews"
AT = "2026-01-01T00:00:00Z"
ENCODED = "2026-01-01T00%3A00%3A00Z"


def query(sandbox: Sandbox, number: int = 0) -> list[str]:
    """The parameters of a request for interviews, undecoded, but for the account and the limit."""
    text: str = sandbox.requests(PATH)[number]["query"]
    own = ("integrated_account_id=", "limit=")
    return [one for one in text.split("&") if not one.startswith(own)]


IGNORE = "truto_ignore_remote_data=true"

SETTINGS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "defaults": ("ashby", {}, [IGNORE]),
    "raw data": ("ashby", {"include_remote_data": True}, []),
    "ignore_limit": ("ashby", {"ignore_limit": True}, ["truto_ignore_limit=true", IGNORE]),
    "normalized": (
        "ashby",
        {"response_format": "normalized"},
        ["truto_response_format=normalized", IGNORE],
    ),
    "stream": ("ashby", {"response_format": "stream"}, ["truto_response_format=stream", IGNORE]),
    "raw": ("ashby", {"response_format": "raw"}, ["truto_response_format=raw"]),
    "remote_query": (
        "ashby",
        {
            "remote_query": {
                "interviews": {"foo": {"bar": "baz", "deep": {"er": 1}}, "tags": ["a&b", "c d"]}
            }
        },
        [
            IGNORE,
            "remote_query%5Bfoo%5D%5Bbar%5D=baz",
            "remote_query%5Bfoo%5D%5Bdeep%5D%5Ber%5D=1",
            "remote_query%5Btags%5D%5B%5D=a%26b",
            "remote_query%5Btags%5D%5B%5D=c+d",
        ],
    ),
}

FILTERS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "application_id": ("ashby", {"application_id": "a/1"}, ["application_id=a%2F1"]),
    "job_interview_stage_id": (
        "ashby",
        {"job_interview_stage_id": "s1"},
        ["job_interview_stage_id=s1"],
    ),
    "candidate_id": ("fountain", {"candidate_id": "c1"}, ["candidate_id=c1"]),
    "created_at": ("ceipal", {"created_at": AT}, [f"created_at={ENCODED}"]),
    "updated": ("greenhouse", {"updated": {"lt": AT}}, [f"updated%5Blt%5D={ENCODED}"]),
    "start_at": (
        "pinpoint",
        {"start_at": {"gte": AT, "lte": AT}},
        [f"start_at%5Bgte%5D={ENCODED}", f"start_at%5Blte%5D={ENCODED}"],
    ),
    "end_at": ("greenhouse", {"end_at": {"gt": AT}}, [f"end_at%5Bgt%5D={ENCODED}"]),
    "not taken": ("ceipal", {"application_id": "a1", "start_at": {"gt": AT}}, []),
}


@pytest.mark.parametrize(("provider", "settings", "expected"), SETTINGS.values(), ids=SETTINGS)
def test_settings(
    tap: Tap,
    sandbox: Sandbox,
    ids: dict[str, str],
    provider: str,
    settings: dict[str, Any],
    expected: list[str],
) -> None:
    assert tap(integrated_account_ids=[ids[provider]], **settings).code == 0
    assert sorted(query(sandbox)) == sorted(expected)


@pytest.mark.parametrize(("provider", "filters", "expected"), FILTERS.values(), ids=FILTERS)
def test_filters(
    tap: Tap,
    sandbox: Sandbox,
    ids: dict[str, str],
    provider: str,
    filters: dict[str, Any],
    expected: list[str],
) -> None:
    run = tap(integrated_account_ids=[ids[provider]], filters={"interviews": filters})
    assert run.code == 0
    assert sorted(query(sandbox)) == sorted([IGNORE, *expected])


def test_filters_are_checked_where_the_server_does_not(tap: Tap, sandbox: Sandbox) -> None:
    wanted = {"gte": "2026-01-01T00:00:00+01:00", "lt": "2026-04-01T00:00:00Z"}
    edges = ("2025-12-31T23:00:00", "2026-04-01T00:00:00")
    run = tap(filters={"interviews": {"created_at": wanted}})
    assert table(run) == rows(
        row
        for row in sandbox.interviews()
        if row["created_at"] is None or edges[0] <= row["created_at"] < edges[1]
    )
    assert 0 < len(run.records()) < 40


def test_an_application_is_found_at_providers_that_cannot_filter(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    row = sandbox.interviews(ids["pinpoint"])[2]
    wanted = row["application"]["id"]
    run = tap(
        integrated_account_ids=[ids["pinpoint"]],
        filters={"interviews": {"application_id": wanted}},
    )
    assert {one["application"]["id"] for one in run.records()} == {wanted}


def test_page_size_is_sent_as_limit(tap: Tap, sandbox: Sandbox) -> None:
    tap(page_size=7)
    limits = {dict(one["params"])["limit"] for one in sandbox.requests(PATH)}
    assert limits == {"7"}


def test_deselected_fields_are_not_fetched(tap: Tap, sandbox: Sandbox, ids: dict[str, str]) -> None:
    names = ("location", "status", "custom_fields", "created_at", "candidate", "remote_data")
    catalog = deselect(tap.catalog(include_remote_data=True), *names)
    account = ids["pinpoint"]
    run = tap(integrated_account_ids=[account], include_remote_data=True, catalog=catalog)
    excluded = [f"truto_exclude_fields%5B%5D={n}" for n in ("candidate", "created_at")]
    excluded += [f"truto_exclude_fields%5B%5D={n}" for n in ("location", "status")]
    assert sorted(query(sandbox)) == sorted([*excluded, IGNORE])
    columns = run.of("SCHEMA")[0]["schema"]["properties"].keys()
    assert columns.isdisjoint(names)
    assert all(record.keys() == columns for record in run.records())


def test_a_deselected_part_of_a_field_is_left_out(tap: Tap, ids: dict[str, str]) -> None:
    catalog = deselect(tap.catalog(), "application.id")
    run = tap(integrated_account_ids=[ids["pinpoint"]], catalog=catalog)
    assert {str(record["application"]) for record in run.records()} == {"{}"}


def test_raw_data_that_comes_unasked_is_dropped(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    row = {"id": 1, "remote_data": {"email": "someone@example.com"}}
    sandbox.fault(path=PATH, kind="rows", rows=[row])
    catalog = tap.catalog(include_remote_data=True)
    run = tap(integrated_account_ids=[ids["pinpoint"]], catalog=catalog)
    assert run.records()[0]["remote_data"] is None
    assert "example.com" not in run.stdout


def test_a_deselected_stream_is_not_asked_for(tap: Tap, sandbox: Sandbox) -> None:
    run = tap(catalog=deselect(tap.catalog()))
    assert run.code == 0
    assert sandbox.requests(PATH) == []
    assert len(run.records("integrated_accounts")) == 5


def test_accounts_are_found_without_their_stream(tap: Tap, sandbox: Sandbox) -> None:
    run = tap(catalog=deselect(tap.catalog(), stream="integrated_accounts"))
    assert table(run) == rows(sandbox.interviews())
    assert run.records("integrated_accounts") == []


def test_named_accounts_are_not_looked_up_without_their_stream(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    catalog = deselect(tap.catalog(), stream="integrated_accounts")
    run = tap(catalog=catalog, integrated_account_ids=[ids["ashby"]])
    assert table(run) == rows(sandbox.interviews(ids["ashby"]))
    assert [one["path"] for one in sandbox.requests()] == [
        f"/integrated-account/{ids['ashby']}/capabilities",
        PATH,
    ]


@pytest.mark.parametrize(
    "cursor",
    [
        "https://provider.example/v1?after=10&sig=a+b/c==%2F%20",
        "eyJvIjoxMH0+/=",
        "a b&c=d#e",
        "%",
        "ümläut",
        "0",
    ],
)
def test_cursors_are_encoded_once_and_all_else_is_sent_again(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str], cursor: str
) -> None:
    first = {"result": [{"id": "1"}], "next_cursor": cursor}
    last: dict[str, Any] = {"result": [{"id": "2"}]}
    sandbox.fault(path=PATH, kind="body_override", body=first)
    sandbox.fault(path=PATH, kind="body_override", body=last)
    run = tap(
        integrated_account_ids=[ids["ashby"]],
        filters={"interviews": {"start_at": {"gte": AT}}},
        remote_query={"interviews": {"foo": "bar"}},
    )
    assert [row["id"] for row in run.records()] == ["1", "2"]
    one, two = (parse_qsl(seen["query"]) for seen in sandbox.requests(PATH))
    assert two == [*one, ("next_cursor", cursor)]


@pytest.mark.parametrize("cursor", [None, "", "absent"])
def test_the_end_is_null_empty_or_absent(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str], cursor: str | None
) -> None:
    body: dict[str, Any] = {"result": [{"id": "1"}], "next_cursor": cursor}
    if cursor == "absent":
        del body["next_cursor"]
    sandbox.fault(path=PATH, kind="body_override", body=body)
    run = tap(integrated_account_ids=[ids["ashby"]])
    assert (run.code, len(run.records())) == (0, 1)
    assert len(sandbox.requests(PATH)) == 1
