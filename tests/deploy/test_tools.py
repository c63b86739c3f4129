"""What the tools themselves say of the files; skipped where a tool is not installed (make service-tools)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_lab.serving.monitoring import Monitoring
from tests.deploy.files import DEPLOY, MONITORING


def _run(*command: str, text: str = "") -> str:
    tool = shutil.which(command[0]) or shutil.which(command[0], path=Path(sys.executable).parent)
    if tool is None:
        where = "https://kubernetes.io/docs/tasks/tools" if command[0] == "kubectl" else "make service-tools"
        pytest.skip(f"needs {command[0]}: {where}")
    environ = {"SECRETS": str(DEPLOY), **os.environ}
    done = subprocess.run([tool, *command[1:]], input=text, capture_output=True, text=True, timeout=120, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_haproxy_takes_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ["-keyout", str(tmp_path / "tls.key"), "-out", str(tmp_path / "tls.crt")]
    new = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"]
    _run("openssl", "req", *new, *files)
    monkeypatch.setenv("SECRETS", str(tmp_path))
    for key in ("a key\n", ""):  # empty: no key is set
        (tmp_path / "api_key").write_text(key)
        said = _run("haproxy", "-c", "-f", str(DEPLOY / "proxy" / "haproxy.cfg")).lower()
        assert "alert" not in said
        assert "warning" not in said


def test_prometheus_takes_its_configuration_and_rules() -> None:
    _run("promtool", "check", "config", str(MONITORING / "prometheus.yml"))
    _run("promtool", "check", "rules", str(MONITORING / "rules.yml"))


def test_alerts_fire_when_they_should_and_only_then() -> None:
    assert "SUCCESS" in _run("promtool", "test", "rules", str(MONITORING / "rules_test.yml"))


def test_metrics_are_as_prometheus_wants_them() -> None:
    assert _run("promtool", "check", "metrics", text=Monitoring().page()[0].decode()) == ""


def test_compose_takes_the_stack() -> None:
    command = ["docker", "compose"]
    done = shutil.which("docker") and subprocess.run([*command, "version"], capture_output=True, timeout=60)
    if not done or done.returncode:
        command = ["docker-compose"]
    _run(*command, "-f", str(DEPLOY / "compose.yaml"), "config", "-q")


@pytest.mark.parametrize("overlay", ["base", "overlays/production", "overlays/podman"])
def test_kustomize_builds_and_kubernetes_would_take_it(overlay: str, tmp_path: Path) -> None:
    built = _run("kubectl", "kustomize", str(DEPLOY / "kubernetes" / overlay))
    assert "kind: Deployment" in built
    if overlay.endswith("podman"):
        assert "Probe" not in built
        assert "ports:" not in built
    (tmp_path / "built.yaml").write_text(built)
    said = _run("kubernetes-validate", "--strict", str(tmp_path / "built.yaml"))
    assert "passed for resource deployment/recsys-lab-api" in said
    assert ("passed for resource deployment/recsys-lab-proxy" in said) == (not overlay.endswith("podman"))


def test_hadolint_has_nothing_to_say() -> None:
    assert _run("hadolint", str(DEPLOY / "Containerfile")) == ""
