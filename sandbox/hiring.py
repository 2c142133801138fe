"""The course of each application: when it came, how far it got, and who is interviewed when.

All of it follows from numbers, so that an interview and its application agree without looking at
each other: an application passes the stages of its job in order, as many as `FURTHEST` says.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sandbox.accounts import END

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from random import Random

    from sandbox.accounts import Account

STAGES = ("Application review", "Phone screen", "On-site", "Decision")

FURTHEST = (3, 4, 1, 2, 3, 1, 4)
"""The position of the last stage that an application gets to, in turns."""

ACTIVE = timedelta(days=60)
"""How long an application is interviewed for; longer where few apply."""

STAGE = timedelta(days=20)
"""How long after it came, or after the stage before, an application gets to an interview stage."""

NOTICE = timedelta(days=14)
"""How long before an interview it is planned, at most."""

DECISION = 2 * STAGE + timedelta(days=5)
"""How long after an application an offer is made for it: when it is in the last stage."""

UNDECIDED = 0.2
"""Which share of the applications that could have been rejected is not."""

CANCELLED = 0.15
"""Which share of the interviews is cancelled."""

OVERLAP = 3
"""Among how many candidates there is always one who can be interviewed."""


def applications_of(candidate: int) -> list[int]:
    """Return the numbers of the applications of a candidate, given by number."""
    return [2 * candidate - 1, *([2 * candidate] if candidate % 3 == 0 else [])]


def applicant(account: Account, application: int) -> int:
    """Return the number of the candidate that an application is of."""
    return (application - 1) // 2 % account.last("candidates") + 1


def job_applied_for(account: Account, application: int) -> int:
    """Return the number of the job that an application is for."""
    second = (application - 1) % 2
    jobs = max(1, account.counts["jobs"])
    return (applicant(account, application) - 1 + second) % jobs + 1


def offered(number: int) -> int:
    """Return the application that the n-th offer is for, one that gets to the last stage."""
    cycle = 2 * len(FURTHEST)
    hired = [one for one in range(1, cycle, 2) if FURTHEST[one % len(FURTHEST)] == max(FURTHEST)]
    turn, place = divmod(number - 1, len(hired))
    return cycle * turn + hired[place]


def stage_at(account: Account, application: int, moment: datetime) -> int:
    """Return the number of the stage that an application is in at a moment, or at the end."""
    age = min(moment, END) - account.born("applications", application)
    position = max(1, min(FURTHEST[application % len(FURTHEST)], 2 + age // STAGE))
    return len(STAGES) * (job_applied_for(account, application) - 1) + position


def interviewed(account: Account, rng: Random, moment: datetime) -> int:
    """Choose an application that an interview is planned for at a moment."""
    last = max(1, account.counts["candidates"])
    newest = _candidate_before(account, moment, last)
    oldest = min(newest - OVERLAP + 1, _candidate_before(account, moment - ACTIVE, last))
    candidate = rng.randint(max(1, oldest), newest)
    while True:
        choices = _interviewable(account, candidate, moment)
        if choices or candidate == 1:
            return rng.choice(choices or [1])
        candidate -= 1


def rejected_at(account: Account, application: int, rng: Random) -> datetime | None:
    """Return when an application was rejected, after its last interview; None if it was not."""
    came = account.born("applications", application)
    between = 2 * account.step("applications")  # from a candidate to the next one
    longest = max(ACTIVE + 2 * between, (OVERLAP + 1) * between) + NOTICE
    moment = came + longest + timedelta(days=rng.randint(2, 9))
    is_hired = FURTHEST[application % len(FURTHEST)] == max(FURTHEST)
    return None if is_hired or moment > END or rng.random() < UNDECIDED else moment


def status(rng: Random, start: datetime) -> str:
    """Choose the status of an interview that is to start at a moment."""
    if rng.random() < CANCELLED:
        return "cancelled"
    choices: Sequence[str] = ("scheduled", "scheduled", "draft")
    return rng.choice(choices if start > END else ("completed",) * 9 + ("awaiting_feedback",))


def _candidate_before(account: Account, moment: datetime, last: int) -> int:
    """Return the number of the last candidate who had applied a day before a moment."""
    first = account.born("applications", 1)
    found = (moment - timedelta(days=1) - first) // account.step("applications")
    return max(1, min(last, found // 2 + 1))


def _interviewable(account: Account, candidate: int, moment: datetime) -> list[int]:
    """Return the applications of a candidate that get further than the first stage."""
    return [
        one
        for one in applications_of(candidate)
        if FURTHEST[one % len(FURTHEST)] > 1
        and account.born("applications", one) < moment - timedelta(days=1)
    ]
