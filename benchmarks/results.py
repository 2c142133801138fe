"""What was measured: medians, ratios and verdicts, as tables and as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.cases import Bound, Case
    from benchmarks.stage import Measurement

MEASURES = {
    "wall": ("wall time", "s", 2),
    "cpu": ("CPU", "s", 2),
    "peak": ("peak memory", "MB", 1),
    "rows": ("rows", "", 0),
    "requests": ("requests", "", 0),
    "refused": ("429 met", "", 0),
    "empty": ("pipe empty", "%", 1),
    "asked": ("last account asked", "s", 2),
    "done": ("last account done", "s", 2),
    "rate": ("requests a second", "", 1),
    "least": ("least by limits", "s", 0),
    "times": ("times the least", "", 2),
}
"""What each measure is called, its unit, and how many decimals are worth showing.

`asked` and `done` are about healthy accounts: the seconds from the first request for any account's
rows to the first request for the last healthy account's, and to the last one for a healthy
account's. `least` is the time that Truto's limits demand for so many requests, and `times` the wall
time as a multiple of that.
"""

USUAL = ("wall", "cpu", "peak", "rows", "requests", "refused")
"""Measures that are shown for each case; a case names those which are shown besides."""

COMPARED = ("wall", "cpu", "peak")
"""Measures that are shown as multiples of the first run's as well."""


@dataclass(frozen=True)
class Verdict:
    """A bound, and what was measured; None when its runs did not take place."""

    text: str
    value: float | None
    most: float

    @property
    def word(self) -> str:
        """The verdict in a word or two."""
        if self.value is None:
            return "not measured"
        return "met" if self.value <= self.most else "MISSED"


@dataclass
class Result:
    """The measurements of a case by run, one for each round."""

    case: Case
    measured: dict[str, list[Measurement]] = field(default_factory=dict)

    def add(self, run: str, figures: Measurement) -> None:
        """Add what was measured of a run."""
        self.measured.setdefault(run, []).append(figures)

    def subtract(self) -> None:
        """Add the differences between the runs of a round, when all of them have been measured."""
        for name, (more, less) in (self.case.differences or {}).items():
            if more in self.measured and less in self.measured:
                pair = self.measured[more][-1], self.measured[less][-1]
                self.add(name, {key: pair[0][key] - pair[1][key] for key in ("wall", "cpu")})

    def median(self, run: str, measure: str) -> float | None:
        """Tell the median of a run's measure; None without any."""
        values = [one[measure] for one in self.measured.get(run, ()) if measure in one]
        return median(values) if values else None

    def ratio(self, run: str, other: str, measure: str) -> float | None:
        """Tell the median of the rounds' ratios: a machine's load changes less within a round."""
        pairs = zip(self.measured.get(run, ()), self.measured.get(other, ()), strict=False)
        values = [
            one[measure] / two[measure] for one, two in pairs if measure in one and two.get(measure)
        ]
        return median(values) if values else None

    def verdicts(self) -> list[Verdict]:
        """Hold the measurements against the bounds."""
        return [self._verdict(bound) for bound in self.case.bounds]

    def failures(self) -> list[str]:
        """Name the runs that ended with an error or did not bring all rows."""
        return [
            name
            for name, run in self.case.runs.items()
            if any(
                one["code"] not in run.exit_codes or one["rows"] < run.rows
                for one in self.measured.get(name, ())
            )
        ]

    def as_data(self) -> dict[str, Any]:
        """Give all of it as JSON's types."""
        return {
            "name": self.case.name,
            "title": self.case.title,
            "runs": {
                run: {
                    "medians": {name: self.median(run, name) for name in measured[0]},
                    "rounds": measured,
                }
                for run, measured in self.measured.items()
            },
            "bounds": [
                {"text": one.text, "value": one.value, "most": one.most, "verdict": one.word}
                for one in self.verdicts()
            ],
            "failures": self.failures(),
        }

    def as_text(self) -> str:
        """Lay it out as a table, with the verdicts below."""
        first = next(iter(self.measured))
        shown = (*USUAL, *self.case.measures)
        found = {name for rounds in self.measured.values() for name in rounds[0]}
        names = [name for name in MEASURES if name in shown and name in found]
        heads = ["", *(head for name in names for head in _heads(name))]
        lines = [heads, *([run, *self._cells(run, first, names)] for run in self.measured)]
        verdicts = [f"{one.word:<12}  {one.text}: {_number(one.value)}" for one in self.verdicts()]
        failed = [f"FAILED        {run}: see the log" for run in self.failures()]
        return "\n".join(
            [f"{self.case.name}: {self.case.title}", *_columns(lines), *verdicts, *failed]
        )

    def _cells(self, run: str, first: str, names: Sequence[str]) -> Iterator[str]:
        for name in names:
            value = self.median(run, name)
            yield "" if value is None else f"{value:,.{MEASURES[name][2]}f}"
            if name in COMPARED:
                ratio = self.ratio(run, first, name)
                yield "" if ratio is None else f"{ratio:.2f}"

    def _verdict(self, bound: Bound) -> Verdict:
        title, unit, _ = MEASURES[bound.measure]
        if bound.of is None:
            value = self.median(bound.run, bound.measure)
            text = f"{title} of {bound.run} at most {_number(bound.most)} {unit}".rstrip()
        else:
            value = self.ratio(bound.run, bound.of, bound.measure)
            text = f"{title} of {bound.run} at most {_number(bound.most)} of {bound.of}'s"
        return Verdict(text, value, bound.most)


def _heads(measure: str) -> Iterator[str]:
    title, unit, _ = MEASURES[measure]
    yield f"{title} {unit}".rstrip()
    if measure in COMPARED:
        yield "ratio"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _columns(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Make columns as wide as they need to be, all but the first aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *others in lines:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join((first.ljust(widths[0]), *cells))
