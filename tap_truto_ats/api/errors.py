"""What an answer other than a page means: for the account, for the run, and for another try."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from traceback import extract_tb

from tap_truto_ats.model.records import dig
from tap_truto_ats.model.resources import PARAMETERS

NAME = re.compile(r"[a-z]+(?:[_.:][a-z]+)+|[a-z_]+(?:\[[a-z_]+\])+")
"""What a parameter or a scope is called. Anything else that an answer gives may quote a person."""

FEW_TRIES = 3
"""How many tries an answer is worth that is rarely a passing fault."""

BLOCKED_CURE = "Ask Truto's support to unblock it"


class AccountError(Exception):
    """An account cannot be read; the other accounts go on.

    The text is a cause and a cure, and never holds a provider's body.
    """

    is_fault = False
    """Whether the tap itself is to blame."""
    is_of_account = False
    """Whether every other request for the account would fail, too."""
    missing_parameters: tuple[str, ...] = ()
    """Query parameters that the request lacked, by Truto's answer."""

    def __init__(self, cause: str, cure: str, *, status: int | None = None) -> None:
        """Take what happened, what the user can do, and the HTTP status if there was an answer."""
        super().__init__(f"{cause}. {cure}.")
        self.cause = cause
        self.cure = cure
        self.status = status


class TransientError(AccountError):
    """The next try may succeed; once the tries are used up, the account cannot be read."""

    tries = math.inf
    """How many tries it is worth."""
    is_of_run = False
    """Whether it ends the run once the tries are used up."""
    retry_after: float | None = None
    """The seconds that the server asked to wait."""


class BrokenBodyError(TransientError):
    """A body is not Truto's envelope: it is HTML, say, or it was cut off, or it has no rows."""

    def __init__(self, what: str) -> None:
        """Take what is wrong with the body, in words that quote nothing of it."""
        super().__init__(f"The answer was broken: {what}", "Try again later")


class NoListError(BrokenBodyError):
    """In place of rows came null, or nothing: an end of the pages in other words if it stays so."""

    tries = FEW_TRIES

    def __init__(self) -> None:
        """Say so."""
        super().__init__("it holds null or nothing in place of rows")


class RunError(SystemExit):
    """The run cannot go on for any account.

    It is a `SystemExit`, so that no handler of `Exception` on its way out takes it.
    """


@dataclass(frozen=True)
class Answer:
    """What a status means for the account, how many tries it is worth, and the cure."""

    cause: str
    cure: str
    tries: float = 1
    is_of_account: bool = False


FAILING = Answer("Truto or the provider is failing", "Try again later", tries=math.inf)
REFUSED = Answer("The request was refused", "Check the settings `filters` and `remote_query`")
REDIRECTED = Answer("The answer was a redirect", "Check `api_url`")
TOKEN_REFUSED = Answer("Truto refused the token", "Set `api_token` to a valid API token", tries=2)
HIDDEN = Answer(
    "Not offered by the provider, or not visible to this token",
    "Check the account's id and the token's environment",
)

ANSWERS = {
    400: REFUSED,
    401: Answer(
        "The provider refused the account's login (needs_reauth)",
        "The customer must reconnect the account in Truto",
        is_of_account=True,
    ),
    403: Answer("The provider forbids it", "The customer must grant access and reconnect"),
    404: HIDDEN,
    405: HIDDEN,
    408: FAILING,
    422: REFUSED,
    429: Answer("Too many requests", "Run less often, or lower `max_concurrency`", tries=math.inf),
    503: Answer(
        "Truto says that the account is blocked",
        BLOCKED_CURE,
        tries=FEW_TRIES,
        is_of_account=True,
    ),
}
"""By HTTP status.

Source: Truto's pages on errors and rate limits, and its skills repository's error model.
"""


OTHERS = ((500, FAILING), (400, REFUSED), (300, REDIRECTED), (0, FAILING))
"""For all other statuses, the first match wins: the lowest status, and its meaning."""


def error_for(status: int, body: object, *, was_accepted: bool = False) -> AccountError:
    """Return the error that an answer other than 200 means.

    Only Truto's whole envelope (`statusCode`, `error`, `message`: its page on errors) can say that
    the token is refused or the account blocked; a proxy or a CDN answers with such statuses, too.
    No message becomes part of the error, since even Truto's own may quote a person. Where Truto
    has accepted the token before, a refusal may pass.
    """
    envelope = body if isinstance(body, dict) else {}
    is_remote = envelope.get("truto_is_remote_error") is True
    is_whole = envelope.get("statusCode") == status and {"error", "message"} <= envelope.keys()
    answer = ANSWERS.get(status) or next(one for least, one in OTHERS if status >= least)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and (is_remote or not is_whole):
        answer = FAILING
    if status == HTTPStatus.UNAUTHORIZED and not is_remote:
        answer = TOKEN_REFUSED if is_whole else FAILING
    insight = envelope.get("truto_error_insight")
    details = [f"HTTP {status}"]
    if missing := _listed(insight, "missing_required_query_parameters"):
        details.append(f"missing parameters: {', '.join(missing)}")
    if scopes := _listed(insight, "forbidden_error", "missing_scopes"):
        details.append(f"missing scopes: {', '.join(scopes)}")
    kind = TransientError if answer.tries > 1 else AccountError
    error = kind(f"{answer.cause} ({', '.join(details)})", answer.cure, status=status)
    if isinstance(error, TransientError):
        error.is_of_run = answer is TOKEN_REFUSED
        error.tries = 1 if error.is_of_run and not was_accepted else answer.tries
    error.is_of_account = answer.is_of_account
    error.missing_parameters = missing
    return error


def unexpected(error: Exception) -> AccountError:
    """Describe an unforeseen exception by its type and place, since its text may quote a row."""
    place = extract_tb(error.__traceback__)[-1]
    cause = f"The tap met a {type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
    failure = AccountError(cause, "Report it to the tap's maintainers")
    failure.is_fault = True
    return failure


def _listed(insight: object, key: str, *inner: str) -> tuple[str, ...]:
    """Return the names in a list of `truto_error_insight`, whose keys hold `{value: …}`."""
    entry = dig(insight, key)
    value = entry.get("value") if isinstance(entry, dict) else entry
    found = dig(value, *inner)
    names = map(str, found) if isinstance(found, list) else ()
    return tuple(name for name in names if name in PARAMETERS or NAME.fullmatch(name))
