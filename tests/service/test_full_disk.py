"""Full disks: of a replica, which keeps the model that it has, and of PostgreSQL, whose rows wait for room."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recsys_lab.serving import model_store
from recsys_lab.serving.storage import Database
from tests.service.conftest import NAME, Deployment
from tests.service.load import Load
from tests.service.parts import Postgres, metric, needed, wait_for

pytestmark = pytest.mark.service
FAILED = 'reload_total{result="failed"}'


@contextmanager
def _disk(megabytes: int) -> Iterator[Path]:
    """A disk of that size."""
    folder = Path(tempfile.mkdtemp(prefix="recsys_lab_disk_"))
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=False
    ).returncode:
        folder.rmdir()
        pytest.skip("only root mounts a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@contextmanager
def _full(disk: Path) -> Iterator[None]:
    """Not a byte is free inside."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(b"x" * 65_536)
                file.flush()
        except OSError:
            pass
    try:
        yield
    finally:
        filler.unlink()


def test_a_full_disk_of_a_replica_fails_no_request(deployment: Deployment, another: Callable[..., Any]) -> None:
    first, second = deployment.versions
    deployment.promote(first)
    with _disk(8) as disk:
        replica, url = another(bundle_dir=str(disk / "bundles"))
        load = Load(url, deployment.users, deployment.items)
        with load, _full(disk):
            load.wait(200)
            before = metric(replica.url, FAILED)
            model_store.set_alias(deployment.registry, NAME, "champion", second)
            wait_for(lambda: metric(replica.url, FAILED) > before, "it cannot be fetched")
            assert (replica.version(), replica.is_stale()) == (first, True)
            assert metric(replica.url, 'model_stale{role="champion"}') == 1  # of which ReloadFailing tells
            load.wait(5000)
        assert load.failed == []
        wait_for(lambda: replica.version() == second, "there is room again")
        wait_for(lambda: load.accepted <= deployment.stored_ids(), "all accepted events stored")
        replica.end()
    deployment.promote(first)


def test_a_full_disk_of_the_database_loses_no_accepted_event(
    deployment: Deployment, another: Callable[..., Any], tmp_path: Path
) -> None:
    needed("initdb")
    with _disk(110) as disk:
        disk.chmod(0o755)
        place = disk / "postgres"
        place.mkdir()
        server = Postgres(place, tmp_path / "postgres.log")
        # its log of writes takes no more than it has to
        server.command += [
            "-c",
            "max_wal_size=32MB",
            "-c",
            "min_wal_size=32MB",
            "-c",
            "wal_level=minimal",
            "-c",
            "max_wal_senders=0",
        ]
        server.start()
        try:
            wait_for(server.is_up, "PostgreSQL")
            replica, url = another(database_url=server.url, queue_size="100000")
            load = Load(url, deployment.users, deployment.items)
            with load:
                load.wait(500)
                with _full(disk):
                    wait_for(lambda: metric(replica.url, "database_up") == 0, "the disk is full", 120)
                    accepted = len(load.accepted)
                    load.wait(len(load.times) + 2000)
                    assert len(load.accepted) > accepted, "accepted, while no database takes them"
                if server.process is not None and server.process.poll() is not None:  # it may have given up
                    server.process = None
                    server.start()
                load.wait(5000)
            assert load.failed == []
            wait_for(lambda: metric(replica.url, "database_up") == 1, "the database is used again", 60)
            database = Database(server.url)
            wait_for(
                lambda: load.accepted <= {row["event_id"] for row in database.read("event")},
                "all accepted events stored",
                60,
            )
            database.close()
            assert metric(replica.url, 'feedback_dropped_total{kind="event"}') == 0
            replica.end()
        finally:
            server.end(signal.SIGINT)
            shutil.rmtree(place, ignore_errors=True)
    assert not os.path.ismount(disk)
