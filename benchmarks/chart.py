"""Draws what was measured: called with the JSON file and the PNG to write.

Runs in an environment of its own (`chart.txt`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

MEASURES = {"wall": "wall time, s", "cpu": "CPU, s", "peak": "peak memory, MB"}
OWN, OTHER, MISSED = "#1f6f8b", "#b5b5b5", "#b3261e"
INCHES_A_RUN, INCHES_A_CASE, WIDTH = 0.32, 1.3, 13


def main(source: str, target: str) -> None:
    """Draw a row of three bar charts for each case."""
    content = json.loads(Path(source).read_text())
    cases = content["cases"]
    heights = [INCHES_A_CASE + INCHES_A_RUN * len(case["runs"]) for case in cases]
    figure = plt.figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(cases), 1, height_ratios=heights, squeeze=False)
    for (part,), case in zip(parts, cases, strict=True):
        draw(part, case)
    figure.savefig(target, dpi=120)


def draw(figure: Any, case: dict[str, Any]) -> None:  # noqa: ANN401
    """Draw a case: the medians of its runs, the first one the tap's, and its verdicts."""
    is_missed = any(bound["verdict"] == "MISSED" for bound in case["bounds"])
    verdicts = [
        f"{bound['verdict']}: {bound['text']}"
        + ("" if bound["value"] is None else f" ({bound['value']:.3g})")
        for bound in case["bounds"]
    ]
    title = "\n".join([f"{case['name']}: {case['title']}", *verdicts])
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, color=MISSED if is_missed else "black")
    names = list(case["runs"])
    for axes, (measure, label) in zip(
        figure.subplots(1, len(MEASURES), sharey=True), MEASURES.items(), strict=True
    ):
        medians = [case["runs"][name]["medians"].get(measure) for name in names]
        colors = [OWN, *[OTHER] * (len(names) - 1)]
        bars = axes.barh(names, [value or 0 for value in medians], color=colors)
        labels = ["" if value is None else f"{value:.3g}" for value in medians]
        axes.bar_label(bars, labels, padding=3, fontsize=8)
        axes.set_xlabel(label, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.margins(x=0.15)
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main(*sys.argv[1:])
