"""The cases: which runs are compared, and what must be reached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from benchmarks.following import Following
from benchmarks.loading import LOADER, Loading
from benchmarks.stage import TAP, Reading
from benchmarks.world import UNLISTED, World
from tap_truto_ats.model.resources import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOP, TEMPLATE, DLT, AIRBYTE = READERS = (
    "bare_loop",
    "sdk_template",
    "dlt_rest_api",
    "airbyte_declarative",
)
"""The programs in `peers` that read, by name."""

PEERS = (*READERS, LOADER)
"""All programs in `peers`, by name."""

QUICK_PART = 10
"""What a quick run divides the rows by."""

Run: TypeAlias = Reading | Loading | Following


@dataclass(frozen=True)
class Bound:
    """The most that a measure of a run may be: in its unit, or as a multiple of another run's."""

    measure: str
    run: str
    most: float
    of: str | None = None


@dataclass(frozen=True)
class Case:
    """Runs by name, which take turns, and the bounds that they have to keep."""

    name: str
    title: str
    runs: Mapping[str, Run]
    bounds: tuple[Bound, ...]
    measures: tuple[str, ...] = ()
    """Measures that are worth showing beside the usual ones."""
    differences: Mapping[str, tuple[str, str]] | None = None
    """How much more one run takes than another, by the name under which the tables show it."""

    def quick(self) -> Case:
        """Return the case with fewer rows and no bounds, to show only that everything works."""
        return replace(self, runs={name: _quick(run) for name, run in self.runs.items()}, bounds=())


def _quick(run: Run) -> Run:
    if isinstance(run, Reading):
        return _quick_reading(run)
    return replace(run, reading=_quick_reading(run.reading))


def _quick_reading(reading: Reading) -> Reading:
    return replace(reading, world=reading.world.part(QUICK_PART))


ONE = Reading(TAP, World(accounts=1, rows=200_000), page_size=500, unlimited=True)
FORTY = Reading(TAP, World(accounts=40, rows=1_000, delay=0.25), workers=40)
LIMITED = Reading(TAP, World(accounts=20, rows=6_000, limits=True), workers=20)
MANY = Reading(TAP, World(accounts=1_000, rows=100), unlimited=True)
SPREAD = Reading(
    TAP,
    World(
        accounts=30,
        rows=50,
        delay=0.05,
        limits=True,
        resources=tuple(RESOURCES),
        provider=UNLISTED,
    ),
    page_size=10,
    workers=None,
    once=True,
)
CROWD = Reading(
    TAP,
    World(accounts=5_000, rows=1, resources=tuple(RESOURCES), provider=UNLISTED),
    workers=None,
    unlimited=True,
    once=True,
)
SLOW = Reading(
    TAP,
    World(accounts=200, rows=1_000, delay=1.0, limits=True, padding=4_000),
    workers=None,
    once=True,
)
CROWDED = Reading(TAP, World(accounts=1_000, rows=300), page_size=500, unlimited=True)
LOADED = Reading(TAP, World(accounts=10, rows=5_000), page_size=500)

FOUNTAIN = Reading(
    TAP,
    World(
        accounts=1,
        rows=20_000,
        delay=0.02,
        provider="fountain",
        by_candidate=True,
        changed_every=100,
    ),
    unlimited=True,
)
"""At 500 requests a second at the most, a STATE follows each note of how far the fan-out is, every
3,000 requests: under Truto's limits, that is every minute.
"""

HEALTHY = Reading(
    TAP,
    World(accounts=20, rows=8 * 20, delay=0.3, limits=True),
    page_size=20,
    workers=None,
    once=True,
)
"""Eight requests for each account: 2.4 seconds if all are read at the same time."""

FEWER = replace(HEALTHY, world=replace(HEALTHY.world, accounts=10, rows=16 * 20, delay=0.2))
"""Sixteen requests for each account: 3.2 seconds."""

SIX = ("interviews", "applications", "candidates", "jobs", "users", "offers")
"""Resources that Greenhouse lists without parents, so that a page of rows is one request."""

SIX_STREAMS = replace(HEALTHY, world=replace(HEALTHY.world, accounts=5, resources=SIX))
"""48 requests for each account: 2.4 seconds if all of its streams are read at the same time."""

HOURLY = Reading(
    TAP,
    World(accounts=1_000, rows=1, resources=(*SIX, "departments")),
    workers=None,
    unlimited=True,
    besides=("account_syncs",),
)
"""Seven resources that Greenhouse lists without parents."""

BESIDE = {
    "502": (HEALTHY, 12, "502", "12 that answer 502"),
    "502-many": (FEWER, 60, "502", "60 that answer 502"),
    "429": (HEALTHY, 12, "429", "12 that answer 429 with `Retry-After: 60`"),
    "429-many": (FEWER, 60, "429", "60 that answer 429 with `Retry-After: 60`"),
    "six-streams": (SIX_STREAMS, 30, "502", "30 that answer 502, six streams"),
    "hanging": (replace(HEALTHY, timeout=6), 10, "hanging", "10 that never answer, timeout 6 s"),
    "fountain": (HEALTHY, 12, "fountain", "12 of Fountain with 100 candidates each"),
}
"""Healthy accounts, and how many of which kind are listed before them.

The bounds can be kept: in the time that the healthy accounts take alone, their requests and some
tries of each account that fails are fewer than the 500 that Truto allows a token, and so are eight
rounds of 50 requests, of which each healthy account has one and Fountain's have the others. Of 12
accounts, fifty requests at a time do not suffer in any order; of 60 they do.
"""


def _beside(name: str) -> Case:
    alone, odd, kind, title = BESIDE[name]
    return Case(
        name=f"beside-{name}",
        title=f"{alone.world.accounts} healthy accounts, listed after {title}",
        runs={
            "beside": replace(alone, world=replace(alone.world, odd=odd, kind=kind)),
            "alone": alone,
        },
        bounds=(
            Bound("asked", "beside", 1.0),
            Bound("done", "beside", 1.1, of="alone"),
            Bound("refused", "beside", 0),
        ),
        measures=("asked", "done"),
    )


SHARDS = Case(
    name="shards",
    title="300,000 records of 1,000 accounts into Postgres, in as many shards as there are cores",
    runs={
        "shards": Loading("shards", CROWDED),
        "one process": Loading("one", CROWDED),
        "dlt": Loading("dlt", CROWDED, reader=LOADER),
    },
    bounds=(
        Bound("wall", "shards", 1 / 1.6, of="one process"),
        Bound("wall", "shards", 1.0, of="dlt"),
        Bound("cpu", "shards", 1.0, of="dlt"),
    ),
)

CASES = (
    Case(
        name="one-account",
        title="200,000 records of 1 KB, one account, 500 a page",
        runs={TAP: ONE, **{peer: replace(ONE, reader=peer) for peer in READERS}},
        bounds=(
            Bound("cpu", TAP, 0.35, of=TEMPLATE),
            Bound("cpu", TAP, 1.0, of=DLT),
            Bound("cpu", TAP, 2.5, of=LOOP),
        ),
    ),
    Case(
        name="forty-at-once",
        title="40 accounts, 10 pages of 100, 250 ms a request, all at the same time",
        runs={
            TAP: FORTY,
            AIRBYTE: replace(FORTY, reader=AIRBYTE),
            LOOP: replace(FORTY, reader=LOOP, once=True),
        },
        bounds=(Bound("wall", TAP, 6.0), Bound("refused", TAP, 0)),
    ),
    Case(
        name="forty-by-ten",
        title="40 accounts, 10 pages of 100, 250 ms a request, 10 at the same time",
        runs={
            TAP: replace(FORTY, workers=10),
            AIRBYTE: replace(FORTY, reader=AIRBYTE, workers=10),
        },
        bounds=(Bound("wall", TAP, 1.2 * 10.0), Bound("refused", TAP, 0)),
    ),
    Case(
        name="both-limits",
        title="20 accounts of 60 pages under both of Truto's limits, which allow it in 20 seconds",
        runs={TAP: LIMITED},
        bounds=(Bound("wall", TAP, 1.15 * 20.0), Bound("refused", TAP, 0)),
    ),
    Case(
        name="memory",
        title="1,000,000 records of one account, 500 a page, beside 200,000",
        runs={
            "1,000,000": replace(ONE, world=World(accounts=1, rows=1_000_000), once=True),
            "200,000": ONE,
        },
        bounds=(Bound("peak", "1,000,000", 80.0), Bound("peak", "1,000,000", 1.15, of="200,000")),
    ),
    Case(
        name="many-accounts",
        title="1,000 accounts of one page, beside one account with the same rows",
        runs={
            "1,000 accounts": MANY,
            "1 account": replace(MANY, world=World(accounts=1, rows=100_000)),
        },
        bounds=(Bound("cpu", "1,000 accounts", 1.5, of="1 account"),),
    ),
    Case(
        name="postgres",
        title="50,000 records of ten accounts into Postgres",
        runs={
            TAP: LOADED,
            "target": Loading("target", LOADED),
            "tap | target": Loading("pipe", LOADED),
            "meltano run": Loading("meltano", LOADED),
        },
        bounds=(Bound("wall", TAP, 1.0, of="target"), Bound("empty", "tap | target", 1.0)),
        measures=("empty",),
        differences={"Meltano": ("meltano run", "tap | target")},
    ),
    SHARDS,
    *map(_beside, BESIDE),
    Case(
        name="streams-under-limits",
        title="30 accounts, 17 resources of five pages under both of Truto's limits",
        runs={TAP: SPREAD},
        bounds=(
            Bound("times", TAP, 1.1),
            Bound("requests", TAP, 30 * 17 * 5 + 30 + 3),
            Bound("refused", TAP, 0),
        ),
        measures=("times",),
    ),
    Case(
        name="memory-many",
        title="5,000 accounts, 17 resources of one row, beside 2,000 accounts and 7 resources",
        runs={
            "5,000 x 17": CROWD,
            "2,000 x 7": replace(
                CROWD, world=replace(CROWD.world, accounts=2_000, resources=tuple(RESOURCES)[:7])
            ),
        },
        bounds=(Bound("peak", "5,000 x 17", 120.0),),
    ),
    Case(
        name="concurrency",
        title="200 accounts, 10 pages of 100 rows of 5 KB, a second a request, beside 10 at a time",
        runs={
            "default": SLOW,
            "ten": replace(SLOW, world=replace(SLOW.world, accounts=20), workers=10),
        },
        bounds=(Bound("times", "default", 1.15), Bound("refused", "default", 0)),
        measures=("rate", "times"),
    ),
    Case(
        name="changed-parents",
        title="Fountain with 20,000 candidates, of which 1 % changed since the run before,"
        " 20 ms a request, 10 at the same time",
        runs={
            "all parents": Following(FOUNTAIN),
            "changed parents": Following(replace(FOUNTAIN, changed_parents=True)),
            "after kill -9 at half": Following(FOUNTAIN, killed_at=0.5),
        },
        bounds=(
            Bound("requests", "all parents", 20_000 + 200 + 1),
            Bound("requests", "changed parents", 0.05, of="all parents"),
            Bound("requests", "after kill -9 at half", 0.6, of="all parents"),
        ),
        measures=("least",),
    ),
    Case(
        name="nothing-new",
        title="1,000 accounts, 7 resources of which nothing changed since the run before",
        runs={"next run": Following(HOURLY)},
        bounds=(Bound("requests", "next run", 1_000 * 7 + 10),),
        measures=("least",),
    ),
)
"""All cases. The bounds on wall times go by the least that is possible.

40 accounts of 10 pages of 250 ms take 2.5 seconds if all are read at the same time, and 10 seconds
if ten are. Of 1,200 requests, Truto allows 500 at once, 500 more after 10 seconds and the rest
after 20; where a bound is on `times`, that is worked out from the requests that the server saw. Of
30 accounts and 17 resources of five pages, they are those for the pages, one for what each account
offers, and three for the accounts.

Those on requests go by the least that is possible as well: one for each list, and those for the
accounts, 100 a page. Of 20,000 candidates, 200 pages come before one request for each.
"""
