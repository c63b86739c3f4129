"""One write for the head and the body of an answer, so that a process that is killed leaves a whole answer or none.

uvicorn writes them one after the other. A proxy that has no byte of an answer asks another replica; with a head and no
body it can only pass the damage on.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 65_536  # bytes of an answer that are held, and of a request beside its body


class JoinedWrites:
    """A transport that holds what is written until it is flushed, closed or full, or the event loop turns."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []
        self._n_bytes = 0

    def write(self, data: bytes) -> None:
        """Hold ``data``; a stream whose writer waits for its next part is sent at the turn of the loop."""
        if not data:
            return
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(bytes(data))
        self._n_bytes += len(data)
        if self._n_bytes >= MOST:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            held, self._held, self._n_bytes = b"".join(self._held), [], 0
            self._transport.write(held)

    def close(self) -> None:
        """Write what is held, then close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol with joined writes: the end of an answer sends all of it.

    By httptools, which takes half the time of h11; unlike that it takes heads of any size, so they are bounded here.
    """

    _joined: JoinedWrites
    _n_others = 0  # bytes of the request that are none of its body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Answer on ``transport``."""
        self._joined = JoinedWrites(transport, self.loop)
        super().connection_made(cast(asyncio.Transport, self._joined))

    def data_received(self, data: bytes) -> None:
        """Read what came; 400 for a request that is not whole after 64 KiB of lines and headers."""
        self._n_others += len(data)
        super().data_received(data)
        if self._n_others > MOST and not self.transport.is_closing():
            self.send_400_response(f"The lines and headers of a request may have {MOST:,} bytes.")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._n_others -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a request."""
        self._n_others = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Send the answer; then the next request of the connection may be read."""
        self._joined.flush()
        super().on_response_complete()
