"""Apps on a registry in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recsys_lab.serving import model_store
from recsys_lab.serving.app import create_app
from recsys_lab.serving.export import export_feedback
from recsys_lab.serving.spool import Spool
from tests.judgement.traffic import database_in, done, shown
from tests.serving.apps import Registry, Start, bundle_of, settings_in, wait_until
from tests.serving.people import OTHER, USER


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    (tmp_path / "registry").mkdir()
    made = Registry(tmp_path / "registry")
    monkeypatch.setattr(model_store, "version_of", made.version_of)
    monkeypatch.setattr(model_store, "fetch_bundle", made.fetch_bundle)
    return made


@pytest.fixture
def start(registry: Registry, tmp_path: Path) -> Iterator[Start]:
    """Start an app with changed settings and, unless ``ready=False``, wait for its model; ended after the test."""
    running: list[TestClient] = []

    def begin(ready: bool = True, **changes: Any) -> TestClient:
        client = TestClient(create_app(settings_in(tmp_path, **changes)))
        client.__enter__()
        running.append(client)
        if ready:
            wait_until(lambda: client.get("/readyz").status_code == 200)
        return client

    yield begin
    for client in running:
        client.__exit__(None, None, None)


@pytest.fixture
def client(registry: Registry, start: Start) -> TestClient:
    """An app whose champion is EASE, version 1."""
    registry.add(bundle_of(), "champion")
    return start()


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place with rows of two users everywhere; the environment of the commands points to it."""
    database = database_in(tmp_path)
    for user in (USER, OTHER):
        database.write("impression", [shown(f"{user}-{n}", user, at=float(n)) for n in range(600)])
        database.write(
            "event", [done(f"{user}-{n}", user, "5", ("click", "like")[n % 2], at=float(n)) for n in range(40)]
        )
    for ending in ("parquet", "csv", "csv.gz"):
        export_feedback(str(database.engine.url), tmp_path / "out" / f"table.{ending}")
    database.close()
    spool = Spool(tmp_path / "bundles" / "spool")
    waiting = {user: {**done(None, user, "7"), "event_id": f"waits-{user}", "ts": 1.0} for user in (USER, OTHER)}
    spool.keep("event", [waiting[USER], waiting[OTHER], waiting[USER]])
    spool.keep("impression", [{**shown("alone", USER), "ts": 1.0}])
    torn = [f'["event",{{"user_id":"{user}"\n' for user in (USER, OTHER)]
    (spool.folder / "x.jsonl.bad").write_text("".join(torn))
    monkeypatch.setenv("RECSYS_LAB_REGISTRY_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("RECSYS_LAB_BUNDLE_DIR", str(tmp_path / "bundles"))
    monkeypatch.setenv("RECSYS_LAB_DATABASE_URL", f"sqlite:///{tmp_path / 'feedback.db'}")
    monkeypatch.setattr(model_store, "version_of", lambda *_: None)
    return tmp_path
