"""The service as a process: it starts from its copy on disk, and SIGTERM ends it with what it accepted written."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from recsys_lab.serving.copies import Copies
from recsys_lab.serving.model_store import Version
from tests.serving.apps import Registry, bundle_of, wait_until


def _get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        found: dict[str, object] = json.loads(answer.read())
        return found


@pytest.mark.cli
def test_a_process_from_start_to_end(registry: Registry, tmp_path: Path) -> None:
    version = Version("recommender", registry.add(bundle_of(), "champion"), "run1", "here", {})
    copies = Copies(tmp_path / "bundles")
    copies.remember("champion", version, registry.fetch_bundle("", version, copies.place("champion", version)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {
        **os.environ,
        "RECSYS_LAB_REGISTRY_URI": "http://127.0.0.1:9",
        "RECSYS_LAB_BUNDLE_DIR": str(tmp_path / "bundles"),
        "RECSYS_LAB_DATABASE_URL": f"sqlite:///{tmp_path / 'feedback.db'}",
        "RECSYS_LAB_PORT": str(port),
    }
    command = [sys.executable, "-m", "recsys_lab", "serve"]
    base = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:

            def ready() -> bool:
                assert process.poll() is None, process.stdout and process.stdout.read()
                with suppress(OSError):
                    return _get(f"{base}/readyz")["stale"] is True
                return False

            wait_until(ready, 90)
            assert _get(f"{base}/v1/users/{bundle_of().user_ids[3]}/recommendations")["source"] == "model"
            events = [{"event_id": str(n), "user_id": "u", "item_id": "i", "event": "view"} for n in range(900)]
            request = urllib.request.Request(f"{base}/v1/feedback", json.dumps(events).encode())
            request.add_header("content-type", "application/json")
            with urllib.request.urlopen(request, timeout=5) as answer:
                assert answer.status == 202
        finally:
            process.send_signal(signal.SIGTERM)
            printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    lines = [json.loads(line) for line in printed.splitlines()]
    assert lines[-1]["message"] == "stopped"
    with sqlite3.connect(tmp_path / "feedback.db") as connection:
        assert connection.execute("SELECT count(*) FROM feedback").fetchone() == (900,)


def test_a_setting_that_is_not_right_ends_at_once(tmp_path: Path) -> None:
    environ = {**os.environ, "RECSYS_LAB_PORT": "eighty", "RECSYS_LAB_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "recsys_lab", "serve"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "RECSYS_LAB_PORT is 'eighty'; right would be a port from 1 to 65535" in done.stderr
