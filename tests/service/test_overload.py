"""Four times the load that the replicas can take: some are refused by the proxy at once, the rest are served.

The replicas share one core and everything else has the others, as on machines of their own: a load generator on the
replicas' core would measure itself. Capacity is what a closed loop of 16 clients gets, as many as the proxy lets in.
Times and rates are printed (python -m pytest -m service -s -k overload); what they are is not asserted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.service.conftest import Deployment
from tests.service.parts import KEY, ROOT, Part

pytestmark = pytest.mark.service
TIMES = 4
SECONDS = 6


def _pin(part: Part, cores: set[int]) -> None:
    assert part.process is not None
    for task in Path(f"/proc/{part.process.pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), cores)


@contextmanager
def _on_one_core(deployment: Deployment) -> Iterator[None]:
    """The replicas on the first core, the proxy and whoever is started from here on the others."""
    cores = os.sched_getaffinity(0)
    first, others = {min(cores)}, cores - {min(cores)} or cores
    try:
        for one in deployment.replicas:
            _pin(one, first)
        for one in (deployment.proxy, deployment.database, deployment.mlflow):
            _pin(one, others)
        os.sched_setaffinity(0, others)
        yield
    finally:
        for one in (*deployment.replicas, deployment.proxy, deployment.database, deployment.mlflow):
            _pin(one, cores)
        os.sched_setaffinity(0, cores)


def _offer(deployment: Deployment, users: Path, **how: float) -> dict[str, Any]:
    """What the load generator says, a process of its own."""
    options = [f"--{name}={value}" for name, value in how.items()]
    command = [sys.executable, "-m", "tests.service.open_loop", urlsplit(deployment.url).netloc, KEY]
    command += ["--users", str(users), "--seconds", str(SECONDS), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    print(f"\n{how}: {done.stdout.strip()}")
    return found


def test_overload_is_refused_by_the_proxy_and_the_rest_is_served(deployment: Deployment, tmp_path: Path) -> None:
    users = tmp_path / "users.json"
    users.write_text(json.dumps(deployment.users))
    with _on_one_core(deployment):
        closed = _offer(deployment, users, clients=16)
        capacity = closed["good_per_second"]
        opened = _offer(deployment, users, rate=TIMES * capacity)
    assert set(closed["statuses"]) == {"200"}
    statuses = opened["statuses"]
    assert set(statuses) == {"200", "503 by the proxy"}
    assert sum(statuses.values()) == opened["asked"] == int(TIMES * capacity * SECONDS)
    print(
        f"capacity {capacity:.0f}/s; at {TIMES} times that {opened['good_per_second']:.0f}/s served "
        f"({opened['good_per_second'] / capacity:.0%}), p99 {1000 * opened['seconds']['0.99']:.0f} ms, "
        f"median {1000 * opened['seconds']['0.5']:.0f} ms; asked at most {1000 * opened['late']:.0f} ms late"
    )
