"""Bytes on a socket, as no client library sends them: a head that is not right gets a 4xx, and never another answer."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import uvicorn

from recsys_lab.serving.app import create_app
from recsys_lab.serving.protocol import Protocol
from tests.serving.apps import Registry, bundle_of, settings_in, wait_until

KEY = "schlüssel"
HEAD = b"GET /v1/model HTTP/1.1\r\nHost: x\r\nX-API-Key: " + KEY.encode() + b"\r\n"
POST = (
    b"POST /v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: " + KEY.encode() + b"\r\n"
)
END = b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server with the replica's own protocol, in a thread."""
    folder = tmp_path_factory.mktemp("wire")
    (folder / "registry").mkdir()
    registry = Registry(folder / "registry")
    registry.add(bundle_of(), "champion")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys_lab.serving.model_store.version_of", registry.version_of)
        patch.setattr("recsys_lab.serving.model_store.fetch_bundle", registry.fetch_bundle)
        app = create_app(settings_in(folder, api_key=KEY))
        config = uvicorn.Config(app, port=0, http=Protocol, ws="none", log_config=None, server_header=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
        thread.start()
        wait_until(lambda: server.started and app.state.models.champion is not None)
        yield server.servers[0].sockets[0].getsockname()[1]
        server.should_exit = True
        thread.join(20)


def _send(port: int, data: bytes) -> bytes:
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, suppress(OSError):
        connection.sendall(data)  # the other side may close before it has read all
        while part := connection.recv(65_536):
            found += part
    return found


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + END, 200),
        (b"GET http://elsewhere/v1/model HTTP/1.1\r\nHost: x\r\n" + END, 401),  # no proxy, and no way round the key
        (b"GET //elsewhere/v1/model HTTP/1.1\r\nHost: x\r\n" + END, 404),
        (b"GET /v1/users/\xff\xfe/items HTTP/1.1\r\nHost: x\r\n" + END, 400),
        (b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n" + END, 400),
        (b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n" + END, 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n" + END, 404),
        (b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: x\r\n" + END, 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (HEAD.replace(KEY.encode(), KEY.encode("latin-1")) + END, 401),
        (HEAD.replace(KEY.encode(), b"\xff" * 5000) + END, 401),
        (HEAD + b"X-Null: a\x00b\r\n" + END, 400),
        (HEAD + b"Bad Name: x\r\n" + END, 400),
        (HEAD + b"X-Big: " + b"x" * 200_000 + b"\r\n" + END, 400),
        (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n" + END, 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n" + END + b"[]", 400),
        (POST + b"Content-Length: +2\r\n" + END + b"[]", 400),
        (POST + b"Content-Length: -2\r\n" + END + b"[]", 400),
        (POST + b"Content-Length: 0x2\r\n" + END + b"[]", 400),
        (POST + b"Content-Length: " + b"9" * 30 + b"\r\n" + END + b"[]", 400),
        (POST + b"Content-Length: 99999999\r\n" + END + b"[]", 413),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n" + END + b"0\r\n\r\n", 422),  # an empty body
        (POST + b"Transfer-Encoding: chunked, gzip\r\n" + END + b"0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: xchunked\r\n" + END + b"0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n" + END + b"zz\r\n[]\r\n0\r\n\r\n", 400),
        (
            POST
            + b"Transfer-Encoding: chunked\r\n"
            + END
            + b"f4240\r\n"
            + b" " * 1_000_000
            + b"\r\n1\r\n \r\n0\r\n\r\n",
            413,
        ),
    ],
)
def test_a_head_that_is_not_right(port: int, data: bytes, status: int) -> None:
    answer = _send(port, data)
    # a closed connection may take the answer with it where more was sent than is read
    assert _status(answer) in ({status, 0} if len(data) > 100_000 else {status}), answer[:300]
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert b"Traceback" not in answer
    assert _status(_send(port, HEAD + END)) == 200


def test_a_second_request_is_not_smuggled_in_a_body(port: int) -> None:
    """With both lengths the chunks count; what stands in them is no request."""
    hidden = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    chunk = f"{len(hidden):x}\r\n".encode() + hidden + b"\r\n0\r\n\r\n"
    answer = _send(port, POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n" + END + chunk)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert b"alive" not in answer
    answer = _send(port, POST + f"Content-Length: {len(hidden)}\r\n".encode() + END + hidden)
    assert _status(answer) == 422
    assert b"alive" not in answer


@pytest.mark.parametrize(
    "given", [b"good-id\rSet-Cookie: a=b", b"good-id\x0bSet-Cookie: a=b", b"good-id\xe2\x80\xa8x", b"x" * 101]
)
def test_no_header_comes_out_of_a_request_id(port: int, given: bytes) -> None:
    answer = _send(port, HEAD + b"X-Request-ID: " + given + b"\r\n" + END)
    head = answer.split(b"\r\n\r\n")[0]
    assert b"set-cookie" not in head.lower()
    assert given not in answer
