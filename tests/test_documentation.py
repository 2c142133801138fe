"""What the documentation says of things that the code knows as well."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from documentation.blocks import BLOCK, DOCS, ROOT, fenced, render
from documentation.entities import diagrams, target
from documentation.providers import CHANGES, HELD_BACK, PROVIDERS, WHOLE, names, ways
from documentation.schemas import DEFAULT, schema
from documentation.screens import SCREENS
from documentation.site import build, check_navigation, moved, with_diagrams
from documentation.streams import pages
from documentation.tables import tables
from tap_truto_ats.api.errors import ANSWERS, OTHERS
from tap_truto_ats.api.limits import RateLimiter
from tap_truto_ats.model.resources import RESOURCES
from tap_truto_ats.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
BLOCKS = tables() | diagrams()
ANSWER_CAUSES = sorted({answer.cause for answer in (*ANSWERS.values(), *dict(OTHERS).values())})


BREAKS = re.compile(
    r"…|\d+|interviews(?:\.start_at)?|candidates?(?:_id)?|eeocs|'stream_maps'|\(HTTP|: |holds no"
)
"""What stands in a quoted line for what differs from log to log, or joins texts of the code."""


def texts() -> Iterator[str]:
    """The texts in the tap's code; of those with placeholders, what stands between them."""
    for path in (DOCS.parent / "tap_truto_ats").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.mark.parametrize("cause", ANSWER_CAUSES)
def test_troubleshooting_knows_every_answer(cause: str) -> None:
    assert cause in PAGES["troubleshooting.md"]


def test_troubleshooting_quotes_what_the_tap_logs() -> None:
    known = "\n".join(texts())
    lines = re.findall(r"^\| (`.*?`) \| ", PAGES["troubleshooting.md"], re.MULTILINE)
    quoted = [quote for line in lines for quote in re.findall(r"`(.+?)`(?=$|, `| / `)", line)]
    parts = {part.strip(" ():,'") for quote in quoted for part in BREAKS.split(quote)}
    assert len(lines) > 50
    assert {part for part in parts if part not in known} == set()


def test_the_readme_counts_providers_and_streams() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    offers = RESOURCES["interviews"].offers
    listing = rf"of which five list interviews \({names(offers)}\)"
    assert len(offers) == 5
    assert re.search(rf"^\| Providers \| {len(PROVIDERS)} \| .*{listing}", readme, re.MULTILINE)
    assert len(DEFAULT) == 8
    assert f"| Streams | {len(pages())} | [eight are selected by default]" in readme
    selected = [f'"{name}.*"' for name in DEFAULT]
    assert f"_select '[{', '.join(selected)}]'" in readme


@pytest.mark.parametrize("page", PAGES)
def test_what_follows_from_the_declarations_is_up_to_date(page: str) -> None:
    assert render(PAGES[page], BLOCKS) == PAGES[page], "`make docs` writes it"


def test_each_block_has_its_marked_place() -> None:
    marked = [found[1] for text in PAGES.values() for found in BLOCK.finditer(text)]
    assert sorted(marked) == sorted([*BLOCKS, *SCREENS])


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (["index.md", "setup.md", "state.md"], "the navigation lacks state.md"),
        (["index.md"], "the navigation leads nowhere: setup.md"),
    ],
)
def test_a_navigation_that_does_not_have_all_pages_ends_the_program(
    written: list[str], told: str
) -> None:
    with pytest.raises(SystemExit, match=told):
        check_navigation(["index.md", "setup.md"], written)


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


def test_every_id_in_a_column_refers_to_a_stream_unless_it_may_be_of_several_or_of_none() -> None:
    unknown = {
        f"{name}.{column}"
        for name in RESOURCES
        for column, described in schema(name)["properties"].items()
        if "id" in (described.get("properties") or described.get("items", {}).get("properties", {}))
        and not target(name, column, described)
    }
    assert unknown == {"activities.actor", "applications.source", "job_form_fields.options"}


@pytest.mark.parametrize(
    ("path", "in_the_site"),
    [
        ("docs/state.md", "[here](state.md#there)"),
        ("deploy/README.md", "[here](machines.md#there)"),
        ("deploy/", "[here](machines.md#there)"),
        ("LICENSE", "here"),
    ],
)
def test_links_of_the_readme_lead_to_pages_of_the_site(path: str, in_the_site: str) -> None:
    assert moved("README.md", "[here]", path, "#there") == in_the_site


def test_each_key_of_the_report_has_its_row() -> None:
    data = Report(list, Counter, RateLimiter()).data()
    table = (DOCS / "operating.md").read_text(encoding="utf-8").split("The keys are these:")[1]
    first = re.findall(r"^\| ([^|]+) \|", table.split("\n\n")[1], re.MULTILINE)
    assert {*re.findall(r"`(\w+)`", " ".join(first))} == {*data}


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


def test_pages_load_nothing_from_other_hosts_and_are_searched_on_a_disk(tmp_path: Path) -> None:
    build(tmp_path / "built", draws=False)
    site = tmp_path / "built" / "site"
    loaded = {
        tag
        for page in site.rglob("*.html")
        for tag in re.findall(
            r"<(?:script|img|link|iframe)\b[^>]*https?://[^>]*>", page.read_text(encoding="utf-8")
        )
    }
    assert loaded == set()
    assert '<script src="../iframe-worker.js"' in (site / "streams" / "jobs.html").read_text()
    assert (site / "iframe-worker.js").is_file()
    assert (site / "search.js").read_text(encoding="utf-8").startswith("var __index = ")


def test_diagrams_are_drawn_so_that_a_page_needs_no_script(tmp_path: Path) -> None:
    small = fenced("mermaid", "erDiagram\n    jobs |o--o{ applications : job")
    shown = with_diagrams(f"Before\n\n{small}\n\nAfter", tmp_path / "entities.md")
    (drawing,) = tmp_path.iterdir()
    image = f'![Diagram]({drawing.name} "Open in full size")'
    assert shown == f"Before\n\n[{image}]({drawing.name})\n\nAfter"
    text = drawing.read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "<script" not in text
    assert ">applications<" in text
