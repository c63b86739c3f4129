"""The parts of a deployment as processes on this machine's loopback, each ended by its own process group."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
KEY = "key-of-these-tests"


def needed(tool: str) -> str:
    """The path of a tool; the test is skipped where it is missing."""
    places = [os.environ.get("PATH", ""), "/usr/sbin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))]
    found = shutil.which(tool, path=os.pathsep.join(places))
    if found is None:
        pytest.skip(f"needs {tool}: make service-tools")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def fetch(url: str, body: Any = None) -> Any:
    """The JSON at ``url``, asked with the key; HTTPError for an error."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"X-API-Key": KEY, "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def works(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=2):
        return True
    return False


def wait_for(true: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.2)


class Part:
    """A program that can be started, ended, killed and started again."""

    def __init__(
        self, command: list[str], log: Path, environ: Mapping[str, str] | None = None, user: str | None = None
    ) -> None:
        self.command, self.log, self.user = command, log, user
        self.environ = {**os.environ, **(environ or {})}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Part:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                env=self.environ,
                user=self.user,
                group=self.user,
                cwd="/" if self.user else None,
                start_new_session=True,
            )
        return self

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = 40.0) -> None:
        """Signal the program, wait for its end, and leave none of its helpers behind."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None


class Postgres(Part):
    """A cluster in a folder of its own; its server refuses to run as root."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.port, initdb = free_port(), needed("initdb")
        user = "postgres" if os.geteuid() == 0 else None
        folder.chmod(0o755)
        if user:
            shutil.chown(folder, user, user)
        made = ["-D", str(folder / "data"), "-A", "trust", "-U", "recsys_lab", "-E", "UTF8", "--no-sync"]
        subprocess.run([initdb, *made], check=True, capture_output=True, user=user, group=user, cwd="/")
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(folder), "-D", str(folder / "data")]
        super().__init__([needed("postgres"), *options], log, user=user)
        self.url = f"postgresql+psycopg://recsys_lab@127.0.0.1:{self.port}/postgres"

    def is_up(self) -> bool:
        asked = [needed("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0


class Replica(Part):
    """One process of the service, started as a user does."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        own = {"RECSYS_LAB_PORT": str(self.port), "RECSYS_LAB_BUNDLE_DIR": str(folder / "bundles")}
        command = [sys.executable, "-m", "recsys_lab", "serve"]
        super().__init__(command, folder / "log", {**environ, **own})

    def is_ready(self) -> bool:
        return works(f"{self.url}/readyz")

    def version(self) -> str:
        """The version of the champion that this replica answers with."""
        return str(fetch(f"{self.url}/readyz")["version"])


def haproxy_config(replicas: list[Replica], port: int, status: int) -> str:
    """deploy/haproxy.cfg, with these servers instead of those found by name, and ports of this machine."""
    text = (DEPLOY / "haproxy.cfg").read_text()
    servers = "\n".join(f"    server api{n} 127.0.0.1:{one.port}" for n, one in enumerate(replicas))
    for pattern, value in (
        (r"(?m)^    server-template .*$", servers),
        (r"(?m)^    bind :8080$", f"    bind 127.0.0.1:{port}"),
        (r"(?m)^    bind :8404$", f"    bind 127.0.0.1:{status}"),
        (r" resolvers names init-addr none", ""),
        (r"(?ms)^resolvers names$.*?\n\n", ""),
    ):
        text, n = re.subn(pattern, value, text)
        assert n == 1, pattern
    return text


def prometheus_config(targets: list[str]) -> str:
    """deploy/monitoring/prometheus.yml, with these targets, asked every second."""
    text = (DEPLOY / "monitoring" / "prometheus.yml").read_text()
    found = "    static_configs:\n      - {targets: " + json.dumps(targets) + "}\n"
    text, n = re.subn(r"    dns_sd_configs:\n      - .*\n", found, text)
    assert n == 1
    rules = str(DEPLOY / "monitoring" / "rules.yml")
    return text.replace("10s", "1s").replace("[rules.yml]", json.dumps([rules]))
