"""Airbyte's declarative CDK, a partition for each account, read at the same time by its workers."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
from airbyte_cdk.sources.declarative.concurrent_declarative_source import (
    ConcurrentDeclarativeSource,
)

SCHEMA = {
    "$schema": "http://json-schema.org/schema#",
    "type": "object",
    "additionalProperties": True,
    "properties": {"id": {"type": "string"}},
}
CATALOG = {
    "streams": [
        {
            "stream": {
                "name": "interviews",
                "json_schema": SCHEMA,
                "supported_sync_modes": ["full_refresh"],
            },
            "sync_mode": "full_refresh",
            "destination_sync_mode": "append",
        }
    ]
}


def manifest(url: str, accounts: list[str], page_size: str, workers: int) -> dict[str, Any]:
    """Declare the source."""
    retriever = {
        "type": "SimpleRetriever",
        "requester": {
            "type": "HttpRequester",
            "url_base": url,
            "path": "/unified/ats/interviews",
            "http_method": "GET",
            "authenticator": {"type": "BearerAuthenticator", "api_token": "sandbox-token"},
            "request_parameters": {"limit": page_size},
        },
        "record_selector": {
            "type": "RecordSelector",
            "extractor": {"type": "DpathExtractor", "field_path": ["result"]},
        },
        "paginator": {
            "type": "DefaultPaginator",
            "page_token_option": {
                "type": "RequestOption",
                "inject_into": "request_parameter",
                "field_name": "next_cursor",
            },
            "pagination_strategy": {
                "type": "CursorPagination",
                "cursor_value": "{{ response.get('next_cursor') }}",
                "stop_condition": "{{ not response.get('next_cursor') }}",
            },
        },
        "partition_router": {
            "type": "ListPartitionRouter",
            "values": accounts,
            "cursor_field": "integrated_account_id",
            "request_option": {
                "type": "RequestOption",
                "inject_into": "request_parameter",
                "field_name": "integrated_account_id",
            },
        },
    }
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["interviews"]},
        "concurrency_level": {
            "type": "ConcurrencyLevel",
            "default_concurrency": workers,
            "max_concurrency": workers,
        },
        "streams": [
            {
                "type": "DeclarativeStream",
                "name": "interviews",
                "primary_key": ["id"],
                "schema_loader": {"type": "InlineSchemaLoader", "schema": SCHEMA},
                "retriever": retriever,
            }
        ],
        "spec": {
            "type": "Spec",
            "connection_specification": {"type": "object", "properties": {}},
        },
    }


def main(url: str, accounts: str, page_size: str, workers: str) -> None:
    """Write every interview as a RECORD message."""
    source = ConcurrentDeclarativeSource(
        catalog=ConfiguredAirbyteCatalogSerializer.load(CATALOG),
        config={},
        state=None,
        source_config=manifest(url, accounts.split(","), page_size, int(workers)),
    )
    with tempfile.TemporaryDirectory() as folder:
        config, catalog = Path(folder) / "config.json", Path(folder) / "catalog.json"
        config.write_text("{}")
        catalog.write_text(json.dumps(CATALOG))
        launch(source, ["read", "--config", str(config), "--catalog", str(catalog)])


if __name__ == "__main__":
    main(*sys.argv[1:])
