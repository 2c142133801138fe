"""What the views of the current rows show, and what a purge deletes, over real loads."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from sandbox.tables import query
from tap_truto_ats.warehouse import DEFAULT
from tests.end_to_end.hasty import stopped
from tests.end_to_end.test_batch import batches
from tests.end_to_end.test_targets import FAST, load
from tests.end_to_end.test_targets import settings as target_settings
from tests.harness import TAP, Run, Tap, forked, full_table, program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres

SQL = str(Path(TAP).with_name("tap-truto-ats-sql"))
PATH = "/unified/ats/interviews"
LONG_AGO = "2020-01-01T00:00:00.000000+00:00"
HOUR = 3600

Keys = set[tuple[str, str]]


def sql(*arguments: str) -> str:
    """What the command prints."""
    code, printed, log = forked([SQL, *arguments])
    assert code == 0, log
    return printed


@dataclass
class House:
    """A schema of Postgres that run after run is loaded into."""

    tap: Tap
    sandbox: Sandbox
    database: Postgres
    schema: str
    folder: Path
    streams: tuple[str, ...] = ("interviews",)
    state: dict[str, Any] | None = None
    target: str = "meltanolabs-target-postgres"
    target_settings: dict[str, Any] = field(default_factory=dict)

    def sync(
        self,
        *,
        ahead: float = 0,
        most: int | None = None,
        until: Callable[[str], bool] | None = None,
        full: bool = False,
        only: str | None = None,
        **settings: Any,
    ) -> Run:
        """Run the tap and load what it wrote.

        Args:
            ahead: By how many seconds the machine's clock is ahead.
            most: The tap is killed once it has written so many bytes.
            until: The tap is told to end once this is so of what it has written.
            full: Whether the catalog asks for whole reads.
            only: The one stream that is loaded, before the target is killed.
            **settings: Those of the tap.
        """

        def start(
            command: Sequence[str], env: dict[str, str] | None = None, folder: Path | None = None
        ) -> tuple[int, str, str]:
            clock = time.time() + ahead if ahead else None
            process = program(TAP).start(*command[1:], env=env, folder=folder, clock=clock)
            written = process.read(most)
            code, log = process.wait()
            return code, written[: written.rfind(b"\n") + 1].decode(), log

        catalog = self.tap.catalog(
            "account_syncs",
            *self.streams,
            include_remote_data=settings.get("include_remote_data"),
        )
        for stream in self.streams if full else ():
            full_table(catalog, stream)
        inputs = {"catalog": catalog, "state": self.state, **settings}
        tap = Tap(self.tap.sandbox, run=start)
        run = stopped(tap, until, **inputs) if until else tap(**inputs)
        chosen = {**FAST, "add_record_metadata": True, **self.target_settings}
        config = target_settings(self.database, self.schema, **chosen)
        if only:
            lines = (json.dumps(one) for one in run.messages if one.get("stream") == only)
            run.stdout = "\n".join(lines)
        states = load(run, self.target, config, self.folder)
        if states.strip():
            self.state = json.loads(states.splitlines()[-1])
        return run

    def make_due(self, *accounts: str) -> None:
        """Let the last whole read of these accounts, or of all, be long ago."""
        assert self.state
        for stream in self.state["bookmarks"].values():
            for partition in stream.get("partitions", ()):
                if not accounts or partition["context"]["integrated_account_id"] in accounts:
                    partition["whole_read_at"] = LONG_AGO

    def execute(self, *arguments: str) -> None:
        """Execute what the command prints."""
        with psycopg.connect(self.database.uri, autocommit=True) as connection:
            connection.execute(sql(*arguments, "--schema", self.schema).encode())

    def current(self, stream: str = "interviews") -> Keys:
        """The keys that the view shows, which is made anew."""
        self.execute("current", "--streams", stream)
        return self.rows(f"{stream}_current")

    def rows(self, table: str = "interviews") -> Keys:
        """The keys in a table or view."""
        return keys(query(self.database, f"SELECT * FROM {self.schema}.{table}"))

    def purge(self, stream: str = "interviews") -> list[tuple[str, int]]:
        """Purge, and return how many rows of which account the summary has in all."""
        self.execute("purge", "--streams", stream)
        found = query(
            self.database, f"SELECT * FROM {self.schema}.purges WHERE stream = '{stream}'"
        )
        return sorted((row["integrated_account_id"], row["rows_purged"]) for row in found)

    def source(self, stream: str = "interviews") -> Keys:
        """The keys that a correct tap delivers."""
        return keys(self.sandbox.rows(stream))

    def delete(self, account: str, place: int = 0) -> tuple[str, str]:
        """Delete an interview, and return its key."""
        key = account, self.sandbox.interviews(account)[place]["id"]
        self.sandbox.delete(*key)
        return key

    def whole(self, account: str) -> Keys:
        """The keys of one account, by the source."""
        return keys(self.sandbox.interviews(account))


def keys(rows: list[dict[str, Any]]) -> Keys:
    return {(row["integrated_account_id"], row["id"]) for row in rows}


@pytest.fixture
def house(
    tap: Tap,
    sandbox: Sandbox,
    database: Postgres,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> House:
    """A schema of its own for each test."""
    name = f"gone_{abs(hash(request.node.name))}"
    return House(tap, sandbox, database, name, tmp_path)


def test_deleted_rows_go_with_the_next_whole_read_and_not_before(
    house: House, ids: dict[str, str]
) -> None:
    house.sync()
    before = house.source()
    gone = {provider: house.delete(account) for provider, account in ids.items()}
    assert house.current() == before

    house.sync()
    incremental = {gone[provider] for provider in ("ceipal", "greenhouse", "pinpoint")}
    assert house.current() == house.source() | incremental

    house.make_due()
    house.sync()
    assert house.current() == house.source()
    assert house.rows() == before


@pytest.mark.parametrize(
    "reason",
    [
        {"include_remote_data": True},
        {"filters": {"interviews": {"start_at": {"gte": "2000-01-01T00:00:00Z"}}}},
        {"full": True},
    ],
    ids=["remote data", "filters", "FULL_TABLE"],
)
def test_whatever_a_whole_read_is_for_it_tells_what_is_gone(
    house: House, ids: dict[str, str], reason: dict[str, Any]
) -> None:
    house.sync()
    for account in ids.values():
        house.delete(account)
    house.sync(**reason)
    assert house.current() == house.source()


def test_a_later_start_date_deletes_nothing(house: House, ids: dict[str, str]) -> None:
    house.sync()
    gone = {house.delete(account) for account in ids.values()}
    house.make_due()
    house.sync(start_date="2099-01-01T00:00:00Z")
    assert house.current() == house.source() | gone


def test_rows_that_filters_keep_out_are_gone(house: House, ids: dict[str, str]) -> None:
    """They do not come any more, as little as those that were deleted."""
    house.sync()
    late = {"interviews": {"start_at": {"gte": "2099-01-01T00:00:00Z"}}}
    house.sync(filters=late)
    unfiltered = {ids["ceipal"], ids["fountain"]}
    assert {account for account, _ in house.current()} == unfiltered
    house.sync()
    assert house.current() == house.source()


def test_an_account_that_fails_keeps_its_rows_while_others_lose_theirs(
    house: House, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    house.sync()
    gone = {account: house.delete(account) for account in ids.values()}
    failing, inactive = ids["greenhouse"], ids["ashby"]
    sandbox.fault(path=PATH, integrated_account_id=failing, status=403)
    sandbox.account(inactive, status="needs_reauth")
    house.make_due()
    assert house.sync().code == 1
    assert house.current() == house.source() | {gone[failing], gone[inactive]} | house.whole(
        inactive
    )

    sandbox.account(inactive, status="active")
    house.sync()
    assert house.current() == house.source()


@pytest.mark.parametrize("scope", ["tenant_ids", "integrated_account_ids"])
def test_fewer_accounts_delete_nothing_of_the_others(
    house: House, sandbox: Sandbox, ids: dict[str, str], scope: str
) -> None:
    house.sync()
    gone = {account: house.delete(account) for account in ids.values()}
    account = ids["greenhouse"]
    tenants = {one["id"]: one["tenant_id"] for one in sandbox.accounts()}
    chosen = {one for one in tenants if tenants[one] == tenants[account]}
    named: dict[str, Any] = {"tenant_ids": [tenants[account]], "integrated_account_ids": [*chosen]}
    house.make_due()
    house.sync(**{scope: named[scope]})
    others = {gone[one] for one in gone.keys() - chosen}
    assert others
    assert house.current() == house.source() | others


def test_processes_that_share_the_accounts_delete_nothing_of_each_other(
    house: House, ids: dict[str, str]
) -> None:
    """Each has a state of its own; both load into one schema."""
    accounts = [*ids.values()]
    shards: list[list[Any]] = [[accounts[:2], None], [accounts[2:], None]]

    def sync(shard: list[Any]) -> None:
        house.state = shard[1]
        if house.state:
            house.make_due()
        house.sync(integrated_account_ids=shard[0])
        shard[1] = house.state

    for shard in shards:
        sync(shard)
    assert house.current() == house.source()
    gone = {account: house.delete(account) for account in accounts}
    sync(shards[0])
    assert house.current() == house.source() | {gone[account] for account in shards[1][0]}
    sync(shards[1])
    assert house.current() == house.source()


@pytest.mark.parametrize("skip", [1, 2])
@pytest.mark.parametrize(
    ("act", "provider", "has_state"),
    [
        ("change", "greenhouse", True),
        ("change", "greenhouse", False),
        ("change", "ashby", False),
        ("delete", "greenhouse", True),
        ("delete", "ashby", True),
    ],
)
def test_rows_that_move_between_pages_are_not_taken_for_gone(
    house: House,
    sandbox: Sandbox,
    act: str,
    skip: int,
    provider: str,
    has_state: bool,  # noqa: FBT001
) -> None:
    """Where pages are counted by rows, the others move up and one slips through.

    Without the state, what is read first meets rows that an earlier run has loaded.
    """
    (account,) = sandbox.reset(accounts=[{"provider": provider}], interviews=8, rate_limits=False)
    sandbox.account(account["id"], paging="offset", order="oldest change first")
    house.sync(page_size=2)
    first = sandbox.interviews(account["id"])[0]["id"]
    fields = {"fields": {"location": "Elsewhere"}} if act == "change" else {}
    acts = [{act: "interviews", "account": account["id"], "key": first, **fields}]
    sandbox.fault(path=PATH, skip=skip, acts=acts)
    house.make_due()
    if not has_state:
        house.state = None
    house.sync(page_size=2)
    assert house.current() >= house.source()

    house.make_due()
    house.sync(page_size=2)
    assert house.current() == house.source()


def test_a_row_that_moves_to_the_front_is_not_taken_for_gone(
    house: House, sandbox: Sandbox
) -> None:
    """Without the state, it is read first, and comes with the next run only."""
    (account,) = sandbox.reset(
        accounts=[{"provider": "greenhouse"}], interviews=8, rate_limits=False
    )
    sandbox.account(account["id"], paging="offset", order="newest change first")
    house.sync(page_size=2)
    last = min(sandbox.interviews(account["id"]), key=itemgetter("updated_at"))["id"]
    act = {"change": "interviews", "account": account["id"], "key": last}
    sandbox.fault(path=PATH, skip=2, acts=[{**act, "fields": {"location": "Elsewhere"}}])
    house.state = None
    shift(sandbox, HOUR)
    house.sync(page_size=2)
    assert house.current() == house.source()
    house.sync(page_size=2)
    assert house.current() == house.source()


def test_a_read_without_a_state_shows_what_is_gone(
    house: House, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    """As `--full-refresh` reads, and whoever lost the state."""
    house.sync(page_size=2)
    for account in ids.values():
        house.delete(account)
    house.state = None
    shift(sandbox, HOUR)
    house.sync(page_size=2)
    assert house.current() == house.source()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_run_that_is_killed_in_a_whole_read_deletes_nothing_that_exists(
    house: House, ids: dict[str, str], share: float
) -> None:
    size = len(house.sync(page_size=2).stdout)
    for account in ids.values():
        house.delete(account)
    house.make_due()
    killed = house.sync(page_size=2, most=int(size * share))
    assert killed.code < 0
    assert house.current() >= house.source()
    house.sync(page_size=2)
    assert house.current() == house.source()


def test_a_load_that_fails_deletes_nothing_that_exists(house: House) -> None:
    """A target loads streams side by side: `account_syncs` may be in, and all else be lost."""
    house.streams = ("interviews", "jobs")
    house.sync()
    house.make_due()
    for only in ("account_syncs", None):
        house.sync(only=only)
        for stream in house.streams:
            assert house.current(stream) == house.source(stream)
            assert house.purge(stream) == []


def test_a_fan_out_that_goes_on_in_the_next_run_deletes_nothing_that_it_read_before(
    house: House, sandbox: Sandbox
) -> None:
    (account,) = sandbox.reset(
        accounts=[{"provider": "fountain"}], interviews=30, candidates=30, rate_limits=False
    )
    house.sync()
    candidates = [row["candidate"]["id"] for row in sandbox.interviews(account["id"])]
    sandbox.delete_row("candidates", account["id"], candidates[15])
    house.make_due()
    sandbox.fault(path=PATH, kind="delay", seconds=30, skip=15, times=None)
    house.sync(until=lambda written: written.count('"stream":"interviews"') > 10)
    assert house.current() >= house.source()
    assert "fan_out" in json.dumps(house.state)

    sandbox.clear_faults()
    sandbox.clear_requests()
    house.sync()
    assert len(sandbox.requests(PATH)) < 25
    assert house.current() == house.source()


def shift(sandbox: Sandbox, seconds: float) -> None:
    """Let Truto's clock be ahead, as its answers tell."""
    moment = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    date = format_datetime(moment, usegmt=True)
    sandbox.fault(path="/", kind="headers", headers={"Date": date}, times=None)


@pytest.mark.parametrize("clock", ["the machine's", "Truto's"])
@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_times_never_run_back_whatever_the_clocks_show(
    house: House, sandbox: Sandbox, ids: dict[str, str], clock: str, ahead: float
) -> None:
    """A machine whose clock is off reads whole, and another one goes on from its state."""
    house.sync()
    house.make_due()
    if clock == "Truto's":
        shift(sandbox, ahead)
        house.sync()
    else:
        house.sync(ahead=ahead)
    assert house.current() == house.source()

    sandbox.clear_faults()
    for account in ids.values():
        sandbox.add(account)
        sandbox.change(account, sandbox.interviews(account)[1]["id"], location="Elsewhere")
    house.sync()
    assert house.current() == house.source()

    for account in ids.values():
        house.delete(account)
    house.make_due()
    house.sync()
    assert house.current() == house.source()


@pytest.mark.parametrize("ahead", [0, HOUR])
def test_an_account_that_leaves_keeps_its_rows_until_it_is_back(
    house: House, sandbox: Sandbox, ids: dict[str, str], ahead: float
) -> None:
    """That it left may be seen by a clock that is ahead of the one that sees it come back."""
    house.streams = ("integrated_accounts", "interviews")

    def listed() -> set[str]:
        house.execute("current", "--streams", "integrated_accounts")
        view = f"{house.schema}.integrated_accounts_current"
        return {row["id"] for row in query(house.database, f"SELECT id FROM {view}")}

    house.sync()
    account = ids["greenhouse"]
    sandbox.account(account, is_listed=False)
    gone = house.delete(account)
    house.make_due()
    shift(sandbox, ahead)
    house.sync()
    sandbox.clear_faults()
    assert house.current() == house.source() | {gone}
    assert listed() == set(ids.values()) - {account}
    (last,) = query(
        house.database,
        f"SELECT stream FROM {house.schema}.account_syncs WHERE mode = 'not listed'",
    )
    assert last["stream"] == "interviews"

    sandbox.account(account, is_listed=True)
    house.sync()
    assert house.current() == house.source()
    assert listed() == set(ids.values())


def test_children_of_deleted_parents_are_gone_too(
    house: House, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    house.streams = ("candidates", "interviews")
    house.sync()
    account = ids["fountain"]
    before = house.whole(account)
    candidate = sandbox.interviews(account)[0]["candidate"]["id"]
    sandbox.delete_row("candidates", account, candidate)
    children = before - house.whole(account)
    assert children
    house.make_due()
    house.sync()
    for stream, count in (("candidates", 1), ("interviews", len(children))):
        assert house.current(stream) == house.source(stream)
        assert house.purge(stream) == [(account, count)]


def test_rows_of_batch_files_count_as_current(
    house: House, ids: dict[str, str], tmp_path: Path
) -> None:
    """They have no `_sdc_extracted_at`, until they come again as records."""
    house.sync()
    account = ids["ashby"]
    early = house.delete(account)
    house.make_due()
    house.sync(batch_config=batches(tmp_path))
    assert house.current() == house.source() | {early}

    late = house.delete(account)
    for _ in range(2):
        house.make_due()
        house.sync()
        assert house.current() == house.source() | {late}
    assert house.purge() == [(account, 1)]


def test_a_purge_deletes_what_is_gone_once_and_notes_how_much(
    house: House, ids: dict[str, str]
) -> None:
    house.sync()
    assert house.purge() == []
    for place, account in enumerate(ids.values()):
        for _ in range(place):
            house.delete(account)
    house.make_due()
    house.sync()
    expected = sorted((one, place) for place, one in enumerate(ids.values()) if place)
    for _ in range(2):
        assert house.purge() == expected
        assert house.rows() == house.source() == house.current()


def test_the_streams_that_are_selected_by_default_need_not_be_named(house: House) -> None:
    house.streams = tuple(DEFAULT)
    house.sync()
    for command in ("current", "purge"):
        house.execute(command)
    for stream in DEFAULT[1:]:
        assert house.rows(f"{stream}_current") == house.source(stream)


def test_a_table_may_have_another_name(house: House, ids: dict[str, str]) -> None:
    maps = {"interviews": {"__alias__": "talks"}}
    house.sync(stream_maps=maps)
    for account in ids.values():
        house.delete(account)
    house.make_due()
    house.sync(stream_maps=maps)
    named = ("--streams", "interviews=talks")
    house.execute("current", *named)
    assert house.rows("talks_current") == house.source() < house.rows("talks")
    house.execute("purge", *named)
    assert house.rows("talks") == house.source()


@pytest.mark.parametrize("command", ["current", "purge"])
def test_a_table_that_was_never_loaded_keeps_no_other_back(house: House, command: str) -> None:
    """Each stream's statements stand for themselves, as for psql, which goes on after an error."""
    house.sync()
    with psycopg.connect(house.database.uri, autocommit=True) as connection:
        failed = 0
        for part in sql(command, "--schema", house.schema).split(";\n\n"):
            with suppress(psycopg.errors.UndefinedTable):
                failed += 1
                connection.execute(part.encode())
                failed -= 1
            connection.rollback()
    assert failed == len(DEFAULT) - 1


def test_another_target_names_the_time_of_extraction_alike(
    house: House, ids: dict[str, str], database: Postgres
) -> None:
    house.target = "pipelinewise-target-postgres"
    house.target_settings = {"dbname": database.database, "add_metadata_columns": True}
    house.sync()
    for account in ids.values():
        house.delete(account)
    assert len(house.current()) == 5 * 8
    house.make_due()
    house.sync()
    assert house.current() == house.source()


@pytest.mark.parametrize("use_copy", [True, False], ids=["COPY", "INSERT"])
def test_a_database_that_is_not_in_utc_shifts_both_times_alike(
    house: House, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, use_copy: bool
) -> None:
    monkeypatch.setenv("PGTZ", "America/New_York")
    house.target_settings = {"use_copy": use_copy}
    house.sync()
    for account in ids.values():
        house.delete(account)
    assert len(house.current()) == 5 * 8
    house.make_due()
    house.sync()
    assert house.current() == house.source()
    for table, column in (("interviews", "_sdc_extracted_at"), ("account_syncs", "started_at")):
        (row,) = query(house.database, f"SELECT max({column}) AS at FROM {house.schema}.{table}")
        shifted = datetime.now(timezone.utc).replace(tzinfo=None) - row["at"] > timedelta(hours=3)
        assert shifted is not use_copy


def test_old_account_syncs_can_be_pruned(house: House, ids: dict[str, str]) -> None:
    house.sync()
    gone = {house.delete(account) for account in ids.values()}
    house.sync()
    shown = house.current()
    assert shown & gone

    def count() -> int:
        return len(query(house.database, f"SELECT * FROM {house.schema}.account_syncs"))

    for day, left in (("2020-01-01", 10), ("2100-01-01", 5)):
        house.execute("prune", "--before", day)
        assert count() == left
        assert house.current() == shown
