"""Whether another try is worth while, and after which wait."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tap_truto_ats.api.errors import FEW_TRIES, BrokenBodyError, NoListError
from tap_truto_ats.sync import retries
from tap_truto_ats.sync.retries import seconds_to_wait
from tests.sync.steps import failure

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tap_truto_ats.api.errors import TransientError

UNLIMITED = 10**9


def test_waits_are_random_below_bounds_that_double_up_to_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return high / 2

    monkeypatch.setattr(random, "uniform", uniform)
    failed: Counter[Hashable] = Counter()
    waits = [seconds_to_wait(failed, failure(), UNLIMITED) for _ in range(10)]
    highs = [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert bounds == [(0, high) for high in highs]
    assert waits == [high / 2 for high in highs]


def test_after_ever_so_many_tries_the_wait_is_still_a_minute_at_most() -> None:
    wait = seconds_to_wait(Counter({502: 100_000}), failure(), UNLIMITED)
    assert wait is not None
    assert wait <= retries.LAST_WAIT


@pytest.mark.parametrize(
    ("asked", "waited"), [(None, 0.25), (0.0, 0.25), (0.1, 0.25), (1.5, 1.5), (300.0, 300.0)]
)
def test_a_wait_is_never_shorter_than_asked_for_nor_than_its_own(
    monkeypatch: pytest.MonkeyPatch, asked: float | None, waited: float
) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, high: high / 2)
    assert seconds_to_wait(Counter(), failure(429, retry_after=asked), UNLIMITED) == waited


# Statuses in their turn, how many tries the request may have and each answer is worth → how many
# are made.
TRIES: dict[str, tuple[list[int], int, float, int]] = {
    "one try": ([502], 1, math.inf, 1),
    "as many as set": ([502], 9, math.inf, 9),
    "of several kinds together": ([502, 503, 504], 9, math.inf, 9),
    "no more than it is worth": ([503], 9, 3, 3),
    "no more than are set": ([503], 2, 3, 2),
    "worth so many of its kind": ([503, 502], 9, 3, 5),
}


@pytest.mark.parametrize(("statuses", "most", "worth", "made"), TRIES.values(), ids=TRIES)
def test_a_request_is_given_up_after_so_many_tries(
    statuses: list[int], most: int, worth: float, made: int
) -> None:
    failed: Counter[Hashable] = Counter()
    number = 0
    while True:
        status = statuses[number % len(statuses)]
        number += 1
        error = failure(status, tries=worth if status == 503 else math.inf)
        if seconds_to_wait(failed, error, most) is None:
            break
    assert number == made
    assert failed.total() == made


# Errors in their turn, and how many tries are made until one of them is what the request ends with.
KINDS: dict[str, tuple[list[TransientError], int]] = {
    "null": ([NoListError()], FEW_TRIES),
    "null behind what never came": ([failure(None), failure(None), NoListError()], FEW_TRIES + 2),
    "null behind what broke off": ([BrokenBodyError("x"), NoListError()], FEW_TRIES + 1),
    "another status": ([failure(500), failure(502, tries=2)], 3),
    "the same status": ([failure(502), failure(502, tries=2)], 2),
}


@pytest.mark.parametrize(("errors", "made"), KINDS.values(), ids=KINDS)
def test_errors_of_another_kind_use_up_no_tries_of_the_last(
    errors: list[TransientError], made: int
) -> None:
    failed: Counter[Hashable] = Counter()
    *_, last = errors
    waits = [seconds_to_wait(failed, one, UNLIMITED) for one in [*errors, *[last] * 9]]
    assert waits.index(None) + 1 == made
