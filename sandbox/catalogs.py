"""Singer catalogs with something selected."""

from __future__ import annotations

import json
from typing import Any


def select(catalog: str, *streams: str) -> dict[str, Any]:
    """Select these streams of a catalog's text and no others."""
    selected: dict[str, Any] = json.loads(catalog)
    for entry in selected["streams"]:
        for metadata in entry["metadata"]:
            if not metadata["breadcrumb"]:
                metadata["metadata"]["selected"] = entry["tap_stream_id"] in streams
    return selected
