"""The loop that runs many tasks at the same time, with the threads that make their requests."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.api.errors import AccountError, RunError
from tap_truto_ats.api.request import Request
from tap_truto_ats.sync.scheduler import Scheduler
from tap_truto_ats.sync.tasks import Fork, Rows, Task, answer_to
from tests.sync.steps import pages, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tap_truto_ats.api.request import Usage
    from tap_truto_ats.sync.tasks import Steps

    Tasks = Mapping[str | None, Iterable[Task[str]]]
    Reading = Iterator[tuple[Task[str], Sequence[Any], bool] | None]

PATIENCE = 20
"""Seconds after which a test fails instead of waiting for ever."""


def unlimited(fetch: Callable[[Request, Usage], Page], concurrency: int) -> Scheduler:
    """A scheduler without limits."""
    return Scheduler(fetch, lambda _: None, concurrency)


class Source:
    """Accounts in memory: each has pages of one row, named `account/page`."""

    def __init__(self, **counts: int) -> None:
        self.counts = counts
        self.lock = threading.Lock()
        self.requested: list[str] = []
        self.under_way: Counter[str] = Counter()
        self.most_under_way = 0
        self.threads: set[threading.Thread] = set()
        self.before: Callable[[str], object] = str

    def tasks(self) -> Tasks:
        return {
            account: [Task(account, pages(Request("/rows", {}, account)), account)]
            for account in self.counts
        }

    def fetch(self, request: Request, _: Usage) -> Page:
        account, number = request.account_id or "", int(request.params.get("next_cursor", 1))
        name = f"{account}/{number}"
        with self.lock:
            self.requested.append(name)
            self.threads.add(threading.current_thread())
            self.under_way[account] += 1
            assert self.under_way[account] == 1, "two requests of one task at the same time"
            self.most_under_way = max(self.most_under_way, self.under_way.total())
        try:
            self.before(name)
        finally:
            with self.lock:
                self.under_way[account] -= 1
        more = number < self.counts[account]
        return Page([name], str(number + 1) if more else None)

    def everything(self) -> set[str]:
        return {f"{name}/{n}" for name, count in self.counts.items() for n in range(1, count + 1)}

    def join(self) -> None:
        """Wait for the threads to end."""
        with self.lock:
            threads = list(self.threads)
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def flat(reading: Reading) -> list[str]:
    return list(flat_lazily(reading))


def flat_lazily(reading: Reading) -> Iterator[str]:
    for _, rows, _ in filter(None, reading):
        yield from rows


def ends(reading: Reading) -> dict[str, AccountError | None]:
    """Read to the end, and tell with which error each task ended."""
    return {task.subject: task.error for task, _, is_end in filter(None, reading) if is_end}


def of(*tasks: Task[str]) -> Tasks:
    """Put the tasks into one account's queue."""
    return {"a": tasks}


class TestScheduler:
    """Pages of many tasks at the same time."""

    @pytest.mark.parametrize("concurrency", [1, 2, 3, 10])
    def test_every_page_of_every_task_arrives_once(self, concurrency: int) -> None:
        source = Source(a=3, b=1, c=5, d=2)
        rows = flat(unlimited(source.fetch, concurrency).read(source.tasks()))
        assert sorted(rows) == sorted(source.everything())
        assert source.most_under_way <= concurrency
        for account in source.counts:
            mine = [row for row in rows if row.startswith(account)]
            assert mine == sorted(mine)
        source.join()

    def test_as_many_tasks_as_allowed_are_under_way_at_once(self) -> None:
        source = Source(**{f"a{n}": 1 for n in range(9)})
        barrier = threading.Barrier(3)
        source.before = lambda _: barrier.wait(PATIENCE)
        assert len(flat(unlimited(source.fetch, 3).read(source.tasks()))) == 9
        assert source.most_under_way == 3
        assert len(source.threads) == 3

    def test_no_more_threads_than_tasks(self) -> None:
        source = Source(a=5)
        flat(unlimited(source.fetch, 100).read(source.tasks()))
        assert len(source.threads) == 1

    def test_pages_are_handled_in_the_order_in_which_they_arrive(self) -> None:
        source = Source(slow=1, fast=2)
        handled = threading.Event()
        source.before = lambda name: name == "slow/1" and handled.wait(PATIENCE)
        rows = []
        for row in flat_lazily(unlimited(source.fetch, 2).read(source.tasks())):
            rows.append(row)
            if row == "fast/2":
                handled.set()
        assert rows == ["fast/1", "fast/2", "slow/1"]

    def test_the_next_page_is_requested_before_the_rows_of_the_last_one_are_handed_out(
        self,
    ) -> None:
        source = Source(a=3)
        requested = {f"a/{n}": threading.Event() for n in (1, 2, 3)}
        source.before = lambda name: requested[name].set()
        for row in flat_lazily(unlimited(source.fetch, 1).read(source.tasks())):
            number = int(row[-1])
            if number < 3:
                assert requested[f"a/{number + 1}"].wait(PATIENCE)

    def test_one_page_of_a_task_is_ahead_and_no_more(self) -> None:
        source = Source(a=5)
        arrived: list[int] = []
        for _ in flat_lazily(unlimited(source.fetch, 4).read(source.tasks())):
            with source.lock:
                arrived.append(len(source.requested))
        assert all(count <= n + 2 for n, count in enumerate(arrived))

    def test_each_task_tells_its_end_once(self) -> None:
        source = Source(a=2, b=1)
        read = list(filter(None, unlimited(source.fetch, 2).read(source.tasks())))
        ended = [(task.subject, task.error) for task, _, is_end in read if is_end]
        assert sorted(ended, key=str) == [("a", None), ("b", None)]

    def test_a_task_without_requests_ends_at_once(self) -> None:
        def none() -> Steps[None]:
            yield from ()

        source = Source(a=1)
        tasks = of(Task("x", none(), "a"), *source.tasks()["a"], Task("y", none(), "a"))
        assert ends(unlimited(source.fetch, 2).read(tasks)) == {"a": None, "x": None, "y": None}
        assert source.requested == ["a/1"]

    @pytest.mark.parametrize("tasks", [{}, {"a": [], "b": iter(())}], ids=["no accounts", "empty"])
    def test_no_tasks(self, tasks: Tasks) -> None:
        assert list(unlimited(Source().fetch, 3).read(tasks)) == []

    def test_tasks_of_no_account_are_tasks_too(self) -> None:
        fetch = Paths()
        task = Task("x", pages(Request("x")))
        assert flat(unlimited(fetch, 1).read({None: [task]})) == ["x"]

    def test_only_rows_that_are_handed_out_come(self) -> None:
        def steps() -> Steps[None]:
            yield from answer_to(Request("x", {}, "a"))

        read = list(filter(None, unlimited(Paths(), 1).read(of(Task("a", steps(), "a")))))
        assert [(list(rows), is_end) for _, rows, is_end in read] == [([], True)]

    def test_an_account_error_ends_its_task_only(self) -> None:
        source, error = Source(a=3, b=3), refusal()

        def fail(name: str) -> None:
            if name == "a/2":
                raise error

        source.before = fail
        rows: list[str] = []
        errors = {}
        reading = unlimited(source.fetch, 2).read(source.tasks())
        for task, some, is_end in filter(None, reading):
            rows += some
            if is_end:
                errors[task.subject] = task.error
        assert sorted(rows) == ["a/1", "b/1", "b/2", "b/3"]
        assert errors == {"a": error, "b": None}

    def test_an_unforeseen_fault_ends_its_task_and_quotes_nothing(self) -> None:
        source = Source(a=3, b=2)

        def fail(name: str) -> None:
            if name == "a/2":
                message = "never in a log"
                raise ValueError(message)

        source.before = fail
        errors = ends(unlimited(source.fetch, 2).read(source.tasks()))
        assert errors["b"] is None
        assert "The tap met a ValueError in test_scheduler.py:" in str(errors["a"])
        assert "never in a log" not in str(errors["a"])

    def test_an_error_keeps_nothing_of_the_answer_that_led_to_it(self) -> None:
        source = Source(a=1)

        def fail(_: str) -> None:
            raise refusal(403)

        source.before = fail
        (error,) = ends(unlimited(source.fetch, 1).read(source.tasks())).values()
        assert error
        assert error.__traceback__ is None

    @pytest.mark.parametrize("fault", [RunError("x"), KeyboardInterrupt()], ids=repr)
    def test_what_ends_a_run_comes_out_where_rows_are_read(self, fault: BaseException) -> None:
        source = Source(a=3, b=1)

        def fail(name: str) -> None:
            if name == "a/2":
                raise fault

        source.before = fail
        with pytest.raises(type(fault)) as caught:
            flat(unlimited(source.fetch, 2).read(source.tasks()))
        assert caught.value is fault
        source.join()

    def test_a_scheduler_can_read_again(self) -> None:
        source = Source(a=2)
        scheduler = unlimited(source.fetch, 2)
        assert flat(scheduler.read(source.tasks())) == flat(scheduler.read(source.tasks()))


class Paths:
    """Pages in memory by path; tells in which order they were asked for."""

    def __init__(self, **answers: Page | AccountError) -> None:
        self.answers = answers
        self.requested: list[str] = []
        self.before: Callable[[str], object] = str

    def __call__(self, request: Request, usage: Usage) -> Page:
        usage.requests += 1
        self.requested.append(request.path)
        self.before(request.path)
        answer = self.answers.get(request.path, Page([request.path]))
        if isinstance(answer, AccountError):
            raise answer
        return answer


def request(path: str) -> Steps[None]:
    yield from pages(Request(path, {}, "a"))


def fork(*paths: str, before: str = "first", after: str = "last") -> Steps[None]:
    yield from request(before)
    yield Fork(request(path) for path in paths)
    yield from request(after)


class TestBranches:
    """Tasks that wait for other tasks."""

    @pytest.mark.parametrize("concurrency", [1, 2, 9])
    def test_a_task_goes_on_when_its_branches_have_ended(self, concurrency: int) -> None:
        fetch = Paths()
        task = Task("a", fork("x", "y", "z"), "a")
        read = list(filter(None, unlimited(fetch, concurrency).read(of(task))))
        assert fetch.requested[0] == "first"
        assert sorted(fetch.requested[1:4]) == ["x", "y", "z"]
        assert fetch.requested[4] == "last"
        assert {row for _, rows, _ in read for row in rows} == set(fetch.requested)
        assert [(one.subject, is_end) for one, _, is_end in read if is_end] == [("a", True)]
        assert task.usage.requests == 5

    def test_branches_are_gone_at_the_same_time(self) -> None:
        barrier = threading.Barrier(3)
        fetch = Paths()
        fetch.before = lambda path: path in "xyz" and barrier.wait(PATIENCE)
        list(unlimited(fetch, 3).read(of(Task("a", fork("x", "y", "z"), "a"))))
        assert fetch.requested[-1] == "last"

    def test_the_first_error_of_a_branch_ends_the_task_and_no_further_branch_begins(self) -> None:
        error = refusal(403)
        fetch = Paths(y=error)
        task = Task("a", fork("x", "y", "z"), "a")
        list(unlimited(fetch, 1).read(of(task)))
        assert fetch.requested == ["first", "x", "y"]
        assert task.error is error

    def test_an_error_of_a_branch_can_be_taken(self) -> None:
        def steps() -> Steps[None]:
            try:
                yield Fork([request("x")])
            except AccountError:
                yield from request("instead")

        fetch = Paths(x=refusal())
        task = Task("a", steps(), "a")
        list(unlimited(fetch, 2).read(of(task)))
        assert fetch.requested == ["x", "instead"]
        assert task.error is None

    @pytest.mark.parametrize("concurrency", [1, 4])
    def test_branches_may_have_branches(self, concurrency: int) -> None:
        def steps() -> Steps[None]:
            yield Fork(fork("x", "y", before=f"{n}a", after=f"{n}z") for n in range(3))
            yield from request("end")

        fetch = Paths()
        list(unlimited(fetch, concurrency).read(of(Task("a", steps(), "a"))))
        assert Counter(fetch.requested) == {
            **{f"{n}{letter}": 1 for n in range(3) for letter in "az"},
            "x": 3,
            "y": 3,
            "end": 1,
        }
        assert fetch.requested[-1] == "end"

    @pytest.mark.parametrize("ways", [[], [iter(())]], ids=["none", "one without steps"])
    def test_a_fork_of_nothing_is_passed(self, ways: list[Any]) -> None:
        def steps() -> Steps[None]:
            yield Fork(yield_nothing() for _ in ways)
            yield from request("end")

        def yield_nothing() -> Steps[None]:
            yield from ()

        fetch = Paths()
        list(unlimited(fetch, 2).read(of(Task("a", steps(), "a"))))
        assert fetch.requested == ["end"]

    def test_rows_of_a_branchs_own_are_handed_out(self) -> None:
        def own() -> Steps[None]:
            yield Request("x", account_id="a")
            yield Rows(["own"])

        def steps() -> Steps[None]:
            yield Fork([own()])

        read = list(filter(None, unlimited(Paths(), 1).read(of(Task("a", steps(), "a")))))
        assert [(list(rows), is_end) for _, rows, is_end in read] == [(["own"], False), ([], True)]


class TestSharedTasks:
    """A task that several others wait for."""

    @staticmethod
    def waiting(shared: Task[str], name: str) -> Task[str]:
        def steps() -> Steps[None]:
            yield shared
            yield from request(name)

        return Task(name, steps(), "a")

    @pytest.mark.parametrize("concurrency", [1, 5])
    def test_it_runs_once(self, concurrency: int) -> None:
        shared = Task("shared", request("shared"), "a")
        tasks = [self.waiting(shared, name) for name in "xyz"]
        fetch = Paths()
        ended = ends(unlimited(fetch, concurrency).read(of(*tasks)))
        assert fetch.requested[0] == "shared"
        assert sorted(fetch.requested[1:]) == ["x", "y", "z"]
        assert ended.keys() == {"shared", *"xyz"}

    def test_it_may_be_a_task_whose_turn_comes_by_itself(self) -> None:
        shared = Task("shared", request("shared"), "a")
        fetch = Paths()
        tasks = [self.waiting(shared, "x"), shared, self.waiting(shared, "y")]
        read = filter(None, unlimited(fetch, 1).read(of(*tasks)))
        assert sorted(task.subject for task, _, is_end in read if is_end) == ["shared", "x", "y"]
        assert fetch.requested.count("shared") == 1
        assert len(fetch.requested) == 3

    def test_who_comes_late_goes_on_at_once(self) -> None:
        shared = Task("shared", request("shared"), "a")
        list(unlimited(Paths(), 1).read(of(self.waiting(shared, "x"))))
        fetch = Paths()
        list(unlimited(fetch, 1).read(of(self.waiting(shared, "y"))))
        assert fetch.requested == ["y"]

    def test_its_error_is_everybodys(self) -> None:
        error = refusal(403)
        shared = Task("shared", request("shared"), "a")
        tasks = [self.waiting(shared, name) for name in "xyz"]
        fetch = Paths(shared=error)
        list(unlimited(fetch, 3).read(of(*tasks)))
        assert fetch.requested == ["shared"]
        assert [task.error for task in tasks] == [error] * 3


class TestStopping:
    """Stopping before the last page."""

    def test_stop_from_another_thread_ends_a_reading_that_waits(self) -> None:
        source = Source(a=1)
        asked, released = threading.Event(), threading.Event()

        def wait(_: str) -> None:
            asked.set()
            released.wait(PATIENCE)

        source.before = wait
        scheduler = unlimited(source.fetch, 1)

        def stop() -> None:
            asked.wait(PATIENCE)
            scheduler.stop(143)

        stopper = threading.Thread(target=stop)
        stopper.start()
        with pytest.raises(SystemExit) as caught:
            flat(scheduler.read(source.tasks()))
        assert caught.value.code == 143
        released.set()
        stopper.join()
        source.join()

    def test_stop_ends_the_reading_before_its_next_page(self) -> None:
        source = Source(a=9)
        scheduler = unlimited(source.fetch, 1)
        rows = flat_lazily(scheduler.read(source.tasks()))
        assert next(rows) == "a/1"
        scheduler.stop(130)
        with pytest.raises(SystemExit) as caught:
            next(rows)
        assert caught.value.code == 130
        source.join()

    def test_what_was_stopped_reads_no_more(self) -> None:
        source = Source(a=1)
        scheduler = unlimited(source.fetch, 1)
        scheduler.stop(143)
        with pytest.raises(SystemExit):
            flat(scheduler.read(source.tasks()))

    def test_an_abandoned_reading_leaves_no_thread_behind(self) -> None:
        source, before = Source(a=9, b=9, c=9), set(threading.enumerate())
        begin_and_abandon(unlimited(source.fetch, 3), source)
        for thread in set(threading.enumerate()) - before:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert len(source.requested) < len(source.everything())

    def test_what_arrives_late_does_not_get_into_the_next_reading(self) -> None:
        late = Source(late=1, early=1)
        released = threading.Event()
        late.before = lambda name: name == "late/1" and released.wait(PATIENCE)
        fresh = Source(fresh=2)

        def fetch(request: Request, usage: Usage) -> Page:
            return (late if request.account_id in late.counts else fresh).fetch(request, usage)

        scheduler = unlimited(fetch, 2)
        begin_and_abandon(scheduler, late)
        second = flat_lazily(scheduler.read(fresh.tasks()))
        rows = [next(second)]
        released.set()
        late.join()
        assert [*rows, *second] == ["fresh/1", "fresh/2"]


def begin_and_abandon(scheduler: Scheduler, source: Source) -> None:
    reading = scheduler.read(source.tasks())
    next(reading)
    assert isinstance(reading, Generator)
    reading.close()
