"""Faults of what is around the tap: the target, the disk, the network, certificates, proxies."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, TYPE_CHECKING, Any

import pytest
import trustme

from sandbox.tables import rows
from tests.harness import Run, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox.control import Sandbox
    from tests.harness import Tap

PATH = "/unified/ats/interviews"
PASSWORD = "hush-4242"


@contextmanager
def reader_gone() -> Iterator[int]:
    """The writing end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@contextmanager
def full_disk() -> Iterator[int]:
    full = os.open("/dev/full", os.O_WRONLY)
    yield full
    os.close(full)


NO_STDOUT: dict[str, tuple[Callable[[], Any], str]] = {
    "target gone": (reader_gone, "The target has ended before the tap"),
    "disk full": (full_disk, "Stdout takes nothing more: No space left on device"),
}


def is_clean(log: str) -> bool:
    """Whether a log shows neither a traceback nor what Python says when it cannot end well."""
    return "Traceback" not in log and "Exception ignored" not in log and "Error: [" not in log


def check_end(run: Run, words: str) -> None:
    """The run failed with these words and a cure, in one line."""
    assert run.code == 1
    (line,) = run.errors
    assert words in line
    assert line.endswith(".")
    assert is_clean(run.stderr)


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(("stdout", "words"), NO_STDOUT.values(), ids=NO_STDOUT)
class TestNothingCanBeWritten:
    def test_a_run_ends_at_its_first_message(
        self,
        tap: Tap,
        sandbox: Sandbox,
        tmp_path: Path,
        stdout: Callable[[], Any],
        words: str,
        unbuffered: str,
    ) -> None:
        command = tap.command(tmp_path, config=tap.config(), catalog=tap.catalog())
        check_end(end(command, stdout, unbuffered), words)
        assert sandbox.requests() == []

    @pytest.mark.parametrize("option", ["--discover", "--about"])
    def test_so_does_what_only_prints(
        self,
        tap: Tap,
        tmp_path: Path,
        stdout: Callable[[], Any],
        words: str,
        unbuffered: str,
        option: str,
    ) -> None:
        run = end(tap.command(tmp_path, option), stdout, unbuffered)
        assert run.code == 1
        assert words in run.stderr.splitlines()[-1]
        assert is_clean(run.stderr)


def end(command: list[str], stdout: Callable[[], Any], unbuffered: str = "") -> Run:
    with stdout() as file:
        done = subprocess.run(
            command,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    return Run(done.returncode, "", done.stderr)


def test_a_run_without_stdout_says_so(tap: Tap, tmp_path: Path) -> None:
    command = tap.command(tmp_path, config=tap.config(), catalog=tap.catalog())
    closing = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    done = subprocess.run(closing, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    check_end(Run(done.returncode, "", done.stderr), "Stdout is closed")


@pytest.mark.parametrize("blocks", [16, 20, 24, 32])
def test_a_disk_that_fills_up_holds_no_state_past_its_rows(
    tap: Tap, sandbox: Sandbox, tmp_path: Path, blocks: int
) -> None:
    file = tmp_path / "out.jsonl"
    command = tap.command(
        tmp_path, config=tap.config(page_size=2, max_concurrency=1), catalog=tap.catalog()
    )
    # Blocks of 512 bytes: more than the first stream takes, less than all.
    limiting = ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", *command]
    with file.open("wb") as stdout:
        done = subprocess.run(
            limiting, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    whole_lines = file.read_text().rpartition("\n")[0]
    run = Run(done.returncode, whole_lines, done.stderr)
    check_end(run, "Stdout takes nothing more: File too large")
    assert file.stat().st_size == blocks * 512
    truth = rows(sandbox.interviews())
    assert 0 < len(table(run)) < len(truth)
    for account in run.bookmarks:
        assert {key for key in truth if key[0] == account} <= table(run).keys()


BATCH = {"format": "jsonl", "compression": "gzip"}


@pytest.mark.parametrize("batches", [False, True], ids=["records", "batches"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "delay", "seconds": 120},
        {"status": 429, "headers": {"Retry-After": "120"}, "times": None},
    ],
    ids=["a slow answer", "a limit"],
)
def test_a_target_that_ends_while_the_tap_waits_ends_the_tap_at_once(
    tap: Tap, sandbox: Sandbox, tmp_path: Path, fault: dict[str, Any], batches: object
) -> None:
    sandbox.fault(path=PATH, **fault)
    batch = {"encoding": BATCH, "storage": {"root": tmp_path.as_uri()}} if batches else None
    settings = tap.config(max_concurrency=1, max_retries=8, batch_config=batch)
    command = tap.command(tmp_path, config=settings)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdout
        assert process.stderr
        read_until(process.stdout, '"type":"SCHEMA","stream":"interviews"')
        process.stdout.close()
        process.wait(timeout=30)
        log = process.stderr.read()
    check_end(Run(process.returncode, "", log), "The target has ended before the tap")


def read_until(file: IO[str], text: str) -> None:
    assert any(text in line for line in file)


@pytest.mark.parametrize("root", ["file", "file/below"])
def test_batch_files_that_cannot_be_written_end_the_run(
    tap: Tap, tmp_path: Path, root: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    batch = {"encoding": BATCH, "storage": {"root": (tmp_path / root).as_uri()}}
    run = tap(batch_config=batch)
    check_end(run, "A BATCH file could not be written")
    assert run.states == []


def test_a_disk_that_fills_up_below_batch_files_ends_the_run(
    tap: Tap, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.reset(accounts=[{"provider": "ashby"}], interviews=3000, rate_limits=False)
    batch = {"encoding": BATCH, "storage": {"root": tmp_path.as_uri()}}
    command = tap.command(
        tmp_path, config=tap.config(batch_config=batch, page_size=3000), catalog=tap.catalog()
    )
    limiting = ["sh", "-c", 'ulimit -f 32; exec "$@"', "sh", *command]
    done = subprocess.run(limiting, capture_output=True, text=True, check=False, timeout=60)
    run = Run(done.returncode, done.stdout, done.stderr)
    check_end(run, "A BATCH file could not be written: File too large")
    assert (len(run.of("BATCH")), len(run.of("BATCH", "integrated_accounts"))) == (0, 1)
    assert "interviews" not in run.state["bookmarks"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """The file that makes certificates of the authority good."""
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


class Server(ThreadingHTTPServer):
    """Answers every GET with one page of one row; speaks TLS if it has a certificate."""

    daemon_threads = True

    def __init__(self, certificate: trustme.LeafCert | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.seen: list[str] = []
        """What was asked for: the first lines of requests, without the version."""
        self.certificate = certificate
        self.upstream: Server | None = None
        """Where a proxy connects to, whatever it is asked for; None refuses."""

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.certificate.configure_cert(context)
            connection = context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, *_: object) -> None:
        """A client that does not like the certificate is no news."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append(f"GET {self.path}")
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"result": [{"id": "1"}]}')

    def do_CONNECT(self) -> None:
        """Connect to one and the same server, whatever its name."""
        self.server.seen.append(f"CONNECT {self.path}")
        self.close_connection = True
        if self.server.upstream is None:
            self.send_error(407, "Bitte anmelden")
            return
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(("127.0.0.1", self.server.upstream.server_port)) as far:
            there = threading.Thread(target=hand_on, args=(self.connection, far), daemon=True)
            there.start()
            hand_on(far, self.connection)
            there.join()

    def log_message(self, *_: object) -> None:
        pass


def hand_on(source: socket.socket, to: socket.socket) -> None:
    """Hand on what comes, to its end."""
    with suppress(OSError):
        while part := source.recv(1 << 16):
            to.sendall(part)
        to.shutdown(socket.SHUT_WR)


@contextmanager
def serving(
    certificate: trustme.LeafCert | None = None, upstream: Server | None = None
) -> Iterator[Server]:
    with Server(certificate) as server:
        server.upstream = upstream
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture(autouse=True)
def no_proxies_and_no_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the machine has set up for itself."""
    for name in os.environ:
        if name.lower().endswith(("_proxy", "_ca_bundle")):
            monkeypatch.delenv(name)


LONG_NAME = ".".join(["a" * 60] * 5)
"""A host's name that the resolver refuses without asking anybody."""


def read(tap: Tap, api_url: str, **env: str) -> Run:
    """Read one account, with all that can be logged."""
    return tap(
        api_url=api_url,
        integrated_account_ids=["a"],
        max_retries=1,
        env={"TAP_TRUTO_ATS_LOGLEVEL": "DEBUG", **env},
    )


def check_failure(run: Run, words: str) -> None:
    check_end(run, words)
    assert "Truto could not be reached" in run.errors[0]
    assert run.logged("(retry 1 of 1)") == 1
    assert "capabilities" not in run.stderr
    assert "type=unified" not in run.stderr
    assert "Bitte anmelden" not in run.stderr


class TestNetwork:
    def test_an_unknown_name(self, tap: Tap) -> None:
        check_failure(read(tap, f"https://{LONG_NAME}"), "(DNS). Check `api_url` and the network.")

    def test_a_refused_connection(self, tap: Tap) -> None:
        run = read(tap, f"https://127.0.0.1:{free_port()}")
        check_failure(run, "the connection was refused. Check `api_url` and the network.")

    def test_an_address_that_is_none(self, tap: Tap) -> None:
        check_failure(read(tap, f"https://{'a' * 64}.example"), "an address is not valid")

    def test_http_where_https_is_expected(self, tap: Tap) -> None:
        with serving() as server:
            run = read(tap, f"https://{server.host}")
        check_failure(run, "what answers there does not speak TLS. Check `api_url`")
        assert server.seen == []

    def test_https_where_http_is_expected(self, tap: Tap, authority: trustme.CA) -> None:
        with serving(authority.issue_cert("127.0.0.1")) as server:
            run = read(tap, f"http://{server.host}")
        check_failure(run, "the connection broke")


class TestCertificates:
    def test_an_unknown_authority(self, tap: Tap, authority: trustme.CA) -> None:
        with serving(authority.issue_cert("127.0.0.1")) as server:
            run = read(tap, f"https://{server.host}")
        check_failure(run, "its certificate is not accepted (unable to get local issuer")
        assert "CA bundle (`REQUESTS_CA_BUNDLE`)" in run.errors[0]
        assert server.seen == []

    def test_a_certificate_signed_by_itself(self, tap: Tap, authority: trustme.CA) -> None:
        key, certificate = authority.private_key_pem.bytes(), authority.cert_pem.bytes()
        with serving(trustme.LeafCert(key, certificate, [])) as server:
            run = read(tap, f"https://{server.host}")
        check_failure(run, "its certificate is not accepted (self")

    def test_another_hosts_certificate(self, tap: Tap, authority: trustme.CA, bundle: str) -> None:
        with serving(authority.issue_cert("truto.example")) as server:
            run = read(tap, f"https://{server.host}", REQUESTS_CA_BUNDLE=bundle)
        check_failure(run, "mismatch, certificate is not valid for '127.0.0.1')")

    def test_an_expired_certificate(self, tap: Tap, authority: trustme.CA, bundle: str) -> None:
        past = datetime(2020, 1, 1, tzinfo=timezone.utc)
        expired = authority.issue_cert("127.0.0.1", not_before=past, not_after=past)
        with serving(expired) as server:
            run = read(tap, f"https://{server.host}", REQUESTS_CA_BUNDLE=bundle)
        check_failure(run, "its certificate is not accepted (certificate has expired)")

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_a_bundle_of_ones_own(
        self, tap: Tap, authority: trustme.CA, bundle: str, variable: str
    ) -> None:
        with serving(authority.issue_cert("127.0.0.1")) as server:
            run = read(tap, f"https://{server.host}", **{variable: bundle})
        assert (run.code, run.errors, len(run.records())) == (0, [], 1)

    @pytest.mark.parametrize(
        ("content", "words"),
        [(None, "the CA bundle is not there"), ("no certificate", "the CA bundle holds no")],
        ids=["absent", "empty"],
    )
    def test_a_bundle_that_is_none(
        self, tap: Tap, authority: trustme.CA, tmp_path: Path, content: str | None, words: str
    ) -> None:
        file = tmp_path / "bundle.pem"
        if content is not None:
            file.write_text(content)
        with serving(authority.issue_cert("127.0.0.1")) as server:
            run = read(tap, f"https://{server.host}", REQUESTS_CA_BUNDLE=str(file))
        check_failure(run, words)


class TestProxies:
    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
    def test_https_goes_through_the_proxy(
        self, tap: Tap, authority: trustme.CA, bundle: str, variable: str
    ) -> None:
        with (
            serving(authority.issue_cert("truto.example")) as truto,
            serving(upstream=truto) as proxy,
        ):
            address = {variable: f"http://{proxy.host}"}
            run = read(tap, "https://truto.example", REQUESTS_CA_BUNDLE=bundle, **address)
        assert (run.code, run.errors, len(run.records())) == (0, [], 1)
        assert set(proxy.seen) == {"CONNECT truto.example:443"}
        assert len(truto.seen) == 3

    def test_http_goes_through_the_proxy(self, tap: Tap) -> None:
        with serving() as proxy:
            run = read(tap, "http://127.0.0.1:9", HTTP_PROXY=f"http://{proxy.host}")
        assert (run.code, run.errors, len(run.records())) == (0, [], 1)
        assert all(line.startswith("GET http://127.0.0.1:9/") for line in proxy.seen)

    @pytest.mark.parametrize("exception", ["127.0.0.1", "example.com,127.0.0.0/8", "*"])
    def test_no_proxy_goes_past_it(
        self, tap: Tap, authority: trustme.CA, bundle: str, exception: str
    ) -> None:
        env = {"REQUESTS_CA_BUNDLE": bundle, "NO_PROXY": exception}
        with serving(authority.issue_cert("127.0.0.1")) as truto, serving() as proxy:
            run = read(tap, f"https://{truto.host}", HTTPS_PROXY=f"http://{proxy.host}", **env)
        assert (run.code, run.errors, len(run.records())) == (0, [], 1)
        assert proxy.seen == []

    def test_a_proxy_that_is_not_there(self, tap: Tap) -> None:
        proxy = f"http://127.0.0.1:{free_port()}"
        run = read(tap, "https://truto.example", HTTPS_PROXY=proxy)
        check_failure(run, "through the proxy: the connection was refused. Check the proxy")

    def test_a_proxy_that_wants_a_login(self, tap: Tap) -> None:
        with serving() as proxy:
            address = f"http://somebody:{PASSWORD}@{proxy.host}"
            run = read(tap, "https://truto.example", HTTPS_PROXY=address)
        check_failure(run, "through the proxy: it refused (HTTP 407). Check the proxy")
        assert PASSWORD not in run.stderr

    def test_a_proxy_of_an_unknown_kind(self, tap: Tap) -> None:
        run = read(tap, "https://truto.example", HTTPS_PROXY=f"socks5://{PASSWORD}@127.0.0.1:9")
        check_failure(run, "the proxy is of an unknown kind. Check the proxy")
        assert PASSWORD not in run.stderr

    def test_a_certificate_is_checked_behind_a_proxy(
        self, tap: Tap, authority: trustme.CA, bundle: str
    ) -> None:
        with serving(authority.issue_cert("else.example")) as truto, serving(upstream=truto) as one:
            env = {"REQUESTS_CA_BUNDLE": bundle, "HTTPS_PROXY": f"http://{one.host}"}
            run = read(tap, "https://truto.example", **env)
        check_failure(run, "certificate is not valid for 'truto.example')")
