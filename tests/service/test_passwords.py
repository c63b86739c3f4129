"""MLflow's server behind passwords: nobody without one, replicas read and write nothing, who promotes may promote."""

from __future__ import annotations

import base64
import http.client
import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from recsys_lab.serving import model_store
from recsys_lab.serving.bundle import load_bundle
from tests.service.conftest import NAME, register
from tests.service.parts import GuardedRegistry, Replica, wait_for
from tests.serving.apps import bundle_of

pytestmark = pytest.mark.service
PASSWORDS = {"replica": "the reader's own", "promoter": "the promoter's own"}
API = "/api/2.0/mlflow"
# what MLflow's server tells anybody: that it is alive, its version and settings, the files of its page
PUBLIC = {"/health", "/api/3.0/mlflow/server-info", "/ajax-api/3.0/mlflow/server-info", "/static-files/1"}
ROUTES = """
import json
from mlflow.server import app, auth
from mlflow.server.fastapi_app import create_fastapi_app
auth.create_app(app)
found = {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods}
for route in create_fastapi_app(app).routes:
    found |= {(method, route.path) for method in getattr(route, "methods", None) or ()}
print(json.dumps(sorted(found)))
"""


@dataclass
class Guarded:
    """The server, and the versions of the model in it."""

    server: GuardedRegistry
    folder: Path
    versions: list[str]

    def ask(self, user: str, method: str, path: str, body: Any = None, password: str = "") -> tuple[int, bytes]:
        """Status and body of the answer to a user; "" is nobody."""
        given = password or PASSWORDS.get(user, "")
        headers = {"Authorization": "Basic " + base64.b64encode(f"{user}:{given}".encode()).decode()} if user else {}
        connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=20)
        try:
            sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, sent, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def acting_as(user: str) -> Iterator[None]:
    """What this process asks the registry is asked by a user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_USERNAME", user)
        patch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORDS[user])
        yield


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    server = GuardedRegistry(folder, PASSWORDS)
    try:
        server.start()
        wait_for(server.is_up, "MLflow")
        with acting_as("promoter"):
            versions = [register(server.url, folder / name, bundle_of(name)).number for name in ("EASE", "ItemKNN")]
            model_store.set_alias(server.url, NAME, "champion", versions[0])
        yield Guarded(server, folder, versions)
    finally:
        server.end()


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Method and path of all that MLflow's server answers."""
    folder = tmp_path_factory.mktemp("routes")
    lines = ["[mlflow]", "default_permission = READ", f"database_uri = sqlite:///{folder}/users.db"]
    lines += ["admin_username = somebody", "admin_password = something-long"]
    (folder / "auth.ini").write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(folder / "auth.ini"))
        patch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY", "any")
        done = subprocess.run([sys.executable, "-c", ROUTES], capture_output=True, text=True, check=True, cwd=folder)
    found = [(method, re.sub(r"[<{][^>}]*[>}]", "1", path)) for method, path in json.loads(done.stdout)]
    assert len(found) > 500
    return found


def test_nobody_is_answered_without_a_password(guarded: Guarded, routes: list[tuple[str, str]]) -> None:
    for method, path in routes:
        if method != "OPTIONS" and path not in PUBLIC:
            assert guarded.ask("", method, path, {})[0] == 401, (method, path)
    for user, password in (("replica", "wrong"), ("promoter", PASSWORDS["replica"]), ("admin", "password1234")):
        assert guarded.ask(user, "GET", f"{API}/registered-models/search", password=password)[0] == 401, user


def test_a_replica_may_not_write_at_any_route(guarded: Guarded, routes: list[tuple[str, str]]) -> None:
    writes = [(method, path) for method, path in routes if method in ("POST", "PUT", "PATCH", "DELETE")]
    assert len(writes) > 200
    for method, path in writes:
        assert guarded.ask("replica", method, path, {})[0] == 403, (method, path)


def test_a_replica_reads_the_version_and_its_files(guarded: Guarded, tmp_path: Path) -> None:
    with acting_as("replica"):
        version = model_store.version_of(guarded.server.url, NAME, "champion")
        assert version is not None
        assert version.number == guarded.versions[0]
        place = model_store.fetch_bundle(guarded.server.url, version, tmp_path / "copy")
    assert type(load_bundle(place)[0].algorithm).__name__ == "EASE"


def test_a_replica_cannot_change_what_is_served(guarded: Guarded) -> None:
    """Nor make anything of its own: bodies and paths are those that the promoter may send."""
    with acting_as("promoter"):
        version = model_store.version_of(guarded.server.url, NAME, "champion")
    assert version is not None
    files = sorted(path for path in (guarded.folder / "artifacts").rglob("*") if path.is_file())
    before = {path: path.read_bytes() for path in files}
    state = next(path for path in files if path.name == "state.json").relative_to(guarded.folder / "artifacts")
    artifact = f"/api/2.0/mlflow-artifacts/artifacts/{state}"
    assert guarded.ask("replica", "GET", artifact)[0] == 200
    model = {"name": NAME, "version": guarded.versions[1]}
    for method, path, body in (
        ("PUT", artifact, b"overwritten"),
        ("PUT", artifact.replace("/api/", "/ajax-api/"), b"overwritten"),
        ("PUT", f"{artifact}.new", b"written"),
        ("DELETE", artifact, None),
        ("POST", artifact.replace("artifacts/artifacts", "artifacts/mpu/create"), {"path": str(state), "num_parts": 1}),
        ("POST", f"{API}/registered-models/alias", {**model, "alias": "champion"}),
        ("DELETE", f"{API}/registered-models/alias", {"name": NAME, "alias": "champion"}),
        ("POST", f"{API}/model-versions/create", {"name": NAME, "source": version.source, "run_id": version.run_id}),
        ("DELETE", f"{API}/model-versions/delete", model),
        ("POST", f"{API}/model-versions/set-tag", {**model, "key": "k", "value": "v"}),
        ("POST", f"{API}/registered-models/create", {"name": "its own"}),
        ("POST", f"{API}/experiments/create", {"name": "its own"}),
        ("POST", f"{API}/runs/create", {"experiment_id": "0"}),
        ("PATCH", f"{API}/users/update-password", {"username": "replica", "password": "another password"}),
        ("PATCH", f"{API}/users/update-admin", {"username": "replica", "is_admin": True}),
        ("POST", f"{API}/users/create", {"username": "another", "password": "another password"}),
    ):
        assert guarded.ask("replica", method, path, body)[0] == 403, (method, path)
    with acting_as("promoter"):
        assert model_store.version_of(guarded.server.url, NAME, "champion") == version
    assert {path: path.read_bytes() for path in files} == before
    assert sorted(path for path in (guarded.folder / "artifacts").rglob("*") if path.is_file()) == files


def test_who_promotes_makes_no_users(guarded: Guarded) -> None:
    created = {"username": f"u{uuid.uuid4().hex[:6]}", "password": "another password"}
    assert guarded.ask("promoter", "POST", f"{API}/users/create", created)[0] == 403
    changed = {"username": "replica", "password": "another password"}
    assert guarded.ask("promoter", "PATCH", f"{API}/users/update-password", changed)[0] == 403
    assert (
        guarded.ask("promoter", "PATCH", f"{API}/users/update-admin", {"username": "promoter", "is_admin": True})[0]
        == 403
    )


def test_a_replica_serves_from_it_and_follows_a_promotion(guarded: Guarded, tmp_path: Path) -> None:
    environ = {
        "RECSYS_LAB_REGISTRY_URI": guarded.server.url,
        "RECSYS_LAB_REGISTRY_PASSWORD_FILE": str(guarded.server.secrets / "registry_replica"),
        "MLFLOW_TRACKING_USERNAME": "replica",
        "RECSYS_LAB_POLL_SECONDS": "0.5",
    }
    wrong = tmp_path / "password"
    wrong.write_text("wrong")
    replica = Replica(tmp_path / "replica", environ)
    refused = Replica(tmp_path / "refused", {**environ, "RECSYS_LAB_REGISTRY_PASSWORD_FILE": str(wrong)})
    try:
        replica.start()
        refused.start()
        wait_for(replica.is_ready, f"{replica.log} ready")
        assert replica.version() == guarded.versions[0]
        with acting_as("promoter"):
            model_store.set_alias(guarded.server.url, NAME, "champion", guarded.versions[1])
        wait_for(lambda: replica.version() == guarded.versions[1], "the promoted version")
        wait_for(refused.is_alive, f"{refused.log} alive")
        wait_for(lambda: "the registry does not answer" in refused.log.read_text(), "a refused look in the log")
        assert not refused.is_ready()
        logs = replica.log.read_text() + refused.log.read_text()
        assert PASSWORDS["replica"] not in logs
    finally:
        replica.end()
        refused.end()
        with acting_as("promoter"):
            model_store.set_alias(guarded.server.url, NAME, "champion", guarded.versions[0])


def test_a_changed_password_holds_from_the_next_start_on(guarded: Guarded) -> None:
    search = f"{API}/registered-models/search"
    guarded.server.end()
    guarded.server.set_password("replica", "another one of it")
    guarded.server.start()
    try:
        wait_for(guarded.server.is_up, "MLflow")
        assert guarded.ask("replica", "GET", search)[0] == 401
        assert guarded.ask("replica", "GET", search, password="another one of it")[0] == 200
        assert guarded.ask("promoter", "GET", search)[0] == 200
    finally:
        guarded.server.set_password("replica", PASSWORDS["replica"])
