"""Whatever happens to source, tap and state: after an undisturbed run, the table is the source."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from sandbox.control import Sandbox
from sandbox.tables import interviews
from sandbox.world import INTERVIEWING
from tests.end_to_end.convergence.history import (
    CHANGES,
    ENDINGS,
    FAULTS,
    ORDERS,
    STREAMS,
    UPSETS,
    WANDERINGS,
    Change,
    Disturbance,
    History,
    Place,
    keyed,
)
from tests.end_to_end.convergence.stand import Stand, stand
from tests.end_to_end.test_targets import FAST, load
from tests.end_to_end.test_targets import settings as target_settings
from tests.forks import Program, keeping
from tests.harness import PROCESS, TAP, Run, Tap, full_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.postgres import Postgres

WANTED = int(os.environ.get("CONVERGENCE_HISTORIES") or 0)
"""More histories than the usual, and other ones in each run."""

ASKED_BY_PARENTS = ("breezy", "jobscore", "jobscore", "loxo", "sagehr")

BUDGET = 40
PARTS = 4
"""Tests that the histories are shared out to, for as many cores."""

# Bookmarks, and offsets that rows slip through, are where histories go wrong.
PROVIDER = st.sampled_from(
    [*sorted(INTERVIEWING), "greenhouse", "pinpoint", "pinpoint", *ASKED_BY_PARENTS]
)
SKEW = st.sampled_from([0, 0, -600, 600, -1200, 1200, -5 * 3600, 9 * 3600])
FORMAT = st.sampled_from(["unified", "unified", "normalized", "stream"])
JUMP = st.sampled_from([0, -60, 60, -30, 30])
SUMMER_TIME = st.sampled_from([-3600, 3600])
SECONDS = st.sampled_from([0, 0, 5, 45, 90, 200, 200, 3600, 2 * 86_400])
ACCOUNT = st.integers(0, 2)
ROW = st.integers(0, 8)
RESOURCE = st.integers(0, 3)
TIMES = st.integers(1, 3)

PLACES = st.lists(
    st.builds(
        Place,
        provider=PROVIDER,
        interviews=st.integers(1, 9),
        order=st.sampled_from([*ORDERS, "oldest change first"]),
        skew=SKEW,
        zoneless=st.booleans(),
        is_undated=st.sampled_from([False, False, False, True]),
    ),
    min_size=1,
    max_size=3,
)

HAPPENINGS = st.lists(
    st.builds(
        Change,
        what=st.sampled_from([*CHANGES, "change", "delete"]),
        account=ACCOUNT,
        row=ROW,
        after=SECONDS,
        resource=RESOURCE,
    ),
    min_size=1,
    max_size=6,
)


def disturbances(*whats: str, most: int) -> st.SearchStrategy[list[Disturbance]]:
    """At requests for accounts."""
    one = st.builds(
        Disturbance,
        what=st.sampled_from(whats),
        account=ACCOUNT,
        skip=st.integers(0, 6),
        times=TIMES,
        row=ROW,
        resource=RESOURCE,
    )
    return st.lists(one, min_size=1, max_size=most)


MOVES = disturbances(*CHANGES, "change", "delete", most=8)
ENDS = disturbances(*ENDINGS, most=1)
ILLS = disturbances(*FAULTS, *WANDERINGS, *WANDERINGS, *UPSETS, most=3)
LISTING_ILLS = st.lists(
    st.builds(
        Disturbance,
        what=st.sampled_from([*ENDINGS, *FAULTS]),
        skip=st.integers(0, 1),
        times=TIMES,
    ),
    min_size=1,
    max_size=1,
)


def together(*strategies: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[list[Any]]:
    return st.tuples(*strategies).map(lambda lists: [one for some in lists for one in some])


DISTURBANCES = st.one_of(
    MOVES, MOVES, ENDS, ILLS, LISTING_ILLS, together(MOVES, ENDS), together(MOVES, ILLS)
)
BYTES = st.one_of(st.integers(0, 4000), st.integers(4000, 9000), st.integers(4000, 9000))
"""SCHEMA messages and the accounts take the first 4,000."""


@cache
def stage() -> tuple[Stand, Program, Path]:
    """What all histories of this process share: the source, the tap, its files."""
    source = PROCESS.enter_context(stand())
    # A retry waits a random part of half a second at first, and longer each time. Whoever reads
    # pages of one row twice waits for Truto's limits, which the source does not enforce.
    constants = {
        "tap_truto_ats.sync.retries:FIRST_WAIT": 0.001,
        "tap_truto_ats.singer.writer:STATE_SECONDS": 0.0,
        "tap_truto_ats.sync.progress:NOTE_SECONDS": 0.0,
        "tap_truto_ats.api.limits:PERIOD": 0.0,
    }
    tap = PROCESS.enter_context(keeping(Path(TAP), constants))
    folder = Path(PROCESS.enter_context(tempfile.TemporaryDirectory()))
    return source, tap, folder


class Histories(RuleBasedStateMachine):
    """What can happen, in any order."""

    history: History
    totals: ClassVar[Counter[str]] = Counter()

    @initialize(
        places=PLACES,
        request_seconds=st.sampled_from([1, 0.2, 30, 600]),
        page_size=st.integers(1, 3),
        max_concurrency=st.sampled_from([1, 4]),
        response_format=FORMAT,
        named=st.booleans(),
        window=st.sampled_from([None, None, 1, 14]),
        whole=st.sampled_from([False, False, False, True]),
    )
    def begin(self, places: list[Place], *, window: int | None, whole: bool, **others: Any) -> None:
        source, tap, folder = stage()
        self.history = History(
            source,
            tap,
            folder,
            places,
            catalog(is_whole=whole),
            schedule_window_days=window,
            emit_activate_version_messages=whole,
            **others,
        )
        self.has_failed = False

    @rule(changes=HAPPENINGS)
    def happen(self, changes: list[Change]) -> None:
        self.history.happen(changes)

    @rule(account=ACCOUNT, what=st.sampled_from(sorted(UPSETS)))
    def upset(self, account: int, what: str) -> None:
        self.history.upset(account, **UPSETS[what])

    @rule(account=ACCOUNT, seconds=JUMP)
    def turn_clock(self, account: int, seconds: int) -> None:
        self.history.turn_clock(account, seconds)

    @rule(account=ACCOUNT, seconds=SUMMER_TIME)
    def change_summer_time(self, account: int, seconds: int) -> None:
        self.history.change_summer_time(account, seconds)

    @rule(
        changed_parents_only=st.booleans(),
        include_remote_data=st.booleans(),
        response_format=FORMAT,
    )
    def change_settings(self, **settings: Any) -> None:
        self.history.settings |= settings

    @rule(shard=st.integers(0, 1), disturbances=DISTURBANCES, most=st.none() | BYTES)
    def sync_shard(self, shard: int, disturbances: list[Disturbance], most: int | None) -> None:
        if self.history.ids[shard::2]:
            self.history.sync_shard(shard, disturbances, most)

    @rule(to=st.integers(0, 20))
    def lose_state(self, to: int) -> None:
        self.history.lose_state(to)

    @rule()
    def sync(self) -> None:
        self.history.sync()

    @rule(disturbances=DISTURBANCES)
    def sync_disturbed(self, disturbances: list[Disturbance]) -> None:
        self.history.sync(disturbances)

    @rule(changes=HAPPENINGS, disturbances=MOVES)
    def sync_while_rows_move(self, changes: list[Change], disturbances: list[Disturbance]) -> None:
        self.history.happen(changes)
        self.history.sync(disturbances)

    @rule(most=BYTES)
    def sync_killed(self, most: int) -> None:
        self.history.sync(most=most)

    def teardown(self) -> None:
        if hasattr(self, "history"):
            self.settle()
            self.totals.update(histories=1, runs=self.history.runs, kills=self.history.kills)

    def settle(self) -> None:
        self.history.settle()


def catalog(*, is_whole: bool = False) -> dict[str, Any]:
    """All streams of histories, as Singer's catalog."""
    source, _, _ = stage()
    found = Tap(Sandbox(source.url, source.token)).catalog(
        "account_syncs", "integrated_accounts", *STREAMS
    )
    for stream in STREAMS if is_whole else ():
        full_table(found, stream)
    return found


def explore(machine: type[Histories], histories: int, steps: int = 10) -> None:
    """Try histories: the same in each run, or others if the environment names their number."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            deadline=None,
            print_blob=True,
            # A history costs some hundred milliseconds, whatever is drawn.
            suppress_health_check=list(HealthCheck),
            derandomize=not WANTED,
            database=None,
            phases=[Phase.generate, Phase.shrink] if WANTED else [Phase.generate],
        ),
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_every_history_converges(part: int, record_property: Callable[[str, object], None]) -> None:
    class Part(Histories):
        """Histories that no other part tries."""

        totals: ClassVar[Counter[str]] = Counter()

    try:
        explore(Part if WANTED else seed(part)(Part), -(-(WANTED or BUDGET) // PARTS))
    finally:
        counts = ", ".join(f"{count} {name}" for name, count in Part.totals.items())
        record_property("convergence", counts)


@pytest.mark.parametrize("what", [*CHANGES, *ENDINGS, *FAULTS, *UPSETS])
def test_every_disturbance_is_got_over(what: str) -> None:
    """Each kind, at the list of accounts and at two accounts, in much the same short history."""
    source, tap, folder = stage()
    places = [Place("pinpoint", interviews=5, order="oldest change first"), Place("greenhouse")]
    history = History(source, tap, folder, places, catalog(), page_size=2, max_concurrency=1)
    if what in {*ENDINGS, *FAULTS}:
        history.sync([Disturbance(what)])
    history.sync([Disturbance(what, 0, skip=1, times=2, row=1)])
    history.happen([Change("change", row=2, after=200), Change("add", 1)])
    history.sync([Disturbance(what, 1)])
    history.settle()


def test_every_history_converges_in_postgres(database: Postgres, tmp_path: Path) -> None:
    """The same, what each run wrote up to its end or its kill loaded by the real target."""

    class Loaded(Histories):
        """Histories that end in Postgres."""

        def settle(self) -> None:
            super().settle()
            schema = f"history_{self.totals['histories']}"
            config = target_settings(database, schema, **FAST)
            for output in self.history.outputs:
                if '"RECORD"' in output:
                    load(Run(0, output, ""), "meltanolabs-target-postgres", config, tmp_path)
            arrived = keyed("interviews", interviews(database, schema).values())
            truth = {k: v for k, v in self.history.source().items() if k[0] == "interviews"}
            assert arrived == truth

    Loaded.totals = Counter()
    explore(Loaded, 5, steps=4)
    assert Loaded.totals["histories"] >= 5


class TestRegressions:
    """Histories that once went wrong."""

    def test_what_is_not_offered_any_more_behind_its_candidates(self) -> None:
        """Fountain's candidates were counted as pages of interviews, so that it was an error."""
        source, tap, folder = stage()
        history = History(source, tap, folder, [Place("fountain", interviews=1)], catalog())
        history.upset(0, **UPSETS["take away"])
        assert history.sync() == 0
        history.settle()

    def test_a_row_that_moves_to_where_pages_were_read_is_not_deleted(self) -> None:
        """It came in no page of that run, and the target was told to delete what did not come."""
        source, tap, folder = stage()
        place = Place("pinpoint", interviews=3, order="newest change first")
        settings: dict[str, Any] = {
            "emit_activate_version_messages": True,
            "page_size": 1,
            "max_concurrency": 1,
        }
        history = History(source, tap, folder, [place], catalog(is_whole=True), **settings)
        history.sync()
        for row in range(3):
            for skip in range(1, 3):
                history.wait(3600)
                history.sync([Disturbance("change", 0, skip=skip, row=row)])
        history.settle()
