"""What the README says of things that the code knows as well."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tap_truto_ats.api.errors import ANSWERS, OTHERS
from tap_truto_ats.api.limits import RateLimiter
from tap_truto_ats.report import Report
from tests.readme import PATH, render, tables

README = PATH.read_text(encoding="utf-8")
ANSWER_CAUSES = sorted({answer.cause for answer in (*ANSWERS.values(), *dict(OTHERS).values())})


@pytest.mark.parametrize("cause", ANSWER_CAUSES)
def test_troubleshooting_knows_every_answer(cause: str) -> None:
    assert cause in README.split("## Troubleshooting")[1]


def test_each_key_of_the_report_has_its_row() -> None:
    data = Report(list, Counter, RateLimiter()).data()
    table = README.split("Its keys:")[1].split("\n\n")[1]
    first = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    assert {*re.findall(r"`(\w+)`", " ".join(first))} == {*data}


def test_the_tables_of_streams_and_providers_are_those_of_the_declarations() -> None:
    assert render(README) == README, "`make docs` writes them"


def test_each_table_has_its_marked_place() -> None:
    assert re.findall("<!-- ([a-z]+) -->", README) == list(tables())


def test_each_link_within_it_leads_to_a_heading() -> None:
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}
    assert {*re.findall(r"\]\(#([^)]+)\)", README)} <= anchors
