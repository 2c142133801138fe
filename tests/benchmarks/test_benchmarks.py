"""`make bench` in small: what the readers meet, how they are measured, what is made of it."""

from __future__ import annotations

import json
import re
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from benchmarks import stage as staging
from benchmarks.__main__ import play
from benchmarks.cases import CASES, PEERS, SIX, Bound, Case
from benchmarks.following import Following, left
from benchmarks.results import USUAL, Result
from benchmarks.server import Server, Statistics, served
from benchmarks.stage import HERE, Reading, Stage, interview_ids
from benchmarks.stopwatch import measure
from benchmarks.world import CHANGED_AT, ODD, UNLISTED, World
from sandbox.control import TOKEN
from sandbox.limits import PER_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.stage import Measurement

SMALL = World(accounts=3, rows=5)
BY_CANDIDATE = World(accounts=1, rows=25, provider="fountain", by_candidate=True)
RESOURCES = ("interviews", "candidates", "tags")
REQUIREMENTS = [*sorted(HERE.glob("peers/*.txt")), HERE / "chart.txt"]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "benchmark.log") as running:
        yield running


def get(server: Server, path: str, token: str = TOKEN, **params: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{server.url}{path}", params=params, headers=headers, timeout=30)


def rows(server: Server, resource: str, account: str, **params: Any) -> requests.Response:
    return get(server, f"/unified/ats/{resource}", integrated_account_id=account, **params)


def interviews(server: Server, account: str, **params: Any) -> requests.Response:
    return rows(server, "interviews", account, **params)


class TestServer:
    def test_the_pages_of_all_accounts_hold_each_row_once(self) -> None:
        found = []
        with served(SMALL) as server:
            for account in SMALL.account_ids():
                pages = [interviews(server, account, limit=2).json()]
                while cursor := pages[-1]["next_cursor"]:
                    pages.append(interviews(server, account, limit=2, next_cursor=cursor).json())
                assert [page["result_count"] for page in pages] == [2, 2, 1]
                found += [row["id"] for page in pages for row in page["result"]]
            assert server.statistics().rows == len(found)
        assert len(set(found)) == len(found) == 15

    def test_its_rows_are_like_truto_s(self) -> None:
        with served(World(accounts=1, rows=200)) as server:
            found = interviews(server, World(1, 1).account_ids()[0], limit=200).json()["result"]
        sizes = [len(json.dumps(row, separators=(",", ":"))) for row in found]
        assert 900 < sum(sizes) / len(sizes) < 1100
        dates = [row[name] for row in found for name in ("created_at", "end_at", "updated_at")]
        assert 0.9 < sum(date.endswith("Z") for date in dates) / len(dates) < 1
        assert all(re.match(r"2026-\d\d-\d\dT\d\d:\d\d:\d\d", date) for date in dates)

    def test_accounts_are_listed_in_pages_and_described(self) -> None:
        with served(SMALL) as server:
            first = get(server, "/integrated-account", limit=2).json()
            second = get(server, "/integrated-account", limit=2, next_cursor="2").json()
            (account,) = second["result"]
            told = get(server, f"/integrated-account/{account['id']}/capabilities").json()
            row = get(server, f"/integrated-account/{account['id']}").json()
        listed = [one["id"] for one in first["result"] + second["result"]]
        assert listed == SMALL.account_ids()
        assert second["next_cursor"] is None
        assert told["account"]["id"] == account["id"]
        assert row == account

    @pytest.mark.parametrize(
        ("path", "token", "status"),
        [
            ("/integrated-account", "another", 401),
            ("/integrated-account/unknown", TOKEN, 404),
            ("/unified/ats/jobs", TOKEN, 404),
        ],
    )
    def test_it_refuses(self, path: str, token: str, status: int) -> None:
        with served(SMALL) as server:
            answer = get(server, path, token)
        assert answer.status_code == status
        assert answer.json().keys() == {"statusCode", "error", "message"}

    def test_it_serves_all_resources_that_it_says_a_provider_offers(self) -> None:
        world = World(accounts=1, rows=3, resources=RESOURCES, provider=UNLISTED, padding=4_000)
        (account,) = world.account_ids()
        with served(world) as server:
            told = get(server, f"/integrated-account/{account}/capabilities").json()
            found = {name: rows(server, name, account).json()["result"] for name in RESOURCES}
            assert server.statistics().rows == world.healthy_rows == 9
        assert told["integration"]["name"] == UNLISTED
        assert {one["resource"] for one in told["unified"]} == set(RESOURCES)
        assert [len(json.dumps(row)) > 4_900 for row in found["interviews"]] == [True] * 3
        assert all(row.keys() == {"id", "updated_at"} for row in found["tags"])

    @pytest.mark.parametrize(("kind", "status", "wait"), [("502", 502, None), ("429", 429, "60")])
    def test_odd_accounts_are_listed_first_and_fail(
        self, kind: str, status: int, wait: str | None
    ) -> None:
        world = World(accounts=1, rows=1, odd=2, kind=kind)
        with served(world) as server:
            answers = [interviews(server, account) for account in world.account_ids()]
            seen = server.statistics()
        assert [one.status_code for one in answers] == [status, status, 200]
        assert answers[0].headers.get("Retry-After") == wait
        assert {"statusCode", "error", "message"} < answers[0].json().keys()
        assert (seen.requests, seen.refused, seen.rows) == (3, 0, 1)

    def test_an_odd_account_may_never_answer(self) -> None:
        world = World(accounts=0, rows=1, odd=1, kind="hanging")
        with served(world) as server, pytest.raises(requests.ReadTimeout):
            requests.get(
                f"{server.url}/unified/ats/interviews",
                params={"integrated_account_id": world.account_ids()[0]},
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=0.1,
            )

    def test_interviews_of_fountain_are_listed_by_candidate(self) -> None:
        world = World(accounts=0, rows=0, odd=1, kind="fountain")
        (account,) = world.account_ids()
        with served(world) as server:
            candidates = rows(server, "candidates", account).json()["result"]
            pages = [interviews(server, account, candidate_id=one["id"]) for one in candidates[-2:]]
        assert len(candidates) == ODD["fountain"].candidates
        assert [page.json()["next_cursor"] for page in pages] == [None, None]
        assert len({row["id"] for page in pages for row in page.json()["result"]}) == 2

    def test_some_candidates_of_healthy_accounts_changed(self) -> None:
        world = replace(BY_CANDIDATE, changed_every=10)
        (account,) = world.account_ids()
        with served(world) as server:
            found = rows(server, "candidates", account).json()["result"]
            page = interviews(server, account, candidate_id=found[0]["id"]).json()
            assert server.statistics().rows == page["result_count"] == 1
        changed = [number for number, row in enumerate(found) if row["updated_at"] == CHANGED_AT]
        assert changed == [0, 10, 20]
        assert max(row["updated_at"] for row in found) == CHANGED_AT
        assert "updated_at" not in page["result"][0]

    def test_nothing_changed_for_those_who_ask_for_changes(self) -> None:
        with served(SMALL) as server:
            (account, *_) = SMALL.account_ids()
            asked = {"updated_at[gte]": "2026-01-01T00:00:00Z"}
            assert interviews(server, account, **asked).json()["result"] == []

    def test_it_tells_when_healthy_accounts_were_asked_and_done(self) -> None:
        world = World(accounts=2, rows=2, odd=1, kind="502")
        odd, first, second = world.account_ids()
        steps = [(odd, 0), (first, 0), (second, 0), (first, 1), (second, 1), (odd, 0)]
        done = []
        with served(world) as server:
            for account, begin in steps:
                interviews(server, account, limit=1, next_cursor=begin)
                done.append(server.statistics())
        begun = done[0].begun
        assert begun == done[0].first
        assert begun < done[0].asked < done[1].asked < done[2].asked
        assert done[2].asked == done[5].asked  # The last one was asked with the third request.
        assert done[3].done < done[4].done == done[5].done < done[5].last

    @pytest.mark.parametrize(
        ("requests", "most", "least"),
        [(500, 50, 0), (501, 50, 10), (2_001, 0, 40), (500, 151, 30)],
    )
    def test_the_least_time_is_that_of_whole_windows(
        self, requests: int, most: int, least: float
    ) -> None:
        seen = Statistics(requests=requests, most=most, first=1.0, last=3.0)
        assert seen.least == least
        assert seen.rate == requests / 2

    @pytest.mark.parametrize("limits", [True, False])
    def test_it_keeps_the_limits_and_counts(self, limits: bool) -> None:  # noqa: FBT001
        world = World(accounts=1, rows=1, limits=limits)
        with served(world) as server:
            (account,) = world.account_ids()
            codes = [interviews(server, account).status_code for _ in range(PER_ACCOUNT + 2)]
            seen = server.statistics()
        refused = 2 if limits else 0
        assert codes.count(429) == seen.refused == refused
        assert seen.requests == PER_ACCOUNT + 2
        assert seen.rows == seen.requests - refused
        assert 0 < seen.first < seen.last

    def test_it_waits_before_it_answers(self) -> None:
        with served(World(accounts=1, rows=1, delay=0.1)) as server:
            assert get(server, "/integrated-account").elapsed.total_seconds() >= 0.1

    def test_errors_come_at_once(self) -> None:
        with served(World(accounts=1, rows=1, delay=60)) as server:
            assert get(server, "/integrated-account", "another").status_code == 401


class TestStopwatch:
    def test_the_peak_is_that_of_the_command_alone(self) -> None:
        ballast = bytearray(b"x") * 200_000_000
        small, large = (
            measure([sys.executable, "-c", f"bytearray(b'x') * {size}"])["peak"]
            for size in (1, 100_000_000)
        )
        assert small < 60
        assert 100 < large < len(ballast) / 1_000_000

    @pytest.mark.parametrize(
        ("given", "code"), [((), 143), ((signal.SIGKILL,), -signal.SIGKILL)], ids=["term", "kill"]
    )
    def test_a_command_is_ended_by_a_signal(
        self, tmp_path: Path, given: tuple[signal.Signals, ...], code: int
    ) -> None:
        file = tmp_path / "begun"
        program = (
            "import pathlib, signal, sys, time\n"
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
            f"pathlib.Path({str(file)!r}).touch()\n"
            "time.sleep(60)"
        )
        figures = measure([sys.executable, "-c", program], file.exists, *given)
        assert figures["code"] == code
        assert figures["wall"] < 60

    def test_cpu_is_counted_and_a_failure_is_told(self) -> None:
        idle = measure([sys.executable, "-c", "raise SystemExit(3)"])
        busy = measure([sys.executable, "-c", "sum(range(20_000_000))"])
        assert (idle["code"], busy["code"]) == (3, 0)
        assert busy["cpu"] > idle["cpu"]


class TestReadings:
    @pytest.mark.parametrize("unlimited", [True, False])
    def test_the_tap_brings_every_row(self, stage: Stage, unlimited: bool) -> None:  # noqa: FBT001
        reading = Reading("tap", SMALL, page_size=2, unlimited=unlimited)
        output = stage.folder / "output.jsonl"
        figures = stage.read(reading, output)
        assert len(set(interview_ids(output))) == 15
        assert (figures["code"], figures["rows"], figures["refused"]) == (0, 15, 0)
        assert figures["requests"] == 11  # Two pages of accounts, three of each one's interviews.

    def test_the_tap_reads_all_resources_with_its_default_of_concurrency(
        self, stage: Stage
    ) -> None:
        world = World(accounts=2, rows=1, resources=RESOURCES, provider=UNLISTED)
        figures = stage.read(Reading("tap", world, workers=None))
        assert (figures["code"], figures["rows"]) == (0, 6)
        assert "max_concurrency" not in json.loads((stage.folder / "config-.json").read_text())

    def test_beside_odd_accounts_it_ends_once_the_healthy_ones_are_read(self, stage: Stage) -> None:
        reading = Reading("tap", replace(SMALL, odd=1, kind="hanging"), timeout=600)
        figures = stage.read(reading)
        assert figures["code"] == 143
        assert figures["code"] in reading.exit_codes
        assert figures["rows"] == reading.rows
        assert 0 < figures["asked"] <= figures["done"] < figures["wall"]

    def test_without_limits_it_does_not_wait(self, stage: Stage) -> None:
        pages = 2 * PER_ACCOUNT
        reading = Reading("tap", World(accounts=1, rows=pages), page_size=1, unlimited=True)
        assert stage.read(reading)["requests"] == pages + 1
        report = json.loads(stage.log.read_text().split("REPORT: ")[1].splitlines()[0])
        assert [one["waited_seconds"] for one in report["providers"]] == [0.0]

    def test_a_reader_that_loses_rows_is_not_measured(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage.try_out("tap")
        monkeypatch.setattr(staging, "interview_ids", lambda output: interview_ids(output)[1:])
        with pytest.raises(RuntimeError, match="tap brought 13 of 14 rows"):
            stage.try_out("tap")

    def test_airbytes_messages_are_read_as_well(self, tmp_path: Path) -> None:
        output = tmp_path / "output"
        record = {"stream": "interviews", "data": {"id": "1"}, "emitted_at": 1}
        lines = [{"type": "LOG", "log": {}}, {"type": "RECORD", "record": record}]
        output.write_text("\n".join(map(json.dumps, lines)))
        assert interview_ids(output) == ["1"]


class TestFollowing:
    @pytest.mark.parametrize(
        ("changed_parents", "killed_at", "least", "most"),
        [(False, None, 25, 25), (True, None, 3, 10), (False, 0.2, 25, 25)],
        ids=["all", "changed", "killed"],
    )
    def test_after_both_runs_all_rows_are_there(
        self,
        stage: Stage,
        changed_parents: bool,  # noqa: FBT001
        killed_at: float | None,
        least: int,
        most: int,
    ) -> None:
        world = replace(BY_CANDIDATE, changed_every=10)
        run = Following(Reading("tap", world, changed_parents=changed_parents), killed_at)
        figures = run.measure(stage)
        assert (figures["code"], figures["rows"], run.rows) == (0, 25, 25)
        assert least <= figures["requests"] - 2 <= most  # One for accounts, and one for candidates.

    def test_where_nothing_changed_each_list_is_asked_for_once(self, stage: Stage) -> None:
        reading = Reading("tap", replace(SMALL, resources=SIX), besides=("account_syncs",))
        figures = Following(reading).measure(stage)
        assert figures["rows"] == reading.rows
        assert figures["requests"] == 3 * len(SIX) + 1
        assert len(left(stage.folder / "next.jsonl").rows) > 0

    def test_what_came_after_the_last_state_does_not_count(self, tmp_path: Path) -> None:
        row = {"integrated_account_id": "a", "id": "1"}
        record = json.dumps({"type": "RECORD", "stream": "jobs", "record": row})
        state = '{"type":"STATE","value":{"bookmarks":{}}}'
        output = tmp_path / "output"
        output.write_text("\n".join([record, state, record.replace('"1"', '"2"'), record[:20]]))
        assert left(output) == (b'{"bookmarks": {}}', {("jobs", "a", "1")})


class TestResults:
    CASE = Case(
        name="one",
        title="A title",
        runs={"tap": Reading("tap", SMALL), "peer": Reading(PEERS[0], SMALL)},
        bounds=(
            Bound("cpu", "tap", 0.5, of="peer"),
            Bound("wall", "tap", 1.9),
            Bound("cpu", "tap", 1.0, of="absent"),
        ),
        differences={"more": ("peer", "tap")},
    )

    @pytest.fixture
    def result(self) -> Result:
        """Three rounds, of which the last was on a busy machine."""
        result = Result(self.CASE)
        for load in (1, 2, 10):
            result.add("tap", figures(wall=load, cpu=load))
            result.add("peer", figures(wall=3 * load, cpu=4 * load))
            result.subtract()
        return result

    def test_medians_ratios_and_differences(self, result: Result) -> None:
        assert result.median("tap", "wall") == 2
        assert result.ratio("tap", "peer", "cpu") == 0.25
        assert result.median("more", "cpu") == 6

    def test_verdicts(self, result: Result) -> None:
        assert [one.word for one in result.verdicts()] == ["met", "MISSED", "not measured"]
        text = result.as_text()
        assert "met           CPU of tap at most 0.5 of peer's: 0.25" in text
        assert "MISSED        wall time of tap at most 1.9 s: 2" in text
        assert "not measured  CPU of tap at most 1 of absent's: -" in text

    def test_the_table_has_a_line_for_each_run(self, result: Result) -> None:
        lines = [re.split(r"  +", line.strip()) for line in result.as_text().splitlines()]
        heads, tap, peer, more = lines[1:5]
        assert heads[:3] == ["wall time s", "ratio", "CPU s"]
        assert tap[:4] == ["tap", "2.00", "1.00", "2.00"]
        assert peer[:4] == ["peer", "6.00", "3.00", "8.00"]
        assert more[0] == "more"

    def test_a_case_names_what_is_shown_beside_the_usual(self) -> None:
        result = Result(replace(self.CASE, measures=("asked",)))
        result.add("tap", figures(asked=1.0, rate=2.0))
        heads = result.as_text().splitlines()[1]
        assert "last account asked" in heads
        assert "requests a second" not in heads

    def test_its_data_is_json(self, result: Result) -> None:
        data = json.loads(json.dumps(result.as_data()))
        assert data["runs"]["peer"]["medians"]["cpu"] == 8
        assert len(data["runs"]["peer"]["rounds"]) == 3
        assert [one["verdict"] for one in data["bounds"]] == ["met", "MISSED", "not measured"]

    @pytest.mark.parametrize("bad", [{"code": 1}, {"rows": 14}])
    def test_a_run_that_failed_is_named(self, result: Result, bad: dict[str, int]) -> None:
        assert result.failures() == []
        result.add("peer", figures(**bad))
        assert result.failures() == ["peer"]
        assert "FAILED" in result.as_text()


def figures(**own: float) -> Measurement:
    return {"code": 0, "wall": 1.0, "cpu": 1.0, "peak": 1.0, "rows": 15, **own}


class TestCases:
    def test_runs_take_turns(self, stage: Stage) -> None:
        case = Case(
            name="tiny",
            title="Tiny",
            runs={
                "tap": Reading("tap", SMALL),
                "once": Reading("tap", SMALL, once=True),
                "peer": Reading(PEERS[0], SMALL),
            },
            bounds=(Bound("refused", "tap", 0), Bound("cpu", "tap", 1.0, of="peer")),
        )
        result = play(case, stage, rounds=2, absent=PEERS)
        assert {name: len(rounds) for name, rounds in result.measured.items()} == {
            "tap": 2,
            "once": 1,
        }
        assert [one.word for one in result.verdicts()] == ["met", "not measured"]
        assert result.failures() == []

    @pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
    def test_its_bounds_are_those_of_its_runs(self, case: Case) -> None:
        named = {name for bound in case.bounds for name in (bound.run, bound.of) if name}
        assert {bound.measure for bound in case.bounds} <= {*USUAL, *case.measures}
        named |= {name for pair in (case.differences or {}).values() for name in pair}
        assert named <= case.runs.keys()
        assert case.bounds

    @pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
    def test_a_quick_run_has_a_tenth_of_the_rows(self, case: Case) -> None:
        quick = case.quick()
        for name, run in case.runs.items():
            assert quick.runs[name].rows * 10 == run.rows
        assert not quick.bounds

    def test_each_peer_is_a_program_with_requirements(self) -> None:
        programs = {file.stem for file in (HERE / "peers").glob("*.py")} - {"__init__"}
        assert programs == set(PEERS) == {file.stem for file in (HERE / "peers").glob("*.txt")}

    @pytest.mark.parametrize("file", REQUIREMENTS, ids=[file.stem for file in REQUIREMENTS])
    def test_requirements_are_pinned(self, file: Path) -> None:
        lines = file.read_text().splitlines()
        assert lines
        for line in lines:
            assert re.match(r"-c \.\./\.\./constraints\.txt$|[a-z0-9.-]+==[^ ]+( ; .+)?$", line)
