"""Any JSON in any place of an answer: a clean record, a counted drop, or an account error."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import threading
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from tap_truto_ats.api.envelope import decode_page
from tap_truto_ats.model.instants import parse_instant
from tap_truto_ats.model.records import MOST_KEY_BYTES, usable_key
from tap_truto_ats.tap import TapTrutoAts
from tests.harness import Tap

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES") or 0)
"""More than the usual, and other ones in each run."""

CANARY = "leaka.nevershown"
"""Stands in every text that may be personal data."""

FORMATS = ["unified", "stream", "raw"]

fuzz = settings(
    max_examples=EXAMPLES or 10,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    # Looking for a simpler example than the one found takes minutes.
    phases=tuple(Phase) if EXAMPLES else (Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

DATES = [
    "2026-01-31T09:30:00Z",
    "2026-01-31 09:30",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00",
    "2026-02-30T00:00:00Z",
    "2026-01-31T24:00:00Z",
    "2026-01-31T09:30:00.123456789Z",
    "2026-W05-6",
    "20260131T093000Z",
    "2026-01-31T09:30:60Z",
    "2026-01-31T09:30:00-00:00",
    "\N{ARABIC-INDIC DIGIT TWO}026-01-31T09:30:00Z",
]
NUMBERS = [0, -1, 2**53 + 1, 2**63, -(2**64), 10**400, 1e308, 5e-324, -0.0]
TEXTS = ["", " ", "\0", "\ud83d", "\udc00x", "\ufeff", "null", "list", "ats"]


def texts(mark: str) -> st.SearchStrategy[str]:
    return st.sampled_from(TEXTS) | st.text(max_size=5).map(lambda text: mark + text)


def anything(mark: str = CANARY) -> st.SearchStrategy[Any]:
    """Any JSON, its texts marked."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from([*NUMBERS, *DATES])
        | texts(mark)
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(mark), inner, max_size=3),
        max_leaves=6,
    )


def objects(known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of known keys with values that are often right, and of any others."""
    values = {key: right | right | anything() for key, right in known.items()}
    return st.builds(
        lambda own, others: others | own,
        st.fixed_dictionaries({}, optional=values) | st.fixed_dictionaries(values),
        st.dictionaries(texts(CANARY), anything(), max_size=2),
    )


SOME_ID = st.integers(0, 30) | st.integers(0, 30).map(str) | texts(CANARY)
DATE = st.sampled_from(DATES)
REFERENCE = st.fixed_dictionaries({"id": SOME_ID})

ROWS = st.lists(
    objects(
        {
            "id": SOME_ID,
            "application": REFERENCE,
            "candidate": REFERENCE,
            "created_at": DATE,
            "end_at": DATE,
            "interviewers": st.lists(REFERENCE, max_size=3),
            "job_interview_stage": REFERENCE,
            "location": texts(CANARY),
            "organizer": REFERENCE,
            "start_at": DATE,
            "status": texts(CANARY),
            "updated_at": DATE,
            "integrated_account_id": SOME_ID,
            "custom_fields": anything(),
            "remote_data": anything(),
        }
    )
    | anything(),
    max_size=12,
)
ENVELOPES = objects(
    {"result": ROWS, "results": ROWS, "next_cursor": st.sampled_from([None, "", "more", 7])}
)
CANDIDATES = objects(
    {
        "result": st.lists(
            objects({"id": SOME_ID, "updated_at": DATE, "last_interaction_at": DATE}), max_size=4
        ),
        "next_cursor": st.sampled_from([None, ""]),
    }
)

# What may be shown of an account is its id, its provider and its status.
SHOWN = anything("shown")
PROVIDERS = st.sampled_from(["ashby", "Fountain", "greenhouse", "nobody"])
INTEGRATION = st.fixed_dictionaries(
    {}, optional={"name": PROVIDERS | SHOWN, "category": st.just("ats") | SHOWN}
)
ACCOUNT = st.builds(
    lambda own, others: others | own,
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.integers(1, 3).map(str) | SHOWN,
            "status": st.just("active") | SHOWN,
            "integration": INTEGRATION | SHOWN,
        },
    ),
    objects({"tenant_id": SOME_ID, "last_error": anything(), "is_sandbox": st.booleans()}).map(
        lambda row: {key: value for key, value in row.items() if key not in {"id", "status"}}
    ),
)
ACCOUNTS = objects({"result": st.lists(ACCOUNT | anything(), max_size=5), "next_cursor": st.none()})
CAPABILITIES = st.fixed_dictionaries(
    {},
    optional={
        "integration": INTEGRATION | SHOWN,
        "account": st.fixed_dictionaries({}, optional={"status": SHOWN, "is_blocked": anything()})
        | SHOWN,
        "unified": st.lists(
            objects(
                {
                    "model": st.just("ats"),
                    "resource": st.just("interviews"),
                    "methods": st.lists(st.sampled_from(["list", "get"]) | anything(), max_size=2),
                }
            ),
            max_size=3,
        )
        | anything(),
    },
)


CHANGES = ["none"] * 6 + ["cut", "insert", "mark", "twice", "number", "utf16"]
"""What is done to a body, half of them left as they are."""

NO_NUMBERS = [b"NaN", b"-Infinity", b"1e999", b"7" * 5000]
"""What some servers send, and what nothing can hold."""


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


@st.composite
def bodies(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """A value as JSON, or as what is nearly so."""
    body = dump(draw(values))
    change = draw(st.sampled_from(CHANGES))
    at = draw(st.integers(0, len(body)))
    if change == "cut":
        return body[:at]
    if change == "insert":
        return body[:at] + draw(st.binary(min_size=1, max_size=3)) + body[at:]
    if change == "mark":
        return b"\xef\xbb\xbf" + body
    if change == "twice" and body.startswith(b"{") and len(body) > len(b"{}"):
        return body[:-1] + b"," + body[1:]
    if change == "number":
        count = draw(st.integers(1, 9))
        return re.sub(rb"null|\d+", draw(st.sampled_from(NO_NUMBERS)), body, count=count)
    return body.decode().encode("utf-16") if change == "utf16" else body


KIND = ("RECORD", "interviews")

Places = dict[str, bytes]
"""Bodies by place: `accounts`, `account`, `capabilities`, `candidates`, `interviews`."""

USUAL: Places = {
    "accounts": dump({"result": [{"id": "1", "status": "active", "integration": {"name": "p"}}]}),
    "account": dump({"id": "1", "status": "active", "integration": {"name": "greenhouse"}}),
    "capabilities": dump({}),
    "candidates": dump({"result": [{"id": "c1"}, {"id": "c2"}]}),
    "interviews": dump({"result": [{"id": "1"}]}),
}


class Truto(ThreadingHTTPServer):
    """Answers each request with the body of its place; a page behind a cursor is the last."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.bodies = USUAL
        self.by_account: dict[str, bytes] = {}

    def body(self, url: str) -> bytes:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        if "next_cursor" in query:
            return dump({"result": []})
        steps = parts.path.strip("/").split("/")
        if steps[0] == "unified":
            account = query.get("integrated_account_id", [""])[0]
            return self.by_account.get(account, self.bodies[steps[-1]])
        return self.bodies[["accounts", "account", "capabilities"][len(steps) - 1]]


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Truto

    def do_GET(self) -> None:
        body = self.server.body(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def truto() -> Iterator[Truto]:
    with Truto() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Log(logging.Handler):
    """Keeps every line, tracebacks included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def everything_logged() -> Iterator[Log]:
    log, root = Log(), logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    try:
        yield log
    finally:
        root.removeHandler(log)
        root.setLevel(level)


def run(truto: Truto, **changes: Any) -> tuple[TapTrutoAts, list[dict[str, Any]], str]:
    """Run the tap; return it with its messages and its log."""
    config = {
        "api_url": f"http://127.0.0.1:{truto.server_port}",
        "api_token": "no-such-token",
        "max_retries": 0,
        "max_concurrency": 4,
        "include_remote_data": True,
        **changes,
    }
    buffer, stdout = io.BytesIO(), sys.stdout
    with everything_logged() as log:
        streams = ("account_syncs", "integrated_accounts", "interviews")
        catalog = Tap.catalog(*streams, include_remote_data=True)
        tap = TapTrutoAts(config=config, catalog=catalog)
        sys.stdout = SimpleNamespace(buffer=buffer)
        try:
            tap.carry_out(tap.sync_all)
            code = 0
        except SystemExit as end:
            code = end.code  # type: ignore[assignment]
        finally:
            sys.stdout = stdout
    assert code in {0, 1}
    *lines, rest = buffer.getvalue().decode().split("\n")
    assert rest == ""
    messages = [json.loads(line, parse_constant=no_constant) for line in lines]
    return tap, messages, "\n".join(log.lines)


def no_constant(name: str) -> None:
    message = f"{name} is no JSON"
    raise ValueError(message)


formats = FormatChecker(())


@formats.checks("date-time")
def is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    usual = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", value, re.ASCII)
    return bool(usual) and datetime.fromisoformat(value).tzinfo is not None


def check(messages: list[dict[str, Any]], log: str) -> None:
    """What was written is Singer, what was logged is no fault of the tap and nobody's data."""
    validators: dict[str, Draft202012Validator] = {}
    keys: dict[str, list[str]] = {}
    for message in messages:
        if message["type"] == "SCHEMA":
            schema = message["schema"]
            validators[message["stream"]] = Draft202012Validator(schema, format_checker=formats)
            keys[message["stream"]] = message["key_properties"]
        elif message["type"] == "RECORD":
            record = message["record"]
            validators[message["stream"]].validate(record)
            values = [record[key] for key in keys[message["stream"]]]
            assert all(value and isinstance(value, str) for value in values)
        else:
            assert message["type"] == "STATE"
            for one in message["value"]["bookmarks"].get("interviews", {}).get("partitions", []):
                assert isinstance(one["context"]["integrated_account_id"], str)
                for name in one.keys() & {"replication_key_value", "whole_read_at", "read_at"}:
                    assert is_date_time(one[name])
                    assert parse_instant(one[name])
    assert "The tap met a" not in log
    assert "Traceback" not in log
    assert CANARY not in log


@pytest.mark.parametrize("name", FORMATS)
@fuzz
@given(pages=st.lists(ROWS, min_size=1, max_size=4))
def test_rows(truto: Truto, name: str, pages: list[list[Any]]) -> None:
    accounts = {str(n): page for n, page in enumerate(pages)}
    truto.bodies = USUAL | {"accounts": dump({"result": [{"id": id_} for id_ in accounts]})}
    truto.by_account = {id_: dump({"result": page}) for id_, page in accounts.items()}
    _, messages, log = run(truto, response_format=name)
    check(messages, log)
    written = [one for one in messages if (one["type"], one.get("stream")) == KIND]
    emitted = [one["record"] for one in written]
    of_syncs = ("RECORD", "account_syncs")
    syncs = [one["record"] for one in messages if (one["type"], one.get("stream")) == of_syncs]
    for sync in (one for one in syncs if one["stream"] == "interviews"):
        account = sync["integrated_account_id"]
        own = [one for one in emitted if one["integrated_account_id"] == account]
        assert sync["records"] == len(own)
        if not sync["error"]:
            read = decode_page(truto.by_account[account]).rows
            assert len(own) == sum(usable_key(row) is not None for row in read)


@pytest.mark.parametrize("name", FORMATS)
@fuzz
@given(answers=st.lists(bodies(ENVELOPES | anything()), min_size=1, max_size=8))
def test_envelopes(truto: Truto, name: str, answers: list[bytes]) -> None:
    truto.by_account = {str(n): body for n, body in enumerate(answers)}
    truto.bodies = USUAL | {"accounts": dump({"result": [{"id": id_} for id_ in truto.by_account]})}
    _, messages, log = run(truto, response_format=name)
    check(messages, log)


@fuzz
@given(body=bodies(ACCOUNTS | anything("shown")))
def test_the_list_of_accounts(truto: Truto, body: bytes) -> None:
    truto.bodies, truto.by_account = USUAL | {"accounts": body}, {}
    _, messages, log = run(truto)
    check(messages, log)


@fuzz
@given(account=bodies(ACCOUNT), capabilities=bodies(CAPABILITIES))
def test_an_account_and_its_capabilities(truto: Truto, account: bytes, capabilities: bytes) -> None:
    truto.bodies = USUAL | {"account": account, "capabilities": capabilities}
    truto.by_account = {}
    _, messages, log = run(truto, integrated_account_ids=["1"])
    check(messages, log)


@fuzz
@given(candidates=bodies(CANDIDATES), rows=bodies(st.fixed_dictionaries({"result": ROWS})))
def test_candidates(truto: Truto, candidates: bytes, rows: bytes) -> None:
    fountain = {"id": "1", "status": "active", "integration": {"name": "fountain"}}
    accounts = dump({"result": [fountain]})
    truto.bodies = USUAL | {"accounts": accounts, "candidates": candidates, "interviews": rows}
    truto.by_account = {}
    _, messages, log = run(truto)
    check(messages, log)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("number", [*NO_NUMBERS, b"-1e999"], ids=lambda number: number[:9].decode())
@pytest.mark.parametrize("row", [b'{"id": %b}', b'{"id": 1, "x": %b}'], ids=["id", "value"])
def test_a_number_that_nothing_can_hold_becomes_a_text(
    truto: Truto, name: str, number: bytes, row: bytes
) -> None:
    body = b'{"result": [%b, {"id": "other"}]}' % (row % number)
    truto.bodies, truto.by_account = USUAL | {"interviews": body}, {}
    _, messages, log = run(truto, response_format=name)
    check(messages, log)
    records = [one["record"] for one in messages if (one["type"], one.get("stream")) == KIND]
    text = number.decode()
    is_key = b"x" not in row
    can_be_key = len(text) < MOST_KEY_BYTES
    found = {
        one["id"]: (one["remote_data"] or one["custom_fields"] or {}).get("x") for one in records
    }
    assert found == {"other": None} | (
        {"1": text} if not is_key else {text: None} if can_be_key else {}
    )
    assert "Account 1 (p): 1 values of interviews are none that JSON and databases can hold" in log
