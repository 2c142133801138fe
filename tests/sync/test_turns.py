"""Whose request is next: turns, limits and retries, in a world whose time the scheduler passes."""

from __future__ import annotations

import logging
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.api.errors import AccountError, NoListError, RunError, TransientError
from tap_truto_ats.api.limits import ACCOUNT_LIMIT, PERIOD, TOKEN_LIMIT, RateLimiter, Refusal
from tap_truto_ats.api.request import ArrivingPage, Request
from tap_truto_ats.sync.scheduler import TICK
from tap_truto_ats.sync.tasks import Fork, Task
from tap_truto_ats.sync.turns import SHARES, Turns
from tests.sync.simulation import World
from tests.sync.steps import failure, in_turn, one_row, one_row_unless, pages, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tap_truto_ats.sync.tasks import Steps
    from tests.sync.steps import Answer

    Tasks = dict[str | None, Iterable[Task[str]]]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def listing(account: str, path: str) -> Task[str]:
    return Task(path, pages(Request(path, {}, account)), account)


def forking(account: str, path: str, branches: int) -> Task[str]:
    """Request a list, and then something for each of its rows."""

    def steps() -> Steps[None]:
        yield from pages(Request(path, {}, account))
        yield Fork(pages(Request(f"{path}/{n}", {}, account)) for n in range(branches))

    return Task(path, steps(), account)


def lists(accounts: Iterable[str], streams: int = 1) -> Tasks:
    return {
        account: [listing(account, f"{account}/{n}") for n in range(streams)]
        for account in accounts
    }


def names(letter: str, number: int) -> list[str]:
    return [f"{letter}{n}" for n in range(number)]


def paged(numbers: dict[str, int]) -> Callable[[Request], Answer]:
    """Answer with as many pages an account."""

    def answer(request: Request) -> Answer:
        number = int(request.params.get("next_cursor", 1))
        more = number < numbers[request.account_id or ""]
        return Page([f"{request.account_id}/{number}"], str(number + 1) if more else None)

    return answer


def errors(tasks: Tasks) -> dict[str, AccountError | None]:
    """Tell with which error each task ended, once all have been read."""
    return {task.subject: task.error for theirs in tasks.values() for task in theirs}


class TestTurns:
    """The account with the fewest requests is next; of its tasks, what has begun goes first."""

    def test_the_account_with_the_fewest_requests_is_next(self, world: World) -> None:
        world.answer = paged({"a": 3, "b": 1, "c": 2})
        rows = world.read({name: [listing(name, "/rows")] for name in "abc"}, concurrency=1)
        assert rows == ["a/1", "b/1", "c/1", "a/2", "c/2", "a/3"]

    def test_one_that_comes_late_catches_up(self, world: World) -> None:
        world.answer = paged({"a": 6, "b": 3})
        world.refuse = lambda request: (
            Refusal("account", world.now, 0.35)
            if request.account_id == "b" and world.now < 0.35
            else None
        )
        rows = world.read({name: [listing(name, "/rows")] for name in "ab"}, concurrency=1)
        assert rows == ["a/1", "a/2", "a/3", "a/4", "b/1", "b/2", "b/3", "a/5", "a/6"]

    def test_an_accounts_task_is_brought_to_its_end_before_the_next_begins(
        self, world: World
    ) -> None:
        world.answer = paged({"a": 2})
        tasks = [listing("a", "/x"), listing("a", "/y")]
        world.read({"a": tasks}, concurrency=1)
        assert world.paths() == ["/x", "/x", "/y", "/y"]

    def test_lists_come_before_branches(self, world: World) -> None:
        tasks = [forking("a", "fan", 3), listing("a", "jobs"), listing("a", "users")]
        world.read({"a": tasks}, concurrency=1)
        assert world.paths() == ["fan", "jobs", "users", "fan/0", "fan/1", "fan/2"]

    def test_branches_begin_when_their_turn_comes_and_not_before(self, world: World) -> None:
        begun: list[int] = []

        def branch(number: int) -> Steps[None]:
            begun.append(number)
            yield from pages(Request(f"/{number}", {}, "a"))

        def steps() -> Steps[None]:
            yield Fork(branch(n) for n in range(100))

        most = 0
        for n, _ in enumerate(world.rows({"a": [Task("a", steps(), "a")]}, concurrency=3)):
            most = max(most, len(begun) - n)
        assert most <= 3 + 1
        assert begun == list(range(100))

    def test_tasks_are_taken_when_their_turn_comes(self, world: World) -> None:
        taken: list[int] = []

        def coming() -> Iterable[Task[str]]:
            for number in range(5):
                taken.append(number)
                yield listing("a", f"/{number}")

        counts = [len(taken) for _ in world.rows({"a": coming()}, concurrency=1)]
        assert counts == [2, 3, 4, 5, 5]

    def test_an_account_has_one_request_under_way_until_it_has_answered(self, world: World) -> None:
        world.read(lists("a", streams=20), concurrency=9)
        times = Counter(world.times("a"))
        assert list(times.values())[:2] == [1, 9]

    def test_as_many_requests_as_allowed_are_under_way_and_no_more(self, world: World) -> None:
        world.read(lists(names("a", 30), streams=3), concurrency=7)
        assert world.most_under_way == 7
        assert len(world.made) == 90

    def test_accounts_that_hang_hold_one_place_each(self, world: World) -> None:
        hanging = names("h", 10)
        world.seconds = lambda request: 60.0 if request.account_id in hanging else 0.1
        world.answer = one_row_unless(lambda request: request.account_id in hanging, failure(None))
        world.read(lists([*hanging, "well"], streams=6), concurrency=12, max_retries=2)
        assert world.times("well")[0] == 0
        assert max(world.times("well")) < 1

    @pytest.mark.parametrize("concurrency", [1, 4, 5, 20, 50])
    @pytest.mark.parametrize("count", [2, 3, 7])
    def test_none_has_more_than_its_share_of_the_places(
        self, world: World, count: int, concurrency: int
    ) -> None:
        accounts = names("a", count)
        most = Counter[str | None]()

        def answer(request: Request) -> Answer:
            account = request.account_id
            if all(len(world.times(one)) < 200 for one in accounts):
                most[account] = max(most[account], world.under_way[account] + 1)
            return one_row(request)

        world.answer = answer
        world.read(lists(accounts, streams=200), concurrency)
        assert set(most.values()) == {max(concurrency // min(count, SHARES), 1)}

    @pytest.mark.parametrize("beside", ["", "b"])
    def test_one_that_is_alone_or_left_over_has_all_places(self, world: World, beside: str) -> None:
        world.read({"a": [forking("a", "fan", 40)], **lists(beside)}, concurrency=20)
        assert world.most_under_way == 20

    def test_one_that_is_slow_keeps_no_other_waiting_that_comes_back(self, world: World) -> None:
        world.seconds = lambda request: 60.0 if "slow/" in request.path else 0.1
        world.refuse = lambda request: (
            Refusal("account", world.now, 5.0)
            if request.account_id == "b" and 0 < world.now < 5
            else None
        )
        tasks: Tasks = {"a": [forking("a", "slow", 40)], **lists("b", streams=9)}
        world.read(tasks, concurrency=10)
        assert len(world.times("b")) == 9
        assert max(world.times("b")) < 6

    def test_what_several_wait_for_is_counted_once(self, world: World) -> None:
        shared = Task(None, pages(Request("shared", {}, "a")), "a")

        def waiting() -> Steps[None]:
            yield shared

        tasks = [listing("a", "first"), *(Task(name, waiting(), "a") for name in "xyz")]
        world.read({"a": tasks}, concurrency=9)
        assert [task.usage.requests for task in tasks] == [1, 1, 0, 0]
        assert world.paths() == ["first", "shared"]

    def test_parts_of_an_arriving_page_go_on_at_once(self, world: World) -> None:
        answers = in_turn(Page([1], unread=True), Page([2], unread=True), Page([3]))

        def answer(request: Request) -> Answer:
            if request.arriving is None:
                return Page([request.path])
            request.arriving.parts = iter(())
            return answers(request)

        world.answer = answer
        arriving = Request("/arriving", {}, "a", arriving=ArrivingPage())
        tasks: Tasks = {"a": [Task("a", pages(arriving), "a")], **lists("bc", streams=2)}
        assert world.read(tasks, concurrency=1)[:3] == [1, 2, 3]
        assert world.asked["a"] == 1


class TestTicks:
    """The reader is woken, so that it can do what is due."""

    @pytest.mark.parametrize("seconds", [0.2, 3.5, 60.0])
    def test_something_comes_once_a_second_at_least(self, world: World, seconds: float) -> None:
        world.seconds = lambda _: seconds
        assert world.read(lists("ab", streams=3)) != []
        gaps = [late - early for early, late in pairwise([0.0, *world.yielded])]
        assert max(gaps) <= TICK + 1e-6

    def test_it_comes_where_answers_hold_no_rows(self, world: World) -> None:
        world.answer = lambda _: Page([])
        assert world.read({"a": [forking("a", "fan", 50)]}, concurrency=1) == []
        gaps = [late - early for early, late in pairwise([0.0, *world.yielded, world.now])]
        assert max(gaps) <= TICK + 1e-6

    def test_nothing_comes_without_a_reason(self, world: World) -> None:
        scheduler = world.schedule(concurrency=2)
        assert None not in list(scheduler.read(lists("abc", streams=5)))

    @pytest.mark.parametrize("limit", ["account", "token"])
    def test_a_wait_for_a_limit_takes_no_time_of_the_processor(
        self, world: World, limit: str
    ) -> None:
        world.refuse = lambda _: Refusal(limit, 0.0, 10.0) if world.now < 10 else None
        accounts = names("a", 200)
        world.read(lists(accounts))
        assert min(at for at, _ in world.made) == 10
        assert world.wakings <= 10 / TICK + len(accounts) + 2


class TestLimits:
    """An account that may not go on yet holds back nobody else."""

    def test_it_is_passed_over_without_being_asked_again(self, world: World) -> None:
        world.answer = paged({"a": 1, "b": 2, "c": 1})
        world.refuse = lambda request: (
            Refusal("account", 0.0, 5.0) if request.account_id == "a" and world.now < 5 else None
        )
        rows = world.read({name: [listing(name, "/rows")] for name in "abc"}, concurrency=1)
        assert rows == ["b/1", "c/1", "b/2", "a/1"]
        assert world.asked["a"] == 2
        assert world.times("a") == [5.0]

    def test_what_holds_back_all_is_asked_once(self, world: World) -> None:
        world.refuse = lambda _: Refusal("token", 0.0, 5.0) if world.now < 5 else None
        world.read(lists("abc"))
        assert world.asked == {"a": 2, "b": 1, "c": 1}
        assert {at for at, _ in world.made} == {5.0}

    def test_what_was_waited_is_counted(self, world: World) -> None:
        world.refuse = lambda request: (
            Refusal("account", world.now, 5.0)
            if request.account_id == "a" and world.now < 5
            else None
        )
        tasks = lists("ab")
        world.read(tasks)
        waited = {one.subject: one.usage.waited_seconds for each in tasks.values() for one in each}
        assert waited == {"a/0": 5.0, "b/0": 0.0}

    def test_it_tells_who_waits_for_what_and_who_is_not_done(self, world: World) -> None:
        world.refuse = lambda request: (
            Refusal("account", 0.0, 5.0) if request.account_id == "a" and world.now < 5 else None
        )
        world.answer = one_row_unless(
            lambda request: request.account_id == "b" and world.now < 5,
            failure(502, retry_after=5.0),
        )
        scheduler = world.schedule(concurrency=9, max_retries=3)
        seen = [
            (int(world.now), len(scheduler.unfinished()), dict(scheduler.waiting()))
            for _ in scheduler.read(lists("abc"))
        ]
        assert (4, 2, {"account": 1, "failing": 1}) in seen
        assert seen[-1] == (5, 0, {})

    @pytest.mark.parametrize(("accounts", "streams"), [(30, 18), (3, 90), (700, 2)])
    def test_under_both_limits_a_run_takes_hardly_longer_than_it_must(
        self, world: World, accounts: int, streams: int
    ) -> None:
        limiter = RateLimiter(lambda: world.now)
        world.refuse = lambda request: limiter.admit(request.account_id)
        pages_each = {name: 2 + n % 4 for n, name in enumerate(names("a", accounts))}
        world.answer = paged(pages_each)
        world.seconds = lambda _: 0.5
        rows = world.read(lists(pages_each, streams=streams))
        assert len(rows) == len(world.made) == sum(pages_each.values()) * streams
        full, rest = divmod(len(rows) - 1, TOKEN_LIMIT)
        by_token = full * PERIOD + rest / 50 * 0.5
        by_account = (max(pages_each.values()) * streams - 1) // ACCOUNT_LIMIT * PERIOD
        assert world.now <= 1.1 * max(by_token, by_account)


class TestRetries:
    """A try that failed is made again by and by; its account waits without holding a place."""

    def test_it_is_made_again_until_it_succeeds(self, world: World) -> None:
        world.answer = in_turn(failure(), failure(None), failure(429), Page([1]))
        tasks = lists("a")
        assert world.read(tasks, max_retries=3) == [1]
        (task,) = tasks["a"]
        assert (task.usage.requests, task.usage.retries, task.error) == (4, 3, None)

    @pytest.mark.parametrize(
        ("status", "waited"), [(429, 60.0), (502, 0.0)], ids=["a quota", "a failure"]
    )
    def test_waits_for_a_quota_are_told_as_such(
        self, world: World, status: int, waited: float
    ) -> None:
        world.answer = in_turn(failure(status, retry_after=60.0), Page([1]))
        tasks = lists("a")
        world.read(tasks, max_retries=3)
        assert [task.usage.waited_seconds for task in tasks["a"]] == [waited]

    @pytest.mark.parametrize("retries", [0, 1, 4])
    def test_it_is_made_again_so_often_and_then_its_error_is_the_tasks(
        self, world: World, retries: int
    ) -> None:
        error = failure()
        world.answer = lambda _: error
        tasks = lists("a")
        assert world.read(tasks, max_retries=retries) == []
        assert len(world.made) == retries + 1
        assert errors(tasks) == {"a/0": error}

    def test_an_error_that_stays_is_not_tried_again(self, world: World) -> None:
        world.answer = lambda _: refusal(403)
        world.read(lists("a"), max_retries=9)
        assert len(world.made) == 1

    def test_it_goes_before_what_has_not_begun(self, world: World) -> None:
        world.answer = in_turn(Page([]), failure(), Page([]))
        world.read({"a": [forking("a", "fan", 3)]}, concurrency=1, max_retries=1)
        assert world.paths() == ["fan", "fan/0", "fan/0", "fan/1", "fan/2"]

    def test_waits_grow_and_are_never_shorter_than_asked_for(self, world: World) -> None:
        wishes = iter([None, 0.0, 10.0, 0.5, None])
        world.answer = lambda _: failure(429, retry_after=next(wishes))
        world.seconds = lambda _: 0.0
        world.read(lists("a"), max_retries=4)
        waits = [late - early for early, late in pairwise(world.times("a"))]
        assert waits == pytest.approx([0.5, 1.0, 10.0, 4.0])

    @pytest.mark.parametrize(
        ("broken", "answer"),
        [
            (12, failure(502)),
            (12, failure(429, retry_after=60.0)),
            (60, failure(503, retry_after=300.0)),
        ],
        ids=["failing", "told to wait", "more than there are places"],
    )
    def test_others_are_asked_at_once_and_are_done_as_soon_as_without_them(
        self, world: World, broken: int, answer: TransientError
    ) -> None:
        bad, good = names("b", broken), names("g", 5)
        world.answer = one_row_unless(lambda request: request.account_id in bad, answer)
        world.read(lists([*bad, *good], streams=6), concurrency=10, max_retries=8)
        for account in good:
            assert world.times(account)[0] < 1
            assert max(world.times(account)) < 2
        assert len([path for path in world.paths() if path[0] == "g"]) == 30

    def test_a_wish_to_wait_holds_for_all_requests_of_the_account(self, world: World) -> None:
        slow = iter([0.1, 0.1, 0.3, 0.2])
        world.seconds = lambda _: next(slow, 0.1)
        world.answer = in_turn(
            Page([1]), failure(429, retry_after=60.0), failure(502), Page([2]), Page([3])
        )
        world.read(lists("a", streams=9), concurrency=3, max_retries=3)
        before = [at for at in world.times("a") if at < 60]
        assert len(before) == 4
        assert all(at == pytest.approx(60.2) or at > 60.2 for at in world.times("a")[4:])
        assert len(world.made) == 9 + 2

    def test_an_account_that_fails_has_one_request_under_way(self, world: World) -> None:
        """Many would cost as many tries as there are places."""
        most = Counter[str]()

        def answer(request: Request) -> Answer:
            failing = 0.2 < world.now < 30
            if failing and world.now > 1:
                most["failing"] = max(most["failing"], world.under_way[request.account_id] + 1)
            if failing:
                return failure()
            return one_row(request)

        world.answer = answer
        world.read(lists("a", streams=40), concurrency=8, max_retries=20)
        assert most["failing"] == 1
        assert world.most_under_way == 8

    @pytest.mark.parametrize("failing", [failure(502), failure(None)], ids=["502", "timeout"])
    def test_once_tries_are_used_up_the_accounts_other_tasks_have_one_each(
        self, world: World, failing: TransientError
    ) -> None:
        world.answer = one_row_unless(lambda request: request.account_id == "a", failing)
        tasks = lists("ab", streams=15)
        world.read(tasks, max_retries=3)
        assert len(world.times("a")) == 4 + 14
        assert {subject[0] for subject, error in errors(tasks).items() if error} == {"a"}

    @pytest.mark.parametrize(
        ("error", "each"), [(failure(429), 4), (NoListError(), 3)], ids=["429", "no list"]
    )
    def test_what_is_about_one_request_leaves_the_others_their_tries(
        self, world: World, error: TransientError, each: int
    ) -> None:
        world.answer = lambda _: error
        world.read(lists("a", streams=5), max_retries=3)
        assert len(world.made) == 5 * each

    def test_parts_of_a_page_that_breaks_off_are_tried_again_under_the_limits(
        self, world: World
    ) -> None:
        answers = in_turn(Page([1], unread=True), failure(None), Page([1], unread=True), Page([2]))

        def answer(request: Request) -> Answer:
            assert request.arriving
            answer = answers(request)
            request.arriving.parts = None if isinstance(answer, AccountError) else iter(())
            return answer

        world.answer = answer
        request = Request("/arriving", {}, "a", arriving=ArrivingPage())
        rows = world.read({"a": [Task("a", pages(request), "a")]}, max_retries=1)
        assert rows == [1, 1, 2]
        assert world.asked["a"] == 2

    def test_each_retry_is_told_with_its_account_and_without_the_request(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        world.answer = in_turn(failure(502, tries=5), Page([1]), failure(429), Page([1]))
        tasks: Tasks = {"a": [listing("a", "/never-in-a-log")]}
        world.read(tasks, max_retries=8)
        world.read({None: [Task("x", pages(Request("/never-in-a-log")))]}, max_retries=8)
        assert caplog.messages == [
            "Account a: Failing. Trying again in 0.5 s (retry 1 of 4).",
            "The list of accounts: Failing. Trying again in 0.5 s (retry 1 of 8).",
        ]


class TestEnds:
    """What is about a whole account or about the whole run."""

    def test_an_error_of_the_account_costs_one_request(self, world: World) -> None:
        login = refusal(401)
        login.is_of_account = True
        world.answer = one_row_unless(lambda request: request.account_id == "a", login)
        tasks = lists("ab", streams=15)
        world.read(tasks, concurrency=9)
        assert len(world.times("a")) == 1
        found = errors(tasks)
        assert {error for subject, error in found.items() if subject[0] == "a"} == {login}
        assert {error for subject, error in found.items() if subject[0] == "b"} == {None}
        assert world.scheduler.refused == {"a": login}

    def test_an_account_that_is_refused_is_not_asked(self, world: World) -> None:
        login = refusal(401)
        scheduler = world.schedule(concurrency=9)
        scheduler.refused["a"] = login
        tasks = lists("ab", streams=3)
        list(scheduler.read(tasks))
        assert world.paths("a") == []
        assert len(world.paths("b")) == 3
        assert [error for subject, error in errors(tasks).items() if subject[0] == "a"] == [
            login
        ] * 3

    def test_an_account_of_which_branches_are_refused_ends_at_once(self, world: World) -> None:
        login = refusal(401)
        login.is_of_account = True
        world.answer = one_row_unless(lambda request: "/" in request.path, login)
        tasks: Tasks = {"a": [forking("a", "fan", 10_000)]}
        world.read(tasks, concurrency=1)
        assert world.paths() == ["fan", "fan/0"]
        assert errors(tasks) == {"fan": login}

    @pytest.mark.parametrize(("tries", "retries", "made"), [(1, 8, 1), (2, 8, 2), (2, 0, 2)])
    def test_a_refused_token_ends_the_run(
        self, world: World, tries: int, retries: int, made: int
    ) -> None:
        world.answer = lambda _: failure(401, tries=tries, is_of_run=True)
        with pytest.raises(RunError, match=r"Failing\. cure\."):
            world.read(lists("a", streams=9), max_retries=retries)
        assert len(world.made) == made

    def test_a_wait_that_ends_while_turns_are_taken_is_over(self) -> None:
        """Between two looks at the clock: the account was passed over for ever."""
        moments = iter([0.0, 1.0, *(2.0 + n for n in range(50))])
        turns = Turns(lists("a"), 2, lambda: next(moments))
        queue = turns.queues["a"]
        queue.refusal = Refusal("failing", 0.0, 1.5)
        assert turns.next() is queue

    def test_one_that_began_to_fail_while_its_turn_waited_stops_no_other(self) -> None:
        turns = Turns(lists(["a", "b", "c"]), 2, lambda: 0.0)
        failing, other = turns.queues["b"], turns.queues["c"]
        hanging = turns.next()
        assert hanging is turns.queues["a"]
        turns.failing, hanging.under_way = 1, 1
        failing.is_failing = True
        assert turns.next() is other
        assert turns.next() is None

    def test_a_token_that_is_taken_the_second_time_ends_nothing(self, world: World) -> None:
        world.answer = in_turn(Page([1]), failure(401, tries=2, is_of_run=True), Page([2]))
        assert world.read(lists("a", streams=3), max_retries=8) == [1, 2, 2]

    @pytest.mark.parametrize("retries", [0, 1, 8])
    def test_nor_does_one_that_is_refused_once_behind_another_fault(
        self, world: World, retries: int
    ) -> None:
        refused = failure(401, tries=2, is_of_run=True)
        world.answer = in_turn(*[failure(502)] * retries, refused, Page([1]))
        assert world.read(lists("a"), max_retries=retries) == [1]

    def test_a_first_error_of_parallel_branches_is_the_forks(self, world: World) -> None:
        wrong = refusal(422)
        world.answer = one_row_unless(lambda request: request.path == "fan/3", wrong)
        tasks: Tasks = {"a": [forking("a", "fan", 50)]}
        world.read(tasks, concurrency=4)
        assert errors(tasks) == {"fan": wrong}
        assert len(world.made) < 12
