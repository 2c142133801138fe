"""Why Truto could not be reached, in words of our own: exceptions' texts may hold the URL."""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING, TypeAlias

import requests
from requests.exceptions import ChunkedEncodingError, InvalidSchema, InvalidURL
from urllib3.exceptions import (
    HTTPError,
    LocationParseError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
)

from tap_truto_ats.api.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NetworkError = (OSError, HTTPError)
"""All that requests and urllib3 raise; for a missing CA bundle, it is a plain OSError."""

CHECK_NETWORK = "Check `api_url` and the network"
CHECK_PROXY = "Check the proxy (`HTTPS_PROXY`, `NO_PROXY`)"
CHECK_CERTIFICATES = "Check `api_url`, and the CA bundle (`REQUESTS_CA_BUNDLE`)"

NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
"""OpenSSL's reasons where the server does not speak TLS; they differ between its versions."""

NO_BUNDLE = {"NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "PEM_LIB"}
"""OpenSSL's reasons where a file of certificates holds none."""

TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})\b")


def unreachable(error: BaseException) -> TransientError:
    """Return an error that names the most telling of an exception's causes."""
    causes = list(_causes(error))
    words, cure = next(
        (found, cure)
        for kind, cure, meaning in KINDS
        for cause in causes
        if isinstance(cause, kind)
        and (found := meaning if isinstance(meaning, str) else meaning(cause))
    )
    if any(isinstance(cause, ProxyError) for cause in causes):
        return TransientError(f"Truto could not be reached through the proxy: {words}", CHECK_PROXY)
    return TransientError(f"Truto could not be reached: {words}", cure)


def _causes(error: object) -> Iterator[BaseException]:
    """Yield an exception and those within it: in its arguments, attributes and causes."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]


def _certificate(error: BaseException) -> str:
    reason = str(getattr(error, "verify_message", "")).rstrip(".")
    return f"its certificate is not accepted ({reason})"


def _tls(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    if reason in NOT_TLS:
        return "what answers there does not speak TLS"
    return "the CA bundle holds no certificate" if reason in NO_BUNDLE else f"TLS failed ({reason})"


def _bundle(error: BaseException) -> str:
    return "the CA bundle is not there" if "CA certificate bundle" in str(error) else ""


def _tunnel(error: BaseException) -> str:
    refused = TUNNEL_REFUSED.search(str(error))
    return f"it refused (HTTP {refused[1]})" if refused else ""


Kind: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]

KINDS: tuple[tuple[Kind, str, str | Callable[[BaseException], str]], ...] = (
    (ssl.SSLCertVerificationError, CHECK_CERTIFICATES, _certificate),
    (ssl.SSLError, CHECK_CERTIFICATES, _tls),
    (socket.gaierror, CHECK_NETWORK, "the host's name is not known (DNS)"),
    (ConnectionRefusedError, CHECK_NETWORK, "the connection was refused"),
    ((requests.Timeout, ReadTimeoutError), CHECK_NETWORK, "no answer in time"),
    (InvalidURL, CHECK_PROXY, "an address is not valid"),
    (LocationParseError, CHECK_NETWORK, "an address is not valid"),
    (InvalidSchema, CHECK_PROXY, "the proxy is of an unknown kind"),
    (OSError, CHECK_PROXY, _tunnel),
    (OSError, CHECK_CERTIFICATES, _bundle),
    ((ProtocolError, ChunkedEncodingError), CHECK_NETWORK, "the connection broke"),
    (requests.ConnectionError, CHECK_NETWORK, "the connection failed"),
    (BaseException, CHECK_NETWORK, "the answer could not be read"),
)
"""From the most telling to the least: an exception's type, the cure, and what it means.

An empty meaning passes the exception on to the next line.
"""
