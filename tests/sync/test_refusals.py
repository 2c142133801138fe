"""Single parents or rows that are refused, while the others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_truto_ats.api.envelope import Page
from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.api.request import Request
from tap_truto_ats.sync.refusals import MOST_ABSENT, MOST_IN_A_ROW, Refusals
from tests.sync.steps import failure, pages, refusal, take

if TYPE_CHECKING:
    from tests.sync.steps import Answer

GONE, FORBIDDEN, WRONG = refusal(404, "Gone"), refusal(403, "Forbidden"), refusal(422, "Wrong")
ANSWERED = Page([1])


def attempted(*answers: Answer) -> tuple[Refusals, list[bool]]:
    """Attempt a request for each answer; tell which were answered."""
    refusals = Refusals("jobs")
    results = [
        take(refusals.attempt(pages(Request("/x"))), {"/x": answer}).result for answer in answers
    ]
    return refusals, results


@pytest.mark.parametrize(
    "error", [GONE, FORBIDDEN, WRONG, refusal(400), refusal(410), failure(502), failure(None)]
)
def test_the_others_go_on_when_one_is_refused(error: AccountError) -> None:
    refusals, results = attempted(ANSWERED, error, ANSWERED)
    assert results == [True, False, True]
    assert not refusals.has_given_up
    assert refusals.answered == 3


@pytest.mark.parametrize("about", ["is_of_account", "is_fault", "missing_parameters"])
def test_what_is_about_the_whole_account_comes_out(about: str) -> None:
    error = refusal(400)
    setattr(error, about, ("job_id",) if about == "missing_parameters" else True)
    refusals = Refusals("jobs")
    taken = take(refusals.attempt(pages(Request("/x"))), {"/x": error})
    assert taken.error is error
    assert (refusals.answered, refusals.error()) == (0, None)


# Answers → the sum of them as an error's cause.
SUMS: dict[str, tuple[list[Answer], str | None]] = {
    "none": ([], None),
    "all answered": ([ANSWERED] * 3, None),
    "some gone": ([ANSWERED, GONE, GONE], None),
    "all gone, few": ([GONE] * 3, None),
    "one refused": ([ANSWERED, WRONG, ANSWERED], "Wrong: 1 of 3 jobs"),
    "two causes": (
        [WRONG, ANSWERED, FORBIDDEN, WRONG],
        "Wrong: 2 of 4 jobs; Forbidden: 1 of 4 jobs",
    ),
    "gone ones are no error beside refused ones": ([WRONG, GONE], "Wrong: 1 of 2 jobs"),
    "many in a row": (
        [ANSWERED, *[WRONG] * MOST_IN_A_ROW],
        "Wrong: 20 of 21 jobs, and after 20 in a row no others were requested",
    ),
    "many gone in a row, but not all": ([ANSWERED, *[GONE] * MOST_IN_A_ROW], None),
    "many gone from the first on": (
        [GONE] * MOST_IN_A_ROW,
        (
            "They do not exist (HTTP 404): 20 of 20 jobs, and after 20 in a row no others were"
            " requested"
        ),
    ),
}


@pytest.mark.parametrize(("answers", "cause"), SUMS.values(), ids=SUMS)
def test_they_are_summed_up_by_cause_and_number(answers: list[Answer], cause: str | None) -> None:
    error = attempted(*answers)[0].error()
    assert (error and error.cause) == cause
    if error:
        assert error.cure == "cure"
        assert type(error) is AccountError


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([WRONG, ANSWERED, WRONG], 422),
        ([WRONG, GONE], 422),
        ([WRONG, FORBIDDEN], None),
        ([refusal(405)], None),
        ([GONE] * MOST_IN_A_ROW, None),
    ],
    ids=["one", "one beside gone ones", "two", "of the whole resource", "all gone"],
)
def test_the_sum_has_a_status_where_all_have_the_same(
    answers: list[Answer], status: int | None
) -> None:
    error = attempted(*answers)[0].error()
    assert error is not None
    assert error.status == status


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([WRONG] * (MOST_IN_A_ROW - 1), False),
        ([WRONG] * MOST_IN_A_ROW, True),
        ([GONE, FORBIDDEN] * (MOST_IN_A_ROW // 2), True),
        (([WRONG] * (MOST_IN_A_ROW - 1) + [ANSWERED]) * 9, False),
        ([WRONG] * MOST_IN_A_ROW + [ANSWERED], True),
    ],
    ids=["fewer", "as many", "of two kinds", "with others between", "for good"],
)
def test_after_many_in_a_row_no_others_are_worth_requesting(
    answers: list[Answer], expected: object
) -> None:
    assert attempted(*answers)[0].has_given_up is expected


@pytest.mark.parametrize(
    ("answers", "are_all_gone", "are_absent"),
    [
        ([], False, False),
        ([GONE], True, False),
        ([GONE] * (MOST_ABSENT - 1), True, False),
        ([GONE] * MOST_ABSENT, True, True),
        ([GONE] * MOST_ABSENT + [ANSWERED], False, False),
        ([ANSWERED] + [GONE] * MOST_ABSENT, False, False),
        ([WRONG] + [GONE] * MOST_ABSENT, False, False),
    ],
)
def test_if_the_first_few_do_not_exist_the_provider_has_no_such_thing(
    answers: list[Answer], are_all_gone: object, are_absent: object
) -> None:
    refusals = attempted(*answers)[0]
    assert (refusals.are_all_gone, refusals.are_absent) == (are_all_gone, are_absent)
