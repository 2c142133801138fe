"""What the README says of things that the code knows as well."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tap_truto_ats.errors import ANSWERS, OTHERS
from tap_truto_ats.resources import INTERVIEWS

README = (Path(__file__).parent.parent / "README.md").read_text()
ANSWER_CAUSES = sorted({answer.cause for answer in (*ANSWERS.values(), *dict(OTHERS).values())})


def provider_table() -> dict[str, dict[str, str]]:
    """The cells of the table of providers, by row and provider."""
    section = README.split("## What each provider gives")[1].split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    heads = [cell.strip().lower() for cell in lines[0]][1:]
    return {
        line[0].strip(): dict(zip(heads, (cell.strip() for cell in line[1:]), strict=True))
        for line in lines[2:]
    }


@pytest.mark.parametrize("cause", ANSWER_CAUSES)
def test_troubleshooting_knows_every_answer(cause: str) -> None:
    assert cause in README.split("## Troubleshooting")[1]


@pytest.mark.parametrize("provider", INTERVIEWS.offers)
def test_the_table_of_providers_is_the_taps_own(provider: str) -> None:
    offer = INTERVIEWS.offers[provider]
    cells = {row: values[provider] for row, values in provider_table().items()}
    filled = {row.strip("`") for row, cell in cells.items() if row.startswith("`") and cell}
    assert filled == offer.fills
    taken = {
        re.sub("filter |`", "", row) for row, cell in cells.items() if "filter" in row and cell
    }
    assert taken == offer.takes
    assert ("required" in cells.values()) == (offer.requires is not None)
    assert cells["read"].startswith("changed") == ("updated_at" in offer.fills)
