"""The image is small, holds nothing that may become root, and serves hardened; the Deployment runs through podman."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY
from tests.service.conftest import Deployment
from tests.service.containers import HARDENED, built, inspected, podman, replace_once, run, secrets, store
from tests.service.parts import KEY, fetch, free_port, needed, wait_for, works

pytestmark = [pytest.mark.service, pytest.mark.timeout(1800)]  # the build takes some minutes on a busy machine
MOST_BYTES = 450_000_000
UID = 10001
STATUS = "print(open('/proc/1/status').read())"
WRITE = "open('/srv/recsys_lab/written', 'w')"


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    begun = time.monotonic()
    with store(Path(tempfile.gettempdir()) / "containers"):
        name = built("api")
        print(f"\nbase and image built in {time.monotonic() - begun:.0f} s")
        yield name


@pytest.fixture(scope="session")
def root(image: str) -> Iterator[Path]:
    """The image's files."""
    yield Path(podman("image", "mount", image).strip())
    podman("image", "unmount", image)


def test_the_image_is_small_and_its_user_is_nobody(image: str) -> None:
    about = json.loads(podman("image", "inspect", image))[0]
    assert about["Size"] <= MOST_BYTES
    assert about["Config"]["User"] == f"{UID}:{UID}"
    variables = [text.partition("=")[0] for text in about["Config"]["Env"]]
    assert not [name for name in variables if "KEY" in name or "SECRET" in name or "PIP" in name]


def test_nothing_in_the_image_becomes_root_or_is_for_building(root: Path) -> None:
    programs, libraries = set(), set()
    for folder, _, files in os.walk(root):
        for place in (Path(folder), *(Path(folder) / name for name in files)):
            mode = place.lstat().st_mode
            (programs if place.parent.name in ("bin", "sbin") else libraries).add(place.name)
            assert stat.S_ISLNK(mode) or place.is_dir() or not mode & (stat.S_ISUID | stat.S_ISGID), place
            assert stat.S_ISLNK(mode) or not mode & stat.S_IWOTH or place.name == "tmp", place
            owned = place.relative_to(root).as_posix() != "var/lib/recsys_lab" and place.lstat().st_uid == UID
            assert not owned, place
    assert not programs & {
        "apt",
        "apt-get",
        "dpkg",
        "perl",
        "su",
        "mount",
        "passwd",
        "gcc",
        "g++",
        "strip",
        "pip",
        "pip3",
        "bash",
    }
    assert not libraries & {"setuptools", "pip.conf", "mlflow", "pandas", "sklearn"}
    assert {"sh", "sleep", "python3"} <= programs
    assert "libllvmlite.so" in libraries


@contextmanager
def started(name: str, image: str, port: int, deployment: Deployment, folder: Path) -> Iterator[str]:
    """The URL of a hardened container, which gets its secrets as files."""
    held = secrets(folder / "secrets", {"api_key": KEY, "database_url": deployment.database.url, "log_salt": "salt"})
    environ = {
        "RECSYS_LAB_HOST": "127.0.0.1",
        "RECSYS_LAB_PORT": str(port),
        "RECSYS_LAB_REGISTRY_URI": deployment.registry,
        "RECSYS_LAB_API_KEY_FILE": "/run/secrets/api_key",
        "RECSYS_LAB_DATABASE_URL_FILE": "/run/secrets/database_url",
        "RECSYS_LAB_LOG_SALT_FILE": "/run/secrets/log_salt",
        "NUMBA_DEBUG_CACHE": "1",  # says what it loads and what it has compiled
    }
    given = [word for key, value in environ.items() for word in ("--env", f"{key}={value}")]
    podman("run", "--detach", "--name", name, *HARDENED, *given, "--volume", f"{held}:/run/secrets:ro", image)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        podman("rm", "--force", "--volumes", "--time", "5", name)


@pytest.fixture(scope="module")
def container(
    image: str, deployment: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Name and URL of a container that is ready."""
    name, folder = f"recsys_lab-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("container")
    begun = time.monotonic()
    with started(name, image, free_port(), deployment, folder) as url:
        with suppress(AssertionError):
            wait_for(lambda: works(f"{url}/readyz"), "the container", 60)
        assert works(f"{url}/readyz"), podman("logs", name)
        print(f"\nready {time.monotonic() - begun:.1f} s after podman run began")
        yield name, url


def test_a_hardened_container_answers_as_a_replica_outside_does(
    container: tuple[str, str], deployment: Deployment
) -> None:
    _, url = container
    for user in deployment.users[:20]:
        asked = f"/v1/users/{user}/recommendations?k=10"
        inside, outside = (fetch(place + asked)["items"] for place in (url, deployment.replicas[0].url))
        assert [one["item_id"] for one in inside] == [one["item_id"] for one in outside]
        assert len(inside) == 10
    with urllib.request.urlopen(url, timeout=10) as page:
        assert b"<script" in page.read()
    with pytest.raises(urllib.error.HTTPError, match="401"):  # the key came as a file
        urllib.request.urlopen(f"{url}/v1/model", timeout=10)


def test_the_process_has_no_rights_and_the_root_is_read_only(container: tuple[str, str]) -> None:
    name, _ = container
    lines = podman("exec", name, "python3", "-c", STATUS).splitlines()
    status = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    assert status["Uid"].split() == [str(UID)] * 4
    assert status["CapEff"] == status["CapBnd"] == "0" * 16
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    print(f"\nresident: {status['VmRSS']}")
    write = f"try:\n    {WRITE}\nexcept OSError as error:\n    print(error.strerror)"
    assert podman("exec", "--user", "0", name, "python3", "-c", write).strip() == "Read-only file system"


def test_nothing_is_compiled_at_the_start(container: tuple[str, str], deployment: Deployment) -> None:
    name, url = container
    fetch(f"{url}/v1/recommendations", {"items": [{"item_id": deployment.items[0]}]})
    fetch(f"{url}/v1/items/{deployment.items[0]}/similar")
    said = podman("logs", name)
    assert "[cache] data loaded from" in said
    assert "[cache] data saved to" not in said


def test_the_end_writes_what_was_accepted(image: str, deployment: Deployment, tmp_path: Path) -> None:
    name, events = f"recsys_lab-{uuid.uuid4().hex[:8]}", [uuid.uuid4().hex for _ in range(50)]
    with started(name, image, free_port(), deployment, tmp_path) as url:
        wait_for(lambda: works(f"{url}/readyz"), "the container")
        about = {"user_id": deployment.users[0], "item_id": deployment.items[0], "event": "click"}
        assert fetch(f"{url}/v1/feedback", [{"event_id": one, **about} for one in events])["accepted"] == 50
        podman("stop", "--time", "30", name)
        assert inspected(name)["State"]["ExitCode"] == 0
        assert '"stopped"' in podman("logs", name)
    assert set(events) <= deployment.stored_ids()


def test_the_deployment_runs_through_podman(image: str, deployment: Deployment, tmp_path: Path) -> None:
    port = free_port()
    held = {"api-key": KEY, "database-url": deployment.database.url, "log-salt": "salt", "registry-password": "any"}
    text = run(needed("kubectl"), "kustomize", str(DEPLOY / "kubernetes/overlays/podman"))
    text = replace_once(text, "http://127.0.0.1:5000", deployment.registry)
    text = replace_once(text, 'RECSYS_LAB_PORT: "8000"', f'RECSYS_LAB_PORT: "{port}"')
    text = replace_once(text, "path: /etc/recsys_lab", f"path: {secrets(tmp_path / 'secrets', held)}")
    try:
        podman("play", "kube", "--network", "host", "-", text=text)
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: works(f"{url}/readyz"), "the pod")
        assert fetch(f"{url}/v1/users/{deployment.users[0]}/recommendations?k=5")["model"]["version"]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url}/v1/model", timeout=10)
        (name,) = podman("ps", "--filter", "name=recsys-lab-api-pod-.*-api", "--format", "{{.Names}}").split()
        about = inspected(name)
        assert about["HostConfig"]["ReadonlyRootfs"]
        assert str(UID) in about["Config"]["User"]
    finally:
        podman("play", "kube", "--down", "-", text=text)
    assert not works(f"http://127.0.0.1:{port}/healthz")
