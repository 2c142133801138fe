"""A table as a target with hard deletion leaves it, run by run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.tables import rows
from tests.harness import full_table

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Record, Run, Tap

Key = tuple[str, str]


@dataclass
class Warehouse:
    """The table of one stream: rows are upserted, and deleted by ACTIVATE_VERSION."""

    tap: Tap
    sandbox: Sandbox
    stream: str
    whole: bool = False
    """Whether the stream is read whole in every run, and what is gone deleted."""
    beside: tuple[str, ...] = ()
    """Other streams that are selected."""
    hydrated: bool = False
    """Whether rows are wanted as a GET of each gives them."""
    settings: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] | None = None
    table: dict[Key, Record] = field(default_factory=dict)

    def source(self) -> dict[Key, Record]:
        """The rows that the table is to hold."""
        return rows(self.sandbox.rows(self.stream, whole=self.hydrated))

    def sync(self, **others: Any) -> Run:
        """Run the tap from the last state and load what it wrote; no row of the source may go."""
        catalog = self.tap.catalog(self.stream, *self.beside)
        for stream in (self.stream, *self.beside) if self.whole else ():
            full_table(catalog, stream)
        run = self.tap(
            catalog=catalog,
            state=self.state,
            **{
                "emit_activate_version_messages": self.whole or None,
                "hydrate": [self.stream] if self.hydrated else None,
                **self.settings,
                **others,
            },
        )
        loaded = rows(run.records(self.stream))
        self.table |= loaded
        if run.of("ACTIVATE_VERSION", self.stream):
            # A version is the second in which a run began: here, no two begin in the same.
            lost = (self.table.keys() - loaded.keys()) & self.source().keys()
            assert not lost, "rows that exist are deleted"
            self.table = loaded
        if run.states:
            self.state = run.state
        return run

    def bookmark(self, account: str) -> str | None:
        """The account's bookmark in the last state."""
        partitions = self.partitions()
        value: str | None = partitions.get(account, {}).get("replication_key_value")
        return value

    def partitions(self) -> dict[str, dict[str, Any]]:
        """The last state by account."""
        bookmarks = (self.state or {}).get("bookmarks", {})
        given = bookmarks.get(self.stream, {}).get("partitions", ())
        return {one["context"]["integrated_account_id"]: one for one in given}

    def settle(self) -> None:
        """After an undisturbed run, the table is the source."""
        self.sandbox.clear_faults()
        run = self.sync()
        assert run.code == 0, run.stderr
        if self.whole:
            assert run.of("ACTIVATE_VERSION", self.stream), run.stderr
        assert self.table == self.source()
