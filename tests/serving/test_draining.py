"""A replica that is told to end: not ready at once, answering on for a while, with answers that close connections."""

from __future__ import annotations

import http.client
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
import uvicorn
from fastapi import FastAPI

from recsys_lab.serving.app import create_app
from recsys_lab.serving.draining import DrainingServer
from recsys_lab.serving.protocol import Protocol
from tests.serving.apps import Registry, bundle_of, settings_in, wait_until

LIST = f"/v1/users/{bundle_of().user_ids[3]}/recommendations"


@contextmanager
def _served(app: FastAPI, seconds: float) -> Iterator[tuple[DrainingServer, http.client.HTTPConnection]]:
    """The app behind a real socket, and a connection to it that is kept."""
    config = uvicorn.Config(app, port=0, http=Protocol, lifespan="on", log_config=None, access_log=False)
    server = DrainingServer(config, seconds, app.state.service.drain)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    connection = http.client.HTTPConnection(*server.servers[0].sockets[0].getsockname()[:2], timeout=10)
    try:
        wait_until(lambda: _ask(connection, "/readyz")[0] == 200)
        yield server, connection
    finally:
        server.handle_exit(signal.SIGINT, None)
        thread.join(30)
        connection.close()
        assert not thread.is_alive()


def _ask(connection: http.client.HTTPConnection, path: str) -> tuple[int, str | None, str | None]:
    """Status, Connection and Retry-After of an answer."""
    connection.request("GET", path)
    answer = connection.getresponse()
    json.loads(answer.read())
    return answer.status, answer.getheader("connection"), answer.getheader("retry-after")


@pytest.fixture
def app(registry: Registry, tmp_path: Path) -> FastAPI:
    registry.add(bundle_of(), "champion")
    return create_app(settings_in(tmp_path))


def test_sigterm_is_told_to_the_proxy_before_anything_ends(app: FastAPI) -> None:
    with _served(app, 30.0) as (server, connection):
        assert _ask(connection, LIST) == (200, None, None)
        server.handle_exit(signal.SIGTERM, None)
        wait_until(lambda: app.state.service.draining)
        for _ in range(3):  # new connections are taken too
            assert _ask(connection, "/readyz") == (503, "close", "1")
            assert _ask(connection, LIST) == (200, "close", None)
        assert _ask(connection, "/healthz") == (200, "close", None)
        started = monotonic()
    assert monotonic() - started < 20  # Ctrl-C cuts the wait short


def test_the_end_comes_when_the_time_is_over(app: FastAPI) -> None:
    with _served(app, 0.5) as (server, connection):
        started = monotonic()
        server.handle_exit(signal.SIGTERM, None)
        address = (connection.host, connection.port)
        wait_until(lambda: not server.servers[0].is_serving())
        assert monotonic() - started >= 0.5
        with pytest.raises(ConnectionRefusedError):
            http.client.HTTPConnection(*address, timeout=5).request("GET", "/healthz")


def test_ctrl_c_waits_for_nothing(app: FastAPI) -> None:
    with _served(app, 60.0) as (server, _):
        started = monotonic()
        server.handle_exit(signal.SIGINT, None)
        wait_until(lambda: not server.servers[0].is_serving())
        assert monotonic() - started < 20
