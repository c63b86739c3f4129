"""The proxy's own errors are problem+json, and a client that is slow is not taken for a replica that is."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.service.conftest import Deployment
from tests.service.parts import KEY, Proxy, wait_for, works

pytestmark = pytest.mark.service
HTML = {"cache-control": "no-cache", "connection": "close", "content-type": "text/html"}
READY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _sent(url: str, *parts: bytes, pause: float = 0.0) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what comes for these bytes."""
    with socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0), timeout=30) as client:
        for part in parts:
            client.sendall(part)
            time.sleep(pause)
        got = b""
        while b"\r\n\r\n" not in got or len(got.partition(b"\r\n\r\n")[2]) < int(_length(got)):
            more = client.recv(65_536)
            assert more, f"closed after {got!r}"
            got += more
    head, _, body = got.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


def _length(got: bytes) -> str:
    found = re.search(rb"(?i)content-length: (\d+)", got)
    return found.group(1).decode() if found else "0"


@contextmanager
def _server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that is ready and does ``answer`` on every other connection."""

    def talk(client: socket.socket) -> None:
        with client:
            if b"/readyz" in client.recv(65_536):
                client.sendall(READY)
            else:
                answer(client)

    def listen() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(client,), daemon=True).start()

    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)


@contextmanager
def _before(folder: Path, answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a proxy before such a server."""
    with _server(answer) as port:
        proxy = Proxy(folder, [port])
        try:
            proxy.start()
            wait_for(lambda: works(f"{proxy.url}/readyz"), "the proxy's server")
            yield proxy.url
        finally:
            proxy.end()


GET = b"GET /v1/model HTTP/1.1\r\nHost: x\r\nX-API-Key: " + KEY.encode() + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "parts", "answer"),
    [
        (404, [b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"], None),
        (408, [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"], None),  # and nothing more
        (502, [GET], lambda client: client.sendall(b"this is not HTTP\r\n\r\n")),
        (502, [GET], lambda client: None),  # it closes
        (504, [GET], lambda client: time.sleep(10)),
    ],
)
def test_an_error_of_the_proxy_is_a_problem(
    tmp_path: Path, status: int, parts: list[bytes], answer: Callable[[socket.socket], None] | None
) -> None:
    with _before(tmp_path, answer or (lambda client: client.sendall(READY))) as url:
        got, headers, body = _sent(url, *parts)
        assert (got, headers["content-type"]) == (status, "application/problem+json")
        assert json.loads(body)["status"] == status
        assert ("retry-after" in headers) == (status >= 500)


def test_bytes_that_are_no_request_get_no_replica(deployment: Deployment) -> None:
    """HAProxy answers these before any rule is read, with a page of its own."""
    twice = b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
    for sent in (b"this is not HTTP\r\n\r\n", twice):
        assert _sent(deployment.url, sent)[:2] == (400, {"content-length": "90", **HTML})
    assert _sent(deployment.url, b"GET / HTTP/1.1\r\nHost: x\r\n")[0] == 408


def test_a_client_that_sends_slowly_is_waited_for(deployment: Deployment) -> None:
    """Its 400 KB take twice as long as a replica may keep the proxy waiting."""
    body = b"[" + b" " * 400_000 + b"]"
    head = f"POST /v1/feedback HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n"
    parts = [f"{head}Content-Length: {len(body)}\r\n\r\n".encode()]
    parts += [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
    status, _, answer = _sent(deployment.url, *parts, pause=0.5)
    assert (status, json.loads(answer)["status"]) == (422, 422)  # no event in it: the replica read all of it
