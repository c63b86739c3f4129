"""Versions that come, go back and are broken, under load; a model with a bug; no client sees more than it should."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from recsys_lab import load_dataset, split
from recsys_lab.serving import model_store
from recsys_lab.serving.bundle import MANIFEST, STATE, make_bundle
from recsys_lab.serving.model_store.reading import ARTIFACTS
from recsys_lab.serving.trial import trial_users
from tests.service.conftest import NAME, Deployment, register
from tests.service.faulty import UNLUCKY, Faulty
from tests.service.parts import ask, metric, wait_for
from tests.serving.apps import bundle_of

pytestmark = pytest.mark.service
REJECTED = 'reload_total{result="rejected"}'


def _roll_back(deployment: Deployment) -> None:
    """What a person types."""
    command = [sys.executable, "-m", "recsys_lab", "rollback", "--name", NAME]
    environ = {**os.environ, "MLFLOW_TRACKING_URI": deployment.registry}
    subprocess.run(command, env=environ, check=True, capture_output=True, timeout=120)


def test_promotion_and_rollback_fail_no_request_and_both_replicas_follow(deployment: Deployment) -> None:
    first, second = deployment.versions
    deployment.promote(first)
    with deployment.load() as load:
        load.wait(300)
        deployment.promote(second)
        load.wait(len(load.times) + 200)
    assert load.failed == []
    assert len(load.times) >= 5000
    assert load.versions == {first, second}
    with deployment.load() as load:
        load.wait(300)
        assert load.versions == {second}
        _roll_back(deployment)
        wait_for(lambda: {one.version() for one in deployment.replicas} == {first}, "the version before")
        load.wait(len(load.times) + 200)
    assert load.failed == []
    assert len(load.times) >= 5000
    assert load.versions == {first, second}


def test_a_broken_version_is_not_taken_and_fails_no_request(deployment: Deployment) -> None:
    good = deployment.versions[0]
    deployment.promote(good)
    rejected = [metric(one.url, REJECTED) for one in deployment.replicas]
    broken = register(deployment.registry, deployment.folder / "Broken", bundle_of("EASE"))
    (file, *_) = sorted(_kept(deployment, broken).rglob("*.npz"))
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    with deployment.load() as load:
        load.wait(200)
        model_store.set_alias(deployment.registry, NAME, "champion", broken.number)
        for one, before in zip(deployment.replicas, rejected, strict=True):
            wait_for(lambda at=one, n=before: metric(at.url, REJECTED) == n + 1, "the version is rejected")
            assert one.is_stale()  # it is not what the alias says
        load.wait(len(load.times) + 600)  # some more looks at the alias
    assert load.failed == []
    assert load.versions == {good}
    for one, before in zip(deployment.replicas, rejected, strict=True):
        assert metric(one.url, REJECTED) == before + 1  # not tried again
        (line,) = [line for line in one.lines() if line.get("version") == broken.number]
        assert line["message"] == "a version is broken and not taken"
        assert f"{file.name} has sha256" in line["traceback"]
    _roll_back(deployment)
    wait_for(lambda: not any(one.is_stale() for one in deployment.replicas), "the good version is the alias's")
    assert {one.version() for one in deployment.replicas} == {good}


def _kept(deployment: Deployment, version: model_store.Version) -> Path:
    """Where MLflow's server keeps the bundle of a version: mlflow-artifacts:/0/RUN/artifacts/model-1234."""
    return deployment.folder / "artifacts" / version.source.partition(":/")[2].lstrip("/") / ARTIFACTS


def _make_hashes_right(bundle: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    for name in manifest["files"]:
        content = (bundle / STATE / name).read_bytes()
        manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (bundle / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("kind", ["own", "named", "dataclass", "algorithm"])
def test_who_writes_to_the_registry_runs_nothing_in_a_replica(
    deployment: Deployment, tmp_path: Path, kind: str
) -> None:
    """A command that would write the key of the environment to a file, as the class of a part of the model."""
    good = deployment.versions[0]
    deployment.promote(good)
    rejected = [metric(one.url, REJECTED) for one in deployment.replicas]
    hostile = register(deployment.registry, deployment.folder / f"Hostile-{kind}", bundle_of("EASE"))
    kept, taken = _kept(deployment, hostile), tmp_path / "taken"
    tree = json.loads((kept / STATE / "state.json").read_text())
    call = "recsys_lab.serving.model_store.reading:subprocess.call"
    fields = {"args": {"is": "list", "values": ["sh", "-c", f"env > {taken}"]}}
    attack = {"is": kind, "class": call, "fields": fields}
    if kind == "algorithm":
        attack = {"is": kind, "name": call, "parameters": fields, "learned": {}}
    tree["root"]["fields"]["algorithm"] = attack
    (kept / STATE / "state.json").write_text(json.dumps(tree))
    _make_hashes_right(kept)
    model_store.set_alias(deployment.registry, NAME, "champion", hostile.number)
    try:
        for one, before in zip(deployment.replicas, rejected, strict=True):
            wait_for(lambda at=one, n=before: metric(at.url, REJECTED) == n + 1, "the version is rejected")
            assert one.version() == good
        assert not taken.exists()
    finally:
        _roll_back(deployment)


def test_a_bug_shows_the_client_a_request_id_and_the_log_the_traceback(deployment: Deployment) -> None:
    parts = split(load_dataset("synthetic-small"), "temporal_user", test=0.2)
    bundle = make_bundle(Faulty().fit(parts.train), parts.history)
    assert UNLUCKY not in trial_users(bundle.n_users)
    version = register(deployment.registry, deployment.folder / "Faulty", bundle, own_modules=(Faulty.__module__,))
    model_store.set_alias(deployment.registry, NAME, "challenger", version.number)
    try:
        for one in deployment.replicas:
            wait_for(lambda at=one: ask(f"{at.url}/v1/model").json["challenger"] is not None, "a challenger")
        path = "/v1/users/{}/recommendations?model=challenger"
        assert ask(deployment.url + path.format(bundle.user_ids[0])).json["model"]["role"] == "challenger"
        got = ask(deployment.url + path.format(bundle.user_ids[UNLUCKY]), X_Request_ID="the-unlucky-request")
        assert got.status == 500
        assert got.headers["content-type"] == "application/problem+json"
        assert got.json["request_id"] == got.headers["x-request-id"] == "the-unlucky-request"
        assert set(got.json) == {"type", "title", "status", "detail", "request_id"}
        for inside in (b"detail of", b"Traceback", b"Faulty", b"recsys_lab/"):
            assert inside not in got.body

        def logged() -> list[dict[str, Any]]:
            lines = [line for one in deployment.replicas for line in one.lines()]
            return [line for line in lines if line.get("request_id") == "the-unlucky-request"]

        wait_for(lambda: bool(logged()), "the log line")  # written when the answer has left
        (line,) = logged()  # asked once
        assert line["level"] == "error"
        assert "a detail of the model's inside" in line["traceback"]
    finally:
        MlflowClient(deployment.registry).delete_registered_model_alias(NAME, "challenger")
        for one in deployment.replicas:
            wait_for(lambda at=one: ask(f"{at.url}/v1/model").json["challenger"] is None, "no challenger")
