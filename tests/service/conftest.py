"""One deployment for all tests of this folder: MLflow, PostgreSQL, two replicas, HAProxy."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recsys_lab.serving import model_store
from recsys_lab.serving.bundle import save_bundle
from recsys_lab.serving.recommender import Recommender
from tests.service.parts import KEY, Part, Postgres, Replica, free_port, haproxy_config, needed, wait_for, works
from tests.serving.apps import bundle_of

NAME = "recommender"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "service" not in config.option.markexpr:
        for item in items:
            if "service" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="real parts; run with make test-service (-m service)"))


@dataclass
class Deployment:
    """What runs, and the address that clients use."""

    url: str
    status: str  # of HAProxy: its metrics
    registry: str
    database: Postgres
    replicas: list[Replica]
    users: list[str]
    items: list[str]
    versions: list[str]

    def promote(self, version: str) -> None:
        model_store.set_alias(self.registry, NAME, "champion", version)

    def wait_until_both_answer(self) -> None:
        for one in self.replicas:
            wait_for(one.is_ready, f"{one.log} ready")
        time.sleep(1.2)  # HAProxy looks every 500 ms


def registered(uri: str, folder: Path, algorithm: str) -> str:
    """A version of ``algorithm`` in the registry, with the lists that a replica tries."""
    from mlflow import MlflowClient

    bundle = bundle_of(algorithm)
    served = Recommender(bundle)
    lists: dict[str, list[Any]] = {}
    for user in bundle.user_ids[:3]:
        answer = served.recommend(user, 10)
        assert answer is not None
        lists[str(user)] = [str(one.item_id) for one in answer.items]
    place = folder / algorithm / "bundle"
    place.parent.mkdir()
    save_bundle(bundle, place, {"label": algorithm, "metrics": {}, "run_id": ""}, lists)
    run = MlflowClient(uri).create_run("0").info.run_id
    return model_store.log_version(uri, NAME, place, run_id=run, tags={}).number


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Everything started; ended after the last test, in the other direction."""
    for tool in ("haproxy", "postgres", "initdb", "pg_isready"):
        needed(tool)
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'psycopg[binary]'")
    folder = tmp_path_factory.mktemp("deployment")
    place = Path(tempfile.mkdtemp(prefix="recsys_lab_pg_"))  # pytest's folders are closed to the user postgres
    running: list[Part] = []
    try:
        database = Postgres(place, folder / "postgres.log")
        running.append(database.start())
        port = free_port()
        registry = f"http://127.0.0.1:{port}"
        # the server hands the artifacts out itself, as in the stack and in Kubernetes (mlflow-artifacts:)
        store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        store += ["--artifacts-destination", str(folder / "artifacts")]
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *store]
        running.append(Part(command, folder / "mlflow.log").start())
        wait_for(database.is_up, "PostgreSQL")
        wait_for(lambda: works(f"{registry}/health"), "MLflow")
        versions = [registered(registry, folder, name) for name in ("EASE", "ItemKNN")]
        model_store.set_alias(registry, NAME, "champion", versions[0])
        environ = {
            "RECSYS_LAB_REGISTRY_URI": registry,
            "RECSYS_LAB_DATABASE_URL": database.url,
            "RECSYS_LAB_API_KEY": KEY,
            "RECSYS_LAB_POLL_SECONDS": "0.5",
        }
        replicas = [Replica(folder / f"replica{n}", environ) for n in range(2)]
        running += [one.start() for one in replicas]
        proxy, status = free_port(), free_port()
        (folder / "haproxy.cfg").write_text(haproxy_config(replicas, proxy, status))
        running.append(Part([needed("haproxy"), "-f", str(folder / "haproxy.cfg")], folder / "haproxy.log").start())
        bundle = bundle_of("EASE")
        made = Deployment(
            url=f"http://127.0.0.1:{proxy}",
            status=f"127.0.0.1:{status}",
            registry=registry,
            database=database,
            replicas=replicas,
            users=[str(one) for one in bundle.user_ids],
            items=[str(one) for one in bundle.item_ids],
            versions=versions,
        )
        made.wait_until_both_answer()
        yield made
    finally:
        for part in reversed(running):
            # a fast shutdown of PostgreSQL is SIGINT
            part.end(signal.SIGINT if isinstance(part, Postgres) else signal.SIGTERM)
        shutil.rmtree(place, ignore_errors=True)
