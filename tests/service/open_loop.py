"""A process that asks for lists as fast as a closed loop of clients can, or at the times that a clock gives.

    python -m tests.service.open_loop HOST:PORT KEY --users users.json --seconds 5 --clients 16
    python -m tests.service.open_loop HOST:PORT KEY --users users.json --seconds 5 --rate 2000

Written on sockets, because a client that costs more than the server would measure itself. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter, deque
from urllib.parse import quote

HEAD = b"\r\n\r\n"


class Client(asyncio.Protocol):
    """One connection that is kept; one request at a time."""

    def __init__(self, run: Run) -> None:
        self.run, self.got, self.asked_at = run, b"", 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.run.free(self)

    def ask(self, request: bytes, due: float) -> None:
        """Send ``request``; its time counts from when it was ``due``."""
        assert self.transport is not None
        self.got, self.asked_at = b"", due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.got += data
        at = self.got.find(HEAD)
        if at < 0:
            return
        head = self.got[:at].lower()
        length = head.find(b"content-length: ")
        size = int(head[length + 16 :].split(b"\r\n", 1)[0])
        if len(self.got) < at + 4 + size:
            return
        by_proxy = b"x-request-id: " not in head
        self.run.answered(head[9:12].decode() + (" by the proxy" if by_proxy else ""), self.asked_at)
        if b"connection: close" not in head:
            self.run.free(self)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.got and self.asked_at:
            self.run.answered("none", self.asked_at)
        self.asked_at = 0.0


class Run:
    """What was asked and answered."""

    def __init__(self, address: str, key: str, users: list[str]) -> None:
        self.host, _, port = address.partition(":")
        self.port = int(port)
        head = f"HTTP/1.1\r\nHost: {address}\r\nX-API-Key: {key}\r\n\r\n"
        # lists that cost a replica about 2 ms: with cheap ones the proxy and this process are what is short of a core
        asked = "recommendations?k=100&explain=true"
        self.requests = [f"GET /v1/users/{quote(one)}/{asked} {head}".encode() for one in users]
        self.seconds: list[float] = []  # of each 200
        self.statuses: Counter[str] = Counter()
        self.late = 0.0  # the most that a request was sent after it was due
        self.n_asked = 0
        self.closed_until = 0.0  # of a closed loop: who is free asks at once until then
        self._free: deque[Client] = deque()

    def free(self, client: Client) -> None:
        """``client`` has its answer."""
        if time.monotonic() < self.closed_until:
            self._send(client, time.monotonic())
        else:
            self._free.append(client)

    def answered(self, status: str, asked_at: float) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        if status == "200":
            self.seconds.append(time.monotonic() - asked_at)

    def _send(self, client: Client, due: float) -> None:
        request = self.requests[self.n_asked % len(self.requests)]
        self.n_asked += 1
        client.ask(request, due)

    async def connect(self, n: int) -> None:
        """``n`` more connections."""
        loop = asyncio.get_running_loop()
        for _ in range(n):
            await loop.create_connection(lambda: Client(self), self.host, self.port)

    async def clock(self, rate: float, seconds: float) -> None:
        """Ask ``rate`` times a second, whether or not answers come; a request without a free connection opens one."""
        started = time.monotonic()
        n_due, n_total = 0, int(rate * seconds)
        opening: set[asyncio.Task[None]] = set()
        while n_due < n_total:
            now = time.monotonic()
            while n_due < n_total and started + n_due / rate <= now:
                if self._free:
                    due = started + n_due / rate
                    self.late = max(self.late, now - due)
                    self._send(self._free.popleft(), due)
                    n_due += 1
                else:
                    task = asyncio.ensure_future(self.connect(1))
                    opening.add(task)
                    task.add_done_callback(opening.discard)
                    break
            await asyncio.sleep(max(0.0, min(0.002, started + n_due / rate - time.monotonic())))

    async def drain(self, seconds: float = 15.0) -> None:
        """Wait for the answers that are missing."""
        until = time.monotonic() + seconds
        while sum(self.statuses.values()) < self.n_asked and time.monotonic() < until:
            await asyncio.sleep(0.01)


async def _main(given: argparse.Namespace) -> dict[str, object]:
    with open(given.users, encoding="utf-8") as file:
        run = Run(given.address, given.key, json.load(file))
    if given.clients:
        run.closed_until = time.monotonic() + given.seconds
        await run.connect(given.clients)
        await asyncio.sleep(given.seconds)
    else:
        await run.connect(given.connections)
        await run.clock(given.rate, given.seconds)
    cpu = time.process_time()
    await run.drain()
    ordered = sorted(run.seconds)
    share = {str(q): ordered[int(q * (len(ordered) - 1))] for q in (0.5, 0.99)} if ordered else {}
    return {
        "asked": run.n_asked,
        "statuses": dict(run.statuses),
        "good_per_second": len(ordered) / given.seconds,
        "seconds": share,
        "late": run.late,
        "cpu_share": cpu / given.seconds,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("key")
    parser.add_argument("--users", required=True)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--connections", type=int, default=64)
    print(json.dumps(asyncio.run(_main(parser.parse_args()))))
