"""No client holds up the others: what a request costs the event loop of a real process, and what others see of it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from recsys_lab.serving.settings import MAX_BODY, MAX_EVENTS, MAX_ITEMS
from tests.serving.apps import bundle_of
from tests.serving.processes import Process, served

pytestmark = [
    pytest.mark.cli,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says what a thread used"),
]
USER, ITEMS = str(bundle_of().user_ids[3]), [str(item) for item in bundle_of().item_ids]
FOLD_IN, FEEDBACK, LIST = "/v1/recommendations", "/v1/feedback", f"/v1/users/{USER}/recommendations"
END = "Connection: close\r\n\r\n"
OLD_BODY = 1_000_000  # bytes; the attack that was found
ATTACKER = """
import socket, sys
data = sys.stdin.buffer.read()
while True:
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30) as connection:
            connection.sendall(data)
            while connection.recv(65_536):
                pass
    except OSError:
        pass
"""


def _get(path: str, extra: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{extra}{END}".encode()


def _post(path: str, body: Any) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(data)}\r\n{END}".encode() + data


def _full(unit: Callable[[int], bytes], first: bytes = b"[", last: bytes = b"]", size: int = MAX_BODY) -> bytes:
    """As many units as a body may have."""
    n = (size - len(first) - len(last)) // (len(unit(10**6)) + 1)
    return first + b",".join(unit(10**6 + one) for one in range(n)) + last


def _events(n: int) -> list[dict[str, str]]:
    names = ("event_id", "user_id", "item_id")
    return [{**{name: str(uuid.uuid4()) for name in names}, "event": "dislike"} for _ in range(n)]


HOSTILE = {
    "unknown fields, 1 MB": _post(FOLD_IN, _full(lambda n: b'"%d": 1' % n, b"{", b"}", OLD_BODY)),
    "unknown fields": _post(FOLD_IN, _full(lambda n: b'"%d":1' % n, b"{", b"}")),
    "fewer unknown fields": _post(FOLD_IN, _full(lambda n: b'"%d":1' % n, b"{", b"}", 140_000)),
    "unknown fields in items": _post(
        FOLD_IN, b'{"items":[' + b",".join([_full(lambda n: b'"%d":1' % n, b"{", b"}", 200)] * 400) + b"]}"
    ),
    "unknown fields in events": _post(FEEDBACK, _full(lambda n: _full(lambda m: b'"%d":1' % m, b"{", b"}", 200))),
    "empty events": _post(FEEDBACK, [{}] * MAX_EVENTS),
    "bad events": _post(FEEDBACK, [{"event_id": "", "user_id": "\0", "item_id": 1.5, "event": "x"}] * MAX_EVENTS),
    "numbers for events": _post(FEEDBACK, _full(lambda n: b"1")),
    "numbers for items": _post(FOLD_IN, _full(lambda n: b"1", b'{"items":[', b"]}")),
    "numbers to exclude": _post(FOLD_IN, _full(lambda n: b"1", b'{"items":[{"item_id":1}],"exclude":[', b"]}")),
    "lists for events": _post(FEEDBACK, _full(lambda n: b"[]")),
    "objects for events": _post(FEEDBACK, _full(lambda n: b"{}")),
    "texts": _post(FEEDBACK, _full(lambda n: b'""')),
    "deep lists": _post(FEEDBACK, _full(lambda n: b"[" * 190 + b"]" * 190)),
    "a deep list": _post(FEEDBACK, b"[" * MAX_BODY),
    "deep objects": _post(FOLD_IN, b'{"items":' * (MAX_BODY // 10)),
    "long numbers": _post(FOLD_IN, _full(lambda n: b'{"item_id":' + b"9" * 4000 + b"}", b'{"items":[', b"]}")),
    "a huge number": _post(FOLD_IN, b'{"items":[{"item_id":' + b"9" * (MAX_BODY - 100) + b"}]}"),
    "a huge fraction": _post(FOLD_IN, b'{"items":[{"item_id":0.' + b"9" * (MAX_BODY - 100) + b"}]}"),
    "a huge text": _post(FOLD_IN, b'{"items":[{"item_id":"' + b"x" * (MAX_BODY - 100) + b'"}]}'),
    "a huge name": _post(FOLD_IN, b'{"items":[{"item_id":1}],"' + b"x" * (MAX_BODY - 100) + b'":1}'),
    "escapes": _post(FOLD_IN, b'{"items":[{"item_id":"' + b"\\u00e9" * (MAX_BODY // 7) + b'"}]}'),
    "spaces": _post(FEEDBACK, b"[" + b" " * (MAX_BODY - 2) + b"]"),
    "unknown parameters": _get(f"{LIST}?" + "&".join(map(str, range(5000)))),
    "parameters again and again": _get(f"{LIST}?" + "exclude=1&" * 3000),
    "ampersands": _get(f"{LIST}?" + "&" * 30_000),
    "escapes in a query": _get(f"{LIST}?q=" + "%41" * 10_000),
    "escapes in a path": _get("/" + "%41" * 10_000),
    "commas": _get(f"{LIST}?exclude=" + "," * 30_000),
    "headers": _get("/healthz", "a:\r\n" * 60_000),
    "a huge header": _get("/healthz", f"a: {'x' * 250_000}\r\n"),
    "ranges": _get("/static/page.js", f"Range: bytes={','.join(f'{n}-{n}' for n in range(0, 9000, 2))}\r\n"),
    "steps up": _get("/static/" + "../a/" * 6000),
    "requests at once": _get("/healthz").replace(END.encode(), b"\r\n") * 6000,
    "chunks of a byte": (
        f"POST {FEEDBACK} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{END}".encode()
        + b"1\r\n \r\n" * MAX_BODY
    ),
}
LARGE = {
    "events": _post(FEEDBACK, _events(MAX_EVENTS)),
    "items": _post(FOLD_IN, {"items": [{"item_id": item} for item in ITEMS[:MAX_ITEMS]], "k": 100}),
    "reasons": _get(f"{LIST}?k=100&explain=true"),
    "users": _get("/v1/users?limit=100"),
    "found users": _get("/v1/users?limit=100&q=1"),
    "found items": _get("/v1/items?limit=100&q=e"),
}


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with served(bundle_of(), tmp_path_factory.mktemp("cost")) as process:
        yield process


def _cost(replica: Process, data: bytes) -> float:
    """Milliseconds of the event loop's thread for one request, the least of five."""
    found = []
    for _ in range(5):
        before = replica.loop_seconds()
        answer = replica.ask(data)
        time.sleep(0.02)
        found.append((replica.loop_seconds() - before) * 1e3)
        assert answer == b"" or int(answer.split(b" ")[1]) in (200, 202, 400, 404, 413, 422), answer[:200]
    return min(found)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_refused_costs_little(replica: Process, name: str) -> None:
    assert _cost(replica, HOSTILE[name]) < 10  # most need 1.5, and the dearest 4.6, on the machine of the docs


def test_the_largest_requests_that_are_taken(replica: Process) -> None:
    for name, data in LARGE.items():
        assert replica.ask(data).split(b" ")[1] in (b"200", b"202"), name
        assert _cost(replica, data) < 15, name


def _p50(replica: Process, seconds: float = 1.0) -> float:
    """Milliseconds of a list, of half of them, for a client that asks for one after the other."""
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        assert b"HTTP/1.1 200" in replica.ask(_get(f"{LIST}?k=10"))
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


@pytest.mark.parametrize("name", ["unknown fields, 1 MB", "bad events", "deep lists", "events", "reasons", "headers"])
def test_two_attackers_are_not_felt(replica: Process, name: str) -> None:
    alone = _p50(replica)
    command = [sys.executable, "-c", ATTACKER, str(replica.port)]
    attackers = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(2)]
    try:
        for one in attackers:
            assert one.stdin is not None
            one.stdin.write((HOSTILE | LARGE)[name])
            one.stdin.close()
        time.sleep(0.3)
        attacked = _p50(replica)
    finally:
        for one in attackers:
            one.kill()
            one.wait()
    assert attacked < max(5 * alone, 8), (alone, attacked)
