"""The rows of one account sync: how they are asked for, which are handed out, what they tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zlib import crc32

from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.api.request import ArrivingPage, Request
from tap_truto_ats.model.records import usable_key
from tap_truto_ats.sync.evidence import Doubt
from tap_truto_ats.sync.lists import read_list
from tap_truto_ats.sync.query import created
from tap_truto_ats.sync.tasks import Fork, Rows, Steps, answer_to

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tap_truto_ats.model.declaration import Resource
    from tap_truto_ats.sync.account_sync import AccountSync
    from tap_truto_ats.sync.evidence import Tally
    from tap_truto_ats.sync.parents import Parents
    from tap_truto_ats.sync.query import Query
    from tap_truto_ats.sync.refusals import Refusals

NOT_TAKEN = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
"""Statuses by which a parameter is refused."""

REFUSED = "%d accounts refuse to be asked for a part of %s: they were read whole."
ABSENT = "Of %d accounts, no row of %s could be had by its id: they are emitted as listed."


@dataclass
class AccountRows:
    """The rows of one resource of an account, in one list or in one for each parent."""

    resource: Resource
    query: Query
    sync: AccountSync
    window: datetime | None
    """From when on the schedule is requested; None for all of it."""
    singles: Refusals | None = None
    """What becomes of requests for each row by its id; None if there are none."""
    parents: Parents | None = None
    """The rows as parents of other resources, if all are listed."""
    is_trusted: bool = True
    """Whether what comes when changes are asked for has changed, so that none is held back."""
    are_filters_taken: bool = False
    """Whether some list was read with the filters that the tap adds by itself."""
    are_filters_refused: bool = False
    """Whether the lists are read without them, since they were refused."""
    handed_out: int = 0
    """Rows handed out so far."""
    notes: list[str] = field(default_factory=list)
    """What is told of all such accounts in a line."""

    def params(self) -> dict[str, Any]:
        """Return the parameters of a first page, but for those that are required."""
        return self.query.params(self.sync.account, self.sync.asked_since, self.window)

    def read(self) -> Steps[None]:
        """Read the list, and once more if a row came that no earlier run can have emitted.

        Rows that last changed before the bookmark are held back, unless the server was asked for
        changes by a documented filter, so that its word counts. One that was restored since, or
        that the token may see since, did so, too; the checksum of all such rows shows it.
        """
        sync = self.sync
        self.is_trusted = self.query.is_asking_trusted(sync.account)
        if self.is_trusted and not sync.asks_for_changes and sync.changed_since:
            yield from self._read_changes()
        self.is_trusted &= sync.asks_for_changes
        yield from self.read_list({}, None if self.is_trusted else sync.changed_since)
        if sync.held_back and self._may_be_new():
            yield from self.read_list({}, sync.changed_since, wants_old=True)

    def _read_changes(self) -> Steps[None]:
        """Read what changed by the server's word, before all is read for rows without a date."""
        parents, self.parents = self.parents, None
        self.sync.asks_for_changes = True
        yield from self.read_list({}, None)
        self.sync.asks_for_changes, self.parents = False, parents

    def end(self) -> None:
        """Take note that all lists were read.

        Raises:
            AccountError: Single rows were refused.
        """
        sync, singles = self.sync, self.singles
        is_again = sync.evidence.is_exact and sync.wants_all()
        if sync.has_other_ids and sync.evidence.is_paged and not is_again:
            sync.evidence.doubts[Doubt.ONCE] += 1
        if self.are_filters_refused:
            self.notes.append(REFUSED)
        if singles and singles.are_absent:
            self.notes.append(ABSENT)
        elif singles:
            if singles.gone:
                sync.evidence.doubts[Doubt.NOT_IN_FULL] += singles.gone
            if error := singles.error():
                raise error

    def read_list(
        self, binding: dict[str, str], since: datetime | None, *, wants_old: bool = False
    ) -> Steps[None]:
        """Read one list, without the tap's own filters if it is refused with them.

        Which filters a provider takes is not documented for all. Rows that last changed before
        `since` are held back, unless just these are wanted.
        """
        bare = self.query.params(self.sync.account, None)
        asked = self.params()
        take = partial(self._take, binding, since, wants_old)
        try:
            yield from self._list(asked | binding, take)
        except AccountError as error:
            if asked == bare or error.status not in NOT_TAKEN or error.missing_parameters:
                raise
        else:
            self.are_filters_taken |= asked != bare
            return
        yield from self._list(bare | binding, take)
        if not self.are_filters_taken:
            self.are_filters_refused, self.sync.asks_for_changes, self.window = True, False, None

    def _may_be_new(self) -> bool:
        """Return whether some row that was held back was not there in an earlier run.

        Of a state without checksum, that is only believed where changes were not asked for.
        """
        sync = self.sync
        if sync.rows_known is not None:
            return sync.checksum_of_known != sync.rows_known
        offer = self.resource.offer(sync.account.provider)
        return not (sync.asks_for_changes and self.query.change_parameters(offer))

    def _list(self, params: dict[str, Any], take: Any) -> Steps[None]:  # noqa: ANN401
        arriving = ArrivingPage() if self.query.is_streamed else None
        request = Request(self.resource.path, params, self.sync.account.id, arriving=arriving)
        evidence = self.sync.evidence
        yield from read_list(request, evidence, take, wants_all=self.sync.wants_all)

    def _take(
        self,
        binding: Mapping[str, str],
        since: datetime | None,
        wants_old: bool,  # noqa: FBT001
        rows: list[Any],
        tally: Tally,
    ) -> Steps[None]:
        """Take note of the rows of a page, and hand out those that are wanted, all in full."""
        sync, query = self.sync, self.query
        sync.has_pages = True
        bookmark, asks_for_all = sync.bookmark, sync.asks_for_all
        wanted: list[Any] = []
        dated: Any = None
        for given in rows:
            key = usable_key(given)
            if key is None:
                sync.evidence.doubts[Doubt.WITHOUT_ID] += 1
                continue
            row = query.shaped(key, given)
            changed = query.changed(row)
            is_new = tally.see(key, changed)
            if changed:
                dated = row
            if self.parents:
                self.parents.add(binding, row)
            is_old = since is not None and changed is not None and changed < since
            mark = crc32(str(key).encode()) if asks_for_all or not self.is_trusted else 0
            sync.ids_checksum += mark * is_new
            if changed is not None and not wants_old and not self.is_trusted:
                made = min(changed, created(row) or changed)
                if made > tally.recent_from:
                    sync.made_lately.append((made, mark))
                else:
                    sync.rows_checksum += mark
                if bookmark and made <= bookmark:
                    sync.checksum_of_known += mark
                sync.held_back += is_old
            if is_new and is_old == wants_old and query.wants(row, changed):
                wanted.append(row)
        if dated and query.is_local(dated):
            sync.evidence.is_local = True
        in_full = self.singles and Fork(map(partial(self._in_full, self.singles), wanted))
        yield in_full or self._hand_out(wanted)

    def _hand_out(self, rows: list[Any]) -> Rows:
        self.handed_out += len(rows)
        return Rows(rows)

    def _in_full(self, singles: Refusals, row: dict[str, Any]) -> Steps[None]:
        is_over = singles.has_given_up or singles.are_absent
        if is_over or not (yield from singles.attempt(self._single(row))):
            yield self._hand_out([row])

    def _single(self, row: dict[str, Any]) -> Steps[None]:
        path = f"{self.resource.path}/{quote(str(row['id']), safe='')}"
        account = self.sync.account
        params = self.query.single_params(account)
        page = yield from answer_to(Request(path, params, account.id, single=True))
        yield self._hand_out([{**row, **page.rows[0], "id": row["id"]}])
