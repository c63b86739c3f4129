"""A replica that is told to end is gone in time, and what it accepted is kept, whatever hangs."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from recsys_lab import load_dataset, split
from recsys_lab.serving import model_store
from recsys_lab.serving.bundle import make_bundle
from recsys_lab.serving.draining import CLOSING, GRACE, REST
from recsys_lab.serving.protocol import MOST_WAITING
from tests.service.conftest import NAME, Deployment, register
from tests.service.faulty import HANG, Hanging
from tests.service.parts import KEY, Part, Replica, ask, wait_for

pytestmark = pytest.mark.service
DRAIN = 1
AT_MOST = DRAIN + GRACE + CLOSING + REST


@contextmanager
def _frozen(part: Part) -> Iterator[None]:
    """No process of the part runs; the kernel still takes connections and bytes for it."""
    assert part.process is not None
    parent = psutil.Process(part.process.pid)
    stopped = [parent, *parent.children(recursive=True)]
    for one in stopped:
        one.suspend()
    try:
        yield
    finally:
        for one in stopped:
            with suppress(psutil.NoSuchProcess):
                one.resume()


@pytest.fixture
def replica(deployment: Deployment, tmp_path: Path) -> Iterator[Replica]:
    """A replica with a model that hangs when it is told to."""
    parts = split(load_dataset("synthetic-small"), "temporal_user", test=0.2)
    bundle = make_bundle(Hanging().fit(parts.train), parts.history)
    version = register(deployment.registry, tmp_path / "hanging", bundle, ("tests.service.faulty",))
    model_store.set_alias(deployment.registry, NAME, "hanging", version.number)
    changes = {"RECSYS_LAB_ALIAS": "hanging", "RECSYS_LAB_DRAIN_SECONDS": str(DRAIN), HANG: str(tmp_path / "hang")}
    made = Replica(tmp_path / "replica", {**deployment.environ, **changes})
    made.start()
    try:
        wait_for(made.is_ready, f"{made.log} ready")
        yield made
    finally:
        made.end(signal.SIGKILL)


def _reads_slowly(replica: Replica) -> socket.socket:
    """A client that has asked for more than the kernel takes, and reads none of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", replica.port))
    asked = f"GET /openapi.json HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n\r\n".encode()
    for _ in range(60):
        client.sendall(asked * (MOST_WAITING // 2))
        time.sleep(0.08)
    return client


def _ask_in_vain(url: str) -> None:
    with suppress(OSError):
        ask(url)


@pytest.mark.parametrize("where", ["a thread", "the event loop"])
def test_the_end_comes_in_time(deployment: Deployment, replica: Replica, tmp_path: Path, where: str) -> None:
    user, item = deployment.users[0], deployment.items[0]
    url = f"{replica.url}/v1/users/{user}/recommendations"
    assert ask(url).status == 200
    events = [{"event_id": f"{where} {n}", "user_id": user, "item_id": item, "event": "view"} for n in range(50)]
    with ExitStack() as hanging:
        hanging.enter_context(_frozen(deployment.database))
        hanging.enter_context(_frozen(deployment.mlflow))
        time.sleep(1)  # the watcher looks every half second
        assert ask(f"{replica.url}/v1/feedback", events).status == 202
        hanging.enter_context(_reads_slowly(replica))
        (tmp_path / "hang").touch()
        asked = f"{url}?explain={where == 'a thread'}"  # reasons are computed in a thread
        threading.Thread(target=_ask_in_vain, args=(asked,), daemon=True).start()
        time.sleep(0.5)
        process = replica.process
        assert process is not None
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        assert GRACE < time.monotonic() - told < AT_MOST + 1
        assert code == 0
    kept = (tmp_path / "replica" / "bundles" / "spool").glob("*.jsonl")
    text = "".join(file.read_text() for file in kept)
    assert all(one["event_id"] in text for one in events)
