"""HTTP to Truto: a request comes in, and after one try a page or an error goes out."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from typing_extensions import override

from tap_truto_ats.api.envelope import Page, decode_chunks, decode_object, decode_page
from tap_truto_ats.api.errors import (
    AccountError,
    BrokenBodyError,
    NoListError,
    TransientError,
    error_for,
)
from tap_truto_ats.api.limits import RateLimiter, Refusal, parse_date, retry_seconds
from tap_truto_ats.api.network import NetworkError, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_truto_ats.api.request import ArrivingPage, Request, Usage
    from tap_truto_ats.settings.schema import Settings

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
        self.limiter = limiter or RateLimiter(parallel_runs=settings.parallel_runs)
        self._timeout = min(settings.request_timeout_seconds, LONGEST_TIMEOUT)
        self._ahead: timedelta | None = None
        self._was_accepted = False
        self._session = requests.Session()
        self._session.auth = BearerToken(settings.api_token)
        adapter = HTTPAdapter(pool_maxsize=settings.max_concurrency)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        # Left to trust the environment, requests looks it through for proxies with each request.
        found = self._session.merge_environment_settings(settings.api_url, {}, None, None, None)
        self._session.proxies, self._session.verify = found["proxies"], found["verify"]
        self._session.trust_env = False
        # urllib3 logs whole URLs, which hold cursors and candidates' ids.
        for name in ("connection", "connectionpool", "response", "util.retry"):
            logging.getLogger(f"urllib3.{name}").disabled = True

    def now(self) -> datetime:
        """Return the time by Truto's clock, by the earliest `Date` of its answers."""
        return datetime.now(timezone.utc) + (self._ahead or timedelta())

    def admit(self, request: Request) -> Refusal | None:
        """Count a request that is about to be made, or return what does not allow it yet."""
        return None if request.is_arriving else self.limiter.admit(request.limited_account)

    def fetch(self, request: Request, usage: Usage) -> Page:
        """Try once to get a page, or the next part of one that is arriving; `admit` comes first.

        Raises:
            TransientError: Another try may succeed.
            AccountError: None will.
        """
        arriving = request.arriving
        try:
            if arriving is not None:
                page = self._next_part(request, arriving, usage)
            elif request.single:
                page = decode_object(self._read(self._get(request, usage)))
            else:
                page = decode_page(self._read(self._get(request, usage)))
        except NetworkError as error:
            failure = unreachable(error)
        else:
            usage.pages += not (request.single or page.unread)
            usage.replaced += page.replaced
            return page
        raise failure  # Raised out here, since the caught error's text holds the URL.

    def _next_part(self, request: Request, arriving: ArrivingPage, usage: Usage) -> Page:
        try:
            if arriving.parts is None:
                arriving.parts = self._parts(self._get(request, usage))
            page = next(arriving.parts)
        except (*NetworkError, BrokenBodyError):
            arriving.parts = None
            raise
        if not page.unread:
            arriving.parts = None  # A list may be begun once more, by the same request.
        return page

    def _get(self, request: Request, usage: Usage) -> requests.Response:
        usage.requests += 1
        response = self._session.get(
            self._settings.api_url + request.path,
            params=list(encode_params(request.params)),
            timeout=self._timeout,
            stream=True,
            allow_redirects=False,
        )
        if date := parse_date(response.headers.get("Date")):
            ahead = date - datetime.now(timezone.utc)
            # A proxy's may be any: an early one keeps a bookmark back, a late one lets it run on.
            self._ahead = ahead if self._ahead is None else min(self._ahead, ahead)
        self.limiter.heed(request.limited_account, response.headers)
        if response.status_code == HTTPStatus.NO_CONTENT:
            response.close()
            raise NoListError
        if response.status_code != HTTPStatus.OK:
            raise self._refusal(response)
        self._was_accepted = True
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

    def _parts(self, response: requests.Response) -> Iterator[Page]:
        with response:
            yield from decode_chunks(self._chunks(response))

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        """Read a body in chunks, each within the timeout; what came before a break is given out."""
        chunk, deadline = bytearray(), time.monotonic() + self._timeout
        try:
            while part := response.raw.read1(CHUNK_BYTES - len(chunk), decode_content=True):
                chunk += part
                if time.monotonic() > deadline:
                    raise requests.Timeout
                if len(chunk) == CHUNK_BYTES:
                    yield bytes(chunk)
                    chunk, deadline = bytearray(), time.monotonic() + self._timeout
        except NetworkError:
            yield bytes(chunk)
            raise
        yield bytes(chunk)

    def _refusal(self, response: requests.Response) -> AccountError:
        try:
            body: object = decode_object(self._read(response)).rows[0]
        except (*NetworkError, BrokenBodyError):
            body = None
        error = error_for(response.status_code, body, was_accepted=self._was_accepted)
        if isinstance(error, TransientError):
            error.retry_after = retry_seconds(response.headers)
        return error


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
