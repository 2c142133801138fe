"""Rows that are asked for by their parents: where a long reading goes on, and by whom it asks."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.tables import rows
from tests.end_to_end.hasty import CONSTANTS, hasty, stopped
from tests.end_to_end.test_whole_reads import LONG_AGO, NOW, aged, partitions, read
from tests.harness import full_table, table

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Run, Tap

PATH = "/unified/ats/interviews"
NOTED = {"tap_truto_ats.sync.progress:NOTE_SECONDS": 0.0}
CANDIDATES = 300
LATER = (NOW + timedelta(hours=1)).isoformat(timespec="microseconds")
SILENT = {"updated_at": None, "last_interaction_at": None}
UNDER_WAY = 120
"""More requests are not under way, or behind one that is, at any time; a busy machine had 91."""


@pytest.fixture
def account(sandbox: Sandbox) -> str:
    accounts = [{"provider": "fountain"}]
    created = sandbox.reset(
        accounts=accounts, interviews=60, candidates=CANDIDATES, jobs=2, rate_limits=False
    )
    account_id: str = created[0]["id"]
    return account_id


@pytest.fixture
def tap(sandbox: Sandbox) -> Tap:
    return hasty(sandbox, **NOTED)


def asked(sandbox: Sandbox) -> list[str]:
    """The candidates by whom interviews were asked for, since that was looked at last."""
    found = [dict(one["params"])["candidate_id"] for one in sandbox.requests(PATH)]
    sandbox.clear_requests()
    return found


def let_one_move(sandbox: Sandbox, account: str) -> None:
    """Let an interview of the last candidate move to the first one, who was asked by already."""
    moved = sandbox.interviews(account)[0]["id"]
    ids = sorted(row["id"] for row in sandbox.rows("candidates", account))
    sandbox.change_row("interviews", account, moved, candidate={"id": ids[-1]})
    to = {"account": account, "change": "candidates", "key": ids[0]}
    row = {"account": account, "change": "interviews", "key": moved}
    fields = {"fields": {"candidate": {"id": ids[0]}}}
    sandbox.fault(path=PATH, skip=50, acts=[to, {**row, **fields}])


class TestGoingOn:
    """A reading that is broken off goes on where it stopped."""

    @staticmethod
    def broken_off(tap: Tap, signum: signal.Signals = signal.SIGKILL, **inputs: Any) -> Run:
        catalog = inputs.pop("catalog", None) or tap.catalog("account_syncs", "interviews")
        return stopped(
            tap,
            lambda output: output.count('"RECORD"') >= 30,
            CONSTANTS | NOTED,
            signum,
            catalog=catalog,
            **inputs,
        )

    @pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
    def test_half_of_the_requests_are_left(
        self, tap: Tap, sandbox: Sandbox, account: str, signum: signal.Signals
    ) -> None:
        first = self.broken_off(tap, signum)
        done = len(asked(sandbox))
        assert CANDIDATES * 0.3 < done < CANDIDATES
        assert first.records("account_syncs") == []
        second = read(tap, first.state)
        left = len(asked(sandbox))
        assert left <= CANDIDATES - done + UNDER_WAY
        assert table(first, second) == rows(sandbox.interviews())
        one = second.syncs[account, "interviews"]
        assert (one["mode"], one["status"]) == ("whole", "succeeded")
        began = min(message["time_extracted"] for message in first.of("RECORD"))
        assert one["started_at"][:19] <= began[:19]
        assert "fan_out" not in partitions(second.state)[account]
        # Which rows there are is not known of a read in two parts: it asks once more by the parents
        # that changed last.
        assert read(tap, second.state).syncs[account, "interviews"]["is_complete"]
        assert len(asked(sandbox)) <= CANDIDATES + 1

    def test_the_state_holds_one_parent_however_many_there_are(
        self, tap: Tap, account: str
    ) -> None:
        found = partitions(self.broken_off(tap).state)[account]["fan_out"]
        assert found.keys() == {"mode", "scope", "began", "known_until", "after"}
        assert len(found["after"]) == 1

    def test_a_token_that_is_refused_meanwhile_costs_no_more(
        self, sandbox: Sandbox, account: str
    ) -> None:
        parents = sorted(row["id"] for row in sandbox.rows("candidates", account))
        sandbox.fault(path=PATH, params={"candidate_id": parents[200]}, status=401, times=None)
        tap = hasty(sandbox)  # It notes nothing in the first minute.
        first = tap(catalog=tap.catalog("account_syncs", "interviews"))
        assert (first.code, first.report["unfinished"]) == (1, 1)
        asked(sandbox)
        sandbox.clear_faults()
        second = read(tap, first.state)
        assert len(asked(sandbox)) <= CANDIDATES - 200 + UNDER_WAY
        assert table(first, second) == rows(sandbox.interviews())

    def test_rows_that_come_later_carry_later_times_whatever_the_clock(
        self, tap: Tap, account: str
    ) -> None:
        state = self.broken_off(tap).state
        found = partitions(state)[account]
        began = found["fan_out"]["began"]
        assert found["read_at"] > began
        for later in ({"read_at": LATER}, {"fan_out": found["fan_out"] | {"began": LATER}}):
            run = read(tap, aged(state, **later))
            assert min(one["time_extracted"] for one in run.of("RECORD"))[:26] >= LATER[:26]

    @pytest.mark.parametrize("after", [5, "a", None])
    def test_what_is_no_place_to_go_on_from_does_not_count(
        self, tap: Tap, sandbox: Sandbox, account: str, after: Any
    ) -> None:
        state = self.broken_off(tap).state
        asked(sandbox)
        fan_out = partitions(state)[account]["fan_out"] | {"after": after}
        read(tap, aged(state, fan_out=fan_out))
        assert len(asked(sandbox)) == CANDIDATES

    def test_parents_that_do_not_tell_are_asked_again(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        first = self.broken_off(tap)
        parent = min(asked(sandbox))
        sandbox.change_row("candidates", account, parent, **SILENT)
        read(tap, first.state)
        assert parent in asked(sandbox)

    def test_where_none_tells_of_changes_those_that_are_done_are_not_asked_again(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        for row in sandbox.rows("candidates", account):
            sandbox.change_row("candidates", account, row["id"], **SILENT)
        first = self.broken_off(tap)
        done = len(asked(sandbox))
        read(tap, first.state)
        assert len(asked(sandbox)) <= CANDIDATES - done + UNDER_WAY

    def test_parents_that_changed_since_are_asked_again(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        first = self.broken_off(tap)
        before = asked(sandbox)
        changed = min(before)
        sandbox.change_row("candidates", account, changed, first_name="New")
        read(tap, first.state)
        assert changed in asked(sandbox)

    @pytest.mark.parametrize(
        "after", [{"include_remote_data": True}, {"changed_parents_only": True}]
    )
    def test_with_other_settings_only_the_same_reading_goes_on(
        self, tap: Tap, sandbox: Sandbox, account: str, after: dict[str, Any]
    ) -> None:
        first = self.broken_off(tap)
        asked(sandbox)
        second = read(tap, first.state, **after)
        is_same = "include_remote_data" not in after
        assert (len(asked(sandbox)) < CANDIDATES) is is_same
        assert second.syncs[account, "interviews"]["status"] == "succeeded"

    def test_it_goes_on_though_a_whole_read_has_come_due_meanwhile(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        state = self.broken_off(tap, state=read(tap).state).state
        asked(sandbox)
        run = read(tap, aged(state, whole_read_at=LONG_AGO))
        assert run.logged("7 days have passed") == 1
        assert len(asked(sandbox)) < CANDIDATES
        assert run.syncs[account, "interviews"]["is_complete"]
        assert partitions(run.state)[account]["whole_read_at"] > LONG_AGO

    def test_where_rows_count_by_their_version_it_begins_anew(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        catalog = full_table(tap.catalog("interviews"))
        settings: dict[str, Any] = {"catalog": catalog, "emit_activate_version_messages": True}
        first = self.broken_off(tap, **settings)
        asked(sandbox)
        assert "fan_out" not in str(first.states)
        second = tap(state=first.states[-1] if first.states else None, **settings)
        assert {*asked(sandbox)} == {row["id"] for row in sandbox.rows("candidates", account)}
        assert second.of("ACTIVATE_VERSION")

    def test_a_reading_that_does_not_go_on_ends_what_was_broken_off(
        self, tap: Tap, account: str
    ) -> None:
        catalog = full_table(tap.catalog("account_syncs", "interviews"))
        state = self.broken_off(tap).state
        run = read(tap, state, catalog=catalog, emit_activate_version_messages=True)
        assert "fan_out" not in partitions(run.state)[account]

    def test_a_parent_that_is_refused_has_all_asked_again(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        poison = sorted(row["id"] for row in sandbox.rows("candidates", account))[100]
        sandbox.fault(path=PATH, params={"candidate_id": poison}, status=403, times=None)
        catalog = tap.catalog("account_syncs", "interviews")
        first = tap(catalog=catalog)
        assert (first.code, len(asked(sandbox))) == (1, CANDIDATES)
        assert "fan_out" not in str(first.state)
        sandbox.clear_faults()
        second = read(tap, first.state)
        assert len(asked(sandbox)) == CANDIDATES
        assert table(second) == rows(sandbox.interviews())

    @pytest.mark.parametrize("is_deleted", [True, False])
    @pytest.mark.parametrize("place", [60, -1], ids=["early", "the last one"])
    def test_parents_that_were_gone_are_known_to_the_run_that_goes_on(
        self, tap: Tap, sandbox: Sandbox, account: str, place: int, *, is_deleted: bool
    ) -> None:
        state = aged(read(tap).state, whole_read_at=LONG_AGO)
        asked(sandbox)
        ids = sorted(row["id"] for row in sandbox.rows("candidates", account))
        moved = sandbox.interviews(account)[0]["id"]
        to = {"account": account, "change": "candidates", "key": ids[0]}
        row = {"account": account, "change": "interviews", "key": moved}
        acts = [to, {**row, "fields": {"candidate": {"id": ids[0]}}}]
        if is_deleted:
            acts.append({"account": account, "delete": "candidates", "key": ids[place]})
        sandbox.change_row("interviews", account, moved, candidate={"id": ids[place]})
        sandbox.fault(path=PATH, skip=10, acts=acts)
        sandbox.fault(path=PATH, params={"candidate_id": ids[place]}, status=404, times=None)
        first = self.broken_off(tap, state=state)
        second = read(tap, first.state)
        assert second.syncs[account, "interviews"]["is_complete"] is is_deleted
        assert (account, moved) in table(first, second)


class TestGone:
    """Parents that are deleted while their rows are read."""

    @pytest.fixture
    def state(self, tap: Tap, account: str, sandbox: Sandbox) -> dict[str, Any]:
        """One whose account is due to be read whole, for the second time."""
        assert account
        state = aged(read(tap).state, whole_read_at=LONG_AGO)
        asked(sandbox)
        return state

    @staticmethod
    def delete_last(sandbox: Sandbox, account: str, *others: dict[str, Any]) -> str:
        """Delete, in the middle, the candidate whose turn comes last."""
        last: str = max(row["id"] for row in sandbox.rows("candidates", account))
        gone = {"account": account, "delete": "candidates", "key": last}
        sandbox.fault(path=PATH, skip=50, acts=[gone, *others])
        sandbox.fault(path=PATH, params={"candidate_id": last}, status=404, times=None)
        return last

    def test_a_whole_read_is_complete_nevertheless(
        self, tap: Tap, sandbox: Sandbox, account: str, state: dict[str, Any]
    ) -> None:
        self.delete_last(sandbox, account)
        run = read(tap, state)
        one = run.syncs[account, "interviews"]
        assert (one["mode"], one["is_complete"]) == ("whole", True)
        assert not run.logged("gone when their turn came")
        assert len(asked(sandbox)) < CANDIDATES + 5
        assert partitions(run.state)[account]["whole_read_at"] > LONG_AGO

    def test_rows_that_moved_to_another_parent_come(
        self, tap: Tap, sandbox: Sandbox, account: str, state: dict[str, Any]
    ) -> None:
        moved = sandbox.interviews(account)[0]["id"]
        first = min(row["id"] for row in sandbox.rows("candidates", account))
        to = {"account": account, "change": "candidates", "key": first}
        row = {"account": account, "change": "interviews", "key": moved}
        last = self.delete_last(
            sandbox, account, to, {**row, "fields": {"candidate": {"id": first}}}
        )
        sandbox.change_row("interviews", account, moved, candidate={"id": last})
        run = read(tap, state)
        assert moved in {one["id"] for one in run.records()}
        assert asked(sandbox).count(first) == 2
        assert run.syncs[account, "interviews"]["is_complete"]

    def test_a_row_that_moves_comes_though_no_parent_is_gone(
        self, tap: Tap, sandbox: Sandbox, account: str, state: dict[str, Any]
    ) -> None:
        let_one_move(sandbox, account)
        run = read(tap, state)
        assert table(run) == rows(sandbox.interviews())
        assert run.syncs[account, "interviews"]["is_complete"]

    def test_one_that_is_listed_still_leaves_the_reading_incomplete(
        self, tap: Tap, sandbox: Sandbox, account: str, state: dict[str, Any]
    ) -> None:
        last = max(row["id"] for row in sandbox.rows("candidates", account))
        sandbox.fault(path=PATH, params={"candidate_id": last}, status=404, times=None)
        run = read(tap, state)
        assert run.syncs[account, "interviews"]["is_complete"] is False
        assert run.logged("1 were gone when their turn came") == 1

    def test_where_parents_do_not_tell_of_changes_it_is_not_known(
        self, tap: Tap, sandbox: Sandbox, account: str, state: dict[str, Any]
    ) -> None:
        for row in sandbox.rows("candidates", account):
            sandbox.change_row("candidates", account, row["id"], **SILENT)
        self.delete_last(sandbox, account)
        run = read(tap, state)
        assert run.syncs[account, "interviews"]["is_complete"] is False
        assert len(asked(sandbox)) == CANDIDATES

    @pytest.mark.parametrize("max_concurrency", [1, 50])
    def test_each_stream_by_the_same_parents_is_complete(
        self, tap: Tap, sandbox: Sandbox, account: str, max_concurrency: int
    ) -> None:
        streams = "interviews", "activities", "attachments"
        state = aged(read(tap, None, *streams).state, whole_read_at=LONG_AGO)
        ids = sorted(row["id"] for row in sandbox.rows("candidates", account))
        for stream, last in zip(streams, ids[-3:], strict=True):
            gone = {"account": account, "delete": "candidates", "key": last}
            sandbox.fault(path=f"/unified/ats/{stream}", skip=50, acts=[gone])
        run = read(tap, state, *streams, max_concurrency=max_concurrency)
        assert [run.syncs[account, one]["is_complete"] for one in streams] == [True] * 3

    @pytest.mark.parametrize(
        ("resource", "parameter", "path"),
        [
            ("jobs", "job_id", "/unified/ats/candidates"),
            ("candidates", "candidate_id", "/unified/ats/activities"),
        ],
    )
    def test_parents_may_be_gone_at_either_of_two_levels(
        self, tap: Tap, sandbox: Sandbox, resource: str, parameter: str, path: str
    ) -> None:
        (made,) = sandbox.reset(
            accounts=[{"provider": "breezy"}], candidates=40, jobs=4, rate_limits=False
        )
        account = made["id"]
        state = aged(read(tap, None, "activities").state, whole_read_at=LONG_AGO)
        last = max(row["id"] for row in sandbox.rows(resource, account))
        gone = {"account": account, "delete": resource, "key": last}
        sandbox.fault(path=path, skip=1, acts=[gone])
        sandbox.fault(path=path, params={parameter: last}, status=404, times=None)
        run = read(tap, state, "activities")
        assert run.syncs[account, "activities"]["is_complete"]
        assert {one["id"] for one in run.records("activities")} >= {
            row["id"] for row in sandbox.rows("activities", account)
        }

    def test_a_parent_that_came_back_meanwhile_with_an_old_date_is_asked_for(
        self, tap: Tap, sandbox: Sandbox, account: str, state: dict[str, Any]
    ) -> None:
        dates = dict.fromkeys(("created_at", "updated_at", "last_interaction_at"), LONG_AGO)
        back = {"account": account, "add": "candidates", "fields": {"id": "0", **dates}}
        self.delete_last(sandbox, account, back)
        run = read(tap, state)
        assert "0" in asked(sandbox)
        assert run.syncs[account, "interviews"]["is_complete"]

    @pytest.mark.parametrize("number", [1, 25])
    def test_all_that_changed_may_be_gone(
        self, tap: Tap, sandbox: Sandbox, account: str, number: int
    ) -> None:
        first = read(tap, read(tap, changed_parents_only=True).state, changed_parents_only=True)
        few = asked(sandbox)[CANDIDATES:]
        later = {"updated_at": LATER, "last_interaction_at": LATER}
        changed = sorted({row["id"] for row in sandbox.rows("candidates", account)} - {*few})
        for one in changed[:number]:
            sandbox.change_row("candidates", account, one, **later)
        names = few + changed[:number]
        gone = [{"account": account, "delete": "candidates", "key": one} for one in names]
        sandbox.fault(path=PATH, acts=gone)
        second = read(tap, first.state, changed_parents_only=True)
        one = second.syncs[account, "interviews"]
        assert (one["mode"], one["is_complete"]) == ("changed parents", True)


class TestChangedParents:
    """With `changed_parents_only`, those that did not change are not asked for."""

    @staticmethod
    def run(tap: Tap, state: Any = None, **settings: Any) -> Run:
        return read(tap, state, changed_parents_only=True, **settings)

    def test_only_those_that_changed_are_asked_for(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        first = self.run(tap)
        assert len(asked(sandbox)) == CANDIDATES
        assert first.syncs[account, "interviews"]["mode"] == "whole"
        second = self.run(tap, first.state)
        few = asked(sandbox)
        assert len(few) < 5
        assert second.syncs[account, "interviews"]["mode"] == "changed parents"
        changed = next(
            row["id"] for row in sandbox.rows("candidates", account) if row["id"] not in few
        )
        sandbox.change_row("candidates", account, changed, first_name="New")
        third = self.run(tap, second.state)
        assert changed in asked(sandbox)
        self.run(tap, third.state)
        assert len(asked(sandbox)) < 5

    def test_a_whole_read_asks_for_all(self, tap: Tap, sandbox: Sandbox, account: str) -> None:
        first = self.run(tap)
        asked(sandbox)
        run = self.run(tap, aged(first.state, whole_read_at=LONG_AGO))
        assert len({*asked(sandbox)}) == CANDIDATES
        assert run.syncs[account, "interviews"]["mode"] == "whole"

    def test_a_full_table_asks_for_all(self, tap: Tap, sandbox: Sandbox, account: str) -> None:
        first = self.run(tap)
        asked(sandbox)
        catalog = full_table(tap.catalog("account_syncs", "interviews"))
        run = self.run(tap, first.state, catalog=catalog)
        assert len(asked(sandbox)) == CANDIDATES
        assert run.syncs[account, "interviews"]["mode"] == "whole"

    def test_those_that_do_not_tell_are_asked_for(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        silent = [row["id"] for row in sandbox.rows("candidates", account)][:20]
        for one in silent:
            sandbox.change_row("candidates", account, one, **SILENT)
        first = self.run(tap)
        asked(sandbox)
        self.run(tap, first.state)
        assert {*silent} <= {*asked(sandbox)}

    def test_an_account_that_is_not_asked_by_parents_any_more_is_read_whole(
        self, tap: Tap, sandbox: Sandbox, account: str
    ) -> None:
        candidate = sandbox.interviews(account)[0]["candidate"]["id"]
        run = self.run(tap)
        for _ in range(2):
            filters = {"interviews": {"candidate_id": candidate}}
            run = self.run(tap, run.state, filters=filters)
            one = run.syncs[account, "interviews"]
            assert (one["mode"], one["is_complete"]) == ("whole", True)

    @pytest.mark.parametrize("streams", [("interviews",), ("candidates", "interviews")])
    def test_any_date_of_a_change_counts_whichever_list_the_parents_come_from(
        self, tap: Tap, sandbox: Sandbox, account: str, streams: tuple[str, ...]
    ) -> None:
        dates = {"updated_at": None, "last_interaction_at": LONG_AGO}
        for row in sandbox.rows("candidates", account):
            sandbox.change_row("candidates", account, row["id"], **dates)
        first = read(tap, None, *streams, changed_parents_only=True)
        asked(sandbox)
        second = read(tap, first.state, *streams, changed_parents_only=True)
        assert second.syncs[account, "interviews"]["mode"] == "changed parents"


class TestParentsThatHaveParents:
    """Breezy's candidates are asked for by jobs, and are parents themselves."""

    STREAMS = ("candidates", "activities")

    @pytest.fixture
    def breezy(self, sandbox: Sandbox) -> str:
        accounts = [{"provider": "breezy"}]
        (made,) = sandbox.reset(accounts=accounts, candidates=60, jobs=12, rate_limits=False)
        account_id: str = made["id"]
        return account_id

    def test_those_of_jobs_that_did_not_change_are_asked_by_as_well(
        self, tap: Tap, sandbox: Sandbox, breezy: str
    ) -> None:
        first = read(tap, None, *self.STREAMS, changed_parents_only=True)
        for stream in self.STREAMS:
            for row in sandbox.rows(stream, breezy):
                sandbox.change_row(stream, breezy, row["id"])
        second = read(tap, first.state, *self.STREAMS, changed_parents_only=True)
        assert second.syncs[breezy, "candidates"]["mode"] == "changed parents"
        assert len(second.records("candidates")) < 60
        changed = rows(sandbox.rows("activities", breezy))
        assert rows(second.records("activities")) == changed

    def test_those_that_came_in_an_earlier_run_are_asked_by_as_well(
        self, tap: Tap, sandbox: Sandbox, breezy: str
    ) -> None:
        first = stopped(
            tap,
            lambda output: output.count('"RECORD"') >= 12,
            CONSTANTS | NOTED,
            signal.SIGKILL,
            catalog=tap.catalog(*self.STREAMS),
            max_concurrency=1,
        )
        assert "fan_out" in str(first.state)
        second = read(tap, first.state, *self.STREAMS)
        for stream in self.STREAMS:
            found = rows(first.records(stream)) | rows(second.records(stream))
            assert found == rows(sandbox.rows(stream, breezy))


@pytest.mark.parametrize("page_size", [100, 1_000])
class TestEachRun:
    """What is read whole by each run, though its periodic whole read is not due."""

    @pytest.fixture
    def state(self, tap: Tap, account: str, sandbox: Sandbox, page_size: int) -> dict[str, Any]:
        """One of a second run."""
        assert account
        state = read(tap, read(tap, page_size=page_size).state, page_size=page_size).state
        asked(sandbox)
        return state

    def test_a_row_that_moves_comes(
        self, tap: Tap, sandbox: Sandbox, account: str, state: dict[str, Any], page_size: int
    ) -> None:
        let_one_move(sandbox, account)
        run = read(tap, state, page_size=page_size)
        assert run.syncs[account, "interviews"]["is_complete"]
        assert table(run) == rows(sandbox.interviews())

    def test_it_is_complete_whatever_was_added_and_deleted(
        self, tap: Tap, sandbox: Sandbox, account: str, state: dict[str, Any], page_size: int
    ) -> None:
        for _ in range(2):
            sandbox.delete(account, sandbox.interviews(account)[0]["id"])
            sandbox.add(account)
            run = read(tap, state, page_size=page_size)
            state = run.state
            assert run.syncs[account, "interviews"]["is_complete"]
            assert CANDIDATES < len(asked(sandbox)) < CANDIDATES + 10
        read(tap, state, page_size=page_size)
        assert len(asked(sandbox)) == CANDIDATES

    def test_where_parents_do_not_tell_of_changes_new_ones_are_asked_for(
        self, tap: Tap, sandbox: Sandbox, account: str, state: dict[str, Any], page_size: int
    ) -> None:
        for row in sandbox.rows("candidates", account):
            sandbox.change_row("candidates", account, row["id"], **SILENT)
        moved, _ = [sandbox.add(account)["id"] for _ in range(2)]
        new = {"account": account, "add": "candidates", "fields": {"id": "0", **SILENT}}
        row = {"account": account, "change": "interviews", "key": moved}
        fields = {"fields": {"candidate": {"id": "0"}}}
        sandbox.fault(path=PATH, skip=50, acts=[new, {**row, **fields}])
        run = read(tap, state, page_size=page_size)
        assert run.syncs[account, "interviews"]["is_complete"]
        assert table(run) == rows(sandbox.interviews())
        assert len(asked(sandbox)) == CANDIDATES + 1
