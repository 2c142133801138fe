"""What a state may hold that is given, and when the states come that are sent."""

from __future__ import annotations

import io
import itertools
import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.tables import rows
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.singer import writer
from tap_truto_ats.singer.inputs import Context
from tap_truto_ats.sync.bookmarks import PARTITION_KEY
from tap_truto_ats.tap import TapTrutoAts
from tests.end_to_end.hasty import CONSTANTS, hasty, stopped
from tests.harness import Run, Tap, full_table, spread, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.control import Sandbox

BASE = "/unified/ats/"
PATH = BASE + "interviews"
VARIOUS = ("ashby", "breezy", "fountain", "greenhouse", "jobscore", "pinpoint")
LATE, EARLY = "2026-03-01T00:00:00.000000+00:00", "2025-02-01T00:00:00.000000+00:00"


def partition(account: Any, value: Any = LATE, **others: Any) -> dict[str, Any]:
    context = {"integrated_account_id": account}
    known = {"replication_key": "updated_at", "replication_key_value": value}
    return {"context": context, **known, **others}


def of_partitions(partitions: Any) -> dict[str, Any]:
    return {"bookmarks": {"interviews": {"partitions": partitions}}}


REFUSED: dict[str, Any] = {
    "a list as id": of_partitions([partition([1])]),
    "null as id": of_partitions([partition(None)]),
    "a number as id": of_partitions([partition(7)]),
    "true as id": of_partitions([partition(True)]),  # noqa: FBT003 - a value
    "an object as id": of_partitions([partition({"id": "a"})]),
    "one odd id among good ones": of_partitions([partition("a"), partition([1]), partition("b")]),
    "a context that is a list": of_partitions([{"context": ["a"]}]),
    "a context that is a text": of_partitions([{"context": "a"}]),
    "partitions that are an object": of_partitions({"a": partition("a")}),
    "partitions that are a text": of_partitions("a"),
    "partitions that are a number": of_partitions(3),
    "partitions that are null": of_partitions(None),
    "a partition that is null": of_partitions([None]),
    "a partition that is a list": of_partitions([["a", LATE]]),
    "a partition that is a text": of_partitions(["a"]),
    "a stream that is null": {"bookmarks": {"interviews": None}},
    "a stream that is a list": {"bookmarks": {"interviews": [partition("a")]}},
    "a stream that is a text": {"bookmarks": {"interviews": LATE}},
    "bookmarks that are null": {"bookmarks": None},
    "bookmarks that are a list": {"bookmarks": [of_partitions([])]},
    "something else": {"foo": 1},
    "something else in a message": {"type": "STATE", "value": {"foo": 1}},
    "null in what Meltano prints": {"singer_state": None},
    "an odd id in what Meltano prints": {"singer_state": of_partitions([partition([1])])},
    "another stream's": {"bookmarks": {"jobs": {"partitions": [partition([1])]}}},
    "progress markers that are a text": {"bookmarks": {"interviews": {"progress_markers": "x"}}},
    "progress markers that are null": {"bookmarks": {"interviews": {"progress_markers": None}}},
}


@pytest.mark.parametrize("state", REFUSED.values(), ids=REFUSED)
def test_a_state_of_an_odd_shape_is_refused_in_a_line(
    tap: Tap, sandbox: Sandbox, state: dict[str, Any]
) -> None:
    run = tap(state=state)
    assert (run.code, run.stdout) == (1, "")
    assert "Traceback" not in run.stderr
    (line,) = (one for one in run.stderr.splitlines() if one.startswith("Error: "))
    assert line.startswith("Error: --state: ")
    assert 'state.json holds no Singer state, such as {"bookmarks": {…}}: ' in line
    assert sandbox.requests() == []


READ: dict[str, Callable[[str], Any]] = {
    "an empty one": lambda _: {},
    "no streams": lambda _: {"bookmarks": {}},
    "no partitions": lambda _: {"bookmarks": {"interviews": {}}},
    "empty partitions": lambda _: of_partitions([]),
    "no context": lambda _: of_partitions([{"replication_key_value": LATE}]),
    "a context that is null": lambda _: of_partitions([{"context": None}]),
    "an empty context": lambda _: of_partitions([{"context": {}}] * 2),
    "another context": lambda _: of_partitions([{"context": {"tenant": [1]}}]),
    "an empty id": lambda _: of_partitions([partition("")]),
    "no bookmark": lambda a: of_partitions([{"context": {"integrated_account_id": a}}]),
    "a bookmark that is null": lambda a: of_partitions([partition(a, None)]),
    "a bookmark that is a number": lambda a: of_partitions([partition(a, 1.5)]),
    "a bookmark that is a list": lambda a: of_partitions([partition(a, [LATE])]),
    "a bookmark that is an object": lambda a: of_partitions([partition(a, {"at": LATE})]),
    "a bookmark in words": lambda a: of_partitions([partition(a, "yesterday")]),
    "another replication key": lambda a: of_partitions([partition(a, replication_key="id")]),
    "a replication key that is a list": lambda a: of_partitions([partition(a, replication_key=[])]),
    "a bookmark without its key": lambda a: of_partitions(
        [{"context": {"integrated_account_id": a}, "replication_key_value": LATE}]
    ),
    "a stream that is none": lambda _: {
        "bookmarks": {"nonsense": {"partitions": [partition("a")]}}
    },
    "a bookmark of the whole stream": lambda _: {
        "bookmarks": {
            "interviews": {"replication_key": "updated_at", "replication_key_value": LATE}
        }
    },
    "progress markers": lambda _: {
        "bookmarks": {"interviews": {"progress_markers": {"Note": "x"}}}
    },
    "marks of an odd shape": lambda a: of_partitions(
        [
            partition(
                a,
                None,
                whole_read_at=[1],
                rows_checksum={"a": 1},
                undated_rows="yes",
                missing_since=7,
                scope=[1],
                read_at="9999-12-31T23:59:59.999999Z",
            )
        ]
    ),
    "twice, once without a bookmark": lambda a: of_partitions([partition(a), partition(a, None)]),
}


@pytest.mark.parametrize(("state", "whole"), spread(READ.values(), [False, True]))
def test_a_state_that_tells_nothing_of_an_account_has_it_read_whole(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str], state: Callable[[str], Any], *, whole: bool
) -> None:
    account = ids["pinpoint"]
    catalog = full_table(tap.catalog()) if whole else None
    run = tap(
        state=state(account),
        catalog=catalog,
        integrated_account_ids=[account],
        emit_activate_version_messages=whole,
    )
    assert (run.code, run.errors) == (0, [])
    assert "Traceback" not in run.stderr
    assert table(run) == rows(sandbox.interviews(account))
    # What comes out can be given again.
    again = tap(state=run.state, catalog=catalog, integrated_account_ids=[account])
    assert (again.code, again.errors) == (0, [])


@pytest.mark.parametrize(
    "checksum", ["12", [1], {"a": 1}, 1.5, True, -1, None], ids=lambda one: type(one).__name__
)
def test_a_checksum_of_an_odd_shape_is_that_of_other_rows(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str], checksum: Any
) -> None:
    account = ids["pinpoint"]
    state = of_partitions([partition(account, rows_checksum=checksum)])
    run = tap(state=state, integrated_account_ids=[account])
    assert (run.code, run.errors) == (0, [])
    assert "Traceback" not in run.stderr
    found = {row["id"] for row in run.records()}
    assert found >= {row["id"] for row in sandbox.interviews(account) if row["updated_at"] >= LATE}


WRAPPED: dict[str, Callable[[Any], Any]] = {
    "a state": lambda state: state,
    "what `meltano state get` prints": lambda state: {"singer_state": state},
    "a whole STATE message": lambda state: {"type": "STATE", "value": state},
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_a_state_counts_in_whatever_it_comes(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str], wrap: Callable[[Any], Any]
) -> None:
    account = ids["pinpoint"]
    state = wrap(of_partitions([partition(account)]))
    run = tap(state=state, integrated_account_ids=[account], lookback_seconds=0)
    assert (run.code, run.errors) == (0, [])
    assert dict(sandbox.requests(PATH)[0]["params"])["updated_at[gte]"] == LATE
    assert run.state.keys() == {"bookmarks"}


class TestFuture:
    """Behind a bookmark in the future no row comes, and no clock can have set it."""

    FUTURE = "2126-03-01T00:00:00.000000+00:00"
    WORDS = "in the future"

    def test_each_stream_warns_once(self, tap: Tap, ids: dict[str, str]) -> None:
        late = [partition(ids[name], self.FUTURE) for name in ("pinpoint", "ceipal")]
        state = {
            "bookmarks": {
                "interviews": {"partitions": [*late, partition(ids["greenhouse"])]},
                "jobs": {"partitions": late[:1]},
                "users": {"partitions": [partition(ids["pinpoint"])]},
            }
        }
        run = tap(state=state, catalog=tap.catalog("interviews", "jobs", "users"))
        assert (run.code, run.errors) == (0, [])
        lines = [one for one in run.log if self.WORDS in one]
        assert len(lines) == 2
        assert all("WARNING" in one and self.FUTURE in one for one in lines)
        assert sorted("of interviews" in one for one in lines) == [False, True]
        (line,) = (one for one in lines if "of interviews" in one)
        assert "for 2 accounts" in line
        assert run.bookmarks[ids["pinpoint"]] == self.FUTURE
        assert {ids["pinpoint"], ids["ceipal"]}.isdisjoint(key[0] for key in table(run))

    @pytest.mark.parametrize(("start", "warnings"), [("2126-03-01", 1), ("2020-03-01", 0)])
    def test_a_start_in_the_future_is_warned_of_once(
        self, tap: Tap, start: str, warnings: int
    ) -> None:
        run = tap(catalog=tap.catalog("interviews", "jobs"), start_date=start)
        assert (run.code, run.errors) == (0, [])
        assert run.logged(f"'start_date' is {self.WORDS}") == warnings
        assert not warnings or not any(one["updated_at"] for one in run.records())

    @pytest.mark.parametrize("whole", [False, True])
    def test_none_is_warned_of_that_is_not_used(
        self, tap: Tap, ids: dict[str, str], *, whole: bool
    ) -> None:
        value = self.FUTURE if whole else LATE
        state = of_partitions([partition(ids["pinpoint"], value)])
        catalog = full_table(tap.catalog()) if whole else None
        run = tap(state=state, catalog=catalog)
        assert run.code == 0
        assert run.logged(self.WORDS) == 0


UNREAD: dict[str, Callable[[str], dict[str, Any]]] = {
    "a bookmark of the whole stream": lambda _: {
        "replication_key": "updated_at",
        "replication_key_value": LATE,
    },
    "a bookmark by its field": lambda _: {"updated_at": LATE},
    "bookmarks by account": lambda account: {account: {"updated_at": LATE}},
    "no date-time": lambda account: {"partitions": [partition(account, "yesterday")]},
    "a date-time after all": lambda account: {"partitions": [partition(account, "10000-01-01")]},
    "of another field": lambda account: {
        "partitions": [{**partition(account), "replication_key": "created_at"}]
    },
    "of no account": lambda account: {
        "partitions": [{**partition(account), "context": {"account_id": account}}]
    },
}
"""Bookmarks that do not count."""


@pytest.mark.parametrize("make", UNREAD.values(), ids=UNREAD)
def test_that_all_is_read_in_spite_of_bookmarks_is_said_once(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str], make: Callable[[str], dict[str, Any]]
) -> None:
    run = tap(state={"bookmarks": {"interviews": make(ids["pinpoint"])}})
    assert (run.code, run.errors) == (0, [])
    assert table(run) == rows(sandbox.interviews())
    words = "Of the state's bookmarks of interviews, 1 cannot be read"
    assert [words in line for line in run.log if "WARNING" in line] == [True]


def test_a_state_of_another_tap_costs_one_warning(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    late = {"partitions": [partition(ids["pinpoint"])]}
    run = tap(state={"bookmarks": {"talks": late, "issues": {}, "interviews": {}}})
    assert (run.code, run.errors) == (0, [])
    assert table(run) == rows(sandbox.interviews())
    words = "streams that do not exist, which do not count: issues, talks."
    assert [words in line for line in run.log if "WARNING" in line] == [True]


@pytest.mark.parametrize("values", [(EARLY, LATE), (LATE, EARLY)])
def test_of_a_partition_that_comes_twice_the_earlier_counts(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str], values: tuple[str, str]
) -> None:
    account, other = ids["pinpoint"], ids["ceipal"]
    given = [partition(account, value) for value in values]
    state = of_partitions([given[0], partition(other), given[1]])
    run = tap(state=state, integrated_account_ids=[account, other], lookback_seconds=0)
    assert run.code == 0
    asked = {
        dict(one["params"])["integrated_account_id"]: dict(one["params"])["updated_at[gte]"]
        for one in sandbox.requests(PATH)
    }
    assert asked == {account: EARLY, other: LATE}
    partitions = run.state["bookmarks"]["interviews"]["partitions"]
    names = [one["context"]["integrated_account_id"] for one in partitions]
    assert sorted(names) == sorted([account, other])


def test_partitions_with_more_in_their_context_are_those_of_their_account(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    account = ids["pinpoint"]
    one = partition(account)
    one["context"] |= {"page": 1}
    tap(state=of_partitions([one]), integrated_account_ids=[account], lookback_seconds=0)
    (asked,) = sandbox.requests(PATH)
    assert dict(asked["params"])["updated_at[gte]"] == LATE


def accounts_of(state: dict[str, Any]) -> set[str]:
    """The accounts of which a state holds something."""
    partitions = state["bookmarks"].get("interviews", {}).get("partitions", ())
    return {one["context"]["integrated_account_id"] for one in partitions}


class Clock:
    """A clock that goes on by itself with each look at it."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 1000.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


class TestTimes:
    """At most one STATE every few seconds, and none owed for longer."""

    @staticmethod
    def in_process(tap: Tap, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Run:
        """Run it here, where its clock can be another."""
        buffer = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=buffer))
        catalog = settings.pop("catalog", None) or tap.catalog()
        TapTrutoAts(config=tap.config(**settings), catalog=catalog).sync_all()
        return Run(0, buffer.getvalue().decode(), "")

    @pytest.mark.parametrize(
        ("step", "states"),
        [
            # So many seconds pass from page to page.
            (0.001, 1),
            (writer.STATE_SECONDS / 2 + 0.01, 20),
            (writer.STATE_SECONDS + 0.01, 40),
        ],
    )
    def test_there_are_as_many_as_the_seconds_allow(
        self,
        sandbox: Sandbox,
        tap: Tap,
        monkeypatch: pytest.MonkeyPatch,
        step: float,
        states: int,
    ) -> None:
        sandbox.reset(accounts=[{"provider": "pinpoint"}] * 40, interviews=2, rate_limits=False)
        clock = Clock(step)
        monkeypatch.setattr(writer, "time", clock)
        run = self.in_process(tap, monkeypatch, max_concurrency=1)
        held = [
            len(one["bookmarks"].get("interviews", {}).get("partitions", ())) for one in run.states
        ]
        # One more comes after the accounts, and the last of the others may be the end's.
        assert states <= len([one for one in held if one]) <= states + 1
        assert held[-1] == 40
        assert held == sorted(held)

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "delay", "seconds": 60},
            {"status": 429, "headers": {"Retry-After": "60"}},
            {"kind": "headers", "headers": {"ratelimit-remaining": "0", "ratelimit-reset": "60"}},
        ],
        ids=["hangs", "has to wait", "has no quota left"],
    )
    @pytest.mark.parametrize("seconds", [0.0, 0.2])
    def test_none_is_owed_while_an_account_makes_no_progress(
        self,
        sandbox: Sandbox,
        tap: Tap,
        ids: dict[str, str],
        fault: dict[str, Any],
        seconds: float,
    ) -> None:
        slow = ids["pinpoint"]
        sandbox.fault(path=PATH, integrated_account_id=slow, **fault)
        others = set(ids.values()) - {slow}

        def are_out(written: str) -> bool:
            lines = [line for line in written.split("\n")[:-1] if '"STATE"' in line]
            return bool(lines) and accounts_of(json.loads(lines[-1])["value"]) == others

        constants = {"tap_truto_ats.singer.writer:STATE_SECONDS": seconds}
        run = stopped(tap, are_out, constants, page_size=3)
        assert accounts_of(run.state) == others

    def test_none_is_owed_while_answers_hold_no_rows(self, sandbox: Sandbox, tap: Tap) -> None:
        parents = 300
        accounts = [{"provider": "fountain", "candidates": parents, "interviews": 0}]
        made = sandbox.reset(accounts=[*accounts, {"provider": "pinpoint"}], rate_limits=False)
        slow, other = [one["id"] for one in made]
        delay = {"kind": "delay", "seconds": 0.1, "times": None}
        sandbox.fault(path=PATH, integrated_account_id=slow, **delay)

        def is_out(written: str) -> bool:
            lines = [line for line in written.split("\n")[:-1] if '"STATE"' in line]
            return any(other in accounts_of(json.loads(line)["value"]) for line in lines)

        constants = CONSTANTS | {"tap_truto_ats.singer.writer:STATE_SECONDS": 0.5}
        stopped(tap, is_out, constants, max_concurrency=2)
        asked = [dict(one["params"])["integrated_account_id"] for one in sandbox.requests(PATH)]
        assert asked.count(slow) < parents

    def test_none_is_owed_while_an_account_of_many_parents_is_read(self, sandbox: Sandbox) -> None:
        accounts = [{"provider": "fountain", "candidates": 40}] + [{"provider": "pinpoint"}] * 3
        made = sandbox.reset(accounts=accounts, interviews=40, rate_limits=False)
        slow, *others = [one["id"] for one in made]
        run = hasty(sandbox)(max_concurrency=1)
        held: list[set[str]] = []
        of_slow = [0]
        for one in run.messages:
            if one["type"] == "STATE":
                held.append(accounts_of(one["value"]))
                of_slow.append(0)
            elif one["type"] == "RECORD" and one["record"].get("integrated_account_id") == slow:
                of_slow[-1] += 1
        first = held.index(set(others))
        assert sum(of_slow[first + 1 :]) >= 30

    @pytest.mark.parametrize("max_concurrency", [1, 10])
    def test_each_comes_after_its_rows(self, sandbox: Sandbox, max_concurrency: int) -> None:
        sandbox.reset(providers=VARIOUS, interviews=4, candidates=3, jobs=2, rate_limits=False)
        tap = hasty(sandbox)
        run = tap(
            catalog=tap.catalog(*RESOURCES),
            page_size=2,
            max_concurrency=max_concurrency,
            include_eeocs=True,
        )
        truth = {
            name: {(row["integrated_account_id"], row["id"]) for row in sandbox.rows(name)}
            for name in RESOURCES
        }
        assert len(run.states) > 30
        out: set[tuple[str, str, str]] = set()
        for message in run.messages:
            if message["type"] == "RECORD":
                record = message["record"]
                out.add((message["stream"], record["integrated_account_id"], record["id"]))
            elif message["type"] == "STATE":
                for name, stream in message["value"]["bookmarks"].items():
                    for one in stream.get("partitions", ()):
                        account = one["context"]["integrated_account_id"]
                        keys = {key for key in truth[name] if key[0] == account}
                        assert {(name, *key) for key in keys} <= out

    def test_no_two_follow_each_other_that_are_the_same(self, sandbox: Sandbox) -> None:
        sandbox.reset(providers=VARIOUS, interviews=4, candidates=3, jobs=2, rate_limits=False)
        tap = hasty(sandbox)
        catalog = tap.catalog("integrated_accounts", *RESOURCES)
        run = tap(catalog=catalog, max_concurrency=5, include_eeocs=True)
        texts = [json.dumps(one) for one in run.messages]
        assert not [
            one for one, after in itertools.pairwise(texts) if one == after and '"STATE"' in one
        ]

    @pytest.mark.parametrize("streams", [("jobs",), ("interviews", "jobs", "users")])
    def test_one_comes_at_the_end(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], streams: tuple[str, ...]
    ) -> None:
        run = tap(catalog=tap.catalog("integrated_accounts", *streams))
        assert run.messages[-1]["type"] == "STATE"
        assert len(run.states) <= 3
        # Also where an account fails, and where nothing is new.
        sandbox.fault(path=BASE, integrated_account_id=ids["ashby"], status=403, times=None)
        again = tap(catalog=tap.catalog("integrated_accounts", *streams), state=run.state)
        assert again.code == 1
        assert again.messages[-1]["type"] == "STATE"
        assert again.state["bookmarks"].keys() == run.state["bookmarks"].keys()

    def test_bytes_of_states_are_few(self, sandbox: Sandbox, tap: Tap) -> None:
        accounts = [{"provider": "greenhouse"}] * 20
        sandbox.reset(accounts=accounts, interviews=2, candidates=2, jobs=2, rate_limits=False)
        run = tap(catalog=tap.catalog("interviews", "candidates", "jobs", "users"))
        assert run.code == 0
        assert len(run.states) <= 4


def test_what_is_checked_is_what_names_an_account() -> None:
    assert Context.__struct_fields__ == (PARTITION_KEY,)
