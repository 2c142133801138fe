"""How far a fan-out is, as one run notes it and the next one takes it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from tap_truto_ats.model.instants import LONG_AGO
from tap_truto_ats.sync.progress import MOST_GONE, Binding, Progress

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)


def begun(number: int) -> tuple[Progress, list[Binding]]:
    """A fan-out over so many parents."""
    parents = [Binding((f"{n:04}",), {}, NOW) for n in range(number)]
    progress = Progress("whole", {}, NOW)
    return progress, progress.begin(parents, NOW, None)


def taken(state: dict[str, Any] | None) -> Progress:
    assert state is not None
    return Progress.of(state, "whole", {}, NOW)


@pytest.mark.parametrize(
    ("number", "gone", "has_more"), [(0, 0, False), (MOST_GONE, MOST_GONE, False), (101, 0, True)]
)
def test_the_state_names_those_that_were_gone_up_to_a_number(
    number: int, gone: int, *, has_more: bool
) -> None:
    progress, parents = begun(number + 1)
    for index in range(number):
        progress.note_gone(index)
    progress.note_end(number, 0)
    for _ in range(2):
        progress = taken(progress.state(0))
        assert (len(progress.gone), progress.has_more_gone) == (gone, has_more)
        assert progress.after == parents[-1].position


def test_one_that_answers_after_all_is_not_gone() -> None:
    progress, parents = begun(3)
    progress.note_gone(0)
    progress.note_end(1, 0)
    later = taken(progress.state(0))
    old = [one._replace(changed=LONG_AGO.replace(year=2000)) for one in parents]
    assert later.begin(old, NOW, None) == [old[0], old[2]]
    later.note_end(0, 0)
    assert later.gone == set()


@pytest.mark.parametrize("noted", [5, "0001", True, {"a": 1}])
def test_what_names_no_parents_stands_for_too_many(noted: Any) -> None:
    progress, _ = begun(1)
    progress.note_end(0, 0)
    state = progress.state(0)
    assert state is not None
    assert taken(state | {"gone": noted}).has_more_gone


def test_what_is_no_parent_among_them_does_not_count() -> None:
    progress, _ = begun(1)
    progress.note_end(0, 0)
    state = progress.state(0)
    assert state is not None
    assert taken(state | {"gone": [["0001"], 5, None]}).gone == {("0001",)}
