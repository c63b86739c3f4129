"""What the tools themselves say of the files; skipped where a tool is not installed (make service-tools)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from recsys_lab.serving.monitoring import Monitoring
from tests.deploy.files import DEPLOY, MONITORING


def _run(*command: str, text: str = "") -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}: make service-tools")
    environ = {**os.environ, "SECRETS": str(DEPLOY)}
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_haproxy_takes_its_configuration() -> None:
    assert "alert" not in _run("haproxy", "-c", "-f", str(DEPLOY / "haproxy.cfg")).lower()


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


def test_hadolint_has_nothing_to_say() -> None:
    assert _run("hadolint", str(DEPLOY / "Containerfile")) == ""
