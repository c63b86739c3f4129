"""An end that nobody notices, and that comes: a replica that is told to end says so to its proxy first, answers on for
a while, and is gone at a time that is known from the beginning, whatever hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from time import monotonic
from types import FrameType

import uvicorn

GRACE = 10  # seconds that open requests have after draining
CLOSING = 5.0  # then seconds that the queue has for the database
REST = 1.0  # then seconds for all else


class DrainingServer(uvicorn.Server):
    """uvicorn's server that answers on for ``seconds`` after SIGTERM, once ``begin`` was called.

    Ctrl-C does not wait: a person has no proxy that must hear of it. ``told`` gets the seconds at each signal.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        seconds: float,
        begin: Callable[[], None],
        told: Callable[[float], None] = lambda _: None,
    ) -> None:
        super().__init__(config)
        self._seconds, self._begin, self._told = seconds, begin, told

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if sig == signal.SIGINT:
            self._seconds = 0.0
        self._told(self._seconds)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close the connections and end the app."""
        self._begin()
        # each answer is now the last of its connection: whoever keeps one opens the next somewhere else
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        until = monotonic() + self._seconds
        while monotonic() < until and self._seconds:  # a Ctrl-C meanwhile sets it to 0
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)


def leave_after(seconds: float, end: Callable[[], None], code: Callable[[], int]) -> None:
    """End this process with ``code`` when ``seconds`` of draining, and those above, are over, unless it has ended.

    ``end`` is called in time to write what was accepted, which the event loop may be too busy for.
    """

    def leave() -> None:
        time.sleep(seconds + GRACE)
        last = threading.Thread(target=end, daemon=True)
        last.start()
        last.join(CLOSING)
        time.sleep(REST)
        os._exit(code())

    threading.Thread(target=leave, name="leave", daemon=True).start()
