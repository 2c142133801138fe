"""One history: a source that changes, runs of the tap that are disturbed, and what has arrived."""

from __future__ import annotations

import json
import signal
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from sandbox.accounts import Account
    from sandbox.things import Thing
    from tests.end_to_end.convergence.stand import Stand
    from tests.forks import Process, Program

    Key = tuple[str, str, str]
    Record = dict[str, Any]
    State = dict[str, Any]

BEGIN = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
"""Later than all rows that the sandbox draws."""

WHOLE_READ_DAYS = 7

STREAMS = ("interviews", "candidates", "applications", "users")
"""Those that are read, and whose rows change; candidates are also parents of others."""

LONG_AGO = "2026-01-02T03:04:05+00:00"
"""Earlier than any bookmark."""

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "reset": {"kind": "reset"},
    "truncated": {"kind": "truncated"},
    "html": {"kind": "html"},
    "garbage": {"kind": "garbage"},
    "null result": {"kind": "null_result"},
    "null": {"kind": "body_override", "body": "null"},
    "empty page": {"kind": "empty"},
    "loop": {"kind": "loop"},
    "keyed": {"kind": "keyed"},
    "login refused": {"status": 401, "remote": True},
    "token refused": {"status": 401},
    "forbidden": {"status": 403, "remote": True},
    "bad request": {"status": 400},
    "not found": {"status": 404},
    "too many": {"status": 429, "headers": {"Retry-After": "0"}},
    "failing": {"status": 500},
    "bad gateway, html": {"status": 502, "body": "<html>"},
    "blocked": {"status": 503},
    "unavailable": {"status": 503, "remote": True},
    "cdn": {"status": 503, "body": "<html>"},
    "no content": {"status": 204},
    "null results": {"kind": "null_result", "times": 3},
    "login cut": {"status": 401, "kind": "truncated", "remote": True},
    "expired": {"status": 410, "later_pages": True, "remote": True},
    "expired, as bad": {"status": 400, "later_pages": True},
    "no such parent": {"status": 404, "path": "/unified/ats/interviews", "remote": True},
    "parent refused": {"status": 422, "path": "/unified/ats/applications", "remote": True},
    "list refused": {"status": 400, "path": "/unified/ats/candidates", "remote": True},
    "wrong date": {"kind": "headers", "headers": {"Retry-After": "soon"}},
}
"""Answers of the sandbox, by what a history calls them."""

WANDERINGS = ("loop", "empty page", "forbidden", "failing", "reset")
"""Faults that end the pages of an account halfway, or must not."""

CHANGES = ("add", "change", "alter", "cancel", "restore")
UPSETS: Mapping[str, Mapping[str, Any]] = {
    "block": {"is_blocked": True},
    "unblock": {"is_blocked": False},
    "disconnect": {"status": "needs_reauth"},
    "reconnect": {"status": "active"},
    "take away": {"resources": ("jobs", "candidates")},
    "give back": {"resources": ("jobs", *STREAMS)},
    "hide": {"is_listed": False},
    "show": {"is_listed": True},
    "refuse filters": {"refuses": ("updated_at", "updated", "start_at", "end_at")},
    "take filters": {"refuses": ()},
}
HEALTHY: Mapping[str, Any] = {
    "is_blocked": False,
    "status": "active",
    "resources": ("jobs", *STREAMS),
    "is_listed": True,
    "refuses": (),
}
ENDINGS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM}

ORDERS = ("by age", "oldest change first", "newest change first")
"""In which the pages that count rows (an offset) come."""


@dataclass(frozen=True)
class Place:
    """An account of a history: its provider, the rows it begins with, how far its clock is off."""

    provider: str
    interviews: int = 3
    order: str = "by age"
    skew: float = 0
    zoneless: bool = False
    is_undated: bool = False
    """Whether one row of each resource does not tell when it last changed."""


@dataclass(frozen=True)
class Disturbance:
    """Something that happens at a request for an account (None: the list of accounts).

    `what` is a fault, a change of a row (the newest but `row`), an upset of the account, or the
    end of the run. It comes after `skip` requests; a fault hits `times`.
    """

    what: str
    account: int | None = None
    skip: int = 0
    times: int = 1
    row: int = 0
    resource: int = 0


@dataclass(frozen=True)
class Change:
    """Something that happens to a row (the newest but `row`), after some seconds.

    `resource` counts the streams that the account's provider lists.
    """

    what: str
    account: int = 0
    row: int = 0
    after: float = 0
    resource: int = 0


@dataclass
class Waiting:
    """A disturbance that has not happened yet."""

    account_id: str | None
    left: int
    act: Callable[[], None]


class History:
    """A source, its clock, the tap, and a table of which a view shows the rows that still exist.

    Time stands still but for `wait`, and for the seconds that each request takes, one after
    another. Truto's clock, which its answers tell, shows it.
    """

    def __init__(
        self,
        stand: Stand,
        tap: Program,
        folder: Path,
        places: Sequence[Place],
        catalog: dict[str, Any],
        request_seconds: float = 1,
        named: bool = False,  # noqa: FBT001, FBT002
        **settings: Any,
    ) -> None:
        self.stand, self.tap, self.folder = stand, tap, folder
        self.places = places
        self.now = BEGIN
        self.request_seconds = request_seconds
        self.skews = [place.skew for place in places]
        self.states: list[State | None] = [None]
        self.state: State | None = None
        self.table: dict[Key, Record] = {}
        self.table_versions: dict[Key, Any] = {}
        self.extracted: dict[Key, str] = {}
        self.whole_reads: dict[tuple[str, str], str] = {}
        """By stream and account: when the last complete whole read began."""
        self.silent: set[Key] = set()
        """The rows that changed without a word of when."""
        self.shards: dict[int, State | None] = {}
        """The states of runs that read a part of the accounts each."""
        self.shown: dict[Key, int] = {}
        self.versions: dict[Key, list[Record]] = {}
        self.waiting: list[Waiting] = []
        self.requests = 0
        self.hidden: set[str] = set()
        """The accounts that the last run did not find."""
        self.running: Future[Process] = Future()
        self.runs = self.kills = 0
        self.outputs: list[str] = []
        """What the runs wrote, without a last line that was torn."""
        accounts = [
            {
                "provider": one.provider,
                "interviews": one.interviews,
                "order": one.order,
                "zoneless": one.zoneless,
                "paging": None if one.order == "by age" else "offset",
            }
            for one in places
        ]
        stand.state.reset({"accounts": accounts, "candidates": 4, "jobs": 2})
        stand.date = self._date
        self.ids = list(stand.state.accounts)
        for place, account in zip(places, self.accounts, strict=True):
            account.resources = HEALTHY["resources"]
            for resource in self._resources(account):
                things = list(account.things(resource).values())
                if place.is_undated and things:
                    things[0].change({"updated_at": None})
                for thing in things:
                    self._note(account, resource, thing)
        self.settings = {
            "api_url": stand.url,
            "api_token": stand.token,
            "max_retries": 1,
            "full_read_every_days": WHOLE_READ_DAYS,
            "changed_parents_only": False,
            **({"integrated_account_ids": self.ids} if named else {}),
            **settings,
        }
        self.catalog = catalog
        self.named = named

    # What happens to the source.

    @property
    def accounts(self) -> list[Account]:
        return list(self.stand.state.accounts.values())

    def happen(self, changes: Sequence[Change]) -> None:
        """Let one change follow the other."""
        for one in changes:
            self.wait(one.after)
            getattr(self, one.what)(one.account, one.row, one.resource)

    def add(self, account: int, _row: int = 0, resource: int = 0, **fields: Any) -> None:
        """Add a row."""
        account = self._index(account)
        found, name = self.accounts[account], self._resource(account, resource)
        moment = self._moment(account)
        dates = {"created_at": moment, "updated_at": moment}
        thing = found.add(name, {**dates, **self._planned(name), **fields})
        self._note(found, name, thing)

    def restore(self, account: int, _row: int = 0, resource: int = 0) -> None:
        """Let a row come that last changed long ago, though the provider finds it changed."""
        moment = self._moment(self._index(account))
        dates = {"created_at": LONG_AGO, "updated_at": LONG_AGO}
        self.add(account, 0, resource, **dates, touched=moment)

    def change(self, account: int, row: int, resource: int = 0, **fields: Any) -> None:
        """Change a row in columns that all providers show, one or another."""
        account = self._index(account)
        found, name = self.accounts[account], self._resource(account, resource)
        things = sorted(found.things(name).values(), key=lambda one: one.number)
        if not things:
            return
        thing = things[-1 - row % len(things)]
        is_dated = thing.values["updated_at"] is not None
        dates = {"updated_at": self._moment(account)} if is_dated else {}
        thing.change({**dates, **(fields or self._planned(name))})
        self._note(found, name, thing)

    def alter(self, account: int, row: int, resource: int = 0) -> None:
        """Change a row without a word of when."""
        account = self._index(account)
        found, name = self.accounts[account], self._resource(account, resource)
        if things := sorted(found.things(name).values(), key=lambda one: one.number):
            thing = things[-1 - row % len(things)]
            touched = thing.touched
            thing.change(self._planned(name))
            thing.touched = touched
            self._note(found, name, thing)
            self.silent |= keyed(name, [found.truth_of(thing)]).keys()

    def cancel(self, account: int, row: int, _resource: int = 0) -> None:
        """Cancel an interview, or change what else there is."""
        is_interview = self._resource(self._index(account), 0) == "interviews"
        fields: Record = {"status": "cancelled"} if is_interview else {}
        self.change(account, row, **fields)

    def delete(self, account: int, row: int, resource: int = 0) -> None:
        """Delete a row."""
        account = self._index(account)
        name = self._resource(account, resource)
        things = self.accounts[account].things(name)
        if things:
            self.accounts[account].delete(name, sorted(things)[row % len(things)])

    def upset(self, account: int, **changes: Any) -> None:
        """Change an account: block it, have it reconnected."""
        account = self._index(account)
        for name, value in changes.items():
            setattr(self.accounts[account], name, value)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def turn_clock(self, account: int, seconds: float) -> None:
        """Let the provider's clock go wrong or right, by less than the lookback in all."""
        account = self._index(account)
        self.skews[account] = self.places[account].skew + seconds

    def change_summer_time(self, account: int, seconds: float) -> None:
        """Let the clock jump by an hour, where times are told without a zone."""
        account = self._index(account)
        if self.places[account].zoneless:
            self.skews[account] += seconds

    def lose_state(self, to: int) -> None:
        """Go back to an earlier state."""
        self.state = self.states[to % len(self.states)]

    def _date(self) -> datetime:
        """Tell what Truto's clock shows."""
        return self.now + timedelta(seconds=self.requests * self.request_seconds)

    def _moment(self, account: int) -> str:
        """Tell what the provider's clock shows."""
        return (self._date() + timedelta(seconds=self.skews[account])).isoformat()

    def _resources(self, account: Account) -> list[str]:
        """Name the streams that the account's provider lists."""
        return [name for name in STREAMS if "list" in account.gives(name).methods]

    def _resource(self, account: int, number: int) -> str:
        listed = self._resources(self.accounts[account])
        return listed[number % len(listed)]

    def _planned(self, resource: str) -> Record:
        """Plan an interview for a time and a place that none was planned for, and the like."""
        number = sum(map(len, self.versions.values()))
        if resource != "interviews":
            name = "reject_reason" if resource == "applications" else "first_name"
            return {name: f"New {number}"}
        start = self.now + timedelta(days=number % 40 - 20, minutes=number)
        return {
            "start_at": start.isoformat(),
            "end_at": (start + timedelta(minutes=30)).isoformat(),
            "location": f"Room {number}",
            "status": "scheduled",
        }

    def _note(self, account: Account, resource: str, thing: Thing) -> None:
        """Remember each form that a row has had."""
        for key, row in keyed(resource, [account.truth_of(thing)]).items():
            self.versions.setdefault(key, []).append(row)

    # The tap.

    def sync_shard(
        self, shard: int, disturbances: Sequence[Disturbance] = (), most: int | None = None
    ) -> int:
        """Run the tap for every second account, from a state of its own."""
        whole, self.state = self.state, self.shards.get(shard)
        code = self.sync(disturbances, most, integrated_account_ids=self.ids[shard::2])
        self.shards[shard], self.state = self.state, whole
        return code

    def sync(
        self,
        disturbances: Sequence[Disturbance] = (),
        most: int | None = None,
        **settings: Any,
    ) -> int:
        """Run the tap; kill it once it has written `most` bytes. Returns the exit code."""
        if not self._has_read_all():
            # In a first reading, which is made once only, a deletion may let a row slip by.
            disturbances = [one for one in disturbances if one.what != "delete"]
        self._prepare(disturbances)
        arguments = ["--config", self._write("config", self.settings | settings)]
        arguments += ["--catalog", self._write("catalog", self.catalog)]
        if self.state is not None:
            arguments += ["--state", self._write("state", self.state)]
        lasting, before = self._lasting(disturbances), self.source().keys()
        process = self.tap.start(*arguments, clock=self.now.timestamp())
        self.running.set_result(process)
        written = process.read(most)
        code, log = process.wait()
        self.waiting.clear()
        self.runs += 1
        self.kills += code == -signal.SIGKILL
        self._check_end(code, log, disturbances, most)
        self.take(written, lasting & self.source().keys())
        hidden = self.table.keys() - self.arrived().keys()
        assert not hidden & before & self.source().keys(), "rows that exist count as gone"
        self.now = self._date() + timedelta(seconds=1)
        self.requests = 0
        return code

    def _has_read_all(self) -> bool:
        """Whether all that there is was read to its end before."""
        known = {
            (stream, one["context"]["integrated_account_id"])
            for stream, part in ((self.state or {}).get("bookmarks") or {}).items()
            for one in part.get("partitions", ())
            if "whole_read_at" in one
        }
        return all(
            (resource, account.id) in known
            for account in self.accounts
            for resource in self._resources(account)
        )

    def settle(self) -> None:
        """Mend all, run once more without disturbance, and compare table and source."""
        for account in range(len(self.places)):
            self.upset(account, **HEALTHY)
        if '"fan_out"' in json.dumps(self.state):
            assert self.sync() == 0  # It asks no more by parents that an earlier run asked by.
        assert self.sync() == 0
        narrow = (self.settings.get("schedule_window_days"), self.settings["changed_parents_only"])
        if narrow == (None, False):
            arrived = self.arrived()
            for key, row in self.source().items():
                assert key in self.silent or arrived.get(key) == row
        self.wait(WHOLE_READ_DAYS * 86_400)
        assert self.sync() == 0
        assert self.arrived() == self.source()

    def source(self) -> dict[Key, Record]:
        """Give the truth."""
        truth: dict[Key, Record] = {}
        for account in self.accounts:
            for resource in self._resources(account):
                truth |= keyed(resource, account.truth(resource))
        return truth

    def arrived(self) -> dict[Key, Record]:
        """Give the rows of the table that count as current, by the documentation's rule."""
        return {
            key: row
            for key, row in self.table.items()
            if self.extracted[key] >= self.whole_reads.get(key[:2], "")
        }

    def take(self, written: bytes, lasting: set[Key]) -> None:
        """Do what a target does with a run's output; its last line may be torn.

        Args:
            written: The output.
            lasting: The rows that were there all the time, and may not be deleted.
        """
        given = self.state
        lines = [line.decode() for line in written.split(b"\n")[:-1]]
        self.outputs.append("".join(f"{line}\n" for line in lines))
        for line in lines:
            message = json.loads(line)
            if message["type"] == "STATE":
                self._check_state(message["value"], given)
                self.keep(message["value"])
            elif message.get("stream") == "account_syncs" and message["type"] == "RECORD":
                self._take_sync(message["record"])
            elif message.get("stream") not in STREAMS:
                continue
            elif message["type"] == "RECORD":
                for key, record in keyed(message["stream"], [message["record"]]).items():
                    self._check_record(key, record)
                    self.table[key] = record
                    self.table_versions[key] = message.get("version")
                    self.extracted[key] = instant(message["time_extracted"])
            elif message["type"] == "ACTIVATE_VERSION":
                gone = {
                    key
                    for key, version in self.table_versions.items()
                    if key[0] == message["stream"] and version != message["version"]
                }
                assert not gone & lasting, "rows of the source were deleted"
                for key in gone:
                    del self.table[key], self.table_versions[key]

    def _take_sync(self, sync: Record) -> None:
        if sync["mode"] == "whole" and sync["is_complete"]:
            key = sync["stream"], sync["integrated_account_id"]
            self.whole_reads[key] = max(self.whole_reads.get(key, ""), instant(sync["started_at"]))

    def keep(self, state: State) -> None:
        """Keep a state for the next run."""
        self.state = state
        self.states.append(state)

    def _index(self, account: int) -> int:
        return account % len(self.places)

    def _prepare(self, disturbances: Sequence[Disturbance]) -> None:
        self.requests = 0
        self.running = Future()
        state = self.stand.state
        state.faults = type(state.faults)()
        self.waiting = []
        for one in disturbances:
            account_id = None if one.account is None else self.ids[self._index(one.account)]
            if one.what in FAULTS:
                where = {"path": "/integrated-account"} if account_id is None else {}
                state.faults.add(
                    {
                        "integrated_account_id": account_id,
                        "skip": one.skip,
                        "times": one.times,
                        **where,
                        **FAULTS[one.what],
                    }
                )
            else:
                self.waiting.append(Waiting(account_id, one.skip, self._act(one)))
        self.stand.tell = self._told

    def _act(self, one: Disturbance) -> Callable[[], None]:
        if one.what in ENDINGS:
            return lambda: self.running.result().signal(ENDINGS[one.what])
        account = self._index(one.account or 0)
        if one.what in UPSETS:
            return lambda: self.upset(account, **UPSETS[one.what])
        return lambda: getattr(self, one.what)(account, one.row, one.resource)

    def _told(self, account_id: str | None) -> None:
        """Let happen what is to happen before this request is answered."""
        for one in [one for one in self.waiting if one.account_id == account_id]:
            if one.left == 0:
                one.act()
                self.waiting.remove(one)
            one.left -= 1
        self.requests += 1

    def _lasting(self, disturbances: Sequence[Disturbance]) -> set[Key]:
        """Name the rows that no run may delete.

        Rows count as gone, by docs/deletions.md, when Truto says that their account does not offer
        the resource, and when two runs in a row do not find their account.
        """
        gone = {self._index(one.account or 0) for one in disturbances if one.what == "take away"}
        hidden = {account.id for account in self.accounts if not account.is_listed}
        lost, self.hidden = hidden & self.hidden, hidden
        return {
            key
            for index, account in enumerate(self.accounts)
            if index not in gone and account.id not in lost
            for resource in self._resources(account)
            if resource in account.resources
            for key in keyed(resource, account.truth(resource))
        }

    def _write(self, name: str, content: object) -> str:
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(content))
        return str(file)

    # What holds of every run.

    def _check_end(
        self, code: int, log: str, disturbances: Sequence[Disturbance], most: int | None
    ) -> None:
        assert "Traceback" not in log, log
        assert "The tap met a" not in log, log
        kinds = {one.what for one in disturbances}
        allowed = {0}
        healthy = all(not a.is_blocked and a.status == "active" for a in self.accounts)
        if not healthy or kinds - {*CHANGES, *ENDINGS}:
            allowed.add(1)
        if "kill" in kinds or most is not None:
            allowed.add(-signal.SIGKILL)
        if "terminate" in kinds:
            allowed |= {128 + signal.SIGTERM, -signal.SIGTERM}
        assert code in allowed, f"exit code {code}\n{log}"

    def _check_record(self, key: Key, record: Record) -> None:
        """A record is the row as it was at some time, and never older than what came before.

        A candidate of two jobs, whose lists are read at the same time, may come in either order.
        """
        known = self.versions[key]
        same = [number for number, version in enumerate(known) if version == record]
        assert same, f"{record} is none of {known}"
        is_older = same[-1] < self.shown.get(key, 0)
        provider = self.stand.state.accounts[key[1]].provider.name
        by_jobs = key[0] == "candidates" and provider in {"breezy", "sagehr"}
        assert by_jobs or not is_older, f"{record} is older than what came before"
        self.shown[key] = same[-1]

    def _check_state(self, state: State, given: State | None) -> None:
        """A bookmark never moves back, and not past the present moment by Truto's clock."""
        before, after = _bookmarks(given), _bookmarks(state)
        for account, moment in after.items():
            assert before.get(account, "") <= moment
            assert moment <= max(before.get(account, ""), _canonical(self._date()))
        assert before.keys() <= after.keys()


def keyed(resource: str, rows: Iterable[Record]) -> dict[Key, Record]:
    """Rows by key, without what the sandbox's truth does not tell of all resources."""
    return {
        (resource, row["integrated_account_id"], row["id"]): {
            name: value
            for name, value in row.items()
            if name not in {"remote_data", "custom_fields"}
        }
        for row in rows
    }


def instant(text: str) -> str:
    """Bring a date-time in UTC into the form in which such texts compare."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).isoformat(timespec="microseconds")


def _bookmarks(state: State | None) -> dict[tuple[str, str], str]:
    """Read bookmarks by stream and account, from the form of state that the documentation shows."""
    return {
        (stream, one["context"]["integrated_account_id"]): one["replication_key_value"]
        for stream, part in ((state or {}).get("bookmarks") or {}).items()
        for one in part.get("partitions", ())
        if "replication_key_value" in one
    }


def _canonical(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
