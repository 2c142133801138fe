"""How one resource of an account is read: which requests, in which order, and why so."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.api.request import ArrivingPage, Request
from tap_truto_ats.model.instants import earlier
from tap_truto_ats.model.records import usable_key
from tap_truto_ats.sync.account_sync import AccountSync, Mode
from tap_truto_ats.sync.tasks import Fork, Rows, Steps, answer_to, hand_out, pages

if TYPE_CHECKING:
    from tap_truto_ats.model.declaration import Offer, Resource
    from tap_truto_ats.settings.schema import Settings
    from tap_truto_ats.sync.accounts import Account, Accounts
    from tap_truto_ats.sync.bookmarks import Bookmarks
    from tap_truto_ats.sync.parents import ParentLists
    from tap_truto_ats.sync.query import Query

logger = logging.getLogger(__name__)

NOT_LISTED = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
"""Statuses by which Truto answers for a resource that the provider does not offer."""


@dataclass(frozen=True)
class Plan:
    """How one resource is read from each account."""

    resource: Resource
    query: Query
    bookmarks: Bookmarks | None
    """How far earlier runs have read; None if the stream is read whole in this run."""
    settings: Settings
    accounts: Accounts
    parents: ParentLists

    def steps(self, sync: AccountSync) -> Steps[None]:
        """Request all pages of the resource, and the account's capabilities where they are needed.

        Raises:
            AccountError: The account cannot be read.
        """
        try:
            yield from self._steps(sync)
        except AccountError as error:
            if error.is_of_account:
                self.accounts.refused[sync.account.id] = error
            raise

    def _steps(self, sync: AccountSync) -> Steps[None]:
        account, name = sync.account, self.resource.name
        if account.id in self.accounts.refused:
            raise self.accounts.refused[account.id]
        # A provider that is known to list the resource need not be asked for its capabilities. For
        # others, one request for them saves a refused request for each stream that they lack.
        is_named = bool(self.settings.integrated_account_ids)
        is_known = self.resource.offer(account.provider) is not None
        if account.is_active and (is_named or not is_known):
            account = sync.account = yield from self.accounts.describe(account)
        if account.is_blocked or (is_named and not account.is_active):
            raise account.refusal()
        if not account.is_active:
            sync.mode = Mode.INACTIVE
        elif not account.offers(name):
            sync.mode = Mode.NOT_OFFERED
        else:
            try:
                yield from self._pages(sync)
            except AccountError as error:
                if error.missing_parameters:
                    raise self._with_filters(error) from None
                has_pages = sync.usage.pages > sync.pages_of_parents
                if error.status not in NOT_LISTED or has_pages:
                    raise
                account = sync.account = yield from self.accounts.describe(account)
                may_be_hidden = account.resources is not None or account.provider is None
                if account.offers(name) and (is_known or may_be_hidden):
                    raise
                sync.mode = Mode.NOT_OFFERED

    def _with_filters(self, error: AccountError) -> AccountError:
        """Add the setting that supplies parameters which the table of providers lacks."""
        missing = {self.resource.name: dict.fromkeys(error.missing_parameters, "…")}
        setting = json.dumps(missing, ensure_ascii=False)
        return AccountError(error.cause, f"Give them in `filters`: {setting}", status=error.status)

    def _pages(self, sync: AccountSync) -> Steps[None]:
        account, offer = sync.account, self.resource.offer(sync.account.provider)
        window = self._window(account, offer)
        sync.mode = self._mode(offer, window)
        if not_taken := self.query.filters_not_taken(account):
            logger.info(
                "Account %s: its provider takes no %s; rows of %s are kept unless they show"
                " otherwise.",
                account,
                ", ".join(not_taken),
                self.resource.name,
            )
        arriving = ArrivingPage() if self.settings.response_format == "stream" else None
        request = Request(
            self.resource.path,
            self.query.params(account, sync.changed_since, window),
            account.id,
            arriving=arriving,
        )
        requires = offer.requires if offer else ()
        on_rows = partial(self._hydrate, sync) if self._hydrates(offer) else hand_out
        if all(requirement.parameter in request.params for requirement in requires):
            yield from pages(request, on_rows)
            return
        innermost = requires[-1]
        sync.parent = innermost.resource.removesuffix("s")
        parents = yield from self.parents.of(account, innermost)
        sync.parents_without_value = parents.lacking
        sync.pages_of_parents = sync.usage.pages
        yield from parents.pages_of_children(request, requires, on_rows)

    def _mode(self, offer: Offer | None, window: datetime | None) -> Mode:
        if self.bookmarks is None:
            return Mode.CHOSEN
        if offer is None or offer.fills is None:
            return Mode.ASKED if self.query.asks_for_changes(offer) else Mode.UNKNOWN
        if self.query.asks_for_changes(offer):
            return Mode.INCREMENTAL
        return Mode.WINDOW if window else Mode.WHOLE

    def _window(self, account: Account, offer: Offer | None) -> datetime | None:
        """Return the start of the part of the schedule that is read; None for all of it."""
        days, bookmarks = self.settings.schedule_window_days, self.bookmarks
        if days is None or bookmarks is None or not (offer and offer.schedule):
            return None
        read_at, run_start = bookmarks.whole_read_at(account.id), bookmarks.run_start
        limit = timedelta(days=self.settings.full_read_every_days)
        is_recent = read_at and timedelta(0) <= run_start - read_at < limit
        return earlier(run_start, days * 86_400) if is_recent else None

    def _hydrates(self, offer: Offer | None) -> bool:
        is_asked_for = self.resource.name in self.settings.hydrate and not self.settings.is_raw
        return is_asked_for and offer is not None and offer.lists_partially

    def _hydrate(self, sync: AccountSync, rows: list[Any]) -> Steps[None]:
        """Request each listed row by its id, since the list gives only some of its fields."""
        yield Fork(self._row_in_full(sync, row) for row in rows)

    def _row_in_full(self, sync: AccountSync, row: Any) -> Steps[None]:  # noqa: ANN401
        key = usable_key(row)
        if key is None or not self.query.wants(row, self.query.changed(row), sync.wanted_since):
            yield Rows([row])
            return
        path = f"{self.resource.path}/{quote(str(key), safe='')}"
        params = self.query.single_params(sync.account)
        try:
            page = yield from answer_to(Request(path, params, sync.account.id, single=True))
        except AccountError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            yield Rows([row])  # It was deleted after it was listed.
        else:
            yield Rows([{**row, **page.rows[0], "id": key}])
