"""Faults: wrong or late answers that a caller orders, each by one JSON object."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from sandbox.answers import Page, TrutoError, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandbox.answers import Row

PRIVATE = {
    "errors": ["the provider did not like this"],
    "candidate": {"name": "Leaka Nevershown", "email": "never.in.a.log@example.com"},
}
"""The provider's own answer, as Truto hands it on with a remote error: it holds personal data."""


@dataclass
class Fault:
    """What to answer wrongly, and when.

    It is about requests whose path begins with `path`, for `integrated_account_id` (in the query or
    the path) and with all of `params` in the query. It lets `skip` of them through and strikes the
    next `times` (all of them if None). The answer waits for `seconds` and carries `headers`. It is
    either an error of `status`, in Truto's envelope unless `body` is given, with the provider's own
    answer if `remote` and with Truto's `insight`; or it is of a `kind` (see `KINDS`), for some of
    which `rows` holds the rows of the page or their number.
    """

    path: str = ""
    integrated_account_id: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    skip: int = 0
    times: int | None = 1
    seconds: float = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    body: Any = None
    remote: bool = False
    insight: Mapping[str, Any] | None = None
    kind: str | None = None
    rows: Any = None

    def __post_init__(self) -> None:
        """Refuse with `ValueError` what makes no sense."""
        if (self.status is None) == (self.kind is None):
            message = "a fault has either a status or a kind"
            raise ValueError(message)
        if self.kind and self.kind not in KINDS:
            message = f"kind {self.kind!r} is none of {', '.join(sorted(KINDS))}"
            raise ValueError(message)

    def meets(self, path: str, params: list[tuple[str, str]]) -> bool:
        """Say whether a request is one that the fault is about."""
        account_id = self.integrated_account_id
        return (
            path.startswith(self.path)
            and all((name, str(value)) in params for name, value in self.params.items())
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
        extra: dict[str, Any] = {}
        if self.remote:
            extra |= {"truto_is_remote_error": True, "raw_response": PRIVATE}
        if self.insight is not None:
            extra["truto_error_insight"] = self.insight
        return TrutoError(status, **extra).response()


class Faults:
    """The faults in force; the first that strikes decides."""

    def __init__(self) -> None:
        """Begin without faults."""
        self._faults: list[Fault] = []

    def add(self, *specs: Mapping[str, Any]) -> None:
        """Add faults; refuses with `TypeError` or `ValueError` what it does not know."""
        self._faults += [Fault(**spec) for spec in specs]

    def striking(self, path: str, params: list[tuple[str, str]]) -> Fault | None:
        """Return the fault that strikes this request, if any."""
        met = (fault for fault in self._faults if fault.meets(path, params))
        return next((fault for fault in met if fault.strikes()), None)


def _verbatim(body: object, status: int = 200) -> Response:
    text = body if isinstance(body, str) else json.dumps(body)
    return Response(text, status, media_type="application/json")


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
    "body_override": lambda fault: _verbatim(fault.body),
}
"""Kinds that answer without looking at the request."""

PAGES: Mapping[str, Callable[[Fault, Page], Page]] = {
    "empty": _empty,
    "loop": _loop,
    "keyed": _keyed,
    "rows": _rows,
    "big": _big,
}
"""Kinds that change the page that would have been answered."""

RESET = "reset"
TRUNCATED = "truncated"
KINDS = {*ANSWERS, *PAGES, RESET, TRUNCATED, "delay", "headers"}
