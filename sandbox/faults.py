"""Faults: wrong or late answers that a caller orders, each by one JSON object."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from sandbox.accounts import check_properties
from sandbox.answers import Page, TrutoError, answer
from sandbox.resources import RESOURCES
from sandbox.things import check_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sandbox.answers import Row

PRIVATE = {
    "errors": ["the provider did not like this"],
    "candidate": {"name": "Leaka Nevershown", "email": "never.in.a.log@example.com"},
}
"""The provider's own answer, as Truto hands it on with a remote error: it holds personal data."""

_WITHOUT_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


@dataclass(frozen=True)
class Act:
    """Something that happens to an `account`, just before a request is answered.

    `add`, `change` or `delete` names the resource of a thing that is added, changed or deleted;
    the latter two need its `key`. Without any of them, `fields` are properties of the account.
    """

    account: str
    add: str | None = None
    change: str | None = None
    delete: str | None = None
    key: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse with `ValueError` what makes no sense."""
        named = [name for name in (self.add, self.change, self.delete) if name is not None]
        if len(named) > 1:
            message = "an act either adds or changes or deletes"
            raise ValueError(message)
        if unknown := set(named) - RESOURCES.keys():
            message = f"no such resource: {', '.join(unknown)}"
            raise ValueError(message)
        if (self.key is None) == bool(self.change or self.delete):
            message = "an act that changes or deletes has a key, and no other act has"
            raise ValueError(message)
        if self.delete and self.fields:
            message = "an act that deletes has no fields"
            raise ValueError(message)
        if named:
            check_fields(self.fields, RESOURCES[named[0]])
        else:
            check_properties(self.fields)


@dataclass
class Fault:
    """What to answer wrongly, what to let happen just before, and when.

    It is about requests whose path begins with `path`, for `integrated_account_id` (in the query or
    the path), with all of `params` in the query and, if for `later_pages`, with a cursor. It lets
    `skip` of them through and strikes the next `times` (all of them if None). Each time, the `acts`
    (see `Act`) happen first. The answer waits for `seconds` and carries `headers`, in place of
    those of the same names; one that is None is left out. It is either an error of `status`, in
    Truto's envelope unless `body` is given, with a `message` of choice, with the provider's own
    answer if `remote` and with Truto's `insight`; or it is of a `kind` (see `KINDS`), for some of
    which `rows` holds the rows of the page or their number, or `body` all of the answer, written in
    `encoding`. Of the kinds, only a truncated answer can have a status. A fault that has acts and
    neither changes no answer.
    """

    path: str = ""
    integrated_account_id: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    later_pages: bool = False
    skip: int = 0
    times: int | None = 1
    seconds: float = 0
    headers: Mapping[str, str | None] = field(default_factory=dict)
    status: int | None = None
    body: Any = None
    encoding: str = "utf-8"
    message: str | None = None
    remote: bool = False
    insight: Mapping[str, Any] | None = None
    kind: str | None = None
    rows: Any = None
    acts: Sequence[Act] = ()

    def __post_init__(self) -> None:
        """Refuse with `ValueError` what makes no sense."""
        if self.status is not None and self.kind not in {None, TRUNCATED}:
            message = "a fault has either a status or a kind"
            raise ValueError(message)
        if not (self.acts or self.decides):
            message = "a fault has a status, a kind or acts"
            raise ValueError(message)
        if not self.decides and (self.seconds or self.headers):
            message = "acts change no answer: to delay it or its headers is a kind"
            raise ValueError(message)
        if self.message is not None and (self.status is None or self.body is not None):
            message = "a message needs a status, and does not go with a body"
            raise ValueError(message)
        if self.kind and self.kind not in KINDS:
            message = f"kind {self.kind!r} is none of {', '.join(sorted(KINDS))}"
            raise ValueError(message)

    @property
    def decides(self) -> bool:
        """Whether it has a say in how a request is answered."""
        return self.status is not None or self.kind is not None

    def meets(self, path: str, params: list[tuple[str, str]]) -> bool:
        """Say whether a request is one that the fault is about."""
        account_id = self.integrated_account_id
        return (
            path.startswith(self.path)
            and all((name, str(value)) in params for name, value in self.params.items())
            and (not self.later_pages or any(k == "next_cursor" and v for k, v in params))
            and (
                account_id is None
                or ("integrated_account_id", account_id) in params
                or account_id in path.split("/")
            )
        )

    def strikes(self) -> bool:
        """Count a request that was met, and say whether it is to be answered wrongly."""
        if self.skip:
            self.skip -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0

    def answer(self) -> Response | None:
        """Return the whole answer, if the fault makes one without looking at the data."""
        if self.status is not None:
            return self._error(self.status)
        make = ANSWERS.get(self.kind or "")
        return make(self) if make else None

    def page(self, page: Page) -> Page:
        """Return the page as the fault changes it, if it is of a kind that changes pages."""
        change = PAGES.get(self.kind or "")
        return change(self, page) if change else page

    def _error(self, status: int) -> Response:
        if self.body is not None:
            return _verbatim(self.body, status)
        if status in _WITHOUT_BODY:
            return Response(status_code=status)
        extra: dict[str, Any] = {}
        if self.remote:
            extra |= {"truto_is_remote_error": True, "raw_response": PRIVATE}
        if self.insight is not None:
            extra["truto_error_insight"] = self.insight
        return TrutoError(status, self.message, **extra).response()


class Faults:
    """The faults in force; of those that decide, the first that strikes does."""

    def __init__(self) -> None:
        """Begin without faults."""
        self._faults: list[Fault] = []

    def add(self, *specs: Mapping[str, Any]) -> None:
        """Add faults; refuses with `TypeError` or `ValueError` what it does not know."""
        self._faults += [
            Fault(**{**spec, "acts": [Act(**act) for act in spec.get("acts", ())]})
            for spec in specs
        ]

    def acts(self, path: str, params: list[tuple[str, str]]) -> list[Act]:
        """Return what happens before this request by faults that do not decide its answer."""
        met = [fault for fault in self._faults if not fault.decides and fault.meets(path, params)]
        return [act for fault in met if fault.strikes() for act in fault.acts]

    def striking(self, path: str, params: list[tuple[str, str]]) -> Fault | None:
        """Return the fault that decides the answer of this request, if any."""
        met = (fault for fault in self._faults if fault.decides and fault.meets(path, params))
        return next((fault for fault in met if fault.strikes()), None)


def _verbatim(body: object, status: int = 200, encoding: str = "utf-8") -> Response:
    text = body if isinstance(body, str) else json.dumps(body)
    return Response(text.encode(encoding), status, media_type="application/json")


def _html(_: Fault) -> Response:
    return Response("<html><body><h1>Just a moment...</h1></body></html>", media_type="text/html")


def _garbage(_: Fault) -> Response:
    return _verbatim('{"result": [{"id": "1"}, oops')


def _null_result(_: Fault) -> Response:
    return answer({"result": None, "next_cursor": None, "result_count": 0})


def _empty(_: Fault, page: Page) -> Page:
    # With one more leading zero, the cursor is a new one, and still stands for the same place.
    return replace(page, rows=[], count=0, following=f"0{page.position}")


def _loop(_: Fault, page: Page) -> Page:
    return replace(page, following=page.position)


def _stuck(_: Fault, page: Page) -> Page:
    return replace(page, rows=[], count=0, following=page.position)


def _endless(_: Fault, page: Page) -> Page:
    return replace(page, following=f"0{page.position}")


def _keyed(_: Fault, page: Page) -> Page:
    return replace(page, key_by="id")


def _rows(fault: Fault, page: Page) -> Page:
    return replace(page, rows=fault.rows, count=len(fault.rows))


def _big(fault: Fault, page: Page) -> Page:
    rows = _repeated(list(page.rows), int(fault.rows))
    return replace(page, rows=rows, count=int(fault.rows), following=None, streamed=True)


def _repeated(rows: list[Row], count: int) -> Iterator[Row]:
    for n in range(count if rows else 0):
        row = rows[n % len(rows)]
        yield {**row, "id": f"{row['id']}-{n}"}


ANSWERS: Mapping[str, Callable[[Fault], Response]] = {
    "html": _html,
    "garbage": _garbage,
    "null_result": _null_result,
    "body_override": lambda fault: _verbatim(fault.body, encoding=fault.encoding),
}
"""Kinds that answer without looking at the request."""

PAGES: Mapping[str, Callable[[Fault, Page], Page]] = {
    "empty": _empty,
    "loop": _loop,
    "stuck": _stuck,
    "endless": _endless,
    "keyed": _keyed,
    "rows": _rows,
    "big": _big,
}
"""Kinds that change the page that would have been answered.

Some lead nowhere as long as they strike: after a `loop` and, without rows, when `stuck`, the next
cursor is the one asked with; an `endless` list and an `empty` one have a new cursor for the same
place.
"""

RESET = "reset"
TRUNCATED = "truncated"
KINDS = {*ANSWERS, *PAGES, RESET, TRUNCATED, "delay", "headers"}
