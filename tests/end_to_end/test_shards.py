"""Shards: each account is read by one of several runs, which share a token's limit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats.model.shard import Shard
from tests.harness import Run, started, table

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Tap

COUNT = 3
PATH = "/unified/ats/interviews"
LIST = "/integrated-account"
STREAMS = ("account_syncs", "integrated_accounts", "interviews")


@pytest.fixture
def accounts(sandbox: Sandbox) -> list[str]:
    """The ids of some accounts, some of them in each shard."""
    accounts = [{"provider": "pinpoint", "tenant_id": "acme"}] * 8
    sandbox.reset(accounts=accounts, interviews=2, rate_limits=False)
    found: list[str] = [one["id"] for one in sandbox.accounts()]
    assert {shard_of(one) for one in found} == {*range(COUNT)}
    return found


def shard_of(account_id: str) -> int:
    (index,) = (index for index in range(COUNT) if account_id in Shard(index, COUNT))
    return index


def sync(tap: Tap, index: int, state: dict[str, Any] | None = None, **settings: Any) -> Run:
    run = tap(
        state=state,
        catalog=tap.catalog(*STREAMS),
        **{"shard_count": COUNT, "shard_index": index, "parallel_runs": COUNT, **settings},
    )
    assert run.code == 0, run.stderr
    return run


def known(state: dict[str, Any]) -> set[str]:
    """The accounts that a state knows."""
    streams = state["bookmarks"].values()
    partitions = (one for stream in streams for one in stream.get("partitions", ()))
    return {one["context"]["integrated_account_id"] for one in partitions}


@pytest.mark.parametrize("named", [False, True], ids=["found", "named"])
def test_each_account_is_read_by_one_of_them(
    tap: Tap, sandbox: Sandbox, accounts: list[str], *, named: bool
) -> None:
    names: dict[str, Any] = {"integrated_account_ids": accounts} if named else {}
    runs = [sync(tap, index, None, **names) for index in range(COUNT)]
    for index, run in enumerate(runs):
        own = {one for one in accounts if shard_of(one) == index}
        assert {one["id"] for one in run.records("integrated_accounts")} == own
        assert {one["integrated_account_id"] for one in run.records()} == own
        assert {account for account, _ in run.syncs} == own
        assert known(run.state) == own
    everything = tap(catalog=tap.catalog(*STREAMS))
    assert table(*runs).keys() == table(everything).keys()
    assert len(sandbox.requests(PATH)) == 2 * len(accounts)


@pytest.mark.parametrize("parallel_runs", [COUNT, 1], ids=["told of each other", "not told"])
def test_runs_at_the_same_time_share_the_limit_of_the_token(
    tap: Tap, sandbox: Sandbox, parallel_runs: int
) -> None:
    sandbox.reset(accounts=[{"provider": "pinpoint"}] * 14, interviews=45)
    own: dict[str, Any] = {"parallel_runs": parallel_runs, "page_size": 1}
    several = replace(tap, run=started)
    with ThreadPoolExecutor(COUNT) as pool:
        runs = list(pool.map(lambda index: sync(several, index, None, **own), range(COUNT)))
    assert table(*runs).keys() == {
        (one["integrated_account_id"], one["id"]) for one in sandbox.interviews()
    }
    read = [one for run in runs for one in run.syncs.values() if one["stream"] == "interviews"]
    assert len(read) == 14
    assert all(one["bookmark_after"] for one in read)
    refused = [one for one in sandbox.requests() if one["status"] == 429]
    assert bool(refused) == (parallel_runs == 1)


def test_a_shard_without_accounts_reads_nothing(
    tap: Tap, sandbox: Sandbox, accounts: list[str]
) -> None:
    name = accounts[0]
    run = sync(tap, (shard_of(name) + 1) % COUNT, integrated_account_ids=[name])
    assert not run.records()
    assert not sandbox.requests()


def test_bookmarks_of_other_shards_do_not_count(tap: Tap, accounts: list[str]) -> None:
    state = tap(catalog=tap.catalog(*STREAMS)).state
    assert known(state) == {*accounts}
    run = sync(tap, 1, state)
    own = {one for one in accounts if shard_of(one) == 1}
    assert known(run.state) == own
    assert {one["mode"] for (_, stream), one in run.syncs.items() if stream == "interviews"} == {
        "incremental"
    }
    assert not run.logged("no longer lists")
    assert run.logged(f"The state knows {len(accounts) - len(own)} accounts of other shards.") == 1
    again = sync(tap, 1, run.state)
    assert not again.logged("of other shards")


def test_it_is_told_which_shard_a_run_is_about(tap: Tap, accounts: list[str]) -> None:
    own = sum(shard_of(one) == 2 for one in accounts)
    run = sync(tap, 2)
    assert run.text[0].startswith(f"Accounts of shard 2 of 3: {own} read, 0 failed, 0 skipped.")
    assert run.report["shard"] == "shard 2 of 3"
    assert {(one["shard_index"], one["shard_count"]) for one in run.syncs.values()} == {(2, 3)}
    test = tap("--test", shard_count=COUNT, shard_index=2)
    assert (test.code, test.logged(f"Reading shard 2 of 3: {own} accounts.")) == (0, 1)
    whole = tap(catalog=tap.catalog(*STREAMS))
    assert {(one["shard_index"], one["shard_count"]) for one in whole.syncs.values()} == {
        (None, None)
    }


def test_an_account_that_leaves_is_told_by_its_own_shard(
    tap: Tap, sandbox: Sandbox, accounts: list[str]
) -> None:
    states = [sync(tap, index).state for index in range(COUNT)]
    gone = accounts[0]
    sandbox.account(gone, is_listed=False)
    for index, state in enumerate(states):
        run = sync(tap, index, state)
        told = {account for (account, _), one in run.syncs.items() if one["mode"] == "not listed"}
        assert told == ({gone} if index == shard_of(gone) else set())


def test_the_only_account_of_a_shard_is_told_at_once_when_it_leaves(
    tap: Tap, sandbox: Sandbox, accounts: list[str]
) -> None:
    own: dict[str, Any] = {"shard_count": 10**6}
    own["shard_index"] = int(sha256(accounts[0].encode()).hexdigest(), 16) % own["shard_count"]
    state = sync(tap, 0, **own).state
    assert known(state) == {accounts[0]}
    sandbox.account(accounts[0], is_listed=False)
    run = sync(tap, 0, state, **own)
    assert {one["mode"] for one in run.syncs.values()} == {"not listed", "whole"}
    assert run.logged("Truto no longer lists 1 accounts") == 1


def test_a_tenant_whose_accounts_are_in_other_shards_is_found(tap: Tap, sandbox: Sandbox) -> None:
    sandbox.reset(accounts=[{"provider": "pinpoint", "tenant_id": "acme"}], rate_limits=False)
    (account,) = (one["id"] for one in sandbox.accounts())
    run = sync(tap, (shard_of(account) + 1) % COUNT, tenant_ids=["acme"])
    assert not run.records()
    assert not run.logged("No integrated account was found")


@pytest.mark.usefixtures("accounts")
def test_a_shard_deletes_nothing_of_the_others(tap: Tap) -> None:
    catalog = tap.catalog("interviews")
    for entry in catalog["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    settings: dict[str, Any] = {"shard_index": 0, "emit_activate_version_messages": True}
    run = tap(catalog=catalog, shard_count=COUNT, **settings)
    assert not run.of("ACTIVATE_VERSION")
    assert run.logged("the run covers a part of the accounts (`shard_count`)") == 1
    assert tap(catalog=catalog, shard_count=1, **settings).of("ACTIVATE_VERSION")
