"""Settings from environment variables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tap_truto_ats.settings.checks import kind_of, takes, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

ASIDE = {"loglevel"}
"""What the SDK reads from a variable of the tap's that is no setting."""

BOOLEANS = {"1": "true", "yes": "true", "on": "true", "0": "false", "no": "false", "off": "false"}


def from_environment(
    environment: Mapping[str, str], prefix: str, schema: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Read settings from environment variables; an empty one counts as absent.

    Lists and objects are JSON; a list may also be its items with commas between. Return besides a
    line for each variable that cannot be read.
    """
    found: dict[str, Any] = {}
    lines: list[str] = []
    for name, definition in schema["properties"].items():
        variable = f"{prefix}{name.upper()}"
        if text := environment.get(variable):
            try:
                found[name] = _parse(text, kind_of(definition))
            except (ValueError, RecursionError):
                wanted = takes(name, definition)
                lines.append(f"Setting '{name}' takes {wanted}: {variable} is something else.")
    known = {f"{prefix}{name.upper()}" for name in [*schema["properties"], *ASIDE]}
    for variable in environment:
        name = variable[len(prefix) :].lower()
        # Meltano's own (`TAP_TRUTO_ATS__SELECT`) have one more underscore.
        is_setting = variable.upper().startswith(prefix) and not name.startswith("_")
        if is_setting and variable not in known:
            line = unknown(name, schema["properties"])
            if name in schema["properties"]:
                line = f"Setting '{name}' is read from {prefix}{name.upper()} only."
            lines.append(f"{line} {variable} is set.")
    return found, lines


def _parse(text: str, kind: str) -> Any:  # noqa: ANN401
    text.encode()  # Refuses bytes that are no UTF-8.
    if kind == "string":
        return text
    text = text.strip()
    if kind == "boolean":
        return json.loads(BOOLEANS.get(text.lower(), text.lower()))
    if kind == "array" and text[:1] not in "[{":
        return [one.strip() for one in text.split(",")]
    return json.loads(text)
