"""What the documentation says of things that the code knows as well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from documentation.blocks import BLOCK, DOCS, ROOT, fenced, render
from documentation.entities import diagram
from documentation.providers import CHANGES, HELD_BACK, WHOLE, ways
from documentation.screens import SCREENS
from documentation.site import CONFIG, PLACES, moved, with_diagrams
from documentation.streams import pages
from documentation.tables import tables
from tap_truto_ats.api.errors import ANSWERS, OTHERS
from tap_truto_ats.model.resources import RESOURCES

if TYPE_CHECKING:
    from pathlib import Path

PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
BLOCKS = tables() | {"entities": diagram()}
ANSWER_CAUSES = sorted({answer.cause for answer in (*ANSWERS.values(), *dict(OTHERS).values())})


@pytest.mark.parametrize("cause", ANSWER_CAUSES)
def test_troubleshooting_knows_every_answer(cause: str) -> None:
    assert cause in PAGES["troubleshooting.md"]


@pytest.mark.parametrize("page", PAGES)
def test_what_follows_from_the_declarations_is_up_to_date(page: str) -> None:
    assert render(PAGES[page], BLOCKS) == PAGES[page], "`make docs` writes it"


def test_each_block_has_its_marked_place() -> None:
    marked = [found[1] for text in PAGES.values() for found in BLOCK.finditer(text)]
    assert sorted(marked) == sorted([*BLOCKS, *SCREENS])


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r'"([\w/]+\.md)"', CONFIG.read_text(encoding="utf-8"))
    assert sorted(listed) == sorted([*PLACES.values(), *pages()])


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        ("interviews", {CHANGES: "ceipal greenhouse pinpoint", WHOLE: "ashby fountain"}),
        (
            "candidates",
            {
                CHANGES: (
                    "greenhouse hrcloud jobvite lever smartrecruiters teamtailor workable"
                    " zohorecruit"
                ),
                HELD_BACK: (
                    "applicantstack ashby bamboohr cats ceipal fountain homerun jazzhr jobscore"
                    " keka loxo pinpoint recruitee recruiterflow talentlyft"
                ),
                WHOLE: "breezy sagehr",
            },
        ),
        (
            "users",
            {
                HELD_BACK: (
                    "ashby fountain greenhouse lever loxo pinpoint recruitee recruiterflow"
                    " talentlyft teamtailor workable"
                )
            },
        ),
        ("organizations", {WHOLE: "breezy jobvite loxo"}),
    ],
)
def test_it_tells_how_providers_are_read(stream: str, told: dict[str, str]) -> None:
    assert ways(RESOURCES[stream]) == {way: names.split() for way, names in told.items()}


@pytest.mark.parametrize(
    ("target", "in_the_site"),
    [
        ("docs/state.md", "[here](state.md#there)"),
        ("deploy/README.md", "[here](machines.md#there)"),
        ("deploy/", "[here](machines.md#there)"),
        ("LICENSE", "here"),
    ],
)
def test_links_of_the_readme_lead_to_pages_of_the_site(target: str, in_the_site: str) -> None:
    assert moved("README.md", "[here]", target, "#there") == in_the_site


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md", "SECURITY.md", "dbt/README.md"])
def test_files_that_are_named_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    folders = "|".join(one.name for one in ROOT.iterdir() if one.is_dir())
    named = re.findall(rf"(?<![\w./])(?:{folders})/[\w./-]*\w(?![<\w])", text)
    ours = {one for one in named if not one.startswith(("dist/", "output/", ".venv/"))}
    assert {one for one in ours if not (ROOT / one).exists()} == set()


def test_a_link_to_a_file_that_is_not_there_ends_the_program() -> None:
    with pytest.raises(SystemExit, match=r"docs/state\.md: the link to nowhere\.md"):
        moved("docs/state.md", "[here]", "nowhere.md", None)


def test_diagrams_are_drawn_so_that_a_page_needs_no_script(tmp_path: Path) -> None:
    small = fenced("mermaid", "erDiagram\n    jobs |o--o{ applications : job")
    shown = with_diagrams(f"Before\n\n{small}\n\nAfter", tmp_path / "entities.md")
    (drawing,) = tmp_path.iterdir()
    assert shown == f"Before\n\n![Diagram]({drawing.name})\n\nAfter"
    text = drawing.read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "<script" not in text
    assert ">applications<" in text
