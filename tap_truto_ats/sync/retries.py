"""Retries: whether another try of a request is worth while, and after which wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import backoff

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Hashable

    from tap_truto_ats.api.errors import TransientError

FIRST_WAIT, LAST_WAIT = 0.5, 60.0
"""Seconds: the upper bound of the random wait before the first retry, and before any retry."""


def seconds_to_wait(failed: Counter[Hashable], error: TransientError, most: float) -> float | None:
    """Count a try that has failed, and return the seconds to wait before the next.

    The wait is exponential with full jitter, and never less than what the server asked for. None
    means that the request, which may have `most` tries, is to be given up.
    """
    kind = type(error), error.status
    failed[kind] += 1
    number = failed.total()
    if number >= most or failed[kind] >= error.tries:
        return None
    bound = min(FIRST_WAIT * 2.0 ** min(number - 1, 100), LAST_WAIT)
    return max(backoff.full_jitter(bound), error.retry_after or 0.0)
