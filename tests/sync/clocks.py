"""Clocks that tests turn: Truto's, and that of the process."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING

from tap_truto_ats.sync import evidence
from tap_truto_ats.sync.evidence import Evidence

if TYPE_CHECKING:
    import pytest

BEGAN = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)


class Clocks:
    """Truto's clock, and that of the process, which pass together unless told otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.truto = BEGAN
        self.process = 1000.0
        monkeypatch.setattr(evidence, "time", SimpleNamespace(monotonic=lambda: self.process))

    def now(self) -> datetime:
        return self.truto

    def go_on(self, passed: timedelta) -> None:
        self.truto += passed
        self.process += passed.total_seconds()

    def evidence(self, *, is_exact: bool = False) -> Evidence:
        return Evidence(self.now, is_exact=is_exact)
