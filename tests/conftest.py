from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.postgres import Postgres, postgres
from tests.harness import Tap, server, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.control import Sandbox


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what tests have counted, on whichever worker they ran."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if report.when == "call":
                    terminalreporter.write_line(f"{report.nodeid}: {name}: {value}")


@pytest.fixture
def sandbox() -> Sandbox:
    """A sandbox of one small account for each provider, without rate limits."""
    running = server()
    running.reset(interviews=8, candidates=3, rate_limits=False)
    return running


@pytest.fixture
def whole_model() -> Sandbox:
    """A sandbox of a small account for each provider there is."""
    return whole()


@pytest.fixture
def tap(sandbox: Sandbox) -> Tap:
    return Tap(sandbox)


@pytest.fixture
def ids(sandbox: Sandbox) -> dict[str, str]:
    """The accounts' ids by provider."""
    return {one["integration"]["name"]: one["id"] for one in sandbox.accounts()}


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    """A Postgres for the whole session: each test loads into a schema of its own."""
    with postgres() as running:
        yield running
