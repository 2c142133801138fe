"""The manifest of `deploy/kubernetes`, read by the models of Kubernetes' own client."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from sandbox.environments import ROOT, environment
from tests.end_to_end.plugins import PLUGINS

MANIFEST = ROOT / "deploy" / "kubernetes" / "truto-ats.yaml"
HERE = Path(__file__).parent / "manifests"


def test_each_field_of_the_manifest_is_one_of_its_model() -> None:
    python = environment(HERE / "kubernetes.txt", PLUGINS) / "bin" / "python"
    done = subprocess.run(
        [python, HERE / "read.py", MANIFEST], check=True, capture_output=True, text=True
    )
    pairs = json.loads(done.stdout)
    assert [one["kind"] for one, _ in pairs] == ["CronJob", "Job"]
    for written, read in pairs:
        assert read == written
    shards = pairs[0][0]["spec"]["jobTemplate"]["spec"]
    variables = shards["template"]["spec"]["containers"][0]["env"]
    values = {one["name"]: one.get("value") for one in variables}
    assert values["TAP_TRUTO_ATS_SHARD_COUNT"] == str(shards["completions"])
    assert values["TAP_TRUTO_ATS_PARALLEL_RUNS"] == str(shards["parallelism"])
