"""A real MLflow server: what a replica reads from it over HTTP is what MLflow's own client reads."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys_lab.serving import model_store
from recsys_lab.serving.bundle import load_bundle
from recsys_lab.serving.model_store import client, rest
from tests.service.conftest import NAME, register
from tests.service.parts import Registry, wait_for
from tests.serving.apps import bundle_of
from tests.serving.test_imports import asked_alone

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that hands its artifacts out itself; two versions, the second is the champion."""
    folder = tmp_path_factory.mktemp("registry")
    server = Registry(folder)
    uri = server.url
    server.start()
    try:
        wait_for(server.is_up, "MLflow")
        numbers = [register(uri, folder / name, bundle_of(name)).number for name in ("EASE", "ItemKNN")]
        for number in numbers:
            model_store.set_alias(uri, NAME, "champion", number)
        yield uri
    finally:
        server.end()


@pytest.mark.parametrize("name", [NAME, "no such model", "a/b c&d"])
@pytest.mark.parametrize("wanted", ["champion", "challenger", "1", "2", "3", "007"])
def test_the_same_version_is_found(registry: str, name: str, wanted: str) -> None:
    found = rest.version_of(registry, name, wanted)
    assert found == client.version_of(registry, name, wanted)
    assert (found is not None) == (name == NAME and wanted in ("champion", "1", "2"))


def test_the_same_files_are_fetched(registry: str, tmp_path: Path) -> None:
    version = model_store.version_of(registry, NAME, "champion")
    assert version is not None
    assert version.tags == {"before_champion": "1"}
    path = rest.path_of(version.source)
    assert path is not None
    place = model_store.fetch_bundle(registry, version, tmp_path / "ours")
    client.download(registry, f"{version.source}/artifacts/bundle", str(tmp_path / "theirs"), 10**9)
    names = sorted(file.relative_to(place).as_posix() for file in place.rglob("*"))
    assert names == sorted(
        file.relative_to(tmp_path / "theirs").as_posix() for file in (tmp_path / "theirs").rglob("*")
    )
    files = [name for name in names if (place / name).is_file()]
    assert filecmp.cmpfiles(place, tmp_path / "theirs", files, shallow=False) == (files, [], [])
    assert type(load_bundle(place)[0].algorithm).__name__ == "ItemKNN"


def test_another_servers_artifacts_are_fetched_by_mlflows_client(registry: str, tmp_path: Path) -> None:
    version = model_store.version_of(registry, NAME, "1")
    assert version is not None
    named = version.source.replace("mlflow-artifacts:/", f"mlflow-artifacts://{registry.removeprefix('http://')}/")
    other = model_store.Version(version.name, version.number, version.run_id, named, {})
    assert rest.path_of(other.source) is None
    place = model_store.fetch_bundle(registry, other, tmp_path / "copy")
    assert type(load_bundle(place)[0].algorithm).__name__ == "EASE"


def test_a_replica_takes_the_champion_without_mlflow(registry: str, tmp_path: Path) -> None:
    assert asked_alone(tmp_path / "bundles", registry) == {"stale": False, "heavy": []}
    assert os.listdir(tmp_path / "bundles" / "champion")
