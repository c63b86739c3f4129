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
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import psutil
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


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, body: Any = None, **headers: str) -> Got:
    """The answer to a GET, or to a POST of ``body`` (JSON, or bytes as they are); sent with the key unless told."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", "X-API-Key": KEY}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, {name: value for name, value in sent.items() if value})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return Got(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Got(error.code, error.headers, error.read())


def fetch(url: str, body: Any = None) -> Any:
    """The JSON of a good answer."""
    got = ask(url, body)
    assert got.status < 400, f"{url}: {got.status} {got.body!r}"
    return got.json


def metric(url: str, line: str) -> float:
    """A metric with its labels as the server at ``url`` has it now; 0 where it has none yet."""
    for found in ask(f"{url}/metrics").body.decode().splitlines():
        name, _, value = found.rpartition(" ")
        if name == line:
            return float(value)
    return 0.0


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
        # `mlflow models serve` starts uvicorn by its name
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        self.environ = {**os.environ, "PATH": path, **(environ or {})}
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

    def send(self, which: signal.Signals) -> None:
        """Signal the program and its helpers."""
        assert self.process is not None
        os.killpg(self.process.pid, which)

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

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """No process of the server runs inside; the kernel still takes connections and bytes for it."""
        assert self.process is not None
        server = psutil.Process(self.process.pid)
        server.suspend()  # first, so that it has no more children
        stopped = [*server.children(), server]  # each is a session of its own
        try:
            for one in stopped:
                one.suspend()
            yield
        finally:
            for one in stopped:
                with suppress(psutil.NoSuchProcess):
                    one.resume()

    def is_up(self) -> bool:
        asked = [needed("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0


class Registry(Part):
    """MLflow's server, which hands the artifacts out itself, as in the stack and in Kubernetes (mlflow-artifacts:)."""

    def __init__(self, folder: Path, *program: str, environ: Mapping[str, str] | None = None) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        store += ["--artifacts-destination", str(folder / "artifacts")]
        command = [
            sys.executable,
            *(program or ("-m", "mlflow", "server")),
            "--port",
            str(port),
            "--workers",
            "1",
            *store,
        ]
        # eight more processes that a registry has no use for, each of which loads MLflow
        environ = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **(environ or {})}
        super().__init__(command, folder / "mlflow.log", environ)

    def is_up(self) -> bool:
        return works(f"{self.url}/health")


class GuardedRegistry(Registry):
    """The same behind passwords, as deploy/registry.py starts it; ``passwords`` by user."""

    def __init__(self, folder: Path, passwords: Mapping[str, str]) -> None:
        pytest.importorskip("flask_wtf", reason="needs Flask-WTF: pip install Flask-WTF")
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        for user, password in passwords.items():
            self.set_password(user, password)
        environ = {"SECRETS": str(self.secrets), "STATE": str(folder)}
        super().__init__(folder, str(DEPLOY / "registry.py"), environ=environ)

    def set_password(self, user: str, password: str) -> None:
        """Write the secret of a user, which the next start reads."""
        (self.secrets / f"registry_{user}").write_text(f"{password}\n")


class Replica(Part):
    """One process of the service, started as a user does."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.spool = folder / "bundles" / "spool"  # rows that no database took before the end
        own = {"RECSYS_LAB_PORT": str(self.port), "RECSYS_LAB_BUNDLE_DIR": str(folder / "bundles")}
        command = [sys.executable, "-m", "recsys_lab", "serve"]
        super().__init__(command, folder / "log", {**own, **environ})

    def is_ready(self) -> bool:
        return works(f"{self.url}/readyz")

    def is_alive(self) -> bool:
        return works(f"{self.url}/healthz")

    def version(self) -> str:
        """The version of the champion that this replica answers with."""
        return str(fetch(f"{self.url}/readyz")["version"])

    def is_stale(self) -> bool:
        """Whether it says that the registry may know a newer version."""
        stale: bool = fetch(f"{self.url}/readyz")["stale"]
        return stale

    def lines(self) -> list[dict[str, Any]]:
        """Its log."""
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return found


class Proxy(Part):
    """HAProxy with deploy/proxy/haproxy.cfg before servers on these ports; it knows one key, or none."""

    def __init__(self, folder: Path, ports: list[int], key: str = KEY) -> None:
        secrets = folder / "proxy_secrets"
        secrets.mkdir(parents=True, exist_ok=True)
        (secrets / "api_key").write_text(f"{key}\n" if key else "")
        self.certificate = certificate(secrets)
        port, tls, status = free_port(), free_port(), free_port()
        (folder / "haproxy.cfg").write_text(haproxy_config(ports, port, tls, status))
        command = [needed("haproxy"), "-f", str(folder / "haproxy.cfg")]
        super().__init__(command, folder / "haproxy.log", {"SECRETS": str(secrets)})
        self.url, self.tls, self.status = f"http://127.0.0.1:{port}", f"127.0.0.1:{tls}", f"127.0.0.1:{status}"


def certificate(folder: Path) -> Path:
    """A certificate of this machine in tls.crt beside tls.key, made as docs/operations.md says."""
    place = folder / "tls.crt"
    command = [needed("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "tls.key"), "-out", str(place)]
    subprocess.run(command + files, check=True, capture_output=True)
    return place


def haproxy_config(ports: list[int], port: int, tls: int, status: int) -> str:
    """deploy/proxy/haproxy.cfg, with these servers instead of those found by name, and ports of this machine."""
    text = (DEPLOY / "proxy" / "haproxy.cfg").read_text()
    none = free_port()
    servers = "\n".join(f"    server api{n} 127.0.0.1:{one}" for n, one in enumerate(ports))
    for pattern, value in (
        (r"(?m)^    server-template .*$", servers),
        (r"(?m)^    bind :8080$", f"    bind 127.0.0.1:{port}"),
        (r"(?m)^    bind :8443 ssl", f"    bind 127.0.0.1:{tls} ssl"),
        (r"(?m)^    bind :8404$", f"    bind 127.0.0.1:{status}"),
        (r"(?m)^    bind 127.0.0.1:8405$", f"    bind 127.0.0.1:{none}"),
        (r"(?m)^    server none 127.0.0.1:8405 ", f"    server none 127.0.0.1:{none} "),
        (r" resolvers names init-addr none", ""),
        (r"(?ms)^resolvers names$.*?\n\n", ""),
    ):
        text, n = re.subn(pattern, value, text)
        assert n == 1, pattern
    return text


def prometheus_config(targets: list[str], rules: Path) -> str:
    """deploy/monitoring/prometheus.yml, with these targets and rules, asked every second."""
    text = (DEPLOY / "monitoring" / "prometheus.yml").read_text()
    found = "    static_configs:\n      - {targets: " + json.dumps(targets) + "}\n"
    text, n = re.subn(r"    dns_sd_configs:\n      - .*\n", found, text)
    assert n == 1
    return text.replace("10s", "1s").replace("[rules.yml]", json.dumps([str(rules)]))
