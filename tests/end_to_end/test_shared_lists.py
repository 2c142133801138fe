"""Lists that are both a stream's rows and other streams' parents: fetched once where that is right.

Where the stream's list is not all that the parents are, both are right all the same.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats.model.resources import RESOURCES
from tests.end_to_end.hasty import hasty
from tests.harness import deselect, full_table

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Run, Tap

BASE = "/unified/ats/"

SHARED = sorted(
    {
        (requirement.resource, provider)
        for resource in RESOURCES.values()
        for provider, offer in resource.offers.items()
        for requirement in offer.requires
    }
)
"""Each resource that is parents of others at a provider."""

COUNTS = {"interviews": 5, "candidates": 5, "jobs": 3}


def children(parent: str, provider: str) -> list[str]:
    """The resources that are asked for by it."""
    return [
        resource.name
        for resource in RESOURCES.values()
        if (offer := resource.offers.get(provider))
        and any(requirement.resource == parent for requirement in offer.requires)
    ]


def one_account(sandbox: Sandbox, provider: str, **options: Any) -> str:
    made = sandbox.reset(
        accounts=[{"provider": provider}], rate_limits=False, **{**COUNTS, **options}
    )
    account: str = made[0]["id"]
    return account


def begun(sandbox: Sandbox, resource: str) -> Counter[tuple[Any, ...]]:
    """How often each list of a resource was begun, by its parameters."""
    return Counter(
        tuple(sorted(map(tuple, one["params"])))
        for one in sandbox.requests(BASE + resource)
        if "next_cursor" not in dict(one["params"])
    )


def lists_of(sandbox: Sandbox, resource: str) -> Counter[tuple[Any, ...]]:
    """How often a resource was listed for each parent of its own, or at all, in whatever way."""
    names = {
        requirement.parameter
        for offer in RESOURCES[resource].offers.values()
        for requirement in offer.requires
    }
    found: Counter[tuple[Any, ...]] = Counter()
    for params, count in begun(sandbox, resource).items():
        found[tuple(pair for pair in params if pair[0] in names)] += count
    return found


def keys(found: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["integrated_account_id"], row["id"]) for row in found}


def assert_right(run: Run, sandbox: Sandbox, *streams: str) -> None:
    assert (run.code, run.errors) == (0, [])
    for stream in streams:
        assert keys(run.records(stream)) == keys(sandbox.rows(stream))


@pytest.mark.parametrize(("parent", "provider"), SHARED)
class TestEachOfThem:
    """Every resource that is parents of others, at every provider."""

    @pytest.mark.parametrize("max_concurrency", [1, 50])
    def test_it_is_fetched_once(
        self, sandbox: Sandbox, tap: Tap, parent: str, provider: str, max_concurrency: int
    ) -> None:
        one_account(sandbox, provider)
        streams = (parent, *children(parent, provider))
        run = tap(catalog=tap.catalog(*streams), max_concurrency=max_concurrency, page_size=2)
        assert_right(run, sandbox, *streams)
        assert lists_of(sandbox, parent)
        assert set(lists_of(sandbox, parent).values()) == {1}
        assert len(run.records(parent)) >= len(sandbox.rows(parent))

    def test_read_incrementally_it_is_fetched_for_its_children_too(
        self, sandbox: Sandbox, tap: Tap, parent: str, provider: str
    ) -> None:
        account = one_account(sandbox, provider)
        streams = (parent, *children(parent, provider))
        catalog = tap.catalog("account_syncs", *streams)
        first = tap(catalog=catalog)
        key = sandbox.rows(parent, account)[0]["id"]
        sandbox.change_row(parent, account, key)
        for stream in streams[1:]:
            sandbox.add_row(stream, account)
        sandbox.clear_requests()
        second = tap(catalog=catalog, state=first.state)
        assert (second.code, second.errors) == (0, [])
        assert key in {row["id"] for row in second.records(parent)}
        for stream in streams[1:]:
            found = keys(first.records(stream)) | keys(second.records(stream))
            assert found == keys(sandbox.rows(stream))
        asks = RESOURCES[parent].replication_key and any(
            "updated_at[gte]" in dict(params) for params in begun(sandbox, parent)
        )
        # Where all rows are read and others came than the last time, once more at the end of each.
        again = sum(second.syncs[account, one]["mode"] == "whole" for one in streams[1:])
        least = 1 + bool(asks)
        assert all(least <= n <= least + again for n in lists_of(sandbox, parent).values())

    @pytest.mark.parametrize("emit", [False, True])
    def test_read_whole_it_is_fetched_once_or_for_deletions_again(
        self, sandbox: Sandbox, parent: str, provider: str, *, emit: bool
    ) -> None:
        one_account(sandbox, provider)
        tap = hasty(sandbox)
        streams = (parent, *children(parent, provider))
        catalog = tap.catalog(*streams)
        for stream in streams:
            full_table(catalog, stream)
        run = tap(catalog=catalog, emit_activate_version_messages=emit)
        assert_right(run, sandbox, *streams)
        # Lists by parents are read twice, and their parents before that: rows move between parents.
        is_by_parents = bool(RESOURCES[parent].offers[provider].requires)
        times = lists_of(sandbox, parent).values()
        assert min(times) >= 1 + emit
        assert max(times) <= (len(streams) + is_by_parents if emit else 1)
        activated = {one["stream"] for one in run.messages if one["type"] == "ACTIVATE_VERSION"}
        assert activated == (set(streams) if emit else set())

    def test_where_the_children_alone_are_to_be_deleted_both_are_right(
        self, sandbox: Sandbox, tap: Tap, parent: str, provider: str
    ) -> None:
        one_account(sandbox, provider)
        streams = (parent, *children(parent, provider))
        catalog = tap.catalog(*streams)
        for stream in streams[1:]:
            full_table(catalog, stream)
        run = hasty(sandbox)(catalog=catalog, emit_activate_version_messages=True, page_size=2)
        assert_right(run, sandbox, *streams)
        activated = {one["stream"] for one in run.messages if one["type"] == "ACTIVATE_VERSION"}
        assert activated == set(streams[1:])


VARIATIONS: dict[str, dict[str, Any]] = {
    "pages of one row": {"page_size": 1},
    "raw": {"response_format": "raw"},
    "normalized": {"response_format": "normalized"},
    "stream": {"response_format": "stream"},
    "raw data": {"include_remote_data": True},
    "fetched one by one": {"hydrate": ["candidates", "jobs"]},
    "the limit ignored": {"ignore_limit": True},
}
PAIRS = [
    ("candidates", "fountain", "interviews"),
    ("candidates", "jobscore", "applications"),
    ("candidates", "breezy", "scorecards"),
    ("jobs", "loxo", "applications"),
    ("jobs", "lever", "job_form_fields"),
    ("candidates", "ashby", "activities"),
]


@pytest.mark.parametrize(("parent", "provider", "child"), PAIRS)
class TestVariations:
    """Ways of reading the stream that leave out some parents, or some of what they tell."""

    @pytest.mark.parametrize("settings", VARIATIONS.values(), ids=VARIATIONS)
    def test_both_are_right_however_they_are_read(
        self,
        sandbox: Sandbox,
        parent: str,
        provider: str,
        child: str,
        settings: dict[str, Any],
    ) -> None:
        account = one_account(sandbox, provider)
        tap = hasty(sandbox)
        run = tap(catalog=tap.catalog(parent, child), **settings)
        assert (run.code, run.errors) == (0, [])
        count = len(sandbox.rows(parent, account))
        assert len(keys(run.records(parent))) == count
        assert len(keys(run.records(child))) == len(sandbox.rows(child, account))

    @pytest.mark.parametrize(
        "settings",
        [
            {"start_date": "2031-01-01T00:00:00Z"},
            {
                "filters": {
                    "jobs": {"created_at": {"gte": "2031-01-01T00:00:00Z"}},
                    "candidates": {"created_at": {"gte": "2031-01-01T00:00:00Z"}},
                }
            },
            {"remote_query": {"jobs": {"x": "1"}, "candidates": {"x": "1"}}},
        ],
        ids=["start_date", "filters", "remote_query"],
    )
    def test_what_rules_out_parents_rules_out_no_child(
        self,
        sandbox: Sandbox,
        tap: Tap,
        parent: str,
        provider: str,
        child: str,
        settings: dict[str, Any],
    ) -> None:
        account = one_account(sandbox, provider)
        # Rows that do not tell when they came into being pass any date.
        run = tap(catalog=tap.catalog(parent, child), **settings)
        assert (run.code, run.errors) == (0, [])
        if "start_date" not in settings:
            assert keys(run.records(child)) == keys(sandbox.rows(child))
        names = {
            requirement.parameter
            for requirement in RESOURCES[child].offers[provider].requires
            if requirement.resource == parent
        }
        asked = {
            dict(one["params"])[name] for one in sandbox.requests(BASE + child) for name in names
        }
        assert asked == {row["id"] for row in sandbox.rows(parent, account)}

    def test_a_deselected_stream_is_no_less_its_childrens_parents(
        self, sandbox: Sandbox, tap: Tap, parent: str, provider: str, child: str
    ) -> None:
        one_account(sandbox, provider)
        run = tap(catalog=deselect(tap.catalog(parent, child), stream=parent))
        assert_right(run, sandbox, child)
        assert run.records(parent) == []
        assert set(lists_of(sandbox, parent).values()) == {1}

    def test_deselected_columns_hide_no_parent(
        self, sandbox: Sandbox, tap: Tap, parent: str, provider: str, child: str
    ) -> None:
        one_account(sandbox, provider)
        entry = next(one for one in tap.catalog()["streams"] if one["tap_stream_id"] == parent)
        columns = set(entry["schema"]["properties"]) - {"id", "integrated_account_id"}
        run = tap(catalog=deselect(tap.catalog(parent, child), *columns, stream=parent))
        assert_right(run, sandbox, parent, child)
        kept = {"id", "integrated_account_id", "updated_at"}  # the key, and what a bookmark needs
        assert all(row.keys() <= kept for row in run.records(parent))
        assert set(lists_of(sandbox, parent).values()) == {1}

    def test_a_stream_map_that_drops_the_rows_drops_no_parent(
        self, sandbox: Sandbox, tap: Tap, parent: str, provider: str, child: str
    ) -> None:
        one_account(sandbox, provider)
        maps = {parent: {"__filter__": "False"}}
        run = tap(catalog=tap.catalog(parent, child), stream_maps=maps)
        assert_right(run, sandbox, child)
        assert run.records(parent) == []
        assert set(lists_of(sandbox, parent).values()) == {1}

    @pytest.mark.parametrize(
        "doubt",
        [
            {"kind": "null_result", "times": 3},
            {"status": 204, "times": 3},
            {"kind": "rows", "rows": [{"id": None}]},
            {"kind": "rows", "rows": []},
        ],
        ids=["null", "nothing", "a row without an id", "no rows"],
    )
    def test_a_list_in_doubt_is_no_list_of_parents(
        self,
        sandbox: Sandbox,
        parent: str,
        provider: str,
        child: str,
        doubt: dict[str, Any],
    ) -> None:
        one_account(sandbox, provider)
        sandbox.fault(path=BASE + parent, **doubt)
        tap = hasty(sandbox)
        run = tap(catalog=tap.catalog(parent, child), max_concurrency=1, max_retries=8)
        assert (run.code, run.errors) == (0, [])
        if doubt.get("rows") != []:
            assert keys(run.records(child)) == keys(sandbox.rows(child))
        else:
            # An empty list is one that can be believed.
            assert max(lists_of(sandbox, parent).values()) == 1

    def test_a_list_that_fails_for_the_stream_is_asked_for_once_for_its_children(
        self, sandbox: Sandbox, tap: Tap, parent: str, provider: str, child: str
    ) -> None:
        account = one_account(sandbox, provider)
        sandbox.fault(path=BASE + parent, status=403)
        run = tap(catalog=tap.catalog(parent, child), max_concurrency=1)
        assert run.code == 1
        assert all(account in error for error in run.errors)
        found = keys(run.records(child))
        assert found <= keys(sandbox.rows(child))
        assert max(lists_of(sandbox, parent).values()) <= 2


def test_a_parent_that_appears_while_the_stream_is_read_is_asked_for_in_the_next_run(
    sandbox: Sandbox, tap: Tap
) -> None:
    account = one_account(sandbox, "jobscore")
    catalog = tap.catalog("candidates", "applications")
    first = tap(catalog=catalog)
    sandbox.add_row("candidates", account)
    sandbox.add_row("applications", account)
    second = tap(catalog=catalog, state=first.state)
    for stream in ("candidates", "applications"):
        found = keys(first.records(stream)) | keys(second.records(stream))
        assert found == keys(sandbox.rows(stream))


def test_read_whole_for_deletions_the_pages_of_a_stream_are_its_childrens_parents(
    sandbox: Sandbox, tap: Tap
) -> None:
    """Of several pages, each is fetched twice, since rows move; and twice again for new parents."""
    one_account(sandbox, "jobscore", candidates=6)
    streams = ("candidates", "applications")
    catalog = tap.catalog(*streams)
    for stream in streams:
        full_table(catalog, stream)
    run = tap(catalog=catalog, emit_activate_version_messages=True, page_size=2)
    assert_right(run, sandbox, *streams)
    assert len(sandbox.requests(BASE + "candidates")) == (2 + 2) * 3
