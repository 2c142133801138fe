"""The entity diagram: which stream refers to which, by the ids in its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from documentation.blocks import fenced, schema
from tap_truto_ats.model.resources import RESOURCES
from tests.models import PARENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REFERENCES = PARENTS | {
    "hiring_manager_id": "users",
    "recruiter_id": "users",
}
"""The streams that ids refer to, by the columns of the dbt package that hold them alone."""


def diagram() -> str:
    """Write the diagram in Mermaid's language.

    All streams refer to the accounts, which is left out: the lines would hide all others.
    """
    lines = ["erDiagram"]
    for name in (one.name for one in RESOURCES.values()):
        lines.append(f"    {name} {{")
        lines += [f"        text {key} PK" for key in ("integrated_account_id", "id")]
        lines.append("    }")
        lines += [f"    {line}" for line in references(name)]
    return fenced("mermaid", "\n".join(lines))


def references(name: str) -> Iterator[str]:
    """Yield the lines from a stream to those that it refers to."""
    for column, described in schema(name)["properties"].items():
        many = "}" if "items" in described else "|"
        if one := target(name, column, described):
            yield f'{one} {many}o--o{{ {name} : "{column}"'


def target(stream: str, column: str, described: Mapping[str, Any]) -> str | None:
    """Return the stream that a stream's column refers to by ids; None if it does not."""
    parts = described.get("properties") or described.get("items", {}).get("properties") or {}
    if "id" not in parts:
        return None
    if column == "parent":
        return stream
    one = column.removesuffix("s")
    return REFERENCES.get(f"{one}_id") or (f"{one}s" if f"{one}s" in RESOURCES else None)
