"""Reads manifests by the models of Kubernetes' own client, and prints what these make of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml
from kubernetes import client


def main(manifest: str) -> None:
    """Print a pair for each document: as it is, and as its model has it."""
    pairs = []
    for document in yaml.safe_load_all(Path(manifest).read_text()):
        model = getattr(client, f"V1{document['kind']}").from_dict(document)
        pairs.append((document, client.ApiClient().sanitize_for_serialization(model)))
    sys.stdout.write(json.dumps(pairs))


if __name__ == "__main__":
    main(*sys.argv[1:])
