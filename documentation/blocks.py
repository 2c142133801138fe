"""The parts of pages that programs write, each between two markers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

BLOCK = re.compile(r"<!-- ([a-z-]+) -->.*?<!-- /\1 -->", re.DOTALL)
"""`<!-- name -->` and `<!-- /name -->`, with what stands between them."""


def render(text: str, blocks: Mapping[str, str]) -> str:
    """Put blocks between the markers of their names; what has no block stays as it is."""

    def rendered(found: re.Match[str]) -> str:
        name = found[1]
        if name not in blocks:
            return found[0]
        return f"<!-- {name} -->\n\n{blocks[name]}\n\n<!-- /{name} -->"

    return BLOCK.sub(rendered, text)


def write(blocks: Mapping[str, str]) -> None:
    """Put blocks into all pages that have their markers."""
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        page.write_text(render(text, blocks), encoding="utf-8")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = ["|".join(f" {cell} " if cell else " " for cell in line) for line in (heads, *rows)]
    lines.insert(1, "|".join(["---"] * len(heads)))
    return "\n".join(f"|{line}|" for line in lines)


def fenced(language: str, text: str) -> str:
    """Write a block of code."""
    return f"```{language}\n{text.rstrip()}\n```"
