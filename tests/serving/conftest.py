"""Apps on a registry in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recsys_lab.serving import model_store
from recsys_lab.serving.app import create_app
from tests.serving.apps import Registry, Start, bundle_of, settings_in, wait_until


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
