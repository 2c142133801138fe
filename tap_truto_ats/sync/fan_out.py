"""Fan-outs: rows that are asked for by their parents."""

from __future__ import annotations

import logging
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_truto_ats.api.errors import AccountError
from tap_truto_ats.api.limits import expected_seconds
from tap_truto_ats.sync.evidence import Doubt
from tap_truto_ats.sync.lists import MOST_READS
from tap_truto_ats.sync.progress import Binding, Position, Progress
from tap_truto_ats.sync.refusals import Refusals
from tap_truto_ats.sync.tasks import Fork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_truto_ats.model.declaration import Requirement
    from tap_truto_ats.sync.account_sync import AccountSync
    from tap_truto_ats.sync.parents import ParentLists
    from tap_truto_ats.sync.rows import AccountRows
    from tap_truto_ats.sync.tasks import Steps

logger = logging.getLogger(__name__)

LONG_SECONDS = 600
"""A fan-out that takes so long at least is told of."""


def read_by_parents(
    rows: AccountRows, requires: Sequence[Requirement], lists: ParentLists
) -> Steps[bool]:
    """Read a list for each parent; a parent that is refused does not keep the others back.

    All rows that come are handed out: it is the requests that take time. Return False if not a
    single parent was found to exist.

    Raises:
        AccountError: The parents could not be listed, or some were refused.
    """
    sync, innermost = rows.sync, requires[-1]
    sync.parent = innermost.resource.removesuffix("s")
    evidence, doubts = sync.evidence, sync.evidence.doubts
    if sync.deletes:
        evidence.marks = set()
    passes, listed, ids = 0, set[Position](), 0
    while True:
        known = len(evidence.marks or ())
        parents = yield from lists.of(innermost, again=passes > 0)
        progress = sync.progress or _go_on(sync)
        evidence.add(parents.evidence)
        every = parents.bindings(requires, rows.query.params(sync.account, None))
        bindings = progress.begin(every, parents.known_until(), sync.parents_since, listed)
        seconds = expected_seconds(len(bindings))
        if seconds >= LONG_SECONDS and not passes:
            logger.info(
                "Account %s: %d of %d %s, a request each or more: at the account's limit %s"
                " (h:mm:ss).",
                sync.account.id,
                len(bindings),
                len(every),
                innermost.resource,
                timedelta(seconds=round(seconds)),
            )
        # Those that are not asked for were answered before.
        refusals = Refusals(innermost.resource, len(every) - len(bindings))
        each = (_read(rows, progress, *one) for one in enumerate(bindings))
        yield Fork(refusals.attempts(each))
        passes, ids = passes + 1, ids or sync.ids_checksum
        error = refusals.error() or parents.error()
        # A row that moves to a parent that was asked before it shows in no list, but that parent
        # has then changed, if it tells so. Rows of a parent that is gone may have moved, too.
        if sync.deletes:
            is_again = len(bindings) > 1 and len(evidence.marks or ()) > known
            evidence.reads = passes
        else:
            has_gone = not progress.gone.isdisjoint(one.position for one in every)
            may_lack = has_gone or sync.whole_because or sync.has_other_ids
            is_again = passes == 1 and len(every) > 1 and bool(may_lack)
            listed = {one.position for one in every}
        if error or refusals.are_all_gone or not is_again:
            break
        if passes == MOST_READS:
            doubts[Doubt.MOVED] += 1
            break
    # The next run compares with what came the first time.
    progress.has_ended, sync.ids_checksum = True, ids
    gone = progress.gone
    if sync.deletes or progress.known_until:
        gone = gone.intersection(one.position for one in every)
    doubts[Doubt.GONE] += len(gone)
    without_id = parents.evidence.doubts[Doubt.PARENTS_WITHOUT_ID]
    if doubts[Doubt.GONE] or without_id:
        logger.warning(
            "Account %s: of %s, %d were gone when their turn came and %d had no `id`.",
            sync.account.id,
            innermost.resource,
            doubts[Doubt.GONE],
            without_id,
        )
    if error:
        raise error
    return not refusals.are_all_gone


def _go_on(sync: AccountSync) -> Progress:
    """Begin a fan-out, or go on with the one that an earlier run could not end."""
    # Where rows count by the version of this run, those of an earlier one do not.
    known = {} if sync.deletes else sync.progress_known
    mode = sync.mode.words if sync.mode else ""
    progress = sync.progress = Progress.of(known, mode, sync.scope, sync.started_at)
    if progress.after:
        sync.resume(progress.began)
        sync.evidence.doubts[Doubt.GONE] += progress.has_more_gone
    return progress


def _read(rows: AccountRows, progress: Progress, index: int, parent: Binding) -> Steps[None]:
    """Read the rows of one of the parents."""
    try:
        yield from rows.read_list(parent.params, None)
    except AccountError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            progress.note_gone(index)
        raise
    progress.note_end(index, rows.handed_out)
