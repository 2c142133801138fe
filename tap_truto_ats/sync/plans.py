"""How one resource of an account is read: which requests, in which order, and why so."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.model.instants import earlier
from tap_truto_ats.sync.account_sync import AccountSync, Mode
from tap_truto_ats.sync.evidence import Doubt
from tap_truto_ats.sync.fan_out import read_by_parents
from tap_truto_ats.sync.parents import ParentLists, Parents
from tap_truto_ats.sync.refusals import Refusals
from tap_truto_ats.sync.rows import AccountRows

if TYPE_CHECKING:
    from datetime import datetime

    from tap_truto_ats.model.declaration import Offer, Resource
    from tap_truto_ats.settings.schema import Settings
    from tap_truto_ats.sync.bookmarks import Bookmarks
    from tap_truto_ats.sync.query import Query
    from tap_truto_ats.sync.tasks import Steps

logger = logging.getLogger(__name__)

NOT_OFFERED = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
"""Statuses by which Truto answers for a resource that the provider does not offer."""


@dataclass(frozen=True)
class Plan:
    """How one resource is read from each account."""

    resource: Resource
    query: Query
    bookmarks: Bookmarks | None
    """How far earlier runs have read; None if the stream is read whole in this run."""
    settings: Settings
    not_taken: Counter[str] = field(default_factory=Counter)
    """By filters that providers do not take: how many accounts they have."""
    notes: Counter[str] = field(default_factory=Counter)
    """By what is told of accounts: how many they are."""

    def steps(self, sync: AccountSync, lists: ParentLists) -> Steps[None]:
        """Request all pages of the resource, and the account's capabilities where needed."""
        account, name = sync.account, self.resource.name
        # The page of the resource counts for more than capabilities. Where it does not name the
        # provider, one request for them saves a refused request for each stream that it lacks.
        if account.is_active and self.resource.offer(account.provider) is None:
            yield from lists.describe()
        is_named = bool(self.settings.integrated_account_ids)
        offer = self.resource.offer(account.provider)
        if account.is_blocked or (is_named and not account.is_active):
            raise account.refusal()
        if not account.is_active:
            sync.mode = Mode.INACTIVE
        elif offer is None and account.resources and not account.offers(name):
            self._note_not_offered(sync)
        else:
            try:
                yield from self._read(sync, lists)
            except AccountError as error:
                if error.missing_parameters:
                    raise self._with_filters(error) from None
                if error.status not in NOT_OFFERED or sync.has_pages:
                    raise
                yield from lists.describe()
                is_told = not offer.is_inferred if offer else account.provider is None
                if account.offers(name) and (account.resources is not None or is_told):
                    raise
                self._note_not_offered(sync)

    def tell(self) -> None:
        """Log which filters could not be asked for, and what else many accounts may share."""
        for note, count in self.notes.items():
            logger.info(note, count, self.resource.name)
        for names, count in self.not_taken.items():
            logger.info(
                "The providers of %d accounts take no %s: rows of %s are kept unless they show"
                " otherwise.",
                count,
                names,
                self.resource.name,
            )

    def _note_not_offered(self, sync: AccountSync) -> None:
        """Take note that the resource is not there, and whether it may be nevertheless."""
        sync.mode = Mode.NOT_OFFERED
        if not sync.account.resources:  # Hidden capabilities say nothing, nor do empty ones.
            sync.evidence.doubts[Doubt.NOT_OFFERED] += 1

    def _with_filters(self, error: AccountError) -> AccountError:
        """Add the setting that supplies parameters which the table of providers lacks."""
        missing = {self.resource.name: dict.fromkeys(error.missing_parameters, "…")}
        setting = json.dumps(missing, ensure_ascii=False)
        return AccountError(error.cause, f"Give them in `filters`: {setting}", status=error.status)

    def _read(self, sync: AccountSync, lists: ParentLists) -> Steps[None]:
        account, offer = sync.account, self.resource.offer(sync.account.provider)
        window = self._window(sync, offer)
        sync.mode = self._mode(sync, offer, window)
        if not_taken := self.query.filters_not_taken(account):
            self.not_taken[", ".join(not_taken)] += 1
        # Rows that are all read are compared with the last time. In a first read, there is none,
        # and dates show which rows moved, where they have some.
        if sync.is_whole and not (sync.is_first and sync.mode is Mode.CHANGES):
            sync.evidence.is_exact = True
        rows = AccountRows(self.resource, self.query, sync, window)
        if offer and offer.lists_partially and self.resource.name in self.settings.hydrate:
            rows.singles = None if self.settings.is_raw else Refusals(f"rows of {sync.stream}")
        given = self.query.params(account, None)
        if sync.lists_all and rows.params() == given and lists.needs(self.resource.name):
            rows.parents = Parents(sync.evidence, Refusals(sync.stream))
        requires = offer.requires if offer else ()
        if all(requirement.parameter in given for requirement in requires):
            yield from rows.read()
        elif not (yield from read_by_parents(rows, requires, lists)):
            yield from lists.describe()
            if not account.offers(self.resource.name):
                self._note_not_offered(sync)
                return
        rows.end()
        self.notes.update(rows.notes)
        if rows.parents and not (sync.parents_since or sync.is_resumed):  # Those are a part only.
            lists.listed[self.resource.name] = rows.parents
        sync.mode = self._mode(sync, offer, rows.window)

    def _mode(self, sync: AccountSync, offer: Offer | None, window: datetime | None) -> Mode:
        """Return how the account is read: asked for changes, for a part of a schedule, or whole."""
        if self.bookmarks is None:
            return Mode.CHOSEN
        if sync.whole_because:
            return Mode.DUE
        if sync.parents_since:
            return Mode.PARENTS
        if sync.asks_for_changes and self.query.change_parameters(offer):
            return Mode.CHANGES
        if window:
            return Mode.WINDOW
        return Mode.UNKNOWN if offer is None or offer.fills is None else Mode.WHOLE

    def _window(self, sync: AccountSync, offer: Offer | None) -> datetime | None:
        """Return the start of the part of the schedule that is read; None for all of it."""
        days, bookmarks = self.settings.schedule_window_days, self.bookmarks
        if days is None or bookmarks is None or not (offer and offer.schedule):
            return None
        is_first = bookmarks.whole_read_at(sync.account.id) is None
        if is_first or sync.whole_because or sync.parents_since:
            return None
        return earlier(bookmarks.run_start, days * 86_400)
