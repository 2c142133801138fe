"""`plugin.yml`, the plugin in the form of Meltano Hub, made from `meltano.yml` and `--about`.

`python -m documentation.plugin` (`make plugin`) writes it.
"""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from importlib.metadata import metadata
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from documentation.blocks import ROOT
from tap_truto_ats.settings.checks import kind_of
from tap_truto_ats.tap import TapTrutoAts

PATH = ROOT / "plugin.yml"
NOTICE = "# Written by `make plugin` from meltano.yml and the tap's settings: change those instead."

SHARED = (
    *("namespace", "executable", "capabilities", "commands"),
    *("settings_group_validation", "select"),
)
"""What is as in `meltano.yml`."""

USAGE = """\
Meltano selects every stream of a plugin that is added from this file. The documentation
(docs/plugin.md) has the command that selects the tap's own default streams.
"""


def plugin() -> dict[str, Any]:
    """Return what the file holds."""
    package = metadata("tap-truto-ats")
    shared = in_meltano()
    return {
        "name": package["Name"],
        "variant": "original",
        "label": "Truto ATS",
        "description": package["Summary"],
        "pip_url": package["Name"],
        "domain_url": "https://truto.one",
        "keywords": package["Keywords"].split(","),
        "maintenance_status": "beta",
        **{name: shared[name] for name in SHARED},
        "usage": LiteralScalarString(USAGE),
        "settings": [setting(*one) for one in about().items()],
    }


def in_meltano() -> dict[str, Any]:
    """Return the plugin of `meltano.yml`."""
    plugins = YAML(typ="safe").load(ROOT / "meltano.yml")["plugins"]["extractors"]
    found: dict[str, Any] = next(one for one in plugins if one["name"] == "tap-truto-ats")
    return found


def about() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every setting that the tap tells of, the SDK's included."""
    with redirect_stdout(io.StringIO()) as output:
        TapTrutoAts.print_about("json")
    found: dict[str, dict[str, Any]] = json.loads(output.getvalue())["settings"]["properties"]
    return found


def setting(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    """Describe a setting as Meltano does."""
    kind = kind_of(definition)
    if definition.get("format") == "date-time":
        kind = "date_iso8601"
    if "enum" in definition:
        kind = "options"
    options = [{"label": one.capitalize(), "value": one} for one in definition.get("enum", ())]
    described = {
        "name": name,
        "kind": kind,
        "value": definition.get("default"),
        "label": definition["title"],
        "description": definition["description"],
        "sensitive": definition.get("secret"),
        "options": options or None,
    }
    return {key: value for key, value in described.items() if value is not None}


def text() -> str:
    """Return the file."""
    yaml = YAML()
    yaml.width = 4096
    output = io.StringIO()
    yaml.dump(plugin(), output)
    return f"{NOTICE}\n{output.getvalue()}"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
