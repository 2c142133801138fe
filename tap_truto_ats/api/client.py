"""HTTP to Truto: a request comes in, and a page goes out, under the limits and with retries."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import backoff
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from typing_extensions import override

from tap_truto_ats.api.envelope import Page, decode_chunks, decode_object, decode_page
from tap_truto_ats.api.errors import (
    AccountError,
    BrokenBodyError,
    RunError,
    TransientError,
    error_for,
)
from tap_truto_ats.api.limits import LONGEST_WAIT, RateLimiter, Refusal
from tap_truto_ats.api.network import NetworkError, unreachable
from tap_truto_ats.api.request import ArrivingPage, Request, Usage

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from tap_truto_ats.settings.schema import Settings

logger = logging.getLogger(__name__)

FIRST_WAIT, LAST_WAIT = 0.5, 60.0
"""Seconds: the upper bound of the random wait before the first retry, and before any retry."""

CHUNK_BYTES = 1 << 16

LONGEST_TIMEOUT = 86_400
"""Seconds: sockets do not take longer timeouts on every system."""


@dataclass(frozen=True)
class BearerToken(AuthBase):
    """Sends the token with each request; as `auth`, no netrc entry for the host replaces it."""

    token: str = field(repr=False)

    @override
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class TrutoClient:
    """Reads pages from Truto. Thread-safe."""

    def __init__(self, settings: Settings, limiter: RateLimiter | None = None) -> None:
        """Open no connection yet."""
        self._settings = settings
        self.limiter = limiter or RateLimiter()
        self._timeout = min(settings.request_timeout_seconds, LONGEST_TIMEOUT)
        self._session = requests.Session()
        self._session.auth = BearerToken(settings.api_token)
        adapter = HTTPAdapter(pool_maxsize=settings.max_concurrency)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        # urllib3 logs whole URLs, which hold cursors and candidates' ids.
        for name in ("connection", "connectionpool", "response", "util.retry"):
            logging.getLogger(f"urllib3.{name}").disabled = True

    def admit(self, request: Request) -> Refusal | None:
        """Count the first try of a request, or return the limit that does not allow it yet."""
        if request.arriving and request.arriving.parts:
            return None
        return self.limiter.admit(request.limited_account)

    def fetch(self, request: Request, usage: Usage | None = None) -> Page:
        """Get one page, trying again when that may help.

        Args:
            request: The request for the page, whose first try `admit` has counted.
            usage: Where the cost is counted.

        Raises:
            AccountError: The account cannot be read.
            RunError: Truto refuses the token.
        """
        tries: Counter[int | None] = Counter()
        usage = usage or Usage()

        def is_final(error: Exception) -> bool:
            assert isinstance(error, TransientError)  # noqa: S101
            tries[error.status] += 1
            arriving = request.arriving
            broken_for_good = arriving and arriving.failures > self._settings.max_retries
            return bool(broken_for_good) or tries[error.status] >= error.tries

        def log_retry(details: Any) -> None:  # noqa: ANN401
            error: TransientError = details["exception"]
            usage.retries += 1
            if error.status == HTTPStatus.TOO_MANY_REQUESTS:
                usage.waited_seconds += details["wait"]
            logger.info(
                "%s: %s. Trying again in %.1f s (retry %d of %d).",
                f"Account {request.account_id}" if request.account_id else request.path,
                error.cause,
                details["wait"],
                details["tries"],
                min(error.tries - 1, self._settings.max_retries),
            )

        @backoff.on_exception(
            _waits,
            TransientError,
            max_tries=self._settings.max_retries + 1,
            giveup=is_final,
            jitter=None,
            on_backoff=log_retry,
            logger=None,
        )
        def attempt() -> Page:
            if tries and not (request.arriving and request.arriving.parts):
                begin = time.monotonic()
                self.limiter.wait(request.limited_account)
                usage.waited_seconds += time.monotonic() - begin
            return self._attempt(request, usage)

        page = attempt()
        usage.pages += not (request.single or page.unread)
        return page

    def _attempt(self, request: Request, usage: Usage) -> Page:
        try:
            if request.arriving is not None:
                return self._next_part(request, request.arriving, usage)
            body = self._read(self._get(request, usage))
        except NetworkError as error:
            failure = unreachable(error)
        else:
            return Page([decode_object(body)]) if request.single else decode_page(body)
        raise failure  # Raised out here, since the caught error's text holds the URL.

    def _next_part(self, request: Request, arriving: ArrivingPage, usage: Usage) -> Page:
        try:
            if arriving.parts is None:
                arriving.parts = _parts(self._get(request, usage))
            return next(arriving.parts)
        except (*NetworkError, BrokenBodyError):
            arriving.parts = None
            arriving.failures += 1
            raise

    def _get(self, request: Request, usage: Usage) -> requests.Response:
        usage.requests += 1
        response = self._session.get(
            self._settings.api_url + request.path,
            params=list(encode_params(request.params)),
            timeout=self._timeout,
            stream=True,
            allow_redirects=False,
        )
        self.limiter.heed(request.limited_account, response.headers)
        if response.status_code != HTTPStatus.OK:
            raise self._refusal(response)
        return response

    def _read(self, response: requests.Response) -> bytes:
        """Read a body within the timeout, which `requests` would start anew with each byte."""
        deadline = time.monotonic() + self._timeout
        body = bytearray()
        with response:
            while part := response.raw.read1(CHUNK_BYTES, decode_content=True):
                body += part
                if time.monotonic() > deadline:
                    raise requests.Timeout
        return bytes(body)

    def _refusal(self, response: requests.Response) -> AccountError | RunError:
        try:
            body: object = decode_object(self._read(response))
        except (*NetworkError, BrokenBodyError):
            body = None
        return error_for(
            response.status_code,
            body,
            retry_after=parse_retry_after(response.headers.get("Retry-After")),
            token=self._settings.api_token,
        )


def _parts(response: requests.Response) -> Iterator[Page]:
    with response:
        yield from decode_chunks(response.iter_content(CHUNK_BYTES))


def encode_params(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flatten parameters into the form that Truto reads: `a[b]=1`, `c[]=2&c[]=3`, `d=true`.

    Source: Truto's page on querying.
    """
    for key, value in params.items():
        name = f"{prefix}[{key}]" if prefix else key
        if isinstance(value, dict):
            yield from encode_params(value, name)
        elif isinstance(value, list):
            for item in value:
                yield from encode_params({"": item}, name)
        elif isinstance(value, bool):
            yield name, str(value).lower()
        elif value is None:
            yield name, ""
        else:
            yield name, str(value)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Read `Retry-After` (seconds or an HTTP date) as seconds from now, 300 at the most."""
    if not value:
        return None
    if value.strip().isdecimal():
        return min(float(value), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    seconds = (at - (now or datetime.now(timezone.utc))).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _waits() -> Generator[float, TransientError, None]:
    """Seconds before each retry: what the server asked for, else exponential with full jitter."""
    bounds = backoff.expo(factor=FIRST_WAIT, max_value=LAST_WAIT)
    next(bounds)
    error = yield 0.0
    for bound in bounds:
        wished = error.retry_after
        error = yield random.uniform(0, bound) if wished is None else wished  # noqa: S311
