"""One deployment for all tests of this folder: MLflow, PostgreSQL, two replicas, HAProxy."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recsys_lab.serving import model_store
from recsys_lab.serving.bundle import Bundle, save_bundle
from recsys_lab.serving.storage import Database
from tests.deploy.files import compose
from tests.service.leftovers import Leftovers
from tests.service.load import Load
from tests.service.parts import KEY, Part, Postgres, Proxy, Registry, Replica, needed, wait_for, works
from tests.serving.apps import bundle_of, trial_of

NAME = "recommender"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "service" not in config.option.markexpr:
        for item in items:
            if "service" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="real parts; run with make test-service (-m service)"))


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The first to be set up and so the last to end; an error of it is an error of the run."""
    tmp_path_factory.getbasetemp()  # of pytest, which keeps it where a test failed
    leftovers = Leftovers()
    yield
    found = leftovers.found()
    shutil.rmtree(leftovers.folder, ignore_errors=True)
    assert found == [], "left behind:\n" + "\n".join(found)


@dataclass
class Deployment:
    """What runs, and the address that clients use."""

    folder: Path
    proxy: Proxy
    registry: str
    mlflow: Registry
    database: Postgres
    replicas: list[Replica]
    environ: dict[str, str]  # of the replicas
    users: list[str]
    items: list[str]
    versions: list[str]

    @property
    def url(self) -> str:
        return self.proxy.url

    def load(self, **changes: Any) -> Load:
        """Clients that ask the proxy."""
        return Load(self.url, self.users, self.items, **changes)

    def stored(self) -> list[dict[str, Any]]:
        """The rows of all events in PostgreSQL."""
        database = Database(self.database.url)
        try:
            return list(database.read("event"))
        finally:
            database.close()

    def stored_ids(self) -> set[str]:
        """The ids of these events."""
        return {row["event_id"] for row in self.stored()}

    def promote(self, version: str) -> None:
        """Point the alias at a version, and wait until both replicas answer with it."""
        model_store.set_alias(self.registry, NAME, "champion", version)
        wait_for(lambda: {one.version() for one in self.replicas} == {version}, f"version {version}")

    def wait_until_both_answer(self) -> None:
        for one in self.replicas:
            wait_for(one.is_ready, f"{one.log} ready")
        time.sleep(1.2)  # HAProxy looks every 500 ms


def new_run(uri: str, folder: Path) -> str:
    """The id of a run in an experiment of its own."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    # a server knows where its files go; with a database alone MLflow would make ./mlruns
    location = None if uri.startswith("http") else (folder / "artifacts").as_uri()
    return str(client.create_run(client.create_experiment(uuid.uuid4().hex, location)).info.run_id)


def register(uri: str, folder: Path, bundle: Bundle, own_modules: tuple[str, ...] = ()) -> model_store.Version:
    """A new version in the registry, with the lists that a replica tries."""
    place = folder / "bundle"
    folder.mkdir()
    about = {"label": type(bundle.algorithm).__name__, "metrics": {}, "run_id": ""}
    save_bundle(bundle, place, about, trial_of(bundle))
    return model_store.log_version(uri, NAME, place, run_id=new_run(uri, folder), tags={}, own_modules=own_modules)


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Everything started; ended after the last test, in the other direction."""
    for tool in ("haproxy", "openssl", "postgres", "initdb", "pg_isready"):
        needed(tool)
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'psycopg[binary]'")
    folder = tmp_path_factory.mktemp("deployment")
    place = Path(tempfile.mkdtemp(prefix="recsys_lab_pg_"))  # pytest's folders are closed to the user postgres
    running: list[Part] = []
    try:
        database = Postgres(place, folder / "postgres.log")
        running.append(database.start())
        mlflow = Registry(folder)
        registry = mlflow.url
        running.append(mlflow.start())
        environ = {
            "RECSYS_LAB_REGISTRY_URI": registry,
            "RECSYS_LAB_DATABASE_URL": database.url,
            "RECSYS_LAB_API_KEY": KEY,
            "RECSYS_LAB_POLL_SECONDS": "0.5",
            "RECSYS_LAB_OWN_MODULES": "tests.service.faulty",
            "RECSYS_LAB_DRAIN_SECONDS": compose()["services"]["api"]["environment"]["RECSYS_LAB_DRAIN_SECONDS"],
        }
        replicas = [Replica(folder / f"replica{n}", environ) for n in range(2)]
        proxy = Proxy(folder, [one.port for one in replicas])
        bundle = bundle_of("EASE")
        users, items = [str(one) for one in bundle.user_ids], [str(one) for one in bundle.item_ids]
        made = Deployment(folder, proxy, registry, mlflow, database, replicas, environ, users, items, [])
        wait_for(database.is_up, "PostgreSQL")
        wait_for(mlflow.is_up, "MLflow")
        made.versions += [register(registry, folder / name, bundle_of(name)).number for name in ("EASE", "ItemKNN")]
        model_store.set_alias(registry, NAME, "champion", made.versions[0])
        running += [one.start() for one in (*replicas, proxy)]
        made.wait_until_both_answer()
        yield made
    finally:
        for part in reversed(running):
            # a fast shutdown of PostgreSQL is SIGINT
            part.end(signal.SIGINT if isinstance(part, Postgres) else signal.SIGTERM)
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL of its own, for tests of the database alone."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'psycopg[binary]'")
    place = Path(tempfile.mkdtemp(prefix="recsys_lab_pg_"))  # pytest's folders are closed to the user postgres
    server = Postgres(place, tmp_path_factory.mktemp("server") / "postgres.log")
    try:
        server.start()
        wait_for(server.is_up, "PostgreSQL")
        yield server
    finally:
        server.end(signal.SIGINT)
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def postgres(server: Postgres) -> str:
    """The URL of an empty database."""
    name = f"test_{uuid.uuid4().hex}"
    engine = sa.create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return server.url.removesuffix("postgres") + name


@pytest.fixture
def another(deployment: Deployment, tmp_path: Path) -> Iterator[Callable[..., tuple[Replica, str]]]:
    """Start one more replica with changed settings, behind a proxy of its own; the replica and the proxy's URL."""
    running: list[Part] = []

    def begin(ready: bool = True, **changes: str) -> tuple[Replica, str]:
        changed = {f"RECSYS_LAB_{name.upper()}": value for name, value in {"drain_seconds": "0", **changes}.items()}
        replica = Replica(tmp_path / f"another{len(running)}", {**deployment.environ, **changed})
        key = replica.environ.get("RECSYS_LAB_API_KEY") or Path(changes["api_key_file"]).read_text().strip()
        proxy = Proxy(tmp_path / f"proxy{len(running)}", [replica.port], key)
        running.extend([replica.start(), proxy.start()])
        wait_for(replica.is_alive, f"{replica.log} alive")
        wait_for(lambda: works(f"http://{proxy.status}/healthz"), "HAProxy")
        if ready:
            wait_for(lambda: works(f"{proxy.url}/readyz"), f"{replica.log} ready, and HAProxy knows it")
        return replica, proxy.url

    yield begin
    for part in reversed(running):
        part.end()
