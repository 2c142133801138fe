"""What the tap's schemas and declarations tell of each stream."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tap_truto_ats import warehouse
from tap_truto_ats.model.records import kinds
from tap_truto_ats.model.resources import ACCOUNTS, RESOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping

SYNCS = "account_syncs"

STREAMS = {
    SYNCS: "What each run did with each stream of each account",
    ACCOUNTS: "Integrated accounts of your customers, those that are not active included",
    **{name: one.description for name, one in RESOURCES.items()},
}
"""What each stream holds."""

DEFAULT = (SYNCS, *warehouse.DEFAULT)
"""The streams that are selected by default."""


def schema(stream: str) -> dict[str, Any]:
    """Read a stream's schema."""
    path = files("tap_truto_ats.model") / "schemas" / f"{stream}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def type_of(column: Mapping[str, Any]) -> str:
    """Return a column's JSON type beside null, or `date-time`."""
    is_time = column.get("format") == "date-time"
    return "date-time" if is_time else next(one for one in kinds(column) if one != "null")
