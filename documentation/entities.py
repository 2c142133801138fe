"""The entity diagrams: which stream refers to which, by the ids in its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from documentation.blocks import fenced
from documentation.schemas import schema
from tap_truto_ats.model.resources import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

REFERENCES = {
    "application_id": "applications",
    "candidate_id": "candidates",
    "creator_id": "users",
    "credited_to_id": "users",
    "current_stage_id": "job_interview_stages",
    "hiring_manager_id": "users",
    "interview_id": "interviews",
    "interviewer_id": "users",
    "job_id": "jobs",
    "job_interview_stage_id": "job_interview_stages",
    "organizer_id": "users",
    "recruiter_id": "users",
}
"""The streams that ids refer to, by the names of the columns for one id in the dbt package."""


def diagrams() -> dict[str, str]:
    """Write the diagrams in Mermaid's language, by the names of their markers.

    The first has the streams that are selected by default, the second all others and what refers
    to them: a single one would be too wide to be read. All streams refer to the accounts, which is
    left out: the lines would hide all others.
    """
    default = [name for name, one in RESOURCES.items() if one.is_default]
    others = [name for name in RESOURCES if name not in default]
    found = [one for name in RESOURCES for one in references(name)]
    inner = [line for ends, line in found if ends <= {*default}]
    outer = [line for ends, line in found if not ends <= {*default}]
    return {
        "entities": _diagram(default, inner),
        "other-entities": _diagram(others, ["direction LR", *outer]),
    }


def _diagram(names: Iterable[str], lines: Iterable[str]) -> str:
    keys = "".join(f"        text {key} PK\n" for key in ("integrated_account_id", "id"))
    entities = (f"{name} {{\n{keys}    }}" for name in names)
    return fenced("mermaid", "\n    ".join(["erDiagram", *lines, *entities]))


def references(name: str) -> Iterator[tuple[set[str], str]]:
    """Yield a stream's references to others or to itself: both streams, and the line."""
    for column, described in schema(name)["properties"].items():
        many = "}" if "items" in described else "|"
        if one := target(name, column, described):
            yield {name, one}, f'{one} {many}o--o{{ {name} : "{column}"'


def target(stream: str, column: str, described: Mapping[str, Any]) -> str | None:
    """Return the stream that a stream's column refers to by ids; None if it does not."""
    parts = described.get("properties") or described.get("items", {}).get("properties") or {}
    if "id" not in parts:
        return None
    if column == "parent":
        return stream
    one = column.removesuffix("s")
    return REFERENCES.get(f"{one}_id") or (f"{one}s" if f"{one}s" in RESOURCES else None)
