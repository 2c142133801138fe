"""Ways through pages, and the loop that takes many of them at the same time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats.client import ArrivingPage, Request
from tap_truto_ats.envelope import Page
from tap_truto_ats.errors import AccountError, BrokenBodyError, RunError
from tap_truto_ats.reader import Reader
from tap_truto_ats.resources import Requirement
from tap_truto_ats.walks import Walk, pages, pages_for_each_value, until_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_truto_ats.client import Usage
    from tap_truto_ats.walks import Steps

    Answer = Page | AccountError

PATIENCE = 20
"""Seconds after which a test fails instead of waiting for ever."""

FIRST = Request("/rows", {"account": "a1"}, "a1", rows=True)


def gone(status: int | None = 404) -> AccountError:
    return AccountError("cause", "cure", status=status)


def key(request: Request) -> str:
    """Name a request in short: its path, its candidate, its cursor."""
    parts = [request.path, request.params.get("candidate_id"), request.params.get("next_cursor")]
    return " ".join(str(part) for part in parts if part is not None)


def take(steps: Steps[Any], answers: Mapping[str, Answer]) -> tuple[list[str], AccountError | None]:
    """Walk to the end and tell what was requested, and the error it ended with."""
    walk = Walk("a1", steps)
    requested: list[str] = []
    walk.advance()
    while walk.request is not None:
        requested.append(key(walk.request))
        assert len(requested) < 50, "the walk does not end"
        walk.advance(answers[requested[-1]])
    assert walk.ended
    return requested, walk.error


class TestPages:
    """From a first page to the end of its cursor."""

    @pytest.mark.parametrize(
        ("answers", "requested"),
        [
            ({"/rows": Page([1])}, ["/rows"]),
            ({"/rows": Page([])}, ["/rows"]),
            ({"/rows": Page([1], "b"), "/rows b": Page([2])}, ["/rows", "/rows b"]),
            (
                {"/rows": Page([], "b"), "/rows b": Page([], "c"), "/rows c": Page([1])},
                ["/rows", "/rows b", "/rows c"],
            ),
            (
                {"/rows": Page([1], "b"), "/rows b": Page([], "c"), "/rows c": Page([])},
                ["/rows", "/rows b", "/rows c"],
            ),
        ],
        ids=["one page", "no rows", "two pages", "empty pages first", "empty pages last"],
    )
    def test_they_go_on_to_the_end_of_the_cursor(
        self, answers: dict[str, Answer], requested: list[str]
    ) -> None:
        assert take(pages(FIRST), answers) == (requested, None)

    @pytest.mark.parametrize(
        ("follows", "requested"),
        [
            ({"": "a", "a": "a"}, ["/rows", "/rows a"]),
            ({"": "a", "a": "b", "b": "a"}, ["/rows", "/rows a", "/rows b"]),
            (
                {"": "a", "a": "b", "b": "c", "c": "d", "d": "b"},
                ["/rows", "/rows a", "/rows b", "/rows c", "/rows d"],
            ),
        ],
        ids=["A A", "A B A", "A B C D B"],
    )
    @pytest.mark.parametrize("rows", [[], [{"id": 1}]], ids=["empty", "with rows"])
    def test_a_cursor_that_comes_back_is_an_error(
        self, follows: dict[str, str], requested: list[str], rows: list[Any]
    ) -> None:
        answers = {
            f"/rows {cursor}".strip(): Page(rows, following)
            for cursor, following in follows.items()
        }
        asked, error = take(pages(FIRST), answers)
        assert asked == requested
        assert "circle" in str(error)
        assert error is not None
        assert error.status is None

    def test_the_same_cursor_in_another_walk_is_no_error(self) -> None:
        answers = {"/rows": Page([1], "b"), "/rows b": Page([2])}
        for _ in range(2):
            assert take(pages(FIRST), answers)[1] is None

    def test_all_parameters_are_sent_with_every_page(self) -> None:
        steps = pages(FIRST)
        assert next(steps) == FIRST
        second = steps.send(Page([1], "https://a.example/?x=1&y=%2F"))
        assert second.params == {"account": "a1", "next_cursor": "https://a.example/?x=1&y=%2F"}
        assert (second.path, second.account_id, second.rows) == ("/rows", "a1", True)

    @pytest.mark.parametrize("error", [gone(), BrokenBodyError("x")], ids=["404", "broken"])
    def test_an_error_ends_the_walk(self, error: AccountError) -> None:
        answers: dict[str, Answer] = {"/rows": Page([1], "b"), "/rows b": error}
        assert take(pages(FIRST), answers) == (["/rows", "/rows b"], error)

    def test_the_parts_of_an_arriving_page_are_asked_for_until_it_is_read(self) -> None:
        first = Request("/rows", arriving=ArrivingPage(), rows=True)
        steps = pages(first)
        assert next(steps) is first
        assert steps.send(Page([1], unread=True)) is first
        assert steps.send(Page([2], unread=True)) is first
        second = steps.send(Page([], "b"))
        assert key(second) == "/rows b"
        assert second.arriving is not first.arriving


CANDIDATES = Requirement("candidate_id", "candidates")
PARENTS = Request("/candidates", {"account": "a1"}, "a1")


def people(*ids: object) -> list[dict[str, Any]]:
    return [{"id": one} for one in ids]


class TestPagesForEachValue:
    """A resource that has to be asked for by each row of another one."""

    def take(self, answers: Mapping[str, Answer]) -> tuple[list[str], AccountError | None]:
        return take(pages_for_each_value(FIRST, CANDIDATES, PARENTS), answers)

    def test_all_pages_of_each_value_of_all_pages(self) -> None:
        answers = {
            "/candidates": Page(people("c1", "c2"), "p2"),
            "/candidates p2": Page(people(3)),
            "/rows c1": Page([1], "x"),
            "/rows c1 x": Page([]),
            "/rows c2": Page([]),
            "/rows 3": Page([2], "x"),
            "/rows 3 x": Page([3]),
        }
        assert self.take(answers) == (
            [
                *("/candidates", "/candidates p2"),
                *("/rows c1", "/rows c1 x"),
                "/rows c2",
                *("/rows 3", "/rows 3 x"),
            ],
            None,
        )

    def test_the_parameter_is_added_to_the_others_and_only_the_childrens_rows_are_wanted(
        self,
    ) -> None:
        steps = pages_for_each_value(FIRST, CANDIDATES, PARENTS)
        assert not next(steps).rows
        child = steps.send(Page(people("c1")))
        assert child.params == {"account": "a1", "candidate_id": "c1"}
        assert child.rows

    def test_another_field_may_hold_the_values(self) -> None:
        steps = pages_for_each_value(FIRST, Requirement("candidate_id", "people", "key"), PARENTS)
        next(steps)
        child = steps.send(Page([{"id": "no", "key": "k1"}]))
        assert child.params["candidate_id"] == "k1"

    def test_an_empty_page_of_parents_is_not_the_end(self) -> None:
        answers = {
            "/candidates": Page([], "p2"),
            "/candidates p2": Page(people("c1")),
            "/rows c1": Page([1]),
        }
        assert self.take(answers)[0] == ["/candidates", "/candidates p2", "/rows c1"]

    def test_no_parents_no_requests(self) -> None:
        assert self.take({"/candidates": Page([])}) == (["/candidates"], None)

    def test_a_value_is_asked_for_once(self) -> None:
        answers = {
            "/candidates": Page(people("c1", "c1"), "p2"),
            "/candidates p2": Page(people("c1")),
            "/rows c1": Page([1]),
        }
        assert self.take(answers)[0] == ["/candidates", "/candidates p2", "/rows c1"]

    def test_what_changed_last_comes_first(self) -> None:
        changes = [
            {"id": "never"},
            {"id": "old", "updated_at": "2026-01-01T00:00:00Z"},
            {"id": "odd", "updated_at": "soon", "last_interaction_at": "2026-02-01"},
            {"id": "new", "updated_at": "2026-01-01", "last_interaction_at": "2026-03-01T00:00Z"},
        ]
        answers: dict[str, Answer] = {"/candidates": Page(changes)}
        answers |= {f"/rows {one['id']}": Page([]) for one in changes}
        assert self.take(answers)[0][1:] == ["/rows new", "/rows odd", "/rows old", "/rows never"]

    def test_what_it_takes_is_told_beforehand(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        steps = pages_for_each_value(FIRST, CANDIDATES, PARENTS)
        next(steps)
        steps.send(Page(people(*range(1, 100_001))))
        assert "Account a1: 100000 candidates, a request each or more" in caplog.text
        assert "5:50:00" in caplog.text

    def test_parents_without_a_value_are_counted_in_one_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        parents = [{"id": None}, {}, "c0", None, {"id": "c1"}, {"id": ""}]
        answers = {"/candidates": Page(parents), "/rows c1": Page([1])}
        assert self.take(answers) == (["/candidates", "/rows c1"], None)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "a1" in caplog.text
        assert "5 had no `id`" in caplog.text

    def test_a_value_that_is_gone_at_a_later_page_is_an_error(self) -> None:
        answers: dict[str, Answer] = {
            "/candidates": Page(people("c1", "c2")),
            "/rows c1": Page([1], "x"),
            "/rows c1 x": gone(),
        }
        asked = ["/candidates", "/rows c1", "/rows c1 x"]
        assert self.take(answers) == (asked, answers["/rows c1 x"])

    def test_a_value_that_is_gone_is_passed_over(self, caplog: pytest.LogCaptureFixture) -> None:
        answers: dict[str, Answer] = {
            "/candidates": Page(people("c1", "c2")),
            "/rows c1": gone(),
            "/rows c2": Page([2]),
        }
        asked, error = self.take(answers)
        assert asked[-1] == "/rows c2"
        assert error is None
        assert "1 were gone" in caplog.text

    def test_when_all_are_gone_it_is_an_error(self) -> None:
        answers: dict[str, Answer] = {
            "/candidates": Page(people("c1"), "p2"),
            "/candidates p2": Page(people("c2")),
            "/rows c1": gone(),
            "/rows c2": gone(),
        }
        asked, error = self.take(answers)
        assert asked == ["/candidates", "/candidates p2", "/rows c1", "/rows c2"]
        assert error is answers["/rows c1"]

    @pytest.mark.parametrize("status", [400, 401, 403, 405, 422, 502, 503, None])
    def test_any_other_error_of_a_value_ends_the_walk(self, status: int | None) -> None:
        answers: dict[str, Answer] = {
            "/candidates": Page(people("c1", "c2")),
            "/rows c1": gone(status),
        }
        assert self.take(answers) == (["/candidates", "/rows c1"], answers["/rows c1"])

    @pytest.mark.parametrize("status", [404, 403, 502])
    def test_an_error_of_the_parents_ends_the_walk(self, status: int) -> None:
        answers: dict[str, Answer] = {
            "/candidates": Page(people("c1"), "p2"),
            "/rows c1": Page([1]),
            "/candidates p2": gone(status),
        }
        assert self.take(answers)[1] is answers["/candidates p2"]

    @pytest.mark.parametrize("path", ["/candidates", "/rows c1"])
    def test_a_circle_is_an_error(self, path: str) -> None:
        answers = {
            "/candidates": Page(people("c1"), "p2"),
            "/candidates p2": Page([]),
            "/rows c1": Page([1]),
            path: Page(people("c1"), "x"),
            f"{path} x": Page([], "x"),
        }
        assert "circle" in str(self.take(answers)[1])

    def test_the_same_cursor_for_two_values_is_no_circle(self) -> None:
        answers = {
            "/candidates": Page(people("c1", "c2")),
            **{f"/rows {one}": Page([1], "x") for one in ("c1", "c2")},
            **{f"/rows {one} x": Page([2]) for one in ("c1", "c2")},
        }
        assert self.take(answers)[1] is None


class TestUntilRows:
    """A look at an account: up to its first page of rows."""

    @staticmethod
    def steps() -> Steps[None]:
        """Ask for something that may be forbidden, then for pages."""
        try:
            yield Request("/about", single=True)
        except AccountError as error:
            if error.status != 403:
                raise
        yield from pages(FIRST)

    @pytest.mark.parametrize(
        ("answers", "requested"),
        [
            ({"/about": Page([{}]), "/rows": Page([1], "b")}, ["/about", "/rows"]),
            ({"/about": Page([{}]), "/rows": Page([], "b")}, ["/about", "/rows"]),
            ({"/about": gone(403), "/rows": Page([1], "b")}, ["/about", "/rows"]),
        ],
        ids=["rows", "an empty page", "an error that the steps take"],
    )
    def test_it_ends_at_the_first_page(
        self, answers: dict[str, Answer], requested: list[str]
    ) -> None:
        assert take(until_rows(self.steps()), answers) == (requested, None)

    @pytest.mark.parametrize(
        "answers",
        [{"/about": gone()}, {"/about": Page([{}]), "/rows": gone()}],
        ids=["before the rows", "at the rows"],
    )
    def test_an_error_comes_out(self, answers: dict[str, Answer]) -> None:
        asked, error = take(until_rows(self.steps()), answers)
        assert error is answers[asked[-1]]

    def test_steps_that_end_early_end_it(self) -> None:
        answers = {"/candidates": Page([])}
        steps = pages_for_each_value(FIRST, CANDIDATES, PARENTS)
        assert take(until_rows(steps), answers) == (["/candidates"], None)

    def test_a_value_that_is_gone_is_passed_over(self) -> None:
        answers: dict[str, Answer] = {
            "/candidates": Page(people("c1", "c2", "c3")),
            "/rows c1": gone(),
            "/rows c2": Page([], "x"),
        }
        steps = pages_for_each_value(FIRST, CANDIDATES, PARENTS)
        assert take(until_rows(steps), answers) == (
            ["/candidates", "/rows c1", "/rows c2"],
            None,
        )

    def test_no_steps(self) -> None:
        def none() -> Steps[None]:
            yield from ()

        assert take(until_rows(none()), {}) == ([], None)


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

    def walks(self) -> Iterator[Walk[str]]:
        for account in self.counts:
            yield Walk(account, pages(Request("/rows", {}, account, rows=True)))

    def fetch(self, request: Request, _: Usage) -> Page:
        account, number = request.account_id or "", int(request.params.get("next_cursor", 1))
        name = f"{account}/{number}"
        with self.lock:
            self.requested.append(name)
            self.threads.add(threading.current_thread())
            self.under_way[account] += 1
            assert self.under_way[account] == 1, "two requests of one walk at the same time"
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


def flat(reading: Iterator[tuple[Walk[str], list[Any]]]) -> list[str]:
    return [row for _, rows in reading for row in rows]


class TestReader:
    """Pages of many walks at the same time."""

    @pytest.mark.parametrize("concurrency", [1, 2, 3, 10])
    def test_every_page_of_every_walk_arrives_once(self, concurrency: int) -> None:
        source = Source(a=3, b=1, c=5, d=2)
        rows = flat(Reader(source.fetch, concurrency).read(source.walks()))
        assert sorted(rows) == sorted(source.everything())
        assert source.most_under_way <= concurrency
        for account in source.counts:
            mine = [row for row in rows if row.startswith(account)]
            assert mine == sorted(mine)
        source.join()

    def test_as_many_walks_as_allowed_are_under_way_at_once(self) -> None:
        source = Source(**{f"a{n}": 1 for n in range(9)})
        barrier = threading.Barrier(3)
        source.before = lambda _: barrier.wait(PATIENCE)
        assert len(flat(Reader(source.fetch, 3).read(source.walks()))) == 9
        assert source.most_under_way == 3
        assert len(source.threads) == 3

    def test_a_walk_begins_when_another_one_has_ended(self) -> None:
        source = Source(a=1, b=1, c=1, d=1)
        begun: list[str] = []

        def walks() -> Iterator[Walk[str]]:
            for walk in source.walks():
                begun.append(walk.subject)
                yield walk

        reading = Reader(source.fetch, 2).read(walks())
        assert begun == []
        seen = [len(begun) for _ in reading]
        assert seen == [3, 4, 4, 4]

    def test_no_more_threads_than_walks(self) -> None:
        source = Source(a=5)
        flat(Reader(source.fetch, 100).read(source.walks()))
        assert len(source.threads) == 1

    def test_pages_are_handled_in_the_order_in_which_they_arrive(self) -> None:
        source = Source(slow=1, fast=2)
        handled = threading.Event()
        source.before = lambda name: name == "slow/1" and handled.wait(PATIENCE)
        rows = []
        for row in flat_lazily(Reader(source.fetch, 2).read(source.walks())):
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
        for row in flat_lazily(Reader(source.fetch, 1).read(source.walks())):
            number = int(row[-1])
            if number < 3:
                assert requested[f"a/{number + 1}"].wait(PATIENCE)

    def test_one_page_of_a_walk_is_ahead_and_no_more(self) -> None:
        source = Source(a=5)
        arrived: list[int] = []
        for _ in flat_lazily(Reader(source.fetch, 4).read(source.walks())):
            with source.lock:
                arrived.append(len(source.requested))
        assert all(count <= n + 2 for n, count in enumerate(arrived))

    def test_each_walk_tells_its_end_once(self) -> None:
        source = Source(a=2, b=1)
        ends = [
            (walk.subject, walk.error)
            for walk, _ in Reader(source.fetch, 2).read(source.walks())
            if walk.ended
        ]
        assert sorted(ends, key=str) == [("a", None), ("b", None)]

    def test_a_walk_without_requests_ends_at_once(self) -> None:
        def none() -> Steps[None]:
            yield from ()

        source = Source(a=1)
        walks = [Walk("none", none()), *source.walks(), Walk("none", none())]
        read = [(one.subject, rows) for one, rows in Reader(source.fetch, 2).read(walks)]
        assert sorted(read) == [("a", ["a/1"]), ("none", []), ("none", [])]

    def test_no_walks(self) -> None:
        assert list(Reader(Source().fetch, 3).read([])) == []

    def test_only_rows_that_are_wanted_are_handed_out(self) -> None:
        walk = Walk("a", pages(Request("/rows", {}, "a")))
        read = [rows for _, rows in Reader(Source(a=2).fetch, 1).read([walk])]
        assert read == [[], []]

    def test_an_account_error_ends_its_walk_only(self) -> None:
        source, error = Source(a=3, b=3), gone()

        def fail(name: str) -> None:
            if name == "a/2":
                raise error

        source.before = fail
        rows, errors = [], {}
        for walk, some in Reader(source.fetch, 2).read(source.walks()):
            rows += some
            if walk.ended:
                errors[walk.subject] = walk.error
        assert sorted(rows) == ["a/1", "b/1", "b/2", "b/3"]
        assert errors == {"a": error, "b": None}

    def test_an_unforeseen_fault_ends_its_walk_and_quotes_nothing(self) -> None:
        source = Source(a=3, b=2)

        def fail(name: str) -> None:
            if name == "a/2":
                message = "never in a log"
                raise ValueError(message)

        source.before = fail
        errors = {}
        for walk, _ in Reader(source.fetch, 2).read(source.walks()):
            if walk.ended:
                errors[walk.subject] = walk.error
        assert errors["b"] is None
        assert "The tap met a ValueError in test_walks.py:" in str(errors["a"])
        assert "never in a log" not in str(errors["a"])

    @pytest.mark.parametrize("fault", [RunError("x"), KeyboardInterrupt()], ids=repr)
    def test_what_ends_a_run_comes_out_where_rows_are_read(self, fault: BaseException) -> None:
        source = Source(a=3, b=1)

        def fail(name: str) -> None:
            if name == "a/2":
                raise fault

        source.before = fail
        with pytest.raises(type(fault)) as caught:
            flat(Reader(source.fetch, 2).read(source.walks()))
        assert caught.value is fault
        source.join()

    def test_a_reader_can_read_again(self) -> None:
        source = Source(a=2)
        reader = Reader(source.fetch, 2)
        assert flat(reader.read(source.walks())) == flat(reader.read(source.walks()))


class TestStopping:
    """The end of a reading before its end."""

    def test_stop_from_another_thread_ends_a_reading_that_waits(self) -> None:
        source = Source(a=1)
        asked, released = threading.Event(), threading.Event()

        def wait(_: str) -> None:
            asked.set()
            released.wait(PATIENCE)

        source.before = wait
        reader = Reader(source.fetch, 1)

        def stop() -> None:
            asked.wait(PATIENCE)
            reader.stop(143)

        stopper = threading.Thread(target=stop)
        stopper.start()
        with pytest.raises(SystemExit) as caught:
            flat(reader.read(source.walks()))
        assert caught.value.code == 143
        released.set()
        stopper.join()
        source.join()

    def test_stop_ends_the_reading_before_its_next_page(self) -> None:
        source = Source(a=9)
        reader = Reader(source.fetch, 1)
        rows = flat_lazily(reader.read(source.walks()))
        assert next(rows) == "a/1"
        reader.stop(130)
        with pytest.raises(SystemExit) as caught:
            next(rows)
        assert caught.value.code == 130
        source.join()

    def test_what_was_stopped_reads_no_more(self) -> None:
        source = Source(a=1)
        reader = Reader(source.fetch, 1)
        reader.stop(143)
        with pytest.raises(SystemExit):
            flat(reader.read(source.walks()))

    def test_an_abandoned_reading_leaves_no_thread_behind(self) -> None:
        source, before = Source(a=9, b=9, c=9), set(threading.enumerate())
        begin_and_abandon(Reader(source.fetch, 3), source)
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

        reader = Reader(fetch, 2)
        begin_and_abandon(reader, late)
        second = flat_lazily(reader.read(fresh.walks()))
        rows = [next(second)]
        released.set()
        late.join()
        assert [*rows, *second] == ["fresh/1", "fresh/2"]


def flat_lazily(reading: Iterator[tuple[Walk[str], list[Any]]]) -> Iterator[str]:
    for _, rows in reading:
        yield from rows


def begin_and_abandon(reader: Reader, source: Source) -> None:
    reading = reader.read(source.walks())
    next(reading)
    assert isinstance(reading, Generator)
    reading.close()
