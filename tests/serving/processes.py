"""The service as a process of its own, started as a user starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from recsys_lab.serving.bundle import Bundle
from recsys_lab.serving.copies import Copies
from recsys_lab.serving.model_store import Version
from tests.serving.apps import Registry, wait_until


@dataclass(frozen=True)
class Process:
    """A replica that answers."""

    pid: int
    port: int

    def ask(self, data: bytes) -> bytes:
        """All that comes back for ``data``, until the other side closes."""
        found = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            with suppress(OSError):  # it may close before it has read all
                connection.sendall(data)
            with suppress(OSError):
                while part := connection.recv(65_536):
                    found += part
        return found

    def loop_seconds(self) -> float:
        """CPU seconds of the thread that has the event loop: others' load on the machine does not count."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def served(bundle: Bundle, folder: Path, **changes: str) -> Iterator[Process]:
    """A replica with ``bundle`` on its disk and a registry that is down."""
    (folder / "registry").mkdir(parents=True)
    registry = Registry(folder / "registry")
    version = Version("recommender", registry.add(bundle, "champion"), "run1", "here", {})
    copies = Copies(folder / "bundles")
    copies.remember("champion", version, registry.fetch_bundle("", version, copies.place("champion", version)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"REGISTRY_URI": "http://127.0.0.1:9", "BUNDLE_DIR": str(folder / "bundles"), "PORT": str(port)}
    own |= {"DATABASE_URL": f"sqlite:///{folder / 'feedback.db'}", **changes}
    environ = {**os.environ, **{f"RECSYS_LAB_{name}": value for name, value in own.items()}}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "recsys_lab", "serve"], env=environ, stdout=log, stderr=subprocess.STDOUT
        )
    try:

        def ready() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return True
            return False

        wait_until(ready, 90)
        yield Process(process.pid, port)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        finally:
            process.kill()


# an export that waits for a line, in the middle of its reading or before the file has its name
EXPORTS_SLOWLY = """
import os, sys
from pathlib import Path
from recsys_lab.serving import export
calls = {"reading": (export, "_columns"), "written": (os, "fsync")}
place, name = calls[sys.argv[3]]
call = getattr(place, name)
def slowly(one):
    setattr(place, name, call)
    print("ready", flush=True)
    if not sys.stdin.readline():
        os._exit(9)
    return call(one)
setattr(place, name, slowly)
print(export.export_feedback(sys.argv[1], Path(sys.argv[2])))
"""


def child_of(code: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that has printed its first line, "ready"."""
    command = [sys.executable, "-c", code, *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def go_on(child: subprocess.Popen[str]) -> None:
    """Send it the line that it waits for."""
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()
