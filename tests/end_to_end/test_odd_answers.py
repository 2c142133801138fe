"""Answers and inputs that no documentation foresees: they cost one account at the most."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from sandbox.tables import rows
from tests.end_to_end.hasty import hasty, stopped
from tests.harness import deselect, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox.control import Sandbox
    from tests.harness import Run, Tap

PATH = "/unified/ats/interviews"


def account_of(body: Any) -> dict[str, Any]:
    return {"kind": "body_override", "body": body, "times": None}


def nested(depth: int) -> str:
    return '{"result": [{"id": "deep", "x": ' + "[" * depth + "]" * depth + '}, {"id": "flat"}]}'


class TestAccounts:
    @pytest.mark.parametrize(
        "answer",
        [{"result": {"id": "else"}}, {"id": "else"}, {"id": None}, {"status": ["active"]}],
        ids=["no id", "another id", "id null", "status a list"],
    )
    def test_a_named_account_is_read_whatever_its_lookup_says(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], answer: dict[str, Any]
    ) -> None:
        account = ids["pinpoint"]
        # Only the first request: the second one, for its capabilities, answers as usual.
        fault = account_of(answer) | {"times": 1}
        sandbox.fault(path=f"/integrated-account/{account}", **fault)
        run = tap(integrated_account_ids=[ids["ashby"], account])
        assert (run.code, run.errors) == (0, [])
        assert {key[0] for key in table(run)} == {ids["ashby"], account}
        assert {row["id"] for row in run.records("integrated_accounts")} == {ids["ashby"], account}

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"unified": None, "integration": None, "account": None},
            {"unified": {}, "integration": [], "account": "active"},
            {"unified": [{"model": "ATS", "resource": "interviews", "methods": [{"a": "list"}]}]},
            {"unified": [{"model": "ats", "resource": "interviews", "methods": 3}, None, 7]},
            {"account": {"status": "ACTIVE", "is_blocked": "no"}},
        ],
    )
    def test_capabilities_of_an_odd_form_do_not_hide_an_account(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], body: dict[str, Any]
    ) -> None:
        account = ids["greenhouse"]
        sandbox.fault(path=f"/integrated-account/{account}/capabilities", **account_of(body))
        run = tap()
        assert (run.code, run.errors) == (0, [])
        assert table(run) == rows(sandbox.interviews())

    def test_listed_accounts_of_an_odd_form(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        known = {"id": ids["ashby"], "status": "Active", "integration": {"category": "ATS"}}
        odd = [known, known, {"id": ids["pinpoint"]}, {"id": None}, {}, None, 7]
        for position, key in enumerate(("result", "results")):
            body = {key: odd, "next_cursor": None if position else "more"}
            sandbox.fault(path="/integrated-account", kind="body_override", body=body)
        run = tap()
        assert (run.code, run.errors) == (0, [])
        assert {key[0] for key in table(run)} == {ids["ashby"], ids["pinpoint"]}
        assert len(run.records("integrated_accounts")) == 2
        assert run.logged("8 integrated accounts without an id") == 1

    @pytest.mark.parametrize("streams", [("integrated_accounts", "interviews"), ("jobs", "users")])
    def test_tenants_without_accounts_are_an_error(
        self, tap: Tap, sandbox: Sandbox, streams: tuple[str, ...]
    ) -> None:
        names = ["no such tenant", "nor this"]
        run = tap(tenant_ids=names, catalog=tap.catalog(*streams))
        assert (run.code, run.records()) == (1, [])
        (line,) = run.errors
        assert line == (
            "No integrated account was found of no such tenant, nor this: check `tenant_ids`."
        )
        assert run.logged("No integrated account was found") == 1
        assert "Traceback" not in run.stderr
        assert {one["path"] for one in sandbox.requests()} == {"/integrated-account"}

    def test_they_are_an_error_of_a_test_too(self, tap: Tap) -> None:
        run = tap("--test", tenant_ids=["no such tenant"])
        assert run.code == 1
        assert len(run.errors) == run.logged("No integrated account was found") == 1

    def test_one_tenant_without_accounts_is_a_warning(self, tap: Tap, sandbox: Sandbox) -> None:
        tenant = sandbox.accounts()[0]["tenant_id"]
        run = tap(tenant_ids=["no such tenant", tenant])
        assert (run.code, run.errors) == (0, [])
        assert {one["tenant_id"] for one in run.records("integrated_accounts")} == {tenant}
        assert run.logged("No integrated account was found of no such tenant: check") == 1

    def test_finding_none_at_all_is_said(self, tap: Tap, sandbox: Sandbox) -> None:
        sandbox.reset(accounts=[], rate_limits=False)
        run = tap()
        assert (run.code, run.errors) == (0, [])
        assert run.logged("No integrated account was found") == 1


class TestPages:
    @pytest.mark.parametrize("cursor", [{"a": 1}, ["a"], True, 1.5])
    @pytest.mark.parametrize("name", ["unified", "stream"])
    def test_a_cursor_that_is_none_ends_the_account(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], cursor: object, name: str
    ) -> None:
        body = {"result": [{"id": "1"}], "next_cursor": cursor}
        sandbox.fault(path=PATH, integrated_account_id=ids["pinpoint"], **account_of(body))
        run = tap(max_retries=0, response_format=name)
        assert run.code == 1
        assert len(run.errors) == 1
        assert ids["pinpoint"] in run.errors[0]

    @pytest.mark.parametrize("depth", [990, 100_000])
    @pytest.mark.parametrize("name", ["unified", "stream"])
    def test_depth_costs_what_is_deep_alone(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], depth: int, name: str
    ) -> None:
        account = ids["pinpoint"]
        sandbox.fault(path=PATH, integrated_account_id=account, **account_of(nested(depth)))
        run = tap(max_retries=0, response_format=name)
        assert (run.code, run.errors) == (0, [])
        good = rows(row for row in sandbox.interviews() if row["integrated_account_id"] != account)
        assert table(run).items() >= good.items()
        assert table(run).keys() - good.keys() == {(account, "deep"), (account, "flat")}
        assert run.logged("1 values of interviews are none that JSON and databases can hold") == 1

    @pytest.mark.parametrize("name", ["unified", "stream"])
    def test_a_body_that_nests_without_end_costs_the_account(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], name: str
    ) -> None:
        account = ids["pinpoint"]
        body = nested(100_000)[:50_000]
        sandbox.fault(path=PATH, integrated_account_id=account, **account_of(body))
        run = tap(max_retries=0, response_format=name)
        assert run.code == 1
        assert "Traceback" not in run.stderr
        assert len(run.errors) == 1
        assert "broken" in run.errors[0]

    @pytest.mark.parametrize(
        "headers",
        [
            {"Retry-After": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"},
            {"Retry-After": "-1"},
            {"ratelimit-remaining": "0", "ratelimit-reset": "-5"},
            {"ratelimit-remaining": "none", "ratelimit-reset": "nan"},
        ],
    )
    def test_headers_of_an_odd_form_are_passed_over(
        self, tap: Tap, sandbox: Sandbox, headers: dict[str, str]
    ) -> None:
        sandbox.fault(path=PATH, status=429, headers=headers)
        run = tap()
        assert (run.code, run.errors) == (0, [])
        assert table(run) == rows(sandbox.interviews())

    @pytest.mark.parametrize("location", ["https://example.com/login", "/ping"])
    def test_a_redirect_is_not_followed(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str], location: str
    ) -> None:
        account = ids["pinpoint"]
        headers = {"Location": location}
        sandbox.fault(path=PATH, integrated_account_id=account, status=302, headers=headers)
        run = tap()
        assert run.code == 1
        assert len(run.errors) == 1
        assert "redirect (HTTP 302)" in run.errors[0]
        assert sandbox.requests("/ping") == []

    def test_an_empty_answer_is_tried_again(self, tap: Tap, sandbox: Sandbox) -> None:
        sandbox.fault(path=PATH, status=204, body="")
        run = tap()
        assert table(run) == rows(sandbox.interviews())

    def test_half_a_character_costs_nothing_else(
        self, tap: Tap, sandbox: Sandbox, ids: dict[str, str]
    ) -> None:
        body = r'{"result": [{"id": "1", "location": "cut \ud83d"}, {"id": "2"}]}'
        sandbox.fault(path=PATH, kind="body_override", body=body)
        run = tap(integrated_account_ids=[ids["ashby"]])
        assert (run.code, run.errors) == (0, [])
        assert [row["location"] for row in run.records()] == ["cut \ufffd", None]
        assert run.logged("1 values of interviews are none that JSON and databases can hold") == 1


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server that answers every GET the same way."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            # Told of it, the tap does not send its next request while the connection is closed.
            self.send_header("Connection", "close")
            with suppress(OSError):
                answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def in_chunks(handler: BaseHTTPRequestHandler, body: bytes, encoding: str, *, end: bool) -> None:
    """Send a body in small chunks, with or without the last one that ends it."""
    handler.send_header("Content-Encoding", encoding)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for start in range(0, len(body), 50):
        part = body[start : start + 50]
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
    if end:
        handler.wfile.write(b"0\r\n\r\n")


PAGE = json.dumps({"result": [{"id": str(n), "location": "x" * n} for n in range(300)]}).encode()


class TestTransport:
    SETTINGS: ClassVar[dict[str, Any]] = {"integrated_account_ids": ["a"], "max_retries": 0}

    @pytest.mark.parametrize("name", ["unified", "stream"])
    def test_compressed_bodies_are_read(self, tap: Tap, name: str) -> None:
        with serving(lambda one: in_chunks(one, gzip.compress(PAGE), "gzip", end=True)) as url:
            run = tap(api_url=url, response_format=name, **self.SETTINGS)
        assert (run.code, run.errors) == (0, [])
        assert [row["id"] for row in run.records()] == [str(n) for n in range(300)]

    @pytest.mark.parametrize("name", ["unified", "stream"])
    @pytest.mark.parametrize(
        ("body", "end"),
        [
            (gzip.compress(PAGE)[:-100], True),
            (gzip.compress(PAGE), False),
            (b"no gzip at all", True),
        ],
        ids=["cut gzip", "no last chunk", "no gzip"],
    )
    def test_compressed_bodies_that_break_are_broken(
        self, tap: Tap, name: str, body: bytes, end: object
    ) -> None:
        with serving(lambda one: in_chunks(one, body, "gzip", end=bool(end))) as url:
            run = tap(api_url=url, response_format=name, **self.SETTINGS)
        assert run.code == 1
        assert len(run.errors) == 1
        assert run.states[-1]["bookmarks"].get("interviews", {}) == {}

    @pytest.mark.parametrize("name", ["unified", "stream"])
    @pytest.mark.parametrize("path", ["/integrated-account/", PATH], ids=["capabilities", "rows"])
    def test_a_body_that_drips_is_a_timeout(self, sandbox: Sandbox, path: str, name: str) -> None:
        stop = threading.Event()

        def drip(handler: BaseHTTPRequestHandler) -> None:
            drips = 100 if handler.path.startswith(path) else 0
            body = b'{"result": []}'
            handler.send_header("Content-Length", str(drips + len(body)))
            handler.end_headers()
            handler.wfile.write(body[:-1])
            while drips and not stop.wait(0.1):
                handler.wfile.write(b" ")
                drips -= 1
            handler.wfile.write(body[-1:])

        tap = hasty(sandbox, **{"tap_truto_ats.api.client:LONGEST_TIMEOUT": 0.3})
        with serving(drip) as url:
            run = tap(api_url=url, response_format=name, **self.SETTINGS)
            stop.set()
        assert run.code == 1
        assert len(run.errors) == 1
        assert "no answer in time" in run.errors[0]


def test_a_signal_ends_a_run_whose_target_does_not_read(
    tap: Tap, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.reset(accounts=[{"provider": "ashby"}], interviews=2000, rate_limits=False)
    command = tap.command(tmp_path, config=tap.config(page_size=2000), catalog=tap.catalog())
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as process:
        assert process.stdout
        assert process.stdout.read(1)
        while not sandbox.requests(PATH):
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 128 + signal.SIGTERM


def test_a_target_that_is_gone_ends_the_run_without_a_traceback(
    tap: Tap, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.reset(accounts=[{"provider": "ashby"}], interviews=2000, rate_limits=False)
    command = tap.command(tmp_path, config=tap.config(), catalog=tap.catalog())
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        log = process.stderr.read()
    assert process.returncode == 1
    assert "Traceback" not in log


def test_failed_accounts_are_named_when_a_run_is_stopped(
    tap: Tap, sandbox: Sandbox, ids: dict[str, str]
) -> None:
    sandbox.fault(path=PATH, integrated_account_id=ids["pinpoint"], status=403)
    sandbox.fault(path=PATH, integrated_account_id=ids["ashby"], kind="delay", seconds=60)
    run = stopped(
        tap,
        lambda written: '"status":"failed"' in written.replace(" ", ""),
        {"tap_truto_ats.singer.writer:STATE_SECONDS": 0.0},
        signal.SIGINT,
        catalog=tap.catalog("account_syncs", "interviews"),
    )
    assert run.code == 130
    assert run.logged(f"Account {ids['pinpoint']} (pinpoint) was not read to its end") == 1


class TestUsersInputs:
    def refused(self, run: Run) -> str:
        assert run.code == 1
        assert "Traceback" not in run.stderr
        assert run.records() == []
        lines = run.errors + [one for one in run.stderr.splitlines() if one.startswith("Error: ")]
        assert len(lines) == 1
        return lines[0]

    @pytest.mark.parametrize(
        "expression", ["int(location)", "bad(", "undefined_fn(1)", "1 / 0", "no_such_name"]
    )
    def test_a_stream_map_that_fails_quotes_no_record(
        self, tap: Tap, sandbox: Sandbox, expression: str
    ) -> None:
        maps = {"interviews": {"x": expression}}
        line = self.refused(tap(stream_maps=maps))
        assert "'stream_maps'" in line
        assert any(place in line for place in ("interviews, for x", "interviews.x"))
        assert expression not in line
        assert not any(row["location"] in line for row in sandbox.interviews() if row["location"])

    def test_a_catalog_must_keep_the_key(self, tap: Tap) -> None:
        catalog = tap.catalog()
        for entry in catalog["streams"]:
            entry["schema"]["properties"].pop("id", None)
        assert "column id of" in self.refused(tap(catalog=catalog))
        catalog = deselect(tap.catalog(), "id")
        assert tap(catalog=catalog).code == 0

    @pytest.mark.parametrize("kind", [["string"], ["string", "null"], "integer"])
    def test_a_catalog_must_keep_the_keys_type(self, tap: Tap, kind: Any) -> None:
        catalog = tap.catalog()
        for entry in catalog["streams"]:
            entry["schema"]["properties"].get("id", {})["type"] = kind
        run = tap(catalog=catalog)
        assert run.code == (0 if kind == ["string"] else 1)
        assert "Traceback" not in run.stderr
