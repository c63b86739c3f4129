"""The service as a process: it starts from its copy on disk, and SIGTERM ends it with what it accepted written."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from recsys_lab.serving.copies import Copies
from recsys_lab.serving.model_store import Version
from tests.serving.apps import Registry, bundle_of, stored, wait_until


def _get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        found: dict[str, object] = json.loads(answer.read())
        return found


@contextmanager
def _serving(registry: Registry, bundles: Path, database: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that serves the copy on its disk, and its address; ended by SIGTERM, unless it has ended."""
    version = Version("recommender", registry.add(bundle_of(), "champion"), "run1", "here", {})
    copies = Copies(bundles)
    copies.remember("champion", version, registry.fetch_bundle("", version, copies.place("champion", version)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {
        **os.environ,
        "RECSYS_LAB_REGISTRY_URI": "http://127.0.0.1:9",
        "RECSYS_LAB_BUNDLE_DIR": str(bundles),
        "RECSYS_LAB_DATABASE_URL": f"sqlite:///{database}",
        "RECSYS_LAB_PORT": str(port),
    }
    command = [sys.executable, "-m", "recsys_lab", "serve"]
    base = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        command,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # tests that run under nohup ignore it
    ) as process:
        try:

            def ready() -> bool:
                assert process.poll() is None, process.stdout and process.stdout.read()
                with suppress(OSError):
                    return _get(f"{base}/readyz")["stale"] is True
                return False

            wait_until(ready, 90)
            yield process, base
        finally:
            if process.poll() is None:
                process.kill()


def _send(base: str, n: int) -> None:
    for first in range(0, n, 1000):
        ids = range(first, min(first + 1000, n))
        events = [{"event_id": str(one), "user_id": "u", "item_id": "i", "event": "view"} for one in ids]
        request = urllib.request.Request(f"{base}/v1/feedback", json.dumps(events).encode())
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 202


def _ended(process: subprocess.Popen[str], by: signal.Signals = signal.SIGTERM) -> list[dict[str, object]]:
    """What it logged."""
    process.send_signal(by)
    printed, _ = process.communicate(timeout=60)
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.cli
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGHUP])  # SIGHUP: its terminal is closed
def test_a_process_from_start_to_end(registry: Registry, tmp_path: Path, by: signal.Signals) -> None:
    with _serving(registry, tmp_path / "bundles", tmp_path / "feedback.db") as (process, base):
        assert _get(f"{base}/v1/users/{bundle_of().user_ids[3]}/recommendations")["source"] == "model"
        _send(base, 900)
        lines = _ended(process, by)
    assert process.returncode == 0, lines
    assert lines[-1]["message"] == "stopped"
    assert len(stored(tmp_path)) == 900


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 32 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("only root mounts a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _fill(disk: Path) -> None:
    with (disk / "filled").open("wb", buffering=0) as filling, suppress(OSError):
        while True:
            filling.write(b"x" * 4096)


@pytest.mark.cli
def test_what_neither_the_database_nor_the_disk_took_is_counted(registry: Registry, small_disk: Path) -> None:
    with _serving(registry, small_disk / "bundles", small_disk / "feedback.db") as (process, base):
        _fill(small_disk)
        _send(base, 6000)
        lines = _ended(process)
    assert process.returncode == 1
    (said,) = [line for line in lines if str(line["message"]).startswith("feedback is lost")]
    assert (said["level"], said["kind"], said["rows"]) == ("error", "event", 6000)
    assert "No space left" in str(said["reason"])
    assert list((small_disk / "bundles" / "spool").iterdir()) == []  # nothing half-written


@pytest.mark.cli
def test_a_disk_that_is_full_for_a_while_loses_nothing(registry: Registry, small_disk: Path) -> None:
    with _serving(registry, small_disk / "bundles", small_disk / "feedback.db") as (process, base):
        _fill(small_disk)
        _send(base, 6000)
        time.sleep(1)
        assert len(stored(small_disk)) < 6000
        (small_disk / "filled").unlink()
        wait_until(lambda: len(stored(small_disk)) == 6000)
        _ended(process)
    assert process.returncode == 0


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
