"""The base of all streams of the tap, which puts what all of them need beside the SDK's class."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

from singer_sdk.schema.source import SchemaDirectory
from typing_extensions import override

from tap_truto_ats.model.records import Normaliser
from tap_truto_ats.model.resources import ACCOUNTS
from tap_truto_ats.singer.maps import flattened_levels
from tap_truto_ats.singer.stream import PagedStream
from tap_truto_ats.sync.account import Account
from tap_truto_ats.sync.account_syncs import AccountSyncs
from tap_truto_ats.sync.bookmarks import Bookmarks

if TYPE_CHECKING:
    from collections.abc import Collection

    from singer_sdk import Tap

    from tap_truto_ats.run import Run

MOST_NAMED = 5
"""How many accounts a line names that is about all of them."""

SCHEMAS = SchemaDirectory(files("tap_truto_ats.model") / "schemas")


class TrutoStream(PagedStream):
    """What all streams have in common: a schema file, the run, and what the state knows."""

    def __init__(
        self, tap: Tap, run: Run, name: str | None = None, *, without: Collection[str] = ()
    ) -> None:
        """Load the schema file that is named like the stream, but for some of its columns."""
        schema = SCHEMAS.get_schema(name or self.name)
        columns = {key: one for key, one in schema["properties"].items() if key not in without}
        super().__init__(tap, schema={**schema, "properties": columns}, name=name)
        self.run = run
        self._fields = frozenset(schema["properties"])
        """The properties that are no custom fields, whether or not they are columns."""
        self._misfits: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By field: by account how many values its column could not hold."""
        self._newly_missing = 0
        """How many accounts this run is the first not to find."""
        self._not_offered: set[str] = set()
        """Accounts that do not offer what the stream reads, whatever they did before."""

    @cached_property
    def _bookmarks(self) -> Bookmarks:
        return Bookmarks(self.stream_state, self.replication_key, self.run.start)

    @cached_property
    def _normalise(self) -> Normaliser:
        return Normaliser(
            self.effective_schema,
            self.mask.__getitem__,
            self._fields,
            flattened_levels=flattened_levels(self.stream_maps),
        )

    @cached_property
    def syncs(self) -> AccountSyncs:
        """What begins and ends the syncs of its accounts."""
        return AccountSyncs(
            self.name,
            self._bookmarks,
            self.run.settings,
            self.run.client.now,
            deletes=self.version is not None,
        )

    def unlisted(self) -> list[Account]:
        """Return the accounts that the state knows, where the run covers all that there are.

        From a list of several pages, an account may have slipped by, and one without any account
        may be that of another environment: there, it has to lack twice.
        """
        accounts = self.run.accounts
        if accounts.part or accounts.evidence.blocking_deletions(ACCOUNTS):
            return []
        found = {account.id for account in accounts.all()}
        missing = self._bookmarks.missing(found)
        is_sure = accounts.any_found and (
            accounts.evidence.is_exact or not accounts.evidence.is_paged
        )
        return [Account(one) for one, is_new in missing.items() if is_sure or not is_new]

    def _tell_of_values(self, account: object, unfit: Counter[str], replaced: int = 0) -> None:
        """Log how many of an account's values did not come through as they were."""
        if replaced:
            self.logger.warning(
                "Account %s: %d values of %s are none that JSON and databases can hold. They were"
                " replaced: a character by U+FFFD, a number or what nests too deep by its text.",
                account,
                replaced,
                self.name,
            )
        for name, count in unfit.items():
            self._misfits[name][str(account)] += count

    def tell_of_misfits(self) -> None:
        """Log by field how many values did not fit its column, a line for all accounts."""
        keeps = self._normalise.keeps_misfits
        for name, by_account in self._misfits.items():
            self.logger.log(
                logging.INFO if keeps else logging.WARNING,
                "%d values of %s.%s did not fit their column and became null%s, in %d accounts:"
                " %s%s.",
                by_account.total(),
                self.name,
                name,
                "; custom_fields has them" if keeps else "",
                len(by_account),
                ", ".join([*by_account][:MOST_NAMED]),
                ", …" if len(by_account) > MOST_NAMED else "",
            )

    def compare_accounts(self) -> None:
        """Take note of the accounts found, and of those that are missing for the first time."""
        found = {account.id for account in self.run.accounts.all()} - self._not_offered
        self._bookmarks.note_found(found)
        if self.version is not None and not self.run.accounts.part:
            self._newly_missing = sum(self._bookmarks.missing(found).values())

    @override
    def missing(self) -> str | None:
        settings = self.run.settings
        if part := self.run.accounts.part or ("shard_count" if settings.shard else None):
            return f"the run covers a part of the accounts (`{part}`)"
        if not self.run.accounts.all():
            return "no account was found"
        if doubts := self.run.accounts.evidence.blocking_deletions(ACCOUNTS):
            return f"accounts may be missing, since {' and '.join(doubts)}"
        count = self._newly_missing
        return f"{count} accounts that had rows before were not found" if count else None
