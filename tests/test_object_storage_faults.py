"""Object storage that throttles, errs, hangs up or is slow: asked again some times, and then one line. No bit differs.

A proxy on loopback stands before the server, and does to some requests what a busy cloud does.
"""

import http.client
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import toy
from compare import differences

import engine
from engine import StoreError
from engine.store import patience
from engine.store.integrity import Problem, verify
from engine.store.lock import holder
from engine.store.storage import storage_at

pytestmark = pytest.mark.slow  # hundreds of requests through a proxy in Python
SWEEP = toy.small.replace(axes={"offset": (0.0, 1.0)}, realizations=24)
_BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_BROKEN = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"


class Proxy:
    """Hands requests on; `fault(number, method)` says what happens to one: '', 'busy', 'broken', 'lost', 'hang up'."""

    def __init__(self, server: str) -> None:
        self.server, self.fault = urlsplit(server).netloc, lambda number, method: ""
        self.count = self.failed = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # 40 ms a request

            def handle_any(self) -> None:
                proxy.handle(self)

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.count += 1
        fault = self.fault(self.count, request.command)
        self.failed += bool(fault)
        if fault in ("busy", "broken"):
            self.answer(request, 503 if fault == "busy" else 500, {}, _BUSY if fault == "busy" else _BROKEN)
            return
        if fault == "hang up":
            request.close_connection = True
            return
        onward = http.client.HTTPConnection(self.server)
        onward.request(request.command, request.path, body, dict(request.headers))
        found = onward.getresponse()
        data = found.read()
        onward.close()
        if fault == "lost":  # done, and nobody is told
            request.close_connection = True
            return
        self.answer(request, found.status, dict(found.getheaders()), data)

    @staticmethod
    def answer(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], data: bytes) -> None:
        request.send_response(status)
        length = headers.get("Content-Length", str(len(data))) if request.command == "HEAD" else str(len(data))
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                request.send_header(name, value)
        request.send_header("Content-Length", length)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(data)


@pytest.fixture
def proxy(s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    import os

    import s3fs

    made = Proxy(os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setattr(s3fs.S3FileSystem, "cachable", False)
    monkeypatch.setattr(patience, "_PAUSES_SECONDS", (0.01, 0.01, 0.01))
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def url(s3: str) -> str:
    return f"{s3}/{uuid.uuid4().hex}/toy.zarr"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("local") / "toy.zarr"
    engine.run(SWEEP, path, serial=True)
    return path


def one_in(rate: int, kinds: tuple[str, ...], seed: int) -> Callable[[int, str], str]:
    choose = random.Random(seed)
    return lambda number, method: choose.choice(kinds) if choose.randrange(rate) == 0 else ""


@pytest.mark.parametrize("kind", ["busy", "broken", "hang up", "lost"])
def test_one_request_in_ten_fails_and_nothing_differs(proxy: Proxy, url: str, local: Path, kind: str) -> None:
    proxy.fault = one_in(10, (kind,), seed=3)
    assert engine.run(SWEEP, url, serial=True).load().complete.all()
    assert not [item for item in verify(url) if isinstance(item, Problem)]
    proxy.fault = lambda number, method: ""
    assert proxy.failed > 10
    assert differences(url, local) == []
    assert holder(storage_at(url)) is None


@pytest.mark.parametrize("kind", ["busy", "broken", "hang up"])
def test_storage_that_stays_away_is_one_line_and_the_same_again_continues(
    proxy: Proxy, url: str, local: Path, kind: str
) -> None:
    reports = engine.iterate(SWEEP, url, serial=True)
    for report in reports:
        if report.tasks_done == 2:
            proxy.fault = lambda number, method: kind
            break
    with pytest.raises((engine.TaskError, StoreError), match="cannot (write to|lock) the store s3://") as caught:
        list(reports)
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="cannot open the store s3://") as caught:
        engine.open_results(url)
    assert "\n" not in str(caught.value)
    proxy.fault = lambda number, method: ""
    for name in storage_at(url).names():
        if name.startswith("lock."):  # which could not be removed; this process would be taken for alive
            storage_at(url).delete(name)
    engine.run(SWEEP, url, serial=True)
    assert differences(url, local) == []


def test_a_slow_one_is_waited_for(proxy: Proxy, url: str, local: Path) -> None:
    def slow(number: int, method: str) -> str:
        time.sleep(0.3 if number % 20 == 0 else 0.0)
        return ""

    proxy.fault = slow
    engine.run(SWEEP, url, serial=True)
    proxy.fault = lambda number, method: ""
    assert differences(url, local) == []
