"""An end that nobody notices: a replica that is told to end says so to its proxy first, and answers on meanwhile."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from time import monotonic
from types import FrameType

import uvicorn


class DrainingServer(uvicorn.Server):
    """uvicorn's server that answers on for ``seconds`` after SIGTERM, once ``begin`` was called.

    Ctrl-C does not wait: a person has no proxy that must hear of it.
    """

    def __init__(self, config: uvicorn.Config, seconds: float, begin: Callable[[], None]) -> None:
        super().__init__(config)
        self._seconds, self._begin = seconds, begin

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if sig == signal.SIGINT:
            self._seconds = 0.0
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
