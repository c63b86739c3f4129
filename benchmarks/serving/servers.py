"""The servers as processes: what they are asked, and what they cost in CPU and memory."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

from benchmarks.peers import HERE
from benchmarks.serving.bundles import Served
from benchmarks.serving.client import Connection, get, post

START_LIMIT_S = 120
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "MKL", "OMP", "NUMBA")}


@dataclass(frozen=True)
class Contender:
    """A server: its command for a model and a port, the request for a user, and the item ids in an answer."""

    label: str
    command: Callable[[Served, int], list[str]]
    environ: Callable[[Served, int], dict[str, str]]
    request: Callable[[str], bytes]
    items: Callable[[bytes], list[str]] | None  # None: it answers with nothing that could be compared


class Server:
    """A running contender."""

    def __init__(self, contender: Contender, served: Served, log: Path) -> None:
        self.port = _free_port()
        started = time.perf_counter()
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                contender.command(served, self.port),
                env={**os.environ, **ONE_THREAD, **contender.environ(served, self.port)},
                cwd=HERE.parent,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        first = contender.request(served.users[0])
        while not self._answers(first):
            if self._process.poll() is not None or time.perf_counter() - started > START_LIMIT_S:
                self.close()
                raise RuntimeError(f"{contender.label} did not start: {log.read_text(errors='replace')[-300:]}")
            time.sleep(0.05)
        self.seconds_to_start = time.perf_counter() - started

    def cpu_seconds(self) -> float:
        """CPU seconds of all its threads and processes so far, read from the scheduler (nanoseconds)."""
        total = 0
        for process in self._processes():
            for task in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
                with suppress(OSError):
                    total += int(task.read_text().split()[0])
        return total / 1e9

    def megabytes(self) -> float:
        """Resident memory of its processes."""
        return sum(process.memory_info().rss for process in self._processes()) / 1e6

    def close(self) -> None:
        """End it and every process it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _processes(self) -> list[psutil.Process]:
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def _answers(self, request: bytes) -> bool:
        try:
            connection = Connection(self.port)
        except OSError:
            return False
        try:
            connection.ask(request)
        except (OSError, RuntimeError):
            return False
        finally:
            connection.close()
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _ours(served: Served, port: int) -> dict[str, str]:
    return {
        "RECSYS_LAB_REGISTRY_URI": "http://127.0.0.1:9",  # nobody: the replica serves the copy on its disk
        "RECSYS_LAB_BUNDLE_DIR": str(served.copies),
        "RECSYS_LAB_DATABASE_URL": f"sqlite:///{served.copies / f'feedback-{port}.db'}",
        "RECSYS_LAB_PORT": str(port),
    }


def _control(served: Served, port: int) -> list[str]:
    options = ["--port", str(port), "--no-access-log", "--log-level", "warning", "--lifespan", "on"]
    return [sys.executable, "-m", "uvicorn", "benchmarks.serving.control:app", *options]


def _mlflow(served: Served, port: int) -> list[str]:
    options = ["--env-manager", "local", "--port", str(port), "--workers", "1"]
    return [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(served.pyfunc), *options]


def _mlflow_items(body: bytes) -> list[str]:
    return [str(row["item_id"]) for row in json.loads(body)["predictions"]]


def _listed(body: bytes) -> list[str]:
    return [str(one["item_id"]) for one in json.loads(body)["items"]]


def _get(user: str) -> bytes:
    return get(f"/v1/users/{quote(user, safe='')}/recommendations?k=10")


CONTROL = Contender("raw ASGI app", _control, lambda served, _: {"BENCH_BODY_BYTES": str(served.n_bytes)}, _get, None)
OURS = Contender("recsys_lab", lambda *_: [sys.executable, "-m", "recsys_lab", "serve"], _ours, _get, _listed)
MLFLOW = Contender(
    "mlflow models serve",
    _mlflow,
    lambda *_: {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
    lambda user: post("/invocations", {"dataframe_split": {"columns": ["user_id"], "data": [[user]]}}),
    _mlflow_items,
)
