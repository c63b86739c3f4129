"""A client that costs little: requests made beforehand, sent on connections that stay open."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

Requests = list[bytes]


class Connection:
    """One kept connection to 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        """The body of the answer; RuntimeError when its status is not 200."""
        self._socket.sendall(request)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._read()
        head, _, body = got.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the server answered {head.splitlines()[0].decode()}: {body[:200]!r}")
        length = _length(head)
        while len(body) < length:
            body += self._read()
        return body

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _read(self) -> bytes:
        found = self._socket.recv(65536)
        if not found:
            raise RuntimeError("the server closed the connection")
        return found


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError("the answer has no Content-Length")


def get(path: str) -> bytes:
    """A GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(path: str, body: Any) -> bytes:
    """A POST request with a JSON body."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return f"{head}\r\n\r\n".encode() + data


def one_after_another(port: int, requests: Requests) -> list[float]:
    """Seconds of each request on one connection."""
    connection = Connection(port)
    times = []
    for request in requests:
        started = time.perf_counter()
        connection.ask(request)
        times.append(time.perf_counter() - started)
    connection.close()
    return times


def side_by_side(port: int, requests: Requests, n_connections: int) -> float:
    """Requests a second when ``n_connections`` ask at a time, each its share of ``requests``."""
    failed: list[Exception] = []

    def work(share: Requests) -> None:
        try:
            one_after_another(port, share)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(requests[n::n_connections],)) for n in range(n_connections)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return len(requests) / (time.perf_counter() - started)
