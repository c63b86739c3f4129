"""Answers leave in one write and heads are bounded, over real sockets; what HTTP says of connections holds."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from recsys_lab.serving.protocol import MOST_HEAD, MOST_WAITING, JoinedWrites, Protocol
from tests.serving.apps import wait_until

LARGE = 300_000  # bytes
PIECES = [b"%06d" % n * 4096 for n in range(40)]  # 1 MB in 40 parts
GOES_ON = threading.Event()


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Answers of each kind, by path."""
    assert scope["type"] == "http"

    async def start(status: int = 200, **headers: str) -> None:
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": named})

    async def body(data: bytes, more: bool = False) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": more})

    path = scope["path"]
    if path == "/small":
        await start(content_length="1000")
        await body(b"s" * 1000)
    elif path == "/large":
        await start(content_length=str(LARGE))
        await body(b"l" * LARGE)
    elif path == "/close":
        await start(content_length="5", connection="close")
        await body(b"close")
    elif path == "/stream":
        await start(content_length=str(sum(map(len, PIECES))))
        for piece in PIECES:
            await body(piece, more=True)
        await body(b"")
    elif path == "/waits":
        await start(content_length="10")
        await body(b"first", more=True)
        await asyncio.to_thread(GOES_ON.wait, 20)
        await body(b"later")
    elif path == "/echo":
        got = b""
        while True:
            message = await receive()
            got += message["body"]
            if not message["more_body"]:
                break
        await start(content_length=str(len(got)))
        await body(got)
    elif path == "/half":
        await start(content_length="10")
        await body(b"half", more=True)
        raise RuntimeError("a bug in the middle of an answer")
    else:
        raise RuntimeError("a bug before the answer")


WRITES: list[bytes] = []  # what was handed to the system, a call each


class _Noted:
    """A transport that notes its writes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        WRITES.append(bytes(data))
        self._transport.write(data)

    def writelines(self, parts: list[bytes]) -> None:
        WRITES.append(b"".join(parts))
        self._transport.writelines(parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _NotedProtocol(Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Noted(transport))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    config = uvicorn.Config(_app, port=0, http=_NotedProtocol, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(20)


def _asked(path: str, method: str = "GET", extra: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: here\r\n{extra}\r\n".encode()


def _all(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_one_write_holds_the_head_and_the_body(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        WRITES.clear()
        for n in range(300):  # on one connection that is kept
            connection.sendall(_asked("/small"))
            got = b""
            while not got.endswith(b"s" * 1000):
                got += connection.recv(65_536)
            assert got == b"".join(WRITES[n:]), n
    assert len(WRITES) == 300


def test_the_answer_to_head_has_no_body_and_the_connection_goes_on(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for _ in range(2):
            connection.sendall(_asked("/small", "HEAD"))
            got = connection.recv(65_536)
            assert b"content-length: 1000\r\n" in got
            assert got.endswith(b"\r\n\r\n")


def test_requests_sent_at_once_are_answered_in_their_order(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        body = "Content-Length: 3\r\n\r\n"
        connection.sendall(
            _asked("/small") + _asked("/echo", "POST", body)[:-2] + b"abc" + _asked("/small") + _asked("/close")
        )
        got = _all(connection)
    assert got.count(b"HTTP/1.1 200") == 4
    first, second, third, fourth = got.split(b"HTTP/1.1 200")[1:]
    assert first.endswith(b"s" * 1000)
    assert second.endswith(b"\r\n\r\nabc")
    assert third.endswith(b"s" * 1000)
    assert fourth.endswith(b"\r\n\r\nclose")


def test_bodies_of_any_size_arrive_whole(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for path, expected in (("/large", b"l" * LARGE), ("/stream", b"".join(PIECES)), ("/small", b"s" * 1000)):
        connection.request("GET", path)
        assert connection.getresponse().read() == expected, path
    sent = b"".join(PIECES)
    connection.request("POST", "/echo", sent, {"Expect": "100-continue"})
    assert connection.getresponse().read() == sent
    connection.close()


def test_a_reader_that_is_slow_holds_the_writer_up_and_gets_all(port: int) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", port))
        connection.sendall(_asked("/stream", extra="Connection: close\r\n"))
        threading.Event().wait(0.3)
        assert _all(connection).endswith(b"".join(PIECES))


def test_a_stream_does_not_wait_for_its_end(port: int) -> None:
    GOES_ON.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(_asked("/waits"))
        assert connection.recv(65_536).endswith(b"\r\n\r\nfirst")
        GOES_ON.set()
        assert connection.recv(65_536) == b"later"


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (_asked("/bug"), b"500", b"Internal Server Error"),
        (b"no HTTP at all\r\n\r\n", b"400", b"Invalid HTTP request received."),
        (_asked("/half"), b"200", b"half"),
        (_asked("/close"), b"200", b"close"),
        (_asked("/small", extra="Connection: close\r\n"), b"200", b"s" * 1000),
        (b"GET /small HTTP/1.0\r\n\r\n", b"200", b"s" * 1000),
    ],
)
def test_what_is_written_before_a_close_arrives(port: int, request_: bytes, status: bytes, body: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request_)
        got = _all(connection)
    assert got.startswith(b"HTTP/1.1 " + status)
    assert body in got.partition(b"\r\n\r\n")[2]


class _Wire:
    """Where a transport writes to."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def writelines(self, data: list[bytes]) -> None:
        assert not self.closed
        self.written.append(b"".join(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def test_what_is_written_goes_out_when_the_loop_turns_or_the_connection_closes() -> None:
    wire = _Wire()

    async def write() -> None:
        joined = JoinedWrites(wire, asyncio.get_running_loop())  # type: ignore[arg-type]
        joined.write(b"head")
        joined.write(b"body")
        assert wire.written == []
        await asyncio.sleep(0)
        assert wire.written == [b"headbody"]
        joined.write(b"last")
        joined.close()
        assert wire.written[1:] == [b"last"]
        assert joined.is_closing()
        joined.write(b"too late")
        await asyncio.sleep(0)
        assert wire.written[2:] == []

    asyncio.run(write())
    assert wire.closed


@pytest.mark.parametrize(
    "request_",
    [
        _asked("/small", extra=f"X-Large: {'x' * 400_000}\r\n"),
        f"GET /{'x' * 400_000}".encode(),
        b"GET /small HTTP/1.1\r\n" + b"X: y\r\n" * 70_000 + b"\r\n",
        _asked("/echo", "POST", "Transfer-Encoding: chunked\r\n") + b"1\r\nx\r\n0\r\n" + b"X: y\r\n" * 70_000 + b"\r\n",
    ],
)
def test_what_is_none_of_the_body_is_bounded(port: int, request_: bytes) -> None:
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, suppress(ConnectionError):
        connection.sendall(request_)
        got = connection.recv(65_536)
    assert got == b"" or got.startswith(b"HTTP/1.1 400")  # the refusal is lost where the system resets first


def test_requests_may_have_large_heads_one_after_the_other(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for _ in range(4):
            connection.sendall(_asked("/small", extra=f"X-Large: {'x' * (MOST_HEAD - 100)}\r\n"))
            assert connection.recv(65_536).endswith(b"s" * 1000)


def test_a_connection_may_have_some_requests_at_once_and_no_more(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(_asked("/small") * MOST_WAITING + _asked("/close"))
        assert _all(connection).count(b"HTTP/1.1 200") == MOST_WAITING + 1
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, suppress(ConnectionError):
        connection.sendall(_asked("/small") * 5000)
        assert _all(connection).count(b"HTTP/1.1 200") <= MOST_WAITING + 1
