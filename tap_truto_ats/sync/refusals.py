"""Requests for single parents or rows that are refused, while the others go on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tap_truto_ats.api.errors import AccountError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_truto_ats.sync.tasks import Steps

MOST_IN_A_ROW = 20
"""After so many refusals in a row, it is not single ones that are refused."""

MOST_ABSENT = 5
"""If the first so many do not exist, then that is what the provider answers to all."""


@dataclass(slots=True)
class Refusals:
    """What became of requests for single parents, or for single rows."""

    what: str
    """What is requested, in the plural."""
    answered: int = 0
    gone: int = 0
    """Those that were answered with 404: they were deleted after they were listed."""
    by_cause: Counter[str] = field(default_factory=Counter)
    """How many others were refused, by the cause."""
    statuses: set[int | None] = field(default_factory=set)
    """The statuses of these."""
    has_given_up: bool = False
    """Whether no further ones are to be requested."""
    _in_a_row: int = 0
    _last: AccountError | None = None

    def attempts(self, each: Iterable[Steps[Any]]) -> Iterator[Steps[bool]]:
        """Yield an attempt for each of them, until too many were refused."""
        for steps in each:
            if self.has_given_up:
                return
            yield self.attempt(steps)

    def attempt(self, steps: Steps[Any]) -> Steps[bool]:
        """Take the steps for one of them, and return whether they ended without a refusal.

        Raises:
            AccountError: It is about the whole account.
        """
        try:
            yield from steps
        except AccountError as error:
            if error.is_of_account or error.is_fault or error.missing_parameters:
                raise
            self._note(error)
            return False
        self.answered += 1
        self._in_a_row = 0
        return True

    def _note(self, error: AccountError) -> None:
        self.answered += 1
        self._in_a_row += 1
        self._last = error
        if error.status == HTTPStatus.NOT_FOUND:
            self.gone += 1
        else:
            self.by_cause[error.cause] += 1
            self.statuses.add(error.status)
        # Of those that were deleted, there may be many in a row.
        is_for_all = error.status != HTTPStatus.NOT_FOUND or self.are_all_gone
        self.has_given_up |= self._in_a_row >= MOST_IN_A_ROW and is_for_all

    @property
    def are_all_gone(self) -> bool:
        """Whether each one that was requested does not exist."""
        return 0 < self.answered == self.gone

    @property
    def are_absent(self) -> bool:
        """Whether all of the first few do not exist, so that the provider gives no single ones."""
        return self.are_all_gone and self.gone >= MOST_ABSENT

    def error(self) -> AccountError | None:
        """Return the error that sums them up; None if all that was requested was answered."""
        if not self._last or not (self.by_cause or self.has_given_up):
            return None
        causes = Counter(self.by_cause)
        if self.has_given_up and self.gone:
            causes["They do not exist (HTTP 404)"] = self.gone
        number = f"of {self.answered} {self.what}"
        if self.has_given_up:
            number += f", and after {MOST_IN_A_ROW} in a row no others were requested"
        cause = "; ".join(f"{cause}: {times} {number}" for cause, times in causes.items())
        # A 405 would speak of the whole resource, which the provider lists for others.
        told = self.statuses - {HTTPStatus.METHOD_NOT_ALLOWED}
        status = told.pop() if len(told) == len(causes) == 1 else None
        return AccountError(cause, self._last.cure, status=status)
