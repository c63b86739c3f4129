"""uvicorn's protocol by httptools with two promises more: answers leave in one write, and heads have bounds.

uvicorn writes the head and the body of an answer one after the other, and uvloop sends both at once to the system. A
process that is killed between the two leaves a head without a body, and a proxy that has a byte of an answer can ask no
other replica. uvicorn's other parser, h11, bounds heads too, but takes half a second for a body in chunks of one byte.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 32_768  # bytes of a request beside its body, as many as the proxy takes (tune.bufsize)
MOST_HEADERS = 100  # as many as the proxy takes (tune.http.maxhdr)
MOST_PARTS = 1_200  # of a body: each chunk is one
MOST_WAITING = 16  # requests of one connection that wait for the answers before theirs
STEP = 8_192  # bytes that are read before they are counted


class JoinedWrites:
    """A transport that sends at the turn of the event loop what was written until then."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Hold ``data`` until the event loop turns."""
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)

    def close(self) -> None:
        """Send what is held, then close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        held, self._held = self._held, []
        if held and not self._transport.is_closing():
            self._transport.writelines(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """400 for a request of too many bytes or parts, and for too many requests at once on one connection."""

    _n_others = 0  # bytes of the request that are none of its body
    _n_parts = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Answer on ``transport``."""
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport, self.loop)))

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        for first in range(0, len(data), STEP):
            part = data[first : first + STEP]
            self._n_others += len(part)
            super().data_received(part)
            if self.transport.is_closing():
                return
            if self._n_others > MOST_HEAD:
                self.send_400_response(f"The lines and headers of a request may have {MOST_HEAD:,} bytes.")
                return

    # an error in what follows is answered with 400

    def on_message_begin(self) -> None:
        """Take the beginning of a request."""
        _require(len(self.pipeline) < MOST_WAITING)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        _require(len(self.headers) < MOST_HEADERS)
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._n_others -= len(body)
        self._n_parts += 1
        _require(self._n_parts <= MOST_PARTS)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a request."""
        self._n_others = self._n_parts = 0
        super().on_message_complete()


def _require(bounded: bool) -> None:
    if not bounded:
        raise ValueError
